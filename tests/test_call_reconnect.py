"""A socket that breaks, whole calls on virtual time: nothing that was not heard is lost."""

from pathlib import Path

import pytest
from rehearsed import GO_FORWARD, WHEN, on_virtual_time, rehearsed

from voicegw.rehearsal.caller import ScriptedCaller, dialling
from voicegw.rehearsal.script import Script

ANSWER = "Your order left the warehouse this morning. It will be with you tomorrow before noon."


def speech_ms(text: str) -> float:
    """How long the scripted voice takes for `text`."""
    return 60.0 * len(text)


def resumed_at(caller: ScriptedCaller) -> float:
    """When the newest connection was told `ready`."""
    return caller.told("ready", resumed=True)[-1].at_s


@pytest.mark.parametrize("after_s", [0.01, 0.3, 1.0, 2.35, 2.5, 2.9, 4.0, 5.0])
@pytest.mark.parametrize("away_s", [0.0, 0.5, 12.0])
def test_speech_goes_on_behind_what_was_heard(tmp_path: Path, after_s: float, away_s: float) -> None:
    """Not a word is lost, at most one is heard twice, and both sides agree on the history."""
    on_virtual_time(_broken_in_speech)(tmp_path, after_s, away_s)


async def _broken_in_speech(folder: Path, after_s: float, away_s: float) -> None:
    async with rehearsed(folder, Script(llm=(ANSWER,))) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        caller.send("text", text="Where is my order?")
        started = await caller.event("speech_started", kind="reply")
        await caller.until(started.at_s + after_s)
        caller.drop()
        await caller.until(caller.now_s + away_s)
        caller.reconnect()
        stopped = await caller.event("speech_stopped", cut=False)
        assert stopped.fields["heard"] == ANSWER
        for sentence in list(caller.earpiece.sentences.values())[1:]:
            assert sentence.words(speech_ms) == len(sentence.text.split())
            # A frame or two may sound twice, no word.
            assert sentence.samples / 16 <= speech_ms(sentence.text) + 60
        assert caller.first_sound_after(resumed_at(caller)) == pytest.approx(resumed_at(caller), abs=0.01)
        assert not caller.told("rung")


@on_virtual_time
async def test_a_question_asked_before_the_break_is_answered_after_it(tmp_path: Path) -> None:
    """The model thought while nobody was there; the caller should not have to ask again."""
    script = Script(stt=("where is my order",), llm=(ANSWER,), first_token_ms=2000)
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        await caller.say(WHEN)
        await caller.event("transcript", status="final")
        caller.drop()
        await caller.until(caller.now_s + 5.0)
        caller.reconnect()
        await caller.event("speech_stopped", heard=ANSWER, cut=False)
        assert len(rehearsal.provider.received("llm")) == 1


@on_virtual_time
async def test_a_turn_that_the_break_cut_in_two_stays_one(tmp_path: Path) -> None:
    """The words before the break were heard; the caller goes on where the line came back."""
    script = Script(stt=("all of it",), llm=(ANSWER,))
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        began_s, _ = caller.speak(GO_FORWARD * 2)
        await caller.until(began_s + 1.5)
        caller.drop()
        await caller.until(caller.now_s + 0.4)
        caller.reconnect()
        await caller.event("transcript", status="final", text="all of it")
        await caller.event("speech_started", kind="reply")
        sent_s = (len(rehearsal.provider.received("stt")[-1].fields["file"]) - 44) / 32_000
        # 3.8 s of voice less 0.4 s of break, with pre-roll and the lull of 120 ms.
        assert sent_s == pytest.approx(3.8 - 0.4 + 0.3 + 0.12, abs=0.2)


@on_virtual_time
async def test_a_cough_that_the_break_cut_off_does_not_silence_the_agent(tmp_path: Path) -> None:
    """It was undecided whether the caller interrupts: who comes back hears the rest."""
    async with rehearsed(tmp_path) as rehearsal, dialling(rehearsal.gateway) as caller:
        caller.speak(GO_FORWARD, 1.0)
        await caller.event("pause")
        caller.drop()
        await caller.until(caller.now_s + 6.0)
        caller.reconnect()
        await caller.event("speech_stopped", cut=False)
        assert not caller.told("rung")


