"""What both languages say in the same way: addresses, digits one by one, codes; each with its own words."""

import re
from collections.abc import Callable
from typing import Final

from voicegw.call.spelling import grouped, spell
from voicegw.call.spoken_numbers import cardinal, digit_by_digit, letter
from voicegw.call.spoken_rule import Match

# A number starts behind none of these, and no letter or digit follows it.
FREE: Final = r"(?<!\w)(?<!\d[.,])"
END: Final = r"(?![\w])(?![.,]\d)"
# A sign, not the dash of a range.
MINUS: Final = r"(?P<minus>(?<!\d )(?<![\w)])[-−])?"
MAIL: Final = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
URL: Final = r"(?:https?://|www\.)[^\s,;!)\]»”\"]*[^\s.,;:!)\]»”\"?]"
KEYPAD: Final = r"\*\d{1,8}(?:\*\d{1,12})*#"
SPACED_CODE: Final = rf"{FREE}\d{{2,4}}(?:[ -]\d{{2,4}})+(?!\w)(?![.,]\d)"


def before(match: Match) -> str:
    """Return what stands before a match, as far as it can change what the match means."""
    return match.string[max(0, match.start() - 40) : match.start()]


class Common:
    """Says it in one language. `spells`: whether a word within an address is spelled."""

    def __init__(self, language: str, spells: Callable[[str], bool]) -> None:
        self._language = language
        self._spells = spells

    def whole(self, digits: str) -> str:
        """Say digits as one whole number."""
        return cardinal(int(digits), self._language)

    def digits(self, text: str) -> str:
        """Say digits one by one, in the groups in which they are written, else in groups of three."""
        groups = re.findall(r"\d+", text)
        if len(groups) == 1:
            groups = grouped(groups[0])
        return ", ".join(digit_by_digit(group, self._language) for group in groups)

    def letters(self, text: str) -> str:
        """Say letters by their names."""
        return " ".join(letter(char, self._language) for char in text)

    def label(self, text: str) -> str:
        """Say a part of an address: words as words, digits one by one, signs by name."""
        parts: list[str] = []
        for part in re.findall(r"[^\W\d_]+|\d+|[._@/-]", text):
            if part.isdecimal():
                parts.append(digit_by_digit(part, self._language))
            elif not part[0].isalpha():
                parts.append(spell(part, self._language))
            else:
                parts.append(self.letters(part) if self._spells(part) else part)
        return " ".join(parts)

    def address(self, match: Match) -> str:
        """Say an e-mail address or a domain."""
        return self.label(match[0])

    def url(self, match: Match) -> str:
        """Say an address of the web, without its query: nobody can write one down by ear."""
        text = re.sub(r"^https?://(?:www\.)?|^www\.", "", match[0])
        return self.label(re.split(r"[?#]", text)[0].rstrip("/"))

    def keypad(self, match: Match) -> str:
        """Say what is to be keyed: *101#."""
        return spell(match[0], self._language).replace(",", "")

    def glued(self, match: Match) -> str:
        """Say digits that stand in the middle of something else."""
        text = match[0]
        one_by_one = len(text) >= 7 or (text[0] == "0" and len(text) > 1)
        return self.digits(text) if one_by_one else self.whole(text)

    def code(self, match: Match) -> str:
        """Say letters and digits that belong together: DH123456, iPhone15."""
        words: list[str] = []
        for part in re.findall(r"[^\W\d_]+|\d+", match[0]):
            if part.isdecimal():
                short = len(part) <= 2 and part[0] != "0"
                words.append(self.whole(part) if short else self.digits(part))
            elif (len(part) >= 4 and re.search("[AEIOUY]", part.upper())) or (
                len(part) > 1 and not part.isupper()
            ):
                words.append(part.lower() if part.isupper() else part)
            else:
                words.append(self.letters(part))
        return ", ".join([words[0], " ".join(words[1:])]) if "," in words[-1] else " ".join(words)
