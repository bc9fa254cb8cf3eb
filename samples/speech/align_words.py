"""Find when each word of the recordings sounds: `python samples/speech/align_words.py` writes `words.tsv`.

A forced alignment of each recording with its known text (`index.tsv`) by PocketSphinx, so that a pause lies
between two words and not inside one. Needs the extra `embedded`.
"""

import csv
import re
from pathlib import Path

import numpy as np
import soundfile
from pocketsphinx import Decoder

FOLDER = Path(__file__).parent
RATE = 16_000
# Old words and a name of a trade that the aligner's dictionary does not have (ARPAbet).
PRONUNCIATIONS = {
    "woodcutters": "W UH D K AH T ER Z",
    "wot": "W AA T",
    "reciter": "R IH S AY T ER",
    "seest": "S IY AH S T",
}
# Behind a last word that ends with the recording the aligner wants to hear some silence (300 ms).
TAIL = RATE * 3 // 10


def aligned(path: Path, text: str) -> list[tuple[str, float, float]]:
    """Return each word of `text` with its beginning and end in seconds. Raises RuntimeError when it fails."""
    sound, _ = soundfile.read(path, dtype="int16")
    # A trace of noise: the aligner takes the logarithm of digital silence.
    noise = np.random.default_rng(1).normal(0, 6, len(sound) + TAIL)
    samples = np.clip(noise + np.pad(sound, (0, TAIL)), -32768, 32767).astype("<i2")
    decoder = Decoder(loglevel="FATAL", beam=1e-80, wbeam=1e-60, pbeam=1e-80)
    for word, phones in PRONUNCIATIONS.items():
        decoder.add_word(word, phones, True)
    decoder.set_align_text(text)
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    end = len(sound) / RATE
    found = [
        (re.sub(r"\(\d+\)", "", segment.word), segment.start_frame / 100, (segment.end_frame + 1) / 100)
        for segment in decoder.seg()
        if segment.word[0] not in "<[("
    ]
    if [word for word, _, _ in found] != text.split():
        raise RuntimeError(f"{path.name}: the text does not fit the recording")
    return [(word, from_s, min(to_s, end)) for word, from_s, to_s in found]


def main() -> None:
    """Align all recordings that have a text."""
    lines = ["file\tword\tfrom_s\tto_s"]
    with (FOLDER / "index.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            text = " ".join(re.sub(r"[^a-z' ]", " ", row["transcript"].lower()).split())
            if text:
                lines += [
                    f"{row['file']}\t{word}\t{from_s:.2f}\t{to_s:.2f}"
                    for word, from_s, to_s in aligned(FOLDER / row["file"], text)
                ]
    (FOLDER / "words.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
