"""The one byte-stream seam below all providers.

Everything that goes to a provider passes `ByteStreams.send`: real HTTP (here, on aiohttp), scripted
answers, cassettes, faults and "cut at every byte" are interchangeable. `SeamTransport` puts the official
`openai` client on top of it. The seam knows nothing of STT, LLM or TTS, of keys or of retries.
"""

import errno
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import aiohttp
import httpx2

# An error answer is read no further than this: enough for any provider's explanation.
_MAX_ERROR_BYTES = 64 * 1024
# The key under which `SeamTransport` hands the seam's own response through the client, which skips three
# layers of iterators per chunk (docs/performance.md).
RESPONSE_EXTENSION = "voicegw_response"


class ConnectionFailed(Exception):
    """The connection could not be made, or broke before the answer was complete. The message says which.

    `code` is a word for it: `dns` (the name is not found), `tls` (no trust, or no TLS at the other end),
    `refused` (nobody listens there), `unreachable`, `reset` (the other side cut it), else `connection`.
    """

    def __init__(self, message: str, code: str = "connection") -> None:
        super().__init__(message)
        self.code = code


def connection_failed(error: Exception) -> ConnectionFailed:
    """Translate what aiohttp raised."""
    return ConnectionFailed(f"{type(error).__name__}: {error}", _code(error))


_ERRNOS = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
}


def _code(error: BaseException) -> str:
    # In this order: a certificate that is not trusted is an OSError too.
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return "dns"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "tls"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "reset"
    if isinstance(error, OSError) and error.errno in _ERRNOS:
        return _ERRNOS[error.errno]
    return _code(error.__cause__) if error.__cause__ is not None else "connection"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request: absolute `url`, headers in order, whole `body`."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class HttpResponse(Protocol):
    """An answer whose body is still arriving.

    `headers` looks names up in any case. `chunks` yields non-empty pieces as they arrive, of any size, and
    raises ConnectionFailed when the body breaks off. `aclose` may be called at any time, more than once; if
    the body was not read to its end, the connection is closed, so that the server sees that nobody listens
    any more.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def chunks(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class ByteStreams(Protocol):
    """Where requests go."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request` and return when the head of the answer is there, whatever its status.

        Raises ConnectionFailed. Has no deadline of its own: the caller wraps it in `asyncio.timeout`. When
        cancelled, the request is given up and its connection closed.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class AiohttpStreams:
    """Real HTTP on one aiohttp session per process: pooled, kept alive, no cookies, no redirects.

    A redirect is returned as it is, so a key never goes to another host than the one it was set for.
    `max_connections` bounds all hosts together; a request beyond it waits for its turn, within its deadline.
    """

    def __init__(self, *, max_connections: int = 2000, keepalive_s: float = 30.0) -> None:
        self._max_connections = max_connections
        self._keepalive_s = keepalive_s
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send over the network; see `ByteStreams.send`."""
        if self._closed:
            raise ConnectionFailed("the gateway is shutting down")
        if self._session is None:
            self._session = self._open_session()
        try:
            response = await self._session.request(
                request.method,
                request.url,
                data=request.body or None,
                headers=request.headers,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError) as error:
            raise connection_failed(error) from error
        return _AiohttpResponse(response)

    async def aclose(self) -> None:
        """Close all connections; later requests fail with ConnectionFailed."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        # Made at the first request because aiohttp wants the running loop.
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._max_connections, limit_per_host=0, keepalive_timeout=self._keepalive_s
            ),
            # Deadlines are the caller's, by asyncio.timeout; aiohttp's own would cost a timer per request.
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )


class _AiohttpResponse:
    """An aiohttp response as the seam wants it; it is its own chunk iterator, to save a frame per chunk."""

    __slots__ = ("_content", "_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> "_AiohttpResponse":
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise connection_failed(error) from error
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        # Closes the connection unless the body was read to its end: then it is in the pool already.
        self._response.close()


class SeamTransport(httpx2.AsyncBaseTransport):
    """The seam below an `httpx2.AsyncClient`, and so below the `openai` client."""

    def __init__(self, streams: ByteStreams) -> None:
        self._streams = streams

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request of the client over the seam. Raises httpx2.ConnectError where the seam fails."""
        try:
            response = await self._streams.send(seam_request(request, await request.aread()))
        except ConnectionFailed as error:
            raise httpx2.ConnectError(str(error), request=request) from error
        return client_response(response)

    async def aclose(self) -> None:
        """Leave the seam open: its owner closes it, since STT, LLM and TTS share it."""


def seam_request(request: httpx2.Request, body: bytes) -> HttpRequest:
    """Return a request of the client as the seam takes it, with `body`."""
    headers = tuple(
        (name, value)
        for name, value in request.headers.multi_items()
        # aiohttp writes these two itself; a second copy would be a protocol error.
        if name not in ("host", "content-length")
    )
    return HttpRequest(request.method, str(request.url), headers, body)


def client_response(response: HttpResponse) -> httpx2.Response:
    """Return an answer of the seam as the client takes it; its body is still to be read."""
    return httpx2.Response(
        response.status,
        headers=list(response.headers.items()),
        stream=_SeamBody(response),
        extensions={RESPONSE_EXTENSION: response},
    )


class _SeamBody(httpx2.AsyncByteStream):
    """The body for the client's own reading, which happens only for error answers, and is bounded there."""

    def __init__(self, response: HttpResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = _MAX_ERROR_BYTES if self._response.status >= 400 else None
        try:
            async for chunk in self._response.chunks:
                if left is not None:
                    chunk = chunk[:left]
                    left -= len(chunk)
                yield chunk
                if left == 0:
                    return
        except ConnectionFailed as error:
            raise httpx2.ReadError(str(error)) from error

    async def aclose(self) -> None:
        await self._response.aclose()
