"""Vonage Voice API websockets: binary L16 messages of exactly 20 ms, JSON text events.

https://developer.vonage.com/en/voice/voice-api/guides/websockets
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from voicegw.audio.format import AudioFormat
from voicegw.call.mouth import Player
from voicegw.carriers.base import FAR_LEAD_US, HangUpRequest, Inbound, Message, Telephone
from voicegw.carriers.fields import compact, identity, inner, json_object, key, text, texts, whole
from voicegw.carriers.held import HeldAudio
from voicegw.carriers.marks import Marks
from voicegw.errors import CarrierError


class Vonage(Telephone):
    """One websocket leg. Its rate stands in the first message."""

    name: ClassVar[str] = "vonage"

    def __init__(self) -> None:
        self._format = AudioFormat("l16", 16000)
        self._audio = HeldAudio()
        self._marks = Marks()

    @property
    def player(self) -> Player:
        """Frames of exactly 20 ms: others make Vonage hang up."""
        return Player(self._format, lead_us=FAR_LEAD_US, marks=True)

    def parse(self, message: Message) -> Sequence[Inbound]:
        """Audio is binary; the first text tells its rate and who calls."""
        if isinstance(message, bytes):
            return self._audio.push(message)
        found = json_object(message)
        event = found.get("event")
        if event == "websocket:connected":
            return self._connected(found)
        if event == "websocket:notify":
            return self._marks.played(inner(found, "payload").get("mark"))
        if event == "websocket:dtmf":
            return key(found.get("digit", inner(found, "dtmf").get("digit")))
        return (HangUpRequest("caller"),) if event == "websocket:hangup" else ()

    def _connected(self, found: dict[str, Any]) -> Sequence[Inbound]:
        kind = text(found.pop("content-type", ""))
        rate_hz = whole(kind.rpartition("rate=")[2].partition(";")[0].strip(), 16000)
        if not 8000 <= rate_hz <= 48000:
            raise CarrierError(
                "bad_rate", "The stream's rate makes no sense.", "Use audio/l16;rate=16000.", fatal=True
            )
        self._format = AudioFormat("l16", rate_hz)
        del found["event"]
        # What the NCCO puts into `headers` comes flattened, in some variants as an object.
        parameters = {**texts(found.pop("headers", None)), **texts(found)}
        return (identity(parameters), *self._audio.begin(self._format))

    def render(self, frame: bytes) -> Message:
        """A frame is a binary message."""
        return frame

    def mark(self, speech_id: int) -> Sequence[Message]:
        """`notify`; comes back when what was sent before it has been played."""
        return (compact({"action": "notify", "payload": {"mark": self._marks.name(speech_id)}}),)

    def clear(self) -> Sequence[Message]:
        """`clear`."""
        self._marks.clear()
        return ('{"action":"clear"}',)


def connect_ncco(
    url: str, rate_hz: int, headers: dict[str, str], *, signed: bool = False
) -> list[dict[str, Any]]:
    """The NCCO that connects a call to the websocket at `url`. `headers` may have 512 bytes as JSON.

    `signed` asks Vonage to sign its request as it signs its webhooks.
    """
    endpoint: dict[str, Any] = {
        "type": "websocket",
        "uri": url,
        "content-type": f"audio/l16;rate={rate_hz}",
        "headers": headers,
    }
    if signed:
        endpoint["authorization"] = {"type": "vonage"}
    return [{"action": "connect", "endpoint": [endpoint]}]
