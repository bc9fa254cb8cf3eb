"""One WebSocket connection, whichever side opened it: bytes to messages and back.

The protocol itself is websockets' sans-I/O one; messages go on by plain calls, without a queue or a task.
Knows neither what messages mean nor how the connection came to be.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

from websockets.exceptions import InvalidState, PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, State

from voicegw.carriers.base import Carrier, Message
from voicegw.errors import CarrierError
from voicegw.server.arrival import Arrival
from voicegw.server.gateway import Gateway
from voicegw.server.short_way import BINARY, whole_message, wire_bytes

log = logging.getLogger(__name__)
# websockets logs every message with its content at DEBUG, and every URL: none of that may enter a log.
wire_log = logging.getLogger("voicegw.wire")
wire_log.setLevel(logging.WARNING)

# A reader so slow that this much (8 s of audio) waits for it is cut: it hears nothing sensible.
MOST_UNSENT_BYTES = 256_000
# How long the other side has to answer a close before the connection is cut.
CLOSE_S = 5.0
# Whoever was closed for a flood has this long to read so.
FLOOD_CLOSE_S = 1.0
# So much is taken in one turn of the loop, then it is the other calls' turn: 100 ms of pcm, or 500 of the
# smallest messages, which are 5 ms of work.
SLICE_BYTES = 4096
# Close codes for what the other side must not have sent (RFC 6455 section 7.4.1).
OFFENCES = (1002, 1003, 1007, 1009)
# Messages are counted over this long: a network that stalls delivers some seconds at once.
BURST_S = 10.0
# More bytes than ever come.
ALL = 1 << 62


def address_of(transport: asyncio.BaseTransport) -> str:
    """The address at the other end; empty where there is none."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


