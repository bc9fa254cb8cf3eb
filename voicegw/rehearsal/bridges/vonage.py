"""Vonage's end of a Voice API websocket."""

import json
from collections.abc import Sequence

from voicegw.carriers.base import Message
from voicegw.rehearsal.bridges.base import Bridge, ClearSent, MarkSent, Taken, json_of


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
        found = json_of(message)
        if found["action"] == "clear":
            return (ClearSent(),)
        if found["action"] == "notify" and isinstance(found["payload"], dict):
            return (MarkSent(found["payload"]["mark"]),)
        raise ValueError("Vonage knows clear and notify only")
