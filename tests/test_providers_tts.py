"""Text to speech: pcm or WAV of any rate becomes pcm, and nothing else becomes noise."""

import asyncio
import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_pairs import FixedAnswer, cut, providers_over, reached

from voicegw.audio.wav import wav_bytes
from voicegw.errors import ProviderError
from voicegw.providers import AiohttpStreams, ByteStreams
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.provider_server import ProviderServer
from voicegw.rehearsal.script import Fault, Script, spoken

TEXT = "Dạ vâng ạ."
SECOND = 32000


async def pieces_of(streams: ByteStreams, text: str = TEXT, **settings: Any) -> list[bytes]:
    tts = providers_over(streams, **settings).tts
    return [piece async for piece in tts.speak(text, voice="alloy", speed=1.0)]


async def speech_of(streams: ByteStreams, text: str = TEXT, **settings: Any) -> bytes:
    return b"".join(await pieces_of(streams, text, **settings))


def is_speech(pcm: bytes, text: str, speech_ms: float) -> bool:
    """Whether `pcm` is the script's tone for `text`: as long, as loud in the words, silent between them."""
    wanted = np.abs(np.frombuffer(spoken(text, speech_ms, 16000), "<i2").astype(float))
    got = np.abs(np.frombuffer(pcm, "<i2").astype(float))
    window = 160
    size = min(len(wanted), len(got)) // window * window
    levels = [a[:size].reshape(-1, window).mean(axis=1) for a in (wanted, got)]
    return abs(len(wanted) - len(got)) <= 2 and float(np.abs(levels[0] - levels[1]).max()) < 600


@pytest.mark.parametrize("pcm_hz", [16000, 22050, 24000, 48000])
@pytest.mark.parametrize("speaks_pcm", [True, False])
async def test_speech_arrives_at_16_khz_whatever_the_provider_speaks(pcm_hz: int, speaks_pcm: bool) -> None:
    """Raw pcm has the rate of the settings; a WAV brings its own."""
    script = Script(speech_ms=lambda text: 500.0, pcm_hz=pcm_hz, speaks_pcm=speaks_pcm)
    pcm = await speech_of(ScriptedProvider(script), pcm_hz=pcm_hz if speaks_pcm else 24000)
    assert is_speech(pcm, TEXT, 500.0)


async def test_the_request_names_text_voice_and_format() -> None:
    """What is sent, and that `speed` is left out where it is 1 (some servers refuse it)."""
    provider = ScriptedProvider()
    tts = providers_over(provider).tts
    async for _ in tts.speak(TEXT, voice="nova", speed=1.0):
        pass
    async for _ in tts.speak(TEXT, voice="nova", speed=1.25):
        pass
    plain, fast = (request.fields for request in provider.received("tts"))
    assert plain == {"model": "tts-1", "input": TEXT, "voice": "nova", "response_format": "pcm"}
    assert fast == {**plain, "speed": 1.25}


async def test_a_server_without_pcm_is_asked_for_wav_from_then_on() -> None:
    """Finding out must cost one request, once."""
    provider = ScriptedProvider(Script(speaks_pcm=False))
    tts = providers_over(provider).tts
    for _ in range(2):
        assert [piece async for piece in tts.speak(TEXT, voice="alloy")]
    assert [r.fields["response_format"] for r in provider.received("tts")] == ["pcm", "wav", "wav"]


RAW = spoken(TEXT, 300.0, 24000)
WAV = wav_bytes(spoken(TEXT, 300.0, 22050), 22050)


