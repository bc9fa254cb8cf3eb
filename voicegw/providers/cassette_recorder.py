"""Keeps what providers answer, with its times: passes requests on at the byte-stream seam."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Protocol

from voicegw.providers.cassette import Take, key_of
from voicegw.providers.http import ByteStreams, ConnectionFailed, HttpRequest, HttpResponse

# Of an answer's headers these mean something to who reads it.
_HEADERS = ("content-type", "retry-after", "x-request-id")


class CassetteRecorder:
    """Passes requests on, and keeps the answers with their times in `takes`."""

    def __init__(self, inner: ByteStreams) -> None:
        self.takes: list[Take] = []
        self._inner = inner

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request on; see `ByteStreams.send`."""
        return await _recorded(self._inner, request, self.takes.append)

    async def aclose(self) -> None:
        """Close what it records."""
        await self._inner.aclose()


class TakeKeeper(Protocol):
    """Who keeps the answers that one call was given."""

    @property
    def wanted(self) -> bool:
        """Whether answers to what is asked now are to be kept."""
        ...

    def keep(self, take: Take) -> None:
        """Take an answer that has come, or failed. Must not block."""
        ...


# Set in a call's own context: its requests, and no other's, are recorded for it.
KEEPER: ContextVar[TakeKeeper | None] = ContextVar("voicegw_takes", default=None)


class CallsRecorder:
    """Passes the requests of a process on; the answers of a call that has a KEEPER are kept for it."""

    def __init__(self, inner: ByteStreams) -> None:
        self._inner = inner

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request on; see `ByteStreams.send`."""
        keeper = KEEPER.get()
        if keeper is None or not keeper.wanted:
            return await self._inner.send(request)
        return await _recorded(self._inner, request, keeper.keep)

    async def aclose(self) -> None:
        """Close what it records."""
        await self._inner.aclose()


async def _recorded(inner: ByteStreams, request: HttpRequest, keep: Callable[[Take], None]) -> HttpResponse:
    route, key, frames = key_of(request)
    began = asyncio.get_running_loop().time()
    take = Take(route, key, frames=frames)
    try:
        response = await inner.send(request)
    except ConnectionFailed as error:
        take.broken, take.code = str(error), error.code
        keep(take)
        raise
    take.status = response.status
    take.headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
    return _Recording(response, take, began, keep)


class _Recording:
    """A response that is noted as it is read. One that nobody reads to its end is kept as far as it came."""

    def __init__(
        self, response: HttpResponse, take: Take, began: float, keep: Callable[[Take], None]
    ) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._take = take
        self._at = began
        self._keep_take = keep
        self._kept = False

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> "_Recording":
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await anext(self._response.chunks)
        except StopAsyncIteration:
            self._keep()
            raise
        except ConnectionFailed as error:
            self._take.broken, self._take.code = str(error), error.code
            self._keep()
            raise
        now = asyncio.get_running_loop().time()
        self._take.chunks.append((now - self._at, data))
        self._at = now
        return data

    async def aclose(self) -> None:
        self._keep()
        await self._response.aclose()

    def _keep(self) -> None:
        if not self._kept:
            self._kept = True
            if self._take.chunks or self._take.broken:
                self._keep_take(self._take)
