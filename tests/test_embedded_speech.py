"""Speech: by length, level and rate, never by exact bytes, which differ from run to run."""

import asyncio
import io
import struct
from collections.abc import AsyncIterator

import httpx2
import numpy as np
import openai
import pytest
import soundfile
from embedded_audio import level

from voicegw.embedded.speech import choose_voice
from voicegw.embedded.spoken_text import is_vietnamese, sentences, spoken
from voicegw.embedded.synthesis import OUTPUT_HZ, Synthesiser

pytest_plugins = ["embedded_server"]

TEXT = "Your order is out for delivery. It should arrive tomorrow afternoon."
# A minute of speech and more: far longer than any socket buffers.
LONG_TEXT = "The courier has your parcel and will ring the bell at your door. " * 60


@pytest.fixture
def client(embedded_base_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=embedded_base_url, api_key="unused", max_retries=0)


@pytest.fixture
async def synthesiser() -> AsyncIterator[Synthesiser]:
    """An engine in this process; closed, so that no thread is left."""
    made = Synthesiser()
    yield made
    made.close()


def pcm(
    client: openai.OpenAI, text: str, voice: str = "alloy", speed: float = 1.0
) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    """Return speech as samples."""
    answered = client.audio.speech.create(
        model="tts-1", voice=voice, input=text, speed=speed, response_format="pcm"
    )
    return np.frombuffer(answered.content, "<i2")


def test_pcm_is_24_khz_speech_of_natural_length(client: openai.OpenAI) -> None:
    """The gateway resamples from 24,000 Hz: another rate would be heard as a wrong pitch."""
    samples = pcm(client, TEXT)
    assert 3.0 < len(samples) / OUTPUT_HZ < 7.0
    assert level(samples) > 500
    # Voiced speech has most of its power below 4 kHz; a wrong rate or byte order does not.
    power = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    assert power[: len(power) // 3].sum() > 0.8 * power.sum()


def test_pcm_is_streamed_in_small_pieces(client: openai.OpenAI) -> None:
    """First sound early is the point of streaming; the first piece must not hold the whole answer."""
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=TEXT, response_format="pcm"
    ) as answered:
        assert answered.headers["content-type"] == "audio/pcm;rate=24000"
        assert "content-length" not in answered.headers
        assert len(b"".join(answered.iter_bytes())) > 3 * 2 * OUTPUT_HZ


def test_wav_is_streamed_with_a_header_of_open_length(client: openai.OpenAI) -> None:
    """A reader takes the sizes 0xFFFFFFFF as "until the end", as with OpenAI's own WAV streams."""
    content = client.audio.speech.create(
        model="tts-1", voice="nova", input=TEXT, response_format="wav"
    ).content
    assert content[:4] == b"RIFF"
    assert struct.unpack_from("<HHI", content, 20) == (1, 1, OUTPUT_HZ)
    assert struct.unpack_from("<4sI", content, 36) == (b"data", 0xFFFFFFFF)
    assert len(content) > 44 + 3 * 2 * OUTPUT_HZ


@pytest.mark.parametrize("response_format", ["flac", "opus", "mp3"])
def test_whole_files_decode_to_the_same_length(client: openai.OpenAI, response_format: str) -> None:
    """These cannot be streamed by the encoder at hand; they must at least be whole."""
    content = client.audio.speech.create(
        model="tts-1",
        voice="nova",
        input=TEXT,
        response_format=response_format,  # type: ignore[arg-type]  # a parameter of the test
    ).content
    samples, rate = soundfile.read(io.BytesIO(content))
    assert len(samples) / rate == pytest.approx(len(pcm(client, TEXT)) / OUTPUT_HZ, abs=0.3)


def test_speed_changes_the_length(client: openai.OpenAI) -> None:
    """OpenAI's `speed` is part of a persona's voice."""
    usual = len(pcm(client, TEXT))
    assert len(pcm(client, TEXT, speed=1.5)) < 0.85 * usual
    assert len(pcm(client, TEXT, speed=0.7)) > 1.15 * usual


def test_the_voice_of_vietnamese_is_found_by_its_letters(client: openai.OpenAI) -> None:
    """OpenAI's voices speak every language, so a persona names "alloy" and expects Vietnamese to work."""
    text = "Dạ, đơn hàng của anh chị đang được giao ạ."
    by_letters, named = len(pcm(client, text)), len(pcm(client, text, voice="vi"))
    assert by_letters == pytest.approx(named, rel=0.02)
    assert len(pcm(client, text, voice="en")) != pytest.approx(named, rel=0.02)


@pytest.mark.parametrize("voice", ["vi-south", "vi-central", "en-gb"])
def test_regional_voices_speak(client: openai.OpenAI, voice: str) -> None:
    """A name that the engine does not know would fail at the first call only."""
    assert level(pcm(client, "Xin chào", voice=voice)) > 300


def test_an_id_is_read_character_by_character(client: openai.OpenAI) -> None:
    """Read as a number it takes a caller much longer to understand, and cannot be compared with a paper."""
    assert spoken("Order DH123456, code SUMMER2025.") == "Order D H 1 2 3 4 5 6, code summer 2025."
    assert len(pcm(client, "DH123456")) == pytest.approx(len(pcm(client, "D H 1 2 3 4 5 6")), rel=0.02)


