"""Codes and long numbers as they are read out to a caller; Vietnamese and English.

spell("DH123", "vi")                                            "đê hát, một hai ba"
grouped("0912345678")                                           ["0912", "345", "678"]
"""

import re
from typing import Final

from voicegw.call.spoken_numbers import digit_by_digit, is_vietnamese, letter

_GROUP: Final = 3
_SPELL_RUN = re.compile(r"\d+|[^\W\d_]|[@._+/#*-]")
_VI_SIGNS: Final = {
    "@": "a còng", ".": "chấm", "_": "gạch dưới", "-": "gạch ngang", "+": "cộng", "/": "gạch chéo",
    "#": "thăng", "*": "sao",
}  # fmt: skip
_EN_SIGNS: Final = {
    "@": "at", ".": "dot", "_": "underscore", "-": "dash", "+": "plus", "/": "slash", "#": "hash",
    "*": "star",
}  # fmt: skip


def spell(text: str, language: str) -> str:
    """Return a code as it is read back: letter by letter and digit by digit, long numbers in groups with a
    pause (a comma): "DH123456" is "đê hát, một hai ba, bốn năm sáu".
    """
    signs = _VI_SIGNS if is_vietnamese(language) else _EN_SIGNS
    groups: list[str] = []
    letters: list[str] = []
    for run in _SPELL_RUN.findall(text):
        if not run[0].isdecimal():
            letters.append(signs.get(run) or letter(run, language))
            continue
        if letters:
            groups.append(" ".join(letters))
            letters = []
        groups += [digit_by_digit(part, language) for part in grouped(run)]
    if letters:
        groups.append(" ".join(letters))
    return ", ".join(groups)


def grouped(digits: str) -> list[str]:
    """Return digits in groups as they are read out: of three, a first or last one of four or two.

    >>> grouped("0912345678"), grouped("12345"), grouped("1234")
    (['0912', '345', '678'], ['123', '45'], ['1234'])
    """
    if len(digits) <= _GROUP + 1:
        return [digits]
    first = _GROUP + 1 if len(digits) % _GROUP == 1 else _GROUP
    rest = digits[first:]
    return [digits[:first], *(rest[i : i + _GROUP] for i in range(0, len(rest), _GROUP))]