@on_virtual_time
async def test_a_model_that_hangs_meanwhile_is_an_apology_within_the_patience(tmp_path: Path) -> None:
    """The wait that counts is the one of the caller who is there."""
    script = Script(llm=(ANSWER,), first_token_ms=1e6)
    async with (
        rehearsed(tmp_path, script, provider__timeout_s="3600") as rehearsal,
        dialling(rehearsal.gateway) as caller,
    ):
        await caller.event("speech_stopped")
        caller.send("text", text="Where is my order?")
        await caller.until(caller.now_s + 6.0)
        caller.drop()
        await caller.until(caller.now_s + 20.0)
        caller.reconnect()
        rung = await caller.event("rung", rung="apology")
        assert 6.0 < rung.at_s - resumed_at(caller) < 8.05


@on_virtual_time
async def test_two_breaks_in_one_sentence_lose_nothing(tmp_path: Path) -> None:
    """Mobile networks do not break once."""
    async with rehearsed(tmp_path) as rehearsal, dialling(rehearsal.gateway) as caller:
        for at_s in (0.5, 1.1, 1.2, 1.21, 3.0):
            await caller.until(at_s)
            caller.drop()
            caller.reconnect()
        await caller.event("speech_stopped", cut=False)
        greeting = caller.earpiece.sentences[1]
        assert greeting.words(speech_ms) == len(greeting.text.split())


@on_virtual_time
async def test_a_new_connection_takes_the_place_of_one_that_still_stands(tmp_path: Path) -> None:
    """A phone that changed networks comes back before its old socket is known to be dead."""
    async with rehearsed(tmp_path) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.until(1.0)
        async with ScriptedCaller(rehearsal.gateway, query={"resume_token": caller.resume_token}) as again:
            assert (await caller.ended())[0] == 4409
            ready = await again.event("ready", resumed=True)
            assert ready.fields["call_id"] == caller.told("ready")[0].fields["call_id"]
            await again.event("speech_stopped", cut=False)


@on_virtual_time
async def test_who_comes_back_too_late_is_told_so(tmp_path: Path) -> None:
    """The call has ended and everything of it is gone; a wrong token must not begin a new one."""
    async with rehearsed(tmp_path) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.until(1.0)
        caller.drop()
        await caller.until(30.9)
        assert rehearsal.gateway.calls == 1
        await caller.until(31.1)
        assert rehearsal.gateway.calls == 0
        caller.reconnect()
        await caller.event("error", code="unknown_resume_token")
        assert (await caller.ended())[0] == 1008


@pytest.mark.parametrize("at_s", [0.01, 1.0, 3.39, 5.0, 6.0, 6.5, 7.5, 9.0, 14.0, 25.0, 36.0])
def test_whatever_was_going_on_a_lost_call_ends_and_a_resumed_one_goes_on(
    tmp_path: Path, at_s: float
) -> None:
    """The line may break in every state: none of them may wait for something that cannot come."""
    on_virtual_time(_broken_at)(tmp_path, at_s)


async def _broken_at(folder: Path, at_s: float) -> None:
    script = Script(stt=("where is my order",), llm=(ANSWER,), stt_ms=400, first_token_ms=900)
    async with rehearsed(folder, script) as rehearsal:
        for comes_back in (True, False):
            async with dialling(rehearsal.gateway) as caller:
                caller.speak(WHEN, 5.0)
                await caller.until(at_s)
                caller.drop()
                await caller.until(caller.now_s + 3.0)
                if comes_back:
                    caller.reconnect()
                    caller.send("text", text="Are you there?")
                    if caller.told("speech_started", kind="goodbye"):
                        await caller.ended()
                    else:
                        await caller.event("transcript", status="final", source="text")
                        await caller.event("speech_started")
                else:
                    await caller.until(caller.now_s + 30.0)
                    assert rehearsal.gateway.calls == 0
            await caller.until(caller.now_s + 40.0)
            assert rehearsal.gateway.calls == 0
            assert rehearsal.gateway.ticker.waiting == 0
