"""Streams that break and go on: what the caller hears of the second answer, wherever the first broke."""

from pathlib import Path

import pytest
from call_alone import Talk
from rehearsed import on_virtual_time, rehearsed

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call.resume import Resume
from voicegw.providers.rejoin import Rejoin
from voicegw.rehearsal.caller import dialling
from voicegw.rehearsal.script import Fault, Script, ScriptedReply, chat_events, spoken

FIRST = "Your order left the warehouse this morning."
SECOND = "It will be with you tomorrow before noon."
WHOLE = f"{FIRST} {SECOND}"
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


def test_a_chat_stream_cut_at_any_byte_is_heard_whole(tmp_path: Path) -> None:
    """The history and the caller's text are right, wherever the connection breaks."""
    events = chat_events(ScriptedReply(WHOLE), "gemini-2.5-flash", usage=True, crlf=False, done=True)
    on_virtual_time(_cut_everywhere)(tmp_path, len(b"".join(events)))


async def _cut_everywhere(folder: Path, n_bytes: int) -> None:
    script = Script(llm=(WHOLE,), speech_ms=lambda text: 15.0 * len(text))
    async with (
        rehearsed(folder, script, limits__max_call_s="100000") as stage,
        dialling(stage.gateway) as caller,
    ):
        await caller.event("speech_stopped")
        # Every third byte: all of them take half a minute, and hit no other place in the events.
        for cut in range(1, n_bytes, 3):
            stage.provider.fail("llm", Fault(reset_after=cut))
            caller.send("text", text="Where is it?")
            await caller.event("speech_stopped", heard=WHOLE, cut=False)
        shown = stage.provider.received("llm")[-1].fields["messages"]
        assert {m["content"] for m in shown[2:-1] if m["role"] == "assistant"} <= {WHOLE, FIRST}


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
