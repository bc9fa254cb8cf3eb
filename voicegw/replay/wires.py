"""The caller's end of each carrier's wire format: what a telephone network sends, and what it makes of the
gateway's messages. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from voicegw.carriers.base import Message, PlayedReport

Item = bytes | Mapping[str, Any]


class Wire(Protocol):
    """One connection of one call, seen from the caller's side."""

    # Whether the gateway tells `speech_started` and `speech_stopped` in it.
    tells_speech: bool

    def start(self, start: Mapping[str, str]) -> list[Message]:
        """The messages that open the call."""
        ...

    def audio(self, frame: bytes) -> Message:
        """The message that carries one frame of the caller (pcm)."""
        ...

    def heard(self, frame: bytes) -> bytes:
        """The frame as the gateway hears it, behind the carrier's codec."""
        ...

    def keys(self, keys: str) -> list[Message]:
        """The caller presses keys."""
        ...

    def text(self, text: str) -> list[Message]:
        """The caller types, where the format has a word for it."""
        ...

    def played(self, reports: Sequence[PlayedReport]) -> list[Message]:
        """Tell what was played."""
        ...

    def parse(self, message: Message) -> Sequence[Item]:
        """What a message of the gateway means: agent audio (pcm), or an event of the native protocol."""
        ...

    def answers(self) -> list[Message]:
        """What must be sent at once in answer to what was parsed."""
        ...

    def hang_up(self) -> list[Message]:
        """The messages that end the call."""
        ...


class NativeWire:
    """The gateway's own protocol (docs/protocol.md)."""

    tells_speech = True

    def start(self, start: Mapping[str, str]) -> list[Message]:
        """`start` with the fields given."""
        return [json.dumps({"type": "start", **start})]

    def audio(self, frame: bytes) -> Message:
        """Raw pcm."""
        return frame

    def heard(self, frame: bytes) -> bytes:
        """Unchanged."""
        return frame

    def keys(self, keys: str) -> list[Message]:
        """`dtmf` for each."""
        return [json.dumps({"type": "dtmf", "digit": key}) for key in keys]

    def text(self, text: str) -> list[Message]:
        """`text`."""
        return [json.dumps({"type": "text", "text": text})]

    def played(self, reports: Sequence[PlayedReport]) -> list[Message]:
        """`played` for each."""
        return [
            json.dumps({"type": "played", "speech_id": report.speech_id, "samples": report.samples})
            for report in reports
        ]

    def parse(self, message: Message) -> Sequence[Item]:
        """Binary messages are pcm, the others events."""
        return [message if isinstance(message, bytes) else json.loads(message)]

    def answers(self) -> list[Message]:
        """Nothing."""
        return []

    def hang_up(self) -> list[Message]:
        """`hangup`."""
        return [json.dumps({"type": "hangup", "reason": "caller"})]
