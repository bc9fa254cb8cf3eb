"""Text to speech: pcm or WAV of any rate becomes pcm, and nothing else becomes noise."""

import asyncio
import contextlib
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st
from provider_pairs import FixedAnswer, cut, providers_over, reached

from voicegw.audio.trim import LEAD_MS, TAIL_MS, WINDOW_MS, Trimmer
from voicegw.audio.wav import wav_bytes
from voicegw.errors import ProviderError
from voicegw.providers import AiohttpStreams, ByteStreams, HttpRequest, HttpResponse
from voicegw.providers.speech_cache import SpeechCache
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


async def speech_or_code(streams: ByteStreams) -> tuple[bytes, str]:
    """What was heard, and the code of the error that ended it, if any."""
    heard = b""
    try:
        async for piece in providers_over(streams).tts.speak(TEXT, voice="alloy"):
            heard += piece
    except ProviderError as error:
        return heard, error.code
    return heard, ""


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
    for text in (TEXT, "Dạ em nghe."):
        assert [piece async for piece in tts.speak(text, voice="alloy")]
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
        (Fault(refuse=True), "reset", True),
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


VOICE = Path(__file__).parent / "data" / "goforward.flac"


def speech_at(rate_hz: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """A person's speech at full scale, at this rate."""
    samples, file_hz = soundfile.read(VOICE, dtype="int16")
    loud = np.rint(samples * (32767 / np.abs(samples.astype(float)).max())).astype(np.int16)
    resampled: np.ndarray[tuple[int], np.dtype[np.int16]] = soxr.resample(loud, file_hz, rate_hz)
    return resampled


def encoded(name: str, rate_hz: int = 24000) -> bytes:
    """The person's speech as a file of this kind."""
    file = io.BytesIO()
    kind = {"ogg": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III"), "flac": ("FLAC", "PCM_16")}[name]
    soundfile.write(file, speech_at(rate_hz), rate_hz, format=kind[0], subtype=kind[1])
    return file.getvalue()


def trimmed() -> bytes:
    """The person's speech as it should come out: 16 kHz, without the silence around it."""
    trimmer = Trimmer()
    return trimmer.push(speech_at(16000).tobytes()) + trimmer.finish()


@pytest.mark.parametrize("kind", ["mp3", "ogg", "flac"])
@pytest.mark.parametrize("content_type", ["audio/pcm", "application/octet-stream", "application/json", ""])
async def test_the_bytes_tell_the_format_and_not_the_header(kind: str, content_type: str) -> None:
    """Many servers send MP3 or Opus whatever is asked for, and call it what they like."""
    body = encoded(kind)
    pieces = await pieces_of(FixedAnswer(cut(body, [1, 5, 30, 700, 5000]), content_type))
    assert all(piece and len(piece) % 2 == 0 for piece in pieces)
    got, wanted = np.frombuffer(b"".join(pieces), "<i2"), np.frombuffer(trimmed(), "<i2")
    # Codecs pad both ends by up to 60 ms.
    assert abs(len(got) - len(wanted)) < 16 * 120
    assert np.sqrt(np.mean(got.astype(float) ** 2)) == pytest.approx(
        np.sqrt(np.mean(wanted.astype(float) ** 2)), rel=0.1
    )


async def test_a_broken_file_is_an_error() -> None:
    """Half a file may still decode; what is no file behind its mark may not."""
    for mark in (b"OggS", b"fLaC", b"ID3\x04"):
        with pytest.raises(ProviderError) as caught:
            await speech_of(FixedAnswer([mark + bytes(range(256)) * 20], "audio/mpeg"))
        assert caught.value.code == "bad_answer"


@pytest.mark.parametrize("kind", ["mp3", "ogg", "flac"])
async def test_half_a_file_is_no_noise(kind: str) -> None:
    """It is what there is of the speech, or an error."""
    body = encoded(kind)
    pcm, code = await speech_or_code(FixedAnswer([body[: len(body) // 2]], "audio/mpeg"))
    assert code in ("", "bad_answer")
    assert len(pcm) <= len(trimmed())


async def test_a_server_that_speaks_mp3_alone_is_asked_for_it() -> None:
    """The third and last format that is tried."""
    asked = []

    class OnlyMp3(FixedAnswer):
        async def send(self, request: HttpRequest) -> HttpResponse:
            wanted = json.loads(request.body)["response_format"]
            asked.append(wanted)
            known = wanted == "mp3"
            self.status = 200 if known else 400
            self.pieces = [encoded("mp3")] if known else [b'{"error": {"message": "bad response_format"}}']
            return await super().send(request)

    streams = OnlyMp3([], "audio/mpeg")
    tts = providers_over(streams).tts
    for text in (TEXT, "Dạ em nghe."):
        assert [piece async for piece in tts.speak(text, voice="alloy")]
    assert asked == ["pcm", "wav", "mp3", "mp3"]


SWAPPED = speech_at(24000).byteswap().tobytes()
FLOATS = (speech_at(24000) / 32768).astype("<f4").tobytes()


@pytest.mark.parametrize(
    "body",
    [
        np.random.default_rng(1).bytes(40_000),
        np.random.default_rng(2).bytes(40_001),
        zlib.compress(np.random.default_rng(3).bytes(20_000)),
        SWAPPED,
        speech_at(24000).tobytes()[1:],
        FLOATS,
        encoded("mp3")[3000:],
        "Lỗi: không tìm thấy giọng nói này.".encode(),
        b'[{"error": 1}]',
        b"data: {}\n\n",
        b"Internal Server Error",
        b"   \n  <html>",
        b"\x1aE\xdf\xa3" + bytes(100),
        b"\0\0\0\x20ftypM4A " + bytes(100),
        b"\x1f\x8b\x08" + bytes(100),
        b"#!AMR\n" + bytes(100),
        bytes(20_000),
    ],
    ids=[
        *("random", "random-odd", "compressed", "big-endian", "shifted", "floats", "mp3-without-its-start"),
        *("vietnamese", "json-list", "events", "words", "page", "webm", "m4a", "gzip", "amr", "silence"),
    ],
)
@pytest.mark.parametrize("size", [1, 37, 100_000])
@pytest.mark.parametrize("content_type", ["audio/pcm", "audio/mpeg"])
async def test_whatever_a_server_sends_there_is_no_noise(body: bytes, size: int, content_type: str) -> None:
    """What comes out before the error is found is at most what sounds like speech still."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    heard, code = await speech_or_code(FixedAnswer(pieces, content_type))
    assert code == "bad_answer"
    samples = np.frombuffer(heard, "<i2").astype(float) / 32768
    windows = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    assert sum(np.sqrt((windows**2).mean(axis=1)) > 0.3) <= 1  # 20 ms


@given(st.binary(max_size=3000), st.sampled_from(["audio/pcm", "audio/wav", "", "text/html"]))
def test_any_bytes_give_speech_or_a_provider_error(body: bytes, content_type: str) -> None:
    """Nothing else may come out of a request: it would end the call."""
    pcm, code = asyncio.run(speech_or_code(FixedAnswer([body], content_type)))
    assert code in ("", "bad_answer")
    assert len(pcm) % 2 == 0


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 48000])
async def test_loud_speech_is_not_taken_for_noise(rate_hz: int) -> None:
    """A person at full scale, at every rate: a good sentence that is refused would be silence."""
    body = speech_at(rate_hz).tobytes()
    pcm = await speech_of(
        FixedAnswer(cut(body, list(range(0, len(body), 1999))), "audio/pcm"), pcm_hz=rate_hz
    )
    assert len(pcm) == pytest.approx(len(trimmed()), abs=1600)


async def test_the_rate_in_a_header_counts_before_the_setting() -> None:
    """A provider that says its rate knows it better."""
    body = speech_at(16000).tobytes()
    pcm = await speech_of(FixedAnswer([body], "audio/pcm; rate=16000"), pcm_hz=24000)
    assert len(pcm) == pytest.approx(len(trimmed()), abs=32)


LONG = "Đơn hàng của anh đang trên đường giao và sẽ tới trong buổi sáng hôm nay ạ."


@pytest.mark.parametrize(("pcm_hz", "warns"), [(24000, False), (48000, False), (8000, True)])
async def test_a_length_that_cannot_be_right_warns(
    pcm_hz: int, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A rate that is set wrong makes a voice slow and low; the warning names the setting, and no word."""
    body = spoken(LONG, len(LONG) * 66.0, 24000)
    tts = providers_over(FixedAnswer([body], "audio/pcm"), pcm_hz=pcm_hz).tts
    for _ in range(3):
        async for _piece in tts.speak(LONG, voice="alloy"):
            pass
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == warns  # once, not with every sentence
    assert not warns or ("VOICEGW_TTS__PCM_HZ" in warnings[0] and "Đơn" not in warnings[0])


async def test_an_answer_cut_short_warns(caplog: pytest.LogCaptureFixture) -> None:
    """Some servers end their answer cleanly in the middle of a sentence."""
    await speech_of(FixedAnswer([spoken("Đơn hàng", 1500.0, 24000)], "audio/pcm"), LONG)
    assert "too short" in caplog.text


async def test_an_answer_of_which_nearly_all_is_missing_is_an_error() -> None:
    """A sentence that was not spoken must neither count as heard nor be kept; it is worth another try."""
    answer = FixedAnswer([spoken("Đơn", 300.0, 24000)], "audio/pcm")
    with pytest.raises(ProviderError) as caught:
        await speech_of(answer, LONG)
    assert caught.value.code == "cut_short"
    assert caught.value.retryable


async def test_silence_around_a_sentence_is_trimmed() -> None:
    """Before it the caller waits; behind it the agent seems not to have ended."""
    words = spoken(TEXT, 600.0, 24000)
    body = bytes(24000) + words + bytes(48000)
    pcm = await speech_of(FixedAnswer(cut(body, list(range(0, len(body), 3001))), "audio/pcm"))
    assert len(pcm) / 32 == pytest.approx(600 + LEAD_MS + TAIL_MS, abs=2 * WINDOW_MS)


async def test_a_sentence_said_before_needs_no_request() -> None:
    """ "Dạ." is said a hundred times an hour; by another voice or faster it is another sentence."""
    provider = ScriptedProvider(Script(speech_ms=lambda text: 50.0 * len(text)))
    tts = providers_over(provider).tts

    async def said(text: str, voice: str = "alloy", speed: float = 1.0) -> bytes:
        return b"".join([piece async for piece in tts.speak(text, voice=voice, speed=speed)])

    first = await said("Dạ vâng ạ.")
    assert await said("Dạ vâng ạ.") == first
    assert len(provider.received("tts")) == 1
    await said("Dạ vâng ạ.", voice="nova")
    fast = await said("Dạ vâng ạ.", speed=1.2)
    await said(LONG)
    await said(LONG)
    assert len(provider.received("tts")) == 5
    cache = tts.row.backends[0].service.cache
    assert (cache.hits, cache.n_bytes) == (1, 2 * len(first) + len(fast))


async def test_a_sentence_that_broke_off_is_not_kept() -> None:
    """Half of it would be said for ever."""
    provider = ScriptedProvider(Script(speech_ms=lambda text: 500.0))
    provider.fail("tts", Fault(reset_after=9001))
    tts = providers_over(provider).tts
    with pytest.raises(ProviderError):
        assert [piece async for piece in tts.speak(TEXT, voice="alloy")]
    whole = [piece async for piece in tts.speak(TEXT, voice="alloy")]
    assert len(b"".join(whole)) == SECOND // 2


def test_the_memory_for_sentences_is_bounded() -> None:
    """The least recently used one goes; what alone would fill it is not kept."""
    cache = SpeechCache(1000)
    for n in range(10):
        cache.keep(("alloy", 1.0, f"{n}"), bytes(200))
        assert cache.n_bytes <= 1000
        assert cache.get(("alloy", 1.0, "0")) is not None
    assert [n for n in range(10) if cache.get(("alloy", 1.0, f"{n}"))] == [0, 6, 7, 8, 9]
    cache.keep(("alloy", 1.0, "long"), bytes(300))
    cache.keep(("alloy", 1.0, "0"), bytes(100))
    assert cache.n_bytes == 900
    none = SpeechCache(0)
    none.keep(("alloy", 1.0, "0"), bytes(2))
    assert none.get(("alloy", 1.0, "0")) is None
