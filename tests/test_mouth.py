"""What the mouth sends, when, and how much of it was heard."""

import pytest

from voicegw.audio.format import AudioFormat
from voicegw.audio.pcm import FRAME_BYTES, FRAME_SAMPLES
from voicegw.call.events import Played, SpeechBegan
from voicegw.call.mouth import MOST_AHEAD_FRAMES, Mouth, Outgoing, Player, SpeechSent

FRAME_US = 20_000


def frames(count: int, fill: int = 1) -> bytes:
    """Audio of so many frames."""
    return bytes([fill]) * (count * FRAME_BYTES)


def sentence(mouth: Mouth, speech_id: int, count: int) -> None:
    """Queue a whole sentence."""
    mouth.expect(speech_id)
    mouth.add(speech_id, frames(count, speech_id))
    mouth.finish(speech_id)


def run(mouth: Mouth, from_us: int, to_us: int, step_us: int = 5_000) -> tuple[list[Outgoing], list[Played]]:
    """Tick as a driver does; return what was sent and what was reported."""
    sent: list[Outgoing] = []
    heard: list[Played] = []
    for now in range(from_us, to_us + 1, step_us):
        sent += mouth.due(now)
        heard += mouth.heard(now)
    return sent, heard


def audio(items: list[Outgoing]) -> bytes:
    """The frames of what was sent."""
    return b"".join(item for item in items if isinstance(item, bytes))


def test_the_first_frame_leaves_at_once_and_the_rest_at_the_pace_of_hearing() -> None:
    """Dead air costs most at the start; a lead beyond the stated one would be lost at an interruption."""
    mouth = Mouth()
    sentence(mouth, 1, 50)
    first = mouth.due(1_000_000)
    assert first[0] == SpeechBegan(1)
    assert mouth.due(1_000_000) == []
    sent_us = len(audio(first)) // FRAME_BYTES * FRAME_US
    for passed_us in range(0, 500_001, 5_000):
        sent_us += len(audio(mouth.due(1_000_000 + passed_us))) // FRAME_BYTES * FRAME_US
        # A frame that is begun counts; now and then one goes along with another.
        assert 100_000 < sent_us - passed_us <= 180_000


def test_sentences_follow_each_other_without_a_gap_and_with_their_borders() -> None:
    """The borders are where marks and the words on the screen belong."""
    mouth = Mouth()
    sentence(mouth, 1, 10)
    sentence(mouth, 2, 10)
    sent, heard = run(mouth, 0, 500_000)
    assert audio(sent) == frames(10, 1) + frames(10, 2)
    assert [item for item in sent if not isinstance(item, bytes)] == [
        SpeechBegan(1), SpeechSent(1), SpeechBegan(2), SpeechSent(2),
    ]  # fmt: skip
    assert [event for event in heard if event.done] == [
        Played(1, 10 * FRAME_SAMPLES, True),
        Played(2, 10 * FRAME_SAMPLES, True),
    ]
    assert mouth.silent
    assert mouth.kept_bytes == 0


def test_progress_is_told_every_100_ms() -> None:
    """Often enough for words, seldom enough for a journal."""
    mouth = Mouth()
    sentence(mouth, 1, 100)
    _, heard = run(mouth, 0, 1_000_000)
    assert len(heard) == 11
    assert [event.samples for event in heard] == [i * 5 * FRAME_SAMPLES for i in range(11)]


def test_a_pause_holds_what_was_heard_and_goes_on_there() -> None:
    """A cough must cost nothing."""
    mouth = Mouth()
    sentence(mouth, 1, 50)
    sent, _ = run(mouth, 0, 300_000)
    mouth.pause(300_000)
    held, reports = run(mouth, 305_000, 900_000)
    assert held == []
    assert {event.samples for event in reports} <= {15 * FRAME_SAMPLES}
    mouth.resume(900_000)
    rest, heard = run(mouth, 900_000, 1_700_000)
    assert audio(sent + rest) == frames(50)
    # 1 s of audio, and 600 ms of pause.
    assert heard[-1] == Played(1, 50 * FRAME_SAMPLES, True)
    assert mouth.heard(1_600_000) == []


