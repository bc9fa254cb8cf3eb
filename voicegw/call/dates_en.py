"""How days are named in English."""

import re
from datetime import date, timedelta
from functools import cache

from voicegw.call.date_rules import (
    ISO,
    SLASHES,
    YEAR_WORDS,
    Match,
    Reading,
    Rule,
    any_of,
    dated,
    in_figures,
    next_of_month,
    slashed_parts,
    weekday_of,
)

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_UNITS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
    "twenty": "twentieth",
    "thirty": "thirtieth",
}


def _numbers() -> dict[str, int]:
    cardinals = {word: number for number, word in enumerate(_UNITS) if word}
    cardinals |= {word: 10 + number for number, word in enumerate(_TEENS)}
    cardinals |= {"twenty": 20, "thirty": 30, "thirty one": 31}
    cardinals |= {f"twenty {_UNITS[unit]}": 20 + unit for unit in range(1, 10)}
    ordinals = {}
    for word, number in cardinals.items():
        first, _, last = word.rpartition(" ")
        ordinals[f"{first} {_ORDINALS.get(last, f'{last}th')}".strip()] = number
    return cardinals | ordinals


@cache
def rules(*, month_first: bool) -> tuple[Rule, ...]:
    """All ways, the surest first; `month_first`: 3/4 is March 4."""

    numbers = _numbers()
    ordinals = [word for word in numbers if word not in _UNITS and re.search(r"(st|nd|rd|th)$", word)]
    months = {name: number for number, name in enumerate(MONTHS, 1)}
    months |= {name[:3]: number for name, number in months.items() if name != "may"} | {"sept": 9}
    weekdays = {name: number for number, name in enumerate(WEEKDAYS)}
    number = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|{any_of(numbers)})"
    figures = r"\d{1,2}(?:st|nd|rd|th)"
    ordinal = rf"(?:{figures}|{any_of(ordinals)})"
    month = rf"({any_of(months)})\b\.?"
    year = rf"(?:,? (?:of )?((?:[\w]+,? ?){{1,{YEAR_WORDS}}}))?"
    name = rf"({any_of(weekdays)})"

    def value(text: str) -> int:
        return numbers.get(text) or (1 if text in ("a", "an") else int(re.sub(r"\D", "", text)))

    def slashed(match: Match, today: date) -> date | None:
        first, second, year = slashed_parts(match)
        day_first = not month_first or int(first) > 12
        return in_figures(*((first, second) if day_first else (second, first)), year, today)

    def month_day(match: Match, today: date) -> date | None:
        return dated(value(match[2]), months[match[1]], match[3], "en", today)

    def day_month(match: Match, today: date) -> date | None:
        return dated(value(match[1]), months[match[2]], match[3], "en", today)

    def near(match: Match, today: date) -> date:
        days = {"today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1}.get(match[1], 2)
        return today + timedelta(days=days)

    def ahead(match: Match, today: date) -> date:
        many, unit = match[1] or match[3], match[2] or match[4]
        return today + timedelta(days=value(many) * (7 if unit.startswith("week") else 1))

    def of_month(match: Match, today: date) -> date | None:
        day = value(match[1] or match[2])
        return next_of_month(day, today, months=1 if match[3] == "next month" else 0)

    def weekday(match: Match, today: date) -> date:
        before, which, behind = match[1] or "", match[2], match[3] or ""
        if behind in ("week", "after next") or before in ("a week on", "a week from"):
            return weekday_of(weekdays[which], "", today) + timedelta(days=7)
        if before == "next" or "next week" in (behind, before.removesuffix(" on")):
            return weekday_of(weekdays[which], "next week", today)
        week = "last" if before == "last" else "this week" if behind == "this week" else ""
        return weekday_of(weekdays[which], week, today)

    def rule(pattern: str, reading: Reading, *, is_weekday: bool = False) -> Rule:
        return Rule(re.compile(pattern), reading, is_weekday)

    before = "this coming|this|next week on|next week|next|coming|last|a week on|a week from|on"
    unit = "(days?|weeks?)"
    return (
        ISO,
        Rule(re.compile(SLASHES), slashed),
        rule(rf"\b{month} (?:the )?({number})\b(?!\d){year}", month_day),
        rule(rf"\b({number}) (?:day )?(?:of )?{month}{year}", day_month),
        rule(r"\b(day after tomorrow|tomorrow|today|tonight|yesterday)\b", near),
        rule(rf"\bin (an?|{number}) {unit}\b|\b(an?|{number}) {unit} (?:from (?:now|today)|later)\b", ahead),
        rule(
            rf"\b(?:({before}) )?{name}\b(?: (week|next week|after next|this week)\b)?",
            weekday,
            is_weekday=True,
        ),
        # "The second" is a day, "just a second" is none.
        rule(rf"\b(?:the ({ordinal})|({figures}))\b(?: of (this month|next month))?", of_month),
    )
