"""Start and end of the caller's turns, counted in samples.

The end comes in two steps: after a short pause what was said so far is transcribed, speculatively and
once per pause; after a longer one the turn is over, and the transcript is usually there. If the caller
goes on before the agent's first sound, it is the same turn: it reopens.
"""

from dataclasses import dataclass
from enum import Enum, auto

from voicegw.audio.pcm import ms_to_samples
from voicegw.config import TurnSettings


class Phase(Enum):
    """Where the caller's turn stands."""

    QUIET = auto()  # no turn
    VOICED = auto()  # the caller speaks
    PAUSED = auto()  # the caller may be done
    ENDED = auto()  # the turn is over; its transcript may still be on its way


@dataclass(slots=True)
class Utterance:
    """A range that was sent to STT. `text` is None until the answer comes, "" if none came (`failed`)."""

    utterance_id: int
    from_sample: int
    to_sample: int
    text: str | None = None
    failed: bool = False


class Turns:
    """Follows the caller through one turn after another."""

    def __init__(self, settings: TurnSettings) -> None:
        self._preroll = ms_to_samples(settings.preroll_ms)
        self._pause = ms_to_samples(settings.pause_ms)
        self._end = ms_to_samples(settings.end_ms)
        self._longest = ms_to_samples(settings.max_turn_s * 1000)
        self._utterances = 0
        self.phase = Phase.QUIET
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
        self.phase = Phase.VOICED
        self.voice_from = at_sample
        self.last_voice = max(self.last_voice, at_sample)
        return useless

    def voice_goes_on(self, at_sample: int) -> Utterance | None:
        """The caller still speaks. Returns a piece to transcribe already when the turn has become long."""
        self.last_voice = max(self.last_voice, at_sample)
        if at_sample - self.from_sample < self._longest:
            return None
        piece = self._new_utterance(at_sample)
        self.pieces.append(piece)
        self.from_sample = at_sample
        return piece

    def voice_ended(self, at_sample: int) -> int:
        """The caller ceased to speak. Returns the sample to watch for."""
        self.phase = Phase.PAUSED
        self.last_voice = at_sample
        return at_sample + self._pause

    def pause_reached(self, at_sample: int) -> tuple[Utterance | None, int | None]:
        """A watched sample was heard. Returns an utterance to transcribe, and what to watch for next."""
        if self.phase is not Phase.PAUSED:
            return None, None
        silence = at_sample - self.last_voice
        fresh = None
        if silence >= self._pause and self.utterance is None:
            fresh = self.utterance = self._new_utterance(at_sample)
        if silence >= self._end:
            self.phase = Phase.ENDED
            return fresh, None
        return fresh, self.last_voice + (self._end if silence >= self._pause else self._pause)

    def _new_utterance(self, to_sample: int) -> Utterance:
        self._utterances += 1
        return Utterance(self._utterances, self.from_sample, to_sample)

    def transcribed(self, utterance_id: int, text: str) -> bool:
        """Take STT's answer. Returns False when it is of an utterance that is not wanted any more."""
        for utterance in self.wanted:
            if utterance.utterance_id == utterance_id:
                utterance.text = text
                return True
        return False

    def failed(self, utterance_id: int) -> bool:
        """STT gave no answer. Returns False when it is of an utterance that is not wanted any more.

        One that was speculative is forgotten: the end of the turn makes a new one.
        """
        for utterance in self.wanted:
            if utterance.utterance_id == utterance_id:
                utterance.text, utterance.failed = "", True
                if utterance is self.utterance and self.phase is not Phase.ENDED:
                    self.utterance = None
                return True
        return False

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
        """What was said so far, as one text: a full stop at a cut was Whisper's guess, not the caller's."""
        texts = [u.text.strip() for u in self.wanted if u.text and u.text.strip()]
        return " ".join([*(t.removesuffix(".") for t in texts[:-1]), *texts[-1:]])

    def reset(self) -> list[Utterance]:
        """The turn is dealt with, or was none. Returns its utterances."""
        utterances = self.wanted
        self.phase = Phase.QUIET
        self.utterance = None
        self.pieces = []
        return utterances

    def reopen(self, pieces: list[Utterance]) -> None:
        """The voice that is speaking now goes on with the turn that had those utterances."""
        self.pieces = [*pieces, *self.pieces]
