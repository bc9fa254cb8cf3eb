"""Telephone codecs and rates: how much is lost, what is kept, and no click at any border."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicegw.audio.format import AudioFormat, Codec, mono_of_stereo
from voicegw.audio.live import LiveResampler
from voicegw.audio.noise import LENGTH_S, comfort_noise

Samples = NDArray[np.float64]
RATES = (8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000)


def tone(hz: float, rate_hz: int, seconds: float = 1.0, peak: float = 16_000.0) -> bytes:
    n = np.arange(round(rate_hz * seconds))
    return np.rint(peak * np.sin(2 * np.pi * hz * n / rate_hz)).astype("<i2").tobytes()


def samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def resampled(pcm: bytes, from_hz: int, to_hz: int, piece_bytes: int = 0) -> Samples:
    resampler = LiveResampler(from_hz, to_hz)
    size = piece_bytes or from_hz // 50 * 2
    out = b"".join(resampler.push(pcm[at : at + size]) for at in range(0, len(pcm), size))
    return samples(out + resampler.finish())


def levels(sound: Samples, rate_hz: int, hz: float) -> tuple[float, float]:
    """The tone's level in dB against a peak of 16,000, and the level of the loudest other thing."""
    middle = sound[len(sound) // 10 : -len(sound) // 10]
    tone_itself = fitted(middle, rate_hz, hz)
    rest = np.abs(np.fft.rfft((middle - tone_itself) * np.blackman(len(middle)))) / (len(middle) * 0.42 / 2)
    peak = math.sqrt(2 * (tone_itself**2).mean())
    return 20 * math.log10(peak / 16_000), 20 * math.log10(rest.max() / 16_000)


def fitted(sound: Samples, rate_hz: int, hz: float) -> Samples:
    """The tone of that frequency that is nearest to the sound."""
    angle = 2 * np.pi * hz * np.arange(len(sound)) / rate_hz
    basis = np.stack([np.sin(angle), np.cos(angle), np.ones(len(sound))], axis=1)
    found: Samples = basis @ np.linalg.lstsq(basis, sound, rcond=None)[0]
    return found


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("hz", [300, 1_000, 2_000, 3_000, 3_400])
def test_the_telephone_band_comes_through_at_its_level(rate_hz: int, hz: int) -> None:
    """Both ways, at every rate: nothing of a voice is lost, and nothing is added that could be heard."""
    for from_hz, to_hz in ((rate_hz, 16_000), (16_000, rate_hz)):
        level, other = levels(resampled(tone(hz, from_hz), from_hz, to_hz), to_hz, hz)
        assert level == pytest.approx(0.0, abs=0.15)
        # The mirror image of 3.4 kHz at 4.6 kHz is the worst of all: still below G.711's own noise.
        assert other < (-43 if hz == 3_400 else -55)


@pytest.mark.parametrize("rate_hz", [24_000, 32_000, 44_100, 48_000])
def test_what_is_above_the_band_does_not_fold_into_it(rate_hz: int) -> None:
    """A hiss that becomes a whistle would be worse than the hiss."""
    sound = resampled(tone(9_600, rate_hz), rate_hz, 16_000)
    assert np.abs(sound[500:-500]).max() < 16_000 * 10 ** (-60 / 20)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8_000, 16_000), (16_000, 8_000), (48_000, 16_000)])
