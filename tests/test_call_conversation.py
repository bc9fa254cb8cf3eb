"""Whole calls on virtual time: greeting, turns, keys and text, silence, and the end."""

import re
from pathlib import Path

import pytest
from rehearsed import GO_FORWARD, ONE_TWO_THREE, WHEN, Rehearsed, on_virtual_time, rehearsed, voice

from voicegw.rehearsal.caller import ScriptedCaller, Uplink, dialling
from voicegw.rehearsal.script import Script, ScriptedReply

ORDER = Script(stt=("where is my order",), llm=("It is on its way.",))


def asked(rehearsal: Rehearsed) -> list[list[dict[str, str]]]:
    """The messages of each request to the model."""
    return [request.fields["messages"] for request in rehearsal.provider.received("llm")]


def utterances(rehearsal: Rehearsed) -> list[bytes]:
    """The WAV of each request to STT."""
    return [request.fields["file"] for request in rehearsal.provider.received("stt")]


@on_virtual_time
async def test_the_caller_hears_the_greeting_at_once_and_the_model_knows_it(tmp_path: Path) -> None:
    """The first second decides whether a caller believes that somebody is there."""
    async with rehearsed(tmp_path, ORDER) as rehearsal, dialling(rehearsal.gateway) as caller:
        started = await caller.event("speech_started", kind="greeting")
        assert started.at_s < 0.1
        stopped = await caller.event("speech_stopped", cut=False)
        await caller.say(WHEN)
        await caller.event("speech_started", kind="reply")
        assert asked(rehearsal)[0][1:] == [
            {"role": "assistant", "content": stopped.fields["heard"]},
            {"role": "user", "content": "where is my order"},
        ]


@on_virtual_time
async def test_a_speculative_transcript_is_used_as_it_is_when_the_caller_is_done(tmp_path: Path) -> None:
    """The transcript is ready when the turn ends: the caller does not wait for it, and it is paid once."""
    script = Script(stt=("Where is my order?",), llm=("It is on its way.",), stt_ms=300)
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        await caller.say(WHEN)
        latency = await caller.event("latency")
        assert len(utterances(rehearsal)) == 1
        assert latency.fields["transcription_ms"] == 0
        assert latency.fields["total_ms"] == pytest.approx(820, abs=30)


@on_virtual_time
async def test_the_whole_turn_is_transcribed_again_when_the_caller_goes_on(tmp_path: Path) -> None:
    """A pause to think is no end: the words before and after it reach the model as one turn."""
    script = Script(stt=lambda n: ("one", "one two", "one two three")[n])
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        await caller.say(ONE_TWO_THREE)
        await caller.event("speech_started", kind="reply")
        assert [told.fields["text"] for told in caller.told("transcript", status="partial")] == [
            "one", "one two", "one two three",
        ]  # fmt: skip
        sizes = [len(wav) for wav in utterances(rehearsal)]
        assert sizes == sorted(set(sizes))
        assert asked(rehearsal)[-1][-1]["content"] == "one two three"
        assert len(caller.told("voice_started")) == len(caller.told("voice_stopped")) == 3


@on_virtual_time
async def test_a_turn_reopens_when_the_caller_goes_on_before_the_first_sound(tmp_path: Path) -> None:
    """Whoever thought for a second too long is not answered twice, and says nothing twice."""
    replies = (ScriptedReply("Too early.", first_token_ms=3000), "One two three, then.")
    script = Script(stt=("one two", "three"), llm=replies)
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        await caller.say(WHEN)
        await caller.event("transcript", status="final", text="one two")
        await caller.say(GO_FORWARD)
        await caller.event("transcript", status="final", text="one two three")
        stopped = await caller.event("speech_stopped")
        assert stopped.fields["heard"] == "One two three, then."
        assert [m["content"] for m in asked(rehearsal)[-1] if m["role"] == "user"] == ["one two three"]
        # The first request was given up, not answered into the void.
        assert await rehearsal.provider.received("llm")[0].ended() == "closed"


