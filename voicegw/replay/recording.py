"""Recordings of calls: reading any audio file as pcm, finding the caller's stretches, writing both sides.

Knows files; knows no gateway and no clock.
"""

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from voicegw.audio.pcm import FRAME_BYTES, FRAME_MS, SAMPLE_RATE_HZ, SILENT_FRAME
from voicegw.audio.vad import WARM_UP_FRAMES, VoiceDetector
from voicegw.audio.wav import wav_bytes
from voicegw.errors import ConfigError

# A pause of this length is where a caller waits for an answer; shorter ones are pauses for breath.
SPLIT_FRAMES = 1000 // FRAME_MS
# The detector hears a soft onset late, and a fading word not to its end.
LEAD_FRAMES = 200 // FRAME_MS
TAIL_FRAMES = 300 // FRAME_MS


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of the caller's talking, in frames of the recording."""

    voice_from: int
    voice_to: int
    gap: int  # silence before it, since the last stretch or the beginning

    @property
    def start(self) -> int:
        """The first frame to play: a little before the voice."""
        return max(0, self.voice_from - LEAD_FRAMES)

    @property
    def end(self) -> int:
        """Behind the last frame to play; may lie behind the recording's end."""
        return self.voice_to + TAIL_FRAMES


def read_recording(path: Path, *, mix: bool = False) -> bytes:
    """Read an audio file of any rate as pcm, padded to whole frames.

    Of several channels the first is taken (in our own recordings it is the caller), or with `mix` their
    mean. Raises ConfigError, also when the file needs ffmpeg and that is not there.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, TypeError):
        # TypeError: a raw file, of which libsndfile would have to be told the rate.
        samples, rate_hz = _read_with_ffmpeg(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    mono = samples.mean(axis=1) if mix else samples[:, 0]
    mono = np.nan_to_num(mono)
    if rate_hz != SAMPLE_RATE_HZ:
        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
    pcm = bytes(np.clip(np.rint(mono * 32768.0), -32768, 32767).astype("<i2"))
    if not pcm:
        raise ConfigError(f"{path}: there is no audio in it")
    return pcm + bytes(-len(pcm) % FRAME_BYTES)


def _read_with_ffmpeg(path: Path) -> tuple[npt.NDArray[np.float32], int]:
    """Return samples (n, channels) from -1 to 1, and the rate in Hertz."""
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        raise ConfigError(
            f"{path}: not WAV, FLAC, OGG or MP3; reading other kinds needs ffmpeg (apt-get install ffmpeg)"
        )
    with warnings.catch_warnings():
        # Of pydub's own on being imported: audioop's deprecation, and escapes in its patterns.
        warnings.simplefilter("ignore")
        from pydub import AudioSegment
        from pydub.exceptions import CouldntDecodeError
    try:
        # Given a path, it would leave the file open where it fails.
        with path.open("rb") as file:
            segment = AudioSegment.from_file(file).set_sample_width(2)
    except (CouldntDecodeError, IndexError, KeyError) as error:
        # The last two: ffprobe finds a container without sound in it.
        raise ConfigError(f"{path}: ffmpeg finds no audio in it either") from error
    samples = np.frombuffer(segment.raw_data, "<i2").astype(np.float32) / 32768.0
    return samples.reshape(-1, segment.channels), segment.frame_rate


def split(pcm: bytes) -> tuple[Stretch, ...]:
    """Return the stretches of voice in `pcm`, parted by silences of a second and more."""
    detector = VoiceDetector()
    for _ in range(WARM_UP_FRAMES):
        detector.hear(SILENT_FRAME)
    stretches: list[Stretch] = []
    began: int | None = None
    ended = last_end = 0
    for number in range(len(pcm) // FRAME_BYTES):
        # The vote says whether this is voice; the frame itself says where its last sound is.
        voiced = detector.hear(pcm[number * FRAME_BYTES : (number + 1) * FRAME_BYTES])
        if not (voiced and detector.frame_voiced):
            continue
        if began is not None and number - ended >= SPLIT_FRAMES:
            stretches.append(Stretch(began, ended, began - last_end))
            last_end, began = ended, None
        if began is None:
            began = number
        ended = number + 1
    if began is not None:
        stretches.append(Stretch(began, ended, began - last_end))
    return tuple(stretches)


def write_stereo(path: Path, caller: bytes, agent: bytes) -> None:
    """Write both sides of a call (pcm) as one WAV, caller left, agent right; the folder is made.

    Raises ConfigError when it cannot be written.
    """
    length = max(len(caller), len(agent))
    sides = [np.frombuffer(side + bytes(length - len(side)), "<i2") for side in (caller, agent)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav_bytes(np.stack(sides, axis=1).tobytes(), SAMPLE_RATE_HZ, channels=2))
    except OSError as error:
        raise ConfigError(f"{path}: the recording cannot be written: {error.strerror}") from error
