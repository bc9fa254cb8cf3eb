"""What the caller is told when no answer comes: a filler, an apology, an offer, a person, or goodbye.

`patience.py` says when; `docs/resilience.md` shows what is heard in which case.
"""

from voicegw.call import notices as n
from voicegw.call.acting import Acting
from voicegw.call.caller_turn import CallerTurn
from voicegw.call.floor import Floor, State
from voicegw.call.patience import rung_after
from voicegw.call.reply import Reply
from voicegw.call.speaking import Speaking

# The call ends in the middle of a conversation: more than a goodbye is owed.
OVER_LIMIT = frozenset({"max_call_length", "cost_limit"})


class Ladder:
    """Counts the answers that failed in a row."""

    def __init__(self, floor: Floor, turn: CallerTurn, speaking: Speaking, acting: Acting) -> None:
        self._floor = floor
        self._acting = acting
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
        """Go up the ladder by a failed answer. Returns what is to be said; "": its end is under way."""
        self._failures += 1
        rung = rung_after(self._failures, self._floor.settings.limits.failures)
        if rung == "goodbye":
            if target := self._acting.take_rescue():
                self._hand_to(target, code)
                return ""
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

    def _hand_to(self, target: str, code: str) -> None:
        """A person can take the call over: the caller is told, and put through when that was heard."""
        text = self._phrases.transferring or self._phrases.apology
        self._floor.notify(n.Rung("transfer", text, code))
        self._speaking.cut()
        self._turn.drop()
        reply = self._speaking.say("apology", text, clip=True)
        reply.failed = True
        reply.transfer = (target, "provider_failure")

    def not_handed_over(self) -> bool:
        """A hand-over did not work. Returns True where it was the last hope: the goodbye is under way."""
        if not self._acting.rescue:
            return False
        self._acting.rescue = False
        self._floor.notify(n.Rung("goodbye", self._phrases.goodbye, "not_transferred"))
        self.farewell("provider_failure", protected=True)
        return True

    def farewell(self, reason: str, *, protected: bool) -> None:
        """Say goodbye and hang up when it was heard."""
        self._speaking.cut()
        self._turn.drop()
        text = self._phrases.goodbye
        if reason in OVER_LIMIT:
            text = self._phrases.over_limit or text
        if not text:
            self._speaking.end_call(reason)
            return
        self._speaking.say("goodbye", text, clip=True).hang_up = reason
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
        if floor.patience.wants_sign(floor.now) and self._give_sign(reply):
            return
        speaking.cut()
        floor.patience.stop(floor.now)
        if reply is not None and reply.hang_up:
            # Not even the goodbye comes.
            speaking.end_call(reply.hang_up)
            return
        self._turn.drop()
        self.apologise(self._phrases.apology, "too_slow")

    def _give_sign(self, reply: Reply | None) -> bool:
        """Let the caller hear that we are still there. False: there is no use in waiting any longer."""
        if reply is not None and reply.playback.torn:
            # The second time it is no accident.
            if reply.said_again:
                return False
            self._speaking.say_again(reply)
        elif self._floor.patience.within:
            self._floor.patience.rest_came(self._floor.now)
        elif reply is not None and reply.prepared and not reply.playback.begun:
            self._speaking.stand_in(reply)
        elif self._floor.patience.can_fill:
            self._floor.do(*self._floor.patience.fill(self._speaking.new_speech_id()))
        return True
