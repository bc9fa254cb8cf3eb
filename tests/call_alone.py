"""A `Call` without ear, mouth and driver: events by hand, and what it says to do about them."""

from typing import Any, TypeVar

from voicegw.audio.pcm import SAMPLES_PER_MS
from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.call import Call
from voicegw.call.settings import CallSettings, Phrases
from voicegw.config import LimitSettings, TurnSettings

T = TypeVar("T")
# The turn is over at the same pause whether its words have come or not: one time to reckon with.
TURNS = TurnSettings(pause_ms=300, end_ms=700, acoustic_end_ms=700)

PHRASES = Phrases(
    greeting="Hello.",
    apology="I am sorry.",
    not_understood="Pardon?",
    check_in="Are you there?",
    goodbye="Goodbye.",
)


def call_settings(
    *,
    phrases: Phrases = PHRASES,
    turns: TurnSettings | None = None,
    limits: LimitSettings | None = None,
    **more: Any,
) -> CallSettings:
    """Settings of a short-spoken agent."""
    return CallSettings("test", "en", "Be brief.", phrases, turns or TURNS, limits or LimitSettings(), **more)


def samples(ms: float) -> int:
    """Milliseconds of the caller's audio as samples."""
    return int(ms * SAMPLES_PER_MS)


class Talk:
    """A call and the time. Times are milliseconds; the caller's audio keeps pace with them."""

    def __init__(self, settings: CallSettings | None = None) -> None:
        self.call = Call(settings or call_settings())
        self.ms = 0.0
        self.commands: list[c.Command] = []

    def at(self, ms: float, *events: e.Event) -> list[c.Command]:
        """Give events at `ms`; return what is to be done."""
        self.ms = ms
        out = [command for event in events for command in self.call.receive(event, round(ms * 1000))]
        self.commands += out
        return out

    def now(self, *events: e.Event) -> list[c.Command]:
        """Give events now."""
        return self.at(self.ms, *events)

    def all(self, kind: type[T]) -> list[T]:
        """All commands of one kind so far."""
        return [command for command in self.commands if isinstance(command, kind)]

    def last(self, kind: type[T]) -> T:
        """The newest command of one kind."""
        return self.all(kind)[-1]

    def notices(self, kind: type[T]) -> list[T]:
        """All notices of one kind so far."""
        return [told.notice for told in self.all(c.Notify) if isinstance(told.notice, kind)]

    # What drivers do

    def greet(self) -> None:
        """Begin, and let the greeting be heard: it takes until 1,000 ms."""
        self.at(0, e.CallStarted())
        self.hear_out(self.last(c.Speak).speech_id, 0, 1000)

    def hear_out(self, speech_id: int, from_ms: float, to_ms: float) -> list[c.Command]:
        """A sentence arrives whole, and is heard from `from_ms` to `to_ms`."""
        length = samples(to_ms - from_ms)
        out = self.at(from_ms, e.SpeechArrived(speech_id, length, True), e.SpeechBegan(speech_id))
        return out + self.at(to_ms, e.Played(speech_id, length, True))

    def voice(self, from_ms: float, to_ms: float) -> list[c.Command]:
        """The caller speaks; the ear tells so after 100 ms, every 100 ms, and 200 ms behind the end."""
        at = from_ms + 100
        out = self.at(at, e.VoiceActivity(samples(from_ms), True, -20, samples(at)))
        while at + 100 <= to_ms:
            at += 100
            out += self.at(at, e.VoiceActivity(samples(at), True, -20, samples(at)))
        end = to_ms + 200
        return out + self.at(end, e.VoiceActivity(samples(to_ms), False, -60, samples(end)))

    def silence_until(self, ms: float) -> list[c.Command]:
        """The ear hears on to `ms`, and tells what it was asked to watch for."""
        out: list[c.Command] = []
        while True:
            watched = [w for w in self.all(c.WatchSample) if w.at_sample > self._told]
            if not watched or watched[-1].at_sample > samples(ms):
                self.ms = ms
                return out
            self._told = watched[-1].at_sample
            out += self.at(self._told / SAMPLES_PER_MS, e.SampleReached(self._told))

    _told = -1

    def answered(self, ms: float, text: str = "Where is my order?") -> int:
        """A typed question; returns the id of the reply that the model is asked for."""
        self.at(ms, e.CallerText(text))
        return self.last(c.Ask).reply_id

    def tick(self) -> list[c.Command]:
        """Go to the time that the call wants to be woken at, and wake it."""
        assert self.call.wake_at is not None
        return self.at(self.call.wake_at / 1000, e.Tick())


def heard_notice(talk: Talk) -> n.SpeechStopped:
    """The newest notice that the agent has stopped."""
    return talk.notices(n.SpeechStopped)[-1]
