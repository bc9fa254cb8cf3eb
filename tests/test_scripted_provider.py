"""The scripted provider: true wire formats, in memory as over HTTP, and faults where they were arranged."""

import json
from itertools import accumulate
from typing import Any

import httpx2
import numpy as np
import openai
import pytest
from provider_pairs import providers_over, reached

from voicegw.providers import HttpRequest
from voicegw.providers.http import ByteStreams, SeamTransport
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import (
    BENCH_REPLY,
    BENCH_SPEED,
    Fault,
    Script,
    ScriptedReply,
    ScriptedTranscript,
    ToolCall,
    bench_script,
    spoken,
    word_times,
)

URL = "http://provider.test/v1"
BOTH = pytest.mark.parametrize("over", ["memory", "network"])


def client_over(streams: ByteStreams, base_url: str) -> openai.AsyncOpenAI:
    """The official client as it is, over the seam: the judge of the wire format."""
    http = httpx2.AsyncClient(transport=SeamTransport(streams))
    return openai.AsyncOpenAI(api_key="k", base_url=base_url, http_client=http, max_retries=0)


def asked(route: str, fields: dict[str, Any] | None = None) -> HttpRequest:
    headers = (("content-type", "application/json"), ("authorization", "Bearer k"))
    return HttpRequest("POST", URL + route, headers, json.dumps(fields or {}).encode())


def chat(text: str = "hi") -> HttpRequest:
    fields = {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}
    return asked("/chat/completions", fields)


@BOTH
async def test_the_official_client_understands_every_answer(over: str) -> None:
    """What our own lean readers accept proves little; the client's parsers are strict."""
    reply = ScriptedReply("Dạ vâng ạ.", (ToolCall("find", '{"id": "ĐH1"}'),))
    transcript = ScriptedTranscript("xin chào", no_speech_prob=0.3)
    provider = ScriptedProvider(Script(llm=(reply,), stt=(transcript,), cut_bytes=7))
    async with reached(provider, over) as (streams, base_url):
        client = client_over(streams, base_url)
        assert [model.id async for model in client.models.list()] == list(provider.script.models)

        whole = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "a"}])
        assert whole.choices[0].message.content == "Dạ vâng ạ."
        assert whole.choices[0].finish_reason == "tool_calls"

        stream = await client.chat.completions.create(
            model="m", messages=[], stream=True, stream_options={"include_usage": True}
        )
        text, arguments, usage = "", "", None
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for call in choice.delta.tool_calls or []:
                    assert call.function is not None
                    arguments += call.function.arguments or ""
        assert (text, arguments) == ("Dạ vâng ạ.", '{"id": "ĐH1"}')
        assert usage is not None

        heard = await client.audio.transcriptions.create(
            model="w", file=("a.wav", bytes(44 + 32000)), response_format="verbose_json", language="vi"
        )
        assert (heard.text, heard.duration, heard.language) == ("xin chào", 1.0, "vi")
        assert heard.segments is not None
        assert heard.segments[0].no_speech_prob == 0.3
        assert provider.received("stt")[0].fields["model"] == "w"

        speech = await client.audio.speech.create(model="t", input="a b", voice="v", response_format="pcm")
        assert speech.content == spoken("a b", 180.0, 24000)


@BOTH
async def test_an_arranged_error_reaches_the_client_as_the_provider_would_send_it(over: str) -> None:
    """Status, code and headers decide about retries."""
    provider = ScriptedProvider(Script(api_key="another"))
    async with reached(provider, over) as (streams, base_url):
        client = client_over(streams, base_url)
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.models.list()
        assert refused.value.code == "invalid_api_key"
        provider.fail("models", Fault(status=429, headers={"retry-after": "3"}))
        with pytest.raises(openai.RateLimitError) as limited:
            await client.models.list()
        assert limited.value.response.headers["retry-after"] == "3"
        with pytest.raises(openai.NotFoundError):
            await client.embeddings.create(model="m", input="a")


