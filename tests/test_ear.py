"""What the ear makes of a caller's audio."""

import math
import struct

from voicegw.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, SILENT_FRAME
from voicegw.call.ear import Ear
from voicegw.call.events import SampleReached


def tone(samples: int) -> bytes:
    return struct.pack(f"<{samples}h", *(int(8000 * math.sin(i / 8)) for i in range(samples)))


def test_any_even_length_is_reblocked_into_frames_without_losing_a_sample() -> None:
    """Bridges send what they like; positions must count every sample once."""
    audio = tone(FRAME_SAMPLES * 10)
    ear = Ear()
    for start in range(0, len(audio), 962):
        ear.hear(audio[start : start + 962], now=0)
    assert ear.position == 10 * FRAME_SAMPLES
    assert ear.audio(0, ear.position) == audio


def test_late_audio_takes_the_place_of_the_silence_that_stood_for_it() -> None:
    """A hiccup of the network must not stretch a pause inside a sentence."""
    ear = Ear()
    ear.start_clock(0)
    ear.hear(SILENT_FRAME, now=20_000)
    ear.fill(now=300_000)
    assert ear.position == 15 * FRAME_SAMPLES
    for _ in range(14):
        ear.hear(tone(FRAME_SAMPLES), now=300_000)
    assert ear.position == 15 * FRAME_SAMPLES
    assert ear.audio(FRAME_SAMPLES, ear.position) == tone(FRAME_SAMPLES) * 14


def test_fill_that_ended_a_turn_stays() -> None:
    """Once the call has acted on the caller's silence, the time that passed is real."""
    ear = Ear()
    ear.start_clock(0)
    ear.watch(FRAME_SAMPLES * 5)
    assert ear.fill(now=300_000) == (SampleReached(FRAME_SAMPLES * 5),)
    ear.release(FRAME_SAMPLES * 2)
    ear.hear(bytes(FRAME_BYTES), now=320_000)
    assert ear.position == 16 * FRAME_SAMPLES
