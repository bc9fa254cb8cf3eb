"""How long a pause must be to end the caller's turn: from the words, the question, and the caller's own way.

All lengths are samples of the caller's audio; the settings are its bounds.
"""

import re
from collections import deque
from collections.abc import Callable

from voicegw.audio.pcm import ms_to_samples
from voicegw.call.completeness import Expected, Look, look_of
from voicegw.config import TurnSettings

# Shorter gaps are parts of words; longer ones within a turn say how this caller pauses.
LEAST_PAUSE_MS = 250
# So many of the caller's newest pauses are remembered; one longer than most_own_ms does not count in full.
PAUSES = 8
# A caller's longest pause, and this much more, before the turn is taken for over.
OWN_MARGIN = 1.15
# In noise the last soft sounds of a word are not heard: where a voice's loudest moments are 13 dB above what
# follows it (10 dB of pink noise), its end is found 150 ms too early in the mean; at 22 dB nothing is lost.
DROWNED_MS = 150
NOISY_DB, CLEAR_DB = 13, 22
# In more noise whole words are not heard: at 9 dB (5 dB of pink noise) so much more is waited.
LOST_MS = 700
LOST_DB = 9
# Whoever was taken for done too early is given this much more time for the rest of the turn.
REOPENED_MS = 250
# A recogniser that writes full stops has left it away: behind finished sentences it does so seldom.
NO_STOP_MS = 400
# A finished turn of so many words without any mark: this one writes none.
MARKED_WORDS = 4
_STOP = re.compile(r"[.!?…][\"'”’)]*$")
_MARK = re.compile(r"[.,!?;:…]")
# A turn model counts where it is sure. In `bench turns` smart-turn v3.2 votes under 0.2 at a third of the
# pauses within turns and a tenth of their ends, over 0.9 at a third of the pauses and half of the ends.
SURE = 0.9
UNSURE = 0.2


class EndOfTurn:
    """Chooses the length of the pause that ends a turn of this caller."""

    def __init__(self, settings: TurnSettings, language: str) -> None:
        self._language = language
        self._least = ms_to_samples(settings.min_end_ms)
        self._usual = ms_to_samples(settings.end_ms)
        self._most = ms_to_samples(settings.max_end_ms)
        self._acoustic = ms_to_samples(settings.acoustic_end_ms)
        self._least_pause = ms_to_samples(LEAST_PAUSE_MS)
        self._pauses: deque[int] = deque(maxlen=PAUSES)
        self._marks = True  # the recogniser writes full stops, as Whisper does
        self.expected = Expected.FREE
        # Whether a text holds the whole answer to what was asked for, where its form is known.
        self.answered: Callable[[str], bool] | None = None

    def paused(self, samples: int) -> None:
        """The caller went on in the same turn after a pause of this length."""
        if samples >= self._least_pause:
            self._pauses.append(min(samples, self._most))

    def finished(self, text: str) -> None:
        """These were the words of a whole turn."""
        if _MARK.search(text) or len(text.split()) >= MARKED_WORDS:
            self._marks = bool(_MARK.search(text))

    def look(self, text: str) -> Look:
        """Return how the words look as an answer to what the agent asked."""
        if self.answered is not None and self.answered(text):
            return Look.DONE
        return look_of(text, self._language, self.expected)

    def needed(
        self, text: str | None, *, vote: float | None = None, reopened: bool = False, contrast_db: int = 96
    ) -> int:
        """Return the pause after which the turn is over.

        `text` is what was said so far, None while it is not known; `vote` is a turn model's belief that the
        turn is over (0 to 1); `reopened` when it was taken for over once already; `contrast_db` how much
        louder the voice is than what is behind it.
        """
        drowned = _drowned(contrast_db)
        if text is None:
            return max(self._least, self._acoustic + drowned)
        if not text:
            # Nothing was understood: there is nothing to wait for that would be begun.
            return self._usual
        look = self.look(text)
        if look is Look.OPEN:
            return self._most
        if look is Look.DONE and self.expected is Expected.YES_NO:
            return self._least
        pause = self._usual
        if look is Look.LIKELY:
            if self._marks and not _STOP.search(text.rstrip()):
                pause += ms_to_samples(NO_STOP_MS)
            pause = max(pause, self._own)
        if look is Look.PENDING:
            pause = max(pause, (self._usual + self._most) // 2)
        if reopened:
            pause += ms_to_samples(REOPENED_MS)
        if vote is not None and vote < UNSURE:
            pause = max(pause, (self._usual + self._most) // 2)
        elif vote is not None and vote >= SURE:
            # No shorter than usual: of the pauses within turns it is sure of a third.
            pause = min(pause, self._usual)
        return max(self._least, min(self._most, pause + drowned))

    @property
    def _own(self) -> int:
        """What this caller's own pauses ask for: the second longest, so that one long thought is no habit."""
        if len(self._pauses) < 2:
            return 0
        return int(sorted(self._pauses)[-2] * OWN_MARGIN)


def _drowned(contrast_db: int) -> int:
    """Return how much too early (samples) a voice seems to end whose soft sounds are lost in noise."""
    share = (CLEAR_DB - contrast_db) / (CLEAR_DB - NOISY_DB)
    deep = (NOISY_DB - contrast_db) / (NOISY_DB - LOST_DB)
    return ms_to_samples(DROWNED_MS * min(1.0, max(0.0, share)) + LOST_MS * min(1.0, max(0.0, deep)))
