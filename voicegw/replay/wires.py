"""The caller's end of each carrier's wire format: what a telephone network sends, and what it makes of the
gateway's messages. Pure."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from voicegw.carriers.base import Message, PlayedReport
from voicegw.rehearsal.bridges import Bridge, ClearSent, HangUpSent, MarkSent, PauseSent

Item = bytes | Mapping[str, Any]


class Wire(Protocol):
    """One connection of one call, seen from the caller's side."""

    # Whether the gateway tells `speech_started` and `speech_stopped` in it.
    tells_speech: bool

    def start(self, start: Mapping[str, str]) -> list[Message]:
        """The messages that open the call."""
        ...

    def audio(self, frame: bytes) -> Sequence[Message]:
        """The messages that carry one frame of the caller (pcm)."""
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

    def audio(self, frame: bytes) -> Sequence[Message]:
        """Raw pcm."""
        return (frame,)

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


class BridgeWire:
    """A telephony carrier's format, by its bridge. What the gateway thinks it does not tell: it is heard."""

    tells_speech = False

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._numbers = itertools.count(1)
        self._marks: dict[int, str] = {}  # not played yet
        self._answers: list[Message] = []

    def start(self, start: Mapping[str, str]) -> list[Message]:
        """What the carrier tells about the call."""
        self._bridge.identity.update(start)
        return list(self._bridge.open())

    def audio(self, frame: bytes) -> Sequence[Message]:
        """In the carrier's codec."""
        return self._bridge.audio(frame)

    def heard(self, frame: bytes) -> bytes:
        """Not told: the codecs resample."""
        return frame

    def keys(self, keys: str) -> list[Message]:
        """As the carrier tells them."""
        return [message for key in keys for message in self._bridge.dtmf(key)]

    def text(self, text: str) -> list[Message]:
        """A telephone has no keyboard."""
        return []

    def played(self, reports: Sequence[PlayedReport]) -> list[Message]:
        """The marks that were reached."""
        names = [self._marks.pop(report.speech_id) for report in reports if report.speech_id in self._marks]
        return [message for name in names for message in self._bridge.played(name)]

    def parse(self, message: Message) -> Sequence[Item]:
        """Audio, and what a player must obey, as events of the native protocol."""
        return [self._item(taken) for taken in self._bridge.take(message)]

    def _item(self, taken: object) -> Item:
        match taken:
            case bytes():
                return taken
            case MarkSent():
                number = next(self._numbers)
                self._marks[number] = taken.name
                return {"type": "mark", "speech_id": number}
            case ClearSent():
                for name in self._marks.values():
                    self._answers += self._bridge.played(name, cleared=True)
                self._marks.clear()
                self._answers += self._bridge.cleared()
                return {"type": "clear"}
            case PauseSent():
                return {"type": "pause" if taken.on else "resume"}
            case HangUpSent():
                return {"type": "hangup", "reason": "agent"}
        raise ValueError(f"the bridge has taken {taken}")

    def answers(self) -> list[Message]:
        """What a clear makes a carrier tell."""
        answers, self._answers = self._answers, []
        return answers

    def hang_up(self) -> list[Message]:
        """What is sent before the connection is closed."""
        return list(self._bridge.hang_up())
