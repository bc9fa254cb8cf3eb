"""Asterisk's end of AudioSocket."""

import uuid
from collections.abc import Sequence
from typing import ClassVar

from voicegw.carriers.base import Message
from voicegw.rehearsal.bridges.base import Bridge, HangUpSent, Taken


class AudioSocketBridge(Bridge):
    """Asterisk AudioSocket: frames over TCP, which may be split anywhere."""

    name = "audiosocket"
    kind = 0x10
    _kinds: ClassVar[dict[int, int]] = {8000: 0x10, 12000: 0x11, 16000: 0x12, 24000: 0x13, 48000: 0x16}
    _buffer = b""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.kind = self._kinds[self.format.rate_hz]

    def open(self) -> Sequence[Message]:
        return (b"\x01\x00\x10" + uuid.UUID(self.identity["external_id"]).bytes,)

    def _media(self, data: bytes) -> Message:
        return bytes((self.kind,)) + len(data).to_bytes(2, "big") + data

    def dtmf(self, digit: str) -> Sequence[Message]:
        return (b"\x03\x00\x01" + digit.encode(),)

    def hang_up(self) -> Sequence[Message]:
        return (b"\0\0\0",)

    def take(self, message: Message) -> Sequence[Taken]:
        assert isinstance(message, bytes)
        data, out = self._buffer + message, []
        while len(data) >= 3 and len(data) >= 3 + (size := int.from_bytes(data[1:3], "big")):
            kind, payload, data = data[0], data[3 : 3 + size], data[3 + size :]
            if kind == 0 and not size:
                out.append(HangUpSent())
            elif kind == self.kind and size == self.format.frame_bytes:
                out.append(self._reader.push(payload))
            else:
                raise ValueError(f"a frame of type {kind:#x} with {size} bytes ends the call")
        self._buffer = data
        return out
