"""What all bridges have in common: the sound of a call in messages, and what the gateway asks for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from voicegw.audio.format import AudioFormat
from voicegw.carriers.base import Message


@dataclass(frozen=True, slots=True)
class MarkSent:
    """The gateway wants to be told when what it sent so far was played."""

    name: str


@dataclass(frozen=True, slots=True)
class ClearSent:
    """The gateway wants what was not played to be dropped."""


@dataclass(frozen=True, slots=True)
class PauseSent:
    """The gateway wants the player to stop and keep what it has, or (`on` False) to go on."""

    on: bool


@dataclass(frozen=True, slots=True)
class HangUpSent:
    """The gateway ends the call."""


ULAW = AudioFormat("ulaw", 8000)


Taken = bytes | MarkSent | ClearSent | PauseSent | HangUpSent


@dataclass(slots=True)
class Bridge:
    """One call's end of a protocol. `audio` and what `take` returns as bytes are pcm (16 kHz).

    `identity` is told to the gateway in the protocol's own way; `frame_ms` is the length of one message.
    `message_bytes`, if set, makes messages of that size, whatever was promised; the last one may be short.
    """

    name: ClassVar[str] = ""
    path: ClassVar[str] = ""
    subprotocols: ClassVar[tuple[str, ...]] = ()

    format: AudioFormat = ULAW
    identity: dict[str, str] = field(default_factory=dict)
    frame_ms: int = 20
    message_bytes: int = 0
    _unsent: bytes = b""
    _count: int = 0
    _sender: Any = None
    _reader: Any = None

    @classmethod
    def of(cls, peer: Mapping[str, Any]) -> Self:
        """The bridge that a conversation's `peer` describes."""
        form = AudioFormat(peer.get("codec", "ulaw"), peer.get("rate_hz", 8000))
        return cls(form, frame_ms=peer.get("frame_ms", 20), message_bytes=peer.get("message_bytes", 0))

    def __post_init__(self) -> None:
        self._sender = self.format.encoder()
        self._reader = self.format.decoder()

    @property
    def query(self) -> dict[str, str]:
        """What the address carries."""
        return {}

    def open(self) -> Sequence[Message]:
        """What is sent first."""
        return ()

    def audio(self, pcm: bytes) -> Sequence[Message]:
        """The messages that carry a stretch of the caller's sound."""
        data: bytes = self._sender.push(pcm)
        if not self.message_bytes:
            return (self._media(data),) if data else ()
        data, size = self._unsent + data, self.message_bytes
        whole = len(data) - len(data) % size
        self._unsent = data[whole:]
        return [self._media(data[at : at + size]) for at in range(0, whole, size)]

    def _media(self, data: bytes) -> Message:
        return data

    def dtmf(self, digit: str) -> Sequence[Message]:
        """A pressed key."""
        return ()

    def played(self, mark: str, *, cleared: bool = False) -> Sequence[Message]:
        """A mark was reached, or dropped by a clear."""
        return ()

    def cleared(self) -> Sequence[Message]:
        """A clear was done."""
        return ()

    def hang_up(self) -> Sequence[Message]:
        """What is sent before the connection is closed."""
        return ()

    def take(self, message: Message) -> Sequence[Taken]:
        """Read a message of the gateway. Raises ValueError for one that the real peer would refuse."""
        raise NotImplementedError


def json_of(message: Message) -> dict[str, Any]:
    """The JSON object of a text message. Raises ValueError."""
    if isinstance(message, bytes):
        raise ValueError("a binary message where only text is understood")
    found = json.loads(message)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found
