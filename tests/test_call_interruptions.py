"""Interruptions, whole calls on virtual time: who keeps the floor, and what the model then remembers."""

from pathlib import Path

import pytest
from rehearsed import COUGH, GO_FORWARD, WHEN, on_virtual_time, rehearsed

from voicegw.rehearsal.caller import ScriptedCaller, dialling
from voicegw.rehearsal.script import Script, ScriptedReply

LONG = (
    "Your order left the warehouse this morning, and the driver will call you before he comes. "
    "Please keep your telephone near you."
)
PER_CHAR_MS = 60.0


def speech_ms(text: str) -> float:
    """How long the scripted voice takes for `text`."""
    return PER_CHAR_MS * len(text)


def words_heard(caller: ScriptedCaller) -> list[str]:
    """Every word that sounded to its end, in order."""
    return [
        word
        for sentence in caller.earpiece.sentences.values()
        for word in sentence.text.split()[: sentence.words(speech_ms)]
    ]


@on_virtual_time
async def test_a_cough_does_not_take_the_floor(tmp_path: Path) -> None:
    """The agent holds its breath and goes on where it was: not a word is lost, and nothing was asked."""
    async with rehearsed(tmp_path) as rehearsal, dialling(rehearsal.gateway) as caller:
        caller.speak(COUGH, 1.0)
        pause = await caller.event("pause")
        assert pause.at_s - 1.0 < 0.2
        resume = await caller.event("resume")
        assert resume.at_s - pause.at_s < 0.4
        stopped = await caller.event("speech_stopped", cut=False)
        assert words_heard(caller) == stopped.fields["heard"].split()
        assert caller.told("transcript", status="rejected", reason="too_short")
        assert not caller.told("speech_stopped", cut=True)
        assert not rehearsal.provider.received("stt")


@on_virtual_time
async def test_real_speech_takes_the_floor_within_half_a_second(tmp_path: Path) -> None:
    """Being talked over is what callers hate most."""
    script = Script(stt=("stop",), llm=(LONG, "Yes?"))
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        await caller.say(WHEN)
        started = await caller.event("speech_started", kind="reply")
        cut_in_s, _ = caller.speak(GO_FORWARD, started.at_s + 2.0)
        pause = await caller.event("pause")
        clear = await caller.event("clear")
        stopped = await caller.event("speech_stopped", cut=True)
        # The first word needs 100 ms until it is loud, the vote 60 ms.
        assert pause.at_s - cut_in_s < 0.25
        assert clear.at_s - cut_in_s < 0.7
        assert max(end for _, end in caller.earpiece.sounds if end < clear.at_s + 1) <= pause.at_s
        assert stopped.at_s == clear.at_s
        # What is sent was taken back as well: TTS is not paid for what nobody hears.
        await caller.event("speech_started", kind="reply")
        shown = rehearsal.provider.received("llm")[-1].fields["messages"]
        assert shown[-2] == {"role": "assistant", "content": stopped.fields["heard"]}
        assert shown[-1] == {"role": "user", "content": "stop"}


@on_virtual_time
async def test_the_history_never_holds_a_word_that_was_not_heard(tmp_path: Path) -> None:
    """A model that believes it has said something never says it again. Cut in at 40 places: 0 too many."""
    script = Script(stt=("stop",), llm=(LONG,))
    short_by = []
    async with rehearsed(tmp_path, script) as rehearsal:
        for step in range(40):
            async with dialling(rehearsal.gateway) as caller:
                await caller.event("speech_stopped")
                caller.send("text", text="Where is my order?")
                started = await caller.event("speech_started", kind="reply")
                before = len(words_heard(caller))
                caller.speak(GO_FORWARD, started.at_s + 0.1 + step * 0.173)
                stopped = await caller.event("speech_stopped")
                heard = words_heard(caller)[before:]
                remembered = stopped.fields["heard"].split()
                assert remembered == heard[: len(remembered)], (step, remembered, heard)
                short_by.append(len(heard) - len(remembered))
                caller.send("hangup")
    # Towards less, but not by more than the word that was cut.
    assert max(short_by) <= 1
    assert sum(short_by) / len(short_by) < 0.5