class WebSocketLine(asyncio.Protocol):
    """The `Line` of a session over a WebSocket. Those who open one end of it inherit from this."""

    def __init__(self, gateway: Gateway, protocol: Protocol) -> None:
        self._gateway = gateway
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self._ws = protocol
        self._arrival: Arrival | None = None
        self._carrier: Carrier | None = None
        self._parts: list[bytes] = []  # of a fragmented message
        self._part_opcode = Opcode.BINARY
        # Of what the parser was given, what has not come back as a frame yet. The handshake is no frame.
        self._unparsed = 0
        self._at_border = False  # the next byte begins a message
        self._closing = False
        self._flooded = False  # nothing more is read
        self._flushes = False  # at the end of this turn of the loop
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._unread = b""  # what came in one piece and waits for its turns
        self.offended = False  # it was cut for what it sent
        self._messages = 0  # since when they were counted anew
        self._wrong = 0  # of these
        self._counted_from = self._loop.time()
        carriers = gateway.settings.carriers
        self._most_messages = int(carriers.messages_s * BURST_S)
        self._most_wrong = int(carriers.wrong_messages_s * BURST_S)
        self._idle_s = carriers.idle_s

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: the handshake has `server.handshake_s`."""
        # uvloop's transports have all of its methods, but are no subclass of it.
        self._transport = cast(asyncio.Transport, transport)
        self._timer = self._loop.call_later(self._gateway.settings.server.handshake_s, self._abort)

    def data_received(self, data: bytes) -> None:
        """Take bytes; whole messages go on at once."""
        if self._unread:
            self._unread += data
            return
        if len(data) > SLICE_BYTES:
            self._unread, data = data[SLICE_BYTES:], data[:SLICE_BYTES]
            self._transport.pause_reading()
            self._loop.call_soon(self._go_on)
        self._take(data)

    def _go_on(self) -> None:
        """Take the next part of what came in one piece; more is read behind the last one."""
        if self._transport.is_closing() or self._flooded:
            return
        data, self._unread = self._unread[:SLICE_BYTES], self._unread[SLICE_BYTES:]
        if self._unread:
            self._loop.call_soon(self._go_on)
        else:
            self._transport.resume_reading()
        self._take(data)

    def _take(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        if not self._at_border or (message := whole_message(data)) is None:
            self._parse(data)
        elif data[0] == BINARY:
            # Nearly every read: 20 ms of audio.
            self._take_message(message)
        else:
            self._take_text(message)

    def _parse(self, data: bytes) -> None:
        self._ws.receive_data(data)
        self._unparsed += len(data)
        for event in self._ws.events_received():
            if isinstance(event, Frame):
                self._unparsed -= wire_bytes(event)
                self._take_frame(event)
            else:
                # Where a client sends more before it was answered, the parser keeps all the rest to itself.
                self._unparsed = 0 if data.endswith(b"\r\n\r\n") else ALL
                self._take_handshake(event)
        self._at_border = not self._unparsed and not self._parts and self._ws.state is State.OPEN
        self._flush()

    def eof_received(self) -> bool:
        """The other side sends no more: close."""
        self._ws.receive_eof()
        self._flush()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: its call waits for another one, or ends."""
        if self._timer is not None:
            self._timer.cancel()
        self.offended = self.offended or isinstance(self._ws.parser_exc, ProtocolError | PayloadTooBig)
        if self._arrival is not None:
            arrival, self._arrival = self._arrival, None
            arrival.lost()

    def _take_handshake(self, event: Any) -> None:
        """Take the other side's part of the opening handshake."""
        raise NotImplementedError

    def _opened(self, carrier: Carrier) -> None:
        """The handshake is done."""
        self._carrier = carrier
        self._ws.max_message_size = carrier.max_message_bytes
        if self._timer is not None:
            self._timer.cancel()
        self._keep_alive()
        # The answer to the handshake must leave before the call's first message.
        self._flush()

    # Messages

    def _take_frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if frame.fin and opcode is Opcode.BINARY:
            self._take_message(bytes(frame.data))
        elif frame.fin and opcode is Opcode.TEXT:
            self._take_text(frame.data)
        elif opcode is Opcode.TEXT or opcode is Opcode.BINARY or opcode is Opcode.CONT:
            self._take_part(frame)

    def _take_part(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._part_opcode = frame.opcode
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        data = b"".join(self._parts)
        self._parts.clear()
        if self._part_opcode is Opcode.BINARY:
            self._take_message(data)
        else:
            self._take_text(data)

    def _take_text(self, data: Any) -> None:
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            self.close(1007, "text is not UTF-8")
            return
        self._take_message(text)

    def _take_message(self, message: Message) -> None:
        arrival = self._arrival
        if arrival is None or self._closing:
            return
        self._messages += 1
        if self._messages > self._most_messages and self._is_flood():
            return
        try:
            # Once the call has begun, its session takes messages directly.
            if not (arrival.session or arrival).received(message):
                self._wrong += 1
                if self._wrong > self._most_wrong:
                    self._is_flood()
        except CarrierError as error:
            self._fail(error)

    def _is_flood(self) -> bool:
        """So many messages came, or so many wrong ones: within how long?"""
        passed = self._heard_at - self._counted_from
        what = "too many wrong messages" if self._wrong > self._most_wrong else "too many messages"
        self._counted_from, self._messages, self._wrong = self._heard_at, 0, 0
        if passed >= BURST_S:
            return False
        log.info("a connection is closed: it sends %s", what)
        self.offended = self._flooded = True
        self._unread = b""
        self.close(1008, what)
        if self._arrival is not None and self._arrival.session is not None:
            # Whoever floods comes again: his calls must not wait for him one beside the other.
            self._arrival.session.finish("too_many_messages", close_code=1008)
        # What still comes is not even read: the flood stands in the sender's own buffers until he is cut.
        self._transport.pause_reading()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(FLOOD_CLOSE_S, self._abort)
        return True

    def _guard(self, work: Callable[[], None]) -> None:
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
        self.offended = self.offended or code in OFFENCES
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
        if carrier is None or self._closing:
            return
        quiet = self._loop.time() - self._heard_at
        # A peer that must not be pinged is believed to live until it was silent for the longest time allowed.
        limit = carrier.ping_s + carrier.pong_timeout_s if carrier.ping_s else self._idle_s
        if not limit:
            return
        if quiet >= limit:
            log.info("a connection is cut: nothing came for %.0f s", quiet)
            self._abort()
            return
        if carrier.ping_s and quiet >= carrier.ping_s:
            self._ws.send_ping(b"")
            self._flush()
        self._timer = self._loop.call_later(carrier.ping_s or max(1.0, limit - quiet), self._keep_alive)
