"""Numbers and single characters to the words that a voice says, in Vietnamese and English.

A language is a tag: `vi` (northern: "linh", "nghìn"), `vi-south` ("lẻ", "ngàn"), `en` ("one hundred five"),
`en-GB` ("one hundred and five"); another one gets English words. Of the libraries for this, num2words is
wrong in Vietnamese ("mười lăm" for -5, "một triệu năm nghìn" for 1,005,000) and inflect takes seconds to
import; the English here is tested against num2words.
"""

from typing import Final

_VI_DIGITS: Final = ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")
_EN_SMALL: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_EN_TENS: Final = (*("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),)
_EN_CLASSES: Final = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_EN_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
# Longer ones are codes, whatever they were meant to be; nobody can take in such an amount.
LONGEST_CARDINAL: Final = 15

# The names under which letters are spelled on the telephone in Vietnam.
_VI_LETTERS: Final = dict(
    zip(
        "abcdđefghijklmnopqrstuvwxyz",
        (
            *("a", "bê", "xê", "đê", "đê", "e", "ép", "giê", "hát", "i", "gi", "ca", "lờ", "mờ", "nờ", "o"),
            *("pê", "quy", "rờ", "ét", "tê", "u", "vê", "vê kép", "ích", "y", "dét"),
        ),
        strict=True,
    )
)


def is_vietnamese(language: str) -> bool:
    """Tell whether a language tag is Vietnamese."""
    return language[:2].lower() == "vi"


def cardinal(number: int, language: str) -> str:
    """Return a whole number in words: 1005 is "một nghìn không trăm linh năm", "one thousand five".

    One of more than `LONGEST_CARDINAL` digits is read digit by digit.
    """
    vietnamese = is_vietnamese(language)
    if number < 0:
        return ("âm " if vietnamese else "minus ") + cardinal(-number, language)
    if number >= 10**LONGEST_CARDINAL:
        return digit_by_digit(str(number), language)
    if vietnamese:
        return _vi_cardinal(number, south="south" in language.lower())
    return _en_cardinal(number, with_and=language.lower().startswith("en-gb"))


def _vi_cardinal(number: int, *, south: bool) -> str:
    if number == 0:
        return "không"
    words: list[str] = []
    billions, rest = divmod(number, 10**9)
    if billions:
        words += [_vi_cardinal(billions, south=south), "tỷ"]
    for size, name in ((10**6, "triệu"), (1000, "ngàn" if south else "nghìn"), (1, "")):
        group, rest = divmod(rest, size)
        if group:
            words += _vi_group(group, full=bool(words), south=south)
            if name:
                words.append(name)
    return " ".join(words)


def _vi_group(group: int, *, full: bool, south: bool) -> list[str]:
    """Return three digits; `full` says the hundreds even if there are none, as behind "nghìn"."""
    hundreds, rest = divmod(group, 100)
    tens, unit = divmod(rest, 10)
    words: list[str] = []
    if hundreds or full:
        words += [_VI_DIGITS[hundreds], "trăm"]
    if not rest:
        return words
    if tens == 0:
        if words:
            words.append("lẻ" if south else "linh")
        return [*words, _VI_DIGITS[unit]]
    words += ["mười"] if tens == 1 else [_VI_DIGITS[tens], "mươi"]
    if unit == 1 and tens > 1:
        words.append("mốt")
    elif unit == 5:
        words.append("lăm")
    elif unit:
        words.append(_VI_DIGITS[unit])
    return words


def _en_cardinal(number: int, *, with_and: bool) -> str:
    if number < 100:
        return _en_below_100(number)
    words: list[str] = []
    rest = number
    for size, name in _EN_CLASSES:
        group, rest = divmod(rest, size)
        if group:
            words += [_en_cardinal(group, with_and=with_and), name]
    hundreds, rest = divmod(rest, 100)
    if hundreds:
        words += [_EN_SMALL[hundreds], "hundred"]
    if rest:
        if with_and:
            words.append("and")
        words.append(_en_below_100(rest))
    return " ".join(words)


def _en_below_100(number: int) -> str:
    if number < 20:
        return _EN_SMALL[number]
    tens, unit = divmod(number, 10)
    return _EN_TENS[tens] + (f"-{_EN_SMALL[unit]}" if unit else "")


def ordinal(number: int, language: str) -> str:
    """Return the word of a rank from 1: "thứ nhất", "thứ tư"; "first", "twenty-first"."""
    if is_vietnamese(language):
        return "thứ " + {1: "nhất", 4: "tư"}.get(number, cardinal(number, language))
    words = cardinal(number, language)
    start = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[start:]
    if last in _EN_ORDINALS:
        return words[:start] + _EN_ORDINALS[last]
    return words[:-1] + "ieth" if last.endswith("y") else words + "th"


def year(number: int, language: str) -> str:
    """Return a year in words: "hai nghìn không trăm hai mươi sáu"; "twenty twenty-six"."""
    if is_vietnamese(language) or not 1100 <= number < 2100 or 2000 <= number < 2010:
        return cardinal(number, language)
    century, rest = divmod(number, 100)
    if rest == 0:
        return f"{cardinal(century, language)} hundred"
    if rest < 10:
        return f"{cardinal(century, language)} oh {cardinal(rest, language)}"
    return f"{cardinal(century, language)} {cardinal(rest, language)}"


def digit_by_digit(digits: str, language: str) -> str:
    """Return the words of the digits in a text, one each: "09" is "không chín", "zero nine"."""
    names = _VI_DIGITS if is_vietnamese(language) else _EN_SMALL
    return " ".join(names[int(char)] for char in digits if char.isdecimal())


def letter(char: str, language: str) -> str:
    """Return the name of a letter, as a voice says it alone: "hát" in Vietnamese, "H" in English."""
    if is_vietnamese(language):
        return _VI_LETTERS.get(char.lower(), char)
    return char.upper()
