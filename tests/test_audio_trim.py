"""Silence goes from both ends of a sentence, and from nowhere else."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicegw.audio.trim import LEAD_MS, LONGEST_PAUSE_MS, QUIET, TAIL_MS, WINDOW_MS, Trimmer


def silence(ms: int) -> bytes:
    """Silence as engines make it: not quite zero."""
    samples: NDArray[np.int64] = np.random.default_rng(ms).integers(-QUIET // 2, QUIET // 2, 16 * ms)
    return samples.astype("<i2").tobytes()


def tone(ms: int) -> bytes:
    """Sound."""
    samples: NDArray[np.float64] = np.rint(8000 * np.cos(np.arange(16 * ms)))
    return samples.astype("<i2").tobytes()


def trimmed(pcm: bytes, size: int | None = None) -> bytes:
    """Push in pieces of `size` samples."""
    trimmer = Trimmer()
    step = 2 * (size or max(1, len(pcm)))
    return b"".join([trimmer.push(pcm[at : at + step]) for at in range(0, len(pcm), step)]) + trimmer.finish()


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 30), st.integers(0, 150), st.sampled_from([1, 100, 160, 999, None]))
def test_both_ends_are_trimmed(before: int, sound: int, behind: int, size: int | None) -> None:
    """The breath before a word and the pause behind a sentence stay."""
    before, sound, behind = before * WINDOW_MS, sound * WINDOW_MS, behind * WINDOW_MS
    out = trimmed(silence(before) + tone(sound) + silence(behind), size)
    assert len(out) / 32 == min(before, LEAD_MS) + sound + min(behind, TAIL_MS)
    assert tone(sound) in out


@settings(deadline=None)
@given(st.integers(0, 2 * LONGEST_PAUSE_MS), st.sampled_from([1, 333, 1600, None]))
def test_a_pause_within_stays(pause_ms: int, size: int | None) -> None:
    """Commas are silence too. Only an endless one is cut."""
    out = trimmed(tone(100) + silence(pause_ms) + tone(100), size)
    kept = min(pause_ms, LONGEST_PAUSE_MS + TAIL_MS)
    assert abs(len(out) / 32 - (200 + kept)) <= 3 * WINDOW_MS
    if pause_ms <= LONGEST_PAUSE_MS:
        assert out == tone(100) + silence(pause_ms) + tone(100)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3000)), max_size=8), st.integers(1, 5000))
def test_the_result_depends_on_the_sound_and_not_on_its_pieces(
    parts: list[tuple[bool, int]], size: int
) -> None:
    """Network reads end anywhere."""
    pcm = b"".join((tone(1000) if loud else silence(1000))[: 2 * n] for loud, n in parts)
    assert trimmed(pcm, size) == trimmed(pcm)


def test_silence_alone_gives_nothing() -> None:
    """And says so."""
    trimmer = Trimmer()
    assert trimmer.push(silence(5000)) + trimmer.finish() == b""
    assert not trimmer.sounded


def test_what_is_held_back_is_bounded() -> None:
    """An engine that sends silence for ever must not fill the memory."""
    trimmer = Trimmer()
    trimmer.push(tone(20))
    for _ in range(100):
        trimmer.push(silence(1000))
    assert len(trimmer.push(tone(20))) / 32 <= LONGEST_PAUSE_MS + 20


def test_sound_leaves_at_once() -> None:
    """The caller waits for the first of it."""
    trimmer = Trimmer()
    assert trimmer.push(silence(500)) == b""
    assert len(trimmer.push(tone(20))) / 32 == LEAD_MS + 20
