"""A day that a caller names, to a calendar date, and how it is said again; Vietnamese and English.

    date_of("mười lăm tháng ba", "vi", today)          the next 15 March
    date_of("thứ sáu tuần sau", "vi", today)           Friday of the week after this one
    date_of("the day after tomorrow", "en", today)

Takes transcripts as Whisper writes them: words and figures mixed. Callers order, book and postpone: a day
without a year is the next one. Where two days are named, or a weekday that does not fit its date, there is
no answer rather than a guess; nor for days of the lunar calendar. Weeks begin on Monday.

Own code, because the public parser for both languages (dateparser 1.5) reads written dates: of ten spoken
ones in each language it misses half ("mười lăm tháng ba", "thứ sáu tuần sau", "the fifteenth of March").
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date

from voicegw.call import dates_en, dates_vi
from voicegw.call.date_rules import Rule, in_figures
from voicegw.call.spoken_numbers import is_vietnamese

# Behind one of these the caller says it anew.
_CORRECTION = re.compile(
    r"\b(?:à không|à quên|à nhầm|nhầm|i mean|i meant|sorry|actually|no wait|or rather)\b"
)


def date_of(text: str, language: str, today: date) -> date | None:
    """Return the day that a text names, `today` being the day of the call; None in doubt."""
    words = " ".join(unicodedata.normalize("NFC", text.lower()).replace("’", "'").split())
    if is_vietnamese(language):
        if re.search(r"âm lịch|lịch ta\b|am lich|lich ta\b", words):
            return None
        # Many type Vietnamese without its marks.
        rules = dates_vi.rules(bare=words == dates_vi.bare_of(words))
    else:
        words = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", words)
        rules = dates_en.rules(month_first=not language.lower().startswith("en-gb"))
    if keys := re.fullmatch(r"(\d\d)(\d\d)(\d{4})?", words):
        # As on a keypad: the day comes first in most countries, and a month above 12 tells the others.
        swapped = int(keys[2]) > 12
        day, month = (keys[2], keys[1]) if swapped else (keys[1], keys[2])
        return in_figures(day, month, keys[3], today)
    for part in reversed(_CORRECTION.split(words)):
        days, weekdays = _named(part, rules, today)
        if days or weekdays:
            return _agreed(days, weekdays)
    return None


def _named(words: str, rules: Iterable[Rule], today: date) -> tuple[set[date | None], set[date]]:
    """Return the dates and the weekdays alone that are named; None is a date that does not exist."""
    days: set[date | None] = set()
    weekdays: set[date] = set()
    for rule in rules:
        for match in rule.pattern.finditer(words):
            day = rule.reading(match, today)
            if rule.weekday and day is not None:
                weekdays.add(day)
            else:
                days.add(day)
        # What one rule has read is nothing for the next, more general one.
        words = rule.pattern.sub(" · ", words)
    return days, weekdays


def _agreed(days: set[date | None], weekdays: set[date]) -> date | None:
    found = days or weekdays
    if len(found) != 1:
        return None
    (day,) = found
    if day is None or any(other.weekday() != day.weekday() for other in weekdays):
        return None
    return day


def written(day: date, language: str, today: date) -> str:
    """Return a date as a text that is spoken well: "Friday, December 4"; "thứ sáu, ngày 4 tháng 12".

    The year is left out of dates within a year from `today`.
    """
    near = 0 <= (day - today).days < 365
    if is_vietnamese(language):
        year = "" if near else f" năm {day.year}"
        # Not "24/7", which is said otherwise.
        return f"{dates_vi.WEEKDAYS[day.weekday()]}, ngày {day.day} tháng {day.month}{year}"
    weekday, month = dates_en.WEEKDAYS[day.weekday()].title(), dates_en.MONTHS[day.month - 1].title()
    year = "" if near else f" {day.year}" if language.lower().startswith("en-gb") else f", {day.year}"
    if language.lower().startswith("en-gb"):
        return f"{weekday}, {day.day} {month}{year}"
    return f"{weekday}, {month} {day.day}{year}"
