"""The other side of every carrier's protocol: what a telephony bridge sends, and how it reads the gateway.

Pure wire formats, the mirror of `carriers/`: written from the vendors' descriptions and not from our own
files, so that a mistake in one is not repeated in the other. Tests and live replay put a player and a socket
around them (`rehearsal/telephone.py`).
"""

import base64
import json
import uuid
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


class TelnyxBridge(Bridge):
    """Telnyx media streaming, RTP mode. With `shuffled` packets change places, and some are lost."""

    name = "telnyx"
    path = "/telnyx"
    stream = "32de0dea-53cb-4b21-89a4-9e1819c043bc"
    shuffled = False
    _kept: Message | None = None

    @classmethod
    def of(cls, peer: Mapping[str, Any]) -> Self:
        bridge = super().of(peer)
        bridge.shuffled = peer.get("shuffled", False)
        return bridge

    def open(self) -> Sequence[Message]:
        encoding = {"ulaw": "PCMU", "alaw": "PCMA"}.get(self.format.codec, "L16")
        start = {
            "call_control_id": self.identity.get("external_id", "v2:T02llQxIyaRkhf"),
            "from": self.identity.get("caller", ""),
            "to": self.identity.get("called", ""),
            "media_format": {"encoding": encoding, "sample_rate": self.format.rate_hz, "channels": 1},
        }
        return (
            json.dumps({"event": "connected", "version": "1.0.0"}),
            json.dumps({"event": "start", "sequence_number": "1", "stream_id": self.stream, "start": start}),
        )

    def _event(self, event: str, **fields: Any) -> str:
        return json.dumps({"event": event, "stream_id": self.stream, **fields})

    def audio(self, pcm: bytes) -> Sequence[Message]:
        sent = super().audio(pcm)
        if not self.shuffled or not sent:
            return sent
        if self._count % 100 == 50:
            return ()  # lost
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return (*sent, kept)
        if self._count % 7 == 3:
            self._kept = sent[0]
            return ()
        return sent

    def _media(self, data: bytes) -> Message:
        self._count += 1
        media = {"track": "inbound", "chunk": str(self._count), "timestamp": str(self._count * 20)}
        return self._event("media", media={**media, "payload": base64.b64encode(data).decode()})

    def dtmf(self, digit: str) -> Sequence[Message]:
        return (self._event("dtmf", dtmf={"digit": digit}),)

    def played(self, mark: str, *, cleared: bool = False) -> Sequence[Message]:
        return (self._event("mark", mark={"name": mark}),)

    def hang_up(self) -> Sequence[Message]:
        return (self._event("stop", stop={"call_control_id": self.identity.get("external_id", "")}),)

    def take(self, message: Message) -> Sequence[Taken]:
        found = _json(message)
        match found["event"]:
            case "media":
                payload = base64.b64decode(found["media"]["payload"], validate=True)
                if len(payload) < self.format.frame_bytes:
                    raise ValueError("less than 20 ms in a message")
                return (self._reader.push(payload),)
            case "mark":
                return (MarkSent(found["mark"]["name"]),)
            case "clear":
                return (ClearSent(),)
        raise ValueError(f"Telnyx knows no {found['event']}")


class PlivoBridge(Bridge):
    """Plivo audio streams. A checkpoint that was cleared is never answered."""

    name = "plivo"
    path = "/plivo"
    stream = "b77e037d-0002-4a2b-9d3c-000000000002"

    @property
    def _type(self) -> str:
        return "audio/x-mulaw" if self.format.codec == "ulaw" else "audio/x-l16"

    def open(self) -> Sequence[Message]:
        start = {
            "callId": self.identity.get("external_id", "8b4a9c1e-0001-4a2b-9d3c-000000000001"),
            "streamId": self.stream,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": self._type, "sampleRate": self.format.rate_hz},
        }
        headers = ";".join(
            f"{name}={value}" for name, value in self.identity.items() if name != "external_id"
        )
        return (
            json.dumps({"event": "start", "sequenceNumber": 0, "start": start, "extra_headers": headers}),
        )

    def _event(self, event: str, **fields: Any) -> str:
        self._count += 1
        return json.dumps(
            {
                "event": event,
                "sequenceNumber": self._count,
                "streamId": self.stream,
                **fields,
                "extra_headers": "{}",
            }
        )

    def _media(self, data: bytes) -> Message:
        payload = base64.b64encode(data).decode()
        return self._event("media", media={"track": "inbound", "chunk": self._count, "payload": payload})

    def dtmf(self, digit: str) -> Sequence[Message]:
        return (self._event("dtmf", dtmf={"track": "inbound", "digit": digit}),)

    def played(self, mark: str, *, cleared: bool = False) -> Sequence[Message]:
        return () if cleared else (self._event("playedStream", name=mark),)

    def cleared(self) -> Sequence[Message]:
        return (self._event("clearedAudio"),)

    def take(self, message: Message) -> Sequence[Taken]:
        found = _json(message)
        match found["event"]:
            case "playAudio":
                media = found["media"]
                if (media["contentType"], media["sampleRate"]) != (self._type, self.format.rate_hz):
                    raise ValueError("another codec than the stream's")
                return (self._reader.push(base64.b64decode(media["payload"], validate=True)),)
            case "checkpoint":
                return (MarkSent(found["name"]),)
            case "clearAudio":
                return (ClearSent(),)
            case "sendDTMF":
                return ()
        raise ValueError(f"Plivo knows no {found['event']}")


