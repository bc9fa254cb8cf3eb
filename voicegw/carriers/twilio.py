"""Twilio Media Streams, bidirectional (`<Connect><Stream>`): JSON text messages, mu-law 8 kHz in base64.

https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

from collections.abc import Sequence
from typing import Any, ClassVar
from xml.sax.saxutils import quoteattr

from voicegw.audio.format import AudioFormat
from voicegw.call.mouth import Player
from voicegw.carriers.base import (
    FAR_LEAD_US,
    NOTHING,
    HangUpRequest,
    Inbound,
    Message,
    Telephone,
)
from voicegw.carriers.fields import (
    base64_audio,
    base64_text,
    compact,
    identity,
    inner,
    json_object,
    key,
    parameter_elements,
    text,
    texts,
)
from voicegw.carriers.marks import Marks
from voicegw.errors import CarrierError

ULAW = AudioFormat("ulaw", 8000)


class Twilio(Telephone):
    """One media stream."""

    name: ClassVar[str] = "twilio"
    player: Player = Player(ULAW, lead_us=FAR_LEAD_US, marks=True)

    def __init__(self) -> None:
        self._decoder = ULAW.decoder()
        self._marks = Marks()
        self._stream = ""
        self._media_head = ""

    def parse(self, message: Message) -> Sequence[Inbound]:
        """`media` is nearly all that comes."""
        if isinstance(message, bytes):
            raise CarrierError("no_binary", "Twilio's streams have no binary messages.")
        found = json_object(message)
        event = found.get("event")
        if event == "media":
            media = inner(found, "media")
            # With <Connect> only the caller's track comes; <Start> may send ours too.
            if media.get("track", "inbound") != "inbound":
                return ()
            return (self._decoder.push(base64_audio(media.get("payload"))),)
        if event == "start":
            return self._started(found)
        if event == "mark":
            return self._marks.played(inner(found, "mark").get("name"))
        if event == "dtmf":
            return key(inner(found, "dtmf").get("digit"))
        return (HangUpRequest("caller"),) if event == "stop" else ()

    def _started(self, found: dict[str, Any]) -> Sequence[Inbound]:
        start = inner(found, "start")
        stream = text(found.get("streamSid")) or text(start.get("streamSid"))
        if not stream:
            raise CarrierError("bad_start", "The start message has no streamSid.", fatal=True)
        self._stream = stream
        self._media_head = compact({"event": "media", "streamSid": stream, "media": {"payload": ""}})[:-3]
        parameters = texts(start.get("customParameters"))
        return (identity(parameters, external_id=text(start.get("callSid"))),)

    def render(self, frame: bytes) -> Message:
        """A `media` message."""
        return f'{self._media_head}{base64_text(frame)}"}}}}'

    def mark(self, speech_id: int) -> Sequence[Message]:
        """`mark`; comes back when played, and also after a `clear`."""
        mark = {"name": self._marks.name(speech_id)}
        return (compact({"event": "mark", "streamSid": self._stream, "mark": mark}),)

    def clear(self) -> Sequence[Message]:
        """`clear`."""
        self._marks.clear()
        return (compact({"event": "clear", "streamSid": self._stream}),) if self._stream else NOTHING


def connect_twiml(url: str, parameters: dict[str, str]) -> str:
    """The TwiML that connects a call to the stream at `url`; behind it the call ends."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<Response><Connect><Stream url={quoteattr(url)}>"
        f"{parameter_elements(parameters)}</Stream></Connect><Hangup/></Response>"
    )
