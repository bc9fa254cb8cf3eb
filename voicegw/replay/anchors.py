"""When a recorded caller speaks to an agent that he was not recorded with.

Each turn keeps its offset from the agent's turn that it answers: from its end, or, for an interruption, from
its beginning. Pure: time is counted in frames taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from voicegw.audio.pcm import FRAME_BYTES, FRAME_MS, SILENT_FRAME

# An agent without a greeting must be spoken to; one that does not answer is given up on.
GREETING_FRAMES = 5_000 // FRAME_MS
ANSWER_FRAMES = 15_000 // FRAME_MS
# A person draws breath before hanging up.
HANG_UP_FRAMES = 600 // FRAME_MS


@dataclass(frozen=True, slots=True)
class Line:
    """One turn to say, press or type. `offset` frames from what `anchor` names; audio is whole frames.

    `noise`: nobody waits for an answer to it. `gone_after`: the caller hangs up so many frames into it.
    """

    anchor: Literal["after", "over", "follows", "at"]
    offset: int
    audio: bytes = b""
    keys: str = ""
    text: str = ""
    noise: bool = False
    gone_after: int | None = None

    @property
    def frames(self) -> int:
        """Its length."""
        return len(self.audio) // FRAME_BYTES


class AnchoredCaller:
    """Gives the caller's audio frame by frame. `stays`: frames on the line after all is said and answered."""

    def __init__(self, lines: Sequence[Line], *, stays: int = 0, room: bytes = b"") -> None:
        self._lines = lines
        self._stays = stays
        self._room = room
        self._next = 0
        self._now = 0  # frames given
        self._said: int | None = None  # frames given of the turn that is being said
        self._turn_end = 0  # where the newest turn ended
        self._waits_since = 0
        self._agent_speaks = False
        self._agent_began: int | None = None
        self._agent_ended: int | None = None
        self.done = False
        self.placed: list[int] = []  # where on the line (frames) each turn began
        self.ended: list[int] = []  # and where it ended
        self.actions: list[Line] = []  # keys and texts that are due; taken by who sends them

    # The agent, as far as this end knows

    def agent_started(self) -> None:
        """The agent begins to speak."""
        if not self._agent_speaks:
            self._agent_began = self._now
        self._agent_speaks = True
        self._agent_ended = None

    def agent_stopped(self, *, cut: bool) -> None:
        """The agent has stopped; after a cut something else is to come."""
        self._agent_speaks = False
        self._agent_ended = None if cut else self._now

    # The line

    def frame(self, agent_audible: bool) -> bytes:
        """Return the next frame. `agent_audible`: the agent's audio is being played."""
        if agent_audible:
            self._waits_since = self._now
            if self._agent_ended is not None:
                self._agent_ended = self._now
        if self._said is None and not self.done:
            self._begin()
        frame = self._background() if self._said is None else self._talk(self._lines[self._next])
        self._now += 1
        return frame

    def _begin(self) -> None:
        if self._next == len(self._lines):
            self.done = self._may_hang_up()
            return
        line = self._lines[self._next]
        if not self._due(line):
            return
        self.placed.append(self._now)
        if line.audio:
            self._said = 0
        else:
            self.actions.append(line)
            self._end(line)

    def _due(self, line: Line) -> bool:
        match line.anchor:
            case "at":
                return self._now >= line.offset
            case "follows":
                return self._now >= self._turn_end + line.offset
            case "over":
                began = self._agent_began
                return (began is not None and self._now >= began + line.offset) or self._gave_up
            case "after":
                ended = self._agent_ended
                return (ended is not None and self._now >= ended + line.offset) or self._gave_up

    @property
    def _gave_up(self) -> bool:
        patience = GREETING_FRAMES if self._next == 0 else ANSWER_FRAMES
        return not self._agent_speaks and self._now - self._waits_since >= patience

    def _may_hang_up(self) -> bool:
        if self._stays:
            return self._now >= self._turn_end + self._stays
        ended = self._agent_ended
        return (ended is not None and self._now >= ended + HANG_UP_FRAMES) or self._gave_up

    def _talk(self, line: Line) -> bytes:
        assert self._said is not None
        at = self._said
        frame = line.audio[at * FRAME_BYTES : (at + 1) * FRAME_BYTES]
        self._said += 1
        if line.gone_after is not None and self._said >= line.gone_after:
            self.done = True
        if self._said >= line.frames or self.done:
            self._said = None
            self._end(line)
        return frame

    def _end(self, line: Line) -> None:
        self._next += 1
        self._turn_end = self._waits_since = self._now
        self.ended.append(self._now)
        if not line.noise:
            self._agent_ended = None
            # What it says from now on is another turn of it.
            self._agent_began = None

    def _background(self) -> bytes:
        if not self._room:
            return SILENT_FRAME
        n = len(self._room) // FRAME_BYTES
        # There and back again: a loop would click at its joint.
        at = self._now % (2 * n)
        at = at if at < n else 2 * n - 1 - at
        return self._room[at * FRAME_BYTES : (at + 1) * FRAME_BYTES]
