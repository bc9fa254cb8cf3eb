"""The scripted caller: speaks into a call at the pace of a telephone and keeps what was heard.

Runs on virtual time against a real `Gateway` through a `Channel`. Seconds (`_s`) count from the moment at
which the caller dialled; its line sends audio from then on, silence where nothing is said.
"""

import asyncio
import contextlib
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from voicegw.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE_HZ
from voicegw.carriers.base import Message
from voicegw.rehearsal.channel import CallersEnd, Channel, FarEnd
from voicegw.rehearsal.script import word_times
from voicegw.server.gateway import Gateway

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Told:
    """An event of the gateway, and when it came."""

    at_s: float
    type: str
    fields: dict[str, Any]


@dataclass(slots=True)
class HeardSentence:
    """One sentence of the agent as it sounded: its text, and how many samples of it were played."""

    speech_id: int
    text: str
    samples: int = 0

    def words(self, speech_ms: Callable[[str], float]) -> int:
        """Return how many of its words were heard to their end, if the whole lasts `speech_ms(text)`."""
        heard_ms = self.samples * 1000 / SAMPLE_RATE_HZ
        return sum(word.end_ms <= heard_ms for word in word_times(self.text, speech_ms(self.text)))


@dataclass(slots=True)
class Earpiece:
    """Plays what the gateway sends, as a softphone does: in order, gapless, pausing and clearing on request.

    `sounds` are the stretches (from, to) in which something played.
    """

    sentences: dict[int, HeardSentence] = field(default_factory=dict)
    sounds: list[tuple[float, float]] = field(default_factory=list)
    _buffer: deque[HeardSentence | None] = field(default_factory=deque)
    _free_at: float = 0.0  # when the frame before the next one ends
    _paused_at: float | None = None
    _newest: HeardSentence | None = None

    def sentence(self, speech_id: int, text: str) -> None:
        """The audio that follows belongs to this sentence."""
        self._newest = self.sentences.setdefault(speech_id, HeardSentence(speech_id, text))

    def frame(self, now: float) -> None:
        """Take a frame."""
        self.advance(now)
        if not self._buffer:
            self._free_at = max(self._free_at, now)
        self._buffer.append(self._newest)

    def advance(self, now: float) -> None:
        """Play up to `now`. Only whole frames count as played."""
        if self._paused_at is not None:
            return
        # The gateway counts in whole microseconds: that rounding must not cost a frame.
        while self._buffer and self._free_at + FRAME_S <= now + 5e-6:
            sentence = self._buffer.popleft()
            if sentence is not None:
                sentence.samples += FRAME_SAMPLES
            began, self._free_at = self._free_at, self._free_at + FRAME_S
            if self.sounds and began - self.sounds[-1][1] < 1e-6:
                self.sounds[-1] = (self.sounds[-1][0], self._free_at)
            else:
                self.sounds.append((began, self._free_at))

    def pause(self, now: float) -> None:
        """Hold what is there."""
        self.advance(now)
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> None:
        """Go on where it was held."""
        if self._paused_at is not None:
            self._free_at += now - self._paused_at
            self._paused_at = None

    def clear(self, now: float) -> None:
        """Drop what was not played."""
        self.advance(now)
        self._buffer.clear()
        self._paused_at = None
        self._free_at = now


@dataclass(frozen=True, slots=True)
class Uplink:
    """How the caller's audio reaches the gateway.

    `bundle` frames go in one message; `late_s(n)` is how much later than its time message n arrives (those
    behind it wait for it, as on TCP), `lost(n)` that it does not, `twice(n)` that it does so twice. The
    call's first message is on time.
    """

    bundle: int = 1
    late_s: Callable[[int], float] = lambda n: 0.0
    lost: Callable[[int], bool] = lambda n: False
    twice: Callable[[int], bool] = lambda n: False


