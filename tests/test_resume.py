"""Streams that break and go on: what the caller hears of the second answer, wherever the first broke."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from call_alone import Talk
from rehearsed import on_virtual_time, rehearsed

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.resume import Resume
from voicegw.config import Settings, SpeechCacheSettings
from voicegw.errors import ProviderError
from voicegw.providers.build import Providers, build_providers
from voicegw.providers.llm import ChatModel
from voicegw.providers.rejoin import Rejoin
from voicegw.rehearsal.caller import dialling
from voicegw.rehearsal.clock import run_virtual
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Fault, Script, ScriptedReply, chat_events, spoken

FIRST = "Your order left the warehouse this morning."
SECOND = "It will be with you tomorrow before noon."
WHOLE = f"{FIRST} {SECOND}"
NO_CACHE = SpeechCacheSettings(most_mb=0)
TONE = spoken(WHOLE, 1000.0, 16_000)


@pytest.mark.parametrize(
    ("second", "heard"),
    [
        ([SECOND], [SECOND]),  # goes on
        ([FIRST, SECOND], [SECOND]),  # starts again
        (["It left our warehouse this morning, your order.", SECOND], None),  # in other words
        (["Your order has left the warehouse this morning.", SECOND], [SECOND]),  # in nearly the same words
        (["This morning, and it comes tomorrow."], ["and it comes tomorrow."]),  # with a run-up
        ([f"{FIRST[:-1]} and comes tomorrow."], ["and comes tomorrow."]),  # the same, and further
    ],
)
def test_what_a_second_answer_repeats_is_not_said_again(second: list[str], heard: list[str] | None) -> None:
    """Whatever the model does, nothing new is left unsaid."""
    resume = Resume([FIRST])
    said = [new for sentence in second if (new := resume.new(sentence))]
    assert said[-1:] == [SECOND] if heard is None else said == heard


def test_a_vietnamese_answer_that_starts_again_is_heard_once() -> None:
    """Tones and diacritics are letters."""
    resume = Resume(["Dạ đơn của mình đang trên đường giao ạ."])
    assert resume.new("Dạ đơn của mình đang trên đường giao ạ.") == ""
    assert resume.new("Chiều mai là tới ạ.") == "Chiều mai là tới ạ."


def test_a_stream_that_breaks_for_the_third_time_is_a_failure() -> None:
    """Two breaks may be an accident."""
    talk = Talk()
    talk.greet()
    reply = talk.answered(2000)
    for _ in range(2):
        talk.now(e.ReplyText(reply, "Here it"), e.ReplyFailed(reply, "broken", True))
    assert len(talk.all(c.Ask)) == 3
    talk.now(e.ReplyFailed(reply, "broken", True))
    assert talk.last(c.PlayClip).text == "I am sorry."


VI_FIRST = "Dạ đơn đã rời kho ạ."
VI_SECOND = "Chiều mai là tới ạ."
REWORDED = "Your order has left our warehouse this morning. It will be with you tomorrow before noon."


def goes_on(messages: list[dict[str, Any]], whole: str) -> str:
    """A model that takes its own beginning up."""
    begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
    return whole.removeprefix(begun).strip()


def starts_again(messages: list[dict[str, Any]], whole: str) -> str:
    """One that says the same from the start."""
    return whole


def rewords(messages: list[dict[str, Any]], whole: str) -> str:
    """One that says it from the start in other words."""
    return REWORDED if messages[-1]["role"] == "assistant" else whole


@pytest.mark.parametrize(
    ("whole", "models"),
    [
        (WHOLE, {goes_on: {WHOLE}, starts_again: {WHOLE}, rewords: {WHOLE, REWORDED}}),
        (f"{VI_FIRST} {VI_SECOND}", {goes_on: {f"{VI_FIRST} {VI_SECOND}"}}),
    ],
    ids=["en", "vi"],
)
def test_a_chat_stream_cut_at_every_byte_is_heard_whole(whole: str, models: dict[Any, set[str]]) -> None:
    """History and caller's text are right, wherever the connection breaks: within a letter as well.

    The true bytes go through the true parser, every cut by itself; each way in which that can end goes
    through the rules of a call, with each kind of model.
    """
    events = chat_events(ScriptedReply(whole), "gemini-2.5-flash", usage=True, crlf=False, done=True)

    async def everywhere() -> None:
        endings = await _endings(whole, len(b"".join(events)))
        # Each token was once the last one.
        assert len(endings) >= len(whole.split())
        for texts in endings:
            assert whole.startswith("".join(texts))
            for model, right in models.items():
                await _told_again(texts, whole, model, right)

    run_virtual(everywhere())


async def _endings(whole: str, n_bytes: int) -> set[tuple[str, ...]]:
    """Cut the answer at every byte; return what texts came, in each way in which that can end."""
    provider = ScriptedProvider(Script(llm=(whole,)))
    model = ChatModel(Settings().resolved("llm"), provider)
    endings = set()
    for cut in range(n_bytes + 1):
        provider.fail("llm", Fault(reset_after=cut))
        texts: list[str] = []
        broken: ProviderError | None = None
        try:
            async for delta in model.reply([], max_tokens=99, temperature=0):
                texts.append(delta.text)
        except ProviderError as error:
            broken = error
        if broken is None:
            # Only within the line end behind [DONE].
            assert cut >= n_bytes - 2
            assert "".join(texts) == whole
        else:
            assert broken.retryable
        endings.add(tuple(texts))
    return endings


async def _told_again(texts: Sequence[str], whole: str, model: Callable[..., str], right: set[str]) -> None:
    """A call whose first answer broke behind `texts`."""
    provider = ScriptedProvider(Script(llm=lambda messages: model(messages, whole)))
    providers = build_providers(Settings(), provider)
    talk = Talk()
    talk.greet()
    reply = talk.answered(2000)
    talk.now(*(e.ReplyText(reply, text) for text in texts if text), e.ReplyFailed(reply, "broken", True))
    await _converse(talk, providers)
    stopped = talk.notices(n.SpeechStopped)[-1]
    assert stopped.heard in right, texts
    assert talk.call.history[-1] == {"role": "assistant", "content": stopped.heard}
    assert not talk.all(c.PlayClip)


async def _converse(talk: Talk, providers: Providers) -> None:
    """Do what a driver does, until nothing is left to do: ask the model, and let its sentences be heard."""
    asked, spoken = 1, 0
    while True:
        if asked < len(asks := talk.all(c.Ask)):
            reply_id = asks[asked].reply_id
            stream = providers.llm.reply(asks[asked].messages, max_tokens=99, temperature=0)
            async for delta in stream:
                talk.now(e.ReplyText(reply_id, delta.text))
            talk.now(e.ReplyDone(reply_id, "stop"))
            asked += 1
        elif spoken < len(speaks := talk.all(c.Speak)[1:]):
            talk.hear_out(speaks[spoken].speech_id, talk.ms, talk.ms + 500)
            spoken += 1
        else:
            return


def test_a_chat_stream_cut_in_whole_calls_is_heard_whole(tmp_path: Path) -> None:
    """The same with everything that a call has, at a spread of places."""
    events = chat_events(ScriptedReply(WHOLE), "gemini-2.5-flash", usage=True, crlf=False, done=True)
    on_virtual_time(_cut_in_calls)(tmp_path, len(b"".join(events)))


async def _cut_in_calls(folder: Path, n_bytes: int) -> None:
    script = Script(llm=(WHOLE,), speech_ms=lambda text: 15.0 * len(text))
    async with (
        rehearsed(folder, script, limits__max_call_s="100000") as stage,
        dialling(stage.gateway) as caller,
    ):
        await caller.event("speech_stopped")
        for cut in range(1, n_bytes, 53):
            stage.provider.fail("llm", Fault(reset_after=cut))
            caller.send("text", text="Where is it?")
            await caller.event("speech_stopped", heard=WHOLE, cut=False)
        shown = stage.provider.received("llm")[-1].fields["messages"]
        assert {m["content"] for m in shown[2:-1] if m["role"] == "assistant"} <= {WHOLE, FIRST}


def test_a_speech_stream_cut_at_every_byte_is_heard_to_the_sample() -> None:
    """pcm at 24 kHz as providers send it, cut within a sample as well: resampled, trimmed, joined."""
    run_virtual(_speech_cut_everywhere())


async def _speech_cut_everywhere() -> None:
    provider = ScriptedProvider(Script(speech_ms=lambda text: 40.0))
    providers = build_providers(Settings().model_copy(update={"speech_cache": NO_CACHE}), provider)

    async def heard() -> bytes:
        stream = providers.tts.speak("hi", patience=lambda: 8.0, voice="alloy")
        return b"".join([pcm async for pcm in stream])

    whole = await heard()
    n_bytes = len(spoken("hi", 40.0, 24_000))
    for cut in range(n_bytes + 1):
        providers.tts.row.backends[0].breaker.succeeded()
        provider.fail("tts", Fault(reset_after=cut))
        assert await heard() == whole, cut


def test_speech_cut_at_any_byte_goes_on_to_the_sample() -> None:
    """The same voice says the same again: all of it is heard once."""
    for cut in range(0, len(TONE), 2):
        rejoin = Rejoin()
        heard = rejoin.push(TONE[:cut])
        rejoin.again()
        # In pieces as a network brings them.
        heard += b"".join(rejoin.push(TONE[at : at + 3200]) for at in range(0, len(TONE), 3200))
        assert heard == TONE, cut


def test_another_voice_goes_on_from_a_quiet_place() -> None:
    """At most 400 ms are heard twice, and none is lost."""
    other = bytes(len(TONE))
    rejoin = Rejoin()
    rejoin.push(TONE[:16_000])
    rejoin.again()
    new = rejoin.push(other)
    assert len(other) - 16_000 <= len(new) <= len(other) - 16_000 + 12_800
