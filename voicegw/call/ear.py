"""The caller's audio: reblocked into frames, judged, kept as long as a turn may need it.

Speech and silence are counted in samples, so that bursts and late packets change nothing. Only a carrier
that stops sending brings the clock in: its silence is filled after 200 ms, provisionally.
"""

from collections import deque
from itertools import islice

from voicegw.audio.dtmf import KeyDetector
from voicegw.audio.level import dbfs
from voicegw.audio.pcm import (
    FRAME_BYTES,
    FRAME_SAMPLES,
    FRAME_US,
    SAMPLE_BYTES,
    SAMPLES_PER_MS,
    SILENT_FRAME,
    samples_to_us,
)
from voicegw.audio.pitch import periodicity
from voicegw.audio.vad import VoiceDetector
from voicegw.call.echo import EchoGuard
from voicegw.call.events import Dtmf, Event, SampleReached, VoiceActivity, VoiceProbability

# A turn may be up to 28 s; the ring holds that and its pre-roll.
RING_FRAMES = 30_000 // 20
# While nobody speaks: the longest pre-roll (1 s) may not be lost before the vote has noticed a voice.
IDLE_FRAMES = 1_000 // 20 + 5
# After this many frames without voice the caller has ceased to speak (200 ms: within words it is shorter).
HANGOVER_FRAMES = 10
# "Still speaking" is told this often (100 ms); in the first second over the agent's speech with every frame,
# as its length decides who keeps the floor.
REPORT_FRAMES = 5
REPORT_FRAMES_OVER_AGENT = 1
# A lull is told as well (120 ms without a sound): where the line is quiet, the voice has probably ended.
LULL_FRAMES = 6
# A carrier is silent when nothing has come for this long: longer than ordinary network jitter.
GAP_US = 200_000
# Within a gap silence is filled in steps of 100 ms, or exactly to the sample that is waited for.
GAP_STEP_FRAMES = 5
# Audio later than this (1 s) is not put in the place of its fill: it is taken as new.
LATE_FRAMES = 50
# The second detector's answers: above this it is sure of a voice.
SURE = 0.5
# They are told when they have changed by so much: a steady voice would fill the journal with the same one.
TELLING = 0.1
UNTOLD = -1.0
# It has this long (300 ms of voice) to confirm what the first one took for a voice.
CONFIRM = 300 * SAMPLES_PER_MS
# Its answers are waited for 60 ms behind a window, and the next one comes 32 ms later, at the end of a frame;
# then the first detector decides.
FRESH = 112 * SAMPLES_PER_MS
# In noise a voice is louder than it only now and then.
LOUD_HOLD = 240 * SAMPLES_PER_MS
# The vote needs up to five frames: the voice began with the first of them.
VOTE_FRAMES = 5
# What it denied is watched on until the first one has been quiet for this long.
SUSPECT_FRAMES = 25
# A voice that is confirmed after all began before: where the first one began to hear it without a break of
# 100 ms, but at most 200 ms ago, as noise is heard without a break, too.
BREAK_FRAMES = 5
REACH_BACK_FRAMES = 10
# Over the agent's speech only what has a pitch is a voice: in two of the last 16 frames that sound like one,
# each measured with the one before it. It has 200 ms for it ("sure" begins without), and no sentence is
# without for so long later: what interrupts must not be a cough, a key or a room. After a second it has
# interrupted, or never will.
PITCHED = 0.75
PITCH_MASK = 0xFFFF
PITCHES = 2
PITCH_WITHIN = 200 * SAMPLES_PER_MS
PITCH_MATTERS = 1000 * SAMPLES_PER_MS
NEVER = 1 << 62

_NOTHING: tuple[Event, ...] = ()


