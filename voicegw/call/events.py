"""Everything that can happen to a call. What is listed here enters the journal, and nothing else.

Fields are plain (str, int, float, bool, None, tuples and dicts of them), so that a journal line is JSON.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The call begins. What is known of the caller comes from the carrier's handshake."""

    external_id: str = ""
    caller: str = ""
    called: str = ""
    language: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallerDetails:
    """Identity or metadata that came after the call had begun."""

    external_id: str = ""
    caller: str = ""
    called: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VoiceActivity:
    """The caller began or ceased to speak, or goes on speaking (every 100 ms; over the agent, 20).

    `at_sample` is where the voice began, or where its last voiced frame ended; `position` is how far the
    ear had heard when it said so, so that the time since the last word is known.
    """

    at_sample: int
    speaking: bool
    level_db: int
    position: int


@dataclass(frozen=True, slots=True)
class VoiceProbability:
    """How sure the second voice detector is (0 to 1) that the window up to `at_sample` is a voice.

    Told when it has changed by a tenth. The ear has acted upon it already, in `VoiceActivity`; here it says
    why, to whoever reads the journal.
    """

    at_sample: int
    p: float


@dataclass(frozen=True, slots=True)
class SampleReached:
    """The ear has heard as far as a `WatchSample` asked for."""

    at_sample: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """What an utterance says, from STT. Empty when nothing was understood.

    Whisper's own doubts are None where the provider does not tell them; `headroom` is the share of the
    provider's quota that was left, 1.0 where nothing limits it.
    """

    utterance_id: int
    text: str
    language: str = ""
    no_speech_prob: float | None = None
    avg_logprob: float | None = None
    compression_ratio: float | None = None
    headroom: float = 1.0


@dataclass(frozen=True, slots=True)
class TurnJudged:
    """A turn model's belief (0 to 1) that the caller is done behind an utterance."""

    utterance_id: int
    p: float


@dataclass(frozen=True, slots=True)
class TranscriptFailed:
    """STT gave no answer for an utterance."""

    utterance_id: int
    code: str


@dataclass(frozen=True, slots=True)
class ReplyText:
    """The next text of a reply, in whatever portions the model's stream brought it."""

    reply_id: int
    text: str


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """The model has finished a reply. Token counts are 0 where the provider did not say."""

    reply_id: int
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """The model's stream failed; text that came before stays valid.

    `broken`: it had begun, and the rest may come when the model is asked to go on.
    """

    reply_id: int
    code: str
    broken: bool = False


@dataclass(frozen=True, slots=True)
class ReplyToolCall:
    """A fragment of a tool call of a reply. Those of one `index` belong together, in order.

    `name` comes once; `arguments` are pieces of one JSON text. The provider's own id of the call stays
    behind: some give the same to all.
    """

    reply_id: int
    index: int
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Committed:
    """The journal up to this `Commit` survives the end of the process."""

    commit_id: int


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool has ended. `content` is for the model.

    `status`: `done`; `failed` (it said so, or it could not be reached); `bad_arguments` (it did not run);
    `timeout` and `unknown` (nobody knows whether it took effect).
    """

    tool_id: int
    status: str
    content: str


@dataclass(frozen=True, slots=True)
class TransferEnded:
    """The hand-over that was asked for has worked (the caller is gone from here), or has not."""

    done: bool


@dataclass(frozen=True, slots=True)
class CallerImage:
    """The caller showed a photo; its bytes are the driver's, under `image_id`."""

    image_id: str
    width: int
    height: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Summarised:
    """The older part of the conversation, in a few sentences. Empty: it could not be made."""

    summary_id: int
    text: str


@dataclass(frozen=True, slots=True)
class SpeechArrived:
    """Audio of a sentence came from TTS: `samples` in all so far, `done` with the last of it."""

    speech_id: int
    samples: int
    done: bool


@dataclass(frozen=True, slots=True)
class SpeechFailed:
    """TTS gave no audio, or not all of it, for a sentence."""

    speech_id: int
    code: str


@dataclass(frozen=True, slots=True)
class StandIn:
    """There was no clip of a prepared phrase: this one of the package is heard in its place.

    An empty `text` is a tone.
    """

    speech_id: int
    text: str


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """The first frame of a sentence leaves for the caller now."""

    speech_id: int


@dataclass(frozen=True, slots=True)
class Played:
    """The caller has heard `samples` of a sentence; `done` when that is all of it."""

    speech_id: int
    samples: int
    done: bool


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The caller pressed a key: 0-9, *, #, A-D."""

    digit: str


@dataclass(frozen=True, slots=True)
class CallerText:
    """The caller typed instead of speaking."""

    text: str


@dataclass(frozen=True, slots=True)
class CarrierLost:
    """The call's socket is gone; the call waits for it to come back."""


@dataclass(frozen=True, slots=True)
class CarrierBack:
    """The call has a socket again."""


@dataclass(frozen=True, slots=True)
class CallerHold:
    """The caller holds the call, or an operator does: neither side is heard until they are back."""

    on: bool


@dataclass(frozen=True, slots=True)
class ProviderFailed:
    """A request to a provider failed; the next one, or another provider, may have given the answer.

    `work` is "stt", "llm", "tts" or "summary", `number` its utterance, reply, sentence or summary. `status`
    is the HTTP status, where there was one; `retry_after` what the provider asked to wait (s).
    """

    work: str
    number: int
    provider: str
    code: str
    status: int | None = None
    request_id: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Charged:
    """A request to a provider is paid for, in US dollars; None where the price of its model is not known.

    `work` and `number` as in `ProviderFailed`. `estimated`: the provider counted no tokens.
    """

    work: str
    number: int
    provider: str
    model: str
    usd: float | None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    audio_ms: int = 0
    characters: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """The time that `Call.wake_at` asked for has come."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The other side ended the call, or the gateway must (`reason` says which)."""

    reason: str


Event = (
    CallStarted
    | CallerDetails
    | VoiceActivity
    | VoiceProbability
    | SampleReached
    | Transcript
    | TurnJudged
    | TranscriptFailed
    | ReplyText
    | ReplyToolCall
    | ReplyDone
    | ReplyFailed
    | SpeechArrived
    | SpeechFailed
    | StandIn
    | SpeechBegan
    | Played
    | Dtmf
    | CallerText
    | CallerImage
    | Committed
    | ToolResult
    | TransferEnded
    | Summarised
    | CarrierLost
    | CarrierBack
    | CallerHold
    | ProviderFailed
    | Charged
    | Tick
    | HungUp
)
