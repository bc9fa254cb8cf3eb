"""FreeSWITCH mod_audio_stream: binary L16 from the caller, whole sentences as JSON back.

https://github.com/amigniter/mod_audio_stream . The open edition plays nothing by itself: it writes each
sentence to a file and fires an event, and an application on its side must play, stop, hang up and transfer
(docs/carriers/freeswitch.md has it). The commercial edition plays, also binary messages.
"""

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar

from voicegw.audio.format import AudioFormat
from voicegw.call.mouth import Player
from voicegw.carriers.base import HangUpRequest, Inbound, Message, Telephone
from voicegw.carriers.fields import base64_text, compact, identity, json_object, key, texts, whole
from voicegw.carriers.held import HeldAudio
from voicegw.errors import CarrierError

# The module resamples from these only.
RATES = (8000, 16000, 24000, 32000, 48000, 64000)


class Freeswitch(Telephone):
    """One stream. `query` may tell `rate` and `channels`, which the module never does."""

    name: ClassVar[str] = "freeswitch"
    # Metadata is optional: without it audio is the first to come.
    awaits_start: ClassVar[bool] = False

    def __init__(
        self, query: Mapping[str, str] | None = None, *, rate_hz: int = 8000, binary: bool = False
    ) -> None:
        self._query = dict(query or {})
        self._format = AudioFormat("l16", rate_hz)
        self._binary = binary
        self._audio = HeldAudio()
        self._begun = False
        self._sentence = bytearray()

    @property
    def player(self) -> Player:
        """Sentences leave whole, unless the module plays binary messages."""
        return Player(self._format, whole=not self._binary)

    def parse(self, message: Message) -> Sequence[Inbound]:
        """Audio is binary; the first text is metadata, later ones come from the dialplan."""
        if isinstance(message, bytes):
            return self._audio.push(message)
        if not self._begun:
            return self._begin(message)
        try:
            found = json_object(message)
        except CarrierError:
            return ()  # `send_text` may send anything
        if found.get("event") == "dtmf":
            return key(found.get("digit"))
        return (HangUpRequest("caller"),) if found.get("event") == "hangup" else ()

    def known(self) -> Sequence[Inbound]:
        """No metadata: the address and the settings must do."""
        return self._begin("")

    def _begin(self, metadata: str) -> Sequence[Inbound]:
        self._begun = True
        try:
            found = json.loads(metadata)
        except (ValueError, RecursionError):
            found = {"text": metadata}
        parameters = {**self._query, **texts(found)}
        told = parameters.pop("sampleRate", "") or parameters.pop("rate", "")
        rate_hz = whole(told, self._format.rate_hz)
        if rate_hz not in RATES:
            known = ", ".join(map(str, RATES))
            raise CarrierError("bad_rate", "The stream's rate cannot be played.", f"Use {known}.", fatal=True)
        self._format = AudioFormat("l16", rate_hz)
        stereo = parameters.pop("channels", "") == "2"
        return (identity(parameters), *self._audio.begin(self._format, stereo=stereo))

    def render(self, frame: bytes) -> Message:
        """Waits for its sentence to be whole, unless binary messages are played."""
        if self._binary:
            return frame
        self._sentence += frame
        return b""

    def mark(self, speech_id: int) -> Sequence[Message]:
        """The sentence itself: there is no mark."""
        if self._binary:
            return ()
        audio, self._sentence = base64_text(bytes(self._sentence)), bytearray()
        data = {"audioDataType": "raw", "sampleRate": self._format.rate_hz, "audioData": audio}
        return (compact({"type": "streamAudio", "data": data}),)

    def clear(self) -> Sequence[Message]:
        """`killAudio`, for the application on the other side."""
        self._sentence.clear()
        return ('{"type":"killAudio"}',)

    def transfer(self, target: str) -> Sequence[Message]:
        """`transfer`, for the application on the other side."""
        return (compact({"type": "transfer", "data": {"to": target}}),)

    def hang_up(self, reason: str) -> Sequence[Message]:
        """`hangup`, for the application on the other side."""
        return ('{"type":"hangup"}',)
