"""The timeline: what a call's events and commands are folded into, live and from its journal."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from rehearsed import COUGH, GO_FORWARD, WHEN, on_virtual_time, rehearsed

from voicegw.call import events as e
from voicegw.rehearsal.caller import dialling
from voicegw.rehearsal.script import Fault, Script, ScriptedReply
from voicegw.store.journal import read_journal
from voicegw.verdict.exchanges import STAGES
from voicegw.verdict.timeline import Timeline, play_journal

ORDER = Script(
    stt=("where is my order",),
    llm=("It is on its way.",),
    stt_ms=1300,
    first_token_ms=400,
    first_audio_ms=150,
)


def timeline_in(folder: Path) -> Timeline:
    """The timeline of the one call that was kept in `folder`."""
    (journal,) = (folder / "journals").glob("*.jsonl")
    settings, events = read_journal(journal)
    return play_journal(settings, events)


@on_virtual_time
async def test_an_exchange_tells_where_the_gap_before_its_answer_went(tmp_path: Path) -> None:
    """The stages are those that the caller's side was told, and they add up to the whole."""
    async with rehearsed(tmp_path, ORDER) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        await caller.say(WHEN)
        told = (await caller.event("latency")).fields
        await caller.event("speech_stopped")
        caller.send("hangup", reason="caller")
        await caller.ended()
    timeline = timeline_in(tmp_path)
    greeting, order = timeline.exchanges
    assert (greeting.number, greeting.source, order.source) == (0, "", "voice")
    assert [s.kind for s in greeting.sentences] == ["greeting"]
    assert order.text == "where is my order"
    assert order.heard == "It is on its way."
    stages = order.stages
    assert tuple(stages) == STAGES
    assert sum(stages.values()) == order.gap_us
    for name in ("end_of_turn", "transcription", "first_token", "first_sentence", "speech"):
        assert stages[name] / 1000 == pytest.approx(told[f"{name}_ms"], abs=2), name
    assert stages["transcription"] > 0
    assert stages["first_token"] == pytest.approx(400_000, abs=1000)
    assert timeline.end_reason == "caller"
    json.dumps([asdict(exchange) for exchange in timeline.exchanges])


@on_virtual_time
async def test_a_turn_that_reopens_is_one_exchange(tmp_path: Path) -> None:
    """A pause for thought that was too long is no second question."""
    replies = (ScriptedReply("Too early.", first_token_ms=3000), "One two three, then.")
    script = Script(stt=("one two", "three"), llm=replies)
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        await caller.say(WHEN)
        await caller.event("transcript", status="final", text="one two")
        await caller.say(GO_FORWARD)
        await caller.event("speech_stopped")
    timeline = timeline_in(tmp_path)
    assert [x.text for x in timeline.exchanges] == ["", "one two three"]
    assert timeline.exchanges[1].reopened == 1
    assert [a.cancelled for a in timeline.exchanges[1].asked] == [True, False]


@on_virtual_time
async def test_interruptions_are_told_apart(tmp_path: Path) -> None:
    """A cough is kept away from the agent; words stop it, and what was cut was not heard."""
    long = "This is a long answer that goes on for quite some time, and then for some more."
    script = Script(stt=("where is my order", "wait"), llm=(long, "Yes?"))
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        await caller.say(WHEN)
        await caller.event("speech_started", kind="reply")
        await caller.say(COUGH, caller.now_s + 0.5)
        await caller.say(GO_FORWARD, caller.now_s + 1.0)
        await caller.event("speech_started", kind="reply")
        await caller.event("speech_stopped")
    timeline = timeline_in(tmp_path)
    first = timeline.exchanges[1]
    assert [i.outcome for i in first.interruptions] == ["kept", "yielded"]
    yielded = first.interruptions[1]
    assert not yielded.false
    assert yielded.decided_us is not None
    assert yielded.decided_us - yielded.voice_us < 1_000_000
    assert first.sentences[-1].cut
    assert long.startswith(first.heard)
    assert first.heard != long
    assert first.rejected


@on_virtual_time
async def test_failures_are_in_it(tmp_path: Path) -> None:
    """Who reads a record wants to see which stage failed, with its code."""
    async with rehearsed(tmp_path, ORDER) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        rehearsal.provider.fail("llm", Fault(status=401), times=None)
        await caller.say(WHEN)
        await caller.event("speech_stopped")
    exchange = timeline_in(tmp_path).exchanges[1]
    assert exchange.asked[-1].code
    assert exchange.rungs[-1].rung == "apology"
    assert exchange.gap_us is None
    assert exchange.sounded_us is not None


def test_the_callers_details_are_kept_as_they_become_known() -> None:
    """A carrier may tell the number only after the call has begun."""
    timeline = Timeline()
    timeline.take(e.CallStarted("x1", metadata={"queue": "a"}), 0, [])
    timeline.take(e.CallerDetails(caller="+84123", metadata={"vip": "1"}), 10, [])
    assert timeline.call.external_id == "x1"
    assert timeline.call.caller == "+84123"
    assert timeline.call.metadata == {"queue": "a", "vip": "1"}
