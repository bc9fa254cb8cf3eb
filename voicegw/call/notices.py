"""What a call tells the other side about itself, as it happens.

The native protocol sends each as a JSON event of the same name in snake case with the same fields
(docs/protocol.md); other carriers drop what their protocol has no word for.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class VoiceStarted:
    """The caller began to speak; `at_ms` counts the caller's audio since the call began."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class VoiceStopped:
    """The caller ceased to speak at `at_ms` of the caller's audio."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the caller said.

    `partial`: so far, may change; `final`: the turn as the model sees it; `rejected`: not taken as a turn,
    `reason` says why, with the `numbers` that decided. `source` tells how it came: by voice, typed, or by
    keypad.
    """

    status: Literal["partial", "final", "rejected"]
    text: str
    reason: str = ""
    source: Literal["voice", "text", "keypad"] = "voice"
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply that was asked for before the turn was over.

    `used`: the turn ended as expected, and the caller waited less. `wasted`: the caller went on, and the
    `characters` the model had written were paid for nothing.
    """

    reply_id: int
    outcome: Literal["used", "wasted"]
    characters: int


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The agent begins to speak, with a `reply`, `greeting`, `check_in`, `goodbye` or `apology`."""

    reply_id: int
    kind: str


@dataclass(frozen=True, slots=True)
class ReplyText:
    """The sentence whose audio follows now, and what it is: an apology may close a reply that failed."""

    reply_id: int
    speech_id: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The agent has stopped speaking. `heard` is what the caller heard of it; `cut` if that is not all."""

    reply_id: int
    heard: str
    cut: bool


@dataclass(frozen=True, slots=True)
class Latency:
    """Where the gap before an answer went: consecutive stages whose sum is `total_ms`.

    From the caller's last voiced frame: until the turn was over, until its transcript was there, until the
    model's first token, until the first sentence was complete, until its first audio left.
    """

    exchange: int
    end_of_turn_ms: int
    transcription_ms: int
    first_token_ms: int
    first_sentence_ms: int
    speech_ms: int
    total_ms: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What the call has cost so far, in US dollars, and what came to it since the last time.

    `wasted_usd` of `usd` went into answers that were asked for ahead and not used. `estimated`: a provider
    did not count its tokens. Models without a known price are not in it.
    """

    usd: float
    exchange: int
    exchange_usd: float
    wasted_usd: float
    estimated: bool


@dataclass(frozen=True, slots=True)
class Rung:
    """The caller was waiting too long, or something failed, and hears a prepared phrase."""

    rung: Literal["filler", "apology", "offer", "transfer", "goodbye"]
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Recording:
    """Where the recording can be fetched, for a short time."""

    url: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of the agent runs or has run."""

    name: str
    status: Literal["running", "done", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """The caller is being handed over to `address`; `summary` tells whoever takes over what it is about."""

    target: str
    status: Literal["started", "done", "failed"]
    address: str = ""
    reason: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Callback:
    """The caller is to be called back."""

    number: str
    when: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the call, told once at its end: a code of the persona's, and a summary."""

    code: str
    summary: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the call was for the caller, told once at its end: "good", "fair" or "poor", with what says so."""

    grade: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PhotoWanted:
    """The agent asks for a photo: it may be uploaded once at `url` (a path on the gateway)."""

    url: str


Notice = (
    VoiceStarted
    | VoiceStopped
    | Transcript
    | Draft
    | SpeechStarted
    | ReplyText
    | SpeechStopped
    | Latency
    | Cost
    | Rung
    | Recording
    | Tool
    | Transfer
    | Callback
    | Outcome
    | Verdict
    | PhotoWanted
)
