"""The byte-stream seam: the official client over it, without threads; real connections behind it."""

import asyncio
import concurrent.futures
import gzip
import threading
from collections.abc import Callable
from typing import Any

import pytest
from provider_pairs import KEY, FixedAnswer, providers_over

from voicegw.config import ProviderSettings, Settings
from voicegw.errors import ProviderError
from voicegw.providers import AiohttpStreams, ConnectionFailed, HttpRequest, Providers, build_providers
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.provider_server import ProviderServer
from voicegw.rehearsal.script import Fault, Script, bench_script, spoken
from voicegw.rehearsal.self_signed import self_signed

PCM = bytes(3200)


async def one_exchange(providers: Providers) -> None:
    """One request of each kind."""
    await providers.stt.transcribe(PCM)
    async for _ in providers.llm.reply([{"role": "user", "content": "hi"}], max_tokens=9, temperature=0):
        pass
    async for _ in providers.tts.speak("Hello.", voice="alloy"):
        pass


class NoExecutor(concurrent.futures.ThreadPoolExecutor):
    """An executor that refuses work."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        raise AssertionError(f"work for a thread: {fn}")


async def test_no_thread_takes_part_in_a_request() -> None:
    """Virtual time cannot see a thread, and the client by itself starts one at its first request."""
    asyncio.get_running_loop().set_default_executor(NoExecutor())
    before = threading.active_count()
    await one_exchange(providers_over(ScriptedProvider()))
    assert threading.active_count() == before


async def test_requests_share_their_connection() -> None:
    """A new connection costs a handshake, some 100 ms with TLS, before each sentence."""
    async with ProviderServer(ScriptedProvider(bench_script())) as server:
        streams = AiohttpStreams()
        for _ in range(3):
            await one_exchange(providers_over(streams, base_url=server.base_url))
        assert server.connections_made == 1
        await streams.aclose()


async def test_a_key_does_not_follow_a_redirect() -> None:
    """A redirect to another host would hand the key over."""
    other = ScriptedProvider()
    provider = ScriptedProvider()
    async with ProviderServer(other) as elsewhere, ProviderServer(provider) as server:
        location = f"{elsewhere.base_url}/audio/transcriptions"
        provider.fail("stt", Fault(status=307, headers={"location": location}))
        streams = AiohttpStreams()
        with pytest.raises(ProviderError) as caught:
            await providers_over(streams, base_url=server.base_url).stt.transcribe(PCM)
        await streams.aclose()
    assert caught.value.code == "redirect"
    assert not other.requests


async def test_nobody_at_the_address_is_a_connection_error() -> None:
    """The most common first mistake: the local provider is not running."""
    async with ProviderServer(ScriptedProvider()) as server:
        base_url = server.base_url
    streams = AiohttpStreams()
    with pytest.raises(ProviderError) as caught:
        await providers_over(streams, base_url=base_url).stt.transcribe(PCM)
    assert (caught.value.code, caught.value.retryable) == ("refused", True)
    await streams.aclose()
    with pytest.raises(ConnectionFailed):
        await streams.send(HttpRequest("GET", base_url, (), b""))


async def failure_at(base_url: str) -> ProviderError:
    streams = AiohttpStreams()
    with pytest.raises(ProviderError) as caught:
        await one_exchange(providers_over(streams, base_url=base_url))
    await streams.aclose()
    return caught.value


async def test_a_name_that_does_not_exist_is_told_apart() -> None:
    """RFC 6761: no name server knows a name below .invalid."""
    error = await failure_at("http://provider.invalid/v1")
    assert (error.code, error.retryable) == ("dns", True)


async def test_a_certificate_of_nobody_is_told_apart() -> None:
    """So is a server that speaks no TLS at all."""
    async with ProviderServer(ScriptedProvider(), tls=self_signed()) as server:
        assert (await failure_at(server.base_url)).code == "tls"
    async with ProviderServer(ScriptedProvider()) as server:
        assert (await failure_at(server.base_url.replace("http://", "https://"))).code == "tls"


async def test_a_server_that_hangs_up_before_it_answers_is_told_apart() -> None:
    """Something listens, and it is no provider, or one that is just dying."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await failure_at(f"http://127.0.0.1:{port}/v1")).code == "reset"


async def test_a_compressed_answer_is_unpacked() -> None:
    """Compression is not asked for, and some gateways do it all the same."""
    body = gzip.compress(b'{"text": "hello"}')
    answer = FixedAnswer([body[:7], body[7:]], "application/json", {"content-encoding": "gzip"})
    assert (await providers_over(answer).stt.transcribe(PCM)).text == "hello"
    sent = dict(answer.requests[0].headers)
    assert sent["accept-encoding"] == "identity"


async def test_headers_of_the_settings_are_sent_and_no_telemetry() -> None:
    """HTTP-Referer and X-Title are asked for by providers; what the machine is, is nobody's business."""
    answer = FixedAnswer([b'{"text": ""}'], "application/json")
    provider = ProviderSettings(base_url="http://p.test/v1", api_key=KEY, headers={"X-Title": "Shop"})
    await build_providers(Settings(provider=provider), answer).stt.transcribe(PCM)
    sent = {name.lower(): value for name, value in answer.requests[0].headers}
    assert sent["x-title"] == "Shop"
    assert sent["authorization"] == f"Bearer {KEY}"
    assert not [name for name in sent if name.startswith(("x-stainless", "openai-"))]


async def test_a_local_server_without_key_gets_no_authorization() -> None:
    """An empty or invented key is refused by some local servers."""
    answer = FixedAnswer([b'{"text": ""}'], "application/json")
    provider = ProviderSettings(base_url="http://127.0.0.1:8100/v1")
    await build_providers(Settings(provider=provider), answer).stt.transcribe(PCM)
    assert "authorization" not in {name.lower() for name, _ in answer.requests[0].headers}


async def test_the_environment_does_not_reach_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The official client reads OPENAI_* on its own; settings come from one place only."""
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.test/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Extra: from-the-environment")
    answer = FixedAnswer([b'{"text": ""}'], "application/json")
    await providers_over(answer).stt.transcribe(PCM)
    request = answer.requests[0]
    assert request.url == "http://provider.test/v1/audio/transcriptions"
    assert "from-the-environment" not in str(request.headers)


async def test_stt_llm_and_tts_may_be_three_providers() -> None:
    """A provider without a speech route is paired with another one."""
    answer = FixedAnswer([spoken("Hello.", 100.0, 24000)], "audio/pcm")
    settings = Settings(
        provider=ProviderSettings(base_url="https://api.holysheep.ai/v1", api_key=KEY),
        tts=ProviderSettings(base_url="http://127.0.0.1:8100/v1"),
    )
    async for _ in build_providers(settings, answer).tts.speak("Hello.", voice="vi"):
        pass
    assert answer.requests[0].url == "http://127.0.0.1:8100/v1/audio/speech"
    assert KEY not in str(answer.requests[0].headers)


async def test_many_requests_at_once_keep_their_answers_apart() -> None:
    """All calls of a process share the three objects."""
    provider = ScriptedProvider(
        Script(llm=lambda messages: f"You said {messages[-1]['content']}.", token_ms=1)
    )
    model = providers_over(provider).llm

    async def ask(word: str) -> str:
        messages = [{"role": "user", "content": word}]
        return "".join([d.text async for d in model.reply(messages, max_tokens=9, temperature=0)])

    words = [f"word{number}" for number in range(20)]
    assert await asyncio.gather(*map(ask, words)) == [f"You said {word}." for word in words]
