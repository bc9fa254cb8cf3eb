"""Markdown and emoji out of a stream of text, so that only what can be spoken is left.

Works character by character: what comes out depends on the text alone, never on how it was cut into tokens,
and no character is looked at more than a fixed number of times. It knows nothing of sentences.

Removed: emphasis, code marks, headings, bullets, quote marks, rules, task boxes, link targets, backslashes of
escapes, emoji, invisible characters. Kept: numbers of lists ("1."), keypad codes (*101#), a lone * between
words, 2*3, snake_case. Where the removed thing stood between two words, a space takes its place; for the bar
between two cells of a table a comma.
"""

import re
import unicodedata
from typing import Final

from voicegw.call.char_kinds import CharKinds

# Takes back a space that was already handed on: an emoji stood between a word and its full stop ("vâng 😊.").
# No other control character ever leaves this module, so it cannot be mistaken for text.
UNSPACE = "\b"

# A link's text and target are held back until the link is complete; past these it was none (and memory is
# bounded).
_LONGEST_LINK_TEXT = 200
_LONGEST_LINK_TARGET = 1000
_LONGEST_KEYPAD_CODE = 24

# A whole token of these, in the middle of a line, is handed on as it is. Most tokens are.
_ORDINARY_TEXT = re.compile(r'[ "-)+-Z\]^a-z{}¡-¬®-ɏ̀-ͯḀ-ỿ₫…“”‘’–—、-ヿ㐀-鿿가-힣！-～]*')

_NO_SPACE_BEFORE = frozenset(".,!?;:…)]}»”’。，！？；：、")
_BULLETS = frozenset("•●▪◦‣■►∙")
_OPENERS = frozenset("([{\"'“‘«/")

# Emoji and pictographs, from https://www.unicode.org/Public/emoji/latest/emoji-data.txt, by block; letters,
# digits and currency inside the blocks are kept because they are tested first.
_EMOJI_RANGES = (
    (0x2139, 0x2139),
    (0x231A, 0x231B),
    (0x2328, 0x2328),
    (0x23CF, 0x23FF),
    (0x25A0, 0x27BF),
    (0x2934, 0x2935),
    (0x2B00, 0x2BFF),
    (0x1F000, 0x1FAFF),
)


# Kinds of characters. Plain numbers, because reading a member of an enum costs more than the rest of it.
_ORDINARY: Final = 0
_SPACE: Final = 1
_NEWLINE: Final = 2
_MARK: Final = 3  # may be markup when repeated or at an edge: * _ ~ `
_BRACKET: Final = 4
_BACKSLASH: Final = 5
_BANG: Final = 6
_EMOJI: Final = 7
_JOINER: Final = 8  # holds an emoji sequence together, and is a letter's business in some scripts
_NOTHING: Final = 9  # invisible
_BAR: Final = 10  # between the cells of a table

_SKIPPED_AT_LINE_START = frozenset({_SPACE, _NEWLINE, _EMOJI, _JOINER, _NOTHING})


# States of the automaton.
_IN_TEXT: Final = 0
_IN_LINE: Final = 1  # nothing but white space and markers on this line yet
_IN_RUN: Final = 2  # one or more of the same marker, waiting for what follows
_IN_BACKSLASH: Final = 3
_IN_BANG: Final = 4
_IN_LINK_TEXT: Final = 5
_IN_LINK_TEXT_END: Final = 6
_IN_LINK_TARGET: Final = 7
_IN_KEYPAD: Final = 8
_IN_FENCE: Final = 9


def _kind_of(char: str) -> int:
    code = ord(char)
    if char in "\n\v\f\x1c\x1d\x1e\x85\u2028\u2029":
        return _NEWLINE
    if char in "*_~`":
        return _MARK
    named = {"|": _BAR, "[": _BRACKET, "\\": _BACKSLASH, "!": _BANG, "\u200d": _JOINER}.get(char)
    if named is not None:
        return named
    if char.isspace():
        return _SPACE
    category = unicodedata.category(char)
    if category == "Cc":
        return _SPACE
    if (
        char == "\ufffd"
        or code == 0x20E3
        or 0xFE00 <= code <= 0xFE0F
        or (category == "Cf" and char != "\u200c")
    ):
        return _NOTHING
    # Half an emoji: a provider may cut a pair of surrogates between two tokens. Private use is icons.
    if category in ("Cs", "Co"):
        return _EMOJI
    if not char.isalnum() and any(low <= code <= high for low, high in _EMOJI_RANGES):
        return _EMOJI
    return _ORDINARY


