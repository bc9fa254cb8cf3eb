"""The other side of every carrier's protocol: what a telephony bridge sends, and how it reads the gateway.

Pure wire formats, the mirror of `carriers/`: written from the vendors' descriptions and not from our own
files, so that a mistake in one is not repeated in the other. Tests and live replay put a player and a socket
around them (`rehearsal/telephone.py`).
"""

import base64
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
    """

    name: ClassVar[str] = ""
    path: ClassVar[str] = ""
    subprotocols: ClassVar[tuple[str, ...]] = ()

    format: AudioFormat = ULAW
    identity: dict[str, str] = field(default_factory=dict)
    frame_ms: int = 20
    _count: int = 0
    _sender: Any = None
    _reader: Any = None

    @classmethod
    def of(cls, peer: Mapping[str, Any]) -> Self:
        """The bridge that a conversation's `peer` describes."""
        return cls(frame_ms=peer.get("frame_ms", 20))

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
        return (self._media(data),) if data else ()

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


def _json(message: Message) -> dict[str, Any]:
    if isinstance(message, bytes):
        raise ValueError("a binary message where only text is understood")
    found = json.loads(message)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


class TwilioBridge(Bridge):
    """Twilio Media Streams."""

    name = "twilio"
    path = "/twilio"
    stream = "MZ00000000000000000000000000000002"

    def open(self) -> Sequence[Message]:
        parameters = {key: value for key, value in self.identity.items() if key != "external_id"}
        start = {
            "accountSid": "AC00000000000000000000000000000001",
            "streamSid": self.stream,
            "callSid": self.identity.get("external_id", "CA00000000000000000000000000000003"),
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }
        return (
            json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
            json.dumps({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": self.stream}),
        )

    def _event(self, event: str, **fields: Any) -> str:
        self._count += 1
        numbered = {
            "event": event,
            "sequenceNumber": str(self._count + 1),
            "streamSid": self.stream,
            **fields,
        }
        return json.dumps(numbered)

    def _media(self, data: bytes) -> Message:
        payload = base64.b64encode(data).decode()
        media = {"track": "inbound", "chunk": str(self._count), "timestamp": str(self._count * 20)}
        return self._event("media", media={**media, "payload": payload})

    def dtmf(self, digit: str) -> Sequence[Message]:
        return (self._event("dtmf", dtmf={"track": "inbound_track", "digit": digit}),)

    def played(self, mark: str, *, cleared: bool = False) -> Sequence[Message]:
        return (self._event("mark", mark={"name": mark}),)

    def hang_up(self) -> Sequence[Message]:
        return (self._event("stop", stop={"callSid": self.identity.get("external_id", "CA3")}),)

    def take(self, message: Message) -> Sequence[Taken]:
        found = _json(message)
        if found.get("streamSid") != self.stream:
            raise ValueError("streamSid is missing or wrong")
        match found["event"]:
            case "media":
                if set(found) != {"event", "streamSid", "media"} or set(found["media"]) != {"payload"}:
                    raise ValueError("fields that Twilio does not know")
                return (self._reader.push(base64.b64decode(found["media"]["payload"], validate=True)),)
            case "mark":
                return (MarkSent(found["mark"]["name"]),)
            case "clear":
                return (ClearSent(),)
        raise ValueError(f"Twilio knows no {found['event']}")


BRIDGES: dict[str, type[Bridge]] = {bridge.name: bridge for bridge in (TwilioBridge,)}