def test_delays_stand_where_the_script_puts_them() -> None:
    """First token, then one token after another; end and usage come with the last one."""
    provider = ScriptedProvider(Script(llm=("one two three",), first_token_ms=400, token_ms=20))
    plan = provider.plan(chat(), 0.0)
    times = list(accumulate(delay for delay, _ in plan.pieces))
    tokens = [at for at, (_, data) in zip(times, plan.pieces, strict=True) if b'"content": "' in data]
    assert tokens == pytest.approx([0.4, 0.42, 0.44])
    assert times[-1] == pytest.approx(0.44)
    assert plan.pieces[-1][1] == b"data: [DONE]\n\n"

    own = ScriptedReply("a b", first_token_ms=50, token_ms=5)
    provider.script.llm = lambda messages: own
    assert [delay for delay, _ in provider.plan(chat(), 0.0).pieces][:2] == [0.05, 0.005]

    provider.script.first_audio_ms, provider.script.audio_chunk_ms = 150, 100
    provider.script.audio_chunk_delay_ms = 30
    speech = provider.plan(asked("/audio/speech", {"input": "abcde", "response_format": "pcm"}), 0.0)
    assert [(delay, len(data)) for delay, data in speech.pieces] == [(0.15, 4800), (0.03, 4800), (0.03, 4800)]


def test_lists_run_on_with_their_last_item_and_functions_see_the_request() -> None:
    """A conversation is a list, a speculative model a function of what it was asked."""
    provider = ScriptedProvider(Script(llm=("first", "second")))
    said = [b"".join(data for _, data in provider.plan(chat(), 0.0).pieces) for _ in range(3)]
    assert [b"first" in body for body in said] == [True, False, False]
    assert said[1] == said[2]
    provider.script.llm = lambda messages: f"you said {messages[-1]['content']}"
    assert b"data" in provider.plan(chat("ba"), 0.0).pieces[0][1]
    assert any(b'"content": " ba"' in data for _, data in provider.plan(chat("ba"), 0.0).pieces)
    provider.script.stt = lambda number: f"utterance {number}"
    assert b"utterance 0" in provider.plan(asked("/audio/transcriptions"), 0.0).pieces[0][1]
    assert b"utterance 1" in provider.plan(asked("/audio/transcriptions"), 0.0).pieces[0][1]


def test_faults_are_used_up_in_order_until_they_are_healed() -> None:
    """ "The third request fails" must mean the third."""
    provider = ScriptedProvider()
    provider.fail("llm", Fault(status=500), times=2, after=1)
    assert [provider.plan(chat(), 0.0).status for _ in range(4)] == [200, 500, 500, 200]
    provider.fail("llm", Fault(status=503), times=None)
    assert [provider.plan(chat(), 0.0).status for _ in range(2)] == [503, 503]
    assert provider.plan(asked("/audio/speech", {"input": "a"}), 0.0).status == 200
    provider.heal("llm")
    assert provider.plan(chat(), 0.0).status == 200


def test_words_sound_where_word_times_say() -> None:
    """Proofs about what a caller has heard rest on this."""
    text = "xin  chào em"
    words = word_times(text, 1200.0)
    assert [(word.word, word.start_char, word.end_char) for word in words] == [
        ("xin", 0, 3),
        ("chào", 5, 9),
        ("em", 10, 12),
    ]
    samples = np.abs(np.frombuffer(spoken(text, 1200.0, 16000), "<i2").astype(int))
    assert len(samples) == 19200
    sounding = samples.reshape(-1, 80).max(axis=1) > 0
    for at, is_sounding in enumerate(sounding):
        middle_ms = at * 5 + 2.5
        assert is_sounding == any(word.start_ms <= middle_ms < word.end_ms for word in words)


def test_the_benchmark_speaks_36_words_in_three_sentences() -> None:
    """Figures of other gateways were measured with this load."""
    assert len(BENCH_REPLY.split()) == 36
    sentences = [sentence for sentence in BENCH_REPLY.replace(".", ".|").split("|") if sentence]
    assert [len(sentence.split()) for sentence in sentences] == [12, 12, 12]
    provider = ScriptedProvider(bench_script())
    for sentence in sentences:
        fields = {"input": sentence, "response_format": "pcm", "speed": BENCH_SPEED}
        request = asked("/audio/speech", fields)
        assert sum(len(data) for _, data in provider.plan(request, 0.0).pieces) == 57600


@BOTH
async def test_requests_are_recorded_with_how_they_ended(over: str) -> None:
    """Tests ask what was sent, when, and whether anybody waited for the answer."""
    provider = ScriptedProvider()
    provider.fail("tts", Fault(reset_after=10))
    async with reached(provider, over) as (streams, base_url):
        providers = providers_over(streams, base_url=base_url)
        await providers.stt.transcribe(bytes(640), language="en")
        with pytest.raises(Exception, match="broke off"):
            async for _ in providers.tts.speak("Hello.", voice="v"):
                pass
    heard, spoke = provider.requests
    assert (heard.route, heard.number, heard.fields["language"]) == ("stt", 0, "en")
    assert heard.at_s <= spoke.at_s
    assert [await request.ended() for request in (heard, spoke)] == ["complete", "broken"]
