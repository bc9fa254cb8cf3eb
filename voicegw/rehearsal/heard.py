"""What a caller would have heard in a rehearsed call: a timeline, its silences, and whose they were.

Pure: made from the scripted caller's notes and the provider's. Times are seconds since the caller dialled.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Owner = Literal["", "caller", "turn detection", "stt", "llm", "tts", "carrier", "gateway"]


@dataclass(frozen=True, slots=True)
class Sound:
    """A stretch of speech: `kind` is `caller`, or what the agent's sentence was for."""

    from_s: float
    to_s: float
    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """A stretch in which the caller waited for the agent and heard nothing."""

    from_s: float
    to_s: float
    owner: Owner

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.to_s - self.from_s


@dataclass(frozen=True, slots=True)
class Consequence:
    """A request that failed: what it was, in words, and what the caller heard because of it."""

    at_s: float
    failure: str
    heard: tuple[str, ...]


@dataclass(slots=True)
class Heard:
    """One scenario's outcome. `broken` says in words what was not as it must be; empty: all was."""

    name: str
    title: str
    sounds: list[Sound] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    rungs: list[str] = field(default_factory=list)
    ended: str = ""
    recovered: bool = False
    budget_s: float = 0.0
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)
    # Every request that failed, and what the caller heard because of it.
    failures: list[Consequence] = field(default_factory=list)

    @property
    def longest(self) -> Silence:
        """The longest silence."""
        return max(self.silences, key=lambda silence: silence.seconds, default=Silence(0.0, 0.0, ""))

    @property
    def held(self) -> bool:
        """True where no silence was longer than the budget."""
        own = (s.seconds for s in self.silences if s.owner not in ("carrier", "caller"))
        return max(own, default=0.0) <= self.budget_s

    @property
    def summary(self) -> str:
        """What was heard, in a few words: the rungs, and how it ended."""
        parts: list[tuple[str, int]] = []
        for rung in self.rungs:
            if not parts or parts[-1][0] != rung:
                parts.append((rung, 1))
            else:
                parts[-1] = (rung, parts[-1][1] + 1)
        said = [name if n == 1 else f"{n} × {name}" for name, n in parts]
        if self.recovered:
            said.append("the answer")
        if self.ended:
            said.append(f"end ({self.ended})")
        return ", ".join(said) or "nothing but the greeting"


def gaps(from_s: float, to_s: float, sounds: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the stretches between two moments in which nothing sounded."""
    found, at = [], from_s
    for begin, end in sorted(sounds):
        if end <= at or begin >= to_s:
            continue
        if begin > at:
            found.append((at, begin))
        at = end
    if to_s > at:
        found.append((at, to_s))
    return found


def owner_of(
    gap: tuple[float, float],
    requests: Sequence[tuple[float, str]],
    lost: Sequence[tuple[float, float]],
    turn_over_s: float,
) -> Owner:
    """Return who let the caller wait: who was being asked when the silence ended.

    `requests` are (time, route); `turn_over_s`: when the gateway took the caller's turn for over.
    """
    if any(begin < gap[1] and end > gap[0] for begin, end in lost):
        return "carrier"
    if gap[1] <= turn_over_s:
        return "turn detection"
    asked = [route for at, route in requests if at <= gap[1] and route != "models"]
    owner: Owner = asked[-1] if asked else "gateway"  # type: ignore[assignment]
    return owner
