"""What is kept of a call when it is over: one plain record, made from its timeline.

Knows no database: `spool.py` keeps records as JSON until `database.py` has them.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from voicegw.call.call import Call
from voicegw.store.journal import about, read_journal
from voicegw.verdict.exchanges import STAGES, Exchange
from voicegw.verdict.sound import Sound
from voicegw.verdict.timeline import Timeline
from voicegw.verdict.verdict import Thresholds, Verdict, figures, judge

log = logging.getLogger(__name__)

FORMAT = 2
# The process ended before the call did, and the journal is all that is left of it.
KILLED = "killed"


@dataclass(slots=True)
class TurnRecord:
    """One exchange: what the caller said and what was heard of the answer. Times in ms of the call."""

    number: int
    source: str
    said: str
    heard: str
    at_ms: int
    gap_ms: int | None
    stages_ms: dict[str, int]
    cut: bool
    reopened: int
    rejected: list[str]  # reasons
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    costs: list[dict[str, Any]]


@dataclass(slots=True)
class ToolRecord:
    """One use of a tool."""

    turn: int
    tool_id: str
    name: str
    arguments: str
    outcome: str
    result: str
    at_ms: int
    took_ms: int | None


@dataclass(slots=True)
class RungRecord:
    """A prepared phrase that stood in for a missing answer."""

    turn: int
    at_ms: int
    rung: str
    text: str
    reason: str


@dataclass(slots=True)
class TransferRecord:
    """A hand-over of the caller; `callback_requested`: the wish to be called back, at the number `target`."""

    at_ms: int
    target: str
    status: str


@dataclass(slots=True)
class CallRecord:
    """A whole call. `started_at` and `ended_at` are ISO 8601 in UTC.

    `ended_by` is the code of how it ended: "caller", "goodbye", "carrier_lost", "killed", …; `outcome` what
    came of it, a code of the persona's, or "" when nobody could say, and `summary` the same in words;
    `recording` the file's name in the recordings folder, or empty; `verdict` the grade, or empty.
    """

    call_id: str
    started_at: str
    ended_at: str
    duration_ms: int
    carrier: str
    persona: str
    persona_version: str
    language: str
    external_id: str
    caller: str
    called: str
    metadata: dict[str, str]
    ended_by: str
    outcome: str
    summary: str
    recording: str
    cost_usd: float
    verdict: str = ""
    verdict_detail: dict[str, Any] = field(default_factory=dict)
    turns: list[TurnRecord] = field(default_factory=list)
    tools: list[ToolRecord] = field(default_factory=list)
    rungs: list[RungRecord] = field(default_factory=list)
    transfers: list[TransferRecord] = field(default_factory=list)
    format: int = FORMAT

    def dump(self) -> bytes:
        """As one line of JSON."""
        text = json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))
        # Half a surrogate pair, from a sloppy provider, is no text that anybody takes.
        return text.encode(errors="ignore") + b"\n"


_RECORD = TypeAdapter(CallRecord)


def load_record(data: bytes) -> CallRecord:
    """Read what `dump` wrote, in this format or the one before. Raises ValueError."""
    found = json.loads(data)
    if isinstance(found, dict) and found.get("format") == 1:
        # `outcome` said then how the call ended.
        found |= {"ended_by": found.get("outcome"), "outcome": "", "format": FORMAT}
    return _RECORD.validate_python(found)


def about_call(
    started_at: datetime, carrier: str, persona: str, version: str, language: str
) -> dict[str, str]:
    """What a journal's head must tell, so that a record can be made of the journal alone."""
    return {
        "started_at": started_at.isoformat(timespec="milliseconds"),
        "carrier": carrier,
        "persona": persona,
        "persona_version": version,
        "language": language,
    }


