"""The gateway's own protocol at `/v1/call`: binary messages are pcm, text messages are JSON events.

docs/protocol.md is its description for those who write the other end.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import ValidationError

from voicegw.audio.pcm import SAMPLE_BYTES
from voicegw.call.events import CallerHold, CallerText, Dtmf, TransferEnded
from voicegw.call.mouth import NATIVE, Player
from voicegw.call.notices import Notice
from voicegw.carriers import native_events as wire
from voicegw.carriers.base import (
    NOTHING,
    HangUpRequest,
    Inbound,
    Message,
    PhotoPart,
    PlayedReport,
    Ready,
    Start,
)
from voicegw.carriers.fields import json_object
from voicegw.errors import CarrierError

# One second: a bridge that sends more at once is not live.
MAX_AUDIO_BYTES = 32_000
# `json.dumps` with such settings makes a new encoder for each event.
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Native:
    """The native protocol, on one connection."""

    name: ClassVar[str] = "native"
    subprotocols: ClassVar[tuple[str, ...]] = ("voicegw.v1",)
    # Audio has its own, smaller limit; 64 kB holds any event but a photo, which has a way of its own.
    max_message_bytes: ClassVar[int] = 65_536
    ping_s: ClassVar[float] = 20.0
    pong_timeout_s: ClassVar[float] = 20.0
    awaits_start: ClassVar[bool] = False
    ends_with_line: ClassVar[bool] = False
    player: Player = NATIVE

    def parse(self, message: Message) -> Sequence[Inbound]:
        """Return the audio or the event. Raises CarrierError; only binary errors are fatal."""
        if isinstance(message, bytes):
            if len(message) % SAMPLE_BYTES or len(message) > MAX_AUDIO_BYTES:
                raise _bad_audio(len(message))
            return (message,)
        return self._event(json_object(message))

    def _event(self, found: dict[str, Any]) -> Sequence[Inbound]:
        if found.get("type") not in wire.CLIENT_TYPES:
            known = ", ".join(wire.CLIENT_TYPES)
            raise CarrierError("unknown_event", "There is no such event.", f"Send one of: {known}.")
        try:
            event = wire.CLIENT_EVENT.validate_python(found)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise CarrierError("bad_event", f"{place}: {first['msg']}.", "See docs/protocol.md.") from None
        match event:
            case wire.Start():
                return (
                    Start(
                        event.external_id,
                        event.caller,
                        event.called,
                        event.persona,
                        event.language,
                        event.resume_token,
                        event.metadata,
                    ),
                )
            case wire.Text():
                return (CallerText(event.text),)
            case wire.Dtmf():
                return (Dtmf(event.digit),)
            case wire.Played():
                return (PlayedReport(event.speech_id, event.samples),)
            case wire.Hold():
                return (CallerHold(event.on),)
            case wire.Hangup():
                return (HangUpRequest(event.reason or "caller"),)
            case wire.Image():
                return (_photo_part(event),)
            case wire.Transferred():
                return (TransferEnded(event.done),)

    def render(self, frame: bytes) -> Message:
        """A frame is a binary message."""
        return frame

    def ready(self, ready: Ready) -> Sequence[Message]:
        """`ready`, with what a client needs to come back."""
        event = wire.Ready(
            wire.PROTOCOL_VERSION,
            ready.call_id,
            ready.resume_token,
            ready.persona,
            ready.language,
            ready.resumed,
        )
        return (_text(event),)

    def mark(self, speech_id: int) -> Sequence[Message]:
        """`mark` behind a sentence's audio."""
        return (_text(wire.Mark(speech_id)),)

    def pause(self) -> Sequence[Message]:
        """`pause`."""
        return (_text(wire.Pause()),)

    def resume(self) -> Sequence[Message]:
        """`resume`."""
        return (_text(wire.Resume()),)

    def clear(self) -> Sequence[Message]:
        """`clear`."""
        return (_text(wire.Clear()),)

    def known(self) -> Sequence[Inbound]:
        """A bridge that only connects gets a call with defaults."""
        return (Start(),)

    def transfer(self, target: str) -> Sequence[Message]:
        """Who is at the other end hands over by itself, when it is told."""
        return NOTHING

    def dtmf(self, digits: str) -> Sequence[Message]:
        """Keys are pressed by the caller only."""
        return NOTHING

    def notify(self, notice: Notice) -> Sequence[Message]:
        """Every notice is an event of the same name."""
        return (_text(notice),)

    def error(self, code: str, message: str, hint: str) -> Sequence[Message]:
        """`error`."""
        return (_text(wire.Error(code, message, hint)),)

    def hang_up(self, reason: str) -> Sequence[Message]:
        """`hangup`."""
        return (_text(wire.HangupNotice(reason)),)


def _text(event: Any) -> str:
    return _ENCODE(wire.wire(event))


def _photo_part(event: wire.Image) -> PhotoPart:
    # A data URL, as browsers make it, or its base64 alone.
    encoded = event.data.partition(",")[2] if event.data.startswith("data:") else event.data
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise CarrierError(
            "bad_image", "The data of an image is not base64.", "Send each part encoded by itself."
        ) from None
    return PhotoPart(event.image_id, data, event.last, event.text)


def _bad_audio(n_bytes: int) -> CarrierError:
    if n_bytes > MAX_AUDIO_BYTES:
        message = f"A binary message of {n_bytes} bytes is too long."
        return CarrierError(
            "audio_too_long", message, f"Send at most {MAX_AUDIO_BYTES}.", fatal=True, close_code=1009
        )
    message = f"A binary message of {n_bytes} bytes is no 16-bit audio."
    hint = "Send pcm: 16 bits, little-endian, mono, 16 kHz."
    return CarrierError("bad_audio", message, hint, fatal=True, close_code=1007)
