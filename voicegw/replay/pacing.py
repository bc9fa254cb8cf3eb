"""When a recorded caller speaks: as recorded, or anchored to what the agent says.

Anchored, each stretch waits until the agent has answered the one before it, as the person did who was
recorded; the gaps stay what they were, within bounds. Pure: time is counted in frames taken.
"""

from enum import Enum, auto

from voicegw.audio.pcm import FRAME_BYTES, FRAME_MS, SILENT_FRAME
from voicegw.replay.recording import LEAD_FRAMES, Stretch

# Shorter than the first a person hardly answers; a longer gap was a pause for thought, or a wait for an
# answer that came later than it does now.
LEAST_GAP_FRAMES = 400 // FRAME_MS
MOST_GAP_FRAMES = 1500 // FRAME_MS
# Nothing was heard of the agent for this long: the stretch stays unanswered and the caller goes on.
ANSWER_FRAMES = 15_000 // FRAME_MS
# An agent without a greeting must be spoken to; one with a slow voice begins within this.
GREETING_FRAMES = 5_000 // FRAME_MS


class _Phase(Enum):
    WAITING = auto()  # for the agent
    GAP = auto()  # the agent is done, the caller draws breath
    TALKING = auto()
    DONE = auto()


class RecordedCaller:
    """Gives the caller's audio frame by frame, silence where the recording has nothing to say.

    `absolute` plays the recording from the first frame on as it is, whatever the agent does. Without any
    stretch of voice it is always played so.
    """

    def __init__(self, pcm: bytes, stretches: tuple[Stretch, ...], *, absolute: bool = False) -> None:
        self._pcm = pcm
        self.stretches = stretches
        n_frames = len(pcm) // FRAME_BYTES
        whole = absolute or not stretches
        self._parts = [(0, n_frames)] if whole else [(s.start, min(s.end, n_frames)) for s in stretches]
        # A gap is measured between voices, and a part begins a little before its voice.
        self._gaps = (
            [0]
            if whole
            else [
                min(max(s.gap, LEAST_GAP_FRAMES), MOST_GAP_FRAMES) - min(LEAD_FRAMES, s.voice_from)
                for s in stretches
            ]
        )
        self._part = 0
        self._phase = _Phase.TALKING if whole else _Phase.WAITING
        self._next = 0  # the frame of the recording that is played next
        self._quiet = 0  # frames of the wait in which nothing was heard of the agent
        self._gap_left = 0
        self._agent_speaks = False
        self._agent_stopped = False
        self.talked = 0  # stretches whose voice has begun; the newest is number talked - 1

    @property
    def done(self) -> bool:
        """True when all was said and answered, or not answered in time: hang up."""
        return self._phase is _Phase.DONE

    @property
    def talking(self) -> bool:
        """True while a part of the recording is being played."""
        return self._phase is _Phase.TALKING

    @property
    def position(self) -> int:
        """The recording's frame that is played next."""
        return self._next

    def hang_up(self) -> None:
        """Say no more."""
        self._phase = _Phase.DONE

    def agent_started(self) -> None:
        """The agent begins to speak."""
        self._agent_speaks = True

    def agent_stopped(self, *, cut: bool) -> None:
        """The agent has stopped; after a cut something else is to come."""
        self._agent_speaks = False
        if self._phase in (_Phase.WAITING, _Phase.GAP):
            self._agent_stopped = not cut

    def frame(self, agent_audible: bool) -> bytes:
        """Return the next frame of the caller. `agent_audible`: the agent's audio is being played."""
        if self._phase is _Phase.WAITING:
            self._wait(self._agent_speaks or agent_audible)
        elif self._phase is _Phase.GAP:
            if self._agent_speaks:
                # It was not all the agent had to say.
                self._phase, self._quiet, self._agent_stopped = _Phase.WAITING, 0, False
            else:
                self._count_down()
        if self._phase is not _Phase.TALKING:
            return SILENT_FRAME
        return self._talk()

    def _wait(self, agent_is_heard: bool) -> None:
        if agent_is_heard:
            self._quiet = 0
            return
        self._quiet += 1
        patience = GREETING_FRAMES if self._part == 0 else ANSWER_FRAMES
        if not self._agent_stopped and self._quiet < patience:
            return
        last = self._part == len(self._parts)
        self._gap_left = LEAST_GAP_FRAMES if last else self._gaps[self._part]
        self._phase = _Phase.GAP

    def _count_down(self) -> None:
        self._gap_left -= 1
        if self._gap_left > 0:
            return
        if self._part == len(self._parts):
            self._phase = _Phase.DONE
        else:
            self._phase = _Phase.TALKING
            self._next = self._parts[self._part][0]

    def _talk(self) -> bytes:
        at = self._next
        frame = self._pcm[at * FRAME_BYTES : (at + 1) * FRAME_BYTES]
        while self.talked < len(self.stretches) and at >= self.stretches[self.talked].voice_from:
            self.talked += 1
        self._next += 1
        if self._next >= self._parts[self._part][1]:
            self._part += 1
            self._phase, self._quiet, self._agent_stopped = _Phase.WAITING, 0, False
        return frame
