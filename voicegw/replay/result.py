"""The result of a replayed call, as plain data: the same call with the same code gives the same bytes.

Holds no times of this machine and no ids made at random.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from voicegw.errors import ConfigError
from voicegw.replay.checks import Check, Placed, check, place
from voicegw.replay.sample import Sample
from voicegw.replay.virtual import Replayed
from voicegw.verdict.sound import sound_of
from voicegw.verdict.verdict import Verdict, judge
from voicegw.verdict.words import alike

# Answers that are less alike than this by their words say something else.
ALIKE = 0.6


@dataclass(frozen=True, slots=True)
class TurnResult:
    """What became of one turn. Times in milliseconds of the call."""

    number: int
    kind: str  # "said", "keys", "text" or "noise"
    said: str
    from_ms: int
    to_ms: int
    turns: int  # as how many turns it was taken
    understood: str
    answer: str
    tools: tuple[tuple[str, str], ...]
    gap_ms: int | None
    ended_ms: int | None  # when the gateway held it for over, counted from its last word


@dataclass(frozen=True, slots=True)
class CallResult:
    """One sample, replayed once. `matches`: how the cassette answered (exact, near, missed)."""

    sample: str
    title: str
    call_ms: int
    turns: tuple[TurnResult, ...]
    checks: tuple[Check, ...]
    verdict: Verdict
    matches: tuple[int, int, int] | None = None
    missed: tuple[str, ...] = ()
    error: str = ""

    @property
    def failed(self) -> tuple[Check, ...]:
        """The expectations that were not met."""
        return tuple(c for c in self.checks if not c.ok and not c.skipped)

    @property
    def skipped(self) -> tuple[Check, ...]:
        """The expectations that nobody could judge."""
        return tuple(c for c in self.checks if c.skipped)

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.error and not self.failed


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is different from the baseline. `turn` 0 is the whole call."""

    turn: int
    what: str
    before: str
    now: str


@dataclass(slots=True)
class Comparison:
    """A result beside an earlier one. From `comparable_to` (a turn's number, 0: all) on turns answer
    something else than the caller spoke to: they are not compared."""

    changes: list[Change] = field(default_factory=list)
    not_comparable_from: int | None = None


_RESULT: TypeAdapter[CallResult] = TypeAdapter(CallResult)


def result_of(sample: Sample, run: Replayed) -> CallResult:
    """Judge and check a call that was replayed."""
    known = sample.file.reference and sample.file.turns and not run.untold
    said = sample.said if known else None
    verdict = judge(
        run.timeline,
        sound=sound_of(run.caller, run.agent),
        said=said,
        missing_frames=run.missing_frames,
        thresholds=run.thresholds,
    )
    matches = run.matches
    return CallResult(
        sample.name,
        sample.file.title,
        run.timeline.last_us // 1000,
        tuple(_turn(item) for item in place(sample, run)),
        tuple(check(sample, run, verdict)),
        verdict,
        None if matches is None else (matches.exact, matches.near, matches.missed),
        () if matches is None else tuple(matches.details),
    )


def _turn(item: Placed) -> TurnResult:
    turn = item.turn
    kind = "noise" if turn.noise else "said" if turn.say is not None else "keys" if turn.keys else "text"
    over = next((x.turn_over_us for x in reversed(item.exchanges) if x.turn_over_us is not None), None)
    return TurnResult(
        item.number + 1,
        kind,
        turn.say or turn.keys or turn.text or turn.sound,
        item.from_us // 1000,
        item.to_us // 1000,
        len(item.exchanges),
        item.text,
        item.answer,
        tuple((t.name, t.arguments) for x in item.exchanges for t in x.tools),
        item.gap_ms,
        None if over is None else (over - item.to_us) // 1000,
    )


def to_json(result: CallResult) -> str:
    """One line of JSON."""
    return json.dumps(asdict(result) | {"passed": result.passed}, ensure_ascii=False, sort_keys=True)


def write_baseline(path: Path, result: CallResult) -> None:
    """Make a result the one that later ones are compared with. Raises OSError."""
    content = asdict(result)
    # What a baseline is for are turns and figures; what was expected stands in the sample.
    for name in ("checks", "missed", "error"):
        content.pop(name)
    for name in ("waits", "silences"):
        content["verdict"].pop(name)
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def read_baseline(path: Path) -> CallResult:
    """Read what `write_baseline` wrote. Raises ConfigError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["checks"] = ()
        return _RESULT.validate_python(content)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise ConfigError(f"{path}: no baseline of `voicegw replay --accept`") from error


def compare(before: CallResult, now: CallResult) -> Comparison:
    """Compare two results of the same sample, turn by turn."""
    found = Comparison()
    for old, new in zip(before.turns, now.turns, strict=False):
        if found.not_comparable_from is not None:
            break
        found.changes += _turn_changes(old, new)
        if old.tools != new.tools or alike(old.answer, new.answer) < ALIKE:
            # The caller's next words answered something else.
            found.not_comparable_from = new.number + 1
    if found.not_comparable_from is not None and found.not_comparable_from > len(now.turns):
        found.not_comparable_from = None
    if len(before.turns) != len(now.turns):
        found.changes.append(_change(0, "turns said", len(before.turns), len(now.turns)))
    found.changes += _call_changes(before.verdict, now.verdict)
    return found


def _change(turn: int, what: str, before: Any, now: Any) -> Change:
    return Change(turn, what, str(before), str(now))


# A gap is a different one from this on; below it is rounding.
_GAP_MS = 20


def _turn_changes(old: TurnResult, new: TurnResult) -> list[Change]:
    pairs: Sequence[tuple[str, Any, Any]] = [
        ("taken as turns", old.turns, new.turns),
        ("understood", old.understood, new.understood),
        ("answer heard", old.answer, new.answer),
        ("tools", list(old.tools), list(new.tools)),
    ]
    changes = [_change(new.number, what, a, b) for what, a, b in pairs if a != b]
    for what, a, b in (("gap_ms", old.gap_ms, new.gap_ms), ("over after ms", old.ended_ms, new.ended_ms)):
        if (a is None) != (b is None) or (a is not None and b is not None and abs(a - b) >= _GAP_MS):
            changes.append(_change(new.number, what, a, b))
    return changes


_FIGURES = (
    "grade", "exchanges", "gap_p50_ms", "gap_p95_ms", "longest_wait_ms", "cut_offs", "barge_ins",
    "barge_in_stop_ms", "false_interruptions", "unheard_words", "word_error_rate", "fillers", "apologies",
    "tokens", "cost_usd", "end_reason",
)  # fmt: skip


def _call_changes(old: Verdict, new: Verdict) -> list[Change]:
    pairs = ((name, getattr(old, name), getattr(new, name)) for name in _FIGURES)
    return [_change(0, name, a, b) for name, a, b in pairs if a != b]
