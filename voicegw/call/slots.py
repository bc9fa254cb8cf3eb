"""Which answer the agent has just asked for, and what the caller's words say of it."""

import re
from collections.abc import Iterable
from datetime import date

from voicegw.call.completeness import Expected
from voicegw.call.dates import date_of, written
from voicegw.call.dictation import code_of, email_of
from voicegw.call.number_words import digits_of, number_of
from voicegw.call.settings import Slot
from voicegw.call.spelling import spell
from voicegw.call.yes_no import yes_or_no

# How long the caller may pause in the answer follows from its shape.
SHAPES = {
    "yes_no": Expected.YES_NO,
    "number": Expected.DIGITS,
    "id": Expected.DIGITS,
    "date": Expected.FREE,
    "email": Expected.EMAIL,
    "free": Expected.FREE,
}


def expected(slots: Iterable[Slot], agent_text: str) -> Slot | None:
    """Return the slot that the agent's last words ask for; the first that fits."""
    for slot in slots:
        if agent_text and re.search(slot.when, agent_text, re.IGNORECASE):
            return slot
    return None


def read(slot: Slot, text: str, language: str, today: str = "") -> str:
    """Return the answer in writing ("không chín một hai" is 0912); "" when the words hold none.

    A date is "2026-12-04". `today` is the day of the call in that form, to which "tomorrow" refers; where it
    is "" no date is read.
    """
    found: object
    match slot.kind:
        case "yes_no":
            found = yes_or_no(text)
        case "number":
            found = number_of(text, language)
        case "id":
            found = _id(slot, text, language)
        case "email":
            found = email_of(text, language)
        case "date":
            found = date_of(text, language, date.fromisoformat(today)) if today else None
        case _:
            found = text.strip()
    value = "" if found is None else str(found)
    if slot.pattern and not re.fullmatch(slot.pattern, value):
        return ""
    return value


def _id(slot: Slot, text: str, language: str) -> str:
    """The first reading that fits the pattern: as a code with letters, or digits alone."""
    code, digits = code_of(text, language), digits_of(text, language)
    for candidate in (code, digits):
        if candidate and (not slot.pattern or re.fullmatch(slot.pattern, candidate)):
            return candidate
    return ""


def noted(slot: Slot, text: str, language: str, today: str = "") -> str:
    """Return the caller's words as the model gets them: with the answer in writing, where they hold one."""
    value = read(slot, text, language, today)
    if not value or value == text.strip() or slot.kind in ("free", "yes_no"):
        return text
    return f"{text} [{slot.name}: {value}]"


def read_back(slot: Slot, text: str, language: str, today: str = "") -> str:
    """Return the question that repeats the answer; "" when the slot wants none or nothing was understood."""
    value = read(slot, text, language, today) if slot.read_back else ""
    if not value:
        return ""
    if slot.kind == "date":
        value = written(date.fromisoformat(value), language, date.fromisoformat(today))
    spoken = spell(value, language) if slot.kind in ("id", "email") else value
    return slot.read_back.replace("{value}", value).replace("{spelled}", spoken)
