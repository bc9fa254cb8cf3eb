"""Telnyx's end of a media stream in RTP mode."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

from voicegw.carriers.base import Message
from voicegw.rehearsal.bridges.base import (
    Bridge,
    ClearSent,
    MarkSent,
    Taken,
    json_of,
)


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
        found = json_of(message)
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
