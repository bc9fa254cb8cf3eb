"""jambonz `listen`, which is FreeSWITCH's mod_audio_fork: binary L16 both ways, JSON beside it.

https://docs.jambonz.org/verbs/verbs/listen and https://github.com/jambonz/freeswitch-modules. Audio to the
caller is binary in streaming mode, else one `playAudio` a sentence.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from voicegw.audio.format import AudioFormat
from voicegw.call.mouth import Player
from voicegw.carriers.base import FAR_LEAD_US, NOTHING, Inbound, Message, Telephone
from voicegw.carriers.fields import (
    base64_text,
    compact,
    identity,
    inner,
    json_object,
    key,
    texts,
    whole,
)
from voicegw.carriers.held import HeldAudio
from voicegw.carriers.marks import Marks
from voicegw.errors import CarrierError

# The module keeps a short end back until more comes (80 to 160 ms): silence behind it brings it out.
TAIL_FRAMES = 10
# What jambonz tells of every call, and nobody asks for: `metadata` of the verb stands beside it.
_OWN = frozenset(
    [
        "sampleRate",
        "mixType",
        "callSid",
        "direction",
        "from",
        "to",
        "callId",
        "sbcCallid",
        "sipStatus",
        "sipReason",
        "callStatus",
        "callerId",
        "callerName",
        "accountSid",
        "traceId",
        "applicationSid",
        "fsSipAddress",
        "fsPublicIp",
        "apiBaseUrl",
        "originatingSipIp",
        "originatingSipTrunkName",
        "parentCallSid",
        "headers",
        "bidir",
        "bidirRate",
    ]
)


class Jambonz(Telephone):
    """One listen. `query` may tell `rate` and `channels` where no metadata does."""

    name: ClassVar[str] = "jambonz"
    subprotocols: ClassVar[tuple[str, ...]] = ("audio.drachtio.org", "audio.jambonz.org")
    # mod_audio_fork without metadata begins with audio.
    awaits_start: ClassVar[bool] = False

    def __init__(
        self, query: Mapping[str, str] | None = None, *, rate_hz: int = 16000, streaming: bool = True
    ) -> None:
        self._query = dict(query or {})
        self._rate_hz = _rate(self._query.get("rate"), rate_hz)
        self._streaming = streaming
        self._format = AudioFormat("l16", self._rate_hz)
        self._audio = HeldAudio()
        self._marks = Marks()
        self._begun = False
        self._is_jambonz = False
        self._sentence = bytearray()

    @property
    def player(self) -> Player:
        """Known from the metadata on."""
        if self._streaming:
            return Player(self._format, lead_us=FAR_LEAD_US, marks=True, tail_frames=TAIL_FRAMES)
        return Player(self._format, marks=True, whole=True)

    def parse(self, message: Message) -> Sequence[Inbound]:
        """The first text is the call's metadata, whatever it holds."""
        if isinstance(message, bytes):
            return self._audio.push(message)
        if not self._begun:
            return self._begin(_metadata(message))
        found = json_object(message)
        if found.get("event") == "dtmf":
            return key(found.get("dtmf"))
        data = inner(found, "data")
        if found.get("type") == "mark" and data.get("event") != "cleared":
            return self._marks.played(data.get("name"))
        return self._marks.played(data.get("id")) if found.get("type") == "playDone" else ()

    def known(self) -> Sequence[Inbound]:
        """No metadata: the address and the settings must do."""
        return self._begin({})

    def _begin(self, found: dict[str, Any]) -> Sequence[Inbound]:
        self._begun = True
        self._is_jambonz = "sbcCallid" in found or "applicationSid" in found
        parameters = {**self._query, **texts(found)}
        rate_hz = _rate(parameters.get("sampleRate"), self._rate_hz)
        if "bidir" in parameters:
            self._streaming = parameters["bidir"] != "play"
        self._format = AudioFormat("l16", _rate(parameters.get("bidirRate"), rate_hz))
        stereo = parameters.get("mixType") == "stereo" or parameters.get("channels") == "2"
        start = identity(
            {name: value for name, value in texts(found).items() if name not in _OWN},
            external_id=parameters.get("callSid", ""),
            caller=parameters.get("from", ""),
            called=parameters.get("to", ""),
        )
        return (start, *self._audio.begin(AudioFormat("l16", rate_hz), stereo=stereo))

    def render(self, frame: bytes) -> Message:
        """Streaming: a binary message. Else it waits for its sentence to be whole."""
        if self._streaming:
            return without_marker(frame)
        self._sentence += frame
        return b""

    def mark(self, speech_id: int) -> Sequence[Message]:
        """`mark`, or the whole sentence, of which `playDone` tells."""
        name = self._marks.name(speech_id)
        if self._streaming:
            return (compact({"type": "mark", "data": {"name": name}}),)
        audio, self._sentence = base64_text(bytes(self._sentence)), bytearray()
        data = {
            "audioContent": audio,
            "audioContentType": "raw",
            "sampleRate": self._format.rate_hz,
            "id": name,
            "queuePlay": True,
        }
        return (compact({"type": "playAudio", "data": data}),)

    def clear(self) -> Sequence[Message]:
        """`killAudio`."""
        self._marks.clear()
        self._sentence.clear()
        return ('{"type":"killAudio"}',)

    def transfer(self, target: str) -> Sequence[Message]:
        """`transfer`, which mod_audio_fork hands to its application; jambonz itself ignores it."""
        return NOTHING if self._is_jambonz else (compact({"type": "transfer", "data": {"to": target}}),)

    def hang_up(self, reason: str) -> Sequence[Message]:
        """`disconnect`: the verb ends, and its actionHook decides."""
        return ('{"type":"disconnect"}',)


def _rate(value: object, otherwise: int) -> int:
    rate_hz = whole(value, otherwise)
    if not 8000 <= rate_hz <= 64000:
        raise CarrierError("bad_rate", "The stream's rate makes no sense.", fatal=True)
    return rate_hz


def _metadata(message: str) -> dict[str, Any]:
    """mod_audio_fork sends whatever text it was given."""
    try:
        return json_object(message)
    except CarrierError:
        return {"text": message}


def without_marker(frame: bytes) -> bytes:
    """The module takes a sample of -1 for its own marker: 0 in its place is not heard."""
    if b"\xff\xff" not in frame:
        return frame
    samples = np.frombuffer(frame, "<i2").copy()
    samples[samples == -1] = 0
    return samples.tobytes()


def listen_verbs(url: str, rate_hz: int, metadata: dict[str, str], basic: str) -> list[dict[str, Any]]:
    """The hook's answer that starts the stream to `url`, and ends the call when the stream ends."""
    streaming = metadata.get("bidir") != "play"
    verb: dict[str, Any] = {
        "verb": "listen",
        "url": url,
        "mixType": "mono",
        "sampleRate": rate_hz,
        "passDtmf": True,
        "metadata": metadata,
        "bidirectionalAudio": {"enabled": True, "streaming": streaming, "sampleRate": rate_hz},
    }
    if basic:
        username, _, password = basic.partition(":")
        verb["wsAuth"] = {"username": username, "password": password}
    return [verb, {"verb": "hangup"}]
