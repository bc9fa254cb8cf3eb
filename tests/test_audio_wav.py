"""WAV in memory and resampling: bytes of any split give the same audio."""

import itertools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegw.audio.resample import Resampler
from voicegw.audio.wav import WavError, WavReader, wav_bytes

PCM = np.arange(-300, 300, dtype="<i2").tobytes()


def read_in_pieces(data: bytes, cuts: list[int]) -> bytes:
    """Push `data` through a reader, cut at the given places."""
    reader = WavReader()
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    out = b"".join(reader.push(data[a:b]) for a, b in itertools.pairwise(places))
    reader.finish()
    return out


@given(st.lists(st.integers(0, 1300), max_size=20))
def test_a_wav_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    """Network reads end anywhere, inside the header and inside samples too."""
    assert read_in_pieces(wav_bytes(PCM, 22050), cuts) == PCM


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_streamed_header_with_an_unknown_length_means_until_the_end(length: int) -> None:
    """Servers that stream WAV do not know its length when they write the header."""
    data = bytearray(wav_bytes(PCM, 24000))
    data[40:44] = struct.pack("<I", length)
    data[4:8] = struct.pack("<I", length)
    reader = WavReader()
    assert reader.push(bytes(data)) == PCM
    assert reader.format is not None
    assert reader.format.rate_hz == 24000


def test_chunks_before_and_after_the_audio_are_left_out() -> None:
    """A LIST chunk played as samples would be a click."""
    plain = wav_bytes(PCM, 16000)
    data = plain[:36] + b"LIST" + struct.pack("<I", 5) + b"INFO!\0" + plain[36:] + b"id3 \x04\0\0\0junk"
    assert read_in_pieces(data, [37, 50]) == PCM


def test_other_sample_formats_become_16_bit_mono() -> None:
    """Local speech servers answer with stereo, 24-bit or float WAV."""
    stereo = np.array([[100, 300], [-200, 200]], dtype="<i2")
    assert read_in_pieces(wav_bytes(stereo.tobytes(), 16000, channels=2), [45]) == struct.pack("<2h", 200, 0)

    def with_format(tag: int, bits: int, body: bytes, extra: bytes = b"") -> bytes:
        fmt = struct.pack("<HHIIHH", tag, 1, 16000, 16000 * bits // 8, bits // 8, bits) + extra
        chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(body)) + body
        return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks

    assert read_in_pieces(with_format(3, 32, struct.pack("<2f", 0.5, -2.0)), [47]) == struct.pack(
        "<2h", 16384, -32768
    )
    assert read_in_pieces(with_format(1, 24, b"\0\0\x40\0\0\xc0"), [46]) == struct.pack("<2h", 16384, -16384)
    assert read_in_pieces(with_format(1, 8, bytes([128, 255])), []) == struct.pack("<2h", 0, 32512)
    assert read_in_pieces(with_format(1, 32, struct.pack("<i", 1 << 30)), []) == struct.pack("<h", 16384)
    extensible = struct.pack("<HHIH", 22, 16, 0, 1) + bytes(14)
    assert read_in_pieces(with_format(0xFFFE, 16, PCM, extensible), []) == PCM


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE html><html>",
        wav_bytes(PCM, 16000).replace(b"fmt \x10\0\0\0\x01\0", b"fmt \x10\0\0\0\x07\0"),
        wav_bytes(PCM, 16000).replace(b"fmt ", b"junk"),
        b"RIFF\0\0\0\0WAVELIST" + struct.pack("<I", 200_000) + bytes(70_000),
        wav_bytes(PCM, 3),
    ],
)
def test_what_cannot_be_read_is_an_error_not_noise(data: bytes) -> None:
    """The caller must never hear a web page."""
    with pytest.raises(WavError):
        read_in_pieces(data, [])


def test_an_answer_that_ends_in_the_header_is_an_error() -> None:
    """Half a header is a broken answer, not an empty one."""
    with pytest.raises(WavError):
        read_in_pieces(wav_bytes(PCM, 16000)[:30], [])


def tone(rate_hz: int, seconds: float) -> bytes:
    """Return 440 Hz at a quarter of full scale."""
    at = np.arange(int(rate_hz * seconds)) / rate_hz
    return bytes(np.rint(8000 * np.sin(at * 2 * np.pi * 440)).astype("<i2"))


@given(st.lists(st.integers(0, 48000), max_size=30), st.sampled_from([8000, 16000, 22050, 24000, 48000]))
def test_resampling_in_pieces_keeps_length_and_sound(cuts: list[int], rate_hz: int) -> None:
    """A click at each network read would be heard; a wrong length would shift what the caller heard."""
    data = tone(rate_hz, 0.5)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    resampler = Resampler(rate_hz)
    pieces = [resampler.push(data[a:b]) for a, b in itertools.pairwise(places)]
    assert all(len(piece) % 2 == 0 for piece in pieces)
    out = np.frombuffer(b"".join(pieces) + resampler.finish(), "<i2").astype(float)
    wanted = np.frombuffer(tone(16000, 0.5), "<i2").astype(float)
    assert abs(len(out) - len(wanted)) <= 2
    both = min(len(out), len(wanted)) - 400
    # The first and last 25 ms ring; between them the tone is the same tone.
    assert np.abs(out[400:both] - wanted[400:both]).max() < 200


def test_the_first_audio_comes_early_and_later_audio_in_chunks() -> None:
    """The caller waits for the first piece; the rest is cheaper in pieces of 100 ms."""
    resampler = Resampler(24000)
    data = tone(24000, 1.0)
    outs = [bool(resampler.push(data[at : at + 960])) for at in range(0, len(data), 960)]
    assert outs.index(True) <= 3
    assert 8 <= sum(outs) <= 12


def test_a_rate_that_makes_no_sense_is_refused() -> None:
    """A header with 0 Hz must not become a division by zero."""
    with pytest.raises(ValueError, match="cannot resample"):
        Resampler(0)
