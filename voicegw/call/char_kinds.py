"""Kinds of characters, looked up once each."""

from collections.abc import Callable

# A text may hold any of a million characters; those of a language are far fewer.
_MOST = 4096


class CharKinds(dict[str, int]):
    """`kinds[char]` is what `kind_of` says of it. Bounded."""

    def __init__(self, kind_of: Callable[[str], int]) -> None:
        super().__init__()
        self._kind_of = kind_of

    def __missing__(self, char: str) -> int:
        kind = self._kind_of(char)
        if len(self) < _MOST:
            self[char] = kind
        return kind
