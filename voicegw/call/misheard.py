"""What follows on a turn of which no word could be believed: silence, "sorry?", or the ladder of failures.

Whoever really spoke must not be left in silence; a noise must not make the agent talk to nobody.
"""

from enum import Enum, auto

# A recogniser that writes nothing, or a phantom, may have heard nobody. So much voice is somebody: a cough or
# a door is shorter. An empty answer says less against a voice than a phantom with doubts does.
REAL_MS = {"empty": 300, "phantom": 600, "no_speech": 600}
# For these it does not matter how long it was: nobody spoke, or we heard ourselves.
NOBODY = frozenset({"no_voice", "said_before", "echo"})
# A voice so much quieter than this caller's usual one is somebody else's, or a television.
QUIETER_DB = 14
# How much of the usual level the newest turn decides.
LEVEL_SHARE = 0.3
# Whoever was asked to repeat so often in a row is helped by no further "sorry?".
MOST_SORRY = 2


class Answer(Enum):
    """What the caller gets."""

    SILENCE = auto()
    SORRY = auto()  # asked to repeat
    LADDER = auto()  # it counts as a failed answer: apology, offer, goodbye


class Misheard:
    """Counts the turns in a row of which nothing was left."""

    def __init__(self) -> None:
        self._usual_db: float | None = None
        self._spoken = 0  # in a row, by somebody who really spoke
        self._noises = 0  # in a row, by nobody it seems

    def understood(self, level_db: int) -> None:
        """A turn was taken; so loud was its loudest moment."""
        self._spoken = self._noises = 0
        if self._usual_db is None:
            self._usual_db = level_db
        else:
            self._usual_db += (level_db - self._usual_db) * LEVEL_SHARE

    def rejected(self, reason: str, voice_ms: int, level_db: int) -> Answer:
        """Return what follows on a turn that was rejected, with so much voice in it."""
        if reason == "echo":
            return Answer.SILENCE
        if not self._somebody(reason, voice_ms, level_db):
            self._noises += 1
            # Twice in a row is perhaps a caller after all. Not a third time: a noisy line is no conversation.
            return Answer.SORRY if self._noises == MOST_SORRY and not self._spoken else Answer.SILENCE
        self._spoken += 1
        return Answer.SORRY if self._spoken <= MOST_SORRY else Answer.LADDER

    def _somebody(self, reason: str, voice_ms: int, level_db: int) -> bool:
        quiet = self._usual_db is not None and level_db < self._usual_db - QUIETER_DB
        return reason not in NOBODY and not quiet and voice_ms >= REAL_MS.get(reason, 0)
