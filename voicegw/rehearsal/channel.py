"""A call's connection in memory: what a socket does for a session, without a socket.

Messages are those of a carrier's wire format, handed over by plain calls in both directions; everything
from `Arrival` on is the gateway's real code. Runs in virtual time, as it has no clock of its own.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from voicegw.carriers.base import Carrier, Message
from voicegw.carriers.native import Native
from voicegw.errors import CarrierError
from voicegw.server.arrival import Arrival, start_of_query
from voicegw.server.gateway import Gateway


class FarEnd(Protocol):
    """Who is at the other end of the connection."""

    def message(self, message: Message) -> None:
        """The gateway has sent a message."""
        ...

    def closed(self, code: int, reason: str) -> None:
        """The gateway has closed the connection (RFC 6455 close code)."""
        ...


class CallersEnd(Protocol):
    """The caller's end of a connection, in memory or on a socket."""

    def to_gateway(self, message: Message) -> None:
        """Send the gateway a message."""
        ...

    def drop(self) -> None:
        """The connection breaks, without a close."""
        ...


class Channel:
    """One connection. Is the `Line` of the session that it belongs to."""

    def __init__(
        self,
        gateway: Gateway,
        far_end: FarEnd,
        *,
        query: Mapping[str, str] | None = None,
        carrier: Carrier | None = None,
    ) -> None:
        """Connect, as an upgrade with this query would. Raises GatewayFull."""
        self._far_end = far_end
        self._carrier = carrier or Native()
        self._open = True
        start = start_of_query(query or {})
        if not start.resume_token:
            gateway.admit()
        self._arrival = Arrival(gateway, self, self._carrier, start)
        if start.resume_token:
            try:
                self._arrival.resume_by_query()
            except CarrierError as error:
                self._fail(error)

    # The far end's side

    def to_gateway(self, message: Message) -> None:
        """Send the gateway a message; dropped when the connection is closed."""
        if not self._open:
            return
        try:
            (self._arrival.session or self._arrival).received(message)
        except CarrierError as error:
            self._fail(error)

    def drop(self) -> None:
        """The connection breaks, without a close."""
        if self._open:
            self._open = False
            self._arrival.lost()

    def _fail(self, error: CarrierError) -> None:
        for message in self._carrier.error(error.code, error.message, error.hint):
            self.send(message)
        self.close(error.close_code, error.code)

    # The gateway's side

    def send(self, message: Message) -> None:
        """Hand a message to the far end; dropped when the connection is closed."""
        if self._open:
            self._far_end.message(message)

    def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        if self._open:
            self._open = False
            self._far_end.closed(code, reason)
            # A socket tells later that it is gone, not from within `close`.
            asyncio.get_running_loop().call_soon(self._arrival.lost)
