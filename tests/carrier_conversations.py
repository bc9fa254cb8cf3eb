"""Plays the conversations of samples/carriers/ through a real gateway over real sockets."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from gateways import Running, running_gateway
from rehearsed import GO_FORWARD, WHEN
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from voicegw.audio.pcm import SAMPLE_BYTES, SAMPLES_PER_MS
from voicegw.call.events import CallStarted, Dtmf, Event, HungUp
from voicegw.carriers.base import Message
from voicegw.rehearsal.bridges import BRIDGES, Bridge
from voicegw.rehearsal.script import Script
from voicegw.rehearsal.telephone import Habits, Telephone
from voicegw.store.journal import read_journal

SAMPLES = Path(__file__).parent.parent / "samples" / "carriers"
CONVERSATIONS = sorted(SAMPLES.glob("*/conversation*.json"))
PERSONA = """
name = "phone"
language = "en"
system_prompt = "You are a telephone agent."

[phrases]
greeting = "Hello, what can I do?"
apology = "I am sorry."
not_understood = "Sorry?"
goodbye = "Goodbye."
"""
ANSWER = "Your order is on its way and it comes tomorrow afternoon around five"
# The whole of it lasts 60 ms a character.
ANSWER_S = len(ANSWER) * 0.06
QUICK = {
    "turns.pause_ms": "200",
    "turns.end_ms": "400",
    "turns.min_end_ms": "300",
    "persona.default": "phone",
}


class Transport(Protocol):
    """A connection, from the bridge's side."""

    async def send(self, message: Message) -> None:
        """Send a message."""
        ...

    async def receive(self) -> Message | None:
        """The next message; None when the gateway has closed."""
        ...

    async def end(self, how: str) -> None:
        """End the connection: `close` politely, `abort` without a word."""
        ...


class Socket:
    """A WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, message: Message) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._connection.send(message)

    async def receive(self) -> Message | None:
        try:
            return await self._connection.recv()
        except ConnectionClosed:
            return None

    async def end(self, how: str) -> None:
        if how == "abort":
            self._connection.transport.abort()
        else:
            await self._connection.close()


class Tcp:
    """A bare TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, message: Message) -> None:
        assert isinstance(message, bytes)
        self._writer.write(message)

    async def receive(self) -> Message | None:
        return await self._reader.read(4096) or None

    async def end(self, how: str) -> None:
        if how == "abort":
            self._writer.transport.abort()
        else:
            self._writer.close()


@dataclass(slots=True)
class Outcome:
    """What came of a conversation."""

    conversation: dict[str, Any]
    events: list[Event] = field(default_factory=list)
    greeting_s: float = 0.0
    answered_after_s: float = 0.0
    heard_after_interruption_s: float = 0.0
    answer_heard_s: float = 0.0
    answered_again: bool = False
    answered_keys: bool = False
    received: list[Message] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    left: int = -1

    def of(self, kind: type[Event]) -> list[Any]:
        """The call's events of a kind."""
        return [event for event in self.events if type(event) is kind]

    @property
    def started(self) -> CallStarted:
        found: CallStarted = self.of(CallStarted)[0]
        return found

    @property
    def keys(self) -> str:
        return "".join(event.digit for event in self.of(Dtmf))

    @property
    def end_reason(self) -> str:
        found: HungUp = self.of(HungUp)[0]
        return found.reason


def vector(path: Path) -> Message:
    """One example message as it goes over the wire."""
    text = path.read_text(encoding="utf-8")
    return bytes.fromhex(text.partition("<")[0]) if path.suffix == ".hex" else text


@contextlib.asynccontextmanager
async def connected(running: Running, found: dict[str, Any]) -> AsyncIterator[Transport]:
    """Connect as the conversation says."""
    if "tcp" in found:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.audiosocket_port)
        try:
            yield Tcp(reader, writer)
        finally:
            writer.close()
        return
    query = found.get("query", {})
    url = f"ws://127.0.0.1:{running.server.port}{found['path']}" + (f"?{urlencode(query)}" if query else "")
    async with connect(
        url,
        compression=None,
        additional_headers=found.get("headers"),
        subprotocols=[Subprotocol(name) for name in found.get("subprotocols", [])] or None,
        user_agent_header=None,
    ) as connection:
        assert connection.subprotocol == found.get("expect", {}).get("subprotocol")
        yield Socket(connection)