def test_a_carrier_that_cannot_pause_plays_on_what_it_has() -> None:
    """What lies in its buffer is heard during the pause, and counts as heard."""
    mouth = Mouth(Player())
    sentence(mouth, 1, 50)
    sent, _ = run(mouth, 0, 300_000)
    mouth.pause(300_000)
    assert mouth.heard(1_000_000, at_once=True) == [Played(1, len(audio(sent)) // 2, False)]


def test_what_is_cleared_is_gone_and_the_next_sentence_begins_at_once() -> None:
    """After an interruption nothing old may come, and the new answer may not wait for it."""
    mouth = Mouth()
    sentence(mouth, 1, 500)
    run(mouth, 0, 300_000)
    mouth.clear(300_000)
    assert mouth.silent
    assert mouth.add(1, frames(1)) == 0
    assert mouth.finish(1) == 0
    sentence(mouth, 2, 5)
    assert mouth.due(310_000)[0] == SpeechBegan(2)
    _, heard = run(mouth, 310_000, 500_000)
    assert heard[-1] == Played(2, 5 * FRAME_SAMPLES, True)


def test_a_sentence_that_runs_dry_begins_again_where_it_was() -> None:
    """Audio that comes late is heard late: the clock of what was heard must not run on."""
    mouth = Mouth()
    mouth.expect(1)
    mouth.add(1, frames(10))
    run(mouth, 0, 1_000_000)
    assert mouth.heard(1_000_000, at_once=True) == [Played(1, 10 * FRAME_SAMPLES, False)]
    mouth.add(1, frames(10))
    mouth.finish(1)
    mouth.due(1_000_000)
    assert mouth.underruns == 1
    assert mouth.heard(1_100_000, at_once=True) == [Played(1, 15 * FRAME_SAMPLES, False)]


def test_after_a_lost_socket_the_rest_is_sent_again_from_what_was_heard() -> None:
    """What was on its way when the socket broke was never heard."""
    mouth = Mouth()
    sentence(mouth, 1, 30)
    sentence(mouth, 2, 30)
    run(mouth, 0, 500_000)
    mouth.rewind(510_000)
    assert mouth.next_due_us(510_000) is None
    mouth.resume(9_000_000)
    sent, heard = run(mouth, 9_000_000, 10_000_000)
    assert audio(sent) == frames(30 - 25, 1) + frames(30, 2)
    assert sent[0] == SpeechBegan(1)
    assert [event.speech_id for event in heard if event.done] == [1, 2]


@pytest.mark.parametrize(("late_us", "counted_us"), [(0, 0), (300_000, 300_000), (60_000_000, 2_000_000)])
def test_a_player_that_reports_late_is_believed_up_to_two_seconds(late_us: int, counted_us: int) -> None:
    """More is a mistake of the player, and must not stop the conversation."""
    mouth = Mouth()
    sentence(mouth, 1, 500)
    run(mouth, 0, 1_000_000)
    mouth.confirm(1, 1_000 * 16 - late_us * 16 // 1000 if late_us < 1_000_000 else 0, 1_000_000)
    expected = max(0, 1_000_000 - min(counted_us, 1_000_000)) * 16 // 1000
    assert mouth.heard(1_000_000, at_once=True)[0].samples == pytest.approx(expected, abs=FRAME_SAMPLES)


def test_an_unfinished_frame_is_filled_up_with_the_codecs_silence() -> None:
    """A click at the end of every sentence would be heard."""
    mouth = Mouth(Player(AudioFormat("ulaw", 8000)))
    mouth.expect(1)
    mouth.add(1, b"\x11" * (170 * 4))  # 170 samples at 8 kHz
    assert mouth.finish(1) == 2 * FRAME_SAMPLES
    sent = audio(mouth.due(0))
    assert len(sent) == 320
    # The encoder's own delay is 1.6 ms.
    assert b"\xff" not in sent[20:165]
    assert sent[190:] == b"\xff" * 130


def test_an_empty_sentence_is_over_at_once() -> None:
    """Text without anything to say has no audio, and nothing may wait for it."""
    mouth = Mouth()
    sentence(mouth, 1, 0)
    assert mouth.next_due_us(0) == 0
    sent, heard = run(mouth, 0, 5_000)
    assert sent == []
    assert heard == [Played(1, 0, True)]


def test_tts_is_not_read_beyond_15_seconds() -> None:
    """Speech that may be interrupted any moment is not hoarded."""
    mouth = Mouth()
    mouth.expect(1)
    mouth.add(1, frames(MOST_AHEAD_FRAMES - 1))
    assert mouth.has_room
    mouth.add(1, frames(1))
    assert mouth.ahead_frames == MOST_AHEAD_FRAMES
    assert not mouth.has_room


def test_tts_is_read_again_when_some_of_it_was_sent() -> None:
    """Otherwise a long sentence would stop in its middle."""
    mouth = Mouth()
    mouth.expect(1)
    mouth.add(1, frames(MOST_AHEAD_FRAMES))
    mouth.due(0)
    assert mouth.has_room
