"""Make `log_mel.npz`: what transformers' WhisperFeatureExtractor (5.24.0) hears in two recordings.

    pip install transformers librosa soundfile && python tests/data/make_log_mel.py

Every eighth band and every twentieth frame; it is the reference for `voicegw/audio/log_mel.py`.
"""

from pathlib import Path

import numpy as np
import soundfile
from transformers import WhisperFeatureExtractor

SPEECH = Path(__file__).parents[2] / "samples" / "speech"
SAMPLES = 8 * 16_000


def main() -> None:
    """Write the file."""
    extractor = WhisperFeatureExtractor(chunk_length=8)
    found = {}
    for name in ("cards-001", "jfk"):
        sound, _ = soundfile.read(SPEECH / f"{name}.flac", dtype="float32")
        sound = np.pad(sound[-SAMPLES:], (max(0, SAMPLES - len(sound)), 0))
        features = extractor(
            sound, sampling_rate=16_000, return_tensors="np", padding="max_length", max_length=SAMPLES,
            truncation=True, do_normalize=True,
        ).input_features[0]  # fmt: skip
        found[name] = features[::8, ::20]
    np.savez_compressed(Path(__file__).with_name("log_mel.npz"), **found)


if __name__ == "__main__":
    main()
