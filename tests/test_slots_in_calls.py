"""An answer that the agent asks for, in a call: what is listened for, read back, typed, and done about it."""

from typing import Any

import pytest
from call_alone import Talk, call_settings, samples

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.settings import KeypadRules, Slot, ToolRules
from voicegw.config import TurnSettings

ORDER = Slot(
    "order_id",
    "id",
    r"order number\?",
    pattern="(DH)?[0-9]{6}",
    hint="DH123456",
    keys=6,
    read_back="{spelled}, right?",
)
DAY = Slot("day", "date", r"which day", read_back="On {value}, right?")
MENU = KeypadRules(menu={"0": "A person, please", "1": "My order"})
# With room between the shortest and the longest end of a turn: the slot chooses.
TURNS = TurnSettings(pause_ms=300, end_ms=700, acoustic_end_ms=1500, min_end_ms=400, max_end_ms=1800)


def asked(question: str, *slots: Slot, **more: Any) -> Talk:
    """A call in which the agent has just asked this, and was heard."""
    settings = call_settings(slots=slots, keypad=MENU, today="2026-11-25", turns=TURNS, **more)
    talk = Talk(settings)
    talk.greet()
    says(talk, talk.answered(2000, "Hello"), question, 2100)
    return talk


def says(talk: Talk, reply: int, text: str, at: float) -> None:
    """The model writes this, and it is heard within a second."""
    talk.at(at, e.ReplyText(reply, text), e.ReplyDone(reply, "stop"))
    talk.hear_out(talk.last(c.Speak).speech_id, at, at + 1000)


def turn_end_ms(talk: Talk, text: str) -> float:
    """How long after the caller's last word the turn is over."""
    talk.voice(4000, 5000)
    while not any(told.source == "voice" and told.status == "final" for told in talk.notices(n.Transcript)):
        before = len(talk.all(c.Transcribe))
        talk.silence_until(talk.ms + 50)
        for wanted in talk.all(c.Transcribe)[before:]:
            talk.now(e.Transcript(wanted.utterance_id, text))
        assert talk.ms < 9000
    return talk.ms - 5000


def test_a_number_may_be_said_in_pieces_and_whisper_knows_what_it_is() -> None:
    """Who reads six figures off a paper looks up in the middle."""
    free = turn_end_ms(asked("What can I do?", ORDER), "one two three")
    talk = asked("What is your order number?", ORDER)
    number = turn_end_ms(talk, "one two three")
    assert number >= free + 200
    assert talk.last(c.Transcribe).prompt == "DH123456"


@pytest.mark.parametrize(
    ("slot", "question", "said", "read_back", "noted"),
    [
        (ORDER, "Order number?", "1 2 3, double 4, 5", "one two three, four four five, right?", "123445"),
        (DAY, "On which day?", "on Friday", "On Friday, November 27, right?", "2026-11-27"),
        (DAY, "On which day?", "the first of March", "On Monday, March 1, right?", "2027-03-01"),
    ],
)  # fmt: skip
def test_an_answer_is_read_back_without_the_model(
    slot: Slot, question: str, said: str, read_back: str, noted: str
) -> None:
    """It takes no time and no tokens, and it says what was understood."""
    talk = asked(question, slot)
    n_asked = len(talk.all(c.Ask))
    talk.at(5000, e.CallerText(said))
    assert talk.last(c.Speak).text == read_back
    assert len(talk.all(c.Ask)) == n_asked
    talk.hear_out(talk.last(c.Speak).speech_id, 5100, 6000)
    talk.at(6500, e.CallerText("yes"))
    messages = talk.last(c.Ask).messages
    assert [message["content"] for message in messages[-3:]] == [
        f"{said} [{slot.name}: {noted}]",
        read_back,
        "yes",
    ]


@pytest.mark.parametrize("said", ["I do not know", "one two three", "Friday or Saturday"])
def test_what_is_no_answer_goes_to_the_model_as_it_is(said: str) -> None:
    """A wrong read-back would be worse than a question."""
    slot = DAY if "Friday" in said else ORDER
    talk = asked("On which day?" if slot is DAY else "What is your order number?", slot)
    talk.at(5000, e.CallerText(said))
    assert talk.last(c.Ask).messages[-1]["content"] == said


def typed(talk: Talk) -> list[str]:
    return [told.text for told in talk.notices(n.Transcript) if told.source == "keypad"]


def test_keys_end_by_number_sign_or_pause() -> None:
    """Six keys are an order number; others need a sign that they are all."""
    talk = asked("What is your order number?", ORDER)
    talk.at(5000, *map(e.Dtmf, "123456"))
    assert typed(talk) == ["123456"]
    talk = asked("Which room?")
    talk.at(5000, *map(e.Dtmf, "302#"))
    assert typed(talk) == ["302"]
    talk = asked("Which room?")
    talk.at(5000, *map(e.Dtmf, "41"))
    assert typed(talk) == []
    talk.at(8000, e.Tick())
    assert typed(talk) == ["41"]


def test_a_single_key_is_a_choice_and_interrupts() -> None:
    """Who knows the menu does not wait for its end."""
    talk = asked("Welcome back.")
    reply = talk.answered(5000, "Tell me all")
    talk.now(e.ReplyText(reply, "There is a lot to tell about that."), e.ReplyDone(reply, "stop"))
    speech = talk.last(c.Speak).speech_id
    talk.at(5100, e.SpeechArrived(speech, samples(3000), True), e.SpeechBegan(speech))
    talk.at(5600, e.Played(speech, samples(500), False), e.Dtmf("0"))
    assert talk.all(c.ClearSpeech)
    while not typed(talk):
        talk.tick()
    assert typed(talk) == ["A person, please"]
    assert talk.ms - 5600 <= 1500


def test_keys_pressed_ahead_are_kept() -> None:
    """The question is still being asked; what is typed into it answers it."""
    talk = asked("Hello again.", ORDER)
    reply = talk.answered(5000, "My order")
    talk.now(e.ReplyText(reply, "What is your order number?"), e.ReplyDone(reply, "stop"))
    speech = talk.last(c.Speak).speech_id
    talk.at(5100, e.SpeechArrived(speech, samples(1000), True), e.SpeechBegan(speech))
    talk.at(6090, e.Played(speech, samples(990), False), *map(e.Dtmf, "12"))
    talk.at(6500, *map(e.Dtmf, "3456"))
    while not typed(talk):
        talk.tick()
    assert typed(talk) == ["123456"]


def test_no_tool_runs_from_a_guess() -> None:
    """The model may be asked before the turn is over; what it wants done waits until that is sure."""
    book = ToolRules("book")
    talk = asked("What can I do?", tools=(book,))
    talk.voice(4000, 5000)
    while not any(ask.speculative for ask in talk.all(c.Ask)):
        before = len(talk.all(c.Transcribe))
        talk.silence_until(talk.ms + 20)
        for wanted in talk.all(c.Transcribe)[before:]:
            talk.now(e.Transcript(wanted.utterance_id, "Book a table for Friday, please.", headroom=1.0))
        assert talk.ms < 9000
    guess = talk.last(c.Ask)
    talk.now(e.ReplyToolCall(guess.reply_id, 0, "book", "{}"), e.ReplyDone(guess.reply_id, "tool_calls"))
    assert talk.all(c.Commit) == []
    talk.silence_until(talk.ms + 3000)
    assert len(talk.all(c.Commit)) == 1
    (commit,) = talk.all(c.Commit)
    talk.now(e.Committed(commit.commit_id))
    assert [run.name for run in talk.all(c.RunTool)] == ["book"]
