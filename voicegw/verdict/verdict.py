"""The caller's experience of one call as figures, and one grade with its reasons.

verdict = judge(timeline)                                            # any call
verdict = judge(timeline, sound=sound_of(caller, agent), said=[...]) # with its sound and what was really said
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from voicegw.verdict.exchanges import Exchange
from voicegw.verdict.gaps import Silence, Wait, overlap_us, silences, waits
from voicegw.verdict.sound import ECHO_LIKELY, Sound, Track
from voicegw.verdict.timeline import Timeline
from voicegw.verdict.words import unheard, word_error_rate

Grade = Literal["good", "fair", "poor"]

# A sentence of the agent that is followed by the caller's voice within this was spoken into a pause: the
# caller had not finished (a person who is answered too early goes on at once).
SPOKEN_INTO_US = 600_000


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a figure makes a call fair, and poor. Times in milliseconds.

    After 2 s callers begin to ask whether anybody is there; after 4 s many hang up.
    """

    gap_p95_ms: tuple[int, int] = (2000, 3500)
    longest_wait_ms: tuple[int, int] = (2500, 4000)
    cut_offs: tuple[int, int] = (1, 2)
    barge_in_stop_ms: tuple[int, int] = (600, 1200)
    false_interruptions: tuple[int, int] = (1, 3)
    word_error_rate: tuple[float, float] = (0.25, 0.5)
    apologies: tuple[int, int] = (1, 2)
    clipped_ppm: tuple[int, int] = (1000, 10_000)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Times in milliseconds; None: could not be told (nothing of it happened, or no audio was given).

    `causes_ms` tells for all waits together whose time they were: they sum to `waited_ms`. `longest_wait_ms`
    is the longest without any sound.
    """

    grade: Grade
    reasons: tuple[str, ...]
    exchanges: int
    gap_p50_ms: int | None
    gap_p95_ms: int | None
    waited_ms: int
    causes_ms: dict[str, int]
    longest_wait_ms: int
    longest_wait_owner: str
    longest_silence_ms: int
    longest_silence_owner: str
    talk_over_ms: int
    cut_offs: int
    barge_ins: int
    barge_in_stop_ms: int | None
    false_interruptions: int
    unheard_words: int
    rejected: dict[str, int]
    word_error_rate: float | None
    fillers: int
    apologies: int
    failures: dict[str, int]
    tokens: int
    cost_usd: float | None
    caller: Track | None
    agent: Track | None
    echo: float | None
    missing_frames: int | None
    end_reason: str
    waits: tuple[Wait, ...] = field(repr=False, default=())
    silences: tuple[Silence, ...] = field(repr=False, default=())

    @property
    def likely_echo(self) -> bool:
        """Whether the caller's line gives back what the agent says."""
        return self.echo is not None and self.echo >= ECHO_LIKELY


