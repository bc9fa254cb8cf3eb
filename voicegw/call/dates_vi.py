"""How days are named in Vietnamese."""

import re
import unicodedata
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

WEEKDAYS = ("thứ hai", "thứ ba", "thứ tư", "thứ năm", "thứ sáu", "thứ bảy", "chủ nhật")
_UNITS = ("", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")
_BEHIND_TENS = {1: ("mốt", "một"), 4: ("tư", "bốn"), 5: ("lăm", "nhăm")}


def bare_of(text: str) -> str:
    """A text without its marks."""
    plain = unicodedata.normalize("NFD", text.replace("đ", "d"))
    return unicodedata.normalize("NFC", "".join(c for c in plain if not unicodedata.combining(c)))


def _numbers() -> dict[str, int]:
    found = {word: number for number, word in enumerate(_UNITS) if word} | {"tư": 4, "mười": 10}
    found |= {f"mười {_UNITS[unit]}": 10 + unit for unit in range(1, 10)}
    found |= {"mười lăm": 15, "mười nhăm": 15, "mười tư": 14, "hai mươi": 20, "ba mươi": 30}
    for unit in range(1, 10):
        for word in _BEHIND_TENS.get(unit, (_UNITS[unit],)):
            found |= {f"{tens} {word}": 20 + unit for tens in ("hai mươi", "hăm", "hai")}
    return found | {"ba mươi mốt": 31, "ba mươi một": 31, "ba mốt": 31}


@cache
def rules(*, bare: bool) -> tuple[Rule, ...]:
    """All ways, the surest first; `bare`: as they are typed without marks."""

    def said(text: str) -> str:
        return bare_of(text) if bare else text

    numbers = {said(word): number for word, number in _numbers().items()}
    weekdays = {said(word): number for number, word in enumerate(WEEKDAYS)} | {"cn": 6}
    weekdays |= {said(f"{short}{n + 2}"): n for n in range(6) for short in ("thứ ", "t")}
    weeks = {
        "tuần này": "this week",
        "tuần sau": "next week",
        "tuần tới": "next week",
        "tuần sau nữa": "after next",
        "tuần trước": "last",
        "trước": "last",
        "vừa rồi": "last",
        "sang tuần": "next week",
        "này": "",
        "tới": "",
        "sau": "",
    }
    before = any_of(said(word) for word in weeks if "tuần" in word)
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
    number = rf"(?:\d{{1,2}}|{any_of(numbers)})"
    # "Tháng hai năm …" is the second month, not the 25th.
    months = rf"(?:\d{{1,2}}|{any_of(word for word, n in numbers.items() if n <= 12)}|{said('giêng')})"

    def value(text: str) -> int:
        return numbers.get(text) or int(text)

    def month(text: str) -> int:
        return 1 if text == said("giêng") else value(text)

    def whole(match: Match, today: date) -> date | None:
        return dated(value(match[1]), month(match[2]), match[3], "vi", today)

    def slashed(match: Match, today: date) -> date | None:
        return in_figures(*slashed_parts(match), today)

    def of_month(match: Match, today: date) -> date | None:
        ahead = 1 if match[2] and match[2] != said("này") else 0
        return next_of_month(value(match[1]), today, months=ahead)

    def ahead(match: Match, today: date) -> date:
        many, unit = match[1] or match[3], match[2] or match[4]
        return today + timedelta(days=value(many) * (7 if unit == said("tuần") else 1))

    def weekday(match: Match, today: date) -> date:
        return weekday_of(weekdays[match[2]], weeks.get(match[3] or match[1] or "", ""), today)

    def near(match: Match, today: date) -> date:
        return today + timedelta(days=relative[match[1]])

    def rule(pattern: str, reading: Reading, *, is_weekday: bool = False) -> Rule:
        return Rule(re.compile(said(pattern)), reading, is_weekday)

    unit = "(ngày|hôm|bữa|tuần)"
    return (
        ISO,
        Rule(re.compile(SLASHES), slashed),
        rule(
            rf"(?<!thứ )\b({number}) tháng ({months})\b(?:,? năm ((?:\w+ ?){{1,{YEAR_WORDS}}}))?",
            whole,
        ),
        rule(rf"(?<!thứ )\b({number}) {unit} (?:nữa|sau|tới)\b|\bsau ({number}) {unit}\b", ahead),
        rule(rf"\b(?:({before}) )?({any_of(weekdays)})\b(?: ({any_of(weeks)})\b)?", weekday, is_weekday=True),
        rule(rf"\b({any_of(relative)})\b", near),
        rule(rf"\b(?:ngày|mùng|mồng)(?: mùng| mồng)? ({number})\b(?: tháng (này|sau|tới)\b)?", of_month),
    )
