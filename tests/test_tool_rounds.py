"""What the agent does: tools, read-backs, hand-overs; each decision once, each result never lost."""

import json
from typing import Any

import pytest
from call_alone import PHRASES, Talk, call_settings, heard_notice
from hypothesis import given
from hypothesis import strategies as st

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.floor import State
from voicegw.call.settings import ToolRules
from voicegw.call.yes_no import yes_or_no

TOOLS = (
    ToolRules("look_up", read_only=True, idempotent=True),
    ToolRules("book"),
    ToolRules("move", idempotent=True, confirm="I move {order} to {day}. Right?"),
    ToolRules("report", background=True),
    ToolRules("end_call", "end_call"),
    ToolRules("transfer_to_person", "transfer"),
    ToolRules("request_callback", "callback"),
)


def talk_with_tools(**more: Any) -> Talk:
    talk = Talk(call_settings(tools=TOOLS, **more))
    talk.greet()
    return talk


def calls_tool(talk: Talk, reply_id: int, *calls: tuple[str, str], text: str = "") -> list[c.Command]:
    """The model answers with (name, arguments), perhaps behind a text."""
    out = talk.now(e.ReplyText(reply_id, text)) if text else []
    for index, (name, arguments) in enumerate(calls):
        out += talk.now(e.ReplyToolCall(reply_id, index, name, arguments))
    return out + talk.now(e.ReplyDone(reply_id, "tool_calls"))


def runs(talk: Talk) -> list[c.RunTool]:
    """Let the newest commit be durable; return all runs so far."""
    talk.now(e.Committed(talk.last(c.Commit).commit_id))
    return talk.all(c.RunTool)


def done(talk: Talk, run: c.RunTool, content: str = '{"eta": "tomorrow"}', status: str = "done") -> None:
    talk.now(e.ToolResult(run.tool_id, status, content))


def says(talk: Talk, reply_id: int, text: str) -> int:
    """The model answers in words; returns the id of the sentence."""
    talk.now(e.ReplyText(reply_id, text), e.ReplyDone(reply_id, "stop"))
    return talk.last(c.Speak).speech_id


def test_a_tool_runs_only_when_its_decision_is_durable() -> None:
    """After a crash nobody may doubt what was begun."""
    talk = talk_with_tools()
    reply = talk.answered(2000)
    out = calls_tool(talk, reply, ("look_up", '{"order": "DH1"}'))
    assert [type(command) for command in out if not isinstance(command, c.Notify)] == [c.Commit]
    assert runs(talk) == [c.RunTool(1, "look_up", '{"order": "DH1"}')]


def test_the_result_goes_back_to_the_model_and_its_answer_is_spoken() -> None:
    """Question, call, result, answer: the model sees them in this order, in the API's form."""
    talk = talk_with_tools()
    reply = talk.answered(2000)
    calls_tool(talk, reply, ("look_up", '{"order": "DH1"}'), text="Let me look.")
    done(talk, runs(talk)[0])
    ask = talk.last(c.Ask)
    assert ask.reply_id == reply
    assert [message["role"] for message in ask.messages][-3:] == ["user", "assistant", "tool"]
    assert ask.messages[-2]["content"] == "Let me look."
    assert ask.messages[-1] == {"role": "tool", "tool_call_id": "call_1", "content": '{"eta": "tomorrow"}'}
    first = talk.last(c.Speak).speech_id
    second = says(talk, reply, "It comes tomorrow.")
    talk.hear_out(first, 3000, 4000)
    talk.hear_out(second, 4000, 5000)
    assert heard_notice(talk).heard == "Let me look. It comes tomorrow."
    assert [m["content"] for m in talk.call.history if m["role"] == "assistant"] == [
        "Hello.",
        "Let me look.",
        "It comes tomorrow.",
    ]


@given(cuts=st.lists(st.integers(0, 40), max_size=12))
def test_calls_are_put_together_from_any_split(cuts: list[int]) -> None:
    """Servers cut arguments anywhere and mix the fragments of parallel calls."""
    wanted = [("look_up", '{"order": "DH123456"}'), ("look_up", '{"order": "đơn"}')]
    talk = talk_with_tools()
    reply = talk.answered(2000)
    places = [sorted({0, *cuts, len(arguments)}) for _, arguments in wanted]
    for index, (name, _) in enumerate(wanted):
        talk.now(e.ReplyToolCall(reply, index, name))
    for step in range(max(map(len, places))):
        for index, (_, arguments) in enumerate(wanted):
            part = arguments[slice(*places[index][step : step + 2])] if step + 1 < len(places[index]) else ""
            talk.now(e.ReplyToolCall(reply, index, "", part))
    talk.now(e.ReplyDone(reply, "tool_calls"))
    assert [(run.name, run.arguments) for run in runs(talk)] == wanted


