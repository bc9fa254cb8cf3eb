"""A telephone behind a carrier's bridge: speaks and hears in real or virtual time, over any connection.

It plays what the gateway sends at the pace of hearing, answers marks when they are reached, drops what is
cleared, and keeps what sounded and when. `Transport` is a socket, or a channel in memory.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voicegw.audio.level import rms
from voicegw.audio.pcm import FRAME_BYTES, SILENT_FRAME
from voicegw.carriers.base import Message
from voicegw.rehearsal.bridges import Bridge, ClearSent, MarkSent, PauseSent

FRAME_S = 0.020
# -48 dBFS: louder than comfort noise, softer than any speech.
SOUND_RMS = 130

Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Habits:
    """What this peer does that others do not."""

    echoes_marks: bool = True
    echoes_cleared_marks: bool = False
    sends_in_silence: bool = True  # False: no message while the caller says nothing
    latency_s: float = 0.0  # from being sent to being played


class Telephone:
    """One caller at a bridge. `run` until `hang_up` or until the gateway ends the call."""

    def __init__(self, bridge: Bridge, send: Send, habits: Habits | None = None) -> None:
        self.bridge = bridge
        self._send = send
        self._habits = habits or Habits()
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._to_say: deque[bytes] = deque()
        self._buffer: deque[bytes | str] = deque()
        self._rest = b""
        self._paused = False
        self._plays_from = 0.0
        self.sounds: list[tuple[float, float]] = []  # stretches in which the agent was heard
        self.heard = b""  # all that was played
        self.clears: list[float] = []
        self.marks: list[str] = []
        self.said_until = 0.0
        self.gone = False  # set by whoever has the connection
        self._news = asyncio.Event()

    @property
    def now(self) -> float:
        """Seconds since the call began."""
        return self._loop.time() - self._began

    # The caller

    def say(self, pcm: bytes) -> None:
        """Say `pcm` from now on, without waiting."""
        for start in range(0, len(pcm), FRAME_BYTES):
            self._to_say.append(pcm[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))

    @property
    def speaking(self) -> bool:
        """True while something is left to say."""
        return bool(self._to_say)

    def sounding_since(self, at: float) -> float | None:
        """When the agent was first heard at or after `at`; None if not yet."""
        return next((max(begin, at) for begin, end in self.sounds if end > at), None)

    def quiet_for(self, seconds: float) -> bool:
        """True when the agent was not heard for so long."""
        return not self.sounds or self.now - self.sounds[-1][1] > seconds

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until `done()`, which is asked at every frame. Whoever waits sets a limit.

        Raises ConnectionError when the connection has gone meanwhile (`gone`).
        """
        while not done():
            if self.gone:
                raise ConnectionError(f"the gateway closed the connection after {self.now:.1f} s")
            self._news.clear()
            await self._news.wait()

    # The line

    async def run(self) -> None:
        """Send and play a frame every 20 ms, until cancelled."""
        number, bundle = 0, b""
        while True:
            await asyncio.sleep(max(0.0, self._began + number * FRAME_S - self._loop.time()))
            number += 1
            said = bool(self._to_say)
            bundle += self._to_say.popleft() if said else SILENT_FRAME
            if said:
                self.said_until = self.now
            if number * 20 % self.bridge.frame_ms == 0:
                if said or self._habits.sends_in_silence:
                    for message in self.bridge.audio(bundle):
                        await self._send(message)
                bundle = b""
            await self._play(number)
            self._news.set()

    async def _play(self, number: int) -> None:
        """Play one frame, and answer the marks before it."""
        if self._paused or self.now < self._plays_from:
            return
        while self._buffer and isinstance(mark := self._buffer[0], str):
            self._buffer.popleft()
            await self._answer(mark, cleared=False)
        if not self._buffer:
            return
        frame = self._buffer.popleft()
        assert isinstance(frame, bytes)
        self.heard += frame
        if rms(frame) > SOUND_RMS:
            now = number * FRAME_S
            if self.sounds and now - self.sounds[-1][1] < 0.1:
                self.sounds[-1] = (self.sounds[-1][0], now + FRAME_S)
            else:
                self.sounds.append((now, now + FRAME_S))

    async def _answer(self, mark: str, *, cleared: bool) -> None:
        habits = self._habits
        if habits.echoes_cleared_marks if cleared else habits.echoes_marks:
            for message in self.bridge.played(mark, cleared=cleared):
                await self._send(message)

    async def take(self, message: Message) -> None:
        """Take a message of the gateway. Raises ValueError for one that the peer would refuse."""
        for item in self.bridge.take(message):
            match item:
                case bytes():
                    self._queue(item)
                case MarkSent():
                    self.marks.append(item.name)
                    self._buffer.append(item.name)
                case ClearSent():
                    await self._clear()
                case PauseSent():
                    self._paused = item.on

    def _queue(self, pcm: bytes) -> None:
        if not self._buffer:
            self._plays_from = self.now + self._habits.latency_s
        data = self._rest + pcm
        whole = len(data) - len(data) % FRAME_BYTES
        self._rest = data[whole:]
        for start in range(0, whole, FRAME_BYTES):
            self._buffer.append(data[start : start + FRAME_BYTES])

    async def _clear(self) -> None:
        self.clears.append(self.now)
        dropped = [item for item in self._buffer if isinstance(item, str)]
        self._buffer.clear()
        self._rest = b""
        for message in self.bridge.cleared():
            await self._send(message)
        for mark in dropped:
            await self._answer(mark, cleared=True)