@on_virtual_time
async def test_a_long_turn_is_transcribed_in_pieces_and_answered_whole(tmp_path: Path) -> None:
    """The ear keeps 30 s: a story of a minute must not lose its beginning."""
    script = Script(stt=lambda n: f"part {n}.", llm=("I see.",))
    async with (
        rehearsed(tmp_path, script, turns__max_turn_s="5") as rehearsal,
        dialling(rehearsal.gateway) as caller,
    ):
        await caller.event("speech_stopped")
        await caller.say(GO_FORWARD * 10)
        final = await caller.event("transcript", status="final")
        # Each piece is heard to its end: there is no short tail that had to be transcribed again.
        # Transcripts of a lull that were thrown away leave gaps in the count.
        parts = [int(number) for number in re.findall(r"\d+", final.fields["text"])]
        assert final.fields["text"] == " ".join(f"part {number}" for number in parts) + "."
        assert len(parts) == 5
        assert parts == sorted(parts)
        lengths_s = [(len(wav) - 44) / 32_000 for wav in utterances(rehearsal)]
        assert max(lengths_s) < 5.2
        # The pieces join: nothing of the 19 s is missing between them.
        assert sum(lengths_s) > 19


JITTER: list[tuple[str, Uplink]] = [
    ("bursts of 200 ms", Uplink(bundle=10)),
    ("bursts of a second", Uplink(bundle=50)),
    ("up to 180 ms late", Uplink(late_s=lambda n: (n * 7919 % 10) * 0.018)),
    ("messages of 60 ms, some late", Uplink(bundle=3, late_s=lambda n: 0.11 if n % 7 == 3 else 0.0)),
]


async def _ranges(folder: Path, uplink: Uplink) -> tuple[list[bytes], list[int]]:
    """Speak at fixed places of the line; return what STT got and where the voice was said to begin."""
    script = Script(stt=lambda n: f"utterance {n}", llm=("Yes.",))
    async with (
        rehearsed(folder, script) as rehearsal,
        dialling(rehearsal.gateway, uplink=uplink) as caller,
    ):
        for at_s, pcm in ((5.0, WHEN), (9.0, ONE_TWO_THREE), (16.0, GO_FORWARD), (21.0, WHEN)):
            caller.speak(pcm, at_s)
        await caller.until(26.0)
        began = [told.fields["at_ms"] for told in caller.told("voice_started")]
        finals = caller.told("transcript", status="final")
        wanted = [int(word) for told in finals for word in told.fields["text"].split() if word.isdigit()]
        heard = utterances(rehearsal)
        return [heard[n] for n in wanted], began


@pytest.mark.parametrize(("name", "uplink"), JITTER, ids=[name for name, _ in JITTER])
def test_bursts_and_jitter_do_not_change_the_turns(tmp_path: Path, name: str, uplink: Uplink) -> None:
    """Silence is counted in samples: the network must not decide when a caller has finished."""
    on_virtual_time(_checked_ranges)(tmp_path, uplink)


async def _checked_ranges(folder: Path, uplink: Uplink) -> None:
    even = await _ranges(folder / "even", Uplink())
    assert len(even[0]) == 4
    assert await _ranges(folder / "uneven", uplink) == even


@on_virtual_time
async def test_a_carrier_that_stops_sending_in_silence_still_ends_the_turn(tmp_path: Path) -> None:
    """Some carriers send nothing while nobody speaks: the clock stands in, or the caller waits for ever."""
    script = Script(stt=("Where is my order?",), llm=("It is on its way.",))
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        said_s = await caller.say(WHEN)
        caller.stop_sending()
        started = await caller.event("speech_started", kind="reply")
        # The pause, the 200 ms after which a gap counts as silence, and one step of filling.
        assert started.at_s - said_s < 0.7 + 0.2 + 0.1
        await caller.event("speech_stopped")
        caller.go_on_sending()
        await caller.say(WHEN)
        await caller.event("speech_started", kind="reply")


