"""Speech to text: what is sent, what is kept of the answer, and how it fails."""

import json
import wave
from io import BytesIO
from typing import Any

import pytest
from provider_pairs import KEY, FixedAnswer, providers_over, reached

from voicegw.errors import ProviderError
from voicegw.providers import ByteStreams, Segment, Transcription
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Fault, Script, ScriptedTranscript

PCM = bytes(range(256)) * 125


async def heard(streams: ByteStreams, **settings: Any) -> Transcription:
    return await providers_over(streams, **settings).stt.transcribe(
        PCM, language="vi", prompt="Đơn hàng ĐH123456"
    )


async def test_an_utterance_is_sent_as_wav_and_its_words_come_back() -> None:
    """The form is made by hand (it is the dearest part of the request), so it is checked field by field."""
    provider = ScriptedProvider(Script(stt=(ScriptedTranscript("Đơn hàng của em", language="vietnamese"),)))
    assert await heard(provider) == Transcription(
        "Đơn hàng của em", "vi", 1.0, (Segment(0.0, 1.0, "Đơn hàng của em", 0.01, -0.2, 1.2),)
    )
    sent = provider.received("stt")[0]
    with wave.open(BytesIO(sent.fields.pop("file"))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        assert file.readframes(99999) == PCM
    assert sent.fields == {
        "model": "whisper-1",
        "response_format": "verbose_json",
        "language": "vi",
        "prompt": "Đơn hàng ĐH123456",
    }
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.outcome == "complete"


async def test_without_language_and_prompt_none_is_sent() -> None:
    """An empty `language` is an error at OpenAI."""
    provider = ScriptedProvider()
    await providers_over(provider).stt.transcribe(PCM)
    assert {"language", "prompt"}.isdisjoint(provider.received("stt")[0].fields)


async def test_a_server_without_verbose_json_is_asked_for_json_from_then_on() -> None:
    """gpt-4o-transcribe knows only json; finding out must cost one request, once."""
    provider = ScriptedProvider(Script(stt=("hello",), verbose_json=False))
    stt = providers_over(provider).stt
    for _ in range(2):
        assert (await stt.transcribe(PCM)).text == "hello"
    formats = [request.fields["response_format"] for request in provider.received("stt")]
    assert formats == ["verbose_json", "json", "json"]


async def test_nothing_said_is_an_empty_text_not_an_error() -> None:
    """Noise without words is an everyday result."""
    assert (await heard(ScriptedProvider(Script(stt=("",))))).text == ""


async def test_sparse_and_odd_answers_are_understood() -> None:
    """Servers send `duration` as text, segments without figures, or `text` alone."""
    body = {"text": " xin chào ", "duration": "1.5", "language": "", "segments": [{"text": "xin chào"}, None]}
    answer = FixedAnswer([json.dumps(body).encode()], "text/plain")
    assert await heard(answer) == Transcription("xin chào", None, 1.5, (Segment(0.0, 0.0, "xin chào"),))
    assert (await heard(FixedAnswer([b'{"text":', b'"a"}'], "application/json"))).text == "a"


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (Fault(refuse=True), "reset", True),
        (Fault(hang=True), "timeout", True),
        (Fault(stall_after=5), "timeout", True),
        (Fault(reset_after=5), "broken", True),
        (Fault(end_after=5), "bad_answer", False),
        (Fault(status=500), "http_500", True),
        (Fault(status=400), "http_400", False),
        (Fault(wrong=True, body=b"<html>"), "bad_answer", False),
        (Fault(wrong=True, body=b"[]", content_type="application/json"), "bad_answer", False),
        (Fault(wrong=True, body=b'{"text": 3}', content_type="application/json"), "bad_answer", False),
        (Fault(wrong=True, body=b'{"error": "busy"}', content_type="application/json"), "stream_error", True),
    ],
)
@pytest.mark.parametrize("over", ["memory", "network"])
async def test_every_failure_is_a_provider_error_with_a_code(
    fault: Fault, code: str, retryable: bool, over: str
) -> None:
    """The call decides by code and `retryable` what the caller hears; nothing else may come out."""
    provider = ScriptedProvider()
    provider.fail("stt", fault)
    async with reached(provider, over) as (streams, base_url):
        with pytest.raises(ProviderError) as caught:
            await heard(streams, base_url=base_url, timeout_s=0.1)
    assert (caught.value.stage, caught.value.code, caught.value.retryable) == ("stt", code, retryable)


async def test_an_endless_answer_is_cut() -> None:
    """A provider gone mad must not fill the memory of the gateway."""
    with pytest.raises(ProviderError, match="more than 4 MB"):
        await heard(FixedAnswer([bytes(1 << 20)] * 6, "application/json"))
