"""Twilio's end of a media stream."""

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
        found = json_of(message)
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
