"""Virtual time that waits for live providers: it jumps while nobody is asked, and runs as the real one does
while an answer is awaited, so that the true latency is booked.
"""

import asyncio
import selectors
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, TypeVar, TypeVarTuple

from voicegw.providers.cassette import route_of
from voicegw.providers.http import ByteStreams, HttpRequest, HttpResponse
from voicegw.rehearsal.clock import run_on

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _WaitingSelector(selectors.DefaultSelector):
    """Looks at the sockets while somebody is waited for, else moves the clock."""

    now = 0.0
    awaited = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout == 0:
            return super().select(0)
        if self.awaited:
            began = time.monotonic()
            found = super().select(timeout)
            self.now += time.monotonic() - began
            return found
        if timeout is None:
            raise RuntimeError("virtual time has stopped: everything waits and nothing will happen")
        self.now += max(0.0, timeout)
        return super().select(0)


class WaitingLoop(asyncio.SelectorEventLoop):
    """An event loop on such a clock, which begins at 0."""

    def __init__(self) -> None:
        self._waiting = _WaitingSelector()
        super().__init__(self._waiting)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Seconds: virtual, and real while something is awaited."""
        return self._waiting.now

    def await_more(self, more: int) -> None:
        """So many more (or fewer) answers are awaited from outside."""
        self._waiting.awaited += more

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Do the work at once, and book its time: a name is looked up so, for instance."""
        future: asyncio.Future[T] = self.create_future()
        began = time.monotonic()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        if self._waiting.awaited:
            self._waiting.now += time.monotonic() - began
        return future


def run_waiting(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on virtual time that waits for `AwaitedStreams`."""
    return run_on(WaitingLoop, main)


class AwaitedStreams:
    """Real providers below a call on a `WaitingLoop`."""

    def __init__(self, inner: ByteStreams) -> None:
        self._inner = inner

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request on, and let the clock wait for it; see `ByteStreams.send`."""
        loop = _loop()
        loop.await_more(1)
        try:
            return _AwaitedResponse(await self._inner.send(request), loop)
        finally:
            loop.await_more(-1)

    async def aclose(self) -> None:
        """Close the connections, which may take real time."""
        loop = _loop()
        loop.await_more(1)
        try:
            await self._inner.aclose()
        finally:
            loop.await_more(-1)


def _loop() -> WaitingLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, WaitingLoop), "live providers need run_waiting"
    return loop


class _AwaitedResponse:
    """A response whose every chunk is waited for."""

    def __init__(self, response: HttpResponse, loop: WaitingLoop) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._chunks = response.chunks
        self._loop = loop

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> "_AwaitedResponse":
        return self

    async def __anext__(self) -> bytes:
        self._loop.await_more(1)
        try:
            return await anext(self._chunks)
        finally:
            self._loop.await_more(-1)

    async def aclose(self) -> None:
        await self._response.aclose()


class ModelElsewhere:
    """Sends what is for the model to one place, and the rest to another."""

    def __init__(self, rest: ByteStreams, model: ByteStreams) -> None:
        self._rest = rest
        self._model = model

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request where it belongs; see `ByteStreams.send`."""
        return await (self._model if route_of(request) == "llm" else self._rest).send(request)

    async def aclose(self) -> None:
        """Close both."""
        await self._rest.aclose()
        await self._model.aclose()
