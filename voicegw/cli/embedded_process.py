"""The embedded provider as a child process: started, waited for, and always ended."""

import asyncio
import contextlib
import json
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from voicegw.errors import ConfigError

_LISTENING = "voicegw-embedded listening on "
# Its own limit for ending is 2 s; after this it is killed.
END_S = 5.0
# A cold start on one slow core, with everything to be read from disk.
_START_S = 60.0
_ASK_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True)
class EmbeddedProvider:
    """A provider that takes requests. `warm_up` returns when all of its recognisers are ready."""

    base_url: str
    workers: int

    async def warm_up(self, tell: Callable[[int], None]) -> None:
        """Wait for the recognisers; `tell` gets how many are ready. Raises ConfigError after 60 s."""
        health = self.base_url.removesuffix("/v1") + "/healthz"
        try:
            async with asyncio.timeout(_START_S):
                while (ready := await asyncio.to_thread(_ready_workers, health)) < self.workers:
                    tell(ready)
                    await asyncio.sleep(_ASK_AGAIN_S)
        except TimeoutError:
            raise ConfigError(
                f"the embedded provider's recognisers did not start within {_START_S:.0f} s"
            ) from None
        tell(ready)


def _ready_workers(url: str) -> int:
    # Without the proxies of the environment: the address is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        return int(json.load(answer)["recognition"]["ready"])


@contextlib.asynccontextmanager
async def embedded_provider(
    log: Path, workers: int = 2, *, command: Sequence[str] = (sys.executable, "-m", "voicegw", "embedded")
) -> AsyncIterator[EmbeddedProvider]:
    """Run the provider within the block; what it prints goes to the file `log`.

    Raises ConfigError with its last words when it does not start, as it does without the extra `embedded`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(*command, "--port", "0", "--workers", str(workers)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C in the terminal is ours to handle: the calls end before their provider does.
            start_new_session=True,
        )
        assert process.stdout is not None
        copying: asyncio.Task[None] | None = None
        try:
            base_url = await _listening(process.stdout, file.write)
            copying = asyncio.create_task(_copy(process.stdout, file.write))
            yield EmbeddedProvider(base_url, workers)
        finally:
            await _end(process)
            if copying is not None:
                await copying


async def _listening(lines: asyncio.StreamReader, keep: Callable[[bytes], object]) -> str:
    last = "it printed nothing"
    try:
        async with asyncio.timeout(_START_S):
            async for line in lines:
                keep(line)
                text = line.decode(errors="replace").strip()
                if text.startswith(_LISTENING):
                    return text.removeprefix(_LISTENING)
                last = text or last
    except TimeoutError:
        last = f"not ready after {_START_S:.0f} s"
    # It may come through our own command line, which puts its name before an error.
    raise ConfigError(f"the embedded provider did not start: {last.removeprefix('voicegw: ')}")


async def _copy(lines: asyncio.StreamReader, keep: Callable[[bytes], object]) -> None:
    """Read on, so that the pipe never fills up."""
    async for line in lines:
        keep(line)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
