"""The waits of a call: how long the caller heard nothing, and whose time that was.

Owners: `caller`, `turn_detection`, `stt`, `tools`, `llm`, `tts`, `filler`, `gateway`, `carrier`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from voicegw.verdict.exchanges import Exchange, Span
from voicegw.verdict.timeline import Timeline

# Shorter ones are pauses within speech.
LEAST_SILENCE_US = 200_000


@dataclass(frozen=True, slots=True)
class Wait:
    """From the caller's last word to the first sound of the answer; `causes` (us) sum to its length.

    `answered` is False where the exchange ended without an answer of the model. `sounded_us`: the first sound
    of anything, a filler for instance.
    """

    exchange: int
    from_us: int
    to_us: int
    causes: dict[str, int]
    answered: bool = True
    sounded_us: int | None = None

    @property
    def silent_us(self) -> int:
        """How long the caller heard nothing at all."""
        return (self.to_us if self.sounded_us is None else min(self.sounded_us, self.to_us)) - self.from_us

    @property
    def owner(self) -> str:
        """Who had most of it."""
        return max(self.causes, key=lambda owner: self.causes[owner], default="gateway")


@dataclass(frozen=True, slots=True)
class Silence:
    """A stretch in which neither side sounded. `owner` is who let it last."""

    from_us: int
    to_us: int
    owner: str


@dataclass(slots=True)
class _Marks:
    """Consecutive borders of one wait, each with the owner of the time before it."""

    at_us: int
    causes: dict[str, int] = field(default_factory=dict)

    def until(self, mark: int | None, owner: str, end: int) -> None:
        """The time up to `mark` (not behind `end`) was `owner`'s. A mark that was passed costs nothing."""
        if mark is None:
            return
        to = min(max(self.at_us, mark), end)
        if to > self.at_us:
            self.causes[owner] = self.causes.get(owner, 0) + to - self.at_us
            self.at_us = to


def wait_of(
    exchange: Exchange, ended_us: int, heard_us: int | None = None, held: Sequence[Span] = ()
) -> Wait | None:
    """Return the wait of an exchange, or None where the caller did not wait.

    `ended_us`: when the call ended or the caller spoke again, for an exchange without an answer. `heard_us`:
    when the caller's end heard the answer, where that is known: what it is later than the frame left is the
    carrier's. Who held the call (`held`) waits from when they were back.
    """
    since = exchange.last_word_us
    if since is None or exchange.number == 0:
        return None
    began = exchange.began_us
    answered = began is not None
    end = began if began is not None else _given_up(exchange, ended_us)
    for hold in held:
        if hold.from_us < end:
            since = max(since, hold.to_us if hold.to_us is not None else end)
    if end <= since:
        return None
    marks = _Marks(since)
    marks.until(exchange.turn_over_us, "turn_detection", end)
    marks.until(exchange.transcribed_us, "stt", end)
    marks.until(exchange.tools_done_us, "tools", end)
    marks.until(exchange.first_token_us, "llm", end)
    marks.until(exchange.first_sentence_us, "llm", end)
    first = next((s for s in exchange.sentences if s.began_us is not None and s.kind == "reply"), None)
    if first is not None:
        marks.until(first.first_audio_us, "tts", end)
        # A filler that is being said is said to its end.
        filler = [s.ended_us for s in exchange.sentences if s.clip and s.ended_us is not None]
        marks.until(max(filler, default=None), "filler", end)
        marks.until(end, "gateway", end)
    else:
        marks.until(end, _pending(exchange), end)
    if heard_us is not None and answered:
        marks.until(heard_us, "carrier", max(end, heard_us))
        end = max(end, heard_us)
    return Wait(exchange.number, since, end, marks.causes, answered, exchange.sounded_us)


def _given_up(exchange: Exchange, ended_us: int) -> int:
    return exchange.sounded_us if exchange.sounded_us is not None else ended_us


def _pending(exchange: Exchange) -> str:
    """Who was being waited for when nothing came."""
    if exchange.asked and exchange.asked[-1].first_token_us is None:
        return "llm"
    if any(s.first_audio_us is None for s in exchange.sentences if not s.clip):
        return "tts"
    return "llm" if exchange.asked else "gateway"


def waits(timeline: Timeline) -> list[Wait]:
    """Return all waits of a call, in order."""
    end = timeline.ended_us if timeline.ended_us is not None else timeline.last_us
    # Whoever goes on talking before any answer waits no longer for it.
    ends = [x.voice_us if x.voice_us is not None else end for x in timeline.exchanges[1:]] + [end]
    pairs = zip(timeline.exchanges, ends, strict=True)
    return [w for x, until in pairs if (w := wait_of(x, until, held=timeline.held)) is not None]


def silences(timeline: Timeline, waited: Sequence[Wait]) -> list[Silence]:
    """Return the stretches in which neither side sounded, from the first sound to the end of the call.

    A held call is not silent: nobody listens.
    """
    end = timeline.ended_us if timeline.ended_us is not None else timeline.last_us
    found = []
    for quiet in _between(_merged([*timeline.voice, *timeline.speech, *timeline.held], end), end):
        assert quiet.to_us is not None
        if quiet.to_us - quiet.from_us >= LEAST_SILENCE_US:
            owner = _owner(quiet.from_us, quiet.to_us, waited)
            found.append(Silence(quiet.from_us, quiet.to_us, owner))
    return found


def _owner(from_us: int, to_us: int, waited: Sequence[Wait]) -> str:
    # Waits are in order: only those that overlap are looked at.
    near = waited[bisect_right(waited, from_us, key=lambda w: w.to_us) :]
    near = near[: bisect_left(near, to_us, key=lambda w: w.from_us)]
    within = max(near, key=lambda w: min(w.to_us, to_us) - max(w.from_us, from_us), default=None)
    if within is None or (min(within.to_us, to_us) - max(within.from_us, from_us)) * 2 < to_us - from_us:
        return "caller"
    return within.owner


def _merged(spans: Iterable[Span], end: int) -> list[Span]:
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: s.from_us):
        to = span.to_us if span.to_us is not None else end
        if merged and merged[-1].to_us is not None and span.from_us <= merged[-1].to_us:
            merged[-1].to_us = max(merged[-1].to_us, to)
        else:
            merged.append(Span(span.from_us, to))
    return merged


def _between(sounds: Sequence[Span], end: int) -> list[Span]:
    if not sounds:
        return []
    edges = [s.to_us for s in sounds if s.to_us is not None]
    begins = [s.from_us for s in sounds[1:]] + [end]
    return [Span(a, b) for a, b in zip(edges, begins, strict=True) if b > a]


def overlap_us(left: Sequence[Span], right: Sequence[Span], end: int) -> int:
    """Return how long both sounded at once."""
    ours, theirs = _merged(left, end), _merged(right, end)
    total, mine, its = 0, 0, 0
    while mine < len(ours) and its < len(theirs):
        a, b = ours[mine], theirs[its]
        assert a.to_us is not None
        assert b.to_us is not None
        total += max(0, min(a.to_us, b.to_us) - max(a.from_us, b.from_us))
        if a.to_us <= b.to_us:
            mine += 1
        else:
            its += 1
    return total
