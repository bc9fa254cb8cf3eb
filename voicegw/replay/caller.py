"""A recording as a live caller, against any gateway: native protocol, real time, a well-behaved client.

The caller sends a frame every 20 ms, plays the agent's audio on the same clock, obeys pause, resume and
clear, and tells how much was played. Both sides are kept on one time line, as they were heard at this end.
"""

import asyncio
import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from voicegw.audio.level import rms
from voicegw.audio.pcm import FRAME_MS, SAMPLE_BYTES, SAMPLES_PER_MS
from voicegw.audio.vad import LEAST_RMS
from voicegw.errors import ConfigError, GatewayFull, VoicegwError
from voicegw.replay.pacing import RecordedCaller
from voicegw.replay.playout import Playout
from voicegw.replay.recording import split

FRAME_S = FRAME_MS / 1000
CONNECT_S = 10.0
# After `hangup` the gateway has this long to close, so that its last events are seen.
CLOSE_S = 5.0


class GatewayUnreachable(VoicegwError):
    """Nobody answers at the address, or nobody who speaks the native protocol."""


class Connection(Protocol):
    """What the caller needs of a connection; `websockets` has it."""

    async def send(self, message: bytes | str) -> None:
        """Send a message. Raises ConnectionClosed."""
        ...

    async def recv(self) -> bytes | str:
        """Return the next message. Raises ConnectionClosed."""
        ...


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the gateway, or of the caller (`stretch_started`, `stretch_stopped`, `unanswered`).

    `at_ms` counts from the caller's first frame; `event` has its `type` and fields.
    """

    at_ms: int
    by: Literal["gateway", "caller"]
    event: Mapping[str, Any]


@dataclass(slots=True)
class Heard:
    """What came of one stretch. Times in milliseconds of the time line; None: has not happened."""

    began_ms: int
    voice_stopped_ms: int | None = None
    answered_ms: int | None = None  # first audible sound of a reply of the model

    @property
    def gap_ms(self) -> int | None:
        """From the caller's last voice to the first sound of the answer, as the caller heard it."""
        if self.answered_ms is None or self.voice_stopped_ms is None:
            return None
        return max(0, self.answered_ms - self.voice_stopped_ms)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A call as the caller knows it. The tracks are pcm of the same length."""

    call_id: str
    happenings: tuple[Happening, ...]
    caller: bytes
    agent: bytes
    stretches: int  # that the recording has
    heard: tuple[Heard, ...]  # by stretch, as far as the call went
    late_ms: int  # how late the caller itself was with its worst frame

    def events(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the gateway's events of one type, in order."""
        return [h.event for h in self.happenings if h.by == "gateway" and h.event["type"] == kind]

    @property
    def final_transcripts(self) -> list[str]:
        """What the gateway understood, turn by turn."""
        return [str(event["text"]) for event in self.events("transcript") if event["status"] == "final"]

    @property
    def agent_text(self) -> str:
        """What the caller heard of the agent."""
        return " ".join(str(event["heard"]) for event in self.events("speech_stopped") if event["heard"])

    def missing(self) -> list[str]:
        """Say what a conversation would need and this was without; empty if one took place.

        Needed are a final transcript, a heard answer to every stretch but the last, and one at all.
        """
        lacks = [] if self.final_transcripts else ["no final transcript"]
        unanswered = [
            f"no answer to stretch {number} of {self.stretches}"
            for number, heard in enumerate(self.heard, start=1)
            if heard.answered_ms is None and number < self.stretches
        ]
        if not unanswered and all(heard.answered_ms is None for heard in self.heard):
            unanswered = ["no answer heard"]
        lacks += unanswered
        if len(self.heard) < self.stretches:
            ends = self.events("hangup")
            why = f" ({ends[-1]['reason']})" if ends else ""
            lacks.append(f"the call ended{why} after {len(self.heard)} of {self.stretches} stretches")
        if lacks:
            lacks += [f"the gateway said {e['code']}: {e['message']}" for e in self.events("error")]
        return lacks


