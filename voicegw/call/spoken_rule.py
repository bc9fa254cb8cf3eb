"""One rule of a spoken form: where it may begin, what it takes, what is said for it."""

import re
from collections.abc import Callable
from typing import NamedTuple

Match = re.Match[str]
Say = Callable[[Match], str | None]


class Rule(NamedTuple):
    """`say` returns the words, or None where the rule does not apply after all.

    `starts` tells where it may begin: "d" at a digit, "w" at a letter, "s" at a sign or the space before it.
    """

    starts: str
    pattern: re.Pattern[str]
    say: Say


def rule(starts: str, pattern: str, say: Say, flags: int = 0) -> Rule:
    """Make a rule of a pattern's text."""
    return Rule(starts, re.compile(pattern, flags), say)


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


def fixed(said: str) -> Say:
    """Return the `say` of a rule that always says the same."""
    return lambda match: said
