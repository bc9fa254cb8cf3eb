"""Asterisk's end of chan_websocket."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

from voicegw.carriers.base import Message
from voicegw.rehearsal.bridges.base import Bridge, ClearSent, HangUpSent, MarkSent, PauseSent, Taken


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
