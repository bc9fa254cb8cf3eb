"""From a call that was kept to the sample of it: its turns as they were said, each with its anchor."""

import json
from typing import Any

from voicegw.call.settings import CallSettings
from voicegw.verdict.exchanges import Exchange, Span
from voicegw.verdict.timeline import Timeline

# The agent's sentences that are nearer than this are one turn of it.
JOIN_US = 1_500_000
# What sounds shorter than this between turns is no murmur that anybody would look for.
LEAST_NOISE_US = 100_000

Draft = dict[str, Any]


def draft(call: CallSettings, timeline: Timeline, *, title: str, origin: str, expect: bool) -> Draft:
    """Return the YAML of a sample as plain data; with `expect` all must come as it came then.

    Voice that was no turn becomes a noise.
    """
    end_us = timeline.ended_us if timeline.ended_us is not None else timeline.last_us
    turns = [found for x in timeline.exchanges[1:] if (found := _turn(x, expect=expect)) is not None]
    turns += [_noise(span) for span in _noises(timeline, end_us)]
    turns.sort(key=lambda turn: turn[0])
    agent = _agent_turns(timeline, end_us)
    ends = [0, *(to for _, to, _ in turns)]
    for (start, _, turn), before in zip(turns, ends, strict=False):
        turn["anchor"] = _anchor(start, before, agent)
    agent_end = max((to for _, to in agent), default=0)
    last = max(ends[-1], agent_end)
    expectation: Draft = {"turns": sum(not turn.get("noise") for _, _, turn in turns)}
    if timeline.hang_up:
        expectation["ends"] = timeline.end_reason
    return {
        "title": title,
        "origin": origin,
        "licence": "not to be given away",
        "language": call.language.partition("-")[0],
        "persona": call.persona,
        # Nobody wrote down what was really said.
        "reference": False,
        "stays": round(min(20.0, max(0.6, (end_us - last) / 1e6)) + max(0, agent_end - ends[-1]) / 1e6, 2),
        "turns": [turn for _, _, turn in turns],
        "expect": expectation,
    }


Timed = tuple[int, int, Draft]


def _turn(exchange: Exchange, *, expect: bool) -> Timed | None:
    answer = {"says": " ".join(asked.text for asked in exchange.asked if not asked.cancelled).strip()}
    end = exchange.last_word_us if exchange.last_word_us is not None else exchange.turn_over_us
    if end is None:
        return None
    turn: Draft
    if exchange.source == "keypad":
        start, turn = end, {"keys": exchange.text}
    elif exchange.source == "text":
        start, turn = end, {"text": exchange.text}
    elif exchange.voice_us is not None and exchange.voice_us < end:
        start = exchange.voice_us
        turn = {"say": exchange.text, "start": _s(start), "end": _s(end)}
    else:
        return None
    turn["answer"] = answer
    if expect:
        turn["expect"] = {"understood": [exchange.text] if exchange.text else []}
        tools = [_tool(tool.name, tool.arguments) for tool in exchange.tools]
        if all(tool is not None for tool in tools):
            turn["expect"]["tools"] = tools
    return start, end, turn


def _tool(name: str, arguments: str) -> Draft | None:
    try:
        found = json.loads(arguments or "{}")
    except ValueError:
        return None
    return {"name": name, "arguments": found} if isinstance(found, dict) else None


def _noises(timeline: Timeline, end_us: int) -> list[tuple[int, int]]:
    """The caller's voice that belongs to no turn."""
    taken = [
        (x.voice_us, x.last_word_us)
        for x in timeline.exchanges
        if x.voice_us is not None and x.last_word_us is not None
    ]
    spans = [(v.from_us, v.to_us if v.to_us is not None else end_us) for v in timeline.voice]
    return [
        (a, b)
        for a, b in spans
        if b - a >= LEAST_NOISE_US and not any(a < to and b > start for start, to in taken)
    ]


def _noise(span: tuple[int, int]) -> Timed:
    start, end = span
    return start, end, {"say": "", "noise": True, "start": _s(start), "end": _s(end)}


def _agent_turns(timeline: Timeline, end_us: int) -> list[tuple[int, int]]:
    """When the agent spoke: sentences one after another are one turn."""
    turns: list[tuple[int, int]] = []
    for span in sorted(timeline.speech, key=_begin):
        to = span.to_us if span.to_us is not None else end_us
        if turns and span.from_us - turns[-1][1] < JOIN_US:
            turns[-1] = (turns[-1][0], max(to, turns[-1][1]))
        else:
            turns.append((span.from_us, to))
    return turns


def _begin(span: Span) -> int:
    return span.from_us


def _anchor(start: int, before: int, agent: list[tuple[int, int]]) -> dict[str, float]:
    """What a turn that began at `start` goes by, behind the caller's last words at `before`."""
    over = next((a for a, b in agent if a <= start < b), None)
    if over is not None:
        return {"over": _s(start - over)}
    ended = max((b for _, b in agent if before < b <= start), default=None)
    if ended is not None:
        return {"after": _s(start - ended)}
    return {"follows": _s(start - before)} if before else {"at": _s(start)}


def _s(us: int) -> float:
    return round(us / 1e6, 2)
