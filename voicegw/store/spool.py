"""Records on their way to the database, as files: they outlive the process, and a database that is down.

<data>/spool/<call_id>.open     a call that was begun; its journal tells the rest if its process dies
<data>/spool/<call_id>.json     its record, until the database has it
<data>/spool/<call_id>.hook     its record, until the webhook's receiver has it
"""

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from voicegw.errors import ConfigError
from voicegw.store.journal import lock
from voicegw.store.recording import PART, repair
from voicegw.store.records import CallRecord, load_record, record_of_journal
from voicegw.verdict.verdict import Thresholds

log = logging.getLogger(__name__)

RECORD, HOOK, OPEN = ".json", ".hook", ".open"
# Records that could not be written (the disk is full) wait in memory, at most so many.
MOST_IN_MEMORY = 1000


class Spool:
    """The spool of one data folder. Several processes may share it."""

    def __init__(self, data: Path, thresholds: Thresholds | None = None) -> None:
        """Make the folders. `thresholds` are for calls that must be closed here. Raises OSError."""
        self.thresholds = thresholds
        self.folder = data / "spool"
        self.journals = data / "journals"
        self.recordings = data / "recordings"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._unwritten: dict[str, bytes] = {}  # file name: content

    def begin(self, call_id: str) -> None:
        """Note that a call begins, before anybody is told. Raises OSError."""
        os.close(os.open(self.folder / f"{call_id}{OPEN}", os.O_WRONLY | os.O_CREAT, 0o600))

    def end(self, record: CallRecord, *, hook: bool) -> None:
        """Keep a call's record, durably, and note that the call is over. Blocks."""
        data = record.dump()
        for kind in (RECORD, HOOK) if hook else (RECORD,):
            self._put(f"{record.call_id}{kind}", data)
        with contextlib.suppress(FileNotFoundError):
            if not self._unwritten:
                (self.folder / f"{record.call_id}{OPEN}").unlink()

    def _put(self, name: str, data: bytes) -> None:
        try:
            _write(self.folder / name, data)
        except OSError as error:
            # The mark that the call is open stays: after a crash its journal is read again.
            log.error("a record cannot be written to %s: %s", self.folder, error.strerror)
            if len(self._unwritten) < MOST_IN_MEMORY:
                self._unwritten[name] = data

    def waiting(self, kind: str = RECORD) -> Iterator[tuple[str, bytes]]:
        """What waits to be delivered, as (call id, record), the oldest first. Blocks."""
        for name, data in list(self._unwritten.items()):
            if name.endswith(kind):
                yield name.removesuffix(kind), data
        files = list(self.folder.glob(f"*{kind}"))
        for path in sorted(files, key=_changed):
            with contextlib.suppress(FileNotFoundError):
                yield path.name.removesuffix(kind), path.read_bytes()

    def count(self, kind: str = RECORD) -> int:
        """How many wait."""
        return sum(1 for _ in self.folder.glob(f"*{kind}")) + len(self._unwritten)

    def delivered(self, call_id: str, kind: str = RECORD) -> None:
        """It has arrived."""
        if self._unwritten.pop(f"{call_id}{kind}", None) is not None:
            with contextlib.suppress(FileNotFoundError):
                (self.folder / f"{call_id}{OPEN}").unlink()
        with contextlib.suppress(FileNotFoundError):
            (self.folder / f"{call_id}{kind}").unlink()

    def put_aside(self, call_id: str) -> None:
        """The database refuses it for good: keep the file for people, and try no more."""
        with contextlib.suppress(FileNotFoundError):
            path = self.folder / f"{call_id}{RECORD}"
            path.rename(path.with_name(path.name + ".refused"))
        self._unwritten.pop(f"{call_id}{RECORD}", None)

    def close_dead_calls(self, *, hook: bool, least_age_s: float = 0.0) -> list[str]:
        """Close the calls of processes that were killed, by their journals. Returns their ids. Blocks.

        Those whose files have changed less than `least_age_s` ago are left alone: a call of a living process
        may begin or end just now.
        """
        closed: list[str] = []
        for mark in sorted(self.folder.glob(f"*{OPEN}")):
            call_id = mark.name.removesuffix(OPEN)
            journal = self.journals / f"{call_id}.jsonl"
            if least_age_s and time.time() - max(_changed(mark), _changed(journal)) < least_age_s:
                continue
            try:
                with journal.open("rb") as file:
                    if lock(file.fileno()) and mark.exists():
                        self._close_dead_call(call_id, journal, hook=hook)
                        closed.append(call_id)
            except FileNotFoundError:
                # Killed between the mark and the journal: nobody was told `ready`.
                mark.unlink(missing_ok=True)
            except (OSError, ConfigError) as error:
                log.error("the call %s cannot be closed by its journal: %s", call_id, error)
        return closed

    def _close_dead_call(self, call_id: str, journal: Path, *, hook: bool) -> None:
        part = self.recordings / f"{call_id}{PART}"
        whole = self.recordings / f"{call_id}.flac"
        if part.exists():
            repair(part)
        if (self.folder / f"{call_id}{RECORD}").exists():
            # It ended, and was killed before the mark was gone.
            (self.folder / f"{call_id}{OPEN}").unlink(missing_ok=True)
            return
        record = record_of_journal(journal, whole.name if whole.exists() else "", self.thresholds)
        if record is None:
            (self.folder / f"{call_id}{OPEN}").unlink(missing_ok=True)
        else:
            self.end(record, hook=hook)


def read_waiting(data: bytes) -> CallRecord | None:
    """Read a record of the spool; None, and a line in the log, when it is none."""
    try:
        return load_record(data)
    except ValueError as error:
        log.error("a record in the spool cannot be read: %s", str(error).splitlines()[0])
        return None


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _write(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all, so that it outlives the end of the machine."""
    part = path.with_name(path.name + ".part")
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    finally:
        os.close(file)
    os.replace(part, path)
