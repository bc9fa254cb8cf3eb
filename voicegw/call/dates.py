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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from voicegw.call.number_words import digits_of, number_of
from voicegw.call.spoken_numbers import is_vietnamese

Match = re.Match[str]
# What is made of a match: a day, or None when there is no such day.
Reading = Callable[[Match, date], date | None]

_EN_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EN_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_VI_WEEKDAYS = ("thứ hai", "thứ ba", "thứ tư", "thứ năm", "thứ sáu", "thứ bảy", "chủ nhật")
_VI_UNITS = ("", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")
_VI_BEHIND_TENS = {1: ("mốt", "một"), 4: ("tư", "bốn"), 5: ("lăm", "nhăm")}
_EN_UNITS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_EN_TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_EN_ORDINALS = {
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
# Behind one of these the caller says it anew.
_CORRECTION = re.compile(
    r"\b(?:à không|à quên|à nhầm|nhầm|i mean|i meant|sorry|actually|no wait|or rather)\b"
)
# A year has at most so many words: "hai nghìn không trăm hai mươi sáu".
_YEAR_WORDS = 7
_YEARS = range(1900, 2101)


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    reading: Reading
    weekday: bool = False  # a weekday alone: beside a date it only confirms that


def date_of(text: str, language: str, today: date) -> date | None:
    """Return the day that a text names, `today` being the day of the call; None in doubt."""
    words = " ".join(unicodedata.normalize("NFC", text.lower()).replace("’", "'").split())
    if is_vietnamese(language):
        if re.search(r"âm lịch|lịch ta\b|am lich|lich ta\b", words):
            return None
        # Many type Vietnamese without its marks.
        rules = _vietnamese(bare=words == _bare(words))
    else:
        words = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", words)
        rules = _english(month_first=not language.lower().startswith("en-gb"))
    if keys := re.fullmatch(r"(\d\d)(\d\d)(\d{4})?", words):
        # As on a keypad: the day comes first in most countries, and a month above 12 tells the others.
        swapped = int(keys[2]) > 12
        day, month = (keys[2], keys[1]) if swapped else (keys[1], keys[2])
        return _figures(day, month, keys[3], today)
    for part in reversed(_CORRECTION.split(words)):
        days, weekdays = _named(part, rules, today)
        if days or weekdays:
            return _agreed(days, weekdays)
    return None


def _named(words: str, rules: Iterable[_Rule], today: date) -> tuple[set[date | None], set[date]]:
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
        return f"{_VI_WEEKDAYS[day.weekday()]}, ngày {day.day} tháng {day.month}{year}"
    weekday, month = _EN_WEEKDAYS[day.weekday()].title(), _EN_MONTHS[day.month - 1].title()
    year = "" if near else f" {day.year}" if language.lower().startswith("en-gb") else f", {day.year}"
    if language.lower().startswith("en-gb"):
        return f"{weekday}, {day.day} {month}{year}"
    return f"{weekday}, {month} {day.day}{year}"


# Calendar


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _next(month: int, day: int, today: date) -> date | None:
    """The next such day from today on; 29 February is at most eight years away."""
    candidates = (_day(today.year + years, month, day) for years in range(9))
    return next((found for found in candidates if found is not None and found >= today), None)


def _next_of_month(day: int, today: date, *, months: int = 0) -> date | None:
    """The next such day of a month; with `months`, of the month that is so many after this one."""
    for ahead in [months] if months else range(4):
        year, month = divmod(today.year * 12 + today.month - 1 + ahead, 12)
        found = _day(year, month + 1, day)
        if found is not None and (months or found >= today):
            return found
    return None


def _weekday(number: int, week: str, today: date) -> date:
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


def _dated(day: int, month: int, year_words: str | None, language: str, today: date) -> date | None:
    year = _year(year_words or "", language)
    return _next(month, day, today) if year is None else _day(year, month, day)


def _year(words: str, language: str) -> int | None:
    """Return the year that a text begins with: "2026, please", "nineteen eighty five"."""
    said = words.replace(",", " ").split()[:_YEAR_WORDS]
    if not said or not (digits_of(said[0], language) or number_of(said[0], language) is not None):
        return None
    for length in range(len(said), 0, -1):
        text = " ".join(said[:length])
        digits = digits_of(text, language)
        for value in (int(digits) if len(digits) == 4 else 0, number_of(text, language) or 0):
            if value in _YEARS:
                return int(value)
    return None


def _figures(day: str, month: str, year: str | None, today: date) -> date | None:
    if not year:
        return _next(int(month), int(day), today)
    number = int(year)
    if number < 100:
        # "85" is a year of birth, "30" one to come.
        number += 2000 if number <= today.year % 100 + 10 else 1900
    return _day(number, int(month), int(day))


def _iso(match: Match, today: date) -> date | None:
    return _day(int(match[1]), int(match[2]), int(match[3]))


_ISO = _Rule(re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b"), _iso)
_SLASHES = r"(?<![\d/])(\d{1,2})(?:/(\d{1,2})(?:/(\d{4}|\d{2}))?|([.-])(\d{1,2})\4(\d{4}))(?![\d/])"


def _slashed(match: Match) -> tuple[str, str, str | None]:
    return match[1], match[2] or match[5], match[3] or match[6]


def _any_of(words: Iterable[str]) -> str:
    """A pattern for one of these words; the longest first, or "mười" would hide "mười hai"."""
    return "|".join(sorted(words, key=len, reverse=True))


# Vietnamese


def _bare(text: str) -> str:
    """A text without its marks."""
    plain = unicodedata.normalize("NFD", text.replace("đ", "d"))
    return unicodedata.normalize("NFC", "".join(c for c in plain if not unicodedata.combining(c)))


def _vi_numbers() -> dict[str, int]:
    found = {word: number for number, word in enumerate(_VI_UNITS) if word} | {"tư": 4, "mười": 10}
    found |= {f"mười {_VI_UNITS[unit]}": 10 + unit for unit in range(1, 10)}
    found |= {"mười lăm": 15, "mười nhăm": 15, "mười tư": 14, "hai mươi": 20, "ba mươi": 30}
    for unit in range(1, 10):
        for word in _VI_BEHIND_TENS.get(unit, (_VI_UNITS[unit],)):
            found |= {f"{tens} {word}": 20 + unit for tens in ("hai mươi", "hăm", "hai")}
    return found | {"ba mươi mốt": 31, "ba mươi một": 31, "ba mốt": 31}


@cache
def _vietnamese(*, bare: bool) -> tuple[_Rule, ...]:
    def said(text: str) -> str:
        return _bare(text) if bare else text

    numbers = {said(word): number for word, number in _vi_numbers().items()}
    weekdays = {said(word): number for number, word in enumerate(_VI_WEEKDAYS)} | {"cn": 6}
    weekdays |= {said(f"{short}{n + 2}"): n for n in range(6) for short in ("thứ ", "t")}
    weeks = {
        "tuần này": "this week",
        "tuần sau": "next week",
        "tuần tới": "next week",
        "tuần sau nữa": "after next",
        "tuần trước": "last",
        "trước": "last",
        "vừa rồi": "last",
        "này": "",
        "tới": "",
        "sau": "",
    }
    weeks = {said(word): week for word, week in weeks.items()}
    relative = {
        "hôm nay": 0,
        "bữa nay": 0,
        "mai": 1,
        "ngày mai": 1,
        "ngày kia": 2,
        "ngày mốt": 2,
        "bữa mốt": 2,
        "hôm qua": -1,
        "hôm kia": -2,
    }
    relative = {said(word): days for word, days in relative.items()}
    number = rf"(?:\d{{1,2}}|{_any_of(numbers)})"
    # "Tháng hai năm …" is the second month, not the 25th.
    months = rf"(?:\d{{1,2}}|{_any_of(word for word, n in numbers.items() if n <= 12)}|{said('giêng')})"

    def value(text: str) -> int:
        return numbers.get(text) or int(text)

    def month(text: str) -> int:
        return 1 if text == said("giêng") else value(text)

    def whole(match: Match, today: date) -> date | None:
        return _dated(value(match[1]), month(match[2]), match[3], "vi", today)

    def slashed(match: Match, today: date) -> date | None:
        return _figures(*_slashed(match), today)

    def of_month(match: Match, today: date) -> date | None:
        ahead = 1 if match[2] and match[2] != said("này") else 0
        return _next_of_month(value(match[1]), today, months=ahead)

    def ahead(match: Match, today: date) -> date:
        many, unit = match[1] or match[3], match[2] or match[4]
        return today + timedelta(days=value(many) * (7 if unit == said("tuần") else 1))

    def weekday(match: Match, today: date) -> date:
        return _weekday(weekdays[match[1]], weeks.get(match[2] or "", ""), today)

    def near(match: Match, today: date) -> date:
        return today + timedelta(days=relative[match[1]])

    def rule(pattern: str, reading: Reading, *, is_weekday: bool = False) -> _Rule:
        return _Rule(re.compile(said(pattern)), reading, is_weekday)

    unit = "(ngày|hôm|bữa|tuần)"
    return (
        _ISO,
        _Rule(re.compile(_SLASHES), slashed),
        rule(
            rf"(?<!thứ )\b({number}) tháng ({months})\b(?:,? năm ((?:\w+ ?){{1,{_YEAR_WORDS}}}))?",
            whole,
        ),
        rule(rf"(?<!thứ )\b({number}) {unit} (?:nữa|sau|tới)\b|\bsau ({number}) {unit}\b", ahead),
        rule(rf"\b({_any_of(weekdays)})\b(?: ({_any_of(weeks)})\b)?", weekday, is_weekday=True),
        rule(rf"\b({_any_of(relative)})\b", near),
        rule(rf"\b(?:ngày|mùng|mồng)(?: mùng| mồng)? ({number})\b(?: tháng (này|sau|tới)\b)?", of_month),
    )


# English


def _en_numbers() -> dict[str, int]:
    cardinals = {word: number for number, word in enumerate(_EN_UNITS) if word}
    cardinals |= {word: 10 + number for number, word in enumerate(_EN_TEENS)}
    cardinals |= {"twenty": 20, "thirty": 30, "thirty one": 31}
    cardinals |= {f"twenty {_EN_UNITS[unit]}": 20 + unit for unit in range(1, 10)}
    ordinals = {}
    for word, number in cardinals.items():
        first, _, last = word.rpartition(" ")
        ordinals[f"{first} {_EN_ORDINALS.get(last, f'{last}th')}".strip()] = number
    return cardinals | ordinals


@cache
def _english(*, month_first: bool) -> tuple[_Rule, ...]:
    numbers = _en_numbers()
    ordinals = [word for word in numbers if word not in _EN_UNITS and re.search(r"(st|nd|rd|th)$", word)]
    months = {name: number for number, name in enumerate(_EN_MONTHS, 1)}
    months |= {name[:3]: number for name, number in months.items() if name != "may"} | {"sept": 9}
    weekdays = {name: number for number, name in enumerate(_EN_WEEKDAYS)}
    number = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|{_any_of(numbers)})"
    ordinal = rf"(?:\d{{1,2}}(?:st|nd|rd|th)|{_any_of(ordinals)})"
    month = rf"({_any_of(months)})\b\.?"
    year = rf"(?:,? (?:of )?((?:[\w]+,? ?){{1,{_YEAR_WORDS}}}))?"
    name = rf"({_any_of(weekdays)})"

    def value(text: str) -> int:
        return numbers.get(text) or (1 if text in ("a", "an") else int(re.sub(r"\D", "", text)))

    def slashed(match: Match, today: date) -> date | None:
        first, second, year = _slashed(match)
        day_first = not month_first or int(first) > 12
        return _figures(*((first, second) if day_first else (second, first)), year, today)

    def month_day(match: Match, today: date) -> date | None:
        return _dated(value(match[2]), months[match[1]], match[3], "en", today)

    def day_month(match: Match, today: date) -> date | None:
        return _dated(value(match[1]), months[match[2]], match[3], "en", today)

    def near(match: Match, today: date) -> date:
        days = {"today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1}.get(match[1], 2)
        return today + timedelta(days=days)

    def ahead(match: Match, today: date) -> date:
        many, unit = match[1] or match[3], match[2] or match[4]
        return today + timedelta(days=value(many) * (7 if unit.startswith("week") else 1))

    def of_month(match: Match, today: date) -> date | None:
        return _next_of_month(value(match[1]), today, months=1 if match[2] == "next month" else 0)

    def weekday(match: Match, today: date) -> date:
        before, which, behind = match[1] or "", match[2], match[3] or ""
        if behind in ("week", "after next") or before in ("a week on", "a week from"):
            return _weekday(weekdays[which], "", today) + timedelta(days=7)
        if before == "next" or "next week" in (behind, before.removesuffix(" on")):
            return _weekday(weekdays[which], "next week", today)
        week = "last" if before == "last" else "this week" if behind == "this week" else ""
        return _weekday(weekdays[which], week, today)

    def rule(pattern: str, reading: Reading, *, is_weekday: bool = False) -> _Rule:
        return _Rule(re.compile(pattern), reading, is_weekday)

    before = "this coming|this|next week on|next week|next|coming|last|a week on|a week from|on"
    unit = "(days?|weeks?)"
    return (
        _ISO,
        _Rule(re.compile(_SLASHES), slashed),
        rule(rf"\b{month} (?:the )?({number})\b(?!\d){year}", month_day),
        rule(rf"\b({number}) (?:day )?(?:of )?{month}{year}", day_month),
        rule(r"\b(day after tomorrow|tomorrow|today|tonight|yesterday)\b", near),
        rule(rf"\bin (an?|{number}) {unit}\b|\b(an?|{number}) {unit} (?:from (?:now|today)|later)\b", ahead),
        rule(
            rf"\b(?:({before}) )?{name}\b(?: (week|next week|after next|this week)\b)?",
            weekday,
            is_weekday=True,
        ),
        rule(rf"\b({ordinal})\b(?: of (this month|next month))?", of_month),
    )
