"""What the agent says, as audio: queued by sentence, paced as it is heard, held or dropped on request.

Audio is in the carrier's codec already, in frames of 20 ms. Frames leave up to `LEAD_US` before they are
heard, so that a late tick is no gap; the clock of what the caller hears is kept here, corrected by what
the other side reports.
"""

from dataclasses import dataclass, field

from voicegw.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, FRAME_US, samples_to_us
from voicegw.call.events import Played, SpeechBegan

# How far frames are sent ahead of being heard: bridges small hitches, and is nearly all that a flush can
# lose. It is 120 ms also where the ticker's slot comes its 5 ms late.
LEAD_US = 125_000
# A frame that is due takes the next one along: two cost one wake-up and one system call.
ALONG_US = FRAME_US
# The call is told how far the caller has heard this often.
REPORT_US = 100_000
# At most this much audio (15 s) waits here; the driver reads no further from TTS.
MOST_AHEAD_FRAMES = 15_000 // 20
# A report of playback later than this is a mistake of the other side, not its buffer.
MOST_LAG_US = 2_000_000


@dataclass(frozen=True, slots=True)
class SpeechSent:
    """The last frame of a sentence has left: the place for a mark."""

    speech_id: int


Outgoing = bytes | SpeechBegan | SpeechSent

_NOTHING: list[Outgoing] = []


@dataclass(slots=True)
class _Speech:
    """One sentence. `first` is its first frame's place in the stream of all frames sent."""

    speech_id: int
    audio: bytearray = field(default_factory=bytearray)
    frames: int = 0  # whole frames in `audio`
    sent: int = 0  # of these
    first: int = 0
    complete: bool = False
    announced: bool = False


