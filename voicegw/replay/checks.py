"""Whether a replayed call was what its sample expects: one check for each thing that is expected.

Also checked where the file is silent: a spoken turn is one turn, the agent does not begin within it, and the
model remembers no more than was heard.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from voicegw.audio.pcm import FRAME_US
from voicegw.replay.sample import Sample, Turn
from voicegw.replay.virtual import Replayed
from voicegw.verdict.exchanges import Exchange
from voicegw.verdict.sound import frame_rms
from voicegw.verdict.verdict import Verdict
from voicegw.verdict.words import contains, words

# The detector hears a soft onset late and a last word not to its end.
EDGE_US = 250_000
# An agent who is silent for this long has stopped; within a sentence pauses are shorter.
STOPPED_FRAMES = 300_000 // FRAME_US
AUDIBLE_RMS = 60.0
# What only a model can tell: `judging.py` decides it.
JUDGED = "a judge finds true"


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation: where (`turn 2` or `call`), what, what was wanted and what came.

    `skipped`: nobody could tell; it counts neither as met nor as failed.
    """

    where: str
    what: str
    wanted: str
    got: str
    ok: bool
    skipped: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: expected {self.wanted}, got {self.got}"


@dataclass(frozen=True, slots=True)
class Placed:
    """A turn of the sample, when it was said (us), and the exchanges that it became."""

    number: int
    turn: Turn
    from_us: int
    to_us: int
    exchanges: tuple[Exchange, ...]

    @property
    def text(self) -> str:
        """What was understood of it."""
        return " ".join(x.text for x in self.exchanges)

    @property
    def answer(self) -> str:
        """What was heard in answer."""
        return " ".join(x.heard for x in self.exchanges if x.heard)

    @property
    def gap_ms(self) -> int | None:
        """From its last word as it really was to the first sound of the answer."""
        began = next((x.began_us for x in reversed(self.exchanges) if x.began_us is not None), None)
        return None if began is None else max(0, began - self.to_us) // 1000


def place(sample: Sample, run: Replayed) -> list[Placed]:
    """Find for each turn that was said the exchanges it became."""
    found = []
    for number, turn in enumerate(sample.file.turns):
        if number >= len(run.placed_us):
            break
        start = run.placed_us[number]
        end = max(start, run.ended_us[number]) if number < len(run.ended_us) else start
        mine = tuple(x for x in run.timeline.exchanges[1:] if _belongs(x, turn, start, end))
        found.append(Placed(number, turn, start, end, mine))
    return found


def _belongs(exchange: Exchange, turn: Turn, start: int, end: int) -> bool:
    if turn.say is None:
        source = "keypad" if turn.keys else "text"
        # Keys are taken after a pause of three seconds at the latest.
        return exchange.source == source and start <= (exchange.transcribed_us or -1) <= end + 4_000_000
    if exchange.source != "voice" or exchange.voice_us is None or exchange.last_word_us is None:
        return False
    return exchange.voice_us < end + EDGE_US and exchange.last_word_us > start + EDGE_US // 2


def check(sample: Sample, run: Replayed, verdict: Verdict) -> list[Check]:
    """Check everything that the sample expects."""
    checks: list[Check] = []
    placed = place(sample, run)
    for item in placed:
        checks += _check_turn(item, placed, run)
    missing = len(sample.file.turns) - len(placed)
    if missing:
        said = f"{len(placed)} of {len(sample.file.turns)}"
        checks.append(Check("call", "all turns are said", "all", f"{said}: it ended before", False))
    return checks + _check_call(sample, run, verdict)


