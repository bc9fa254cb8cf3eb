"""One provider for one stage: the `openai` client over the seam, its deadline, and its raw answer.

STT, LLM and TTS build on this; it knows none of their formats. The client brings addresses, authentication
and error answers; bodies are made and answers read here, past the client's transformers and parsers, which
cost more than all the rest (docs/performance.md).
"""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from types import TracebackType
from typing import Any, cast

import httpx2
import openai
from openai._base_client import get_platform
from openai._types import RequestOptions

from voicegw.config import ProviderSettings
from voicegw.errors import ProviderError, Stage
from voicegw.providers.failures import Failures
from voicegw.providers.http import (
    RESPONSE_EXTENSION,
    ByteStreams,
    ConnectionFailed,
    HttpRequest,
    HttpResponse,
    SeamTransport,
    client_response,
    seam_request,
)

# No answer that is read as a whole is longer: a transcript of 28 s with segments is some 10 kB.
MAX_WHOLE_BYTES = 4 * 1024 * 1024
# Put before a form's content type, so that the client does not want to make the form itself from its parts.
_READY_FORM = "ready "


@functools.cache
def _platform() -> Any:
    return get_platform()


def json_bytes(fields: Mapping[str, Any]) -> bytes:
    """Write `fields` as JSON, letters outside ASCII as they are: half as long for Vietnamese."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


class _LeanHttp(httpx2.AsyncClient):
    """The HTTP client below the `openai` client, without cookies, redirects, proxies and hooks.

    Both methods are the public ones that the `openai` client calls; they do what the originals do without
    those.
    """

    def __init__(self, streams: ByteStreams) -> None:
        super().__init__(transport=SeamTransport(streams), trust_env=False, timeout=None)
        self._seam = SeamTransport(streams)
        self._urls: dict[str, httpx2.URL] = {}
        # The first request to each address that was answered well, without its body.
        self.heads: dict[str, HttpRequest] = {}

    def build_request(self, method: str, url: httpx2.URL | str, **given: Any) -> httpx2.Request:
        """Make a request; each address is parsed once."""
        known = self._urls.get(str(url))
        if known is None:
            known = self._urls[str(url)] = httpx2.URL(url)
        request = httpx2.Request(method, known, headers=given.get("headers"), content=given.get("content"))
        if request.headers.get("content-type", "").startswith(_READY_FORM):
            request.headers["content-type"] = request.headers["content-type"].removeprefix(_READY_FORM)
        return request

    async def send(self, request: httpx2.Request, *, stream: bool = False, **given: Any) -> httpx2.Response:
        """Send `request` over the seam. Raises httpx2.TransportError."""
        response = await self._seam.handle_async_request(request)
        response.request = request
        if response.status_code < 300:
            self.heads.setdefault(str(request.url), seam_request(request, b""))
        if not stream:
            await response.aread()
        return response


class _Client(openai.AsyncOpenAI):
    """The official client without retries, environment variables and a helper thread.

    The client finds out its platform in a thread at its first request, which breaks virtual time; here it
    is found at construction. `_platform` is the client's own cache for it (a test tells when that changes).
    """

    def __init__(self, settings: ProviderSettings, http: _LeanHttp) -> None:
        super().__init__(
            # The client insists on a key; local servers have none, and get no header (see `Upstream.post`).
            api_key=settings.api_key or "none",
            base_url=settings.base_url,
            max_retries=0,
            timeout=None,
            http_client=http,
        )
        self._platform = _platform()
        self._fixed_headers = {
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "User-Agent": self.user_agent,
            **settings.headers,
        }

    @property
    def default_headers(self) -> dict[str, str | openai.Omit]:
        """The same headers for every request: none from OPENAI_* variables, no telemetry."""
        return dict(self._fixed_headers)


class Upstream:
    """A provider at one stage, and how its failures are told."""

    def __init__(self, stage: Stage, settings: ProviderSettings, streams: ByteStreams) -> None:
        self.settings = settings
        self.model = settings.model
        self.timeout_s = settings.timeout_s
        self.failures = Failures(stage, settings.base_url, settings.api_key)
        self._streams = streams
        self._http = _LeanHttp(streams)
        self.client = _Client(settings, self._http)
        # Telemetry of the client's own retries and timeouts, which are not used.
        self._headers: dict[str, str | openai.Omit] = {
            "x-stainless-retry-count": openai.Omit(),
            "x-stainless-read-timeout": openai.Omit(),
        }
        if not settings.api_key:
            self._headers["Authorization"] = openai.Omit()

    async def post(self, path: str, body: bytes, content_type: str = "application/json") -> "Answer":
        """Send `body` to `path` below the base URL and return the answer, for `async with`.

        Raises ProviderError for every failure up to the head of the answer, error statuses included.
        """
        head = self._http.heads.get(f"{self.settings.base_url.rstrip('/')}{path}")
        if head is None:
            return await self._sent(self._first_post(path, body, content_type))
        return await self._sent(self._next_post(head, body, content_type))

    async def _first_post(self, path: str, body: bytes, content_type: str) -> HttpResponse:
        """Let the client make the request: its address, its authentication, its errors."""
        if content_type.startswith("multipart/"):
            content_type = _READY_FORM + content_type
        options: RequestOptions = {"headers": {**self._headers, "Content-Type": content_type}}
        response = await self.client.post(
            path,
            cast_to=httpx2.Response,
            content=body,
            options=options,
            stream=True,
            stream_cls=openai.AsyncStream[Any],
        )
        return _seam_response(response)

    async def _next_post(self, head: HttpRequest, body: bytes, content_type: str) -> HttpResponse:
        """Send what the client would: the same but for the body. Making it anew costs 0.6 ms."""
        headers = [(name, value) for name, value in head.headers if name != "content-type"]
        request = HttpRequest(head.method, head.url, (*headers, ("content-type", content_type)), body)
        response = await self._streams.send(request)
        if response.status >= 300:
            raise await _status_error(request, response)
        return response

    async def get(self, path: str) -> "Answer":
        """Ask for `path` below the base URL; otherwise as `post`."""
        options: RequestOptions = {"headers": self._headers}

        async def ask() -> HttpResponse:
            response = await self.client.get(
                path,
                cast_to=httpx2.Response,
                options=options,
                stream=True,
                stream_cls=openai.AsyncStream[Any],
            )
            return _seam_response(response)

        return await self._sent(ask())

    async def _sent(self, request: Coroutine[Any, Any, HttpResponse]) -> "Answer":
        # One deadline for the first byte of the body: the head alone does not stop the clock.
        first_by = asyncio.get_running_loop().time() + self.timeout_s
        try:
            async with asyncio.timeout_at(first_by):
                response = await request
        except TimeoutError as error:
            raise self.failures.timeout(self.timeout_s) from error
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, ConnectionFailed) as error:
            raise self.failures.from_exception(error) from error
        return Answer(self, response, first_by)


def _seam_response(response: object) -> HttpResponse:
    """Return the seam's own answer, which came through the client."""
    return cast(HttpResponse, cast(httpx2.Response, response).extensions[RESPONSE_EXTENSION])


