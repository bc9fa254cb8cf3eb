"""A journal fed to a fresh `Call`: the same events must give the same commands.

As text, one line per event and per command, so that a difference can be read.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voicegw.call import commands as c
from voicegw.call.call import Call
from voicegw.call.events import Event
from voicegw.store.journal import digest_of, read_digests, read_journal


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


def first_other(path: Path, steps: Iterable[Step]) -> int | None:
    """Return the number of the first step (from 0) whose commands are not those that the journal notes.

    None: all are the same, or the journal notes none. The last of a killed process may be missing.
    """
    noted = read_digests(path)
    deciding = [(number, step) for number, step in enumerate(steps) if step.commands]
    for (number, step), digest in zip(deciding, noted, strict=False):
        if digest_of(step.commands) != digest:
            return number
    return None
