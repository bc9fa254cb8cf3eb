"""One caller of the benchmark: a WebSocket client as lean as it can be, which notes when it hears what.

The handshake and the frames are written by hand (RFC 6455): a client library costs as much as the gateway
that is to be measured. It understands the native protocol, and a server that only echoes.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import cast

from voicegw.audio.pcm import FRAME_MS
from voicegw.bench.material import message

BINARY, TEXT, CLOSE, PING, PONG = 2, 1, 8, 9, 10
# Frames that may leave before they are heard (`Mouth`): the gateway sends so much at once.
LEAD_S = 0.120
# Send times are kept this long, to be asked for when the answer comes: 20 s.
KEPT = 1024


@dataclass(slots=True)
class Notes:
    """What all callers of one run noted, in seconds."""

    on: bool = False  # the window is open
    added: list[float] = field(default_factory=list)
    answer: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    first_sentence: list[float] = field(default_factory=list)
    frames: int = 0
    trouble: dict[str, int] = field(default_factory=dict)

    def count(self, trouble: str) -> None:
        """Note something that should not happen."""
        self.trouble[trouble] = self.trouble.get(trouble, 0) + 1


class Caller(asyncio.Protocol):
    """One connection. `frames` is what it says in turn, `heard` is called with each event's type.

    `last_sound` is the index in `frames` at which the speech ends, `end_ms` the pause that ends a turn.
    """

    def __init__(self, path: str, notes: Notes, frames: list[bytes], last_sound: int, end_ms: int) -> None:
        loop = asyncio.get_running_loop()
        self.open: asyncio.Future[None] = loop.create_future()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.answered: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.talks = False
        self._path = path
        self._notes = notes
        self._frames = frames
        self._last_sound = last_sound
        self._end_ms = end_ms
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self._rest = b""
        self._upgraded = False
        self._ending = False
        self._sent = 0
        self._sent_at = [0.0] * KEPT
        self._at = 0  # place in the cycle
        self._sound_at = 0.0  # when the last sound of the newest speech was sent
        self._voice_end = 0  # frame at whose end the gateway heard the voice end
        self._waits = False  # the answer's first frame is next
        self._first_at = 0.0
        self._heard = 0  # frames of the newest answer

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        # uvloop's transports have all of its methods, but are no subclass of it.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take whole messages, keep the rest."""
        now = time.monotonic()
        data = self._rest + data if self._rest else data
        if not self._upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._upgraded = True
            if not head.startswith(b"HTTP/1.1 101"):
                self.open.set_exception(ConnectionError(head.partition(b"\r\n")[0].decode()))
                self._transport.abort()
                return
            self.open.set_result(None)
        self._rest = data[self._take_messages(data, now) :]

    def _take_messages(self, data: bytes, now: float) -> int:
        """Take the messages that are whole; return where the next one begins. Servers do not mask."""
        at, end = 0, len(data)
        while end - at >= 2:
            length, head = data[at + 1], 2
            if length > 125:
                head = 4 if length == 126 else 10
                length = int.from_bytes(data[at + 2 : at + head], "big")
            if end - at < head + length:
                break
            opcode = data[at] & 15
            if opcode == BINARY:
                self._take_audio(now)
            elif opcode == TEXT:
                self._take_event(data[at + head : at + head + length], now)
            elif opcode == PING:
                self._transport.write(message(PONG, data[at + head : at + head + length]))
            elif opcode == CLOSE:
                self._transport.close()
            at += head + length
        return at

    def connection_lost(self, exc: Exception | None) -> None:
        """Before the end this is trouble."""
        if not self._ending:
            self._notes.count("connection lost")
        for future in (self.open, self.ready, self.answered):
            if not future.done():
                future.set_exception(ConnectionError("the connection was lost"))
                future.exception()  # whoever waits is told; where nobody does, it is counted above
        if not self.closed.done():
            self.closed.set_result(None)

    # Saying

    def say(self, now: float) -> None:
        """Send the next frame; it is `now`."""
        if self._transport.is_closing():
            return
        if self.talks:
            frame = self._frames[self._at]
            if self._at == self._last_sound:
                self._sound_at = now
            self._at = (self._at + 1) % len(self._frames)
        else:
            # The cycle's end is the quiet room.
            frame = self._frames[-1 - self._sent % 50]
        self._sent_at[self._sent % KEPT] = now
        self._sent += 1
        self._transport.write(frame)

    def tell(self, **event: str) -> None:
        """Send an event."""
        self._transport.write(message(TEXT, json.dumps(event).encode()))

    def hang_up(self) -> None:
        """End the connection without ceremony."""
        self._ending = True
        self._transport.abort()

    def end_call(self) -> None:
        """End the call; `closed` is done when the server has closed the connection."""
        self._ending = True
        self.tell(type="hangup")

    # Hearing

    def _take_audio(self, now: float) -> None:
        notes = self._notes
        if self._waits:
            self._waits = False
            self._first_at = now
            self._heard = 0
            if notes.on and self._voice_end:
                # The turn ends with the frame whose silence fills the pause.
                decided = self._voice_end + self._end_ms // FRAME_MS - 1
                notes.added.append(now - self._sent_at[decided % KEPT])
                notes.answer.append(now - self._sound_at)
            self._voice_end = 0
            if not self.answered.done():
                self.answered.set_result(None)
        if notes.on:
            notes.frames += 1
            due = self._first_at + max(0.0, self._heard * FRAME_MS / 1000 - LEAD_S)
            if self._first_at:
                notes.late.append(now - due)
        self._heard += 1

    def _take_event(self, text: bytes, now: float) -> None:
        # Only what is needed is parsed; the type comes first in every event.
        if text.startswith(b'{"type":"voice_stopped"'):
            self._voice_end = json.loads(text)["at_ms"] // FRAME_MS
        elif text.startswith(b'{"type":"speech_started"'):
            self._waits = True
        elif text.startswith(b'{"type":"latency"'):
            if self._notes.on:
                self._notes.first_sentence.append(json.loads(text)["first_sentence_ms"] / 1000)
        elif text.startswith(b'{"type":"ready"'):
            self.ready.set_result(None)
        elif text.startswith((b'{"type":"error"', b'{"type":"rung"')):
            event = json.loads(text)
            self._notes.count(f"{event['type']}: {event.get('code') or event.get('reason')}")
