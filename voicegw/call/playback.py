"""What the agent said, and how much of it the caller heard.

Progress comes as samples played of a sentence; heard text is rounded down to whole words, so that the
model's history never holds more than was heard. Time runs along the spoken form of a sentence, which may be
several times longer than its text ("1.234.500đ"); a part that is said differently counts when all of it was.
"""

from dataclasses import dataclass
from typing import Literal

from voicegw.audio.pcm import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voicegw.call.spoken_form import Said

# Speech runs at about 15 characters a second in both languages: used until a sentence's length is known.
SAMPLES_PER_CHAR = SAMPLE_RATE_HZ // 15


# What a sentence of the agent is for.
Kind = Literal["reply", "greeting", "check_in", "goodbye", "apology", "filler"]


@dataclass(slots=True)
class Spoken:
    """One sentence of the agent on its way to the caller."""

    speech_id: int
    said: Said
    kind: Kind
    remembered: bool = True  # False: said by the gateway (an apology), not part of the model's history
    samples: int = 0  # arrived from TTS so far
    complete: bool = False
    played: int = 0  # heard, in samples
    begun: bool = False
    done: bool = False
    broken: bool = False  # TTS failed in its middle: what arrived is not all of it

    @property
    def text(self) -> str:
        """The sentence as it is written."""
        return self.said.written

    @property
    def dry(self) -> bool:
        """True when all that has arrived was heard, and there is more to come: TTS is too slow."""
        return not self.complete and not self.broken and self.played + FRAME_SAMPLES > self.samples

    @property
    def into_word(self) -> int:
        """How many samples of the word that is being said were played; 0 between sentences."""
        if not self.played or self.done or not self.samples:
            return 0
        spoken = self.said.spoken
        whole = self.samples if self.complete else max(self.samples, len(spoken) * SAMPLES_PER_CHAR)
        start = spoken.rfind(" ", 0, len(spoken) * self.played // whole + 1) + 1
        return max(0, self.played - start * whole // max(1, len(spoken)))

    @property
    def heard(self) -> str:
        """The words that were heard to their end."""
        if self.done and not self.broken:
            return self.text
        whole = self.samples
        if self.broken or not self.complete:
            whole = max(whole, len(self.said.spoken) * SAMPLES_PER_CHAR)
        if not whole or not self.played:
            return ""
        n_chars = self.said.written_until(len(self.said.spoken) * self.played // whole)
        if n_chars >= len(self.text):
            n_chars = len(self.text) - 1
        # A word counts when the place heard is behind its last letter.
        cut = self.text.rfind(" ", 0, n_chars + 1)
        return self.text[:cut].rstrip() if cut > 0 else ""


class Playback:
    """The sentences of one stretch of agent speech, in order."""

    def __init__(self) -> None:
        self._spoken: dict[int, Spoken] = {}

    def queue(self, speech_id: int, said: Said, kind: Kind, *, remembered: bool = True) -> None:
        """A sentence was sent to TTS."""
        self._spoken[speech_id] = Spoken(speech_id, said, kind, remembered)

    def get(self, speech_id: int) -> Spoken | None:
        """Return a sentence of this stretch; None for one that was cut or belongs to an older one."""
        return self._spoken.get(speech_id)

    def drop_behind(self, speech_id: int) -> bool:
        """Forget the sentences behind one; they have not begun. Returns whether there were any."""
        behind = [spoken.speech_id for spoken in self._spoken.values() if spoken.speech_id > speech_id]
        for dropped in behind:
            del self._spoken[dropped]
        return bool(behind)

    def take_back(self) -> list[str]:
        """Give up the sentence that stopped in its middle, and those behind it. Returns their texts.

        What was heard of it is not remembered: it is going to be said again from its beginning.
        """
        texts = []
        for spoken in [each for each in self._spoken.values() if not each.done]:
            texts.append(spoken.text)
            if spoken.begun:
                spoken.done = spoken.broken = True
                spoken.remembered = False
            else:
                del self._spoken[spoken.speech_id]
        return texts

    @property
    def unfinished(self) -> int:
        """Sentences that are not heard to the end."""
        return sum(not spoken.done for spoken in self._spoken.values())

    @property
    def begun(self) -> bool:
        """True once a first frame has left."""
        return any(spoken.begun for spoken in self._spoken.values())

    @property
    def sounding(self) -> bool:
        """True while the caller hears a sentence, or has audio of one still to hear."""
        return any(spoken.begun and not spoken.done and not spoken.dry for spoken in self._spoken.values())

    @property
    def torn(self) -> bool:
        """True while a sentence has stopped in its middle, for want of audio."""
        return any(spoken.begun and not spoken.done and spoken.dry for spoken in self._spoken.values())

    @property
    def into_word(self) -> int:
        """How many samples of the word that is being said were played."""
        return next((s.into_word for s in self._spoken.values() if s.begun and not s.done), 0)

    @property
    def now_saying(self) -> Spoken | None:
        """The sentence that is being heard, or the first that will be."""
        return next((spoken for spoken in self._spoken.values() if not spoken.done), None)

    @property
    def first_done(self) -> bool:
        """True when the first sentence was heard to its end."""
        return any(spoken.done for spoken in list(self._spoken.values())[:1])

    @property
    def heard_text(self) -> str:
        """All that the caller heard of this stretch."""
        return " ".join(heard for spoken in self._spoken.values() if (heard := spoken.heard))

    @property
    def remembered_texts(self) -> list[str]:
        """What was heard of each sentence that belongs into the model's history, in order."""
        return [spoken.heard for spoken in self._spoken.values() if spoken.remembered]
