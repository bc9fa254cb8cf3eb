"""Providers that fail or hang, whole calls on virtual time: the caller always hears why."""

from pathlib import Path
from typing import Literal

import pytest
from rehearsed import GO_FORWARD, WHEN, on_virtual_time, rehearsed

from voicegw.rehearsal.caller import ScriptedCaller, dialling
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Fault, Script

Route = Literal["stt", "llm", "tts"]
PATIENCE_S = 8.0
AGAIN_S = 3.0  # patience.again_ms: no silence within a sentence is longer
# A slot of the ticker, and the rounding of the voice's end to a frame.
SLACK_S = 0.1
APOLOGY = "I am sorry, I have a technical problem. Could you say that again?"
OFFER = "I am sorry, there is still no answer. You can say it again, or press one and we will call you back."
NOT_UNDERSTOOD = "Sorry, I did not catch that. Could you say it again?"
TWO_SENTENCES = "Your order left the warehouse this morning. It will be with you tomorrow before noon."

FAULTS = {
    "error": Fault(status=500),
    "overload": Fault(status=429),
    "refused": Fault(refuse=True),
    "hung": Fault(hang=True),
    "stalled": Fault(stall_after=4),
    "broken": Fault(reset_after=4),
    "web page": Fault(wrong=True, body=b"<html>maintenance</html>"),
}


def silences(caller: ScriptedCaller, from_s: float, to_s: float) -> float:
    """The longest stretch between two moments in which the agent was not heard."""
    sounds = [sound for sound in caller.earpiece.sounds if sound[1] > from_s and sound[0] < to_s]
    ends = [from_s, *(end for _, end in sounds)]
    begins = [*(begin for begin, _ in sounds), to_s]
    return max(begin - end for begin, end in zip(begins, ends, strict=True))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("route", ["stt", "llm", "tts"])
def test_a_failing_provider_is_an_apology_within_the_patience(
    tmp_path: Path, route: Route, fault: Fault
) -> None:
    """Silence is the one answer that a caller cannot understand."""
    on_virtual_time(_one_failure)(tmp_path, route, fault)


