"""Pairs of a scripted provider and the real clients on top of it, for tests."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping

import httpx2

from voicegw.config import ProviderSettings, Settings
from voicegw.providers import (
    AiohttpStreams,
    ByteStreams,
    HttpRequest,
    HttpResponse,
    Providers,
    build_providers,
)
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.provider_server import ProviderServer

KEY = "hss_secret_key_12345"


def providers_over(
    streams: ByteStreams,
    *,
    base_url: str = "http://provider.test/v1",
    timeout_s: float = 5.0,
    pcm_hz: int = 24000,
) -> Providers:
    """Return the three providers over `streams`, all from one base URL."""
    provider = ProviderSettings(base_url=base_url, api_key=KEY, timeout_s=timeout_s, pcm_hz=pcm_hz)
    return build_providers(Settings(provider=provider), streams)


@contextlib.asynccontextmanager
async def reached(provider: ScriptedProvider, over: str) -> AsyncIterator[tuple[ByteStreams, str]]:
    """Reach `provider` in "memory" or over the "network" (loopback); give the seam and the base URL."""
    if over == "memory":
        yield provider, "http://provider.test/v1"
        return
    async with ProviderServer(provider) as server:
        streams = AiohttpStreams()
        try:
            yield streams, server.base_url
        finally:
            await streams.aclose()


class FixedAnswer:
    """A seam that answers every request with the same bytes, in the given pieces."""

    def __init__(
        self, pieces: list[bytes], content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.pieces = pieces
        self.status = 200
        self.headers: Mapping[str, str] = httpx2.Headers({"content-type": content_type, **(headers or {})})
        self.requests: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        return _FixedResponse(self)

    async def aclose(self) -> None:
        """Nothing is open."""


class _FixedResponse:
    def __init__(self, answer: FixedAnswer) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.chunks: AsyncIterator[bytes] = self._chunks(answer.pieces)

    async def _chunks(self, pieces: list[bytes]) -> AsyncIterator[bytes]:
        for piece in pieces:
            if piece:
                yield piece

    async def aclose(self) -> None:
        """Nothing is open."""


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut `data` at the given places."""
    ends = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]