def judge(
    timeline: Timeline,
    *,
    sound: Sound | None = None,
    said: Sequence[str] | None = None,
    missing_frames: int | None = None,
    thresholds: Thresholds | None = None,
) -> Verdict:
    """Judge a call by its timeline, and by its sound where that is known.

    A third of a millisecond for a call of a minute. `said` are the caller's turns as they really were;
    `missing_frames` what the carrier did not bring.
    """
    waited = waits(timeline)
    quiet = silences(timeline, waited)
    gaps = sorted((w.to_us - w.from_us) // 1000 for w in waited if w.answered)
    longest_wait = max(waited, key=lambda wait: wait.silent_us, default=None)
    longest = max(quiet, key=_length, default=None)
    interruptions = [i for x in timeline.exchanges for i in x.interruptions]
    yielded = [i for i in interruptions if i.outcome == "yielded" and i.decided_us is not None]
    stops = [(i.paused_us - i.voice_us) // 1000 for i in yielded if not i.false]
    causes: Counter[str] = Counter()
    for wait in waited:
        causes.update(wait.causes)
    end = timeline.ended_us if timeline.ended_us is not None else timeline.last_us
    understood = [x.text for x in timeline.exchanges if x.source == "voice"]
    found = Verdict(
        grade="good",
        reasons=(),
        exchanges=len(timeline.exchanges) - 1,
        gap_p50_ms=_rank(gaps, 0.5),
        gap_p95_ms=_rank(gaps, 0.95),
        waited_ms=sum(_length(w) for w in waited) // 1000,
        causes_ms=_whole_ms(causes),
        longest_wait_ms=longest_wait.silent_us // 1000 if longest_wait else 0,
        longest_wait_owner=longest_wait.owner if longest_wait else "",
        longest_silence_ms=_length(longest) // 1000 if longest else 0,
        longest_silence_owner=longest.owner if longest else "",
        talk_over_ms=overlap_us(timeline.voice, timeline.speech, end) // 1000,
        cut_offs=cut_offs(timeline),
        barge_ins=len(yielded),
        barge_in_stop_ms=max(stops, default=None),
        false_interruptions=sum(i.false for i in yielded),
        unheard_words=sum(_unheard(x) for x in timeline.exchanges),
        rejected=dict(sorted(Counter(r.reason for x in timeline.exchanges for r in x.rejected).items())),
        word_error_rate=None if said is None else word_error_rate(said, understood),
        fillers=sum(r.rung == "filler" for x in timeline.exchanges for r in x.rungs),
        apologies=sum(r.rung != "filler" for x in timeline.exchanges for r in x.rungs),
        failures=dict(sorted(_failures(timeline).items())),
        tokens=sum(a.prompt_tokens + a.completion_tokens for x in timeline.exchanges for a in x.asked),
        cost_usd=_cost(timeline),
        caller=None if sound is None else sound.caller,
        agent=None if sound is None else sound.agent,
        echo=None if sound is None else sound.echo,
        missing_frames=missing_frames,
        end_reason=timeline.end_reason,
        waits=tuple(waited),
        silences=tuple(quiet),
    )
    return graded(found, thresholds or Thresholds())


def figures(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain data, without its grade and the single waits and silences."""
    found = asdict(verdict)
    for name in ("grade", "waits", "silences"):
        del found[name]
    return found | {"reasons": list(verdict.reasons), "likely_echo": verdict.likely_echo}


def graded(verdict: Verdict, thresholds: Thresholds) -> Verdict:
    """Return the verdict with its grade by these thresholds."""
    reasons: list[tuple[bool, str]] = []

    def check(value: float | None, limits: tuple[float, float], text: str) -> None:
        if value is not None and value >= limits[0]:
            reasons.append((value >= limits[1], text))

    v, t = verdict, thresholds
    check(v.gap_p95_ms, t.gap_p95_ms, f"answers after up to {v.gap_p95_ms} ms (p95)")
    owner = f" (owner: {v.longest_wait_owner})"
    check(v.longest_wait_ms, t.longest_wait_ms, f"the caller waited {v.longest_wait_ms} ms{owner}")
    check(v.cut_offs, t.cut_offs, f"the caller was cut off {v.cut_offs} times")
    check(v.barge_in_stop_ms, t.barge_in_stop_ms, f"stopped {v.barge_in_stop_ms} ms after a voice")
    false = f"stopped for nothing {v.false_interruptions} times"
    check(v.false_interruptions, t.false_interruptions, false)
    wer = f"word error rate {v.word_error_rate}"
    check(v.word_error_rate, t.word_error_rate, wer)
    check(v.apologies, t.apologies, f"apologised {v.apologies} times")
    for name, side in (("caller", v.caller), ("agent", v.agent)):
        if side is not None:
            check(side.clipped_ppm, t.clipped_ppm, f"the {name}'s audio clips")
    if v.likely_echo:
        reasons.append((False, "the caller's line echoes"))
    if v.end_reason in ("internal_error", "carrier_error", "provider_failure", "carrier_lost"):
        reasons.append((True, f"ended by {v.end_reason}"))
    grade: Grade = "poor" if any(bad for bad, _ in reasons) else "fair" if reasons else "good"
    worst_first = sorted(reasons, key=lambda reason: not reason[0])
    return replace(verdict, grade=grade, reasons=tuple(text for _, text in worst_first))


def cut_offs(timeline: Timeline) -> int:
    """Return how often the agent spoke into a pause of a caller who had not finished.

    That is: an answer began, and the caller's voice came back so soon that it was no reaction to it. Sounds
    for which the agent did not stop (a cough, its own echo) do not count.
    """
    kept = {i.voice_us for x in timeline.exchanges for i in x.interruptions if i.outcome == "kept"}
    onsets = sorted(span.from_us for span in timeline.voice if span.from_us not in kept)
    return sum(
        bisect_left(onsets, x.began_us + SPOKEN_INTO_US) > bisect_left(onsets, x.began_us)
        for x in timeline.exchanges
        if x.began_us is not None and x.source == "voice"
    )


def _length(stretch: Wait | Silence) -> int:
    return stretch.to_us - stretch.from_us


def _rank(ordered: Sequence[int], part: float) -> int | None:
    """Nearest rank."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else None


def _whole_ms(causes: Counter[str]) -> dict[str, int]:
    """Milliseconds that sum to the whole: each border is rounded, not each length."""
    done, told, parts = 0, 0, {}
    for owner in sorted(causes):
        done += causes[owner]
        parts[owner] = done // 1000 - told
        told = done // 1000
    return parts


def _unheard(exchange: Exchange) -> int:
    told = [s.text for s in exchange.sentences if s.samples and s.reply_id]
    # What has no reply was never begun, or is a filler: those stand among the rungs, not in what was heard.
    never = [s.text for s in exchange.sentences if s.samples and not s.reply_id and not s.played]
    return unheard(told, exchange.heard) + unheard(never, "")


def _failures(timeline: Timeline) -> Counter[str]:
    found: Counter[str] = Counter()
    for x in timeline.exchanges:
        found.update(f"stt:{u.code}" for u in x.utterances if u.code)
        found.update(f"llm:{a.code}" for a in x.asked if a.code)
        found.update(f"tts:{s.code}" for s in x.sentences if s.code)
    return found


def _cost(timeline: Timeline) -> float | None:
    costs = [float(cost["usd"]) for x in timeline.exchanges for cost in x.costs if "usd" in cost]
    return round(sum(costs), 6) if costs else None
