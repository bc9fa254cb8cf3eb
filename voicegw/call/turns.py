"""Start and end of the caller's turns, counted in samples.

The end comes in two steps: after a short pause what was said so far is transcribed, speculatively and
once per pause; after a longer one, whose length `end_of_turn` chooses, the turn is over, and the transcript
is usually there. If the caller goes on before the agent's first sound, it is the same turn: it reopens.
A long turn is transcribed in pieces while the caller still speaks, so that the wait after the last word does
not grow with it.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from voicegw.audio.pcm import SAMPLES_PER_MS, ms_to_samples
from voicegw.call.end_of_turn import UNSURE, EndOfTurn
from voicegw.call.transcript_gate import words_of
from voicegw.config import TurnSettings

# A pause this long is a good place to cut a turn, once the part before it is so long.
PIECE_PAUSE = ms_to_samples(400)
PIECE_LENGTH = ms_to_samples(6_000)
# After this a shorter pause will do, where what is before it was transcribed already: a piece that nobody
# cuts grows to max_turn_s, and the wait behind the last word with it.
LONG_PIECE = ms_to_samples(10_000)
# Whisper does badly with less: a shorter tail is transcribed together with the piece before it …
TAIL = ms_to_samples(1_500)
# … if both still lie in the ear's ring (30 s).
JOINED = ms_to_samples(28_000)
# A forced cut is made at the quietest moment of the last 2 s, by the reports that come every 100 ms.
REPORTS = 20
# So many of the last words go along as a hint of what is being said.
PROMPT_WORDS = 20
# Voices of a turn that are remembered to tell how much of a range was voice.
VOICES = 64
# Where what is left is so much quieter than the voice, no soft sound of it is hidden: it has paused.
LULL_DB = 20
LULL = ms_to_samples(120)
# Whoever speaks word by word has many lulls: one in so long is worth a request.
LULL_APART = ms_to_samples(1_000)
# The level of nothing at all.
SILENCE_DB = -96


class Phase(Enum):
    """Where the caller's turn stands."""

    QUIET = auto()  # no turn
    VOICED = auto()  # the caller speaks
    PAUSED = auto()  # the caller may be done
    ENDED = auto()  # the turn is over; its transcript may still be on its way


@dataclass(slots=True)
class Utterance:
    """A range that was sent to STT. `text` is None until the answer comes, "" if none came (`failed`).

    `vote` is a turn model's belief that the turn is over behind it.
    """

    utterance_id: int
    from_sample: int
    to_sample: int
    text: str | None = None
    failed: bool = False
    vote: float | None = None


@dataclass(slots=True)
class Step:
    """What is to be done: an utterance to transcribe, others not wanted any more, a sample to watch for."""

    transcribe: Utterance | None = None
    cancel: list[Utterance] = field(default_factory=list)
    watch: int | None = None


