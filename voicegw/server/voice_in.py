"""The caller's voice on its way in: to the recording, to the ear, from there to STT and the turn model."""

import logging
from collections.abc import Callable

from voicegw.audio.clipping import clipping, repaired
from voicegw.audio.level import for_recognition
from voicegw.audio.pcm import FRAME_BYTES
from voicegw.call import events as e
from voicegw.call.ear import Ear
from voicegw.server.turn_model import TurnModel
from voicegw.server.voice_model import VoiceModel
from voicegw.store.recording import Tape

log = logging.getLogger(__name__)


class VoiceIn:
    """Feeds the call with what its ear hears."""

    def __init__(
        self,
        call_id: str,
        voice_model: VoiceModel | None,
        turn_model: TurnModel | None,
        tape: Tape | None,
        feed: Callable[..., None],
    ) -> None:
        self.ear = Ear()
        self._call_id = call_id
        self._clipped = False  # it was told
        self._turn_model = turn_model
        self._tape = tape
        self._feed = feed
        self._second_stage = voice_model.stream(self._second_opinion) if voice_model is not None else None

    def hear(self, pcm: bytes, now: int) -> None:
        """Take audio of any length."""
        if self._tape is not None:
            self._tape.hear(pcm, now)
        # Frame by frame: what the call asks for at one frame must be known to the ear at the next, or a
        # burst would end another turn than the same audio at an even pace.
        for start in range(0, len(pcm), FRAME_BYTES):
            events = self.ear.hear(pcm[start : start + FRAME_BYTES], now)
            if events:
                self._feed(*events)
            if self._second_stage is not None:
                self._second_stage.follow(self.ear)

    def _second_opinion(self, at_sample: int, p: float) -> None:
        if events := self.ear.second_stage(at_sample, p):
            self._feed(*events)

    def fill(self, now: int) -> None:
        """Where audio is overdue, there was silence."""
        if now >= self.ear.gap_due_us:
            self._feed(*self.ear.fill(now))

    def watch(self, at_sample: int) -> None:
        """Tell when this sample was heard; perhaps it was already."""
        self._feed(*self.ear.watch(at_sample))

    def recognisable(self, from_sample: int, to_sample: int) -> bytes:
        """Return a range as STT takes it best: flat tops made round, a quiet voice made louder."""
        pcm = self.ear.audio(from_sample, to_sample)
        if (found := clipping(pcm)) is not None:
            pcm = repaired(pcm, found)
            if not self._clipped:
                self._clipped = True
                log.info(
                    "call %s: the caller is clipped (%.1f %% of what was said)",
                    self._call_id,
                    100 * found.share,
                )
        return for_recognition(pcm)

    def judge(self, utterance_id: int, from_sample: int, to_sample: int) -> None:
        """Ask the turn model, if there is one, whether the caller sounds done behind this range."""
        if self._turn_model is not None:
            self._turn_model.judge(
                self.ear.audio(from_sample, to_sample), lambda p: self._feed(e.TurnJudged(utterance_id, p))
            )

    def key(self, event: e.Dtmf) -> None:
        """The carrier tells of keys itself: their tones are not listened for any more."""
        self.ear.keys_told = True
        self._feed(event)
