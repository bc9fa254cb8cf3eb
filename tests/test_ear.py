"""What the ear makes of a caller's audio."""

import math
import struct

import numpy as np
import pytest
from rehearsed import COUGH, GO_FORWARD

from voicegw.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLES_PER_MS, SILENT_FRAME
from voicegw.call.ear import IDLE_FRAMES, RING_FRAMES, Ear
from voicegw.call.events import Event, SampleReached, VoiceActivity


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


def heard_in(ear: Ear, pcm: bytes, now: int = 0) -> list[Event]:
    """Give audio frame by frame, each at its time; return what happened."""
    events: list[Event] = []
    for start in range(0, len(pcm), FRAME_BYTES):
        now += 20_000
        events += ear.hear(pcm[start : start + FRAME_BYTES], now)
    return events


def test_a_voice_is_told_at_its_beginning_every_100_ms_and_at_its_end() -> None:
    """The call decides by these alone."""
    ear = Ear()
    heard_in(ear, bytes(FRAME_BYTES * 25))
    events = [e for e in heard_in(ear, GO_FORWARD + bytes(FRAME_BYTES * 25)) if isinstance(e, VoiceActivity)]
    began, *between, ended = events
    assert began.speaking
    assert 0.5 < began.at_sample / 16_000 < 0.65
    assert all(event.speaking for event in between)
    assert len(between) == pytest.approx((ended.at_sample - began.at_sample) / 1600, abs=3)
    assert not ended.speaking
    assert 2.2 < ended.at_sample / 16_000 < 2.4
    # Told when it was sure: 200 ms later.
    assert ended.position - ended.at_sample == 10 * FRAME_SAMPLES


def test_the_silence_behind_a_cough_does_not_make_it_longer() -> None:
    """ "Still speaking" is told up to the last sound: an interruption is measured by it."""
    ear = Ear()
    heard_in(ear, bytes(FRAME_BYTES * 25))
    events = [e for e in heard_in(ear, COUGH + bytes(FRAME_BYTES * 25)) if isinstance(e, VoiceActivity)]
    assert max(e.at_sample for e in events) - events[0].at_sample <= 16 * 260


def test_silence_keeps_no_more_audio_than_the_longest_preroll() -> None:
    """A thousand silent callers must fit into memory."""
    ear = Ear()
    heard_in(ear, bytes(FRAME_BYTES * 500))
    assert ear.kept_bytes == IDLE_FRAMES * FRAME_BYTES


def test_audio_that_was_dealt_with_is_let_go_however_late_that_is_said() -> None:
    """A slow transcript must not leave half a minute of silence in memory behind every turn."""
    ear = Ear()
    heard_in(ear, bytes(FRAME_BYTES * 25) + GO_FORWARD + bytes(FRAME_BYTES * 400))
    assert ear.kept_bytes > 400 * FRAME_BYTES
    ear.release(16_000 * 2)
    assert ear.kept_bytes == IDLE_FRAMES * FRAME_BYTES
    heard_in(ear, bytes(FRAME_BYTES * 200))
    assert ear.kept_bytes == IDLE_FRAMES * FRAME_BYTES


def test_a_voice_is_kept_for_30_seconds_and_no_longer() -> None:
    """What the longest turn needs, and a bound for a radio beside the telephone."""
    ear = Ear()
    heard_in(ear, bytes(FRAME_BYTES * 25) + GO_FORWARD * 30)
    assert ear.kept_bytes == RING_FRAMES * FRAME_BYTES


def test_late_voice_takes_the_place_of_a_pause_that_was_told() -> None:
    """A hiccup of 400 ms within a word is no end of the voice, though it looked like one."""
    ear = Ear()
    ear.start_clock(0)
    voice = bytes(FRAME_BYTES * 25) + GO_FORWARD
    heard_in(ear, voice[: FRAME_BYTES * 75])
    events = [*ear.fill(1_700_000), *ear.fill(1_800_000), *ear.fill(1_900_000)]
    assert [e.speaking for e in events if isinstance(e, VoiceActivity)][-1] is False
    late: list[Event] = []
    for start in range(FRAME_BYTES * 75, FRAME_BYTES * 100, FRAME_BYTES):
        late += ear.hear(voice[start : start + FRAME_BYTES], 1_990_000)
    assert any(isinstance(e, VoiceActivity) and e.speaking for e in late)
    assert ear.position == 100 * FRAME_SAMPLES
    assert ear.audio(0, ear.position) == voice[: FRAME_BYTES * 100]


def test_a_carrier_that_sends_a_second_at_a_time_has_no_gaps() -> None:
    """Who sends long messages sends seldom: that is no silence."""
    ear = Ear()
    ear.start_clock(0)
    for _ in range(50):
        ear.hear(SILENT_FRAME, 1_000_000)
    assert ear.gap_due_us > 2_100_000
    assert ear.fill(2_000_000) == ()
    assert ear.position == 50 * FRAME_SAMPLES


