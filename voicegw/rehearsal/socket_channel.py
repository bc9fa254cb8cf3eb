"""A call's connection over a real WebSocket: for a scripted caller the same as the channel in memory."""

import asyncio
import contextlib
from collections.abc import Mapping
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from voicegw.carriers.base import Message
from voicegw.rehearsal.channel import FarEnd

# What is said before the connection stands waits here: a second of audio, and the first events.
_MOST_WAITING = 100


class SocketChannel:
    """One connection of the native protocol to the gateway at `url`."""

    def __init__(self, url: str, far_end: FarEnd, *, query: Mapping[str, str] | None = None) -> None:
        self._far_end = far_end
        self._waiting: asyncio.Queue[Message] = asyncio.Queue(_MOST_WAITING)
        self._connection: ClientConnection | None = None
        self._dropped = False
        address = f"{url}?{urlencode(query)}" if query else url
        self._task = asyncio.create_task(self._run(address), name="caller's socket")

    def to_gateway(self, message: Message) -> None:
        """Send the gateway a message; one that finds no room is lost, as on a line that is choked."""
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait(message)

    def drop(self) -> None:
        """The connection breaks, without a close."""
        self._dropped = True
        if self._connection is not None:
            self._connection.transport.abort()
        self._task.cancel()

    async def _run(self, address: str) -> None:
        code, reason = 1006, ""
        try:
            async with connect(address, compression=None, proxy=None) as connection:
                self._connection = connection
                sending = asyncio.create_task(self._send(connection))
                try:
                    async for message in connection:
                        self._far_end.message(message)
                finally:
                    sending.cancel()
                    await asyncio.wait([sending])
                code, reason = connection.close_code or code, connection.close_reason or reason
        except InvalidStatus as error:
            code, reason = error.response.status_code, "refused"
        except (ConnectionClosed, OSError):
            pass  # broken: told below
        if not self._dropped:
            self._far_end.closed(code, reason)

    async def _send(self, connection: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.send(await self._waiting.get())