class Mouth:
    """Holds the agent's audio of one call.

    `frame_bytes` and `silence` (one sample of it) describe the carrier's codec; `can_pause`: the other side
    stops playing at a `pause` event and keeps what it has.
    """

    def __init__(
        self, *, frame_bytes: int = FRAME_BYTES, silence: bytes = b"\0\0", can_pause: bool = True
    ) -> None:
        self._frame_bytes = frame_bytes
        self._silence = silence
        self._can_pause = can_pause
        # Sentences in order, from the one being heard; those before `_sending` are sent completely.
        self._queue: list[_Speech] = []
        self._sending = 0
        self._by_id: dict[int, _Speech] = {}
        self._sent = 0  # frames sent in all, less those that were flushed
        self._clock_us = 0  # frame n of the stream is heard at _clock_us + n * 20 ms
        self._lag_us = 0  # how much later than that the other side says it plays
        self._paused_at: int | None = None
        self._report_due = 0
        self.underruns = 0  # how often a sentence ran dry in its middle

    # The queue

    def expect(self, speech_id: int) -> None:
        """Give a sentence its place in the queue; its audio may come later."""
        speech = _Speech(speech_id)
        self._by_id[speech_id] = speech
        self._queue.append(speech)

    def add(self, speech_id: int, audio: bytes) -> int:
        """Append audio of any length. Returns the samples so far; 0 if the sentence was dropped."""
        speech = self._by_id.get(speech_id)
        if speech is None or speech.complete:
            return 0
        speech.audio += audio
        speech.frames = len(speech.audio) // self._frame_bytes
        return len(speech.audio) * FRAME_SAMPLES // self._frame_bytes

    def finish(self, speech_id: int) -> int:
        """No more audio of this sentence comes. Returns its samples, padded to a whole frame."""
        speech = self._by_id.get(speech_id)
        if speech is None:
            return 0
        short = -len(speech.audio) % self._frame_bytes
        speech.audio += self._silence * (short // len(self._silence))
        speech.frames = len(speech.audio) // self._frame_bytes
        speech.complete = True
        return speech.frames * FRAME_SAMPLES

    @property
    def ahead_frames(self) -> int:
        """Frames that wait to be sent."""
        return sum(speech.frames - speech.sent for speech in self._queue[self._sending :])

    @property
    def has_room(self) -> bool:
        """False while so much waits that TTS should not be read."""
        return self.ahead_frames < MOST_AHEAD_FRAMES

    @property
    def kept_bytes(self) -> int:
        """Size of the audio kept now; a sentence is kept until all of it was heard."""
        return sum(len(speech.audio) for speech in self._queue)

    @property
    def silent(self) -> bool:
        """True when nothing is queued or being heard."""
        return not self._queue

    # Sending

    def due(self, now: int) -> list[Outgoing]:
        """Return what must leave now, in order: frames, and the borders of sentences."""
        if self._paused_at is not None or self._sending >= len(self._queue):
            return _NOTHING
        out: list[Outgoing] = []
        size = self._frame_bytes
        ahead = LEAD_US + ALONG_US
        while (speech := self._to_send(out)) is not None:
            heard_at = self._clock_us + self._sent * FRAME_US
            if heard_at < now:
                # All that was sent has been heard: the stream begins anew with this frame.
                self.underruns += speech.sent > 0
                self._clock_us = now - self._sent * FRAME_US
            elif heard_at - ahead > now:
                break
            if not speech.announced:
                speech.announced = True
                speech.first = self._sent - speech.sent
                out.append(SpeechBegan(speech.speech_id))
            start = speech.sent * size
            out.append(bytes(speech.audio[start : start + size]))
            speech.sent += 1
            self._sent += 1
        return out

    def _to_send(self, out: list[Outgoing]) -> _Speech | None:
        """Return the sentence whose frame is next; notes in `out` those that ended."""
        while self._sending < len(self._queue):
            speech = self._queue[self._sending]
            if speech.sent < speech.frames:
                return speech
            if not speech.complete:
                return None
            self._sending += 1
            if speech.frames:
                out.append(SpeechSent(speech.speech_id))
        return None

    def next_due_us(self, now: int) -> int | None:
        """When `due` or `heard` has something to do again; None while nothing is to come by itself."""
        if self._paused_at is not None or not self._queue:
            return None
        waits = None
        if self._sending < len(self._queue):
            speech = self._queue[self._sending]
            if speech.sent < speech.frames or speech.complete:
                waits = max(now, self._clock_us + self._sent * FRAME_US - LEAD_US)
        first = self._queue[0]
        if first.complete and first.sent == first.frames:
            end = max(now, self._clock_us + self._lag_us + (first.first + first.frames) * FRAME_US)
            waits = end if waits is None else min(waits, end)
        if waits is None and first.sent:
            # While frames leave, their wake-ups do for the reports too.
            waits = self._report_due
        return waits

    # Being heard

    def _heard_frames(self, now: int) -> int:
        at = self._paused_at if self._paused_at is not None and self._can_pause else now
        return max(0, min(self._sent, (at - self._lag_us - self._clock_us) // FRAME_US))

    def heard(self, now: int, *, at_once: bool = False) -> list[Played]:
        """Return how far the caller has heard, where that is news: at most every 100 ms unless `at_once`."""
        queue = self._queue
        if not queue:
            return []
        events: list[Played] = []
        position = self._heard_frames(now)
        while queue:
            speech = queue[0]
            whole = speech.complete and speech.sent == speech.frames
            if not whole or (speech.frames and position < speech.first + speech.frames):
                break
            del queue[0], self._by_id[speech.speech_id]
            self._sending = max(0, self._sending - 1)
            events.append(Played(speech.speech_id, speech.frames * FRAME_SAMPLES, True))
        if queue and queue[0].sent and (at_once or now >= self._report_due):
            self._report_due = now + REPORT_US
            samples = max(0, position - queue[0].first) * FRAME_SAMPLES
            events.append(Played(queue[0].speech_id, min(samples, queue[0].sent * FRAME_SAMPLES), False))
        return events

    def confirm(self, speech_id: int, samples: int, now: int) -> None:
        """The other side says that it has played `samples` of a sentence: set the clock by it."""
        speech = self._by_id.get(speech_id)
        if speech is None or not speech.announced or self._paused_at is not None:
            return
        samples = min(samples, speech.sent * FRAME_SAMPLES)
        believed = self._clock_us + speech.first * FRAME_US + samples_to_us(samples)
        self._lag_us = max(0, min(MOST_LAG_US, now - believed))

    # Interruptions

    def pause(self, now: int) -> None:
        """Send nothing more for now."""
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: int) -> None:
        """Go on where `pause` stopped."""
        if self._paused_at is None:
            return
        if self._can_pause:
            self._clock_us += now - self._paused_at
        self._paused_at = None

    def clear(self, now: int) -> None:
        """Drop everything; what was sent and not heard is flushed at the other side."""
        self._sent = self._heard_frames(now)
        self._queue.clear()
        self._by_id.clear()
        self._sending = 0
        self._paused_at = None

    def rewind(self, now: int) -> None:
        """The socket is gone and with it what was sent but not heard: keep it to be sent again. Pauses."""
        position = self._heard_frames(now)
        for speech in self._queue:
            if speech.announced:
                speech.sent = max(0, min(speech.sent, position - speech.first))
                speech.announced = False
        self._sent = position
        self._sending = 0
        self._lag_us = 0
        self._paused_at = now
        self._clock_us = now - position * FRAME_US
