"""What the agent knows at this point of the conversation, read from the messages alone.

The messages may be the last few only, and the agent's own may be cut where the caller interrupted.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from voicegw.embedded.agent.numbers import ORDER_DIGITS, SpokenDigits
from voicegw.embedded.agent.picture import laptop_in
from voicegw.embedded.agent.results import ToolAnswer
from voicegw.embedded.agent.sayings import Ask, asked, stated_order
from voicegw.embedded.agent.shop import LAPTOPS, Language, Laptop
from voicegw.embedded.agent.understanding import Intent, Understood, language_of, understand

Message = Mapping[str, Any]

_NUMBER_ASKS = (Ask.ORDER_NUMBER, Ask.ORDER_NUMBER_AGAIN, Ask.KEYPAD, Ask.MORE_DIGITS, Ask.CONFIRM)
_TOPICS = (Intent.RESCHEDULE, Intent.DISCOUNT, Intent.DELIVERY, Intent.ORDER, Intent.PRODUCT)
_NOTHING = understand("", "en")


@dataclass
class Conversation:
    """The state after all messages; digits are those of an order number, without "DH"."""

    language: Language = "en"
    topic: Intent | None = None
    asked: Ask | None = None
    """The agent's last question, to which `said` is the answer."""
    said: Understood = _NOTHING
    """The caller's last utterance."""
    last_agent_text: str = ""
    heard: str = ""
    """Digits heard, not yet confirmed: some of them, or a whole number, or too many."""
    order: str | None = None
    """The order that the caller confirmed."""
    misses: int = 0
    """How often in a row the number was not understood, by the agent's own questions."""
    laptop: Laptop | None = None
    coupon: str | None = None
    results: list[ToolAnswer] = field(default_factory=list)
    """All tool results in the messages, the oldest first."""
    new_results: int = 0
    """How many of them came after the caller's last utterance, at the end of the messages."""
    picture: bool = False
    """Whether the last utterance came with a picture."""
    seen: Laptop | None = None
    """What that picture shows."""
    day: str = ""
    """The day for which a delivery is wished."""
    farewell: str = ""
    """What the agent said together with the tool calls whose results have just come."""


def read_conversation(messages: Sequence[Message]) -> Conversation:
    """Return the state that the messages lead to; messages of unknown kind change nothing."""
    state = Conversation(language=_language(messages))
    calls: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for message in messages:
        match message.get("role"):
            case "user":
                state.new_results = 0
                _hear(state, message)
            case "assistant":
                state.new_results = 0
                _recall(state, message, calls)
            case "tool":
                name, arguments = calls.get(str(message.get("tool_call_id")), ("", {}))
                state.results.append(ToolAnswer(name, arguments, text_of(message)))
                state.new_results += 1
    return state


def text_of(message: Message) -> str:
    """Return the text of a message whose content is a text or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [p.get("text") for p in parts if isinstance(p, dict) and p.get("type") == "text"]
    return " ".join(text for text in texts if isinstance(text, str))


def _has_picture(message: Message) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(
        isinstance(part, dict) and part.get("type") == "image_url" for part in content
    )


def _language(messages: Sequence[Message]) -> Language:
    """Return the caller's language: of the last utterance that tells it, else of the persona's prompt."""
    system = " ".join(text_of(m) for m in messages if m.get("role") in ("system", "developer"))
    persona = language_of(system)
    # Prompts in English that ask for Vietnamese: "Always answer in Vietnamese."
    if "vietnamese" in system.lower() or "tiếng việt" in system.lower():
        persona = "vi"
    for message in reversed(messages):
        if message.get("role") == "user" and (found := language_of(text_of(message))) is not None:
            return found
    for message in reversed(messages):
        if persona is None and message.get("role") == "assistant":
            persona = language_of(text_of(message))
    return persona or "en"


def _hear(state: Conversation, message: Message) -> None:
    """Take in an utterance of the caller."""
    text = text_of(message)
    expected = state.asked in _NUMBER_ASKS
    words, noted = _without_note(text)
    said = understand(words, state.language, digits_expected=expected)
    if noted:
        said = replace(said, digits=SpokenDigits(noted, True))
    state.said, state.picture = said, _has_picture(message)
    state.seen = laptop_in(message) if state.picture else None
    state.laptop = state.seen or state.laptop
    state.day = said.day or state.day
    topic = next((intent for intent in said.intents if intent in _TOPICS), None)
    # "For gaming" in answer to "which laptop?" goes on with what the question was for.
    if topic is not None and not (state.asked is Ask.WHICH_LAPTOP and said.laptop is not None):
        state.topic = topic
    if said.coupon is not None:
        state.coupon = said.coupon
    if said.laptop is not None:
        state.laptop = said.laptop
    digits = said.digits.digits
    if not digits:
        return
    if state.asked is Ask.MORE_DIGITS and len(digits) < ORDER_DIGITS:
        state.heard += digits
    else:
        state.heard = digits
    if state.topic not in (Intent.ORDER, Intent.DELIVERY, Intent.RESCHEDULE):
        state.topic = Intent.ORDER


def _without_note(text: str) -> tuple[str, str]:
    """Return an utterance, and the digits that a gateway has noted behind it: "… [order_id: DH123456]".

    A noted date ("… [day: 2026-12-04]") is nothing but the day that the words name.
    """
    found = re.search(r"\s*\[\w+: ([^\]]*)\]$", text)
    if found is None:
        return text, ""
    noted = "" if re.fullmatch(r"\d{4}-\d\d-\d\d", found[1]) else found[1]
    return text[: found.start()], "".join(c for c in noted if c.isdigit())


def _recall(state: Conversation, message: Message, calls: dict[str, tuple[str, Mapping[str, Any]]]) -> None:
    """Take in what the agent itself said and did."""
    text = text_of(message)
    question, digits = asked(text)
    if text:
        state.last_agent_text = text
    # A "yes" to the read-back before this message was acted on in it.
    if (
        state.asked is Ask.CONFIRM
        and state.said.yes
        and question is not Ask.CONFIRM
        and len(state.heard) == ORDER_DIGITS
    ):
        state.order = state.heard
    if (order := stated_order(text)) is not None:
        state.order = order
    for laptop in LAPTOPS:
        if laptop.name in text:
            state.laptop = laptop
    if text or not message.get("tool_calls"):
        _recall_question(state, question, digits)
    state.farewell = text if message.get("tool_calls") else ""
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        try:
            arguments = json.loads(function.get("arguments") or "{}")
        except (ValueError, TypeError):
            arguments = {}
        arguments = arguments if isinstance(arguments, dict) else {}
        calls[str(call.get("id"))] = (str(function.get("name", "")), arguments)
        if (order := stated_order(str(arguments.get("order_id", "")))) is not None:
            state.order = order


def _recall_question(state: Conversation, question: Ask | None, digits: str) -> None:
    match question:
        case Ask.ORDER_NUMBER_AGAIN:
            state.misses, state.heard = 1, ""
        case Ask.KEYPAD:
            state.misses, state.heard = 2, ""
        case Ask.PERSON:
            state.misses = 3
        case Ask.CONFIRM | Ask.MORE_DIGITS:
            state.heard = digits or state.heard
        case _:
            state.misses = 0
    state.asked = question