async def _status_error(request: HttpRequest, response: HttpResponse) -> openai.APIStatusError:
    """Make the error that the client makes of an error status."""
    answer = client_response(response)
    answer.request = httpx2.Request(request.method, request.url)
    await answer.aread()
    text = answer.text.strip()
    try:
        body: object = json.loads(text)
    except (ValueError, RecursionError):
        body = text
    if isinstance(body, Mapping):
        body = body.get("error", body)
    return openai.APIStatusError(text, response=answer, body=body)


class Answer:
    """The raw answer to one request, for `async with`.

    Leaving it closes the connection, unless it was read to its end.
    """

    def __init__(self, upstream: Upstream, response: HttpResponse, first_by: float) -> None:
        self._upstream = upstream
        self._first_by = first_by
        self._response = response
        headers = response.headers
        # Compression is not asked for; where a server compresses all the same, the client's decoder undoes
        # it.
        plain = headers.get("content-encoding", "identity") == "identity"
        self._chunks: AsyncIterator[bytes] = (
            response.chunks if plain else client_response(response).aiter_bytes()
        )
        kind, _, parameters = headers.get("content-type", "").partition(";")
        self.content_type = kind.strip().lower()
        self.content_parameters = parameters  # of the content type, as they came: "rate=24000"
        self.request_id = headers.get("x-request-id")

    async def __aenter__(self) -> "Answer":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._response.aclose()

    async def read(self) -> bytes:
        """Return the next piece of the body as it arrived, b"" at its end.

        Raises ProviderError when it breaks off or nothing comes within the deadline.
        """
        upstream = self._upstream
        deadline = self._first_by or asyncio.get_running_loop().time() + upstream.timeout_s
        self._first_by = 0.0
        try:
            async with asyncio.timeout_at(deadline):
                return await anext(self._chunks, b"")
        except TimeoutError as error:
            raise upstream.failures.timeout(upstream.timeout_s, self.request_id) from error
        except (ConnectionFailed, httpx2.HTTPError) as error:
            raise upstream.failures.broken(error, self.request_id) from error

    async def read_all(self) -> bytes:
        """Return the whole body. Raises ProviderError as `read`, and for a body that is far too long."""
        parts = []
        size = 0
        while data := await self.read():
            size += len(data)
            if size > MAX_WHOLE_BYTES:
                raise self.bad("an answer of more than 4 MB")
            parts.append(data)
        return b"".join(parts)

    async def let_end(self, within_s: float) -> None:
        """Read what is left, at most `within_s` seconds, so that the connection can be used again."""
        try:
            async with asyncio.timeout(within_s):
                async for _ in self._chunks:
                    pass
        except (TimeoutError, ConnectionFailed, httpx2.HTTPError):
            pass  # the answer was complete; only the connection is lost, and closed on leaving

    def bad(self, message: str) -> ProviderError:
        """Make the error for an answer that is not what was asked for."""
        return self._upstream.failures.bad_answer(message, self.request_id)

    def cut_short(self, message: str) -> ProviderError:
        """Make the error for an answer that ended in good order, though it cannot be all."""
        return self._upstream.failures.cut_short(message, self.request_id)