def test_the_caller_does_not_wait_for_the_filter(from_hz: int, to_hz: int) -> None:
    """What a resampler holds back is added to every turn's end: here less than 2 ms, and whole frames."""
    resampler = LiveResampler(from_hz, to_hz)
    frame = bytes(from_hz // 50 * 2)
    assert {len(resampler.push(frame)) for _ in range(20)} == {to_hz // 50 * 2}
    click = LiveResampler(from_hz, to_hz)
    impulse = np.zeros(from_hz // 10, np.int16)
    impulse[0] = 20_000
    loudest = int(np.abs(samples(click.push(impulse.tobytes()))).argmax())
    assert loudest / to_hz < 0.002


@settings(max_examples=60)
@given(
    from_hz=st.sampled_from(RATES),
    to_hz=st.sampled_from(RATES),
    cuts=st.lists(st.integers(0, 9_600), max_size=12),
)
def test_pieces_of_any_length_give_the_same_sound(from_hz: int, to_hz: int, cuts: list[int]) -> None:
    """A border of a message must not be heard, also one inside a sample."""
    pcm = tone(440, from_hz, 0.1)
    whole, pieces = LiveResampler(from_hz, to_hz), LiveResampler(from_hz, to_hz)
    expected = whole.push(pcm) + whole.finish()
    borders = sorted({0, len(pcm), *(cut for cut in cuts if cut < len(pcm))})
    found = b"".join(pieces.push(pcm[a:b]) for a, b in itertools.pairwise(borders))
    found += pieces.finish()
    assert len(found) == len(expected)
    # The last bit may differ with the order of additions.
    assert np.abs(samples(found) - samples(expected)).max() <= 1


@pytest.mark.parametrize("piece_bytes", [320, 322, 641, 6_400])
def test_no_click_at_the_borders_of_chunks(piece_bytes: int) -> None:
    """The steepest step of a resampled tone is that of the tone itself, wherever a chunk ends."""
    sound = resampled(tone(1_000, 16_000), 16_000, 8_000, piece_bytes)[100:-100]
    steepest = 2 * 16_000 * math.sin(math.pi * 1_000 / 8_000)
    assert np.abs(np.diff(sound)).max() < steepest * 1.01


@pytest.mark.parametrize("codec", ["ulaw", "alaw"])
@pytest.mark.parametrize("peak", [32_000, 10_000, 1_000, 300])
def test_g711_keeps_what_g711_can(codec: Codec, peak: int) -> None:
    """ITU-T G.711: about 38 dB of signal over noise at any speech level; ours loses nothing on top."""
    form = AudioFormat(codec, 8_000)
    pcm = tone(1_000, 16_000, peak=peak)
    encoder, decoder = form.encoder(), form.decoder()
    wire = encoder.push(pcm) + encoder.finish()
    assert len(wire) == pytest.approx(8_000, abs=20)
    heard = samples(decoder.push(wire))[800:-800]
    level, _ = levels(heard * 16_000 / peak, 16_000, 1_000)
    assert level == pytest.approx(0.0, abs=0.2)
    fit = fitted(heard, 16_000, 1_000)
    noise = heard - fit
    assert 10 * math.log10((fit**2).mean() / (noise**2).mean()) > (34 if peak > 300 else 25)


@pytest.mark.parametrize("codec", ["ulaw", "alaw", "l16", "l16be"])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
def test_silence_is_silence_in_every_codec(codec: Codec, rate_hz: int) -> None:
    """A wrong zero is a buzz between all sentences."""
    form = AudioFormat(codec, rate_hz)
    silence = form.silence * (form.frame_bytes // form.sample_bytes)
    assert form.encoder().push(bytes(640))[: len(silence)] == silence
    assert np.abs(samples(form.decoder().push(silence))).max() <= 12  # A-law has no zero: its least is 8


def test_loud_sound_is_clipped_and_not_turned_over() -> None:
    """A filter rings above full scale: wrapped around it would crack."""
    square = (np.where(np.arange(8_000) // 20 % 2, 32_767, -32_768)).astype("<i2").tobytes()
    sound = resampled(square, 8_000, 16_000)
    wanted = np.where((np.arange(len(sound)) - 26) // 40 % 2, 1, -1)
    loud = np.abs(sound) > 24_000
    assert (np.sign(sound) == wanted)[loud].all()
    assert loud.mean() > 0.8


def test_big_endian_pcm_is_little_endian_turned_round() -> None:
    """Also where a message ends inside a sample."""
    pcm = tone(500, 16_000, 0.1)
    turned = np.frombuffer(pcm, "<i2").astype(">i2").tobytes()
    form = AudioFormat("l16be", 16_000)
    assert form.encoder().push(pcm) == turned
    decoder = form.decoder()
    assert decoder.push(turned[:101]) + decoder.push(turned[101:]) == pcm


def test_one_side_of_stereo_is_taken() -> None:
    """Left is the caller; the right is what the agent says, and would be heard as the caller's."""
    stereo = np.stack([np.full(100, 1_000), np.full(100, -2_000)], axis=1).astype("<i2").tobytes()
    assert set(samples(mono_of_stereo(stereo + b"\1"))) == {1_000.0}


def test_comfort_noise_is_soft_and_always_the_same() -> None:
    """It says that the line is open; it must not be taken for a voice, nor for a fault."""
    noise = samples(comfort_noise())
    assert len(noise) == LENGTH_S * 16_000
    assert -65 < 20 * math.log10(math.sqrt((noise**2).mean()) / 32_768) < -52
    assert abs(noise.mean()) < 2
    assert comfort_noise() == comfort_noise()