async def _one_failure(folder: Path, route: Route, fault: Fault) -> None:
    script = Script(stt=("where is my order",), llm=(TWO_SENTENCES,), audio_chunk_ms=100)
    async with rehearsed(folder, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        rehearsal.provider.fail(route, fault, times=None)
        await caller.event("speech_stopped")
        said_s = await caller.say(WHEN)
        rung = await caller.event("rung", rung="apology")
        await caller.event("speech_started", kind="apology")
        stopped = await caller.event("speech_stopped")
        assert stopped.fields["heard"] == (
            NOT_UNDERSTOOD if route == "stt" and "slow" not in rung.fields["reason"] else APOLOGY
        )
        sound_s = caller.first_sound_after(said_s)
        assert sound_s is not None
        assert sound_s - said_s < PATIENCE_S + SLACK_S
        assert len(caller.told("rung", rung="apology")) == 1
        # And when it works again, so does the call; the apology is no part of what the model remembers.
        rehearsal.provider.heal()
        await caller.say(WHEN)
        await caller.event("speech_stopped", heard=TWO_SENTENCES, cut=False)
        shown = rehearsal.provider.received("llm")[-1].fields["messages"]
        assert not any(APOLOGY in message["content"] for message in shown)


@pytest.mark.parametrize("route", ["stt", "llm", "tts"])
def test_after_three_failures_the_agent_says_goodbye_and_hangs_up(tmp_path: Path, route: Route) -> None:
    """To ask a caller a fourth time would be worse than to let him go; a tone would be no goodbye."""
    on_virtual_time(_three_failures)(tmp_path, route)


async def _three_failures(folder: Path, route: Route) -> None:
    async with rehearsed(folder) as rehearsal, dialling(rehearsal.gateway) as caller:
        rehearsal.provider.fail(route, Fault(status=503), times=None)
        await caller.event("speech_stopped")
        for rung in ("apology", "offer"):
            await caller.say(WHEN)
            told = await caller.event("rung", rung=rung)
            await caller.event("speech_stopped", heard=told.fields["text"])
        await caller.say(WHEN)
        await caller.event("speech_started", kind="goodbye")
        assert await caller.ended() == (1000, "provider_failure")
        assert caller.told("speech_stopped")[-1].fields["heard"] == "Thank you for calling. Goodbye."
        goodbye = list(caller.earpiece.sentences.values())[-1]
        assert goodbye.samples >= len(goodbye.text) * 0.06 * 16_000 - 320


@on_virtual_time
async def test_a_good_answer_forgives_the_failures_before_it(tmp_path: Path) -> None:
    """Three failures in a row mean a dead provider; three in an hour mean the internet."""
    async with rehearsed(tmp_path) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        for _ in range(3):
            rehearsal.provider.fail("llm", Fault(status=400), times=2)
            for kind in ("apology", "offer", "reply"):
                caller.send("text", text="Where is my order?")
                await caller.event("reply_text", within_s=5)
                stopped = await caller.event("speech_stopped", cut=False)
                assert (stopped.fields["heard"] == APOLOGY) == (kind == "apology")
                assert stopped.fields["heard"].endswith("we will call you back.") == (kind == "offer")
        assert caller.close is None


@on_virtual_time
async def test_when_everything_hangs_from_the_start_the_caller_is_told_and_let_go(tmp_path: Path) -> None:
    """Not even the clips could be made: phrases of the package greet, apologise, offer, and say goodbye."""
    provider = ScriptedProvider()
    for route in ("stt", "llm", "tts"):
        provider.fail(route, Fault(hang=True), times=None)
    async with (
        rehearsed(tmp_path, provider=provider) as rehearsal,
        dialling(rehearsal.gateway) as caller,
    ):
        # The greeting is the first thing that the caller waits for.
        assert (await caller.event("speech_started", kind="greeting")).at_s < 1.2 + SLACK_S
        await caller.event("speech_stopped")
        for rung in ("apology", "offer", "goodbye"):
            said_s = await caller.say(GO_FORWARD)
            told = await caller.event("rung", rung=rung)
            assert silences(caller, said_s, told.at_s) < 3.0 + SLACK_S
            await caller.event("speech_stopped", heard=told.fields["text"])
        assert await caller.ended() == (1000, "provider_failure")
        heard = [sentence.text for sentence in caller.earpiece.sentences.values() if sentence.samples]
        assert heard[0] == "Hello, thank you for calling. How can I help?"
        said = [text for text in heard[1:-1] if text not in ("One moment, please.", "I am still on it.")]
        # Whether the last attempt or the patience ends first decides about the words, not about the rung.
        assert said[0] in (APOLOGY, NOT_UNDERSTOOD)
        assert said[1:] == [OFFER]
        assert heard[-1] == "Thank you for calling. Goodbye."


@on_virtual_time
async def test_a_model_that_stalls_behind_a_sentence_is_asked_to_go_on(tmp_path: Path) -> None:
    """The first sentence is heard; then nothing comes, though the connection stands. The rest is fetched."""
    script = Script(llm=(TWO_SENTENCES,))
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        rehearsal.provider.fail("llm", Fault(stall_after=2200))
        await caller.event("speech_stopped")
        caller.send("text", text="Where is my order?")
        first = await caller.event("reply_text")
        assert first.fields["text"] == "Your order left the warehouse this morning."
        await caller.event("speech_stopped", heard=TWO_SENTENCES, cut=False)
        assert silences(caller, first.at_s, caller.now_s) < 2.5 + SLACK_S
        again = rehearsal.provider.received("llm")[-1].fields["messages"][-1]
        assert again == {"role": "assistant", "content": first.fields["text"]}


@on_virtual_time
async def test_a_model_that_stalls_again_and_again_is_an_apology_within_the_patience(tmp_path: Path) -> None:
    """Nothing helps: what was heard is kept, and the caller is told."""
    script = Script(llm=(TWO_SENTENCES,))
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        rehearsal.provider.fail("llm", Fault(stall_after=2200), times=None)
        await caller.event("speech_stopped")
        caller.send("text", text="Where is my order?")
        first = await caller.event("reply_text")
        await caller.event("rung", rung="apology")
        await caller.event("reply_text", kind="apology")
        stopped = await caller.event("speech_stopped")
        assert stopped.fields["heard"] == f"{first.fields['text']} {APOLOGY}"
        assert silences(caller, first.at_s, caller.now_s) < 3.0 + SLACK_S


@pytest.mark.parametrize("sentence", [0, 1])
def test_a_voice_that_stalls_goes_on_where_it_stopped(tmp_path: Path, sentence: int) -> None:
    """TTS that stops in the middle is asked for the sentence again, and heard from there on."""
    on_virtual_time(_stalled_voice)(tmp_path, sentence)


async def _stalled_voice(folder: Path, sentence: int) -> None:
    script = Script(llm=(TWO_SENTENCES,), audio_chunk_ms=100)
    async with rehearsed(folder, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        # One second of it comes.
        rehearsal.provider.fail("tts", Fault(stall_after=48_000), after=sentence)
        await caller.event("speech_stopped")
        caller.send("text", text="Where is my order?")
        started = await caller.event("speech_started", kind="reply")
        await caller.event("speech_stopped", cut=False, heard=TWO_SENTENCES)
        assert silences(caller, started.at_s, caller.now_s) < 2.5 + SLACK_S
        # All of it sounded once, and no more.
        for heard in list(caller.earpiece.sentences.values())[1:]:
            assert heard.samples == pytest.approx(len(heard.text) * 0.06 * 16_000, abs=2000)


@on_virtual_time
async def test_a_voice_that_stalls_for_good_is_begun_once_more_and_then_an_apology(tmp_path: Path) -> None:
    """What was heard of the torn sentence is remembered by estimate, and never more than sounded."""
    script = Script(llm=(TWO_SENTENCES,), audio_chunk_ms=100)
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        rehearsal.provider.fail("tts", Fault(stall_after=48_000), times=None)
        await caller.event("speech_stopped")
        caller.send("text", text="Where is my order?")
        started = await caller.event("speech_started", kind="reply")
        await caller.event("rung", rung="filler")
        stopped = await caller.event("speech_stopped", reply_id=started.fields["reply_id"])
        await caller.event("rung", rung="apology")
        # It is begun once more behind the sign; that it stops again is no accident.
        _, first, again = stopped.fields["heard"].rpartition(TWO_SENTENCES.split()[0])
        assert TWO_SENTENCES.startswith(first + again)
        assert silences(caller, started.at_s, caller.now_s) < AGAIN_S + 0.1 + SLACK_S


@on_virtual_time
async def test_a_slow_voice_that_keeps_up_is_no_failure(tmp_path: Path) -> None:
    """Audio that comes just in time is heard all the while: the caller is not waiting."""
    text = "A very long answer that goes on and on, " * 8 + "until it ends."
    script = Script(llm=(text,), audio_chunk_ms=100, audio_chunk_delay_ms=101)
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        caller.send("text", text="Tell me everything.")
        await caller.event("speech_stopped", cut=False, heard=text)
        assert not caller.told("rung")


@on_virtual_time
async def test_a_stream_that_breaks_behind_many_sentences_is_told_behind_them(tmp_path: Path) -> None:
    """All whole sentences that came are heard, in order, and only then the apology."""
    sentences = [f"This is sentence number {word} of it." for word in ("one", "two", "three", "four")]
    script = Script(llm=(" ".join([*sentences, "And a torn"]),))
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        rehearsal.provider.fail("llm", Fault(error_event=30), times=None)
        await caller.event("speech_stopped")
        caller.send("text", text="Tell me.")
        stopped = await caller.event("speech_stopped", cut=False)
        assert stopped.fields["heard"].endswith(APOLOGY)
        said = [told.fields["text"] for told in caller.told("reply_text")][1:]
        assert said[:-1] == sentences[: len(said) - 1]
        assert len(said) > 3
        assert said[-1] == APOLOGY


@on_virtual_time
async def test_a_speculative_transcript_that_fails_is_asked_again(tmp_path: Path) -> None:
    """The second chance costs the caller nothing but the transcription."""
    script = Script(stt=("where is my order",))
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        rehearsal.provider.fail("stt", Fault(status=500))
        await caller.event("speech_stopped")
        await caller.say(WHEN)
        await caller.event("transcript", status="final", text="where is my order")
        assert not caller.told("rung")
        assert len(rehearsal.provider.received("stt")) == 2


@on_virtual_time
async def test_a_long_turn_with_a_lost_piece_is_not_answered_in_half(tmp_path: Path) -> None:
    """An answer to the second half of a story sounds like an agent who does not listen."""
    async with (
        rehearsed(tmp_path, turns__max_turn_s="3") as rehearsal,
        dialling(rehearsal.gateway) as caller,
    ):
        await caller.event("speech_stopped")
        began_s, ended_s = caller.speak(GO_FORWARD * 4)
        # The piece that is cut off at 3 s is lost, whatever else is asked for at that time.
        await caller.until(began_s + 2.5)
        rehearsal.provider.fail("stt", Fault(status=400), times=None)
        await caller.until(began_s + 3.5)
        rehearsal.provider.heal("stt")
        await caller.until(ended_s)
        rejected = await caller.event("transcript", status="rejected")
        assert rejected.fields["reason"] == "http_400"
        await caller.event("speech_stopped", heard=NOT_UNDERSTOOD)
        assert not rehearsal.provider.received("llm")


@on_virtual_time
async def test_half_a_letter_from_a_sloppy_provider_ends_no_call(tmp_path: Path) -> None:
    """Servers that cut an emoji in two send half a surrogate pair: no text that could be sent on."""
    chat = (
        rb'data: {"choices":[{"index":0,"delta":{"content":"It is on \ud83d its way. "}}]}'
        b"\n\ndata: [DONE]\n\n"
    )
    async with rehearsed(tmp_path) as rehearsal, dialling(rehearsal.gateway) as caller:
        rehearsal.provider.fail(
            "stt", Fault(wrong=True, body=rb'{"text": "where \ude00 is it"}', content_type="application/json")
        )
        rehearsal.provider.fail("llm", Fault(wrong=True, body=chat, content_type="text/event-stream"))
        await caller.event("speech_stopped")
        await caller.say(WHEN)
        final = await caller.event("transcript", status="final")
        assert final.fields["text"].split() == ["where", "is", "it"]
        stopped = await caller.event("speech_stopped")
        assert stopped.fields["heard"].split() == ["It", "is", "on", "its", "way."]