class ScriptedCaller:
    """One caller. Use `dialling`, or `async with` an object of it."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        query: Mapping[str, str] | None = None,
        uplink: Uplink | None = None,
        reports_played: bool = False,
        line: Callable[[int, bytes], bytes] | None = None,
        connect: Callable[[FarEnd, Mapping[str, str]], CallersEnd] | None = None,
        transferred: bool | None = None,
    ) -> None:
        """`connect` takes the place of the channel in memory; `transferred` answers a hand-over."""
        self._connect = connect or (lambda far_end, query: Channel(gateway, far_end, query=query))
        self._transferred = transferred
        self._query = dict(query or {})
        self._uplink = uplink or Uplink()
        self._reports_played = reports_played
        # What the line makes of each frame of the caller, by its first sample: noise, a codec, an echo.
        self._line_sound = line or (lambda position, frame: frame)
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._channel: CallersEnd | None = None
        self._line: asyncio.Task[None] | None = None
        self._stretches: deque[tuple[int, bytes]] = deque()  # what is said, from which sample on
        self._sends = True
        self._news = asyncio.Event()
        self._next_event = 0
        self.events: list[Told] = []
        self.earpiece = Earpiece()
        self.close: tuple[int, str] | None = None
        self.resume_token = ""

    async def __aenter__(self) -> Self:
        """Dial."""
        self._channel = self._connect(self, self._query)
        self._line = asyncio.create_task(self._send_audio(), name="scripted caller")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave: the connection breaks if it is still there, and nothing is sent any more."""
        if self._channel is not None:
            self._channel.drop()
        if self._line is not None:
            self._line.cancel()
            await asyncio.wait([self._line])

    @property
    def now_s(self) -> float:
        """Seconds since the caller dialled."""
        return self._loop.time() - self._began

    @property
    def connected(self) -> bool:
        """True while there is a connection."""
        return self._channel is not None

    # What the caller does

    def speak(self, pcm: bytes, at_s: float | None = None) -> tuple[float, float]:
        """Say `pcm` from `at_s` on (None: from now on) without waiting. Returns from when to when."""
        samples = round((self.now_s if at_s is None else at_s) * SAMPLE_RATE_HZ)
        start = -(-samples // FRAME_SAMPLES) * FRAME_SAMPLES
        self._stretches.append((start, pcm))
        return start / SAMPLE_RATE_HZ, (start + len(pcm) // SAMPLE_BYTES) / SAMPLE_RATE_HZ

    async def say(self, pcm: bytes, at_s: float | None = None) -> float:
        """Say `pcm` and wait until it is said. Returns when that was."""
        _, end_s = self.speak(pcm, at_s)
        await self.until(end_s)
        return end_s

    def send(self, kind: str, /, **fields: Any) -> None:
        """Send an event of the native protocol."""
        self.send_message(json.dumps({"type": kind, **fields}))

    def send_message(self, message: Message) -> None:
        """Send any message."""
        if self._channel is not None:
            self._channel.to_gateway(message)

    def stop_sending(self) -> None:
        """Send no audio from now on, as some carriers do in silence; the connection stays."""
        self._sends = False

    def go_on_sending(self) -> None:
        """Send audio again."""
        self._sends = True

    def drop(self) -> None:
        """The connection breaks, and with it goes what was not played yet."""
        if self._channel is not None:
            self._channel.drop()
            self._channel = None
        self.earpiece.clear(self.now_s)

    def reconnect(self, resume_token: str | None = None) -> None:
        """Connect again to go on with the call."""
        self.close = None
        self._channel = self._connect(self, {"resume_token": resume_token or self.resume_token})

    async def until(self, at_s: float) -> None:
        """Wait until `at_s`."""
        await asyncio.sleep(max(0.0, self._began + at_s - self._loop.time()))
        self.earpiece.advance(self.now_s)

    # What the caller is told

    async def event(self, kind: str, /, *, within_s: float = 120.0, **match: Any) -> Told:
        """Return the next event of this type and with these fields, behind the one that was returned last.

        Raises AssertionError when the call ends or `within_s` passes without it.
        """
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for index in range(self._next_event, len(self.events)):
                        told = self.events[index]
                        if told.type == kind and match.items() <= told.fields.items():
                            self._next_event = index + 1
                            return told
                    if self.close is not None:
                        raise AssertionError(f"no {kind}: closed with {self.close} after {self._tail()}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {kind} within {within_s} s, but {self._tail()}") from None

    async def ended(self, *, within_s: float = 600.0) -> tuple[int, str]:
        """Wait until the gateway closes the connection; return close code and reason."""
        try:
            async with asyncio.timeout(within_s):
                while self.close is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"not ended within {within_s} s, but {self._tail()}") from None
        return self.close

    def _tail(self) -> str:
        return ", ".join(f"{told.at_s:.2f} {told.type}" for told in self.events[-12:])

    def told(self, kind: str, /, **match: Any) -> list[Told]:
        """Return all events so far of this type and with these fields."""
        return [told for told in self.events if told.type == kind and match.items() <= told.fields.items()]

    def first_sound_after(self, at_s: float) -> float | None:
        """Return when the agent was first heard at or after `at_s`; None if not yet."""
        self.earpiece.advance(self.now_s)
        return next((max(begin, at_s) for begin, end in self.earpiece.sounds if end > at_s), None)

    # The connection's far end

    def message(self, message: Message) -> None:
        """Take a message of the gateway."""
        now = self.now_s
        if isinstance(message, bytes):
            self.earpiece.frame(now)
            return
        self.earpiece.advance(now)
        fields: dict[str, Any] = json.loads(message)
        kind = fields.pop("type")
        self.events.append(Told(now, kind, fields))
        self._news.set()
        if kind == "ready":
            self.resume_token = fields["resume_token"]
        elif kind == "reply_text":
            self.earpiece.sentence(fields["speech_id"], fields["text"])
        elif kind == "pause":
            self.earpiece.pause(now)
        elif kind == "resume":
            self.earpiece.resume(now)
        elif kind == "clear":
            self.earpiece.clear(now)
        elif kind == "transfer" and fields["status"] == "started" and self._transferred is not None:
            self.send("transferred", done=self._transferred)
        elif kind == "mark" and self._reports_played:
            self._loop.call_later(0.0, self._report, fields["speech_id"])

    def _report(self, speech_id: int) -> None:
        """Tell how far a sentence was played by now."""
        self.earpiece.advance(self.now_s)
        self.send("played", speech_id=speech_id, samples=self.earpiece.sentences[speech_id].samples)

    def closed(self, code: int, reason: str) -> None:
        """The gateway has closed the connection."""
        self.earpiece.advance(self.now_s)
        self.close = (code, reason)
        self._channel = None
        self._news.set()

    # The line

    async def _send_audio(self) -> None:
        bundle = self._uplink.bundle
        for number in itertools.count():
            ready_s = (number + 1) * bundle * FRAME_S
            await self.until(ready_s + (self._uplink.late_s(number) if number else 0.0))
            first = number * bundle
            audio = b"".join(
                self._line_sound(n * FRAME_SAMPLES, self._frame(n * FRAME_SAMPLES))
                for n in range(first, first + bundle)
            )
            if self._sends and not (number and self._uplink.lost(number)):
                self.send_message(audio)
                if self._uplink.twice(number):
                    self.send_message(audio)

    def _frame(self, position: int) -> bytes:
        while self._stretches and self._stretches[0][0] + len(self._stretches[0][1]) // 2 <= position:
            self._stretches.popleft()
        if not self._stretches or self._stretches[0][0] >= position + FRAME_SAMPLES:
            return bytes(FRAME_BYTES)
        start, pcm = self._stretches[0]
        offset = (position - start) * SAMPLE_BYTES
        return pcm[offset : offset + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")


@contextlib.asynccontextmanager
async def dialling(gateway: Gateway, **given: Any) -> AsyncIterator[ScriptedCaller]:
    """Dial, and wait until the call has begun. `given` goes to `ScriptedCaller`."""
    async with ScriptedCaller(gateway, **given) as caller:
        await caller.event("ready")
        yield caller
