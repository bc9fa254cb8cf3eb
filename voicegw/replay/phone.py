"""The caller's telephone: what stands at the other end of a call that is replayed, whatever carries it.

Pure: whoever has a clock takes a frame every 20 ms and carries the messages. Keeps both sides as they were
heard at this end, on one time line.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from voicegw.audio.pcm import FRAME_BYTES, FRAME_MS, SILENT_FRAME
from voicegw.carriers.base import Message
from voicegw.replay.anchors import AnchoredCaller
from voicegw.replay.playout import Playout
from voicegw.replay.wires import Wire

# Without a word from the gateway about it, an agent who is silent for this long has stopped speaking.
QUIET_FRAMES = 700 // FRAME_MS
# A call that does not end by itself is given up on.
MOST_FRAMES = 20 * 60 * 1000 // FRAME_MS


class LineEcho:
    """Gives back what the agent says, `frames` later and at `level_db` of it."""

    def __init__(self, frames: int, level_db: float) -> None:
        self._late: deque[bytes] = deque([SILENT_FRAME] * frames)
        self._gain = 10 ** (level_db / 20)

    def mix(self, says: bytes, hears: bytes) -> bytes:
        """Return the caller's frame with the echo in it."""
        self._late.append(hears)
        late = self._late.popleft()
        if late is SILENT_FRAME:
            return says
        mixed = np.frombuffer(says, "<i2") + np.frombuffer(late, "<i2") * self._gain
        return bytes(np.clip(mixed, -32768, 32767).astype("<i2").tobytes())


@dataclass(frozen=True, slots=True)
class Told:
    """An event that the gateway told, and the frame in which it came."""

    frame: int
    event: Mapping[str, Any]


class Phone:
    """One call. `wire` speaks the carrier's format; `caller` knows what is said when."""

    def __init__(self, wire: Wire, caller: AnchoredCaller, *, echo: LineEcho | None = None) -> None:
        self._wire = wire
        self._caller = caller
        self._playout = Playout()
        self._echo = echo
        self._quiet = 0
        self._speaks = False
        self.told: list[Told] = []
        self.caller_track = bytearray()
        self.agent_track = bytearray()
        self.closed = False

    @property
    def played(self) -> dict[int, int]:
        """Samples that were heard of each sentence, where the carrier tells them apart."""
        return self._playout.heard

    @property
    def frames(self) -> int:
        """How many frames have passed."""
        return len(self.caller_track) // FRAME_BYTES

    @property
    def done(self) -> bool:
        """True when the caller has hung up, or the gateway has and all was heard."""
        over = self.closed and not self._playout.waiting
        return self._caller.done or over or self.frames >= MOST_FRAMES

    def begin(self, start: Mapping[str, str]) -> list[Message]:
        """Return the messages that open the call."""
        return self._wire.start(start)

    def hang_up(self) -> list[Message]:
        """Return the messages that end it."""
        return [] if self.closed else self._wire.hang_up()

    def take(self, message: Message) -> list[Message]:
        """Take a message of the gateway; returns what must be answered at once."""
        for item in self._wire.parse(message):
            if isinstance(item, bytes):
                self._playout.hear(item)
            else:
                self.told.append(Told(self.frames, item))
                self._obey(item)
        return self._wire.answers()

    def _obey(self, event: Mapping[str, Any]) -> None:
        match event["type"]:
            case "speech_started":
                self._caller.agent_started()
            case "speech_stopped":
                self._caller.agent_stopped(cut=event["cut"])
        self._playout.obey(event)

    def frame(self) -> list[Message]:
        """Take both sides one frame further; returns what is to be sent."""
        playout, wire = self._playout, self._wire
        hears = playout.frame()
        if not wire.tells_speech:
            self._caller_hears(playout.sounding)
        says = self._caller.frame(playout.waiting)
        if self._echo is not None:
            says = self._echo.mix(says, hears)
        self.agent_track += hears
        self.caller_track += says
        if self.closed:
            return []
        messages: list[Message] = list(wire.audio(says))
        if self._caller.actions:
            for line in self._caller.actions:
                messages += wire.keys(line.keys) if line.keys else wire.text(line.text)
            self._caller.actions.clear()
        if reports := playout.reports():
            messages += wire.played(reports)
        return messages

    def _caller_hears(self, sounding: bool) -> None:
        """Where the carrier does not tell when the agent speaks, it is heard."""
        self._quiet = 0 if sounding else self._quiet + 1
        if sounding and not self._speaks:
            self._speaks = True
            self._caller.agent_started()
        elif self._speaks and self._quiet >= QUIET_FRAMES:
            self._speaks = False
            self._caller.agent_stopped(cut=False)
