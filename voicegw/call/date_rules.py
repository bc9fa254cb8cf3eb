"""What the languages share in reading a day: rules of patterns, and the calendar."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from voicegw.call.number_words import digits_of, number_of

Match = re.Match[str]
# What is made of a match: a day, or None when there is no such day.
Reading = Callable[[Match, date], date | None]

# A year has at most so many words: "hai nghìn không trăm hai mươi sáu".
YEAR_WORDS = 7
_YEARS = range(1900, 2101)


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to name a day."""

    pattern: re.Pattern[str]
    reading: Reading
    weekday: bool = False  # a weekday alone: beside a date it only confirms that


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _next(month: int, day: int, today: date) -> date | None:
    """The next such day from today on; 29 February is at most eight years away."""
    candidates = (_day(today.year + years, month, day) for years in range(9))
    return next((found for found in candidates if found is not None and found >= today), None)


def next_of_month(day: int, today: date, *, months: int = 0) -> date | None:
    """The next such day of a month; with `months`, of the month that is so many after this one."""
    for ahead in [months] if months else range(4):
        year, month = divmod(today.year * 12 + today.month - 1 + ahead, 12)
        found = _day(year, month + 1, day)
        if found is not None and (months or found >= today):
            return found
    return None


def weekday_of(number: int, week: str, today: date) -> date:
    """The weekday `number` (0 is Monday): of a `week`, or the next one after today for ""."""
    monday = today - timedelta(days=today.weekday())
    match week:
        case "this week":
            return monday + timedelta(days=number)
        case "next week":
            return monday + timedelta(days=7 + number)
        case "after next":
            return monday + timedelta(days=14 + number)
        case "last":
            return today - timedelta(days=(today.weekday() - number - 1) % 7 + 1)
        case _:
            return today + timedelta(days=(number - today.weekday() - 1) % 7 + 1)


def dated(day: int, month: int, year_words: str | None, language: str, today: date) -> date | None:
    """The day of a month, of the year that `year_words` begin with; without one the next such day."""
    year = _year(year_words or "", language)
    return _next(month, day, today) if year is None else _day(year, month, day)


def _year(words: str, language: str) -> int | None:
    """Return the year that a text begins with: "2026, please", "nineteen eighty five"."""
    said = words.replace(",", " ").split()[:YEAR_WORDS]
    if not said or not (digits_of(said[0], language) or number_of(said[0], language) is not None):
        return None
    for length in range(len(said), 0, -1):
        text = " ".join(said[:length])
        digits = digits_of(text, language)
        for value in (int(digits) if len(digits) == 4 else 0, number_of(text, language) or 0):
            if value in _YEARS:
                return int(value)
    return None


def in_figures(day: str, month: str, year: str | None, today: date) -> date | None:
    """The day that is written so, the year in four figures, in two, or left out."""
    if not year:
        return _next(int(month), int(day), today)
    number = int(year)
    if number < 100:
        # "85" is a year of birth, "30" one to come.
        number += 2000 if number <= today.year % 100 + 10 else 1900
    return _day(number, int(month), int(day))


def _iso(match: Match, today: date) -> date | None:
    return _day(int(match[1]), int(match[2]), int(match[3]))


ISO = Rule(re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b"), _iso)
SLASHES = r"(?<![\d/])(\d{1,2})(?:/(\d{1,2})(?:/(\d{4}|\d{2}))?|([.-])(\d{1,2})\4(\d{4}))(?![\d/])"


def slashed_parts(match: Match) -> tuple[str, str, str | None]:
    """The three parts of a match of SLASHES as they stand; the year may be missing."""
    return match[1], match[2] or match[5], match[3] or match[6]


def any_of(words: Iterable[str]) -> str:
    """A pattern for one of these words; the longest first, or "mười" would hide "mười hai"."""
    return "|".join(sorted(words, key=len, reverse=True))
