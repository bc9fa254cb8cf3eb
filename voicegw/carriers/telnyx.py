"""Telnyx media streaming in RTP mode: JSON text messages, RTP payloads in base64, in any order.

https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal
from xml.sax.saxutils import quoteattr

from voicegw.audio.format import AudioFormat, Codec
from voicegw.call.mouth import Player
from voicegw.carriers.base import FAR_LEAD_US, HangUpRequest, Inbound, Message, Telephone
from voicegw.carriers.byte_order import ByteOrderJudge
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
    whole,
)
from voicegw.carriers.marks import Marks
from voicegw.carriers.reorder import Concealment, Reorder
from voicegw.errors import CarrierError

ByteOrder = Literal["auto", "big", "little"]
CODECS: Mapping[str, Codec] = {"PCMU": "ulaw", "PCMA": "alaw", "L16": "l16be"}


class Telnyx(Telephone):
    """One media stream. `codec` and `rate_hz` are those of the audio to Telnyx, which no message tells."""

    name: ClassVar[str] = "telnyx"

    def __init__(self, codec: str = "PCMU", rate_hz: int = 8000, byte_order: ByteOrder = "auto") -> None:
        self._byte_order = byte_order
        self._marks = Marks()
        self._order = Reorder()
        self._concealment = Concealment()
        self._inbound = AudioFormat("ulaw", 8000)
        self._decoder = self._inbound.decoder()
        self._judge: ByteOrderJudge | None = None
        self._outbound = self._outgoing(codec, rate_hz)

    def _outgoing(self, codec: str, rate_hz: int) -> AudioFormat:
        found = CODECS.get(codec.upper(), "ulaw")
        if found != "l16be":
            return AudioFormat(found, 8000)
        return AudioFormat("l16" if self._byte_order == "little" else "l16be", rate_hz)

    @property
    def player(self) -> Player:
        """Known when the call begins: a custom parameter may name another codec."""
        return Player(self._outbound, lead_us=FAR_LEAD_US, marks=True)

    def parse(self, message: Message) -> Sequence[Inbound]:
        """`media` is nearly all that comes."""
        if isinstance(message, bytes):
            raise CarrierError("no_binary", "Telnyx's streams have no binary messages.")
        found = json_object(message)
        event = found.get("event")
        if event == "media":
            return self._media(inner(found, "media"))
        if event == "start":
            return self._started(inner(found, "start"))
        if event == "mark":
            return self._marks.played(inner(found, "mark").get("name"))
        if event == "dtmf":
            return key(inner(found, "dtmf").get("digit"))
        return (HangUpRequest("caller"),) if event == "stop" else ()

    def _started(self, start: dict[str, Any]) -> Sequence[Inbound]:
        media = inner(start, "media_format")
        name = text(media.get("encoding")).upper() or "PCMU"
        if name not in CODECS:
            raise CarrierError(
                "codec_not_supported",
                "The stream's codec is not understood.",
                "Set stream_codec to PCMU, PCMA or L16.",
                fatal=True,
            )
        rate_hz = whole(media.get("sample_rate"), 8000)
        if not 8000 <= rate_hz <= 48000:
            raise CarrierError("bad_rate", "The stream's sample rate makes no sense.", fatal=True)
        codec: Codec = CODECS[name]
        if codec == "l16be" and self._byte_order != "big":
            codec = "l16" if self._byte_order == "little" else "l16be"
            self._judge = ByteOrderJudge() if self._byte_order == "auto" else None
        self._inbound = AudioFormat(codec, rate_hz)
        self._decoder = self._inbound.decoder()
        parameters = texts(start.get("custom_parameters"))
        told = parameters.pop("codec", "")
        if told.upper() in CODECS:
            rate_told = whole(parameters.pop("rate", ""), self._outbound.rate_hz)
            self._outbound = self._outgoing(told, rate_told if 8000 <= rate_told <= 48000 else 8000)
        if state := text(start.get("client_state")):
            parameters.setdefault("client_state", state)
        return (
            identity(
                parameters,
                external_id=text(start.get("call_control_id")),
                caller=text(start.get("from")),
                called=text(start.get("to")),
            ),
        )

    def _media(self, media: dict[str, Any]) -> Sequence[Inbound]:
        if media.get("track", "inbound") != "inbound":
            return ()
        payload = base64_audio(media.get("payload"))
        number = whole(media.get("chunk"), -1)
        if number < 0:
            return (self._heard(payload),)
        return [
            self._concealment.lost() if packet is None else self._heard(packet)
            for packet in self._order.push(number, payload)
        ]

    def _heard(self, payload: bytes) -> bytes:
        if self._judge is not None and (big := self._judge.big_endian(payload)) is not None:
            self._judge = None
            if not big:
                self._inbound = AudioFormat("l16", self._inbound.rate_hz)
                self._decoder = self._inbound.decoder()
        return self._concealment.heard(self._decoder.push(payload))

    def render(self, frame: bytes) -> Message:
        """A `media` message."""
        return f'{{"event":"media","media":{{"payload":"{base64_text(frame)}"}}}}'

    def mark(self, speech_id: int) -> Sequence[Message]:
        """`mark`; comes back when played, and also after a `clear`."""
        return (compact({"event": "mark", "mark": {"name": self._marks.name(speech_id)}}),)

    def clear(self) -> Sequence[Message]:
        """`clear`."""
        self._marks.clear()
        return ('{"event":"clear"}',)


def connect_texml(url: str, parameters: dict[str, str], codec: str, rate_hz: int) -> str:
    """The TeXML that connects a call to the stream at `url`, in RTP mode: its default is MP3 files."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<Response><Connect><Stream url={quoteattr(url)} track="inbound_track" codec="PCMU" '
        f'bidirectionalMode="rtp" bidirectionalCodec="{codec}" bidirectionalSamplingRate="{rate_hz}">'
        f"{parameter_elements(parameters)}</Stream></Connect><Hangup/></Response>"
    )