@on_virtual_time
async def test_keys_are_one_answer_after_a_pause_or_at_the_hash(tmp_path: Path) -> None:
    """Callers type numbers that were misheard; digits one by one would be nonsense to the model."""
    async with rehearsed(tmp_path, ORDER) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        for digit in "1234":
            caller.send("dtmf", digit=digit)
            await caller.until(caller.now_s + 1.0)
        last_s = caller.now_s - 1.0
        typed = await caller.event("transcript", status="final", source="keypad", text="1234")
        assert typed.at_s - last_s == pytest.approx(3.0, abs=0.01)
        await caller.event("speech_stopped")
        for digit in "56#":
            caller.send("dtmf", digit=digit)
        typed = await caller.event("transcript", status="final", source="keypad", text="56")
        assert typed.at_s == caller.now_s


@on_virtual_time
async def test_a_key_silences_the_agent_at_once(tmp_path: Path) -> None:
    """Whoever types does not want to be talked over, and typing is not a word that may be a cough."""
    async with rehearsed(tmp_path, ORDER) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.until(1.0)
        caller.send("dtmf", digit="1")
        stopped = await caller.event("speech_stopped", cut=True)
        assert stopped.at_s == 1.0
        # What the persona's menu has for it.
        await caller.event("transcript", text="I want to check my order", source="keypad")


