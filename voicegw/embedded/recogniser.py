"""The pool of recognition processes, and the short queue before it."""

import asyncio
import json
import logging
import struct
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from voicegw.embedded.errors import ApiError

_log = logging.getLogger(__name__)

# A worker that dies at once is started again no faster than this, so that a broken installation does not
# keep a core busy.
_RESTART_S = 1.0
# The longest answer of a worker, 60 s of quick speech with each word's place, is about 20 kB.
_LINE_LIMIT = 1 << 20


@dataclass(frozen=True)
class HeardWord:
    """A recognised word: its place in seconds, and the natural log of its posterior probability."""

    word: str
    start: float
    end: float
    log_prob: float


@dataclass
class _Job:
    pcm: bytes
    result: asyncio.Future[list[HeardWord]]


class Recogniser:
    """Recognises utterances in `workers` processes; an async context manager that owns them.

    At most `max_waiting` utterances wait for a free process; one more is refused at once (429). One that
    is not recognised after `deadline_s` is given up (503), and a process that is still busy with it is
    replaced.
    """

    def __init__(self, workers: int, *, max_waiting: int = 16, deadline_s: float = 20.0):
        if workers < 1:
            raise ValueError("recognition needs at least one worker")
        self._workers = workers
        self._max_waiting = max_waiting
        self._deadline_s = deadline_s
        # Bounded by max_waiting; full means 429. Not an asyncio.Queue, because given-up jobs must leave it.
        self._waiting: deque[_Job] = deque()
        self._arrived = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self.ready_workers = 0

    async def __aenter__(self) -> "Recogniser":
        self._tasks = [asyncio.create_task(self._keep_worker()) for _ in range(self._workers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    @property
    def waiting(self) -> int:
        """Utterances that no process has taken yet."""
        return len(self._waiting)

    async def recognise(self, pcm: bytes) -> list[HeardWord]:
        """Return the words in `pcm` (16-bit mono, 16 kHz).

        Cancelling takes a waiting utterance out of the queue; one that is being decoded is finished, and
        its answer dropped. Raises `ApiError` 429 when the queue is full and 503 when the deadline passed.
        """
        if len(self._waiting) >= self._max_waiting:
            raise ApiError(
                429, "Recognition is busy: too many requests are waiting.", code="queue_full", retry_after=1
            )
        job = _Job(pcm, asyncio.get_running_loop().create_future())
        async with self._arrived:
            self._waiting.append(job)
            self._arrived.notify()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await job.result
        except TimeoutError:
            message = f"Recognition was not finished after {self._deadline_s:g} s."
            raise ApiError(503, message, code="deadline_passed", retry_after=2) from None
        finally:
            job.result.cancel()
            if job in self._waiting:
                self._waiting.remove(job)

    async def _keep_worker(self) -> None:
        """Keep one process running, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                process = await _start_worker()
            except OSError as error:  # out of memory or processes; may pass
                _log.warning("cannot start a recognition process: %s", error)
            else:
                try:
                    await self._feed(process)
                finally:
                    if process.returncode is None:
                        process.kill()
                    await process.wait()
                _log.warning("a recognition process ended with status %s and is replaced", process.returncode)
            await asyncio.sleep(max(0.0, started + _RESTART_S - loop.time()))

    async def _feed(self, process: asyncio.subprocess.Process) -> None:
        """Give jobs to a process; return when it died, or was too slow and must be replaced."""
        if await _read(process) is None:
            return
        self.ready_workers += 1
        try:
            while True:
                async with self._arrived:
                    await self._arrived.wait_for(lambda: self._waiting)
                    job = self._waiting.popleft()
                if not await self._decode(process, job):
                    return
        finally:
            self.ready_workers -= 1

    async def _decode(self, process: asyncio.subprocess.Process, job: _Job) -> bool:
        """Decode one job; return whether the process is still good."""
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await _ask(process, job.pcm)
        except TimeoutError:
            return False
        if answer is None:
            if not job.result.done():
                job.result.set_exception(
                    ApiError(
                        503, "Recognition failed and is being restarted.", code="worker_died", retry_after=2
                    )
                )
            return False
        if not job.result.done():
            job.result.set_result([HeardWord(**word) for word in answer["words"]])
        return True


async def _start_worker() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voicegw.embedded.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_LIMIT,
        # Ctrl-C in a terminal goes to the whole process group; workers end when their stdin closes instead.
        start_new_session=True,
    )


async def _ask(process: asyncio.subprocess.Process, pcm: bytes) -> dict[str, Any] | None:
    assert process.stdin is not None
    try:
        process.stdin.write(struct.pack("<I", len(pcm)) + pcm)
        await process.stdin.drain()
    except ConnectionError:
        return None
    return await _read(process)


async def _read(process: asyncio.subprocess.Process) -> dict[str, Any] | None:
    """Return the next message of the process, None when it has ended."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    message: dict[str, Any] | None = json.loads(line) if line else None
    return message
