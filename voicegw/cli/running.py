"""Running the gateway in this process: on uvloop, listening on a port, until it is told to end."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

from voicegw.config import Settings
from voicegw.errors import ConfigError
from voicegw.server.door import check_listening
from voicegw.server.front import GatewayServer, make_gateway, make_server, settled_memory

T = TypeVar("T")


def run_on_uvloop(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on uvloop, where there is one (not on Windows)."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises ConfigError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {error.strerror}; another one: --set server.port=0"
        ) from error


def address(listener: socket.socket, *, tls: bool = False) -> str:
    """Return the URL for callers. A gateway that listens everywhere is called on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    scheme = "wss" if tls else "ws"
    return f"{scheme}://[{host}]:{port}/v1/call" if ":" in host else f"{scheme}://{host}:{port}/v1/call"


def page_address(url: str) -> str:
    """Return where the softphone is, of the gateway that is called at `url`."""
    parts = urlsplit(url)
    return f"{parts.scheme.replace('ws', 'http')}://{parts.netloc}/"


@contextlib.asynccontextmanager
async def running_gateway(settings: Settings, listener: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """Serve on `listener` within the block; yields the task that serves, which a signal ends.

    Raises ConfigError. The block is entered when calls are taken.
    """
    gateway = await make_gateway(settings, keep=True)
    server: GatewayServer = make_server(settings, gateway)
    gateway.start()
    # A caller in the middle of a call keeps the agent that answered.
    hang_up_signal = getattr(signal, "SIGHUP", None)
    if hang_up_signal is not None:
        asyncio.get_running_loop().add_signal_handler(hang_up_signal, gateway.reload_personas)
    serving = asyncio.create_task(server.serve([listener]), name="serve")
    listening = asyncio.create_task(server.listening.wait(), name="listening")
    try:
        await asyncio.wait([serving, listening], return_when=asyncio.FIRST_COMPLETED)
        with settled_memory():
            yield serving
    finally:
        if hang_up_signal is not None:
            asyncio.get_running_loop().remove_signal_handler(hang_up_signal)
        listening.cancel()
        server.stop()
        await asyncio.wait([serving, listening])
        await server.finish_drain()
        await gateway.close()
        listener.close()
    # What ended it, if it was not asked to.
    serving.result()


async def serve(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serve until a signal ends it. `tell` gets the URL once calls are taken. Raises ConfigError."""
    check_listening(settings)
    listener = listen(settings.server.host, settings.server.port)
    async with running_gateway(settings, listener) as serving:
        tell(address(listener, tls=bool(settings.server.tls_cert)))
        await asyncio.wait([serving])
