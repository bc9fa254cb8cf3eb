"""What a persona's file promises, in calls: hours, consent, routing, window, limits."""

import json
from pathlib import Path
from typing import Any

import pytest
from call_alone import PHRASES, Talk, call_settings, samples
from gateways import Caller, Running, caller, running_gateway

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call.events import Charged
from voicegw.call.settings import Phrases, WindowRules
from voicegw.config import LimitSettings
from voicegw.rehearsal.script import Script, ScriptedReply
from voicegw.store.journal import read_journal

FILE = """
name = "mine"
language = "vi"
called = ["1900*", "+8428*"]
system_prompt = "Khách {caller}."

[phrases]
greeting = "Dạ em nghe."
apology = "Xin lỗi."
not_understood = "Dạ?"
goodbye = "Em chào."
"""


def write(folder: Path, more: str = "") -> dict[str, str]:
    """Write the persona; returns the settings that find it."""
    (folder / "personas").mkdir()
    (folder / "personas" / "mine.toml").write_text(FILE + more, encoding="utf-8")
    return {"persona__folders": str(folder / "personas")}


async def exchange(someone: Caller, text: str) -> str:
    await someone.send("text", text=text)
    told: str = (await someone.event("reply_text"))["text"]
    await someone.event("speech_stopped")
    return told


def sent(running: Running) -> list[list[dict[str, Any]]]:
    """The messages of each request to the model."""
    return [request.fields["messages"] for request in running.provider.received("llm")]


# The window


def answers_and_sums_up(messages: list[dict[str, Any]]) -> ScriptedReply:
    """A model that takes a second for a summary: the caller must not wait for that."""
    if messages[0]["content"].startswith("Summarise"):
        numbers = [word for word in messages[1]["content"].split() if word.startswith("DH")]
        return ScriptedReply(f"Hỏi đơn {' '.join(numbers)}", first_token_ms=300)
    return ScriptedReply(f"Về {messages[-1]['content']}")


async def test_what_leaves_the_window_is_summarised_beside_the_call(tmp_path: Path) -> None:
    """The model forgets no order number, and no answer waits for the summary."""
    window = "\n[history]\nexchanges = 1\nsummarise = true\n"
    script = Script(llm=answers_and_sums_up, ms_per_char=12)
    async with (
        running_gateway(tmp_path, script, **write(tmp_path, window)) as running,
        caller(running.url) as someone,
    ):
        await someone.send("start", persona="mine")
        await someone.event("speech_stopped")
        for number in (1, 2, 3):
            assert await exchange(someone, f"đơn DH{number}") == f"Về đơn DH{number}"
        summaries = [
            r for r in running.provider.received("llm") if "Summarise" in str(r.fields["messages"][0])
        ]
        # They are asked for one after the other, each with all that was not summed up before.
        assert await summaries[-1].ended() == "complete"
        assert "user: đơn DH1" in summaries[-1].fields["messages"][1]["content"]
        for number in (4, 5):
            await exchange(someone, f"đơn DH{number}")
        newest = [messages for messages in sent(running) if not str(messages[0]).count("Summarise")][-1]
    assert newest[0]["content"].startswith("Khách .\n\nEarlier in this call: Hỏi đơn DH1")
    said = [message["content"] for message in newest[1:] if message["role"] == "user"]
    assert said == ["đơn DH4", "đơn DH5"]


def test_nothing_is_lost_when_a_summary_is_late_or_fails() -> None:
    """The next one takes in what the one before should have held."""
    talk = Talk(call_settings(limits=LimitSettings(history_exchanges=1), window=WindowRules(summarise=True)))
    talk.greet()
    for number in range(1, 5):
        reply = talk.answered(2000 * number, f"DH{number}")
        talk.now(e.ReplyText(reply, "Yes."), e.ReplyDone(reply, "stop"))
        talk.hear_out(talk.last(c.Speak).speech_id, 2000 * number + 100, 2000 * number + 500)
    asked = talk.all(c.Summarise)
    assert [s.summary_id for s in asked] == [1, 2, 3]
    talk.now(e.Summarised(1, "DH1 alone"))  # too late: another one is on its way
    talk.now(e.Summarised(3, ""))  # failed
    assert "Earlier" not in talk.call.history[0]["content"]
    talk.answered(20_000, "DH5")
    newest = talk.last(c.Summarise)
    told = json.dumps(newest.messages)
    assert all(f"DH{number}" in told for number in (1, 2, 3))
    talk.now(e.Summarised(newest.summary_id, "Asked for DH1 to DH3."))
    assert talk.call.history[0]["content"].endswith("Earlier in this call: Asked for DH1 to DH3.")
    talk.answered(30_000, "DH6")
    again = json.dumps(talk.last(c.Summarise).messages)
    assert "Asked for DH1 to DH3." in again
    assert '"DH2"' not in again, "what is in the summary is not summed up again"


async def test_the_window_has_a_limit_in_tokens(tmp_path: Path) -> None:
    """A caller who tells a long story must not make each request of the call a long one."""
    window = "\n[history]\nexchanges = 20\ntokens = 200\n"
    async with (
        running_gateway(tmp_path, Script(llm=("Dạ.",), ms_per_char=12), **write(tmp_path, window)) as running,
        caller(running.url) as someone,
    ):
        await someone.send("start", persona="mine")
        await someone.event("speech_stopped")
        for number in range(8):
            await exchange(someone, f"{number} " + "kể chuyện dài " * 10)
        newest = sent(running)[-1]
    assert sum(len(str(message["content"])) for message in newest) / 3 < 200
    assert newest[-1]["content"].startswith("7 ")


