"""The dead-air budget: what a caller hears who waits for the agent, and when.

A ladder. In one wait: a filler when the first sign is due, a second one while it goes on, and at
`limits.patience_s` the answer is given up. Over answers that failed in a row: an apology, an offer, goodbye.
Everything on it is a prepared phrase that needs no provider when it plays, and none of it enters the
model's history.
"""

from typing import Literal

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.config import PatienceSettings
from voicegw.observe.quantile import Quantile

# A filler so shortly before the apology would be two phrases in one breath.
ROOM_US = 1_500_000
# Between a filler and the apology: to be told in one breath to wait and that it was in vain is absurd.
BREATH_US = 1_000_000
# Longer than any filler lasts.
LONGEST_FILLER_US = 10_000_000
# How fast one call's own waits move what it takes for usual: five slow answers move it by a second.
STEP_US = 200_000


def rung_after(failures: int, most: int) -> Literal["apology", "offer", "goodbye"]:
    """Return what the caller hears after that many failed answers in a row, `most` being the last."""
    if failures >= most:
        return "goodbye"
    # The offer comes before the goodbye, but never as the first word about a failure.
    return "offer" if failures > 1 and failures == most - 1 else "apology"


class Patience:
    """One clock per call: since when the caller waits, and since when there is silence.

    `usual_us` is the 95th percentile of the whole wait as the process knows it when the call begins.
    """

    def __init__(
        self, settings: PatienceSettings, fillers: tuple[str, ...], give_up_us: int, usual_us: int
    ) -> None:
        self._least_us = settings.first_ms * 1000
        self._most_us = settings.first_max_ms * 1000
        self._again_us = settings.again_ms * 1000
        self._give_up_us = give_up_us
        self._fillers = fillers
        self._usual = Quantile(0.95, STEP_US, float(max(usual_us, self._least_us)))
        self._since: int | None = None  # the caller's last word, or when the agent ran dry
        self._quiet_since = 0
        self._prepared = self._within = False
        self._allowed_until = 0
        self._filled = 0
        self._said = 0  # fillers of the call, so that they take turns
        self.filler_id = 0  # the filler that is queued or sounds; 0: none
        self._filler = ""
        self.offered = False  # the caller was offered a way out, and no answer has come since
        self.longest_us = 0

    # The wait

    def wait_from(self, since: int, *, prepared: bool = False, within: bool = False) -> None:
        """The caller waits since `since`. A wait that is running goes on.

        `prepared`: what is waited for can be replaced by a clip at any time. `within`: a sentence has
        stopped in its middle; its rest usually comes, so the sign is as late as the budget allows.
        """
        if self._since is None:
            self._since = self._quiet_since = since
            self._prepared = prepared
            self._within = within
            self._filled = 0

    def allow_until(self, until: int) -> None:
        """Something slow was begun on purpose (a tool): the answer is not given up before `until`."""
        self._allowed_until = max(self._allowed_until, until)

    def stop(self, now: int) -> None:
        """The caller hears the agent, or speaks."""
        if self._since is not None:
            self._note_silence(now)
            self._since = None
        self._prepared = False
        self._allowed_until = 0

    @property
    def within(self) -> bool:
        """True while a sentence has stopped in its middle."""
        return self._within

    def begun_again(self) -> None:
        """The sentence that stopped in its middle is said again from its beginning."""
        self._within = self._prepared = False

    def rest_came(self, now: int) -> None:
        """The rest of it has come, and is about to be heard."""
        self._within = False
        self._note_silence(now)
        self._quiet_since = now

    def stood_in(self) -> None:
        """A clip has taken the place of what was waited for."""
        self._prepared = False

    def learn(self, wait_us: int) -> None:
        """An answer came `wait_us` after the caller's last word."""
        self._usual.learn(wait_us)

    def _note_silence(self, now: int) -> None:
        if not self.filler_id:
            self.longest_us = max(self.longest_us, now - self._quiet_since)

    # The ladder within a wait

    @property
    def first_sign_us(self) -> int:
        """After this long the caller must hear a sign: the usual wait, within the budget."""
        return int(min(max(self._usual.value, self._least_us), self._most_us))

    @property
    def gives_up_us(self) -> int | None:
        """When the answer is given up; None while nobody waits."""
        if self._since is None:
            return None
        at = max(self._since + self._give_up_us, self._allowed_until)
        if not self._filled:
            return at
        next_sign = self._quiet_since + self._again_us
        if next_sign < at < next_sign + ROOM_US and at > self._allowed_until:
            # There is no room for another sign: rather a moment sooner than silent for longer.
            at = next_sign
        return max(at, self._quiet_since + BREATH_US)

    @property
    def due_us(self) -> int | None:
        """When the caller must hear something, come what may; None while nobody waits in silence."""
        if (gives_up := self.gives_up_us) is None:
            return None
        if self.filler_id:
            # Its end is told; should it not be, the ladder must not stand still.
            return gives_up + LONGEST_FILLER_US
        sign = self._sign_us
        return gives_up if sign is None else min(sign, gives_up)

    @property
    def _sign_us(self) -> int | None:
        gives_up = self.gives_up_us
        if gives_up is None or not (self._fillers or self._prepared or self._within):
            return None
        # Two in a wait; more only where it is long on purpose.
        if self._filled >= 2 and not self._allowed_until:
            return None
        # A fixed sentence is worth no wait: a clip of it is at hand.
        first_us = self._least_us if self._prepared else self.first_sign_us
        at = self._quiet_since + (self._again_us if self._filled or self._within else first_us)
        return at if at + ROOM_US <= gives_up else None

    def wants_sign(self, now: int) -> bool:
        """True when a sign is due, False when the answer is to be given up."""
        return not self.filler_id and (sign := self._sign_us) is not None and now >= sign

    # The filler

    def fill(self, speech_id: int) -> list[c.Command]:
        """Let a filler be heard."""
        self._filler = self._fillers[self._said % len(self._fillers)]
        self._said += 1
        self._filled += 1
        self.filler_id = speech_id
        return [
            c.PlayClip(speech_id, self._filler, "filler", first=True),
            c.Notify(n.Rung("filler", self._filler, "waiting")),
        ]

    @property
    def can_fill(self) -> bool:
        """False for a persona without fillers."""
        return bool(self._fillers)

    def filler_event(self, event: e.Event, now: int) -> list[c.Command]:
        """Take an event of the filler."""
        match event:
            case e.StandIn():
                self._filler = event.text
            case e.SpeechBegan():
                if self._since is not None:
                    self.longest_us = max(self.longest_us, now - self._quiet_since)
                return [
                    c.Notify(n.SpeechStarted(0, "filler")),
                    c.Notify(n.ReplyText(0, event.speech_id, "filler", self._filler)),
                ]
            case e.Played(done=True):
                return self.end_filler(now)
        return []

    def end_filler(self, now: int, *, cut: bool = False) -> list[c.Command]:
        """The filler was heard, or is cut off. From here on the caller waits in silence again."""
        if not self.filler_id:
            return []
        self.filler_id = 0
        self._quiet_since = now
        return [c.Notify(n.SpeechStopped(0, "" if cut else self._filler, cut))]