def test_a_frame_now_and_then_does_not_stop_the_clock_of_silence() -> None:
    """Carriers that save bandwidth send one frame in 300 ms of silence; the turn must end all the same."""
    ear = Ear()
    ear.start_clock(0)
    ear.watch(16 * 2_000)
    reached: list[Event] = []
    for now in range(0, 3_000_001, 5_000):
        if now % 300_000 == 0:
            reached += ear.hear(SILENT_FRAME, now)
        if now >= ear.gap_due_us:
            reached += ear.fill(now)
        if reached:
            break
    assert reached == [SampleReached(16 * 2_000)]
    assert now <= 2_500_000


def test_what_is_watched_for_is_told_to_the_sample_in_a_gap() -> None:
    """The end of a turn must not wait for the next step of filling."""
    ear = Ear()
    ear.start_clock(0)
    ear.watch(FRAME_SAMPLES * 13)
    assert ear.fill(200_000) == ()
    assert ear.gap_due_us == 260_000
    assert ear.fill(260_000) == (SampleReached(FRAME_SAMPLES * 13),)


def over_the_agent(ear: Ear, pcm: bytes, now: int = 0) -> list[tuple[int, bool]]:
    """Give audio while the agent speaks; return at which frame a voice began and ended."""
    told: list[tuple[int, bool]] = []
    for number, start in enumerate(range(0, len(pcm), FRAME_BYTES)):
        now += 20_000
        ear.echo.played(now, 3000.0)
        for event in ear.hear(pcm[start : start + FRAME_BYTES], now):
            assert isinstance(event, VoiceActivity)
            if not told or told[-1][1] != event.speaking:
                told.append((number, event.speaking))
    return told


def test_a_noise_over_the_agents_speech_holds_it_up_for_a_fifth_of_a_second_and_once() -> None:
    """Two seconds of breath against the receiver: no pitch, no interruption, whatever the detector says."""
    rng = np.random.default_rng(2)
    breath = np.convolve(rng.normal(0, 8000, 32_000), np.ones(8) / 8, "same").astype("<i2").tobytes()
    ear = Ear()
    assert not over_the_agent(ear, SILENT_FRAME * 100)
    told = over_the_agent(ear, breath + SILENT_FRAME * 20, 2_000_000)
    assert [speaking for _, speaking in told] == [True, False]
    assert told[1][0] - told[0][0] <= 10
    # A word right behind it is a word.
    assert over_the_agent(ear, GO_FORWARD[: 900 * 32], 5_000_000)[0][1]


def test_a_word_over_the_agents_speech_is_heard_whole() -> None:
    """From its onset to its end, though its consonants have no pitch."""
    ear = Ear()
    over_the_agent(ear, SILENT_FRAME * 100)
    told = over_the_agent(ear, GO_FORWARD[: 900 * 32] + SILENT_FRAME * 30, 2_000_000)
    assert [speaking for _, speaking in told] == [True, False]
    assert told[0][0] <= 10
    assert told[1][0] - told[0][0] >= 35


@pytest.mark.parametrize("behind_ms", [None, 60, 120])
def test_a_murmur_is_as_long_as_the_first_detector_hears_it(behind_ms: int | None) -> None:
    """The model is still sure a moment behind it; that moment made interruptions of murmurs."""
    ear = Ear()
    over_the_agent(ear, SILENT_FRAME * 100)
    sound = GO_FORWARD[: 440 * 32] + SILENT_FRAME * 20
    ends: list[VoiceActivity] = []
    for number, start in enumerate(range(0, len(sound), FRAME_BYTES)):
        now = 2_000_000 + number * 20_000
        ear.echo.played(now, 3000.0)
        events = ear.hear(sound[start : start + FRAME_BYTES], now)
        if behind_ms is not None and number % 2:
            sure = number * 20 <= 440 + behind_ms
            events += ear.second_stage(ear.position - 60 * SAMPLES_PER_MS, 0.9 if sure else 0.1)
        ends += [event for event in events if isinstance(event, VoiceActivity)]
    longest = max(event.at_sample for event in ends) - ends[0].at_sample
    assert not ends[-1].speaking
    assert 300 * SAMPLES_PER_MS <= longest <= 440 * SAMPLES_PER_MS


def test_a_word_behind_a_noise_counts_from_its_own_beginning() -> None:
    """A noise is denied 200 ms after it began; an "s" that has begun by then belongs to its word."""
    rng = np.random.default_rng(2)
    hiss = np.convolve(rng.normal(0, 8000, 2240), np.ones(8) / 8, "same").astype("<i2").tobytes()
    ear = Ear()
    over_the_agent(ear, SILENT_FRAME * 100)
    told: list[tuple[bool, int, int]] = []  # whether it begins; where, and when that was said (ms)
    sound = hiss + SILENT_FRAME * 4 + hiss + GO_FORWARD[200 * 32 :]
    for number, start in enumerate(range(0, len(sound), FRAME_BYTES)):
        now = 2_000_000 + number * 20_000
        ear.echo.played(now, 3000.0)
        for event in ear.hear(sound[start : start + FRAME_BYTES], now):
            assert isinstance(event, VoiceActivity)
            if not told or told[-1][0] != event.speaking:
                told.append((event.speaking, event.at_sample // SAMPLES_PER_MS - 2000, number * 20 + 20))
    assert [begins for begins, _, _ in told[:3]] == [True, False, True]
    _, began, said = told[2]
    # The second hiss begins at 220 ms, the first is denied at 260.
    assert 220 <= began <= 280
    assert said - began > 5 * 20