class VonageBridge(Bridge):
    """Vonage websockets: whatever is not exactly 20 ms is refused."""

    name = "vonage"
    path = "/vonage"

    def open(self) -> Sequence[Message]:
        kind = f"audio/l16;rate={self.format.rate_hz}"
        return (json.dumps({"event": "websocket:connected", "content-type": kind, **self.identity}),)

    def dtmf(self, digit: str) -> Sequence[Message]:
        return (json.dumps({"event": "websocket:dtmf", "digit": digit, "duration": 260}),)

    def played(self, mark: str, *, cleared: bool = False) -> Sequence[Message]:
        return (json.dumps({"event": "websocket:notify", "payload": {"mark": mark}}),)

    def cleared(self) -> Sequence[Message]:
        return (json.dumps({"event": "websocket:cleared"}),)

    def take(self, message: Message) -> Sequence[Taken]:
        if isinstance(message, bytes):
            if len(message) != self.format.frame_bytes:
                raise ValueError(f"{len(message)} bytes where exactly {self.format.frame_bytes} are taken")
            return (self._reader.push(message),)
        found = _json(message)
        if found["action"] == "clear":
            return (ClearSent(),)
        if found["action"] == "notify" and isinstance(found["payload"], dict):
            return (MarkSent(found["payload"]["mark"]),)
        raise ValueError("Vonage knows clear and notify only")


class AsteriskBridge(Bridge):
    """chan_websocket. `dialect` is plain or json; a flush drops marks without a word."""

    name = "asterisk"
    path = "/asterisk"
    subprotocols = ("media",)
    dialect = "plain"
    bulk = False

    @classmethod
    def of(cls, peer: Mapping[str, Any]) -> Self:
        bridge = super().of(peer)
        bridge.dialect = peer.get("dialect", "plain")
        return bridge

    @property
    def query(self) -> dict[str, str]:
        """What a dialplan puts into v(…)."""
        return {"callid" if name == "external_id" else name: value for name, value in self.identity.items()}

    def open(self) -> Sequence[Message]:
        names = {"ulaw": "ulaw", "alaw": "alaw"}
        rate = self.format.rate_hz // 1000
        form = names.get(self.format.codec) or ("slin" if rate == 8 else f"slin{rate}")
        size = self.format.frame_bytes
        return (
            self._event("MEDIA_START", channel="WebSocket/1", format=form, optimal_frame_size=size, ptime=20),
        )

    def _event(self, event: str, **fields: Any) -> str:
        if self.dialect == "json":
            return json.dumps({"event": event, **fields})
        if mark := fields.get("correlation_id"):
            return f"{event} {mark}"
        return " ".join([event, *(f"{name}:{value}" for name, value in fields.items())])

    def dtmf(self, digit: str) -> Sequence[Message]:
        return (self._event("DTMF_END", digit=digit),)

    def played(self, mark: str, *, cleared: bool = False) -> Sequence[Message]:
        event = "MEDIA_BUFFERING_COMPLETED" if self.bulk else "MEDIA_MARK_PROCESSED"
        return () if cleared else (self._event(event, correlation_id=mark),)

    def take(self, message: Message) -> Sequence[Taken]:
        if isinstance(message, bytes):
            if len(message) % self.format.frame_bytes and not self.bulk:
                raise ValueError("the rest of a frame would be dropped")
            return (self._reader.push(message),)
        if len(message) > 128:
            raise ValueError("Asterisk reads 128 bytes of a command")
        if message.startswith("{") != (self.dialect == "json"):
            raise ValueError("a command in the other dialect")
        found = json.loads(message) if self.dialect == "json" else {}
        command, _, mark = message.partition(" ")
        match found.get("command", command):
            case "START_MEDIA_BUFFERING":
                if self.bulk:
                    raise ValueError("a bulk within a bulk")
                self.bulk = True
                return ()
            case "STOP_MEDIA_BUFFERING":
                if not self.bulk:
                    raise ValueError("the end of no bulk")
                self.bulk = False
                return (MarkSent(found.get("correlation_id", mark)),)
            case "MARK_MEDIA":
                return (MarkSent(found.get("correlation_id", mark)),)
            case "FLUSH_MEDIA":
                self.bulk = False
                return (ClearSent(),)
            case "PAUSE_MEDIA":
                return (PauseSent(True),)
            case "CONTINUE_MEDIA":
                return (PauseSent(False),)
            case "HANGUP":
                return (HangUpSent(),)
            case "ANSWER":
                return ()
        raise ValueError(f"Asterisk knows no {message}")