class Turns:
    """Follows the caller through one turn after another."""

    def __init__(self, settings: TurnSettings, language: str = "") -> None:
        self._preroll = ms_to_samples(settings.preroll_ms)
        self._pause = ms_to_samples(settings.pause_ms)
        self._longest = ms_to_samples(settings.max_turn_s * 1000)
        self.end = EndOfTurn(settings, language)
        self._utterances = 0
        self._reports: deque[tuple[int, int]] = deque(maxlen=REPORTS)  # level, at_sample
        self._voices: deque[tuple[int, int]] = deque(maxlen=VOICES)
        self.phase = Phase.QUIET
        self.reopened = False
        self._contrast_db = -SILENCE_DB  # how much louder the newest voice was than what followed
        # The newest words of the turn, and the end of the voice that they are of.
        self._words: list[str] = []
        self._words_end = 0
        self._lull_from = -LULL_APART  # end of the voice before the newest lull
        self._kept = 0  # pieces whose audio is not kept any more
        self.from_sample = 0  # where the part of the turn begins that was not cut off as a piece
        self.voice_from = 0  # onset of the newest voice
        self.last_voice = 0  # end of the newest voice
        self.pieces: list[Utterance] = []
        self.utterance: Utterance | None = None

    def voice_began(self, at_sample: int) -> Utterance | None:
        """The caller speaks. Returns a speculative utterance that this makes useless."""
        useless, self.utterance = self.utterance, None
        if self.phase is Phase.QUIET:
            self.from_sample = max(0, at_sample - self._preroll)
        else:
            pause = at_sample - self.last_voice
            self.end.paused(pause)
            length = useless.to_sample - useless.from_sample if useless is not None else 0
            cut = length >= PIECE_LENGTH and (pause >= PIECE_PAUSE or length >= LONG_PIECE)
            if useless is not None and cut and not useless.failed:
                # Its transcript stays: the turn is cut here.
                self.pieces.append(useless)
                self.from_sample = useless.to_sample
                useless = None
        self.phase = Phase.VOICED
        self.voice_from = at_sample
        self.last_voice = max(self.last_voice, at_sample)
        return useless

    def reach_back(self, at_sample: int) -> None:
        """A voice that began there and was taken for a cough belongs to the turn after all."""
        self.from_sample = min(self.from_sample, max(0, at_sample - self._preroll))

    def voice_goes_on(self, at_sample: int, level_db: int = 0) -> Utterance | None:
        """The caller still speaks. Returns a piece to transcribe already when the turn has become long."""
        self.last_voice = max(self.last_voice, at_sample)
        self._reports.append((level_db, at_sample))
        if at_sample - self.from_sample < self._longest:
            return None
        reports = [(level, -at) for level, at in self._reports if at > self.from_sample]
        cut = -min(reports)[1]
        piece = self._new_utterance(cut)
        self.pieces.append(piece)
        self.from_sample = cut
        return piece

    def outdated(self, at_sample: int) -> Utterance | None:
        """Return the utterance of a lull that has turned out to be none: the voice sounded at `at_sample`."""
        if self.utterance is None or at_sample <= self._lull_from:
            return None
        useless, self.utterance = self.utterance, None
        return useless

    def lull(self, at_sample: int, heard: int, level_db: int) -> Utterance | None:
        """The voice sounded up to `at_sample`, and `level_db` is left at `heard`.

        Returns an utterance to transcribe already: the turn may have ended.
        """
        if self.utterance is not None or heard - at_sample < LULL:
            return None
        if self.loudest_db - level_db < LULL_DB or at_sample - self._lull_from < LULL_APART:
            return None
        self._lull_from = at_sample
        self.utterance = self._new_utterance(heard)
        return self.utterance

    def voice_ended(self, at_sample: int, level_db: int | None = None) -> int:
        """The caller ceased to speak, and so loud is what is left. Returns the sample to watch for."""
        self.phase = Phase.PAUSED
        if level_db is not None and (loudest := self.loudest_db) > SILENCE_DB:
            self._contrast_db = loudest - level_db
        self.last_voice = at_sample
        self._voices.append((self.voice_from, at_sample))
        return at_sample + self._pause

    def pause_reached(self, at_sample: int) -> Step:
        """A watched sample was heard: transcribe, wait for more, or the turn is over."""
        step = Step()
        if self.phase is not Phase.PAUSED:
            return step
        silence = at_sample - self.last_voice
        if silence < self._pause:
            step.watch = self.last_voice + self._pause
            return step
        if self.utterance is None:
            self._join_tail(at_sample, step)
            step.transcribe = self.utterance = self._new_utterance(at_sample)
        needed = self.needed
        if silence >= needed:
            self.phase = Phase.ENDED
        else:
            step.watch = self.last_voice + needed
        return step

    def early(self, at_sample: int) -> Utterance:
        """The words are wanted before the pause is long enough."""
        self.utterance = self._new_utterance(at_sample)
        return self.utterance

    def _join_tail(self, at_sample: int, step: Step) -> None:
        """A short tail goes with the piece before it."""
        if len(self.pieces) <= self._kept or self.last_voice - self.from_sample >= TAIL:
            return
        if at_sample - self.pieces[-1].from_sample > JOINED:
            return
        piece = self.pieces.pop()
        self.from_sample = piece.from_sample
        if piece.text is None:
            step.cancel.append(piece)

    @property
    def needed(self) -> int:
        """The pause (samples) that ends the turn, by what is known of it now."""
        known = bool(self.wanted) and all(u.text is not None for u in self.wanted)
        vote = self.utterance.vote if self.utterance is not None else None
        return self.end.needed(
            self.text if known else None, vote=vote, reopened=self.reopened, contrast_db=self._contrast_db
        )

    @property
    def sounds_unfinished(self) -> bool:
        """True when a turn model has heard that more is to come."""
        vote = self.utterance.vote if self.utterance is not None else None
        return vote is not None and vote < UNSURE

    @property
    def watch(self) -> int | None:
        """The sample at which the turn ends if nobody speaks; None when it is not waiting for that."""
        return self.last_voice + self.needed if self.phase is Phase.PAUSED else None

    def _new_utterance(self, to_sample: int) -> Utterance:
        self._utterances += 1
        return Utterance(self._utterances, self.from_sample, to_sample)

    def voice_ms(self, utterance: Utterance) -> int:
        """How much of an utterance's range was voice."""
        ranges = [*self._voices]
        if self.phase is Phase.VOICED:
            ranges.append((self.voice_from, self.last_voice))
        voiced = sum(
            max(0, min(to, utterance.to_sample) - max(begin, utterance.from_sample)) for begin, to in ranges
        )
        return voiced // SAMPLES_PER_MS

    @property
    def loudest_db(self) -> int:
        """Level of the turn's loudest moment of the last 2 s of voice (dBFS); -96 where none was told."""
        return max((level for level, at in self._reports if at > self.from_sample), default=SILENCE_DB)

    def find(self, utterance_id: int) -> Utterance | None:
        """Return an utterance that is still wanted."""
        return next((u for u in self.wanted if u.utterance_id == utterance_id), None)

    def transcribed(self, utterance_id: int, text: str) -> bool:
        """Take STT's answer. Returns False when it is of an utterance that is not wanted any more."""
        utterance = self.find(utterance_id)
        if utterance is None:
            return False
        utterance.text = text
        if utterance is self.utterance:
            self._compare_words()
        return True

    def _compare_words(self) -> None:
        """Words that have not changed say that what sounded since was noise: the pause began before it."""
        words = words_of(self.text)
        if words and self._words == words and self.phase is Phase.PAUSED:
            self.last_voice = self._words_end
        else:
            self._words, self._words_end = words, self.last_voice

    def judged(self, utterance_id: int, vote: float) -> bool:
        """Take a turn model's belief. Returns False when it is of no use any more."""
        if self.utterance is None or self.utterance.utterance_id != utterance_id:
            return False
        self.utterance.vote = vote
        return True

    def failed(self, utterance_id: int) -> bool:
        """STT gave no answer. Returns False when it is of an utterance that is not wanted any more.

        One that was speculative is forgotten: the end of the turn makes a new one.
        """
        utterance = self.find(utterance_id)
        if utterance is None:
            return False
        utterance.text, utterance.failed = "", True
        if utterance is self.utterance and self.phase is not Phase.ENDED:
            self.utterance = None
        return True

    @property
    def torn(self) -> bool:
        """True when a part of the turn got no transcript: what is left of it says something else."""
        return any(utterance.failed for utterance in self.wanted)

    @property
    def wanted(self) -> list[Utterance]:
        """The utterances that make up the turn so far."""
        return [*self.pieces, self.utterance] if self.utterance else self.pieces

    @property
    def over(self) -> bool:
        """True when the turn has ended and all of it is transcribed."""
        return self.phase is Phase.ENDED and all(u.text is not None for u in self.wanted)

    @property
    def text(self) -> str:
        """What was said so far, as one text."""
        return joined([u.text for u in self.wanted if u.text])

    def prompt(self, utterance: Utterance) -> str:
        """The last words before an utterance, as a hint for STT."""
        before = [u.text for u in self.pieces if u is not utterance and u.text]
        return " ".join(" ".join(before).split()[-PROMPT_WORDS:])

    def reset(self) -> list[Utterance]:
        """The turn is dealt with, or was none. Returns its utterances."""
        utterances = self.wanted
        self.phase = Phase.QUIET
        self.reopened = False
        self.utterance = None
        self.pieces = []
        self._words = []
        self._kept = 0
        return utterances

    def reopen(self, pieces: list[Utterance]) -> None:
        """The voice that is speaking now goes on with the turn that had those utterances."""
        self.pieces = [*pieces, *self.pieces]
        self._kept = len(pieces)
        self.reopened = True


def joined(texts: list[str]) -> str:
    """Join the texts of a turn's pieces.

    A full stop at a cut, where the next piece goes on, was Whisper's guess.
    """
    out = ""
    for text in (text.strip() for text in texts):
        if out and text and not text[0].isupper():
            out = out.removesuffix(".")
        out = f"{out} {text}".strip()
    return out
