"""Gateways as real processes that start in no time, for tests that kill many of them.

`python forked_gateways.py BASE_URL` takes data folders, one a line. It has imported everything, and forks a
process for each that runs what `voicegw serve` runs; that one says its folder, its process id and its URL.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

from voicegw.cli.running import run_on_uvloop, serve
from voicegw.config import load_settings
from voicegw.observe.log import logging_to


class Forks:
    """The other end: asks for gateways, and is told where they are."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._asked: dict[str, asyncio.Future[tuple[int, str]]] = {}

    @contextlib.asynccontextmanager
    async def gateway(self, folder: Path) -> AsyncIterator[tuple[int, str]]:
        """A gateway over this data folder, as process id and URL; it is killed behind the block."""
        asked = self._asked[str(folder)] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(f"{folder}\n".encode())
        pid, url = await asked
        try:
            yield pid, url
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            await gone(pid)

    async def listen(self) -> None:
        """Take what the gateways say, for as long as it runs."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            folder, pid, url = line.decode().split()
            self._asked.pop(folder).set_result((int(pid), url))


async def gone(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        file = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(file, ended.set)
    await ended.wait()
    loop.remove_reader(file)
    os.close(file)


@contextlib.asynccontextmanager
async def forked_gateways(base_url: str, log: Path) -> AsyncIterator[Forks]:
    """Start the process that forks; within the block it makes gateways over the provider at `base_url`."""
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, base_url, stdin=PIPE, stdout=PIPE, stderr=errors
        )
    forks = Forks(process)
    listening = asyncio.create_task(forks.listen())
    try:
        yield forks
    finally:
        listening.cancel()
        process.kill()
        await process.wait()


def _serve(folder: str, base_url: str) -> None:
    settings = load_settings(
        {},
        None,
        {
            "server.port": "0",
            "store.data_dir": folder,
            "provider.base_url": base_url,
            "provider.api_key": "test-key",
        },
    )

    def tell(url: str) -> None:
        os.write(1, f"{folder} {os.getpid()} {url}\n".encode())

    with logging_to(sys.stderr, "INFO", "json"):
        run_on_uvloop(serve(settings, tell))


def main() -> None:
    """Fork for each line."""
    base_url = sys.argv[1]
    # Nothing of it is garbage: a collection in each child would copy it all.
    gc.freeze()
    # The children are nobody's to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while line := sys.stdin.readline():
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                _serve(line.strip(), base_url)
            finally:
                os._exit(0)


if __name__ == "__main__":
    main()