def test_markup_is_spoken_text_and_nothing_breaks_on_odd_characters(client: openai.OpenAI) -> None:
    """Model output is not to be trusted with the engine's markup; a NUL would cut the rest off."""
    assert len(pcm(client, "Hello <break time='9s'/> there")) < 6 * OUTPUT_HZ
    assert len(pcm(client, "Hello\0 my dear friend")) == pytest.approx(
        len(pcm(client, "Hello my dear friend")), rel=0.1
    )


def test_text_with_nothing_to_say_is_empty_audio(client: openai.OpenAI) -> None:
    """A model may answer "…": that is no error, and no sound either."""
    assert len(pcm(client, "...")) < 0.3 * OUTPUT_HZ


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"input": "  "}, 400, "input"),
        ({"input": "a" * 5000}, 400, "input"),
        ({"voice": "elvis"}, 400, "voice"),
        ({"voice": None}, 400, "voice"),
        ({"speed": 9}, 400, "speed"),
        ({"response_format": "aac"}, 400, "response_format"),
        ({"stream_format": "sse"}, 400, "stream_format"),
        ({"model": "tts-9"}, 404, "model"),
    ],
)
def test_what_cannot_be_spoken_is_refused(
    embedded_base_url: str, change: dict[str, object], status: int, param: str
) -> None:
    """Before any sound: an error in the middle of audio could not be told."""
    body = {"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": "pcm", **change}
    answered = httpx2.post(f"{embedded_base_url}/audio/speech", json=body)
    assert answered.status_code == status
    assert answered.json()["error"]["param"] == param


async def test_a_client_that_goes_stops_the_engine(embedded_base_url: str) -> None:
    """Barge-in closes the request; speaking on to nobody would keep every other caller waiting."""
    async with httpx2.AsyncClient(timeout=20) as client:
        health = embedded_base_url.removesuffix("/v1") + "/healthz"
        before = (await client.get(health)).json()["speech"]
        body = {"model": "tts-1", "voice": "alloy", "input": LONG_TEXT, "response_format": "pcm"}
        async with client.stream("POST", f"{embedded_base_url}/audio/speech", json=body) as answered:
            async for _piece in answered.aiter_bytes():
                break
        while (after := (await client.get(health)).json()["speech"])["active"]:
            pass
    assert after["cancelled"] == before["cancelled"] + 1
    assert after["sentences"] - before["sentences"] < 60


async def test_closing_the_generator_stops_within_the_sentence(synthesiser: Synthesiser) -> None:
    """The engine is stopped by its callback, and has let go when the request has ended."""
    speech = synthesiser.speak(LONG_TEXT, voice="en")
    assert await anext(speech)
    await speech.aclose()
    assert (synthesiser.active, synthesiser.cancelled, synthesiser.sentences_spoken) == (0, 1, 0)


async def test_cancelling_the_task_stops_the_engine_too(synthesiser: Synthesiser) -> None:
    """A server cancels the task of a request; nothing may be left behind then."""
    first = asyncio.Event()

    async def listen() -> None:
        async for _piece in synthesiser.speak(LONG_TEXT, voice="en"):
            first.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(listen())
    await first.wait()
    task.cancel()
    await asyncio.wait({task})
    # The generator is closed by the loop when the task has gone; another request then gets the engine.
    assert [piece async for piece in synthesiser.speak("Hello.", voice="en")]


async def test_many_speak_at_once_through_one_engine(synthesiser: Synthesiser) -> None:
    """The engine's state is global: two texts must not mix, whatever voices they have."""

    async def length(text: str, voice: str) -> int:
        return sum([len(piece) async for piece in synthesiser.speak(text, voice=voice)])

    vietnamese = "Dạ, em chào anh chị ạ."
    alone = [await length(TEXT, "en"), await length(vietnamese, "vi")]
    together = await asyncio.gather(*(length(*x) for x in [(TEXT, "en"), (vietnamese, "vi")] * 8))
    assert together == [pytest.approx(want, rel=0.02) for want in alone * 8]


@pytest.mark.parametrize(
    ("text", "vietnamese"),
    [
        ("Em chào anh ạ", True),
        ("Đơn hàng", True),
        ("Xin chào, mình là Lan", True),
        ("Hello there", False),
        ("A café in town", False),
        ("xin chao", False),
    ],
)
def test_vietnamese_is_told_by_its_letters(text: str, vietnamese: bool) -> None:
    """One accent may be French in English text; one hook or horn cannot be."""
    assert is_vietnamese(text) is vietnamese
    assert choose_voice("alloy", text) == ("vi" if vietnamese else "en")


def test_long_text_is_cut_into_bounded_sentences() -> None:
    """What the engine speaks at once is what a vanished reader may cost."""
    parts = list(sentences("One. Two! Three?\nFour " + "word " * 200))
    assert parts[:3] == ["One.", "Two!", "Three?"]
    assert all(len(part) <= 400 for part in parts)
    assert "".join(parts).count("word") == 200
