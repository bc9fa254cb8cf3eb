"""What the benchmark finds out, as plain data: printed, saved as JSON, and read back to compare with.

All times are milliseconds, all sizes kB (1,000 bytes). Holds no task and reads no clock.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from voicegw.errors import ConfigError

FORMAT = 1
# A client that is later than this disturbs what it measures: such a run is void.
MOST_CLIENT_LATE_MS = 5.0

Mode = Literal["idle", "talking"]


@dataclass(frozen=True, slots=True)
class Spread:
    """How a measured time is distributed over `n` samples."""

    n: int
    p50: float
    p95: float
    p99: float


def spread(values: Sequence[float]) -> Spread | None:
    """Return the percentiles of `values` (nearest rank), None when there are none."""
    if not values:
        return None
    ordered = sorted(values)
    last = len(ordered) - 1
    p50, p95, p99 = (round(ordered[min(last, int(len(ordered) * part))], 3) for part in (0.5, 0.95, 0.99))
    return Spread(len(ordered), p50, p95, p99)


@dataclass(frozen=True, slots=True)
class Load:
    """One server under one load, over a steady window.

    `cpu_ms` is CPU time of the server process per call and second. `rss_kb` and `uss_kb` are what the
    calls added to the process, each. `added` is the time from the frame whose silence ends the turn to
    the first audio of the answer, `answer` the one from the caller's last sound, `late` how late an agent
    frame came behind its schedule, `first_sentence` the time from the model's first token to the first
    sentence at TTS (the scripted model takes none itself). `trouble` counts what should not happen:
    errors, apologies, lost connections.
    """

    calls: int
    mode: Mode
    window_s: float
    cpu_ms: float
    rss_kb: float
    uss_kb: float
    client_late: Spread
    added: Spread | None = None
    answer: Spread | None = None
    late: Spread | None = None
    turns: int = 0
    frames: int = 0
    trouble: dict[str, int] = field(default_factory=dict)
    repeated: bool = False
    first_sentence: Spread | None = None

    @property
    def void(self) -> bool:
        """Whether the client itself was too late for the figures to mean anything."""
        return self.client_late.p99 > MOST_CLIENT_LATE_MS


def both(before: Load, after: Load) -> Load:
    """Return what a floor cost before and behind the gateway as one figure; void when one of both is."""
    worse = max(before, after, key=lambda load: load.client_late.p99)
    return replace(
        worse,
        window_s=before.window_s + after.window_s,
        cpu_ms=(before.cpu_ms + after.cpu_ms) / 2,
        rss_kb=(before.rss_kb + after.rss_kb) / 2,
        uss_kb=(before.uss_kb + after.uss_kb) / 2,
        frames=before.frames + after.frames,
        trouble=dict(Counter(before.trouble) + Counter(after.trouble)),
        repeated=before.repeated or after.repeated,
    )


@dataclass(frozen=True, slots=True)
class Round:
    """The gateway at one number of calls, and the floor around it: measured just before and just behind."""

    silent_floor: Load
    echo_floor: Load
    idle: Load
    talking: Load

    @property
    def loads(self) -> tuple[Load, ...]:
        """All four."""
        return (self.silent_floor, self.echo_floor, self.idle, self.talking)

    @property
    def idle_ratio(self) -> float:
        """CPU of idle calls in units of the silent floor."""
        return self.idle.cpu_ms / self.silent_floor.cpu_ms

    @property
    def talking_ratio(self) -> float:
        """CPU of talking calls in units of the echoing floor."""
        return self.talking.cpu_ms / self.echo_floor.cpu_ms


@dataclass(frozen=True, slots=True)
class Row:
    """The rounds at one number of calls. One figure stands for them: that of the middle round."""

    calls: int
    rounds: list[Round]

    @property
    def sound_rounds(self) -> list[Round]:
        """The rounds in which no client was too late; all, when there is none."""
        sound = [one for one in self.rounds if not any(load.void for load in one.loads)]
        return sound or self.rounds


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many calls one core holds: `calls` was the most that went well.

    `limited_by`: "gateway" when the next step up broke its lateness limit, "client" when the client could
    not measure it (then the gateway holds at least `calls`), "end" when the search was not taken further.
    """

    calls: int
    limited_by: Literal["gateway", "client", "end"]
    most_late_ms: float
    steps: list[Load]


@dataclass(frozen=True, slots=True)
class VirtualSpeed:
    """Replaying a call on virtual time: `times` seconds of call in one second of CPU.

    `answers` of `turns` were answered: all of them, or the call broke off and the figure is worth nothing.
    """

    call_s: float
    cpu_s: float
    turns: int
    answers: int

    @property
    def times(self) -> float:
        """Seconds of call per second of CPU."""
        return self.call_s / self.cpu_s


@dataclass(frozen=True, slots=True)
class FirstSentence:
    """Time from the model's first token to the first sentence sent to TTS.

    Over `replies` typical replies, written at `tokens_s` tokens a second.
    """

    language: str
    tokens_s: int
    replies: int
    ms: Spread


@dataclass(frozen=True, slots=True)
class PolicyCost:
    """CPU of one good request without the request policy, and what the policy adds to it (ms)."""

    stage: str
    request_ms: float
    policy_ms: float


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured; figures of two machines say nothing about each other."""

    cpu: str
    cores: int
    kernel: str
    python: str
    packages: dict[str, str]


@dataclass(frozen=True, slots=True)
class Bench:
    """All figures of one run of the benchmark. `at` is its time, ISO 8601 in UTC."""

    at: str
    quick: bool
    machine: Machine
    rows: list[Row]
    virtual: VirtualSpeed
    capacity: Capacity | None = None
    first_sentences: list[FirstSentence] = field(default_factory=list)
    policy: list[PolicyCost] = field(default_factory=list)
    format: int = FORMAT

    @property
    def sound(self) -> bool:
        """Whether every figure may be believed: no client too late, no trouble in any call."""
        rounds = [one for row in self.rows for one in row.sound_rounds]
        spoilt = any(load.void or load.trouble for one in rounds for load in one.loads)
        return not spoilt and self.virtual.answers == self.virtual.turns


LOAD: TypeAdapter[Load] = TypeAdapter(Load)
BENCH: TypeAdapter[Bench] = TypeAdapter(Bench)


def read_bench(path: Path) -> Bench:
    """Read figures that were saved. Raises ConfigError when the file is none of ours."""
    try:
        found = BENCH.validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: no figures of the benchmark ({place}: {first['msg']})") from None
    if found.format != FORMAT:
        raise ConfigError(f"{path}: format {found.format} is unknown; this reads {FORMAT}")
    return found