def test_two_identical_calls_at_once_run_once() -> None:
    """A model that stutters must not book twice; both calls get the one result."""
    talk = talk_with_tools()
    reply = talk.answered(2000)
    calls_tool(talk, reply, ("book", '{"a": 1, "b": 2}'), ("book", '{"b": 2, "a": 1}'))
    (run,) = runs(talk)
    done(talk, run)
    results = [m["content"] for m in talk.last(c.Ask).messages if m["role"] == "tool"]
    assert results == ['{"eta": "tomorrow"}'] * 2


def test_an_interruption_loses_no_result_and_the_same_call_is_no_second_run() -> None:
    """The caller talks over a running tool: it runs on, and asking for it again gives its result."""
    talk = talk_with_tools()
    reply = talk.answered(2000)
    calls_tool(talk, reply, ("book", "{}"))
    (run,) = runs(talk)
    again = talk.answered(3000, "Hello?")
    assert any("still running" in str(message["content"]) for message in talk.last(c.Ask).messages)
    done(talk, run)
    calls_tool(talk, again, ("book", "{}"))
    assert len(talk.all(c.Commit)) == 1
    assert talk.last(c.Ask).messages[-1]["content"] == '{"eta": "tomorrow"}'


def test_a_late_result_is_told_at_the_next_good_moment() -> None:
    """A background tool is not waited for: the agent talks on, and comes back to it by itself."""
    talk = talk_with_tools()
    reply = talk.answered(2000)
    calls_tool(talk, reply, ("report", "{}"))
    (run,) = runs(talk)
    speech = says(talk, reply, "I have started it.")
    talk.now(e.SpeechArrived(speech, 16000, True), e.SpeechBegan(speech))
    asks = len(talk.all(c.Ask))
    done(talk, run)
    assert len(talk.all(c.Ask)) == asks, "not while the agent speaks"
    talk.at(4000, e.Played(speech, 16000, True))
    told = talk.last(c.Ask)
    assert len(talk.all(c.Ask)) == asks + 1
    assert not told.tools
    assert any(message["content"] == '{"eta": "tomorrow"}' for message in told.messages)


def test_a_result_comes_after_a_reconnect() -> None:
    """The line drops while a tool runs: whoever comes back hears the answer."""
    talk = talk_with_tools()
    reply = talk.answered(2000)
    calls_tool(talk, reply, ("book", "{}"))
    (run,) = runs(talk)
    talk.at(2500, e.CarrierLost())
    done(talk, run)
    talk.at(4000, e.CarrierBack())
    assert talk.last(c.Ask).messages[-1]["content"] == '{"eta": "tomorrow"}'


@pytest.mark.parametrize("arguments", ["{", "[1]", '"x"', "{" * 40_000])
def test_arguments_that_are_none_go_back_once(arguments: str) -> None:
    """The model may repair them; a second mistake ends the tools of this answer."""
    talk = talk_with_tools()
    reply = talk.answered(2000)
    calls_tool(talk, reply, ("book", arguments))
    assert talk.last(c.Ask).tools
    assert "bad_arguments" in talk.last(c.Ask).messages[-1]["content"]
    json.loads(talk.last(c.Ask).messages[-2]["tool_calls"][0]["function"]["arguments"])
    calls_tool(talk, reply, ("book", arguments))
    assert not talk.last(c.Ask).tools
    assert not talk.all(c.Commit)


def test_rounds_are_bounded() -> None:
    """A model that only ever calls tools must at last answer in words."""
    talk = talk_with_tools(tool_rounds=3)
    reply = talk.answered(2000)
    for number in range(3):
        assert talk.last(c.Ask).tools
        calls_tool(talk, reply, ("look_up", json.dumps({"n": number})))
        done(talk, runs(talk)[-1])
    assert not talk.last(c.Ask).tools


def confirmed(talk: Talk, reply: int) -> int:
    """The model calls `move`; returns the read-back's sentence."""
    calls_tool(talk, reply, ("move", '{"order": "DH1", "day": "Friday"}'))
    assert talk.last(c.Speak).text == "I move DH1 to Friday. Right?"
    return talk.last(c.Speak).speech_id


def hear_read_back(talk: Talk, first: int) -> None:
    talk.hear_out(first, 3000, 5000)


