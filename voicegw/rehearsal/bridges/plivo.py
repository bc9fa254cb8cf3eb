"""Plivo's end of an audio stream."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from voicegw.carriers.base import Message
from voicegw.rehearsal.bridges.base import (
    Bridge,
    ClearSent,
    MarkSent,
    Taken,
    json_of,
)


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
        found = json_of(message)
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
