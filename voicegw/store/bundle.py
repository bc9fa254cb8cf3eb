"""Bundles: a call kept whole, in a folder of its own, so that it can be replayed as it was.

    <data>/bundles/<call_id>/
      bundle.json      what call it was, the agent, the settings; no secrets
      recording.flac   both sides, caller left
      journal.jsonl    every event, with a digest of what the call said to do about it
      commands.txt     events and commands as text, from the journal: `voicegw replay` compares with it
      cassette.jsonl   what the providers answered, with their delays

While the call runs its folder is `<call_id>.part`; that of a killed process is made whole by the next one,
as far as it came. What the providers answered is encoded and written by one
thread of the process; recording and journal are linked, not copied, where the disk can.
"""

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

FORMAT = 1
ABOUT, RECORDING, JOURNAL, COMMANDS = "bundle.json", "recording.flac", "journal.jsonl", "commands.txt"
CASSETTE = "cassette.jsonl"
PART = ".part"
# Answers of all calls that may wait for the disk, in bytes: a slow disk must not fill the memory.
MOST_WAITING = 64 * 2**20


class Bundles:
    """Writes the bundles of one process."""

    def __init__(self, folder: Path, *, most_bytes: int, head: str) -> None:
        """`most_bytes` bounds the answers of one call; `head` is the first line of a cassette."""
        self.folder = folder
        self.most_bytes = most_bytes
        self.head = head
        self.waiting = 0  # bytes of answers that are not written yet
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="bundles")

    def begin(self, call_id: str, about: Mapping[str, Any]) -> "Bundle":
        """Begin a bundle, which tells `about` its call. Nothing is on the disk before the first answer."""
        return Bundle(self, call_id, about)

    def submit(self, work: Callable[[], None]) -> "Future[None]":
        """Have something written behind all that was given before."""
        return self._writer.submit(work)

    def close(self) -> None:
        """Write what waits. Blocks."""
        self._writer.shutdown()


class Bundle:
    """The bundle of one call, from its beginning to its end."""

    def __init__(self, bundles: Bundles, call_id: str, about: Mapping[str, Any]) -> None:
        self._bundles = bundles
        self._about = about
        self._whole = bundles.folder / call_id
        self._part = bundles.folder / f"{call_id}{PART}"
        self._size = 0
        self.left_out = 0  # answers beyond the bounds

    def answer(self, size: int, line: Callable[[], str]) -> None:
        """Keep an answer of a provider of about `size` bytes; `line` gives its line, on the writer's thread.

        Beyond the bounds answers are left out: the bundle says how many.
        """
        bundles = self._bundles
        if self._size + size > bundles.most_bytes or bundles.waiting + size > MOST_WAITING:
            self.left_out += 1
            return
        self._size += size
        bundles.waiting += size
        written = bundles.submit(lambda: self._write(line))
        written.add_done_callback(lambda done: self._written(size, done))

    def _write(self, line: Callable[[], str]) -> None:
        self._begin()
        with (self._part / CASSETTE).open("a", encoding="utf-8") as file:
            file.write(line() + "\n")

    def _begin(self) -> None:
        if not self._part.is_dir():
            # Callers' words: for nobody else's eyes.
            self._part.mkdir(parents=True, mode=0o700)
            (self._part / CASSETTE).write_text(self._bundles.head + "\n", encoding="utf-8")
            # Whoever finds it when this process was killed must know what call it was.
            _tell(self._part, {**self._about, "killed": True})

    def _written(self, size: int, done: "Future[None]") -> None:
        self._bundles.waiting -= size
        if (error := done.exception()) is not None:
            self.left_out += 1
            log.error("a bundle's answer is left out: %s", type(error).__name__)

    def end(self, journal: Path, recording: Path | None, commands: Iterable[str]) -> Path | None:
        """Make the bundle whole, behind all its answers. None, with a line in the log, where that fails.

        Blocks; `commands` is read on this thread.
        """
        try:
            self._bundles.submit(lambda: None).result()
            self._begin()
            _tell(self._part, {**self._about, "answers_left_out": self.left_out})
            _close(self._part, self._whole, journal, recording, commands)
        except OSError as error:
            log.error("the bundle %s is not whole: %s", self._whole.name, error.strerror)
            return None
        return self._whole


def finish(
    folder: Path, call_id: str, journal: Path, recording: Path | None, commands: Iterable[str]
) -> Path | None:
    """Make the bundle whole that a killed process has left, with what came until then; None: there is none.

    Blocks. Raises OSError.
    """
    part = folder / f"{call_id}{PART}"
    if not (part / ABOUT).is_file():
        return None
    _cut_torn_line(part / CASSETTE)
    _close(part, folder / call_id, journal, recording, commands)
    return folder / call_id


def _close(part: Path, whole: Path, journal: Path, recording: Path | None, commands: Iterable[str]) -> None:
    with (part / COMMANDS).open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(f"{line}\n" for line in commands)
    for source, name in ((journal, JOURNAL), (recording, RECORDING)):
        if source is not None:
            _link(source, part / name)
    os.replace(part, whole)


def _tell(part: Path, about: Mapping[str, Any]) -> None:
    text = json.dumps({"format": FORMAT, **about}, ensure_ascii=False, indent=1, sort_keys=True)
    (part / ABOUT).write_text(text + "\n", encoding="utf-8")


def _cut_torn_line(path: Path) -> None:
    """Leave out the answer in whose middle the process was killed."""
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)
