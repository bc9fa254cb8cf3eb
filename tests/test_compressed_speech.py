"""MP3, Ogg and FLAC answers: heard before their last byte has come, and heard whole."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from voicegw.audio.pcm import SAMPLE_RATE_HZ
from voicegw.providers.compressed_speech import CompressedReader, Undecodable
from voicegw.replay.recording import read_recording

SPEECH = read_recording(Path(__file__).parents[1] / "samples" / "order-status.wav")[: 9 * 2 * SAMPLE_RATE_HZ]
Samples = npt.NDArray[np.int16]


def encoded(kind: str, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> bytes:
    """The speech as a server would send it; the same samples at another rate are just higher."""
    mono = np.frombuffer(SPEECH, "<i2")
    samples = np.stack([mono] * channels, axis=1)
    file = io.BytesIO()
    container = kind.split()[0]
    options: dict[str, dict[str, Any]] = {
        "MP3": {"subtype": "MPEG_LAYER_III"},
        "MP3 variable": {"subtype": "MPEG_LAYER_III", "bitrate_mode": "VARIABLE"},
        "MP3 small": {"subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": 0.99},
        "OGG opus": {"subtype": "OPUS"},
        "OGG vorbis": {"subtype": "VORBIS"},
        "FLAC": {},
    }
    soundfile.write(file, samples, rate_hz, format=container, **options[kind])
    return file.getvalue()


def read(name: str, data: bytes, size: int) -> tuple[bytes, int]:
    """All pcm, and how many bytes had come when the first of it was there."""
    reader = CompressedReader(name)
    pcm, first = b"", len(data)
    for at in range(0, len(data), size):
        if (new := reader.push(data[at : at + size])) and not pcm:
            first = at + size
        pcm += new
    return pcm + b"".join(reader.finish()), first


def likeness(pcm: bytes) -> float:
    """How like the speech it is, wherever it begins: 1.0 is the same."""
    heard, said = (np.frombuffer(one, "<i2").astype(float) for one in (pcm, SPEECH))
    size = len(heard) + len(said)
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)))
    return float(products.max() / np.sqrt((heard**2).sum() * (said**2).sum()))


@pytest.mark.parametrize("size", [1, 333, 4096])
@pytest.mark.parametrize(
    ("kind", "within"),
    [("MP3", 0.15), ("MP3 variable", 0.15), ("MP3 small", 0.3), ("OGG opus", 0.5), ("OGG vorbis", 0.5)],
)
def test_speech_is_heard_before_its_file_is_whole(kind: str, within: float, size: int) -> None:
    """A sentence of nine seconds takes two to make: who waits for its last byte hears nothing for so long."""
    data = encoded(kind)
    name = {"MP3": "MP3", "OGG": "Ogg"}[kind.split()[0]]
    pcm, first = read(name, data, size)
    assert first < within * len(data) + size
    assert len(pcm) == pytest.approx(len(SPEECH), abs=0.12 * 2 * SAMPLE_RATE_HZ), "an encoder may pad"
    assert likeness(pcm) > 0.95


@pytest.mark.parametrize("kind", ["MP3", "MP3 variable", "OGG opus", "OGG vorbis", "FLAC"])
def test_the_pieces_change_nothing(kind: str) -> None:
    """Decoding again from the beginning must join without a click."""
    data = encoded(kind)
    name = {"MP3": "MP3", "OGG": "Ogg", "FLAC": "FLAC"}[kind.split()[0]]
    at_once = read(name, data, len(data))[0]
    assert all(read(name, data, size)[0] == at_once for size in (57, 1000, 20_000))


@pytest.mark.parametrize("kind", ["MP3", "OGG vorbis"])
def test_rate_and_channels_are_the_files(kind: str) -> None:
    name = {"MP3": "MP3", "OGG": "Ogg"}[kind.split()[0]]
    pcm, _ = read(name, encoded(kind, 32000, 2), 1000)
    assert len(pcm) == pytest.approx(len(SPEECH) / 2, abs=0.12 * 2 * SAMPLE_RATE_HZ)


@pytest.mark.parametrize("kind", ["MP3", "MP3 variable", "OGG opus"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_what_came_of_a_torn_answer_is_heard(kind: str, share: float) -> None:
    """A connection that breaks in the middle costs the rest, not what was there."""
    data = encoded(kind)
    name = {"MP3": "MP3", "OGG": "Ogg"}[kind.split()[0]]
    pcm, _ = read(name, data[: int(share * len(data))], 500)
    lost = 1.2 if name == "Ogg" else 0.2  # a page of Ogg may hold a second
    assert len(pcm) > share * len(SPEECH) * 0.7 - lost * 2 * SAMPLE_RATE_HZ


def test_tags_before_and_behind_the_sound_are_no_sound() -> None:
    """Servers put a title into their answers; pictures of 100 kB have been seen."""
    data = encoded("MP3")
    tag = b"ID3\x04\x00\x00\x00\x00\x0f\x50" + b"title".ljust(2000, b"\0")
    plain = read("MP3", data, 1000)[0]
    assert read("MP3", tag + data + b"TAG".ljust(128, b"\0"), 1000)[0] == plain


def test_a_break_within_the_sound_is_left_to_the_decoder() -> None:
    """Junk between frames is skipped by decoders that look for the next one."""
    data = encoded("MP3")
    half = len(data) // 2
    pcm, _ = read("MP3", data[:half] + b"junk" * 50 + data[half:], 1000)
    assert len(pcm) == pytest.approx(len(SPEECH), abs=0.3 * 2 * SAMPLE_RATE_HZ)


@pytest.mark.parametrize("name", ["MP3", "Ogg", "FLAC"])
@pytest.mark.parametrize("data", [b"", b"OggS" + bytes(5000), b"fLaC" + bytes(5000), b"\xff\xfb\x90\x00" * 9])
def test_what_is_no_sound_is_told(name: str, data: bytes) -> None:
    reader = CompressedReader(name)
    reader.push(data)
    with pytest.raises(Undecodable, match="cannot be decoded"):
        list(reader.finish())