def record_of(
    call_id: str,
    told: Mapping[str, str],
    timeline: Timeline,
    *,
    ended_by: str,
    recording: str,
    verdict: Verdict | None = None,
) -> CallRecord:
    """Make the record of a call that is over. `told` is what `about_call` gave."""
    started = datetime.fromisoformat(told["started_at"])
    lasted_us = timeline.ended_us if timeline.ended_us is not None else timeline.last_us
    ended = started + timedelta(microseconds=lasted_us)
    exchanges = timeline.exchanges
    who = timeline.call
    tools = [tool for exchange in exchanges for tool in _tools(exchange)]
    transfers = [TransferRecord(_ms(t.at_us), t.target, t.status) for t in timeline.transfers]
    told_outcome = timeline.outcome
    turns = [_turn(exchange) for exchange in exchanges]
    return CallRecord(
        call_id=call_id,
        started_at=told["started_at"],
        ended_at=ended.isoformat(timespec="milliseconds"),
        duration_ms=_ms(lasted_us),
        carrier=told.get("carrier", ""),
        persona=told.get("persona", ""),
        persona_version=told.get("persona_version", ""),
        language=who.language or told.get("language", ""),
        external_id=who.external_id,
        caller=who.caller,
        called=who.called,
        metadata=dict(who.metadata),
        ended_by=ended_by,
        outcome=told_outcome.code if told_outcome is not None else "",
        summary=(told_outcome.summary if told_outcome is not None else "")
        or _facts(turns, tools, transfers, ended_by),
        recording=recording,
        cost_usd=sum(turn.cost_usd for turn in turns),
        verdict=verdict.grade if verdict is not None else "",
        verdict_detail=figures(verdict) if verdict is not None else {},
        turns=turns,
        tools=tools,
        rungs=[
            RungRecord(exchange.number, _ms(rung.at_us), rung.rung, rung.text, rung.because or rung.reason)
            for exchange in exchanges
            for rung in exchange.rungs
        ],
        transfers=transfers,
    )


def verdict_of(
    call_id: str,
    timeline: Timeline,
    thresholds: Thresholds,
    sound: Sound | None = None,
    missing_frames: int | None = None,
) -> Verdict | None:
    """Judge a call; None, with a line in the log, where that fails: no call suffers from being judged."""
    try:
        return judge(timeline, sound=sound, missing_frames=missing_frames, thresholds=thresholds)
    except Exception:
        log.exception("call %s could not be judged", call_id)
        return None


def record_of_journal(path: Path, recording: str, thresholds: Thresholds | None = None) -> CallRecord | None:
    """Close a call by its journal, whose process is gone; None when the journal tells nothing of a call.

    Raises ConfigError when the file is no journal.
    """
    told = about(path)
    if "started_at" not in told:
        return None
    settings, events = read_journal(path)
    call, timeline = Call(settings), Timeline()
    for event, now in events:
        timeline.take(event, now, call.receive(event, now))
    ended_by = timeline.end_reason or KILLED
    verdict = verdict_of(path.stem, timeline, thresholds or Thresholds())
    return record_of(path.stem, told, timeline, ended_by=ended_by, recording=recording, verdict=verdict)


def _ms(us: int) -> int:
    return us // 1000


def _turn(exchange: Exchange) -> TurnRecord:
    stages = exchange.stages
    at_us = exchange.voice_us if exchange.voice_us is not None else exchange.last_word_us
    return TurnRecord(
        number=exchange.number,
        source=exchange.source,
        said=exchange.text,
        heard=exchange.heard,
        at_ms=_ms(at_us or 0),
        gap_ms=None if exchange.gap_us is None else _ms(exchange.gap_us),
        stages_ms={name: _ms(stages[name]) for name in STAGES if name in stages},
        cut=any(sentence.cut for sentence in exchange.sentences),
        reopened=exchange.reopened,
        rejected=[rejected.reason for rejected in exchange.rejected],
        prompt_tokens=sum(asked.prompt_tokens for asked in exchange.asked),
        completion_tokens=sum(asked.completion_tokens for asked in exchange.asked),
        cost_usd=exchange.usd,
        costs=exchange.costs,
    )


def _tools(exchange: Exchange) -> Iterable[ToolRecord]:
    for tool in exchange.tools:
        took = None if tool.done_us is None else _ms(tool.done_us - tool.asked_us)
        yield ToolRecord(
            exchange.number,
            tool.tool_id,
            tool.name,
            tool.arguments,
            tool.outcome,
            tool.result,
            _ms(tool.asked_us),
            took,
        )


def _facts(
    turns: list[TurnRecord], tools: list[ToolRecord], transfers: list[TransferRecord], ended_by: str
) -> str:
    """One line of facts; nobody's words."""
    n = sum(1 for turn in turns if turn.source)
    parts = [f"{n} turn{'' if n == 1 else 's'}"]
    if tools:
        parts.append("tools " + ", ".join(dict.fromkeys(tool.name for tool in tools)))
    parts += [
        f"call back {each.target}".strip()
        if each.status == "callback_requested"
        else f"transferred to {each.target} ({each.status})"
        for each in transfers
    ]
    return "; ".join([*parts, f"ended by {ended_by}"])
