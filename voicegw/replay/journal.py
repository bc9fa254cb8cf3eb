"""A journal fed to a fresh `Call`: the same events must give the same commands.

That is how a call of last week is looked at again, and how a change of the rules shows what it changes.
Everything is compared as text, one line per event and per command, so that a difference can be read.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voicegw.call import commands as c
from voicegw.call.call import Call
from voicegw.call.events import Event
from voicegw.store.journal import read_journal


@dataclass(frozen=True, slots=True)
class Step:
    """An event, its time (us since the call began), and what the call said to do about it."""

    event: Event
    now: int
    commands: tuple[c.Command, ...]


def replay(path: Path) -> Iterator[Step]:
    """Feed the journal at `path` to a fresh call.

    Raises ConfigError when the file is no journal, RuntimeError where the rules themselves fail on it.
    """
    settings, events = read_journal(path)
    call = Call(settings)
    for event, now in events:
        yield Step(event, now, tuple(call.receive(event, now)))


def lines(steps: Iterable[Step]) -> Iterator[str]:
    """Return each step as text: `12.340 Transcript {...}`, and indented below it each command."""
    for step in steps:
        yield f"{step.now / 1e6:.3f} {_line(step.event)}"
        for command in step.commands:
            yield f"    {_line(command)}"


def _line(thing: Any) -> str:
    fields = asdict(thing)
    if isinstance(thing, c.Notify):
        fields = {type(thing.notice).__name__: fields["notice"]}
    # Sorted, so that nothing depends on the order in which a dict was filled.
    return f"{type(thing).__name__} {json.dumps(fields, ensure_ascii=False, sort_keys=True)}"


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
