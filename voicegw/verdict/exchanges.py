"""What a call consists of, as plain data: exchanges, and in each its utterances, requests, sentences, waits.

All times are microseconds since the call began (`_us`); None: has not happened. Nothing here decides; it is
filled by `timeline.py`, kept by records, judged by the verdict. `dataclasses.asdict` gives JSON.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from voicegw.audio.pcm import SAMPLE_RATE_HZ


@dataclass(slots=True)
class Span:
    """A stretch of time; `to_us` is None while it goes on."""

    from_us: int
    to_us: int | None = None


@dataclass(slots=True)
class Utterance:
    """One request to STT. `code` says why it failed; `cancelled`: its answer was not wanted any more."""

    utterance_id: int
    from_sample: int
    to_sample: int
    sent_us: int
    done_us: int | None = None
    text: str = ""
    language: str = ""
    code: str = ""
    cancelled: bool = False

    @property
    def audio_ms(self) -> int:
        """Length of the audio that was sent."""
        return (self.to_sample - self.from_sample) * 1000 // SAMPLE_RATE_HZ


@dataclass(slots=True)
class Asked:
    """One request to the model."""

    reply_id: int
    asked_us: int
    first_token_us: int | None = None
    done_us: int | None = None
    text: str = ""  # all that the model wrote
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    code: str = ""
    cancelled: bool = False


@dataclass(slots=True)
class Sentence:
    """One sentence of the agent. `samples` came from TTS, `played` were heard (16 kHz).

    `kind` is empty where it never began to sound; `clip`: it needed no provider. `cut`: it was stopped
    before its end. It sounded from `began_us` to `ended_us`.
    """

    speech_id: int
    text: str
    clip: bool
    asked_us: int
    reply_id: int = 0
    kind: str = ""
    first_audio_us: int | None = None
    began_us: int | None = None
    ended_us: int | None = None
    samples: int = 0
    played: int = 0
    cut: bool = False
    code: str = ""


@dataclass(slots=True)
class ToolUse:
    """One tool that ran, or was refused."""

    tool_id: str
    name: str
    arguments: str
    asked_us: int
    done_us: int | None = None
    outcome: str = ""
    result: str = ""


@dataclass(slots=True)
class RungHeard:
    """A prepared phrase that stood in for a missing answer.

    `because`: the failed request behind it, with its stage, provider, status and id; empty where it was
    merely late.
    """

    at_us: int
    rung: str
    text: str
    reason: str
    because: str = ""


@dataclass(slots=True)
class Interruption:
    """The caller spoke over the agent from `voice_us` on; the agent's feed stopped at `paused_us`.

    `outcome`: "yielded" (the agent stopped at `decided_us`), "kept" (it went on), "open" (the call ended).
    `false`: the agent stopped for something that was then rejected as a turn.
    """

    voice_us: int
    paused_us: int
    decided_us: int | None = None
    outcome: Literal["open", "yielded", "kept"] = "open"
    false: bool = False


@dataclass(slots=True)
class HandOver:
    """The caller was to be handed over; `status` as the other side was told it last.

    "callback_requested": nobody took over, and the caller is to be called back at the number `target`.
    """

    at_us: int
    target: str
    status: str


@dataclass(slots=True)
class CallerTold:
    """Who called, as the carrier told it; of what came more than once the latest."""

    external_id: str = ""
    caller: str = ""
    called: str = ""
    language: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Rejected:
    """Voice of the caller that was not taken as a turn."""

    at_us: int
    reason: str
    text: str


@dataclass(slots=True)
class Failure:
    """A request that failed, and what the caller heard because of it.

    `heard`: the ladder's phrases that followed ("filler: One moment, please."), and "the answer" where it
    came all the same; empty where speech went on as if nothing were. Other fields as in
    `events.ProviderFailed`.
    """

    at_us: int
    work: str
    number: int
    provider: str
    code: str
    status: int | None = None
    request_id: str = ""
    retry_after: float | None = None
    heard: list[str] = field(default_factory=list)

    @property
    def told(self) -> str:
        """It in words: "llm at api.example.com: rate_limited (HTTP 429, retry after 20 s, request req_1)"."""
        more = [
            f"HTTP {self.status}" if self.status else "",
            f"retry after {self.retry_after:g} s" if self.retry_after is not None else "",
            f"request {self.request_id}" if self.request_id else "",
        ]
        known = ", ".join(part for part in more if part)
        return f"{self.work} at {self.provider}: {self.code}" + (f" ({known})" if known else "")


# The consecutive stages of the gap before an answer, in their order.
STAGES = ("end_of_turn", "transcription", "tools", "first_token", "first_sentence", "speech")


@dataclass(slots=True)
class Exchange:
    """A caller turn and what followed it until the next one. Number 0 is what came before the first turn.

    `text` is the turn as the model saw it; `source` how it came: "voice", "text", "keypad", or "" for
    number 0. `heard` is what was heard of the agent in it. `reopened` counts how often the turn was taken
    for over and was not.
    """

    number: int
    source: str = ""
    text: str = ""
    voice_us: int | None = None
    last_word_us: int | None = None
    turn_over_us: int | None = None
    transcribed_us: int | None = None
    began_us: int | None = None  # the first sound of the model's answer
    sounded_us: int | None = None  # the first sound of anything after the turn
    first_sentence_us: int | None = None
    heard: str = ""
    reopened: int = 0
    utterances: list[Utterance] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    tools: list[ToolUse] = field(default_factory=list)
    rungs: list[RungHeard] = field(default_factory=list)
    interruptions: list[Interruption] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    # One for each request that is paid for, as in `events.Charged`, without what is empty: `usd` is missing
    # where the price is unknown. `wasted`: asked for ahead, and not used.
    costs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def usd(self) -> float:
        """What the exchange cost, as far as prices are known."""
        return sum(float(cost.get("usd", 0.0)) for cost in self.costs)

    @property
    def wasted_usd(self) -> float:
        """What of it went into answers and transcripts that were asked for ahead and not used."""
        return sum(float(cost.get("usd", 0.0)) for cost in self.costs if cost.get("wasted"))

    @property
    def first_token_us(self) -> int | None:
        """When the model's first words came, behind the last tool that ran before the answer."""
        came = [a.first_token_us for a in self.asked if a.first_token_us is not None and not a.cancelled]
        before = [t for t in came if self.began_us is None or t <= self.began_us]
        return max(before, default=None) if self.tools else min(before, default=None)

    @property
    def tools_done_us(self) -> int | None:
        """When the last tool that ran before the answer was done."""
        done = [t.done_us for t in self.tools if t.done_us is not None]
        return max((t for t in done if self.began_us is None or t <= self.began_us), default=None)

    @property
    def gap_us(self) -> int | None:
        """From the caller's last word to the first sound of the model's answer."""
        if self.began_us is None or self.last_word_us is None:
            return None
        return max(0, self.began_us - self.last_word_us)

    @property
    def stages(self) -> dict[str, int]:
        """The gap split into consecutive stages (us) whose sum is `gap_us`; empty without an answer."""
        if self.began_us is None or self.last_word_us is None:
            return {}
        marks = [self.turn_over_us, self.transcribed_us, self.tools_done_us, self.first_token_us]
        marks += [self.first_sentence_us, self.began_us]
        reached = [self.last_word_us]
        for mark in marks:
            # A stage that was skipped or done ahead took no time of the caller's.
            reached.append(min(self.began_us, max(reached[-1], mark if mark is not None else 0)))
        return dict(zip(STAGES, (b - a for a, b in pairwise(reached)), strict=True))
