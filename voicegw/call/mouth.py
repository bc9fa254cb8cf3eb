"""What the agent says, as audio: queued by sentence, paced as it is heard, held or dropped on request.

Audio is in the carrier's codec already, in frames of 20 ms. Frames leave up to `LEAD_US` before they are
heard, so that a late tick is no gap; the clock of what the caller hears is kept here, corrected by what
the other side reports.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from voicegw.audio.format import PCM, AudioFormat, Encoder
from voicegw.audio.level import rms
from voicegw.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, FRAME_US, SAMPLE_BYTES, samples_to_us
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
# A sentence counts as heard when its mark comes back, or this much behind the clock: a mark that was lost
# must not hold up the call. Networks and jitter buffers of telephony take less.
MARK_WAIT_US = 500_000
# Who has let so many marks in a row go by does not answer them: the clock alone counts from then on.
MARKS_MISSED = 2


@dataclass(frozen=True, slots=True)
class Player:
    """How the other side takes the agent's audio, and what its player can do.

    `can_pause`: it stops playing on request and keeps what it has. `lead_us`, `along_us`: how far ahead
    frames leave, and how much more when one leaves anyway. `fills`: it must be sent silence when nothing is
    said. `marks`: it tells when a sentence was played, and only then. `tail_frames`: silence behind the last
    sentence, for a player that keeps back a short end. `whole`: sentences leave only complete, and at once.
    """

    format: AudioFormat = PCM
    can_pause: bool = False
    lead_us: int = LEAD_US
    along_us: int = ALONG_US
    fills: bool = False
    marks: bool = False
    tail_frames: int = 0
    whole: bool = False


# A client of the native protocol: pcm, and a player that pauses on request.
NATIVE = Player(can_pause=True)


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
    encoder: Encoder
    samples: int = 0  # that came in, at 16 kHz
    levels: list[int] = field(default_factory=list)  # of each 20 ms of it
    rest: bytes = b""  # not enough for one
    audio: bytearray = field(default_factory=bytearray)
    frames: int = 0  # whole frames in `audio`
    sent: int = 0  # of these
    first: int = 0
    complete: bool = False
    announced: bool = False
    confirmed: bool = False  # its mark has come back


class Mouth:
    """Holds the agent's audio of one call."""

    def __init__(self, player: Player = NATIVE) -> None:
        self._player = player
        self._frame_bytes = player.format.frame_bytes
        self._silence = player.format.silence
        self._can_pause = player.can_pause
        self._make_encoder: Callable[[], Encoder] = player.format.encoder
        silent_frame = self._silence * (self._frame_bytes // len(self._silence))
        # What is sent when nothing is said; None: nothing.
        self._filling: bytes | None = silent_frame if player.fills else None
        self._fill_at = 0
        self._tail = silent_frame * player.tail_frames
        # Sentences in order, from the one being heard; those before `_sending` are sent completely.
        self._queue: list[_Speech] = []
        self._sending = 0
        self._by_id: dict[int, _Speech] = {}
        self._sent = 0  # frames sent in all, less those that were flushed
        self._clock_us = 0  # frame n of the stream is heard at _clock_us + n * 20 ms
        self._lag_us = 0  # how much later than that the other side says it plays
        self._paused_at: int | None = None
        self._blocked = False
        self._report_due = 0
        self._mark_wait_us = MARK_WAIT_US if player.marks else 0
        self._marks_missed = 0
        # The sentence that was taken for heard last, and when by the clock that was.
        self._last_heard: tuple[int, int] | None = None
        # Told of each frame that leaves: when it is heard, and its level.
        self.on_frame: Callable[[int, int], None] | None = None
        self.underruns = 0  # how often a sentence ran dry in its middle

    # The queue

    def expect(self, speech_id: int, *, first: bool = False) -> None:
        """Give a sentence its place in the queue; its audio may come later.

        `first`: before those of which nothing was sent.
        """
        speech = _Speech(speech_id, self._make_encoder())
        self._by_id[speech_id] = speech
        at = len(self._queue)
        if first and self._sending < at:
            at = self._sending + (self._queue[self._sending].sent > 0)
        self._queue.insert(at, speech)

    def add(self, speech_id: int, pcm: bytes) -> int:
        """Append pcm of any length. Returns the samples so far; 0 if the sentence was dropped."""
        speech = self._by_id.get(speech_id)
        if speech is None or speech.complete:
            return 0
        speech.samples += len(pcm) // SAMPLE_BYTES
        data = speech.rest + pcm
        whole = len(data) - len(data) % FRAME_BYTES
        speech.rest = data[whole:]
        speech.levels += [rms(data[at : at + FRAME_BYTES]) for at in range(0, whole, FRAME_BYTES)]
        speech.audio += speech.encoder.push(pcm)
        speech.frames = len(speech.audio) // self._frame_bytes
        return speech.samples

    def finish(self, speech_id: int) -> int:
        """No more audio of this sentence comes. Returns its samples, padded to a whole frame."""
        speech = self._by_id.get(speech_id)
        if speech is None:
            return 0
        if not speech.complete:
            speech.audio += speech.encoder.finish()
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
        if self._paused_at is not None or self._blocked or self._sending >= len(self._queue):
            return _NOTHING if self._filling is None else self._fill(now, [])
        out: list[Outgoing] = []
        size = self._frame_bytes
        ahead = self._player.lead_us + self._player.along_us
        while (speech := self._to_send(out)) is not None:
            heard_at = self._clock_us + self._sent * FRAME_US
            if heard_at < now:
                # All that was sent has been heard: the stream begins anew with this frame.
                self.underruns += speech.sent > 0
                self._clock_us = now - self._sent * FRAME_US
            elif heard_at - ahead > now and not (self._player.whole and speech.sent):
                break
            if not speech.announced:
                speech.announced = True
                speech.first = self._sent - speech.sent
                out.append(SpeechBegan(speech.speech_id))
            start = speech.sent * size
            out.append(bytes(speech.audio[start : start + size]))
            if self.on_frame is not None and speech.sent < len(speech.levels):
                self.on_frame(max(now, heard_at), speech.levels[speech.sent])
            speech.sent += 1
            self._sent += 1
        else:
            if self._tail and out and self._sending == len(self._queue):
                out.append(self._tail)
            if self._filling is not None:
                return self._fill(now, out)
        return out

    def _fill(self, now: int, out: list[Outgoing]) -> list[Outgoing]:
        """Append what keeps the line open, as far ahead as speech would leave."""
        filling, size = self._filling, self._frame_bytes
        assert filling is not None
        while (heard_at := self._clock_us + self._sent * FRAME_US) - self._player.lead_us <= now:
            if heard_at < now:
                self._clock_us = now - self._sent * FRAME_US
            out.append(filling[self._fill_at : self._fill_at + size])
            self._fill_at = (self._fill_at + size) % len(filling)
            self._sent += 1
            if self._sending < len(self._queue) and (speech := self._queue[self._sending]).sent:
                # Within a sentence that waits for its next audio: what comes of it is heard later.
                speech.first += 1
        return out

    def hold(self, pcm: bytes | None) -> None:
        """Send `pcm` over and over when nothing is said, as a held line does; None ends it."""
        self._fill_at = 0
        if pcm is not None:
            encoder = self._make_encoder()
            audio = encoder.push(pcm) + encoder.finish()
            self._filling = audio[: len(audio) - len(audio) % self._frame_bytes] or None
        elif self._player.fills:
            self._filling = self._silence * (self._frame_bytes // len(self._silence))
        else:
            self._filling = None

    def _to_send(self, out: list[Outgoing]) -> _Speech | None:
        """Return the sentence whose frame is next; notes in `out` those that ended."""
        while self._sending < len(self._queue):
            speech = self._queue[self._sending]
            if speech.sent < speech.frames and (speech.complete or not self._player.whole):
                return speech
            if not speech.complete:
                return None
            self._sending += 1
            if speech.frames:
                out.append(SpeechSent(speech.speech_id))
        return None

    def next_due_us(self, now: int) -> int | None:
        """When `due` or `heard` has something to do again; None while nothing is to come by itself."""
        if self._filling is not None:
            return max(now, self._clock_us + self._sent * FRAME_US - self._player.lead_us)
        if self._paused_at is not None or not self._queue:
            return None
        waits = None
        if self._sending < len(self._queue) and not self._blocked:
            speech = self._queue[self._sending]
            if speech.complete or (speech.sent < speech.frames and not self._player.whole):
                waits = max(now, self._clock_us + self._sent * FRAME_US - self._player.lead_us)
        first = self._queue[0]
        if first.complete and first.sent == first.frames:
            wait_us = 0 if first.confirmed else self._mark_wait_us
            end = max(now, self._end_us(first) + wait_us)
            waits = end if waits is None else min(waits, end)
        if waits is None and first.sent:
            # While frames leave, their wake-ups do for the reports too.
            waits = self._report_due
        return waits

    # Being heard

    def _end_us(self, speech: _Speech) -> int:
        """When the caller hears the end of a sentence that was sent."""
        return self._clock_us + self._lag_us + (speech.first + speech.frames) * FRAME_US

    def _awaits_mark(self, speech: _Speech, now: int) -> bool:
        """True while the other side may still say that it has played this to its end."""
        if speech.confirmed or not self._mark_wait_us or not speech.frames:
            return False
        if now < self._end_us(speech) + self._mark_wait_us:
            return True
        self._marks_missed += 1
        if self._marks_missed >= MARKS_MISSED:
            self._mark_wait_us = 0
        return False

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
            if self._awaits_mark(speech, now):
                break
            self._last_heard = (speech.speech_id, self._end_us(speech) - self._lag_us)
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
        if self._paused_at is not None and self._can_pause:
            return
        speech = self._by_id.get(speech_id)
        if speech is None:
            if self._last_heard is not None and self._last_heard[0] == speech_id:
                # It was taken for heard too early: the next ones will not be.
                self._lag_us = max(0, min(MOST_LAG_US, now - self._last_heard[1]))
                self._last_heard = None
            return
        if not speech.announced:
            return
        if samples >= speech.sent * FRAME_SAMPLES and speech.complete and speech.sent == speech.frames:
            speech.confirmed = True
            self._marks_missed = 0
        samples = min(samples, speech.sent * FRAME_SAMPLES)
        believed = self._clock_us + speech.first * FRAME_US + samples_to_us(samples)
        self._lag_us = max(0, min(MOST_LAG_US, now - believed))

    # Interruptions

    def pause(self, now: int) -> None:
        """Send nothing more for now."""
        if self._paused_at is None:
            self._paused_at = now

    def block(self, on: bool) -> None:
        """The other side's buffer is full: send nothing until it says otherwise."""
        self._blocked = on

    def resume(self, now: int, back_samples: int = 0) -> None:
        """Go on where `pause` stopped, or `back_samples` before.

        Going back drops what was sent and not heard: the other side must be told to drop it too.
        """
        if self._paused_at is None:
            return
        if back_samples and self._queue and self._queue[0].announced:
            self._go_back(now, back_samples)
            return
        if self._can_pause:
            self._clock_us += now - self._paused_at
        self._paused_at = None

    def _go_back(self, now: int, back_samples: int) -> None:
        """Send the sentence being heard again from a little before where it was heard to."""
        position = self._heard_frames(now)
        first = self._queue[0]
        heard = max(0, position - first.first)
        again = min(heard, -(-back_samples // FRAME_SAMPLES))
        for speech in self._queue:
            if speech.announced:
                speech.sent = max(0, min(speech.sent, position - speech.first))
                speech.confirmed = False
        first.sent = heard - again
        self._sent = position - again
        self._sending = 0
        self._paused_at = None
        self._clock_us = now - self._sent * FRAME_US
        self._lag_us = 0

    def clear(self, now: int) -> None:
        """Drop everything; what was sent and not heard is flushed at the other side."""
        self._sent = self._heard_frames(now)
        self._queue.clear()
        self._by_id.clear()
        self._sending = 0
        self._paused_at = None
        self._last_heard = None

    def drop_but(self, speech_id: int) -> None:
        """Drop the sentences of which nothing was sent, except this one."""
        kept = [speech for speech in self._queue if speech.sent or speech.speech_id == speech_id]
        self._sending = sum(speech in kept for speech in self._queue[: self._sending])
        self._queue = kept
        self._by_id = {speech.speech_id: speech for speech in kept}

    def rewind(self, now: int) -> None:
        """The socket is gone and with it what was sent but not heard: keep it to be sent again. Pauses."""
        position = self._heard_frames(now)
        for speech in self._queue:
            if speech.announced:
                speech.sent = max(0, min(speech.sent, position - speech.first))
                speech.announced = False
                speech.confirmed = False
        self._sent = position
        self._sending = 0
        self._lag_us = 0
        self._paused_at = now
        self._clock_us = now - position * FRAME_US