class AudioSocketBridge(Bridge):
    """Asterisk AudioSocket: frames over TCP, which may be split anywhere."""

    name = "audiosocket"
    kind = 0x10
    _kinds: ClassVar[dict[int, int]] = {8000: 0x10, 12000: 0x11, 16000: 0x12, 24000: 0x13, 48000: 0x16}
    _buffer = b""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kind = self._kinds[self.format.rate_hz]

    def open(self) -> Sequence[Message]:
        return (b"\x01\x00\x10" + uuid.UUID(self.identity["external_id"]).bytes,)

    def _media(self, data: bytes) -> Message:
        return bytes((self.kind,)) + len(data).to_bytes(2, "big") + data

    def dtmf(self, digit: str) -> Sequence[Message]:
        return (b"\x03\x00\x01" + digit.encode(),)

    def hang_up(self) -> Sequence[Message]:
        return (b"\0\0\0",)

    def take(self, message: Message) -> Sequence[Taken]:
        assert isinstance(message, bytes)
        data, out = self._buffer + message, []
        while len(data) >= 3 and len(data) >= 3 + (size := int.from_bytes(data[1:3], "big")):
            kind, payload, data = data[0], data[3 : 3 + size], data[3 + size :]
            if kind == 0 and not size:
                out.append(HangUpSent())
            elif kind == self.kind and size == self.format.frame_bytes:
                out.append(self._reader.push(payload))
            else:
                raise ValueError(f"a frame of type {kind:#x} with {size} bytes ends the call")
        self._buffer = data
        return out


class JambonzBridge(Bridge):
    """jambonz listen and mod_audio_fork; `bidir` is stream or play."""

    name = "jambonz"
    path = "/jambonz"
    subprotocols = ("audio.drachtio.org",)
    bidir = "stream"

    @classmethod
    def of(cls, peer: Mapping[str, Any]) -> Self:
        bridge = super().of(peer)
        bridge.bidir = peer.get("bidir", "stream")
        return bridge

    def open(self) -> Sequence[Message]:
        known = {"external_id": "callSid", "caller": "from", "called": "to"}
        told = {known.get(name, name): value for name, value in self.identity.items()}
        rate = self.format.rate_hz
        return (json.dumps({"sampleRate": rate, "mixType": "mono", "bidir": self.bidir, **told}),)

    def dtmf(self, digit: str) -> Sequence[Message]:
        return (json.dumps({"event": "dtmf", "dtmf": digit, "duration": "1600"}),)

    def played(self, mark: str, *, cleared: bool = False) -> Sequence[Message]:
        if self.bidir == "play":
            return () if cleared else (json.dumps({"type": "playDone", "data": {"id": mark}}),)
        event = "cleared" if cleared else "playout"
        return (json.dumps({"type": "mark", "data": {"name": mark, "event": event}}),)

    def take(self, message: Message) -> Sequence[Taken]:
        if isinstance(message, bytes):
            if self.bidir == "play":
                raise ValueError("binary messages are ignored without streaming")
            return (self._reader.push(message),)
        found = _json(message)
        match found["type"]:
            case "playAudio":
                data = found["data"]
                if self.bidir != "play" or data["sampleRate"] != self.format.rate_hz:
                    raise ValueError("playAudio is ignored while streaming")
                return (self._reader.push(base64.b64decode(data["audioContent"])), MarkSent(data["id"]))
            case "killAudio":
                return (ClearSent(),)
            case "mark":
                return (MarkSent(found["data"]["name"]),)
            case "disconnect":
                return (HangUpSent(),)
        raise ValueError(f"jambonz knows no {found['type']}")


class FreeswitchBridge(Bridge):
    """mod_audio_stream with an application that plays, stops and hangs up as docs/carriers/ has it."""

    name = "freeswitch"
    path = "/freeswitch"

    @property
    def query(self) -> dict[str, str]:
        """The module tells its rate to nobody."""
        return {"rate": str(self.format.rate_hz)}

    def open(self) -> Sequence[Message]:
        return (json.dumps(self.identity),) if self.identity else ()

    def dtmf(self, digit: str) -> Sequence[Message]:
        return (json.dumps({"event": "dtmf", "digit": digit}),)

    def take(self, message: Message) -> Sequence[Taken]:
        if isinstance(message, bytes):
            raise ValueError("the open edition ignores binary messages")
        found = _json(message)
        match found["type"]:
            case "streamAudio":
                data = found["data"]
                if data["audioDataType"] != "raw" or data["sampleRate"] != self.format.rate_hz:
                    raise ValueError("raw sound at the stream's rate is expected")
                return (self._reader.push(base64.b64decode(data["audioData"])),)
            case "killAudio":
                return (ClearSent(),)
            case "hangup":
                return (HangUpSent(),)
        raise ValueError(f"the application knows no {found['type']}")


BRIDGES: dict[str, type[Bridge]] = {
    bridge.name: bridge
    for bridge in (
        TwilioBridge,
        TelnyxBridge,
        PlivoBridge,
        VonageBridge,
        AsteriskBridge,
        AudioSocketBridge,
        JambonzBridge,
        FreeswitchBridge,
    )
}
