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
        self._before = 0  # voice since `_since` that has ended
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

    def begin(self, now: int) -> None:
        """A voice began over the agent's speech."""
        if not self.undecided:
            self._since = now
            self._before = 0
            self._loudest_db = SILENCE_DB
        self.undecided = True
        self.due_us = None

    def goes_on(self, length: int, level_db: int) -> Verdict:
        """It lasts `length` by now."""
        self._loudest_db = max(self._loudest_db, level_db)
        self._turn_db = max(self._turn_db, level_db)
        return Verdict.YIELD if self._before + length >= self._needed else Verdict.OPEN

    def ended(self, length: int, now: int) -> Verdict:
        """It ended after `length`. OPEN: its words decide, if they come until `due_us`."""
        self._before += length
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
        """Its words have come ("" when they were none)."""
        words = words_of(text)
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
