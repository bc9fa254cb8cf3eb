"""What the caller is told when no answer comes: a filler, an apology, an offer, goodbye.

`patience.py` says when; `docs/resilience.md` shows what is heard in which case.
"""

from voicegw.call import notices as n
from voicegw.call.caller_turn import CallerTurn
from voicegw.call.floor import Floor, State
from voicegw.call.patience import rung_after
from voicegw.call.reply import Reply
from voicegw.call.speaking import Speaking


class Ladder:
    """Counts the answers that failed in a row."""

    def __init__(self, floor: Floor, turn: CallerTurn, speaking: Speaking) -> None:
        self._floor = floor
        self._phrases = floor.phrases
        self._turn = turn
        self._speaking = speaking
        self._failures = 0

    def answered(self) -> None:
        """An answer was heard whole."""
        self._failures = 0
        self._floor.patience.offered = False

    def fail(self, reply: Reply, code: str) -> None:
        """The reply will not be whole: an apology follows what there is of it."""
        if reply.hang_up:
            self._speaking.end_call(reply.hang_up)
            return
        if reply.failed:
            # Two of its sentences were on their way: the caller is told once.
            return
        reply.failed = True
        reply.acting = False
        if text := self._next_rung(self._phrases.apology, code):
            reply.closing = text
            self._speaking.speak_pending(reply)

    def apologise(self, text: str, code: str) -> None:
        """There is no reply to attach an apology to."""
        if text := self._next_rung(text, code):
            self._speaking.say("apology", text, clip=True).failed = True

    def _next_rung(self, apology: str, code: str) -> str:
        """Go up the ladder by a failed answer. Returns what is to be said; "": the goodbye is under way."""
        self._failures += 1
        rung = rung_after(self._failures, self._floor.settings.limits.failures)
        if rung == "goodbye":
            self._floor.notify(n.Rung("goodbye", self._phrases.goodbye, code))
            self.farewell("provider_failure", protected=True)
            return ""
        if rung == "offer" and self._phrases.offer:
            self._floor.patience.offered = True
            apology = self._phrases.offer
            self._floor.notify(n.Rung("offer", apology, code))
        else:
            self._floor.notify(n.Rung("apology", apology, code))
        return apology

    def farewell(self, reason: str, *, protected: bool) -> None:
        """Say goodbye and hang up when it was heard."""
        self._speaking.cut()
        self._turn.drop()
        if not self._phrases.goodbye:
            self._speaking.end_call(reason)
            return
        self._speaking.say("goodbye", self._phrases.goodbye, clip=True).hang_up = reason
        if protected:
            self._floor.go(State.ENDING)

    def call_back(self) -> None:
        """The caller takes the offer."""
        self._turn.drop()
        self._floor.notify(n.Callback("", "", "provider_failure"))
        text = self._phrases.callback or self._phrases.goodbye
        self._speaking.say("goodbye", text, clip=True).hang_up = "callback_requested"
        self._floor.go(State.ENDING)

    @property
    def due_us(self) -> int | None:
        """When the caller must hear something; None where nobody is there, or is talking just now."""
        if self._floor.away:
            return None
        # Whoever is talking is given no sign, but is not forgotten.
        undecided = self._turn.interruption.undecided
        return self._floor.patience.gives_up_us if undecided else self._floor.patience.due_us

    def run_out_of_patience(self) -> None:
        """Whatever is being waited for takes too long: a sign, or the end of it."""
        floor, speaking = self._floor, self._speaking
        reply = speaking.reply
        if floor.patience.wants_sign(floor.now):
            if reply is not None and reply.prepared and not reply.playback.begun:
                speaking.stand_in(reply)
            elif floor.patience.can_fill:
                floor.do(*floor.patience.fill(speaking.new_speech_id()))
            return
        speaking.cut()
        floor.patience.stop(floor.now)
        if reply is not None and reply.hang_up:
            # Not even the goodbye comes.
            speaking.end_call(reply.hang_up)
            return
        self._turn.drop()
        self.apologise(self._phrases.apology, "too_slow")