# Who answers, and when


@pytest.mark.parametrize(
    ("called", "persona"), [("19001234", "mine"), ("+842812", "mine"), ("+4930", "support")]
)
async def test_the_called_number_chooses_who_answers(tmp_path: Path, called: str, persona: str) -> None:
    async with (
        running_gateway(tmp_path, None, **write(tmp_path)) as running,
        caller(running.url) as someone,
    ):
        await someone.send("start", called=called, caller="+84901")
        assert (await someone.event("ready"))["persona"] == persona


@pytest.mark.parametrize("hangs_up", [True, False])
def test_outside_the_hours_that_is_said(hangs_up: bool) -> None:
    """Either the call ends behind it, or somebody takes a message."""
    phrases = Phrases(**{**{f: getattr(PHRASES, f) for f in PHRASES.__slots__}, "closed": "We are closed."})
    talk = Talk(call_settings(phrases=phrases, in_hours=False, closed_hangs_up=hangs_up))
    talk.at(0, e.CallStarted())
    spoken = talk.last(c.Speak)
    assert spoken.text == "We are closed."
    talk.hear_out(spoken.speech_id, 0, 1000)
    assert [command.reason for command in talk.all(c.HangUp)] == (["closed"] if hangs_up else [])
    if not hangs_up:
        assert talk.answered(2000, "A message, please")


def test_nobody_talks_over_the_consent_line() -> None:
    """The law wants it heard; the greeting behind it may be interrupted as ever."""
    phrases = Phrases(
        **{**{f: getattr(PHRASES, f) for f in PHRASES.__slots__}, "consent": "This is recorded."}
    )
    talk = Talk(call_settings(phrases=phrases))
    talk.at(0, e.CallStarted())
    consent = talk.last(c.Speak)
    assert consent.text == "This is recorded."
    talk.at(50, e.SpeechArrived(consent.speech_id, samples(1000), True), e.SpeechBegan(consent.speech_id))
    talk.voice(100, 900)
    assert talk.all(c.PauseSpeech) == []
    assert talk.all(c.ClearSpeech) == []
    talk.at(1050, e.Played(consent.speech_id, samples(1000), True))
    greeting = talk.last(c.Speak)
    assert greeting.text == "Hello."
    talk.at(1100, e.SpeechArrived(greeting.speech_id, samples(1000), True), e.SpeechBegan(greeting.speech_id))
    talk.voice(1200, 2200)
    assert talk.all(c.PauseSpeech)


# What the providers are told


async def test_voice_speed_and_model_settings_reach_the_requests(tmp_path: Path) -> None:
    """A setting that is read and not sent is worse than none."""
    more = '\n[model]\nname = "m-1"\ntemperature = 0.3\nmax_tokens = 99\n[tools]\nuse = ["end_call"]\n'
    found = write(tmp_path, more)
    path = tmp_path / "personas" / "mine.toml"
    text = path.read_text(encoding="utf-8").replace(
        'language = "vi"', 'language = "vi"\nvoice = "nova"\nspeed = 1.25'
    )
    path.write_text(text, encoding="utf-8")
    async with (
        running_gateway(tmp_path, Script(llm=("Dạ vâng ạ.",), ms_per_char=12), **found) as running,
        caller(running.url) as someone,
    ):
        await someone.send("start", persona="mine")
        await someone.event("speech_stopped")
        await exchange(someone, "Chào em")
        asked = running.provider.received("llm")[-1].fields
        spoken = running.provider.received("tts")[-1].fields
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("m-1", 0.3, 99)
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["end_call"]
    assert (spoken["voice"], spoken["speed"], spoken["input"]) == ("nova", 1.25, "Dạ vâng ạ.")


async def test_a_limit_of_cost_is_one_persona_s(tmp_path: Path) -> None:
    """At the price of the model that it names: what reaches the limit is heard; another agent talks on."""
    more = '\n[limits]\ncost_usd = 0.0002\n[model]\nname = "gpt-4.1-mini"\n'
    found = write(tmp_path, more)
    async with (
        running_gateway(tmp_path, Script(llm=("All right.",), ms_per_char=20), **found) as running,
        caller(running.url) as dear,
        caller(running.url) as cheap,
    ):
        await dear.send("start", persona="mine")
        await cheap.send("start", persona="support")
        for someone in (dear, cheap):
            await someone.event("speech_stopped")
            assert await exchange(someone, "Hello") == "All right."
        assert (await dear.event("reply_text"))["kind"] == "goodbye"
        assert (await dear.event("hangup"))["reason"] == "cost_limit"
        assert await exchange(cheap, "Still there?") == "All right."
    events = [event for path in (tmp_path / "journals").glob("*.jsonl") for event, _ in read_journal(path)[1]]
    models = {event.model for event in events if isinstance(event, Charged) and event.work == "llm"}
    assert models == {"gpt-4.1-mini", "gemini-2.5-flash"}
