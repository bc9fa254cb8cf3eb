"""A caller who holds the call, whole calls on virtual time: nobody is missed, nothing is lost."""

from pathlib import Path

import pytest
from rehearsed import GO_FORWARD, on_virtual_time, rehearsed

from voicegw.rehearsal.caller import dialling
from voicegw.rehearsal.script import Script
from voicegw.store.journal import read_journal
from voicegw.verdict.gaps import silences, waits
from voicegw.verdict.timeline import play_journal

ANSWER = "Your order left the warehouse this morning. It will be with you tomorrow before noon."


def speech_ms(text: str) -> float:
    """How long the scripted voice takes for `text`."""
    return 60.0 * len(text)


@pytest.mark.parametrize("after_s", [0.01, 0.3, 1.0, 2.5, 4.0])
@pytest.mark.parametrize("held_s", [0.05, 45.0])
def test_speech_stops_and_goes_on_behind_what_was_heard(
    tmp_path: Path, after_s: float, held_s: float
) -> None:
    """Not a word is lost or thought to be heard, and nobody is asked whether they are still there."""
    on_virtual_time(_held_in_speech)(tmp_path, after_s, held_s)


async def _held_in_speech(folder: Path, after_s: float, held_s: float) -> None:
    async with rehearsed(folder, Script(llm=(ANSWER,))) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        caller.send("text", text="Where is my order?")
        started = await caller.event("speech_started", kind="reply")
        await caller.until(started.at_s + after_s)
        caller.send("hold", on=True)
        await caller.event("clear")
        held_at = caller.now_s
        await caller.until(held_at + held_s)
        assert caller.first_sound_after(held_at + 0.02) is None
        caller.send("hold", on=False)
        stopped = await caller.event("speech_stopped", cut=False)
        assert stopped.fields["heard"] == ANSWER
        for sentence in list(caller.earpiece.sentences.values())[1:]:
            assert sentence.words(speech_ms) == len(sentence.text.split())
            assert sentence.samples / 16 <= speech_ms(sentence.text) + 60
        assert not caller.told("rung")
        assert not caller.told("speech_started", kind="check_in")


@on_virtual_time
async def test_an_answer_waits_for_the_caller_who_comes_back(tmp_path: Path) -> None:
    """Also across a line that breaks meanwhile, and though somebody talks beside the telephone."""
    async with rehearsed(tmp_path, Script(llm=(ANSWER,))) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        caller.send("text", text="Where is my order?")
        caller.send("hold", on=True)
        held_at = caller.now_s
        await caller.say(GO_FORWARD)
        caller.drop()
        await caller.until(held_at + 20)
        caller.reconnect()
        await caller.until(held_at + 40)
        assert caller.first_sound_after(held_at) is None
        assert not caller.told("voice_started")
        caller.send("hold", on=False)
        await caller.event("speech_stopped", heard=ANSWER, cut=False)
        back = caller.first_sound_after(held_at)
        assert back == pytest.approx(held_at + 40, abs=0.03)
        assert not caller.told("rung")
        caller.send("hangup", reason="caller")
        await caller.ended()
    # Nor does anybody who looks at the call afterwards think that the caller waited for us.
    (journal,) = (tmp_path / "journals").glob("*.jsonl")
    timeline = play_journal(*read_journal(journal))
    waited = waits(timeline)
    assert timeline.exchanges[-1].heard == ANSWER
    assert all(wait.silent_us < 100_000 for wait in waited)
    assert max((s.to_us - s.from_us for s in silences(timeline, waited)), default=0) < 1_000_000


@on_virtual_time
async def test_a_call_that_is_held_too_long_ends(tmp_path: Path) -> None:
    """A forgotten browser tab must not keep a line for ever."""
    async with (
        rehearsed(tmp_path, limits__hold_s="30") as rehearsal,
        dialling(rehearsal.gateway) as caller,
    ):
        await caller.event("speech_stopped")
        caller.send("hold", on=True)
        held_at = caller.now_s
        assert await caller.ended() == (1000, "hold_too_long")
        assert caller.now_s - held_at == pytest.approx(30, abs=0.05)


@on_virtual_time
async def test_what_is_typed_meanwhile_is_answered_afterwards(tmp_path: Path) -> None:
    """It takes the place of what the agent was saying, and is still not said to an empty room."""
    async with rehearsed(tmp_path, Script(llm=(ANSWER,))) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_started", kind="greeting")
        caller.send("hold", on=True)
        await caller.event("clear")
        held_at = caller.now_s
        await caller.until(held_at + 2)
        caller.send("text", text="Where is my order?")
        await caller.until(held_at + 10)
        assert caller.first_sound_after(held_at + 0.02) is None
        caller.send("hold", on=False)
        await caller.event("speech_stopped", heard=ANSWER, cut=False)
        assert caller.first_sound_after(held_at + 0.02) == pytest.approx(held_at + 10, abs=0.03)
