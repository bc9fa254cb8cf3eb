"""What the agent has asked for, and what the quota still holds, decide how a turn is heard and answered."""

from pathlib import Path

import pytest
from call_alone import Talk, call_settings
from rehearsed import WHEN, on_virtual_time, rehearsed

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call.completeness import Expected, Look, look_of
from voicegw.call.settings import Slot
from voicegw.rehearsal.caller import dialling
from voicegw.rehearsal.script import Script

ORDER = Slot("order", "id", r"order number", pattern=r"DH\d{6}", hint="DH123456, an order number")


def _asked_for(slot: Slot, question: str) -> Talk:
    """A talk in which the agent has just asked for this."""
    talk = Talk(call_settings(slots=(slot,)))
    talk.greet()
    ask = talk.answered(1500)
    talk.at(1600, e.ReplyText(ask, question), e.ReplyDone(ask))
    talk.hear_out(talk.last(c.Speak).speech_id, 1700, 3000)
    return talk


def _answer(talk: Talk, text: str) -> int | None:
    """The caller says it from 4 s to 6 s; returns the pause (ms) that then ends the turn."""
    talk.voice(4000, 6000)
    talk.silence_until(6350)
    talk.now(e.Transcript(talk.last(c.Transcribe).utterance_id, text))
    return (talk.last(c.WatchSample).at_sample // 16) - 6000


def test_the_recogniser_is_told_what_was_asked_for() -> None:
    """An order number that is expected is written as one, and not as six words."""
    talk = _asked_for(ORDER, "What is your order number?")
    talk.voice(4000, 6000)
    talk.silence_until(6350)
    assert talk.last(c.Transcribe).prompt == "DH123456, an order number"


def test_half_an_order_number_is_waited_for_and_a_whole_one_is_not() -> None:
    """Numbers are read out in groups: cut off after the first, the caller begins anew."""
    half = _answer(_asked_for(ORDER, "What is your order number?"), "D H one two three")
    whole = _answer(_asked_for(ORDER, "What is your order number?"), "D H one two three four five six")
    assert half is not None
    assert whole is not None
    assert half >= whole + 400


def test_an_open_question_of_yes_or_no_is_answered_by_one_word() -> None:
    """By the slot, where the agent's words alone would not tell."""
    slot = Slot("deliver", "yes_no", r"tomorrow")
    short = _answer(_asked_for(slot, "It could come tomorrow."), "Yes.")
    usual = _answer(_asked_for(slot, "It could come today."), "Yes.")
    assert short is not None
    assert usual is not None
    assert short < usual


def test_a_slot_is_expected_until_it_is_answered() -> None:
    """What follows is an ordinary turn again."""
    talk = _asked_for(ORDER, "What is your order number?")
    _answer(talk, "D H one two three four five six")
    talk.silence_until(8000)
    assert talk.call.slot is None


@pytest.mark.parametrize(
    ("text", "language", "expected", "look"),
    [
        ("My number is one zero zero zero", "en", Expected.FREE, Look.PENDING),
        ("số của tôi là không chín một hai", "vi", Expected.FREE, Look.PENDING),
        ("I would like two", "en", Expected.FREE, Look.LIKELY),
        ("My wife called and they said.", "en", Expected.FREE, Look.PENDING),
        ("hôm qua chị ấy nói", "vi", Expected.FREE, Look.PENDING),
        ("one two three four five six seven", "en", Expected.DIGITS, Look.PENDING),
    ],
)
def test_what_often_goes_on_is_given_more_time(
    text: str, language: str, expected: Expected, look: Look
) -> None:
    """It can end there; whoever goes on is not cut off, and nobody waits for long who does not."""
    assert look_of(text, language, expected) is look


@on_virtual_time
async def test_no_answer_is_begun_early_when_the_quota_is_short(tmp_path: Path) -> None:
    """The last third of the allowance is for turns that are over: a wasted guess costs one of them."""
    script = Script(stt=("where is my order",), llm=("It is on its way.",), stt_ms=300)
    drafts = []
    for taken in (0, 8):
        async with (
            rehearsed(tmp_path / str(taken), script, provider__requests_a_minute="60") as rehearsal,
            dialling(rehearsal.gateway) as caller,
        ):
            await caller.event("speech_stopped")
            quota = rehearsal.gateway.providers.llm.row.backends[0].quota
            for _ in range(taken):
                assert await quota.take()
            caller.speak(WHEN)
            assert (quota.headroom() < 0.3) is (taken > 0)
            await caller.event("speech_started", kind="reply")
            drafts.append(len(caller.told("draft", outcome="used")))
    assert drafts == [1, 0]