@given(st.lists(st.integers(0, len(RAW)), max_size=30), st.sampled_from([RAW, WAV]))
def test_speech_sounds_the_same_however_it_is_cut(places: list[int], body: bytes) -> None:
    """Reads end inside samples and inside the header; a shifted byte would be loud noise."""
    pieces = asyncio.run(pieces_of(FixedAnswer(cut(body, places), "audio/mpeg")))
    assert all(piece and len(piece) % 2 == 0 for piece in pieces)
    assert is_speech(b"".join(pieces), TEXT, 300.0)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"error": {"message": "no voice"}}', "application/json"),
        (b'{"error": {"message": "no voice"}}', "application/octet-stream"),
        (b"\n<!DOCTYPE html><html><body>Welcome", "text/html"),
        (b"<html><body>Welcome to nginx!", "audio/pcm"),
        (b"OggS\0\x02" + bytes(100), "audio/pcm"),
        (b"ID3\x04" + bytes(100), "audio/pcm"),
        (b"fLaC" + bytes(100), "audio/wav"),
        (b"\xff\xfb\x90\x64" + bytes(100), "audio/mpeg"),
        (b"RIFF\0\0\0\0AVI LIST" + bytes(100), "audio/wav"),
        (b"RIFF\0\0\0\0WAVEfm", "audio/wav"),
        (b"", "audio/pcm"),
    ],
)
async def test_what_is_no_readable_audio_is_an_error_never_noise(body: bytes, content_type: str) -> None:
    """A web page played at 24 kHz is the loudest sound a caller can hear."""
    with pytest.raises(ProviderError) as caught:
        await speech_of(FixedAnswer([body], content_type))
    assert (caught.value.stage, caught.value.code) == ("tts", "bad_answer")


async def test_a_loud_start_is_not_taken_for_mp3() -> None:
    """Raw pcm can begin with the bytes of an MP3 header; only together with its type is that believed."""
    body = b"\xff\xfb\x90\x64" + bytes(4800)
    assert len(await speech_of(FixedAnswer([body], "audio/pcm"))) == pytest.approx(3202, abs=4)


async def test_nothing_to_say_may_be_silence() -> None:
    """For "…" a provider may well answer with no audio."""
    assert await speech_of(FixedAnswer([], "audio/pcm"), "…") == b""


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (Fault(refuse=True), "connection", True),
        (Fault(hang=True), "timeout", True),
        (Fault(stall_after=0), "timeout", True),
        (Fault(stall_after=9001), "timeout", True),
        (Fault(reset_after=9001), "broken", True),
        (Fault(status=429), "http_429", True),
        (Fault(status=404), "http_404", False),
    ],
)
@pytest.mark.parametrize("over", ["memory", "network"])
async def test_every_failure_is_a_provider_error_with_a_code(
    fault: Fault, code: str, retryable: bool, over: str
) -> None:
    """The call decides by code and `retryable` what the caller hears; nothing else may come out."""
    provider = ScriptedProvider()
    provider.fail("tts", fault)
    async with reached(provider, over) as (streams, base_url):
        with pytest.raises(ProviderError) as caught:
            await speech_of(streams, base_url=base_url, timeout_s=0.1)
    assert (caught.value.stage, caught.value.code, caught.value.retryable) == ("tts", code, retryable)


async def test_speech_is_passed_on_while_it_is_being_made() -> None:
    """Waiting for the whole sentence would cost the caller seconds."""
    provider = ScriptedProvider(Script(speech_ms=lambda text: 2000.0, audio_chunk_ms=100.0))
    provider.fail("tts", Fault(stall_after=24000))
    tts = providers_over(provider).tts
    async with contextlib.aclosing(tts.speak(TEXT, voice="alloy")) as speech:
        # Half a second came and then nothing: all but what the resampler holds back is out.
        got = 0
        while got < 0.4 * SECOND:
            got += len(await anext(speech))
    assert await provider.requests[0].ended() == "closed"


async def test_an_interrupted_sentence_closes_its_request_at_the_server() -> None:
    """After a barge-in nobody pays for speech that nobody will hear."""
    provider = ScriptedProvider(Script(speech_ms=lambda text: 2000.0))
    provider.fail("tts", Fault(stall_after=24000))
    async with ProviderServer(provider) as server:
        streams = AiohttpStreams()
        started = asyncio.Event()

        async def listen() -> None:
            speech = providers_over(streams, base_url=server.base_url).tts.speak(TEXT, voice="alloy")
            async with contextlib.aclosing(speech):
                async for _ in speech:
                    started.set()

        task = asyncio.create_task(listen())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await provider.requests[0].ended() == "closed"
        await streams.aclose()
