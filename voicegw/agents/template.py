"""Prompts and greetings with places for what is known of a call: {caller}, {time}, {metadata.queue}."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

PLACES = ("caller", "called", "date", "time", "weekday", "hours")
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_WEEKDAYS = {
    "vi": ("thứ Hai", "thứ Ba", "thứ Tư", "thứ Năm", "thứ Sáu", "thứ Bảy", "Chủ nhật"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a call when it begins. `now` is local to the persona."""

    now: datetime
    caller: str = ""
    called: str = ""
    open: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)


def unknown_places(template: str) -> list[str]:
    """Return the places in a template that nothing is known for."""
    found = [match[1] for match in _PLACE.finditer(template) if match[1] is not None]
    return [name for name in found if name not in PLACES and not name.startswith("metadata.")]


def filled(template: str, facts: Facts, language: str) -> str:
    """Return the text with its places filled; {{ and }} are braces. What is not known is left empty."""
    weekdays = _WEEKDAYS.get(language.partition("-")[0], _WEEKDAYS["en"])
    values = {
        "caller": facts.caller,
        "called": facts.called,
        "date": facts.now.strftime("%d/%m/%Y"),
        "time": facts.now.strftime("%H:%M"),
        "weekday": weekdays[facts.now.weekday()],
        "hours": "open" if facts.open else "closed",
    }

    def fill(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        # A carrier's metadata is the caller's word: it must not look like a line of the prompt.
        known = values.get(match[1]) or facts.metadata.get(match[1].removeprefix("metadata."), "")
        return " ".join(known.split())

    return _PLACE.sub(fill, template)
