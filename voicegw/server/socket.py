"""The WebSocket side of the port: bytes to messages and back, and nothing of what they mean.

uvicorn hands every upgrade to one of these (its `ws=` setting takes a class). The protocol itself is
websockets' sans-I/O `ServerProtocol`; messages go on by plain calls, without a queue or a task.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from voicegw.carriers.base import Carrier, Message
from voicegw.carriers.native import Native
from voicegw.errors import CarrierError, GatewayFull
from voicegw.server.arrival import Arrival, start_of_query
from voicegw.server.gateway import Gateway

log = logging.getLogger(__name__)
# websockets logs every message with its content at DEBUG, and every URL: none of that may enter a log.
wire_log = logging.getLogger("voicegw.wire")
wire_log.setLevel(logging.WARNING)

CARRIERS: dict[str, type[Carrier]] = {"/v1/call": Native}
# A reader so slow that this much (8 s of audio) waits for it is cut: it hears nothing sensible.
MOST_UNSENT_BYTES = 256_000
# How long the other side has to answer a close before the connection is cut.
CLOSE_S = 5.0


class CallSocket(asyncio.Protocol):
    """One WebSocket connection. Is the `Line` of the session that it belongs to."""

    def __init__(self, config: Any, server_state: Any, app_state: Any) -> None:
        self._gateway: Gateway = config.app.state.gateway
        self._connections: set[Any] = server_state.connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self._ws = ServerProtocol(
            max_size=max(c.max_message_bytes for c in CARRIERS.values()), logger=wire_log
        )
        self._arrival: Arrival | None = None
        self._carrier: Carrier | None = None
        self._parts: list[bytes] = []  # of a fragmented message
        self._part_opcode = Opcode.BINARY
        self._parts_size = 0
        self._closing = False
        self._flushes = False  # at the end of this turn of the loop
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a connection whose request says upgrade."""
        # uvloop's transports have all of its methods, but are no subclass of it.
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        self._timer = self._loop.call_later(self._gateway.settings.server.handshake_s, self._abort)

    def data_received(self, data: bytes) -> None:
        """Take bytes; whole messages go on at once."""
        self._ws.receive_data(data)
        self._heard_at = self._loop.time()
        for event in self._ws.events_received():
            if isinstance(event, Frame):
                self._take_frame(event)
            elif isinstance(event, Request):
                self._take_request(event)
        self._flush()

    def eof_received(self) -> bool:
        """The other side sends no more: close."""
        self._ws.receive_eof()
        self._flush()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: its call waits for another one."""
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._arrival is not None:
            arrival, self._arrival = self._arrival, None
            arrival.lost()

    def shutdown(self) -> None:
        """uvicorn stops: by now the gateway has ended its calls."""
        if self._ws.state is State.OPEN:
            self.close(1001, "the gateway is shutting down")
        else:
            self._transport.close()

    # Handshake

    def _take_request(self, request: Request) -> None:
        url = urlsplit(request.path)
        make = CARRIERS.get(url.path)
        if make is None:
            self._refuse(HTTPStatus.NOT_FOUND, f"No calls at {url.path}; try {', '.join(CARRIERS)}.\n")
            return
        start = start_of_query(dict(parse_qsl(url.query)))
        try:
            if not start.resume_token:
                self._gateway.admit()
        except GatewayFull as full:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"{full}\n", retry_after=full.retry_after)
            return
        carrier = make()
        self._ws.max_message_size = carrier.max_message_bytes
        # A subprotocol is agreed on where the other side offers one of ours, and never demanded.
        offered = [p.strip() for h in request.headers.get_all("Sec-WebSocket-Protocol") for p in h.split(",")]
        self._ws.available_subprotocols = [
            Subprotocol(p) for p in carrier.subprotocols if p in offered
        ] or None
        response = self._ws.accept(request)
        self._ws.send_response(response)
        if self._ws.state is not State.OPEN:
            self._flush()
            return
        self._carrier = carrier
        if self._timer is not None:
            self._timer.cancel()
        self._keep_alive()
        # The answer to the handshake must leave before the call's first message.
        self._flush()
        self._arrival = Arrival(self._gateway, self, carrier, start)
        if start.resume_token:
            self._guard(self._arrival.resume_by_query)

    def _refuse(self, status: HTTPStatus, text: str, retry_after: int = 0) -> None:
        response = self._ws.reject(status, text)
        if retry_after:
            response.headers["Retry-After"] = str(retry_after)
        self._ws.send_response(response)
        self._flush()

    # Messages

    def _take_frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.BINARY and frame.fin:
            # Nearly every frame: 20 ms of audio.
            self._take_message(bytes(frame.data))
        elif opcode is Opcode.TEXT or opcode is Opcode.BINARY or opcode is Opcode.CONT:
            self._take_part(frame)

    def _take_part(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._part_opcode = frame.opcode
        self._parts.append(bytes(frame.data))
        self._parts_size += len(frame.data)
        if not frame.fin:
            return
        data = b"".join(self._parts)
        self._parts.clear()
        self._parts_size = 0
        if self._part_opcode is Opcode.BINARY:
            self._take_message(data)
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.close(1007, "text is not UTF-8")
            return
        self._take_message(text)

    def _take_message(self, message: Message) -> None:
        arrival = self._arrival
        if arrival is None or self._closing:
            return
        try:
            # Once the call has begun, its session takes messages directly.
            (arrival.session or arrival).received(message)
        except CarrierError as error:
            self._fail(error)

    def _guard(self, work: Any) -> None:
        try:
            work()
        except CarrierError as error:
            self._fail(error)

    def _fail(self, error: CarrierError) -> None:
        if self._carrier is not None:
            for message in self._carrier.error(error.code, error.message, error.hint):
                self.send(message)
        self.close(error.close_code, error.code)

    # The line of a session

    def send(self, message: Message) -> None:
        """Send a message; dropped when the connection is closing or gone."""
        if self._ws.state is not State.OPEN or self._transport.is_closing():
            return
        if isinstance(message, str):
            self._ws.send_text(message.encode())
        else:
            self._ws.send_binary(message)
        # What one turn of the loop sends leaves in one write: the system call costs more than all the rest.
        if not self._flushes:
            self._flushes = True
            self._loop.call_soon(self._flush)

    def close(self, code: int, reason: str) -> None:
        """Close behind what was sent. A close code is for programs, the reason for people (123 bytes)."""
        if self._closing:
            return
        self._closing = True
        try:
            self._ws.send_close(code, reason.encode()[:120].decode(errors="ignore"))
        except InvalidState:
            # It was closing already, from the other side.
            self._transport.close()
            return
        self._flush()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(CLOSE_S, self._abort)

    def _flush(self) -> None:
        self._flushes = False
        transport = self._transport
        chunks = self._ws.data_to_send()
        if chunks and not transport.is_closing():
            transport.write(b"".join(chunks))
            if not chunks[-1]:
                # The protocol's sign for: nothing more will be sent.
                transport.close()
            elif transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
                log.warning("a connection is cut: it does not read")
                self._abort()
        if self._ws.close_expected() and not self._closing:
            self._closing = True
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(CLOSE_S, self._abort)

    def _abort(self) -> None:
        self._transport.abort()

    # Quiet connections

    def _keep_alive(self) -> None:
        carrier = self._carrier
        if carrier is None or not carrier.ping_s or self._closing:
            return
        quiet = self._loop.time() - self._heard_at
        if quiet >= carrier.ping_s + carrier.pong_timeout_s:
            log.info("a connection is cut: nothing came for %.0f s", quiet)
            self._abort()
            return
        if quiet >= carrier.ping_s:
            self._ws.send_ping(b"")
            self._flush()
        self._timer = self._loop.call_later(carrier.ping_s, self._keep_alive)
