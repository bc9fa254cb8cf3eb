"""A call's journal: one JSON object a line, appended as things happen.

The first line holds the call's settings, every other one an event with its time. Fed to a fresh `Call`,
it gives the same commands. It holds what callers said, as text: keep the folder private.
"""

import json
import logging
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter

from voicegw.call.commands import Command
from voicegw.call.events import Event
from voicegw.call.settings import CallSettings
from voicegw.errors import ConfigError

log = logging.getLogger(__name__)

FORMAT = 1
# Events wait here until someone flushes, or until there are so many (some 6 kB): several lines in a row are
# formed faster than each by itself in between other work.
MOST_WAITING = 64
_SETTINGS = TypeAdapter(CallSettings)
_EVENTS: dict[str, type] = {event.__name__: event for event in get_args(Event)}
_FIELDS = {event: tuple(f.name for f in fields(event)) for event in get_args(Event)}
# `json.dumps` with such settings makes a new encoder for each line.
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Journal:
    """Writes one call's journal. Every write goes to the operating system whole lines at a time."""

    def __init__(
        self,
        path: Path,
        call_id: str,
        settings: CallSettings,
        about: Mapping[str, str] | None = None,
        *,
        digests: bool = False,
    ) -> None:
        """Create the file, lock it while this process lives, and write its first line. Raises OSError.

        `about` is for whoever finds the journal: when the call began, over which carrier, with whom. With
        `digests` it also tells what the call said to do, so that this can be compared later.
        """
        self._digests = digests
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        lock(self._file)
        self._broken: OSError | None = None
        # What waits: events with their time, and lines that are complete.
        self._waiting: list[tuple[Event, int] | str] = []
        head = {
            "format": FORMAT,
            "call_id": call_id,
            "about": dict(about or {}),
            "settings": _SETTINGS.dump_python(settings, mode="json"),
        }
        self._waiting.append(json.dumps(head, ensure_ascii=False))
        self._put()

    def write(self, event: Event, now: int) -> None:
        """Append an event. It reaches the file with the next flush."""
        self._waiting.append((event, now))
        if len(self._waiting) >= MOST_WAITING:
            self.flush()

    def decided(self, commands: Sequence[Command]) -> None:
        """Note a digest of what the call said to do about the last event."""
        if self._digests:
            self._waiting.append(f'{{"c":{digest_of(commands)}}}')

    def flush(self) -> None:
        """Hand what waits to the operating system: it then survives the end of the process.

        When the disk is full the journal ends here, for what follows a hole cannot be replayed; the call goes
        on without it.
        """
        if self._broken is None:
            try:
                self._put()
            except OSError as error:
                self._broken = error
                log.error("the journal %s ends early: %s", self.path.name, error.strerror)
        self._waiting.clear()

    def _put(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            lines = [each if isinstance(each, str) else _line(*each) for each in waiting]
            # Half a surrogate pair, from a sloppy provider, is no UTF-8; written as an escape it is JSON.
            data = memoryview(("\n".join(lines) + "\n").encode(errors="backslashreplace"))
            while data:
                data = data[os.write(self._file, data) :]

    def sync(self) -> None:
        """Make what was flushed survive the end of the machine. Blocks: call it in a thread.

        Raises OSError, also when the journal has ended early: what must be durable is not.
        """
        if self._broken is not None:
            raise self._broken
        os.fsync(self._file)

    def close(self) -> None:
        """Flush and close; nothing may be written after it. Raises OSError, and is closed all the same."""
        try:
            self.flush()
        finally:
            os.close(self._file)


def digest_of(commands: Sequence[Command]) -> int:
    """Return a number (CRC-32) that is the same for the same commands."""
    return zlib.crc32(repr(tuple(commands)).encode(errors="backslashreplace"))


def _line(event: Event, now: int) -> str:
    kind = type(event)
    line: dict[str, Any] = {"t": now, "e": kind.__name__}
    for name in _FIELDS[kind]:
        line[name] = getattr(event, name)
    return _ENCODE(line)


def append(path: Path, events: Iterable[Event], now: int) -> None:
    """Add events to the journal of a process that is gone, behind its last whole line. Raises OSError."""
    whole = path.read_bytes()
    keep = whole.rfind(b"\n") + 1
    lines = "".join(f"{_line(event, now)}\n" for event in events)
    with path.open("r+b") as file:
        file.truncate(keep)
        file.seek(keep)
        file.write(lines.encode(errors="backslashreplace"))
        file.flush()
        os.fsync(file.fileno())


def lock(file: int) -> bool:
    """Take the lock of an open file, until it is closed; False when a living process has it."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def about(path: Path) -> dict[str, str]:
    """Return what a journal's first line tells about the call; empty when it has none."""
    with path.open("rb") as file:
        try:
            found = json.loads(file.readline())["about"]
        except (KeyError, RecursionError, TypeError, ValueError):
            return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def read_journal(path: Path) -> tuple[CallSettings, Iterator[tuple[Event, int]]]:
    """Return the settings and the events with their times. A torn last line is left out.

    Raises ConfigError when the file is no journal.
    """
    # Only "\n" ends a line: what callers say may hold other characters that `splitlines` takes for one.
    lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    try:
        head = json.loads(lines[0])
        if head["format"] != FORMAT:
            raise ConfigError(f"{path}: journal format {head['format']} is unknown; this reads {FORMAT}")
        settings = _SETTINGS.validate_python(head["settings"])
    except (IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: line 1 is not the head of a journal") from error
    return settings, _events(path, lines)


def read_digests(path: Path) -> list[int]:
    """Return the digests of all commands in a journal, in order: none where they were not kept."""
    found = []
    for line in path.read_bytes().split(b"\n"):
        if line.startswith(b'{"c":') and line.endswith(b"}"):
            found.append(int(line[5:-1]))
    return found


def _events(path: Path, lines: list[bytes]) -> Iterator[tuple[Event, int]]:
    for number, line in enumerate(lines[1:], start=2):
        try:
            found = json.loads(line)
            if "c" in found:
                continue
            now, kind = found.pop("t"), _EVENTS[found.pop("e")]
            event = kind(**found)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            if number == len(lines):
                # The process was killed while it wrote this line.
                return
            raise ConfigError(f"{path}: line {number} is no event") from error
        yield event, now