class _Checks(list[Check]):
    """Checks of one place."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def note(self, what: str, wanted: Any, got: Any, ok: bool) -> None:
        self.append(Check(self._where, what, str(wanted), str(got), ok))

    def at_most(self, what: str, limit: float | None, got: float | None) -> None:
        if limit is not None:
            self.note(
                what, f"at most {limit}", "none" if got is None else got, got is not None and got <= limit
            )


def _check_turn(item: Placed, placed: Sequence[Placed], run: Replayed) -> list[Check]:
    turn, expect = item.turn, item.turn.expect
    checks = _Checks(f"turn {item.number + 1}")
    if turn.noise or expect.agent_goes_on:
        _check_noise(checks, item, run)
        return checks
    _check_borders(checks, item, placed, run)
    checks.at_most("gap_ms", expect.gap_ms, item.gap_ms)
    if expect.stops_ms is not None:
        checks.at_most("the agent stops (ms)", expect.stops_ms, stop_ms(run.agent, item.from_us))
    if run.untold:
        return checks
    for wanted in expect.understood:
        checks.note("understood", repr(wanted), repr(item.text), contains(item.text, wanted))
    for unwanted in expect.not_understood:
        checks.note("not understood", repr(unwanted), repr(item.text), not contains(item.text, unwanted))
    for wanted in expect.answer_contains:
        checks.note("the answer contains", repr(wanted), repr(item.answer), contains(item.answer, wanted))
    if expect.answer_matches:
        found = re.search(expect.answer_matches, item.answer) is not None
        checks.note("the answer matches", expect.answer_matches, repr(item.answer), found)
    if expect.judge:
        checks.append(Check(f"turn {item.number + 1}", JUDGED, expect.judge, repr(item.answer), False, True))
    if expect.keys:
        checks.note("keys", expect.keys, item.text, item.text == expect.keys)
    if expect.tools is not None:
        ran = [(t.name, t.arguments) for x in item.exchanges for t in x.tools]
        wanted_tools = [(tool.name, tool.arguments) for tool in expect.tools]
        checks.note("tools", wanted_tools, ran, [(n, _arguments(a)) for n, a in ran] == wanted_tools)
    return checks


def _arguments(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check_borders(checks: _Checks, item: Placed, placed: Sequence[Placed], run: Replayed) -> None:
    turn, expect = item.turn, item.turn.expect
    one = expect.one_turn
    gone = turn.hangs_up_after is not None
    if ((one is None and not gone) or one) and not run.untold:
        others = [
            p for p in placed if p is not item and set(map(id, p.exchanges)) & set(map(id, item.exchanges))
        ]
        shared = f", shared with turn {others[0].number + 1}" if others else ""
        got = f"{len(item.exchanges)}{shared}"
        checks.note("is one turn", 1, got, len(item.exchanges) == 1 and not others)
    if turn.say is not None and expect.not_cut_off is not False and not gone:
        inside = [
            s.began_us
            for x in run.timeline.exchanges
            for s in x.sentences
            if s.began_us is not None and item.from_us + EDGE_US < s.began_us < item.to_us - EDGE_US
        ]
        got = "not" if not inside else f"the agent begins {(inside[0] - item.from_us) // 1000} ms into it"
        checks.note("is not cut off", "not", got, not inside)


def _check_noise(checks: _Checks, item: Placed, run: Replayed) -> None:
    """A noise is no turn, and the agent goes on."""
    taken = [x for x in item.exchanges if x.text]
    checks.note("is no turn", "none", [x.text for x in taken] or "none", not taken)
    stopped = [
        i
        for x in run.timeline.exchanges
        for i in x.interruptions
        if i.outcome == "yielded" and item.from_us - EDGE_US <= i.voice_us <= item.to_us + EDGE_US
    ]
    checks.note("the agent goes on", "goes on", "stopped" if stopped else "goes on", not stopped)


def stop_ms(agent: bytes, from_us: int) -> int | None:
    """How long after `from_us` the agent is silent; None if it goes on to the end."""
    sounds = frame_rms(agent)[from_us // FRAME_US :] > AUDIBLE_RMS
    quiet = np.convolve(~sounds, np.ones(STOPPED_FRAMES), "valid") >= STOPPED_FRAMES
    first = np.flatnonzero(quiet)
    return int(first[0]) * FRAME_US // 1000 if len(first) else None


def _check_call(sample: Sample, run: Replayed, verdict: Verdict) -> list[Check]:
    expect = sample.file.expect
    checks = _Checks("call")
    if run.untold:
        checks.at_most("gap_p95_ms", expect.gap_p95_ms, verdict.gap_p95_ms)
        checks.at_most("longest_wait_ms", expect.longest_wait_ms, verdict.longest_wait_ms)
        return checks
    if expect.turns is not None:
        taken = len(run.timeline.exchanges) - 1
        checks.note("turns", expect.turns, taken, taken == expect.turns)
    if expect.ends:
        checks.note("ends by", expect.ends, verdict.end_reason, verdict.end_reason == expect.ends)
    checks.at_most("gap_p95_ms", expect.gap_p95_ms, verdict.gap_p95_ms)
    checks.at_most("longest_wait_ms", expect.longest_wait_ms, verdict.longest_wait_ms)
    checks.at_most("word_error_rate", expect.word_error_rate, verdict.word_error_rate)
    checks.at_most("false_interruptions", expect.false_interruptions, verdict.false_interruptions)
    if expect.rungs is not None:
        rungs = [r.rung for x in run.timeline.exchanges for r in x.rungs if r.rung != "filler"]
        checks.note("rungs", expect.rungs, rungs, rungs == expect.rungs)
    if expect.likely_echo is not None:
        checks.note(
            "likely echo", expect.likely_echo, verdict.echo, verdict.likely_echo == expect.likely_echo
        )
    if expect.remembers_only_heard:
        beyond = remembered_beyond(run)
        checks.note("the model remembers only what was heard", "only that", beyond or "only that", not beyond)
    return checks


def remembered_beyond(run: Replayed) -> str:
    """Return what the model was told of the agent's words that the caller cannot have heard; "" if nothing.

    How far each sentence was heard is what the telephone played of it.
    """
    heard: list[str] = []
    for x in run.timeline.exchanges:
        for s in x.sentences:
            if s.clip and s.kind != "greeting":
                continue
            heard += words(_played(s.text, run.played.get(s.speech_id, 0), s.samples))
    known = f" {' '.join(words(' '.join(agent for _, agent in run.settings.history)))} {' '.join(heard)} "
    for message in run.remembered:
        told = " ".join(words(message))
        if f" {told} " not in known:
            return message
    return ""


def _played(text: str, played: int, samples: int) -> str:
    """The words of a sentence that sounded, the one that was being said included."""
    if not samples or not played:
        return ""
    if played >= samples:
        return text
    end = len(text) * played // samples
    return text[: max(end, (text + " ").find(" ", end))]