def bridge_of(path: Path, found: dict[str, Any]) -> Bridge:
    """The far end of the conversation's protocol."""
    peer = found.get("peer", {})
    return BRIDGES[path.parent.name].of(peer)


def conversation(path: Path) -> dict[str, Any]:
    """A conversation file."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def settings_of(found: dict[str, Any], folder: Path) -> dict[str, str]:
    """The gateway's settings for a conversation, with its agent written to `folder`."""
    personas = folder / "personas"
    personas.mkdir()
    (personas / "phone.toml").write_text(PERSONA, encoding="utf-8")
    settings = {**QUICK, "persona.folders": str(personas), **found["settings"]}
    return {name.replace(".", "__"): value for name, value in settings.items()}


async def play(path: Path, folder: Path) -> Outcome:
    """Play one conversation: greeting, question, interruption, keys, end."""
    found = conversation(path)
    outcome = Outcome(found)
    script = Script(stt=("Where is my order?",), llm=(ANSWER,))
    async with running_gateway(folder, script, **settings_of(found, folder)) as running:
        async with connected(running, found) as transport:
            await _converse(path, found, transport, outcome)
        async with asyncio.timeout(20):
            await running.gateway.drain()
        outcome.left = running.gateway.ticker.waiting + running.gateway.arrivals
    journal = next((folder / "journals").glob("*.jsonl"))
    outcome.events = [event for event, _ in read_journal(journal)[1]]
    return outcome


async def _converse(path: Path, found: dict[str, Any], transport: Transport, outcome: Outcome) -> None:
    peer = found.get("peer", {})
    names = ("echoes_marks", "echoes_cleared_marks", "sends_in_silence", "latency_s")
    habits = Habits(**{name: peer[name] for name in names if name in peer})
    phone = Telephone(bridge_of(path, found), transport.send, habits)
    trouble: list[Exception] = []

    async def hear() -> None:
        while (message := await transport.receive()) is not None:
            outcome.received.append(message)
            try:
                await phone.take(message)
            except ValueError as error:
                trouble.append(error)
        phone.gone = True

    for name in found["open"]:
        await transport.send(vector(path.parent / name))
    tasks = [asyncio.create_task(hear()), asyncio.create_task(phone.run())]
    try:
        async with asyncio.timeout(30):
            await _script(path, found, transport, phone, outcome)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    if trouble:
        raise trouble[0]


async def _script(
    path: Path, found: dict[str, Any], transport: Transport, phone: Telephone, outcome: Outcome
) -> None:
    await phone.until(lambda: phone.sounding_since(0.0) is not None and phone.quiet_for(0.3))
    outcome.greeting_s = sum(end - begin for begin, end in phone.sounds)
    phone.say(WHEN)
    await phone.until(lambda: not phone.speaking)
    asked_at = phone.said_until
    await phone.until(lambda: phone.sounding_since(asked_at) is not None)
    answer_at = phone.sounding_since(asked_at)
    assert answer_at is not None
    outcome.answered_after_s = answer_at - asked_at
    await phone.until(lambda: phone.now > answer_at + 0.7)
    cut_in_at = phone.now
    # Three spaced words of 140 to 180 ms each.
    phone.say(GO_FORWARD[: 900 * SAMPLES_PER_MS * SAMPLE_BYTES])
    await phone.until(lambda: phone.quiet_for(0.25))
    silent_at = max(end for _, end in phone.sounds)
    outcome.answer_heard_s = silent_at - answer_at
    outcome.heard_after_interruption_s = silent_at - cut_in_at
    await phone.until(lambda: phone.sounding_since(max(phone.said_until, silent_at + 0.2)) is not None)
    outcome.answered_again = True
    if "dtmf" in found:
        await transport.send(vector(path.parent / found["dtmf"]))
        for message in phone.bridge.dtmf("#"):
            await transport.send(message)
        await phone.until(lambda: phone.quiet_for(0.1))
        quiet_at = phone.now
        await phone.until(lambda: phone.sounding_since(quiet_at) is not None)
        outcome.answered_keys = True
    outcome.marks = phone.marks
    for step in found["end"]:
        if step in ("close", "abort"):
            await transport.end(step)
        else:
            await transport.send(vector(path.parent / step))