@on_virtual_time
async def test_typed_text_cuts_the_history_to_what_was_heard_as_well(tmp_path: Path) -> None:
    """There is no pause before this cut: the last report may be 100 ms old, and is rounded towards less."""
    script = Script(llm=(LONG,))
    async with rehearsed(tmp_path, script) as rehearsal:
        for step in range(20):
            async with dialling(rehearsal.gateway) as caller:
                await caller.event("speech_stopped")
                caller.send("text", text="Where is my order?")
                started = await caller.event("speech_started", kind="reply")
                before = len(words_heard(caller))
                await caller.until(started.at_s + 0.2 + step * 0.217)
                caller.send("text", text="Never mind.")
                stopped = await caller.event("speech_stopped")
                heard = words_heard(caller)[before:]
                remembered = stopped.fields["heard"].split()
                assert remembered == heard[: len(remembered)]
                assert len(heard) - len(remembered) <= 1


@on_virtual_time
async def test_late_work_of_an_old_reply_is_dropped(tmp_path: Path) -> None:
    """A slow answer to a question that is no longer asked must not be spoken into the next one."""
    slow = ScriptedReply("The old answer. " * 20, token_ms=50)
    script = Script(stt=("stop",), llm=(slow, "The new answer."), first_audio_ms=200, audio_chunk_ms=100)
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        caller.send("text", text="old")
        started = await caller.event("speech_started", kind="reply")
        caller.speak(GO_FORWARD, started.at_s + 1.0)
        cut = await caller.event("speech_stopped", cut=True)
        await caller.event("speech_stopped", cut=False, heard="The new answer.")
        texts = [told.fields["text"] for told in caller.told("reply_text") if told.at_s > cut.at_s]
        assert texts == ["The new answer."]
        assert await rehearsal.provider.received("llm")[0].ended() == "closed"


@on_virtual_time
async def test_whoever_speaks_into_the_last_word_has_the_floor(tmp_path: Path) -> None:
    """The reply is heard to its end while it is undecided whether the caller interrupts: nothing hangs."""
    script = Script(stt=("one more thing",), llm=("Yes.",))
    async with rehearsed(tmp_path, script) as rehearsal:
        for step in range(12):
            async with dialling(rehearsal.gateway) as caller:
                # The greeting ends at 3.385 s; voice is noticed some 150 ms after it begins.
                caller.speak(GO_FORWARD, 3.0 + step * 0.04)
                await caller.event("speech_started", kind="reply", within_s=8.0)
                caller.send("hangup")


@on_virtual_time
async def test_reports_of_playback_from_a_slow_player_shorten_the_history(tmp_path: Path) -> None:
    """What still lies in the player's buffer was not heard, whatever our clock says."""
    async with rehearsed(tmp_path) as rehearsal, dialling(rehearsal.gateway) as caller:
        began = await caller.event("reply_text")
        await caller.until(2.0)
        # It plays half a second behind us.
        caller.send("played", speech_id=began.fields["speech_id"], samples=int((2.0 - 0.5) * 16_000))
        caller.send("dtmf", digit="1")
        stopped = await caller.event("speech_stopped", cut=True)
        heard = "Hello, this is the shop's assistant. How can I help you?"
        n_chars = int((2.0 - 0.5) * 1000 / PER_CHAR_MS)
        assert stopped.fields["heard"] == heard[: heard.rfind(" ", 0, n_chars + 1)]


@pytest.mark.parametrize("reports_played", [False, True])
def test_marks_change_nothing_for_a_player_that_is_on_time(tmp_path: Path, reports_played: bool) -> None:
    """A client that answers marks and one that does not have the same call."""
    on_virtual_time(_played_call)(tmp_path, reports_played)


async def _played_call(folder: Path, reports_played: bool) -> None:
    async with (
        rehearsed(folder, Script(llm=(LONG,))) as rehearsal,
        dialling(rehearsal.gateway, reports_played=reports_played) as caller,
    ):
        await caller.event("speech_stopped")
        caller.send("text", text="Where is my order?")
        stopped = await caller.event("speech_stopped")
        assert stopped.fields == {"reply_id": 2, "heard": LONG, "cut": False}
