"""Asterisk AudioSocket: frames of type, length and payload over bare TCP; paced strictly, 20 ms each.

https://docs.asterisk.org/Configuration/Channel-Drivers/AudioSocket/ . Asterisk has no buffer: what comes too
early is garbled, what comes too late is a gap. Anything but audio and a hang-up from us ends the call.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from voicegw.audio.format import AudioFormat
from voicegw.audio.pcm import FRAME_US
from voicegw.call.mouth import Player
from voicegw.carriers.base import HangUpRequest, Inbound, Message, Start, Telephone
from voicegw.carriers.fields import key
from voicegw.carriers.held import HeldAudio
from voicegw.errors import CarrierError

HANGUP, UUID, DTMF = 0x00, 0x01, 0x03
# The type says the rate.
RATES: Mapping[int, int] = {
    0x10: 8000,
    0x11: 12000,
    0x12: 16000,
    0x13: 24000,
    0x14: 32000,
    0x15: 44100,
    0x16: 48000,
    0x17: 96000,
    0x18: 192000,
}
HEAD_BYTES = 3
Lookup = Callable[[str], Start | None]


class AudioSocket(Telephone):
    """One connection, one call. `lookup` tells what was registered under a UUID before the call."""

    name: ClassVar[str] = "audiosocket"
    awaits_start: ClassVar[bool] = False
    ping_s: float = 0.0

    def __init__(self, lookup: Lookup = lambda uuid: None, *, known_only: bool = False) -> None:
        self._lookup = lookup
        self._known_only = known_only
        self._buffer = bytearray()
        self._start: Start | None = None
        self._begun = False
        self._type = 0x10
        self._audio = HeldAudio()

    @property
    def player(self) -> Player:
        """The rate that Asterisk sends, one frame ahead, and silence when nothing is said.

        After 2 s without a frame in either direction Asterisk ends the call.
        """
        return Player(AudioFormat("l16", RATES[self._type]), lead_us=FRAME_US, along_us=0, fills=True)

    def parse(self, message: Message) -> Sequence[Inbound]:
        """Take bytes as TCP brings them."""
        if isinstance(message, str):
            raise CarrierError("no_text", "AudioSocket has no text messages.", fatal=True)
        return self.feed(message)

    def feed(self, data: bytes) -> Sequence[Inbound]:
        """Take the next bytes of the stream; frames are split and joined at will. Raises CarrierError."""
        buffer = self._buffer
        buffer += data
        out: list[Inbound] = []
        at = 0
        while len(buffer) - at >= HEAD_BYTES:
            end = at + HEAD_BYTES + int.from_bytes(buffer[at + 1 : at + HEAD_BYTES], "big")
            if end > len(buffer):
                break
            out += self._frame(buffer[at], bytes(buffer[at + HEAD_BYTES : end]))
            at = end
        del buffer[:at]
        return out

    def _frame(self, kind: int, payload: bytes) -> Sequence[Inbound]:
        if kind == UUID:
            return self._named(payload)
        if self._start is None:
            raise CarrierError("no_uuid", "The first frame is not the call's UUID.", fatal=True)
        if kind in RATES:
            return self._sound(kind, payload)
        if kind == DTMF:
            return key(payload[:1].decode("ascii", "ignore"))
        # 0xff and what newer releases may add are told about, and change nothing.
        return (HangUpRequest("caller"),) if kind == HANGUP else ()

    def _named(self, payload: bytes) -> Sequence[Inbound]:
        if len(payload) != 16:
            raise CarrierError("bad_uuid", "The call's UUID does not have 16 bytes.", fatal=True)
        digits = payload.hex()
        name = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        known = self._lookup(name)
        if known is None and self._known_only:
            raise CarrierError("unknown_uuid", "The call's UUID was not registered.", fatal=True)
        self._start = known or Start(external_id=name)
        return ()

    def _sound(self, kind: int, payload: bytes) -> Sequence[Inbound]:
        # An odd byte at the end belongs to nothing.
        pcm = payload[: len(payload) & ~1]
        if self._begun:
            return self._audio.push(pcm) if kind == self._type else ()
        # The first sound tells the rate: only now is it known what to answer with.
        self._type = kind
        self._audio.push(pcm)
        return self.known()

    def known(self) -> Sequence[Inbound]:
        """The UUID and what was registered under it, at 8 kHz if no sound has come."""
        if self._start is None:
            raise CarrierError("no_uuid", "No UUID came.", fatal=True)
        self._begun = True
        return (self._start, *self._audio.begin(AudioFormat("l16", RATES[self._type])))

    def render(self, frame: bytes) -> Message:
        """Head and payload in one piece: Asterisk waits 5 ms for what is missing."""
        return bytes((self._type,)) + len(frame).to_bytes(2, "big") + frame

    def hang_up(self, reason: str) -> Sequence[Message]:
        """The dialplan goes on behind it."""
        return (b"\0\0\0",)
