"""jambonz's end of a listen, which is mod_audio_fork's."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

from voicegw.carriers.base import Message
from voicegw.rehearsal.bridges.base import (
    Bridge,
    ClearSent,
    HangUpSent,
    MarkSent,
    Taken,
    json_of,
)


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
        found = json_of(message)
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
