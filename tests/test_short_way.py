"""Whole messages go past websockets' parser; whatever comes in other pieces, the messages are the same."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateways import settings_for
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from voicegw.carriers.base import Message
from voicegw.carriers.native import Native
from voicegw.server.line import WebSocketLine
from voicegw.server.short_way import whole_message, wire_bytes

Sent = tuple[Opcode, int, bool]
KINDS = st.sampled_from([Opcode.BINARY, Opcode.TEXT, Opcode.PING])
SIZES = st.one_of(st.integers(0, 130), st.just(640), st.integers(65_530, 65_536))
MESSAGES = st.lists(st.tuples(KINDS, SIZES, st.booleans()), max_size=12)
AUDIO = (Opcode.BINARY, 640, False)


class _Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.reads = asyncio.Event()
        self.reads.set()

    def pause_reading(self) -> None:
        self.reads.clear()

    def resume_reading(self) -> None:
        self.reads.set()

    def write(self, data: Any) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        """Nobody reads on."""

    abort = close


class _Line(WebSocketLine):
    """Takes every call, and keeps what it is sent."""

    def __init__(self, folder: Path) -> None:
        self.server = ServerProtocol()
        self.messages: list[Message] = []
        self.session = None
        super().__init__(SimpleNamespace(settings=settings_for(folder)), self.server)  # type: ignore[arg-type]

    def received(self, message: Message) -> bool:
        self.messages.append(message)
        return True

    def _take_handshake(self, event: Any) -> None:
        self.server.send_response(self.server.accept(event))
        self._opened(Native())
        self._arrival = self  # type: ignore[assignment]


def _client() -> tuple[ClientProtocol, bytes]:
    client = ClientProtocol(parse_uri("ws://gateway/v1/call"))
    client.send_request(client.connect())
    return client, b"".join(client.data_to_send())


def _frames(sent: list[Sent]) -> tuple[list[bytes], list[Message]]:
    """What a client sends, frame by frame, and the messages in it."""
    wires: list[bytes] = []
    messages: list[Message] = []
    for number, (kind, size, in_parts) in enumerate(sent):
        if kind is Opcode.PING:
            wires.append(Frame(kind, b"?" * min(size, 125)).serialize(mask=True))
            continue
        data = bytes(97 + (number + at) % 26 for at in range(size))
        messages.append(data if kind is Opcode.BINARY else data.decode())
        if not in_parts:
            wires.append(Frame(kind, data).serialize(mask=True))
            continue
        # A ping may come between the parts of a message.
        wires.append(Frame(kind, data[: size // 3], fin=False).serialize(mask=True))
        wires.append(Frame(Opcode.PING, b"").serialize(mask=True))
        wires.append(Frame(Opcode.CONT, data[size // 3 :]).serialize(mask=True))
    return wires, messages


@given(sent=MESSAGES, cuts=st.lists(st.integers(1, 1500), max_size=40), whole=st.booleans())
@example(sent=[AUDIO] * 5, cuts=[], whole=True)
@example(sent=[AUDIO, (Opcode.BINARY, 640, True), AUDIO], cuts=[], whole=True)
# The read ends behind a header: nothing is left in the parser's buffer, and yet the frame has begun.
@example(sent=[AUDIO] * 3, cuts=[648, 8, 640], whole=False)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_messages_are_the_same_however_their_bytes_come(
    tmp_path: Path, sent: list[Sent], cuts: list[int], whole: bool
) -> None:
    """Networks cut where they like: also behind a header, or between the parts of a message."""
    asyncio.run(_deliver(tmp_path, sent, cuts, whole))


async def _deliver(folder: Path, sent: list[Sent], cuts: list[int], whole: bool) -> None:
    line, wire = _Line(folder), _Wire()
    line.connection_made(wire)
    _, request = _client()
    line.data_received(request)
    pieces, expected = _frames(sent)
    if not whole:
        data = b"".join(pieces)
        pieces = []
        for size in cuts:
            pieces.append(data[:size])
            data = data[size:]
        pieces.append(data)
    for piece in filter(None, pieces):
        line.data_received(piece)
        # It takes what is large in slices, and reads on when it is through.
        await wire.reads.wait()
    assert line.messages == expected


def test_what_breaks_the_protocol_is_still_the_parsers_to_judge(tmp_path: Path) -> None:
    """A new message within one that is not complete is an error, also where it is whole by itself."""

    async def scenario() -> None:
        line, wire = _Line(tmp_path), _Wire()
        line.connection_made(wire)
        client, request = _client()
        line.data_received(request)
        client.receive_data(wire.sent)
        answered = len(wire.sent)
        line.data_received(Frame(Opcode.BINARY, bytes(640), fin=False).serialize(mask=True))
        line.data_received(Frame(Opcode.BINARY, bytes(640)).serialize(mask=True))
        client.receive_data(wire.sent[answered:])
        assert line.messages == []
        assert client.close_rcvd is not None
        assert client.close_rcvd.code == 1002

    asyncio.run(scenario())


def test_nothing_is_heard_behind_a_close(tmp_path: Path) -> None:
    """RFC 6455, 1.4: whoever has said goodbye sends nothing that counts."""

    async def scenario() -> None:
        line = _Line(tmp_path)
        line.connection_made(_Wire())
        line.data_received(_client()[1])
        line.data_received(Frame(Opcode.BINARY, bytes(640)).serialize(mask=True))
        line.data_received(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
        line.data_received(Frame(Opcode.BINARY, bytes(640)).serialize(mask=True))
        assert line.messages == [bytes(640)]

    asyncio.run(scenario())


def test_only_a_whole_message_goes_the_short_way() -> None:
    """Everything else is the parser's: also what only looks alike."""
    audio = Frame(Opcode.BINARY, bytes(range(200))).serialize(mask=True)
    assert whole_message(audio) == bytes(range(200))
    assert whole_message(audio[:-1]) is None
    assert whole_message(audio + audio) is None
    assert whole_message(b"\x82") is None
    # Compressed, which is not agreed on.
    assert whole_message(bytes([audio[0] | 0x40]) + audio[1:]) is None
    others = [
        Frame(Opcode.BINARY, bytes(100)),  # a short header
        Frame(Opcode.BINARY, bytes(70_000)),  # a long one
        Frame(Opcode.BINARY, bytes(200), fin=False),
        Frame(Opcode.CONT, bytes(200)),
    ]
    for frame in others:
        wire = frame.serialize(mask=True)
        assert whole_message(wire) is None
        assert wire_bytes(frame) == len(wire)
    assert whole_message(Frame(Opcode.BINARY, bytes(200)).serialize(mask=False)) is None
