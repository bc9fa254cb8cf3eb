"""Two replays of a journal compared, as text: how a change of the rules shows what it changes."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from voicegw.errors import ConfigError
from voicegw.store.journal import read_digests
from voicegw.store.steps import Step, first_other, lines, replay

__all__ = ["Difference", "Kept", "Step", "compared", "digest", "first_difference", "lines", "replay"]


def digest(steps: Iterable[Step]) -> str:
    """Return one word (SHA-256) for all events and commands: equal only if they are."""
    found = hashlib.sha256()
    for line in lines(steps):
        found.update(line.encode(errors="backslashreplace"))
        found.update(b"\n")
    return found.hexdigest()


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two replays part: the line's number (from 1), what came before, and how each goes on.

    A side that has ended there is empty.
    """

    line: int
    before: tuple[str, ...]
    left: tuple[str, ...]
    right: tuple[str, ...]

    def __str__(self) -> str:
        shown = [f"  {text}" for text in self.before]
        shown += [f"- {text}" for text in self.left or ("(ended)",)]
        shown += [f"+ {text}" for text in self.right or ("(ended)",)]
        return "\n".join([f"line {self.line}:", *shown])


def first_difference(left: Iterable[str], right: Iterable[str], context: int = 3) -> Difference | None:
    """Compare two replays as `lines`; return the first difference with `context` lines around it."""
    ours, theirs = list(left), list(right)
    for at in range(max(len(ours), len(theirs))):
        if ours[at : at + 1] != theirs[at : at + 1]:
            return Difference(
                at + 1,
                tuple(ours[max(0, at - context) : at]),
                tuple(ours[at : at + context]),
                tuple(theirs[at : at + context]),
            )
    return None


@dataclass(frozen=True, slots=True)
class Kept:
    """A journal's events fed to the rules again. `found`: where they decide otherwise than `against` tells.

    `against`: "text" (the commands are kept beside it), "digests" (in it), or "" (there was nothing yet).
    """

    steps: tuple[Step, ...]
    against: str
    found: Difference | None


def compared(journal: Path, commands: Path) -> Kept:
    """Replay a journal against its commands in the file `commands`, or else against its digests.

    Raises ConfigError when a file cannot be read or is no journal.
    """
    try:
        steps = tuple(replay(journal))
        if commands.exists():
            known = commands.read_text(encoding="utf-8").split("\n")[:-1]
            return Kept(steps, "text", first_difference(known, lines(steps)))
        if not read_digests(journal):
            return Kept(steps, "", None)
        return Kept(steps, "digests", _other(steps, first_other(journal, steps)))
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error


def _other(steps: tuple[Step, ...], number: int | None) -> Difference | None:
    """The difference at a step of which only a digest is known."""
    if number is None:
        return None
    before = list(lines(steps[max(0, number - 3) : number]))
    now = list(lines(steps[number : number + 1]))
    line = sum(1 + len(step.commands) for step in steps[:number]) + 2
    noted = ("(other commands; the journal has only their digest)",)
    return Difference(line, (*before, now[0]), noted, tuple(now[1:]))