@on_virtual_time
async def test_keys_wait_for_what_the_caller_is_saying(tmp_path: Path) -> None:
    """Neither the words nor the number may be lost when both come at once."""
    script = Script(stt=("my number is",), llm=("Thank you.",))
    async with rehearsed(tmp_path, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        caller.send("dtmf", digit="7")
        await caller.until(caller.now_s + 1.5)
        await caller.say(GO_FORWARD)
        await caller.event("transcript", text="my number is", status="final")
        await caller.event("transcript", text="7", status="final")
        stopped = await caller.event("speech_stopped", cut=False)
        assert stopped.fields["heard"] == "Thank you."
        said = [m["content"] for m in asked(rehearsal)[-1] if m["role"] == "user"]
        assert said == ["my number is", "7"]


@pytest.mark.parametrize(
    "at_s",
    [1.0, 5.0, 5.6, 6.2, 7.0, 9.4],
    ids=["greeting", "voice", "pause", "thinking", "speaking", "silence"],
)
def test_typed_text_is_answered_whatever_is_going_on(tmp_path: Path, at_s: float) -> None:
    """A browser caller may type at any moment; the text is always the next thing that is answered."""
    on_virtual_time(_typed_at)(tmp_path, at_s)


async def _typed_at(folder: Path, at_s: float) -> None:
    script = Script(
        stt=("spoken",),
        llm=lambda messages: f"You said {messages[-1]['content']}, and that is a long answer.",
        first_token_ms=400,
    )
    async with rehearsed(folder, script) as rehearsal, dialling(rehearsal.gateway) as caller:
        caller.speak(WHEN, 4.5)
        await caller.until(at_s)
        caller.send("text", text="typed")
        await caller.event("transcript", status="final", source="text", text="typed")
        await caller.until(at_s + 15.0)
        answers = [told.fields["heard"] for told in caller.told("speech_stopped")]
        answer = "You said typed, and that is a long answer."
        # Whoever types while speaking, and speaks on, interrupts the answer; the text is in the history.
        assert answer in answers or (at_s == 5.0 and caller.told("transcript", text="spoken"))
        assert any({"role": "user", "content": "typed"} in messages for messages in asked(rehearsal))


@on_virtual_time
async def test_a_silent_caller_is_asked_twice_and_then_the_agent_says_goodbye(tmp_path: Path) -> None:
    """A forgotten handset must not hold a line for an hour, and nobody is cut off without a word."""
    async with rehearsed(tmp_path, ORDER) as rehearsal, dialling(rehearsal.gateway) as caller:
        greeted = await caller.event("speech_stopped")
        first = await caller.event("speech_started", kind="check_in")
        assert first.at_s - greeted.at_s == pytest.approx(10.0, abs=0.02)
        await caller.event("speech_started", kind="check_in")
        goodbye = await caller.event("speech_started", kind="goodbye")
        assert await caller.ended() == (1000, "idle")
        # The last word was heard before the line went.
        sentence = list(caller.earpiece.sentences.values())[-1]
        assert sentence.samples * 1000 / 16_000 == pytest.approx(len(sentence.text) * 60, abs=20)
        assert caller.now_s - goodbye.at_s == pytest.approx(len(sentence.text) * 0.06, abs=0.03)
        assert caller.told("hangup", reason="idle")


@on_virtual_time
async def test_a_caller_who_answers_the_goodbye_stays(tmp_path: Path) -> None:
    """ "Wait, I am still here" must not be talked over and cut off."""
    async with rehearsed(tmp_path, ORDER) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_started", kind="goodbye")
        await caller.say(GO_FORWARD)
        await caller.event("speech_started", kind="reply")
        assert caller.close is None


@on_virtual_time
async def test_the_longest_call_ends_with_a_goodbye_that_nothing_interrupts(tmp_path: Path) -> None:
    """A stuck bridge must not run up a bill for days; a real caller is told."""
    async with (
        rehearsed(tmp_path, ORDER, limits__max_call_s="20", limits__idle_s="60") as rehearsal,
        dialling(rehearsal.gateway) as caller,
    ):
        caller.speak(GO_FORWARD * 3, 19.0)
        goodbye = await caller.event("speech_started", kind="goodbye")
        assert goodbye.at_s == pytest.approx(20.0, abs=0.05)
        assert await caller.ended() == (1000, "max_call_length")
        heard = caller.told("speech_stopped", cut=False)[-1].fields["heard"]
        assert heard == "I am sorry, we have to end this call here. Thank you for calling. Goodbye."


@on_virtual_time
async def test_whoever_is_never_understood_is_not_left_in_silence(tmp_path: Path) -> None:
    """Asked to repeat twice; a third time it counts as a failure, and the agent says so."""
    async with rehearsed(tmp_path, Script(stt=("",))) as rehearsal, dialling(rehearsal.gateway) as caller:
        await caller.event("speech_stopped")
        heard = []
        for _ in range(3):
            end_s = await caller.say(GO_FORWARD)
            started = await caller.event("speech_started", kind="apology")
            assert started.at_s - end_s < 2.5
            heard.append((await caller.event("speech_stopped")).fields["heard"])
        sorry = "Sorry, I did not catch that. Could you say it again?"
        assert heard == [sorry, sorry, "I am sorry, I have a technical problem. Could you say that again?"]
        assert not asked(rehearsal)


@on_virtual_time
async def test_a_vietnamese_call_is_vietnamese_throughout(tmp_path: Path) -> None:
    """Greeting, history and cut reply keep their accents, and Whisper is told the language."""
    script = Script(stt=("đơn hàng của tôi đâu",), llm=("Dạ, đơn hàng đang trên đường giao ạ.",))
    async with (
        rehearsed(tmp_path, script) as rehearsal,
        dialling(rehearsal.gateway, query={"persona": "giao-hang"}) as caller,
    ):
        greeting = await caller.event("speech_stopped")
        assert greeting.fields["heard"].startswith("Dạ em chào anh chị")
        await caller.say(voice("tests/data/goforward.flac", 0.4, 2.3))
        stopped = await caller.event("speech_stopped")
        assert stopped.fields["heard"] == "Dạ, đơn hàng đang trên đường giao ạ."
        assert rehearsal.provider.received("stt")[0].fields["language"] == "vi"
        assert asked(rehearsal)[0][-1]["content"] == "đơn hàng của tôi đâu"


@on_virtual_time
async def test_what_comes_with_the_start_in_one_packet_is_not_lost(tmp_path: Path) -> None:
    """A client may send `start` and its first words at once, before the call's task has run."""
    async with rehearsed(tmp_path, ORDER) as rehearsal, ScriptedCaller(rehearsal.gateway) as caller:
        caller.send("start", caller="+84901234567")
        caller.send("text", text="Where is my order?")
        await caller.event("transcript", status="final", text="Where is my order?")


@on_virtual_time
async def test_a_connection_that_breaks_before_its_call_began_leaves_no_call(tmp_path: Path) -> None:
    """Nobody was told `ready`, so nobody can come back: talking to a dead line would be all that is left."""
    async with rehearsed(tmp_path, ORDER) as rehearsal, ScriptedCaller(rehearsal.gateway) as caller:
        caller.send("start")
        caller.drop()
        await caller.until(0.1)
        assert rehearsal.gateway.calls == 0
