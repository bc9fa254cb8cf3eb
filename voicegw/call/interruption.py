"""A voice over the agent's speech: an interruption, or a cough, a murmur, a noise?

The agent's speech is paused at the onset already, so that whoever means it is not talked over; here it is
decided who keeps the floor. Pure: lengths in samples, times in microseconds since the call began.
"""

from enum import Enum, auto

from voicegw.audio.pcm import ms_to_samples
from voicegw.call.phantoms import BACKCHANNELS
from voicegw.call.playback import Kind
from voicegw.call.settings import InterruptionSettings
from voicegw.call.transcript_gate import words_of

# A shorter voice is a cough or a click: not worth asking what it said.
COUGH = ms_to_samples(300)
# Spaced words ("stop ... wait ... no") add up, though each is as short as a cough. Silence takes away from
# the sum a quarter of its length, so that a cough now and then never adds up; after a second nothing is left,
# and the audio before it is not kept either.
LEAK = 4
CARRIED = ms_to_samples(1000)
# How long the agent stays silent for the words of a voice that was too short to decide by its length: as
# long as a listener's own reaction may take. A later answer can still interrupt.
WORDS_WAIT_US = 450_000
# A voice so much quieter than the caller's usual one is perhaps somebody else's: it must be this much longer.
QUIETER_DB = 14
QUIETER_TIMES = 2
# How much of the caller's level the newest turn decides.
LEVEL_SHARE = 0.3
SILENCE_DB = -96
# The shortest that a word lasts in quick speech.
WORD_MS = 220


class Verdict(Enum):
    """What a voice over the agent's speech means."""

    OPEN = auto()  # not decided yet
    KEEP = auto()  # the agent keeps the floor
    YIELD = auto()  # the caller gets it


class Interruption:
    """Decides about one voice after another. Between `begin` and `close` one is undecided."""

    def __init__(self, settings: InterruptionSettings, barge_in_ms: int, language: str) -> None:
        self._settings = settings
        self._long = ms_to_samples(max(barge_in_ms, settings.min_words * WORD_MS))
        known = BACKCHANNELS.get(language.partition("-")[0].lower(), BACKCHANNELS["en"])
        self._murmurs = known | {word for phrase in settings.backchannels for word in words_of(phrase)}
        self._usual_db: float | None = None
        self._since = 0
        self._from = 0  # onset of the newest voice
        self._before = 0  # voice before that which counts with it ...
        self._ended_at = -CARRIED  # ... and where it ended
        self.from_sample = 0  # where the first voice began that counts
        self._loudest_db = self._turn_db = SILENCE_DB
        self.undecided = False
        self.due_us: int | None = None
        # The utterance whose words came too late to wait for; they may still interrupt.
        self.late: int | None = None

    def allowed(self, kind: Kind, text: str) -> bool:
        """Whether the caller may interrupt this sentence of the agent."""
        mode = self._settings.mode
        if mode == "never":
            return False
        if mode == "protected" and kind == "greeting":
            return False
        return not any(phrase and phrase in text for phrase in self._settings.protected)

    def begin(self, at_sample: int, now: int) -> None:
        """A voice began over the agent's speech."""
        if not self.undecided:
            self._since = now
            self._loudest_db = SILENCE_DB
        gap = at_sample - self._ended_at
        self._before = max(0, self._before - gap // LEAK) if gap < CARRIED else 0
        # What was said a second ago is not kept any more, even if later words have carried it on.
        if self._before == 0 or at_sample - self.from_sample > CARRIED:
            self.from_sample = at_sample
        self._from = at_sample
        self.undecided = True
        self.due_us = None

    def goes_on(self, at_sample: int, level_db: int) -> Verdict:
        """It lasts until `at_sample` by now."""
        self._loudest_db = max(self._loudest_db, level_db)
        self._turn_db = max(self._turn_db, level_db)
        return Verdict.YIELD if self._before + at_sample - self._from >= self._needed else Verdict.OPEN

    def ended(self, at_sample: int, now: int) -> Verdict:
        """It ended at `at_sample`. OPEN: its words decide, if they come until `due_us`."""
        self._before += at_sample - self._from
        self._ended_at = at_sample
        if self._before >= self._needed:
            return Verdict.YIELD
        if self._before < COUGH:
            return Verdict.KEEP
        self.due_us = now + WORDS_WAIT_US
        return Verdict.OPEN

    @property
    def _needed(self) -> int:
        quiet = self._usual_db is not None and self._loudest_db < self._usual_db - QUIETER_DB
        return self._long * QUIETER_TIMES if quiet else self._long

    def said(self, text: str) -> Verdict:
        """Its words have come ("" when they were none): what they say is dealt with."""
        words = words_of(text)
        self._before = 0
        if len(words) < self._settings.min_words or all(word in self._murmurs for word in words):
            return Verdict.KEEP
        return Verdict.YIELD

    def lost_us(self, now: int) -> int:
        """How long the agent has been silent for it."""
        return now - self._since

    def close(self) -> None:
        """It is decided, or does not matter any more."""
        self.undecided = False
        self.due_us = None

    def learn(self) -> None:
        """What was heard since the last time was a turn of the caller: so loud is this one."""
        if self._turn_db > SILENCE_DB:
            self._usual_db = (
                self._turn_db
                if self._usual_db is None
                else (self._usual_db + (self._turn_db - self._usual_db) * LEVEL_SHARE)
            )
        self._turn_db = SILENCE_DB
