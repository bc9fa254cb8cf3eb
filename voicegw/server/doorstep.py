"""The first steps of a connection to the port: is its address welcome, and then uvicorn's HTTP.

Whoever is not is told so, or held, before anything is made for it and without a byte of it being read.
"""

import asyncio
import math
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from voicegw.config import Settings
from voicegw.server.door import Door
from voicegw.server.line import address_of

# Whoever comes too often waits so long for the answer that says so; whoever is shut out, so long.
HOLD_S = 1.0
OUT_HOLD_S = 5.0


def too_many(wait_s: float) -> bytes:
    """The answer to whoever comes too often, whatever it was going to ask."""
    status = HTTPStatus.TOO_MANY_REQUESTS
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nRetry-After: {math.ceil(wait_s)}\r\n"
        "Connection: close\r\nContent-Length: 0\r\n\r\n"
    ).encode()


class Doorstep(asyncio.Protocol):
    """One connection, until its address has passed the turnstile. uvicorn makes it (its `http=` setting)."""

    def __init__(self, **made_for: Any) -> None:
        """Takes what uvicorn gives to its own protocols."""
        self._made_for = made_for
        self._door: Door = made_for["config"].app.state.gateway.door
        self._transport: asyncio.Transport | None = None  # of a connection that is held or refused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Go on as HTTP, or not at all."""
        # uvloop's transports have all of its methods, but are no subclass of it.
        connection = cast(asyncio.Transport, transport)
        now, address = asyncio.get_running_loop().time(), address_of(connection)
        if not address:
            # Reset already by who opened it: nobody's address is left to judge it by.
            connection.abort()
            return
        wait_s = self._door.turnstile.wait_s(address, now)
        if not wait_s:
            http = GuardedHttp(**self._made_for)
            connection.set_protocol(http)
            http.connection_made(connection)
            return
        self._transport = connection
        hold_s = OUT_HOLD_S if self._door.turnstile.is_out(address, now) else HOLD_S
        self._door.held.hold(connection, hold_s, too_many(wait_s))

    def data_received(self, data: bytes) -> None:
        """Of a connection that is held nothing more is read: what is sent stands in the sender's buffers."""
        if self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone by itself."""
        if self._transport is not None:
            self._door.held.gone(self._transport)


# A request's body may take this many times as long as its head.
BODY_TIMES = 6


class GuardedHttp(H11Protocol):
    """uvicorn's HTTP, which by itself leaves a half-sent first request open for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request `server.handshake_s` to be there."""
        super().connection_made(transport)
        self._door: Door = self.config.app.state.gateway.door  # type: ignore[union-attr]
        settings: Settings = self.config.app.state.gateway.settings  # type: ignore[union-attr]
        self._waited = False  # for a body, once
        self._handshake_s = settings.server.handshake_s
        self._guard = self.loop.call_later(self._handshake_s, self._cut)
        if len(self.connections) > settings.door.max_connections:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """A further request on this connection has as long as the first one."""
        if self._guard.when() <= self.loop.time() and self._between_requests():
            self._waited = False
            self._guard = self.loop.call_later(self._handshake_s, self._cut)
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._door.offended(address_of(self.transport))
        super().send_400_response(msg)

    def on_response_complete(self) -> None:
        """A further request is like a further connection: who sends them without end is cut."""
        super().on_response_complete()
        if self._door.turnstile.wait_s(address_of(self.transport), self.loop.time()):
            self.transport.close()

    def _between_requests(self) -> bool:
        cycle = getattr(self, "cycle", None)
        return cycle is None or cycle.response_complete

    def _cut(self) -> None:
        """Only a beginning of a request has come, or of its body, or nothing."""
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self._between_requests() or (self.cycle.more_body and self._waited):
            self.transport.abort()
        elif self.cycle.more_body:
            # A photo over a slow line takes longer than a request's head.
            self._waited = True
            self._guard = self.loop.call_later(BODY_TIMES * self._handshake_s, self._cut)

    def connection_lost(self, exc: Exception | None) -> None:
        """The timer goes with the connection."""
        self._guard.cancel()
        super().connection_lost(exc)