class Ear:
    """Hears one caller. `position` is the number of samples heard so far, always whole frames."""

    def __init__(self) -> None:
        self.position = 0
        self.echo = EchoGuard()
        self.keys_told = False  # the carrier tells keys by itself
        self._keys = KeyDetector()
        self._onset = 0
        # The second detector: up to where it has answered, where it heard a voice last, and whether it
        # confirmed the voice that is being heard. A suspect is what it denied.
        self._judged = -NEVER
        self._sure_at = -NEVER
        self._told_p = UNTOLD
        self._loud_at = 0
        self._confirmed = False
        self._suspect = False
        self._suspect_quiet = 0
        self._suspect_run = 0  # frames since it was heard without a break
        self._vad = VoiceDetector()
        self._pitches = 0
        self._toned_at = -NEVER  # where the newest sound with a pitch ended
        self._over_agent = False  # the voice that is being heard began while the agent was heard
        self._rest = b""
        self._frames: deque[bytes] = deque()
        self._limit = IDLE_FRAMES
        self._speaking = False
        self._unvoiced = 0  # frames since the last voiced one, while speaking
        self._until_report = 0
        self._watch = NEVER
        # The time up to which audio has come or been filled; how many frames at the end of the ring are
        # fill that no turn's end has used, and the state to go back to when late audio replaces them.
        self._covered_us = 0
        self._heard_at = 0
        self._bundle_us = 0  # audio that came at that moment
        self._in_gap = False
        self._fill = 0
        self._before_fill = (0, False, 0, 0)
        self._late_until = 0  # until then what comes is taken for late

    def hear(self, pcm: bytes, now: int) -> tuple[Event, ...]:
        """Take the next audio, of any even length. Returns what happened in it, usually nothing.

        A long message is best given frame by frame with one `now`, so that what the call asks for at one
        frame is known at the next.
        """
        us = samples_to_us(len(pcm) // SAMPLE_BYTES)
        self._bundle_us = us if now != self._heard_at else self._bundle_us + us
        self._heard_at = now
        self._in_gap = False
        if self._fill:
            self._take_back_fill(now)
        # Late audio covers the gap piece by piece; on-time audio reaches up to now.
        self._covered_us = min(now, self._covered_us + us) if now < self._late_until else now
        if len(pcm) == FRAME_BYTES and not self._rest:
            return self._hear_frame(pcm)
        return self._hear_unaligned(pcm)

    def _hear_unaligned(self, pcm: bytes) -> tuple[Event, ...]:
        data = self._rest + pcm
        whole = len(data) - len(data) % FRAME_BYTES
        self._rest = data[whole:]
        events: tuple[Event, ...] = ()
        for start in range(0, whole, FRAME_BYTES):
            events += self._hear_frame(data[start : start + FRAME_BYTES])
        return events

    def _hear_frame(self, frame: bytes) -> tuple[Event, ...]:
        key = self._keys.hear(frame)
        if self._keys.muted:
            # A tone is no voice, and Whisper makes words of it.
            frame = SILENT_FRAME
            if key:
                # It has begun before it was known for what it is.
                for back in range(1, min(2, len(self._frames)) + 1):
                    self._frames[-back] = SILENT_FRAME
        vad = self._vad
        least = self.echo.threshold(self._heard_at, vad.level_rms, vad.background_rms)
        voiced = vad.hear(frame, least)
        if voiced and (self.echo.agent_heard or self._over_agent):
            self._measure_pitch(frame)
        events = self._take_frame(frame, voiced)
        # Carriers that tell keys by messages often leave the tone in as well: one of both counts.
        return (*events, Dtmf(key)) if key and not self.keys_told else events

    def _measure_pitch(self, frame: bytes) -> None:
        pitched = bool(self._frames) and periodicity(self._frames[-1] + frame) > PITCHED
        self._pitches = (self._pitches << 1 | pitched) & PITCH_MASK
        if self._pitches.bit_count() >= PITCHES:
            self._toned_at = self.position + FRAME_SAMPLES

    def _take_frame(self, frame: bytes, voiced: bool) -> tuple[Event, ...]:
        self.position = position = self.position + FRAME_SAMPLES
        frames = self._frames
        frames.append(frame)
        if len(frames) > self._limit:
            frames.popleft()
        # Nearly every frame of a silent caller ends here.
        if not (voiced or self._speaking or self._suspect) and position < self._watch:
            return _NOTHING
        return self._judge(voiced)

    def _judge(self, voiced: bool) -> tuple[Event, ...]:
        events: tuple[Event, ...] = ()
        if self._suspect:
            self._suspect_quiet = 0 if voiced else self._suspect_quiet + 1
            self._suspect = self._suspect_quiet < SUSPECT_FRAMES
            if not self._suspect:
                self._over_agent = False
            else:
                self._suspect_run = self._suspect_run + 1 if self._suspect_quiet < BREAK_FRAMES else 0
                if self._toned_at == self.position:
                    self._suspect = False
                    events = (self._voice_began(self._reach_back),)
        elif self._speaking and self._toneless:
            events = (self._deny(),)
        elif voiced and not self._speaking:
            events = (self._voice_began(),)
        elif self._speaking:
            if self._vad.frame_loud:
                self._loud_at = self.position
            # The vote says whether this is still voice; the frame itself says where its last sound is.
            if self._over_agent:
                voiced = voiced and self.position - max(self._onset, self._toned_at) <= PITCH_WITHIN
                self._over_agent = self.position - self._onset < PITCH_MATTERS
            self._unvoiced = 0 if voiced and self._vad.frame_voiced else self._unvoiced + 1
            if not self._over_agent and self._confirmed and self.position - self._judged <= FRESH:
                # Over the agent's speech the first detector alone measures: the model's answer is still sure
                # some 60 ms behind a murmur, which must not seem longer for it.
                # Background talk is a voice too, but not a loud one; noise is loud, but no voice. While the
                # newest answer is sure, the voice goes on up to now: it was given some 60 ms ago.
                sure = self.position if self._sure_at == self._judged else self._sure_at
                last = min(sure, self._loud_at + LOUD_HOLD)
                self._unvoiced = max(0, self.position - last) // FRAME_SAMPLES
            self._until_report -= 1
            if self._unvoiced >= HANGOVER_FRAMES:
                events = (self._voice_ended(),)
            elif self._until_report <= 0 or self._unvoiced == LULL_FRAMES:
                self._until_report = REPORT_FRAMES_OVER_AGENT if self._over_agent else REPORT_FRAMES
                # Up to the last sound: the silence behind a cough does not make it longer.
                events = (self._activity(self.position - self._unvoiced * FRAME_SAMPLES, True),)
        if self.position >= self._watch:
            reached, self._watch = self._watch, NEVER
            events = (*events, SampleReached(reached))
        return events

    @property
    def _toneless(self) -> bool:
        """True when what began over the agent's speech has shown no pitch for too long."""
        since = self.position - self._onset
        return self._over_agent and since == PITCH_WITHIN and self._toned_at < self._onset

    @property
    def _reach_back(self) -> int:
        """So many frames ago a suspect was heard first."""
        return min(max(VOTE_FRAMES, self._suspect_run), REACH_BACK_FRAMES)

    def _voice_began(self, frames_ago: int = VOTE_FRAMES) -> VoiceActivity:
        self._speaking = True
        self._over_agent = self._over_agent or self.echo.agent_heard
        self._onset = self._loud_at = self.position
        self._confirmed = False
        self._judged = self._sure_at = -NEVER
        self._told_p = UNTOLD
        self._unvoiced = 0
        self._until_report = REPORT_FRAMES_OVER_AGENT if self._over_agent else REPORT_FRAMES
        self._limit = RING_FRAMES
        return self._activity(max(0, self.position - frames_ago * FRAME_SAMPLES), True)

    def _voice_ended(self) -> VoiceActivity:
        self._speaking = self._over_agent = False
        self._pitches = 0
        return self._activity(self.position - self._unvoiced * FRAME_SAMPLES, False)

    def _activity(self, at_sample: int, speaking: bool) -> VoiceActivity:
        return VoiceActivity(at_sample, speaking, round(dbfs(self._vad.level_rms)), self.position)

    # The second detector

    @property
    def wants_second_stage(self) -> bool:
        """True while the second detector's opinion matters."""
        return self._speaking or self._suspect

    def second_stage(self, at_sample: int, p: float) -> tuple[Event, ...]:
        """The second detector believes to `p` (0 to 1) that the window up to `at_sample` is a voice."""
        told: tuple[Event, ...] = ()
        if abs(p - self._told_p) >= TELLING:
            self._told_p = p
            told = (VoiceProbability(at_sample, round(p, 2)),)
        return told + self._heed(at_sample, p)

    def _heed(self, at_sample: int, p: float) -> tuple[Event, ...]:
        self._judged = at_sample
        if p >= SURE:
            self._sure_at = at_sample
            self._confirmed = True
            if self._suspect:
                self._suspect = False
                began = self._voice_began(self._reach_back)
                self._confirmed, self._judged, self._sure_at = True, at_sample, at_sample
                return (began,)
        elif self._speaking and not self._confirmed and at_sample - self._onset >= CONFIRM:
            return (self._deny(),)
        return _NOTHING

    def _deny(self) -> VoiceActivity:
        """Noise that only sounded like a voice: it is told to have ended where it began."""
        self._speaking = False
        self._suspect, self._suspect_quiet, self._suspect_run = True, 0, 0
        return self._activity(max(0, self._onset - 4 * FRAME_SAMPLES), False)

    # What the call asks for

    def watch(self, at_sample: int) -> tuple[Event, ...]:
        """Report once when `at_sample` has been heard; at once when it has been already."""
        if at_sample <= self.position:
            self._watch = NEVER
            return (SampleReached(at_sample),)
        self._watch = at_sample
        return _NOTHING

    def audio(self, from_sample: int, to_sample: int) -> bytes:
        """Return the pcm between two samples, as far as it is still kept (whole frames)."""
        first_kept = self.position // FRAME_SAMPLES - len(self._frames)
        start = max(0, from_sample // FRAME_SAMPLES - first_kept)
        stop = max(start, -(-to_sample // FRAME_SAMPLES) - first_kept)
        return b"".join(islice(self._frames, start, stop))

    def release(self, before_sample: int) -> None:
        """Forget what lies before `before_sample`, except the pre-roll that a new turn may need.

        While nobody speaks nothing but that pre-roll is kept, however late this is said. Silence that was
        filled in is part of what was heard from now on.
        """
        self._fill = 0
        keep = (self.position - before_sample) // FRAME_SAMPLES if self._speaking else 0
        frames = self._frames
        while len(frames) > max(IDLE_FRAMES, keep):
            frames.popleft()
        if not self._speaking:
            self._limit = IDLE_FRAMES

    @property
    def kept_from(self) -> int:
        """The first sample that is still kept."""
        return self.position - len(self._frames) * FRAME_SAMPLES

    @property
    def kept_bytes(self) -> int:
        """Size of the audio kept now."""
        return len(self._frames) * FRAME_BYTES

    # A carrier that stops sending

    def start_clock(self, now: int) -> None:
        """The carrier is there from `now` on: silence of the line counts from here."""
        self._covered_us = now
        self._in_gap = False

    @property
    def gap_due_us(self) -> int:
        """When `fill` should be called if no audio comes before.

        Whoever sends 200 ms in one message sends the next one 200 ms later: that is no gap.
        """
        if not self._in_gap:
            # Not before so long after the newest audio: who sends nothing in silence, and then speaks, would
            # else be filled between each two of his frames, which the next one would take back.
            newest = max(self._covered_us, self._heard_at)
            return newest + GAP_US + max(0, self._bundle_us - FRAME_US)
        frames = min(GAP_STEP_FRAMES, max(1, -(-(self._watch - self.position) // FRAME_SAMPLES)))
        return self._covered_us + frames * FRAME_US

    def fill(self, now: int) -> tuple[Event, ...]:
        """Put silence where the carrier sent nothing. Late audio takes its place until a turn ends on it."""
        if now < self.gap_due_us:
            return _NOTHING
        events = _NOTHING
        missing = (now - self._covered_us) // FRAME_US
        self._covered_us += missing * FRAME_US
        self._in_gap = True
        for _ in range(missing):
            if self._fill == 0:
                self._before_fill = (self._vad.state, self._speaking, self._unvoiced, self._until_report)
                self._vad.rewind(0)
                self._vad.level_rms = 0
            self._fill += 1
            events += self._take_frame(SILENT_FRAME, False)
        if self._fill > LATE_FRAMES:
            self._fill = 0
        return events

    def _take_back_fill(self, now: int) -> None:
        """Late audio comes: go back to where the gap began. The caller may not have ceased to speak."""
        for _ in range(min(self._fill, len(self._frames))):
            self._frames.pop()
        self.position -= self._fill * FRAME_SAMPLES
        self._covered_us -= self._fill * FRAME_US
        vote, self._speaking, self._unvoiced, self._until_report = self._before_fill
        self._vad.rewind(vote)
        self._fill = 0
        self._late_until = now + GAP_US