_KINDS = CharKinds(_kind_of)


class PlainText:
    """Turns Markdown into plain text while it arrives.

    The output has lines ended by a newline, white space as it came (not yet collapsed), and `UNSPACE` where
    a space is to be taken back. At most about 1,200 characters are held back (an unfinished link). Raises
    nothing.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._state = _IN_LINE
        self._out: list[str] = []
        self._last = "\n"  # the last character handed on
        self._count = 0  # characters handed on
        self._marked_at = -2  # `_count` at the last emphasis or code mark
        self._bar = False  # a bar of a table, and nothing behind it yet
        self._row = False  # the line began with one
        self._joint = False  # markup was removed since `_last`
        self._emoji = False  # an emoji was removed since the last word or punctuation
        self._underline = False  # an underscore emphasis is open
        self._run = ""
        self._run_count = 0
        self._run_on_line = False  # the run is the first thing on its line
        self._held = ""  # link text, keypad code or fence line
        self._target = ""
        self._depth = 0
        self._image = False

    def push(self, text: str) -> str:
        """Take the next part of the text; return what is certain of it so far."""
        held = self._joint or self._emoji or self._bar
        if self._state == _IN_TEXT and not held and _ORDINARY_TEXT.fullmatch(text):
            if text:
                self._last = text[-1]
                self._count += len(text)
            return text
        for char in text:
            self._take(char)
        return self._drain()

    def finish(self) -> str:
        """Return what was held back; afterwards the object is as new."""
        if self._state == _IN_LINK_TARGET and " " not in self._target:
            self._link()  # cut off within an address, which nobody wants to hear
        elif self._state == _IN_FENCE:
            self._fence_line_end()
        self._release("")
        out = self._drain()
        self._begin()
        return out

    def _drain(self) -> str:
        out = "".join(self._out)
        self._out.clear()
        return out

    # The characters

    def _take(self, char: str) -> None:
        state = self._state
        if state == _IN_TEXT:
            self._take_text(char)
        elif state == _IN_LINE:
            self._take_at_line_start(char)
        elif state == _IN_RUN and char == self._run:
            self._run_count += 1
        elif state == _IN_LINK_TEXT:
            self._take_link_text(char)
        elif state == _IN_LINK_TARGET:
            self._take_link_target(char)
        elif state == _IN_LINK_TEXT_END and char == "(":
            self._state, self._target, self._depth = _IN_LINK_TARGET, "", 0
        elif (
            state == _IN_KEYPAD and (char.isdigit() or char == "*") and len(self._held) < _LONGEST_KEYPAD_CODE
        ):
            self._held += char
        elif state == _IN_FENCE and char != "`" and _KINDS[char] != _NEWLINE:
            self._held += char
            if len(self._held) > _LONGEST_LINK_TEXT:
                self._release("")
        elif state == _IN_BANG and char == "[":
            self._open_link(image=True)
        elif state == _IN_FENCE and char != "`":
            self._fence_line_end()
            self._take(char)
        else:
            if not self._release(char):
                self._take(char)

    def _take_text(self, char: str) -> None:
        kind = _KINDS[char]
        if kind == _ORDINARY:
            self._give(char)
        elif kind == _SPACE:
            self._give(" ")
        elif kind == _NEWLINE:
            self._bar = self._row = False  # the one at the end of a row
            self._give("\n")
            self._state, self._underline = _IN_LINE, False
        elif kind == _MARK:
            self._start_run(char, on_line=False)
        elif kind == _BRACKET:
            self._open_link(image=False)
        elif kind == _BACKSLASH:
            self._state = _IN_BACKSLASH
        elif kind == _BANG:
            if self._last.isspace():
                self._state = _IN_BANG  # an image begins with it
            else:
                self._give(char)
        elif kind == _EMOJI:
            self._emoji = True
        elif kind == _BAR:
            self._bar = True
        elif kind == _JOINER and not self._emoji:
            self._give(char)

    def _take_at_line_start(self, char: str) -> None:
        kind = _KINDS[char]
        if char in _BULLETS or char == ">" or kind in (_SPACE, _NEWLINE, _EMOJI, _NOTHING, _BAR):
            self._row = kind == _BAR or (self._row and kind != _NEWLINE)
            return
        if char == ":" and self._row:
            return
        if char in "#-+" or kind == _MARK:
            self._start_run(char, on_line=True)
            return
        self._state = _IN_TEXT
        self._take_text(char)

    def _give(self, char: str) -> None:
        """Hand a character on, with the space that removed things leave before it."""
        if self._bar and char not in " \n":
            # Cells are spoken with a pause between them.
            self._bar = False
            if self._last == " ":
                self._out.append(UNSPACE)
            self._out.append(", " if self._last not in "\n" else "")
        if char not in " \n":
            if self._emoji:
                if char in _NO_SPACE_BEFORE:
                    if self._last == " ":
                        self._out.append(UNSPACE)
                elif not self._last.isspace() and char != '"':
                    self._out.append(" ")
            elif self._joint and self._would_glue(char):
                self._out.append(" ")
            self._emoji = False
        self._joint = False
        self._out.append(char)
        self._last = char
        self._count += 1

    def _would_glue(self, char: str) -> bool:
        if self._last.isalnum():
            return char.isalnum()
        return self._last in ".,!?;:" and char.isalpha()

    # What was held back, once the next character (or "" for the end) tells what it is

    def _release(self, following: str) -> bool:
        """Decide about what is held back; return True when `following` was used up by that."""
        state, self._state = self._state, _IN_TEXT
        if state == _IN_LINE:
            self._state = state
        elif state == _IN_RUN:
            return self._end_run(following)
        elif state == _IN_BACKSLASH:
            # https://spec.commonmark.org/0.31.2/#backslash-escapes: only before ASCII punctuation.
            if (
                following
                and following.isascii()
                and following.isprintable()
                and not following.isalnum()
                and following != " "
            ):
                self._give(following)
                return True
            self._give("\\")
        elif state == _IN_BANG:
            self._give("!")
        elif state in (_IN_LINK_TEXT, _IN_LINK_TEXT_END, _IN_LINK_TARGET):
            self._no_link(state)
        elif state == _IN_KEYPAD:
            held, self._held = self._held, ""
            if following == "#":
                for char in "*" + held + "#":
                    self._give(char)
                return True
            self._mark()
            self._take_all(held)
        elif state == _IN_FENCE:
            held, self._held = self._held, ""
            self._take_all(held)
        return False

    def _take_all(self, text: str) -> None:
        for char in text:
            self._take(char)

    def _start_run(self, char: str, *, on_line: bool) -> None:
        self._state, self._run, self._run_count, self._run_on_line = _IN_RUN, char, 1, on_line

    def _mark(self) -> None:
        """Remove an emphasis mark: a space takes its place between words, not in **S**hort **M**essage."""
        self._joint = self._count - self._marked_at != 1
        self._marked_at = self._count

    def _end_run(self, following: str) -> bool:
        run, count, on_line = self._run, self._run_count, self._run_on_line
        blank = not following or following.isspace()
        line_end = not following or _KINDS[following] == _NEWLINE
        if run == "-" and on_line and (self._row or following == "|") and (line_end or following in "|: "):
            self._state, self._row = _IN_LINE, True  # the row of dashes below the head of a table
            return False
        if on_line and self._is_line_marker(blank, line_end):
            self._state = _IN_LINE
            return False
        if run == "`":
            if on_line and count >= 3 and not line_end:
                self._state, self._held = _IN_FENCE, ""
                return False
            self._mark()
        elif run == "*" and self._is_keypad_star(following):
            self._state, self._held = _IN_KEYPAD, following
            return True
        elif (
            (run == "*" and self._is_emphasis(following, blank))
            or (run == "_" and self._is_underline(following, blank))
            or (run == "~" and count >= 2)
        ):
            self._mark()
        else:
            for _ in range(count):
                self._give(run)
        return False

    def _is_line_marker(self, blank: bool, line_end: bool) -> bool:
        """Tell whether the run at the start of a line is a bullet, a heading, a rule or a bare fence."""
        run, count = self._run, self._run_count
        if run == "#":
            return blank and count <= 6
        if run == "~" or run == "`":
            return line_end and count >= 3
        rule = line_end and count >= 3 and run != "+"
        return rule or (blank and count == 1 and run != "_")

    def _is_keypad_star(self, following: str) -> bool:
        first = self._run_on_line or self._last.isspace() or self._last in _OPENERS
        return self._run_count == 1 and first and following.isdigit()

    def _is_emphasis(self, following: str, blank: bool) -> bool:
        last = " " if self._run_on_line else self._last
        if last.isdigit() and following.isdigit():
            return False  # 2*3
        # A star that stands alone is a key of the telephone.
        return self._run_count > 1 or not last.isspace() or not (blank or following in _NO_SPACE_BEFORE)

    def _is_underline(self, following: str, blank: bool) -> bool:
        last = " " if self._run_on_line else self._last
        if self._underline and not last.isspace() and not following.isalnum():
            self._underline = False
            return True
        if (
            (last.isspace() or last in _OPENERS)
            and last != "/"
            and not blank
            and following not in _NO_SPACE_BEFORE
        ):
            self._underline = True
            return True
        return False

    def _fence_line_end(self) -> None:
        # One word behind the marks names the language of the code; more than one is text.
        if len(self._held.split()) <= 1:
            self._held = ""
        self._release("")

    # Links

    def _open_link(self, *, image: bool) -> None:
        self._state, self._held, self._image = _IN_LINK_TEXT, "", image

    def _take_link_text(self, char: str) -> None:
        if char == "]":
            self._state = _IN_LINK_TEXT_END
        elif char == "[" or _KINDS[char] == _NEWLINE or len(self._held) >= _LONGEST_LINK_TEXT:
            self._release("")
            self._take(char)
        else:
            self._held += char

    def _take_link_target(self, char: str) -> None:
        if char == ")" and self._depth == 0:
            if self._is_target():
                self._link()
            else:
                self._release("")
                self._take(char)
        elif char == "[" or _KINDS[char] == _NEWLINE or len(self._target) >= _LONGEST_LINK_TARGET:
            self._release("")
            self._take(char)
        else:
            self._depth += (char == "(") - (char == ")")
            self._target += char

    def _is_target(self) -> bool:
        """Tell an address, with or without a "title", from words in brackets."""
        parts = self._target.split(maxsplit=1)
        return len(parts) < 2 or parts[1][0] in "\"'("

    def _link(self) -> None:
        held, self._held, self._state = self._held, "", _IN_TEXT
        self._joint = True
        self._take_all(held)
        self._release("")  # a mark left open in the link's text
        self._joint = True

    def _no_link(self, state: int) -> None:
        held, self._held = self._held, ""
        if self._image:
            self._give("!")
        if state == _IN_LINK_TEXT_END and held in (" ", "x", "X") and self._last == "\n":
            return  # the box of a task list
        self._give("[")
        self._take_all(held)
        if state != _IN_LINK_TEXT:
            self._take("]")
        if state == _IN_LINK_TARGET:
            self._take_all("(" + self._target)


def plain_text(text: str) -> str:
    """Return a whole text without markup and emoji, white space collapsed to single spaces."""
    plain = PlainText()
    chars: list[str] = []
    for char in plain.push(text) + plain.finish():
        if char == UNSPACE:
            while chars and chars[-1] == " ":
                chars.pop()
        else:
            chars.append(char)
    return " ".join("".join(chars).split())