class LiveCaller:
    """One call of one recording. `start` are the fields of the `start` event.

    `on_happening` and `on_frames` (what the caller says and hears, every 20 ms) are called as it goes.
    """

    def __init__(
        self,
        recording: bytes,
        *,
        absolute: bool = False,
        start: Mapping[str, str] | None = None,
        on_happening: Callable[[Happening], None] | None = None,
        on_frames: Callable[[bytes, bytes], None] | None = None,
    ) -> None:
        self._start = dict(start or {})
        self._on_happening = on_happening
        self._on_frames = on_frames
        self._recorded = RecordedCaller(recording, split(recording), absolute=absolute)
        self._playout = Playout()
        self._happenings: list[Happening] = []
        self._caller = bytearray()
        self._agent = bytearray()
        self._heard: list[Heard] = []
        self._call_id = ""
        self._answers: set[int] = set()  # sentences of the model
        self._closed = asyncio.Event()
        self._ready = asyncio.Event()
        self._late_s = 0.0

    async def call(self, url: str) -> Conversation:
        """Call the gateway at `url` and talk to the end of the recording, then hang up.

        Raises ConfigError for an address that is none, GatewayUnreachable, and GatewayFull.
        """
        url = call_address(url)
        try:
            connection = await connect(
                url, compression=None, proxy=None if _on_this_machine(url) else True, open_timeout=CONNECT_S
            )
        except InvalidStatus as error:
            raise _refused(url, error) from error
        except (InvalidHandshake, EOFError) as error:
            raise GatewayUnreachable(f"{url}: no WebSocket there: {error}") from error
        except TimeoutError as error:
            raise GatewayUnreachable(f"{url}: no answer within {CONNECT_S:.0f} s") from error
        except OSError as error:
            raise GatewayUnreachable(f"{url}: not reachable; does the gateway run? ({error})") from error
        async with connection:
            return await self.converse(_Socket(connection))

    async def converse(self, connection: Connection) -> Conversation:
        """Do the same over a connection that is open.

        Raises GatewayUnreachable when no `ready` comes within 10 s.
        """
        self._began_at = asyncio.get_running_loop().time()
        listening = asyncio.create_task(self._listen(connection))
        try:
            await connection.send(json.dumps({"type": "start", **self._start}))
            await self._talk(connection)
            await connection.send(json.dumps({"type": "hangup", "reason": "caller"}))
            await asyncio.wait([listening], timeout=CLOSE_S)
        except ConnectionClosed:
            # The gateway ended the call; its last words are read, and judged by who reads the conversation.
            await asyncio.wait([listening])
        finally:
            listening.cancel()
            await asyncio.wait([listening])
        if not listening.cancelled() and (error := listening.exception()) is not None:
            raise error
        return self.conversation()

    def hang_up(self) -> None:
        """End the call at the next frame."""
        self._recorded.hang_up()

    def conversation(self) -> Conversation:
        """Return the call as far as it went."""
        return Conversation(
            self._call_id,
            tuple(self._happenings),
            bytes(self._caller),
            bytes(self._agent),
            len(self._recorded.stretches),
            tuple(self._heard),
            round(self._late_s * 1000),
        )

    # The time line

    async def _talk(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        number = 0
        while not self._recorded.done and not self._closed.is_set():
            # Counted from the beginning: a late frame makes none after it late.
            due = self._began_at + number * FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))
            self._late_s = max(self._late_s, loop.time() - due)
            if number * FRAME_S >= CONNECT_S and not self._ready.is_set():
                raise GatewayUnreachable(f"no `ready` within {CONNECT_S:.0f} s: is that a voicegw gateway?")
            await connection.send(self._frame())
            for report in self._playout.reports():
                played = {"type": "played", "speech_id": report.speech_id, "samples": report.samples}
                await connection.send(json.dumps(played))
            number += 1
        while self._playout.waiting:
            # The gateway hung up; what it sent before is still heard.
            self._frame()

    def _frame(self) -> bytes:
        """Take both sides one frame further; returns the caller's."""
        hears = self._playout.frame()
        self._note_answer(hears)
        says = self._recorded.frame(self._playout.waiting)
        self._note_stretch()
        self._caller += says
        self._agent += hears
        if self._on_frames is not None:
            self._on_frames(says, hears)
        return says

    @property
    def _line_ms(self) -> int:
        """Length of both tracks; a frame that is being added begins here."""
        return len(self._agent) // (SAMPLE_BYTES * SAMPLES_PER_MS)

    def _note_answer(self, hears: bytes) -> None:
        """A stretch is answered when something of a reply is audible."""
        if not self._heard or self._heard[-1].answered_ms is not None or rms(hears) <= LEAST_RMS:
            return
        if self._playout.playing in self._answers:
            self._heard[-1].answered_ms = self._line_ms

    def _note_stretch(self) -> None:
        recorded = self._recorded
        if recorded.talked > len(self._heard):
            if self._heard and self._heard[-1].answered_ms is None:
                self._happened("caller", {"type": "unanswered", "stretch": len(self._heard)})
            self._heard.append(Heard(self._line_ms))
            self._tell_stretch("stretch_started")
        elif self._heard and self._heard[-1].voice_stopped_ms is None:
            stretch = recorded.stretches[len(self._heard) - 1]
            if recorded.position >= stretch.voice_to or not recorded.talking:
                self._heard[-1].voice_stopped_ms = self._line_ms
                self._tell_stretch("stretch_stopped")

    def _tell_stretch(self, kind: str) -> None:
        of = len(self._recorded.stretches)
        self._happened("caller", {"type": kind, "stretch": len(self._heard), "of": of})

    # The gateway's messages

    async def _listen(self, connection: Connection) -> None:
        try:
            while True:
                message = await connection.recv()
                if isinstance(message, bytes):
                    self._playout.hear(message)
                else:
                    self._take_event(message)
        except ConnectionClosed:
            return
        finally:
            self._closed.set()

    def _take_event(self, message: str) -> None:
        try:
            event = json.loads(message)
            self._obey(event)
        except (ValueError, KeyError, TypeError) as error:
            raise GatewayUnreachable(
                f"an event is not of the native protocol: {message[:100]}; is that a voicegw gateway?"
            ) from error
        self._happened("gateway", event)

    def _obey(self, event: Mapping[str, Any]) -> None:
        match event["type"]:
            case "ready":
                self._call_id = str(event["call_id"])
                self._ready.set()
            case "speech_started":
                self._recorded.agent_started()
            case "speech_stopped":
                self._recorded.agent_stopped(cut=event["cut"])
            case "reply_text":
                if event["kind"] == "reply":
                    self._answers.add(event["speech_id"])
        self._playout.obey(event)

    def _happened(self, by: Literal["gateway", "caller"], event: Mapping[str, Any]) -> None:
        at_ms = round((asyncio.get_running_loop().time() - self._began_at) * 1000)
        happening = Happening(at_ms, by, event)
        self._happenings.append(happening)
        if self._on_happening is not None:
            self._on_happening(happening)


class _Socket:
    """A WebSocket as a `Connection`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, message: bytes | str) -> None:
        await self._connection.send(message)

    async def recv(self) -> bytes | str:
        return await self._connection.recv()


def call_address(url: str) -> str:
    """Return the address of the native protocol; a bare host means its usual path. Raises ConfigError."""
    parts = urlsplit(url)
    try:
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"--url {url}: expected an address such as ws://127.0.0.1:8080/v1/call")
    if parts.path in ("", "/"):
        parts = parts._replace(path="/v1/call")
    return parts.geturl()


def _on_this_machine(url: str) -> bool:
    """A proxy of the environment must not be asked for a loopback address."""
    name = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _refused(url: str, error: InvalidStatus) -> VoicegwError:
    response = error.response
    says = (response.body or b"").decode(errors="replace").strip()[:200]
    if response.status_code == 503:
        wait = response.headers.get("Retry-After", "")
        return GatewayFull(
            f"{url}: no room for a call now (HTTP 503): {says}", int(wait) if wait.isdecimal() else 5
        )
    return GatewayUnreachable(f"{url}: refused with HTTP {response.status_code}: {says}")