def test_what_cannot_be_undone_waits_for_a_yes_to_what_was_heard() -> None:
    """The read-back is the gateway's, so no model can leave it out."""
    talk = talk_with_tools()
    hear_read_back(talk, confirmed(talk, talk.answered(2000)))
    assert not talk.all(c.Commit)
    talk.at(6000, e.CallerText("Yes, that's right."))
    assert runs(talk)[-1].name == "move"
    done(talk, runs(talk)[-1])
    roles = [message["role"] for message in talk.last(c.Ask).messages]
    assert roles[-4:] == ["assistant", "user", "assistant", "tool"]


@pytest.mark.parametrize(
    ("answer", "why"), [("No!", "said no"), ("What about Monday?", "not clearly said yes")]
)
def test_without_a_yes_it_does_not_run(answer: str, why: str) -> None:
    talk = talk_with_tools()
    hear_read_back(talk, confirmed(talk, talk.answered(2000)))
    talk.at(6000, e.CallerText(answer))
    assert not talk.all(c.Commit)
    assert why in talk.last(c.Ask).messages[-1]["content"]


def test_a_yes_into_the_read_back_does_not_count() -> None:
    """Who says yes to half a sentence has not agreed to its end."""
    talk = talk_with_tools()
    confirmed(talk, talk.answered(2000))
    talk.at(2200, e.CallerText("yes"))
    assert not talk.all(c.Commit)
    assert "interrupted the read-back" in talk.last(c.Ask).messages[-1]["content"]


def test_the_call_ends_behind_the_goodbye_and_tells_what_came_of_it() -> None:
    talk = talk_with_tools()
    reply = talk.answered(2000)
    calls_tool(talk, reply, ("end_call", '{"outcome": "resolved", "summary": "All well."}'), text="Bye.")
    assert talk.call.state is not State.ENDED
    talk.hear_out(talk.last(c.Speak).speech_id, 3000, 4000)
    assert talk.last(c.HangUp).reason == "agent"
    assert talk.notices(n.Outcome) == [n.Outcome("resolved", "All well.")]


def test_a_call_whose_caller_hangs_up_has_an_outcome_too() -> None:
    talk = talk_with_tools()
    talk.answered(2000, "Where is my order?")
    talk.at(3000, e.HungUp("caller"))
    assert talk.notices(n.Outcome) == [n.Outcome("not_stated", "Where is my order?")]


def test_the_caller_is_handed_over_when_that_was_said() -> None:
    talk = talk_with_tools(transfers={"person": "+841"})
    reply = talk.answered(2000)
    calls_tool(talk, reply, ("transfer_to_person", '{"reason": "angry"}'), text="I connect you.")
    assert not talk.all(c.Transfer)
    talk.hear_out(talk.last(c.Speak).speech_id, 3000, 4000)
    assert talk.last(c.Transfer).address == "+841"
    talk.at(9000, e.TransferEnded(True))
    assert talk.notices(n.Outcome)[-1].code == "transferred"


def test_where_nobody_answers_the_caller_is_told_and_may_be_called_back() -> None:
    talk = talk_with_tools(transfers={"person": "+841"})
    reply = talk.answered(2000)
    calls_tool(talk, reply, ("transfer_to_person", '{"reason": "x"}'), text="I connect you.")
    talk.hear_out(talk.last(c.Speak).speech_id, 3000, 4000)
    talk.tick()
    assert talk.ms == 34_000
    assert "nobody has answered" in talk.last(c.Ask).messages[-1]["content"]


def test_outside_business_hours_nobody_is_promised() -> None:
    talk = talk_with_tools(transfers={"person": "+841"}, in_hours=False, phrases=PHRASES)
    reply = talk.answered(2000)
    calls_tool(talk, reply, ("transfer_to_person", "{}"), ("request_callback", '{"when": "at 9"}'))
    assert "nobody can take the call" in talk.last(c.Ask).messages[-2]["content"]
    assert talk.notices(n.Callback)[-1].when == "at 9"


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("yes", "yes"), ("yeah that's right", "yes"), ("no", "no"), ("no, that's wrong", "no"),
        ("not right", "no"), ("dạ đúng rồi", "yes"), ("vâng", "yes"), ("dạ không", "no"),
        ("không đúng", "no"), ("đừng", "no"), ("ừ được", "yes"), ("đúng không?", None),
        ("maybe", None), ("thứ sáu", None), ("go ahead", "yes"), ("wait", "no"),
    ],
)  # fmt: skip
def test_yes_and_no_in_both_languages(words: str, meaning: str | None) -> None:
    assert yes_or_no(words) == meaning
