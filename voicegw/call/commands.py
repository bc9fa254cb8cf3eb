"""Everything that a call can ask of its driver."""

from dataclasses import dataclass
from typing import Any, Literal

from voicegw.call.notices import Notice

# A chat message in OpenAI's form. Of a photo it holds the part {"type": "image", "image_id": …}: the driver
# puts the picture in its place when it sends the message.
Message = dict[str, Any]
# What a prepared phrase is for.
Role = Literal[
    "greeting", "filler", "apology", "not_understood", "offer", "check_in", "callback", "transferring",
    "goodbye",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Send the caller's audio between two samples to STT; answer with Transcript or TranscriptFailed.

    `hint` tells what kind of words are expected, as Whisper's prompt does.
    """

    utterance_id: int
    from_sample: int
    to_sample: int
    prompt: str = ""  # words that are likely in it, or came right before it


@dataclass(frozen=True, slots=True)
class CancelTranscribe:
    """The utterance went on: its answer is not wanted any more."""

    utterance_id: int


@dataclass(frozen=True, slots=True)
class WatchSample:
    """Say `SampleReached` when the ear has heard this far. A newer one replaces an older one."""

    at_sample: int


@dataclass(frozen=True, slots=True)
class ReleaseAudio:
    """The caller's audio before this sample is not needed any more."""

    before_sample: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the model for a reply; answer with ReplyText…, ReplyToolCall…, then ReplyDone or ReplyFailed.

    `speculative`: the turn may go on, then a CancelAsk follows; until that is sure nothing of the reply
    has an effect. Asked again with the same `reply_id` when tools have answered. Without `tools` it must
    answer in words.
    """

    reply_id: int
    messages: tuple[Message, ...]
    speculative: bool = False
    tools: bool = True


@dataclass(frozen=True, slots=True)
class CancelAsk:
    """The reply is not wanted any more."""

    reply_id: int


@dataclass(frozen=True, slots=True)
class Commit:
    """Make the journal durable; answer with Committed. What follows may not happen twice."""

    commit_id: int


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run a tool; answer with ToolResult.

    `tool_id` is unique in the call: with the call's id it makes the idempotency key. `arguments` is JSON.
    """

    tool_id: int
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hand the caller over to `address`; answer with TransferEnded where the carrier tells."""

    target: str
    address: str
    reason: str
    summary: str


@dataclass(frozen=True, slots=True)
class Summarise:
    """Ask the model for a short account of these messages; answer with Summarised."""

    summary_id: int
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Speak:
    """Queue a sentence behind what is queued; answer with SpeechArrived… or SpeechFailed.

    `text` is the sentence as written, `spoken` what TTS is to say for it.
    """

    speech_id: int
    text: str
    spoken: str


@dataclass(frozen=True, slots=True)
class PlayClip:
    """Queue a sentence whose audio must not need a provider: rendered at start, else a packaged phrase.

    `role` says what it is for, so that a phrase of the package can stand in: answer with StandIn then.
    `first`: before the sentences that are queued and have not begun.
    """

    speech_id: int
    text: str
    role: Role = "apology"
    first: bool = False


@dataclass(frozen=True, slots=True)
class PauseSpeech:
    """Stop feeding the agent's speech; report at once how far it was heard."""


@dataclass(frozen=True, slots=True)
class ResumeSpeech:
    """Go on where PauseSpeech stopped, or `back_samples` before: a word that was torn is said again."""

    back_samples: int = 0


@dataclass(frozen=True, slots=True)
class ClearSpeech:
    """Drop all queued speech, here and at the carrier, and stop its synthesis.

    With `keep` that one sentence, which is being heard, goes on, and nothing is flushed at the carrier.
    """

    keep: int = 0


@dataclass(frozen=True, slots=True)
class MaskRecording:
    """While `on`, record silence: something sensitive is being said."""

    on: bool


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the other side something about the call."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call: everything that was to be heard has been heard."""

    reason: str


Command = (
    Transcribe
    | CancelTranscribe
    | WatchSample
    | ReleaseAudio
    | Ask
    | CancelAsk
    | Commit
    | RunTool
    | Transfer
    | Summarise
    | Speak
    | PlayClip
    | PauseSpeech
    | ResumeSpeech
    | ClearSpeech
    | MaskRecording
    | Notify
    | HangUp
)
