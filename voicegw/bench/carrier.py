"""Callers of the benchmark that speak a carrier's protocol, and its cost beside the native one's.

They are as lean as the native caller: each frame's message is made once, before the load begins.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from voicegw.audio.format import AudioFormat
from voicegw.bench.caller import BINARY, TEXT, Caller
from voicegw.bench.figures import Load
from voicegw.bench.material import message

STREAM = "MZ00000000000000000000000000000002"
# After a pause of this length the next audio is an answer of its own.
PAUSE_S = 0.5

# What a protocol's callers are made of, and the messages of one cycle.
Made = tuple[type[Caller], list[bytes]]


class TwilioCaller(Caller):
    """A caller behind Twilio Media Streams. Sends no marks back: the gateway must bear that too."""

    _last_at = 0.0

    def data_received(self, data: bytes) -> None:
        """Begin the stream as soon as the connection is open."""
        opened = self.open.done()
        super().data_received(data)
        if not opened and self.open.done() and self.open.exception() is None:
            start = {"streamSid": STREAM, "callSid": f"CA{id(self):032x}", "customParameters": {}}
            self._transport.write(
                message(TEXT, b'{"event":"connected","protocol":"Call","version":"1.0.0"}')
                + message(TEXT, json.dumps({"event": "start", "streamSid": STREAM, "start": start}).encode())
            )

    def _take_event(self, text: bytes, now: float) -> None:
        if text.startswith(b'{"event":"media"'):
            if now - self._last_at > PAUSE_S:
                self._waits = True
            self._last_at = now
            self._take_audio(now)


def _native(pcm: list[bytes]) -> Made:
    return Caller, [message(BINARY, frame) for frame in pcm]


def _twilio(pcm: list[bytes]) -> Made:
    encoder, frames = AudioFormat("ulaw", 8000).encoder(), []
    for number, frame in enumerate(pcm):
        payload = base64.b64encode(encoder.push(frame)).decode()
        media = {"track": "inbound", "chunk": str(number + 1), "timestamp": str(number * 20)}
        event = {"event": "media", "sequenceNumber": str(number + 2), "media": {**media, "payload": payload}}
        frames.append(message(TEXT, json.dumps({**event, "streamSid": STREAM}).encode()))
    return TwilioCaller, frames


CALLERS: dict[str, Callable[[list[bytes]], Made]] = {"native": _native, "twilio": _twilio}
PATHS = {"native": "/v1/call", "twilio": "/twilio"}


@dataclass(frozen=True, slots=True)
class Beside:
    """One talking load beside another, in rounds that alternate.

    `name` says what the other ones are: a carrier, or "everything on"; `native` are native calls with nothing
    kept. `ratio` is the middle of the rounds' ratios of CPU; `sound` says that every figure may be believed.
    """

    name: str
    calls: int
    native: list[Load]
    other: list[Load]
    ratio: float
    sound: bool


def beside(name: str, calls: int, native: list[Load], other: list[Load]) -> Beside:
    """Put rounds together."""
    ratios = [b.cpu_ms / a.cpu_ms for a, b in zip(native, other, strict=True)]
    loads = [*native, *other]
    # Callers that were told less than the others have put less load on the gateway.
    alike = all(0.8 * a.frames <= b.frames <= 1.25 * a.frames for a, b in zip(native, other, strict=True))
    sound = alike and not any(load.void or load.trouble or not load.frames for load in loads)
    return Beside(name, calls, native, other, round(median(ratios), 3), sound)
