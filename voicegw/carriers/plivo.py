"""Plivo audio streams (`<Stream bidirectional="true">`): JSON text messages, mu-law or L16 in base64.

https://www.plivo.com/docs/voice/xml/audio-streaming
"""

import json
import re
from collections.abc import Sequence
from typing import Any, ClassVar
from xml.sax.saxutils import escape

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
    text,
    texts,
    whole,
)
from voicegw.carriers.marks import Marks
from voicegw.errors import CarrierError


class Plivo(Telephone):
    """One stream. A checkpoint that was cleared is never answered: the clock tells then."""

    name: ClassVar[str] = "plivo"

    def __init__(self) -> None:
        self._format = AudioFormat("ulaw", 8000)
        self._decoder = self._format.decoder()
        self._marks = Marks()
        self._stream = ""
        self._media_head = ""

    @property
    def player(self) -> Player:
        """The stream's own format."""
        return Player(self._format, lead_us=FAR_LEAD_US, marks=True)

    def parse(self, message: Message) -> Sequence[Inbound]:
        """`media` is nearly all that comes; there is no `connected`, and mostly no `stop`."""
        if isinstance(message, bytes):
            raise CarrierError("no_binary", "Plivo's streams have no binary messages.")
        found = json_object(message)
        event = found.get("event")
        if event == "media":
            media = inner(found, "media")
            if media.get("track", "inbound") != "inbound":
                return ()
            return (self._decoder.push(base64_audio(media.get("payload"))),)
        if event == "start":
            return self._started(found)
        if event in ("playedStream", "played"):
            return self._marks.played(found.get("name"))
        if event == "dtmf":
            return key(inner(found, "dtmf").get("digit"))
        return (HangUpRequest("caller"),) if event == "stop" else ()

    def _started(self, found: dict[str, Any]) -> Sequence[Inbound]:
        start = inner(found, "start")
        media = inner(start, "mediaFormat")
        # The type may carry its rate: audio/x-l16;rate=16000.
        kind, _, rest = text(media.get("encoding")).partition(";")
        rate_hz = whole(rest.rpartition("=")[2], whole(media.get("sampleRate"), 8000))
        ulaw = "mulaw" in kind
        if not (ulaw or "l16" in kind) or not 8000 <= rate_hz <= 48000 or (ulaw and rate_hz != 8000):
            raise CarrierError(
                "codec_not_supported",
                "The stream's audio format is not understood.",
                "Set contentType to audio/x-mulaw;rate=8000 or audio/x-l16;rate=16000.",
                fatal=True,
            )
        self._format = AudioFormat("ulaw" if ulaw else "l16", rate_hz)
        self._decoder = self._format.decoder()
        self._stream = text(start.get("streamId")) or text(found.get("streamId"))
        media_type = "audio/x-mulaw" if ulaw else "audio/x-l16"
        about = {"contentType": media_type, "sampleRate": rate_hz, "payload": ""}
        self._media_head = compact({"event": "playAudio", "media": about})[:-3]
        parameters = extra_headers(found.get("extra_headers", start.get("extra_headers")))
        return (identity(parameters, external_id=text(start.get("callId"))),)

    def render(self, frame: bytes) -> Message:
        """A `playAudio` message."""
        return f'{self._media_head}{base64_text(frame)}"}}}}'

    def mark(self, speech_id: int) -> Sequence[Message]:
        """`checkpoint`; `playedStream` comes when it was played."""
        name = self._marks.name(speech_id)
        return (compact({"event": "checkpoint", "streamId": self._stream, "name": name}),)

    def clear(self) -> Sequence[Message]:
        """`clearAudio`."""
        self._marks.clear()
        return (compact({"event": "clearAudio", "streamId": self._stream}),) if self._stream else NOTHING

    def dtmf(self, digits: str) -> Sequence[Message]:
        """`sendDTMF`."""
        return (compact({"event": "sendDTMF", "dtmf": digits}),)


def extra_headers(value: object) -> dict[str, str]:
    """Plivo's `extra_headers`: an object, one as JSON text, or k=v separated by ; or ,."""
    if isinstance(value, dict):
        return texts(value)
    if not isinstance(value, str):
        return {}
    if value.lstrip().startswith("{"):
        try:
            return texts(json.loads(value))
        except (ValueError, RecursionError):
            return {}
    pairs = (pair.partition("=") for pair in re.split("[;,]", value))
    return texts({name.strip(): entry.strip() for name, _, entry in pairs if name.strip()})


def stream_xml(url: str) -> str:
    """The XML that connects a call to the stream at `url` and keeps it until the stream ends.

    What is told of the call stands in the address: `extraHeaders` takes letters and digits only.
    """
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Stream bidirectional="true" keepCallAlive="true" '
        f'audioTrack="inbound" contentType="audio/x-mulaw;rate=8000">{escape(url)}</Stream></Response>'
    )
