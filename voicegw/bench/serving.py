"""How a server runs as a child of the benchmark: tell the port, serve until the parent has enough."""

import asyncio
import socket
import sys

import uvicorn

from voicegw.bench.processes import say


async def parent_has_closed() -> None:
    """Wait until standard input ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()


async def serve_child(server: uvicorn.Server) -> None:
    """Serve on a free port, say which, and stop when the parent closes standard input."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        closed = asyncio.create_task(parent_has_closed())
        say(port=listening.getsockname()[1])
        await asyncio.wait({serving, closed}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        closed.cancel()
        await serving
