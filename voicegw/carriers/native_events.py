"""The JSON events of the native protocol, both directions. docs/protocol.md explains them.

Server events are the call's notices plus those of the connection below.
"""

import json
import re
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, with_config

from voicegw.call import notices

PROTOCOL_VERSION = 1
_STRICT = ConfigDict(extra="forbid")
Name = Annotated[str, Field(max_length=200)]


# Client to gateway


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Start:
    """Who is calling. May come late; then it only adds metadata."""

    type: Literal["start"]
    external_id: Name = ""
    caller: Name = ""
    called: Name = ""
    persona: Name = ""
    language: Name = ""
    resume_token: Name = ""
    metadata: dict[Name, Annotated[str, Field(max_length=2000)]] = field(default_factory=dict)


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Text:
    """The caller types instead of speaking."""

    type: Literal["text"]
    text: Annotated[str, Field(min_length=1, max_length=4000)]


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Image:
    """A photo of the caller, or a part of one: the parts of an `image_id` belong together, in order."""

    type: Literal["image"]
    data: str
    image_id: Name = ""
    media_type: Name = ""
    last: bool = True
    text: Annotated[str, Field(max_length=4000)] = ""


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Transferred:
    """The hand-over that `transfer` asked for has worked, or has not."""

    type: Literal["transferred"]
    done: bool


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Dtmf:
    """A pressed key."""

    type: Literal["dtmf"]
    digit: Annotated[str, Field(pattern=r"^[0-9*#A-D]$")]


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Played:
    """How far a sentence was played: `samples` of it at 16 kHz, or all of it when they are left out."""

    type: Literal["played"]
    speech_id: Annotated[int, Field(ge=0)]
    samples: Annotated[int, Field(ge=0)] | None = None


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Hold:
    """The caller holds the call, or is back."""

    type: Literal["hold"]
    on: bool


@with_config(_STRICT)
@dataclass(frozen=True, slots=True)
class Hangup:
    """The caller hangs up."""

    type: Literal["hangup"]
    reason: Name = ""


ClientEvent = Annotated[
    Start | Text | Image | Dtmf | Played | Transferred | Hold | Hangup, Field(discriminator="type")
]
CLIENT_EVENT: TypeAdapter[Start | Text | Image | Dtmf | Played | Transferred | Hold | Hangup] = TypeAdapter(
    ClientEvent
)
CLIENT_TYPES = ("start", "text", "image", "dtmf", "played", "transferred", "hold", "hangup")


# Gateway to client, about the connection


@dataclass(frozen=True, slots=True)
class Ready:
    """The call has begun. `resume_token` and nothing else lets another connection go on with it."""

    protocol: int
    call_id: str
    resume_token: str
    persona: str
    language: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop playing and keep what is there: it is not decided whether the caller interrupts."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on playing."""


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop all audio that was not played."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The last audio of a sentence has been sent; answer with `played` when it was heard."""

    speech_id: int


@dataclass(frozen=True, slots=True)
class Error:
    """Something was wrong: `code` for programs, `message` and `hint` for people."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class HangupNotice:
    """The call is over; the connection is closed behind this."""

    reason: str


SERVER_EVENTS: tuple[type, ...] = (
    Ready,
    notices.VoiceStarted,
    notices.VoiceStopped,
    notices.Transcript,
    notices.Draft,
    notices.SpeechStarted,
    notices.ReplyText,
    notices.SpeechStopped,
    notices.Latency,
    notices.Cost,
    notices.Rung,
    notices.Tool,
    notices.Transfer,
    notices.Callback,
    notices.Outcome,
    notices.Verdict,
    notices.PhotoWanted,
    Pause,
    Resume,
    Clear,
    Mark,
    Error,
    HangupNotice,
    notices.Recording,
)


def type_name(event: type) -> str:
    """The event's `type` on the wire: its name in snake case."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__.removesuffix("Notice")).lower()


TYPE_NAMES = {event: type_name(event) for event in SERVER_EVENTS}


def wire(event: Any) -> dict[str, Any]:
    """A server event as the object that is sent as JSON."""
    return {"type": TYPE_NAMES[type(event)], **asdict(event)}


def schema() -> dict[str, Any]:
    """The JSON Schema of both directions (draft 2020-12)."""
    definitions: dict[str, Any] = {}
    for event in SERVER_EVENTS:
        found = TypeAdapter(event).json_schema()
        name = TYPE_NAMES[event]
        properties = {"type": {"const": name}, **found.get("properties", {})}
        # Whoever reads must bear fields that a later version adds.
        definitions[f"server_{name}"] = {
            "type": "object",
            "description": found.get("description", ""),
            "properties": properties,
            "required": list(properties),
        }
    client = CLIENT_EVENT.json_schema(ref_template="#/$defs/client_{model}")
    for name, definition in client["$defs"].items():
        definition.pop("title", None)
        definitions[f"client_{name}"] = definition
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"voicegw native protocol {PROTOCOL_VERSION}",
        "$defs": dict(sorted(definitions.items())),
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in sorted(definitions)],
    }


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2, ensure_ascii=False))
