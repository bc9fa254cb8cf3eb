"""The caller's turn that is going on: what belongs to it, and what happens to it as a whole.

`hearing.py` fills it from the caller's voice, `written.py` from text, keys and photos; the agent's half only
looks at it, or drops it.
"""

from voicegw.audio.pcm import SAMPLES_PER_MS
from voicegw.call import commands as c
from voicegw.call import notices as n
from voicegw.call import slots
from voicegw.call.completeness import expected_from
from voicegw.call.dialogue import Photo
from voicegw.call.draft import Drafts
from voicegw.call.floor import Floor
from voicegw.call.interruption import Interruption
from voicegw.call.settings import Slot
from voicegw.call.transcript_gate import TranscriptGate
from voicegw.call.turns import Phase, Turns, Utterance


class CallerTurn:
    """One turn after another, with the draft of its answer and the voice that may be an interruption."""

    def __init__(self, floor: Floor) -> None:
        settings = floor.settings
        self._floor = floor
        self.turns = Turns(settings.turns, settings.language)
        self.drafts = Drafts()
        self.gate = TranscriptGate(settings.language)
        # A voice over the agent's speech; while it is undecided the agent is silent.
        self.interruption = Interruption(
            settings.interruptions, settings.turns.barge_in_ms, settings.language
        )
        # The utterances of the newest committed turn, while it may still turn out not to have been over.
        self.committed: list[Utterance] | None = None
        self.photos: tuple[Photo, ...] = ()
        self.slot: Slot | None = None  # the answer that the agent has asked for

    # What the agent said before it

    def agent_said(self, text: str, spoken: str) -> None:
        """The caller hears this now: the answer is likely to fit it, and an echo would repeat it."""
        self.gate.agent_said(text, spoken, self._floor.now)
        self.turns.end.expected = expected_from(text)

    def expect(self, slot: Slot | None) -> None:
        """The agent has asked for this answer; what is sensitive must not be recorded."""
        was, self.slot = self.slot, slot
        self.turns.end.answered = None
        if slot is not None:
            self.turns.end.expected = slots.SHAPES[slot.kind]
            if slot.pattern:
                language = self._floor.settings.language
                self.turns.end.answered = lambda text: bool(slots.read(slot, text, language))
        if (sensitive := slot is not None and slot.sensitive) != (was is not None and was.sensitive):
            self._floor.do(c.MaskRecording(sensitive))

    def noted(self, text: str) -> str:
        """The caller's words as the model gets them."""
        settings = self._floor.settings
        return slots.noted(self.slot, text, settings.language, settings.today) if self.slot else text

    # Its utterances

    def transcribe(self, utterance: Utterance) -> None:
        """Have an utterance transcribed, with a hint of what the caller is likely to say."""
        hint = (
            self.turns.prompt(utterance)
            or (self.slot.hint if self.slot else "")
            or ", ".join(self._floor.settings.vocabulary)
        )
        self._floor.do(c.Transcribe(utterance.utterance_id, utterance.from_sample, utterance.to_sample, hint))

    def cancel(self, utterances: list[Utterance]) -> None:
        """These are not wanted any more."""
        for utterance in utterances:
            if utterance.text is None:
                self._floor.do(c.CancelTranscribe(utterance.utterance_id))

    def watch(self, heard: int = 0) -> None:
        """The pause that ends the turn may be another one now; what was due up to `heard` is done."""
        if not self.interruption.undecided and (at_sample := self.turns.watch) is not None:
            due = self.drafts.due
            self._floor.do(c.WatchSample(at_sample if due is None or due <= heard else min(at_sample, due)))

    # All of it

    def waste_draft(self) -> None:
        """What the model has written ahead is of no use."""
        draft = self.drafts.close()
        if draft is not None:
            self._floor.do(c.CancelAsk(draft.reply_id))
            self._floor.notify(n.Draft(draft.reply_id, "wasted", draft.characters))
            self._floor.spending.wasted(draft.reply_id)

    def drop(self) -> None:
        """What the caller said just now is no turn."""
        if self.turns.phase is Phase.VOICED:
            # Its voice may go on: that is then told as a new one.
            self._floor.notify(n.VoiceStopped(self.turns.last_voice // SAMPLES_PER_MS))
        self.waste_draft()
        self.drafts.turn_done()
        self.cancel(self.turns.reset())
        self._floor.do(c.ReleaseAudio(self.turns.last_voice))
        self.interruption.close()
