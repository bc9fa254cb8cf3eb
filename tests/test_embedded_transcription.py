"""Recognition through the real route: the sample call, a person, and everything that is refused."""

import itertools
import re
from pathlib import Path

import httpx2
import numpy as np
import openai
import pytest
import soxr
from embedded_audio import RATE_HZ, SAMPLE_CALL, TESTS, read, turns, wav

from voicegw.embedded.agent import answer
from voicegw.embedded.recogniser import HeardWord
from voicegw.embedded.transcription import segments

pytest_plugins = ["embedded_server"]

HEARD = [
    "hello i would like to check my order",
    "my order number is d h one two three four five six",
    "yes that is right",
    "when will it arrive",
    "thank you very much goodbye",
]


@pytest.fixture
def client(embedded_base_url: str) -> openai.OpenAI:
    """The official client; it may not retry, so that each test sees the first answer."""
    return openai.OpenAI(base_url=embedded_base_url, api_key="unused", max_retries=0)


def heard(client: openai.OpenAI, data: bytes, name: str = "a.wav") -> str:
    return client.audio.transcriptions.create(model="embedded-stt", file=(name, data)).text


def test_the_sample_call_has_five_turns_that_a_player_can_separate() -> None:
    """`voicegw call` waits for the agent in silences of a second: shorter ones would run turns together."""
    spans = turns(read(SAMPLE_CALL))
    assert len(spans) == len(HEARD)
    assert all(after - before >= 1.6 * RATE_HZ for (_, before), (after, _) in itertools.pairwise(spans))


@pytest.mark.parametrize("turn", range(len(HEARD)))
def test_each_turn_of_the_sample_call_is_heard_wherever_the_gateway_cuts_it(
    client: openai.OpenAI, turn: int
) -> None:
    """The demonstration depends on it: 300 ms of silence on both sides, and cuts up to 60 ms off."""
    samples = read(SAMPLE_CALL)
    begin, end = turns(samples)[turn]
    margin, shift = round(0.3 * RATE_HZ), round(0.06 * RATE_HZ)
    for early, late in ((0, 0), (-shift, shift), (shift, -shift), (-shift, -shift), (shift, shift)):
        cut = samples[begin - margin + early : end + margin + late]
        assert heard(client, wav(cut)) == HEARD[turn]


def test_the_heard_sample_call_leads_the_agent_through_the_whole_conversation() -> None:
    """Recognised words and dialogue must fit one another, or the demonstration stops half-way."""
    messages = [{"role": "system", "content": "You are a friendly agent."}]
    for words in HEARD:
        messages.append({"role": "user", "content": words})
        messages.append({"role": "assistant", "content": answer(messages).text})
    said = [m["content"] for m in messages if m["role"] == "assistant"]
    assert "What is your order number?" in said[0]
    assert said[1] == "I heard D H 1 2 3 4 5 6. Is that right?"
    assert said[2].startswith("Your order DH123456 is out for delivery.")
    assert said[3].startswith("It should arrive tomorrow")
    assert said[4] == "Thank you for calling. Goodbye!"


def test_a_person_is_understood(client: openai.OpenAI) -> None:
    """The rest is synthetic: this recording proves that the route hears people too."""
    assert heard(client, (TESTS / "data/goforward.flac").read_bytes(), "a.flac") == "go forward ten meters"


def test_a_person_counting_gives_the_agent_digits(client: openai.OpenAI) -> None:
    """The words may be wrong ("want to three"): the agent must still get 1 2 3 when it asked for a number."""
    words = heard(client, (TESTS / "data/one-two-three.flac").read_bytes(), "a.flac")
    asked = {"role": "assistant", "content": "What is your order number?"}
    assert "So far I have 1 2 3." in answer([asked, {"role": "user", "content": words}]).text


@pytest.mark.parametrize("rate_hz", [8000, 44100])
def test_other_rates_are_resampled(client: openai.OpenAI, rate_hz: int) -> None:
    """Callers of the route send what they have; telephone audio is at 8 kHz."""
    begin, end = turns(read(SAMPLE_CALL))[2]
    samples = soxr.resample(read(SAMPLE_CALL)[begin - 4800 : end + 4800], RATE_HZ, rate_hz)
    words = heard(client, wav(samples, rate_hz)).split()
    assert "right" in words or "yes" in words


def test_two_channels_are_one_voice(client: openai.OpenAI) -> None:
    """A stereo file is one caller, not two."""
    begin, end = turns(read(SAMPLE_CALL))[2]
    mono = read(SAMPLE_CALL)[begin - 4800 : end + 4800]
    assert heard(client, wav(np.stack([mono, mono], axis=1))) == HEARD[2]


def test_equal_audio_gives_equal_words_whatever_came_before(client: openai.OpenAI) -> None:
    """The decoder adapts to a speaker; one call's caller must not change how another's is heard."""
    data = (TESTS / "data/one-two-three.flac").read_bytes()
    first = heard(client, data)
    heard(client, (TESTS / "data/goforward.flac").read_bytes())
    assert heard(client, data) == first


def test_the_formats_tell_the_same_words(client: openai.OpenAI) -> None:
    """Gateways ask for json, text or verbose_json; the last one's figures decide what they reject."""
    data = (TESTS / "data/goforward.flac").read_bytes()
    create = client.audio.transcriptions.create
    assert create(model="whisper-1", file=("a.flac", data), response_format="text").strip() == (
        "go forward ten meters"
    )
    verbose = create(
        model="whisper-1",
        file=("a.flac", data),
        language="en",
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert (verbose.language, verbose.text) == ("english", "go forward ten meters")
    assert verbose.duration == pytest.approx(2.79, abs=0.05)
    assert verbose.words is not None
    assert [word.word for word in verbose.words] == ["go", "forward", "ten", "meters"]
    assert verbose.segments is not None
    (segment,) = verbose.segments
    assert -1 < segment.avg_logprob <= 0
    assert segment.no_speech_prob < 0.1
    assert 0 <= segment.start < segment.end <= 2.8


@pytest.mark.parametrize("noise", [0, 3])
def test_silence_has_no_words(client: openai.OpenAI, noise: int) -> None:
    """A decoder finds words in anything; a quiet line must not make the agent answer."""
    samples = np.random.default_rng(1).integers(-noise, noise + 1, RATE_HZ).astype(np.int16)
    verbose = client.audio.transcriptions.create(
        model="whisper-1", file=("a.wav", wav(samples)), response_format="verbose_json"
    )
    assert verbose.text == ""
    assert verbose.segments is not None
    assert verbose.segments[0].no_speech_prob == 1.0


@pytest.mark.parametrize(
    ("change", "status", "param", "code"),
    [
        ({"language": "vi"}, 400, "language", "language_not_supported"),
        ({"response_format": "srt"}, 400, "response_format", None),
        ({"model": "whisper-2"}, 404, "model", "model_not_found"),
        ({"file": b"this is not audio"}, 400, "file", "invalid_audio"),
        ({"file": b""}, 400, "file", "invalid_audio"),
        ({"file": wav(np.zeros(800, np.int16))}, 400, "file", "audio_too_short"),
        ({"file": wav(np.zeros(61 * RATE_HZ, np.int16))}, 400, "file", "audio_too_long"),
        ({"file": None}, 400, "file", None),
        ({"model": None}, 400, "model", None),
    ],
)
def test_what_cannot_be_recognised_is_refused_with_its_reason(
    embedded_base_url: str, change: dict[str, str | bytes | None], status: int, param: str, code: str | None
) -> None:
    """The official client and gateways read status, param and code; a user reads the message."""
    fields: dict[str, str | bytes | None] = {
        "model": "whisper-1",
        "file": wav(np.zeros(RATE_HZ, np.int16)),
        **change,
    }
    file = fields.pop("file")
    # Without a file the form still has to be multipart, as from any client of this route.
    files = {"other": ("a.wav", b"x")} if file is None else {"file": ("a.wav", file)}
    answered = httpx2.post(
        f"{embedded_base_url}/audio/transcriptions",
        data={name: value for name, value in fields.items() if value is not None},
        files=files,
    )
    assert answered.status_code == status
    error = answered.json()["error"]
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")
    assert error["message"]


def test_a_language_error_says_what_to_do(client: openai.OpenAI) -> None:
    """Vietnamese is spoken but not recognised here: whoever tries it must learn that at once."""
    with pytest.raises(openai.BadRequestError, match="English only"):
        client.audio.transcriptions.create(
            model="whisper-1", file=("a.wav", wav(np.ones(RATE_HZ, np.int16))), language="vi"
        )


def test_pauses_cut_segments_and_their_figures_come_from_the_words() -> None:
    """Figures that were made up would mislead whoever rejects hallucinations by them."""
    words = [
        HeardWord("yes", 0.0, 0.4, -0.1),
        HeardWord("please", 0.5, 0.9, -0.3),
        HeardWord("now", 2, 2.3, -3),
    ]
    first, second = segments(words, np.zeros(3 * RATE_HZ, np.int16))
    assert (first["text"], second["text"]) == (" yes please", " now")
    assert first["avg_logprob"] == pytest.approx(-0.2)
    assert first["no_speech_prob"] == pytest.approx((1 - np.exp(-0.1)) * (1 - np.exp(-0.3)), abs=1e-3)
    assert second["no_speech_prob"] == pytest.approx(1 - np.exp(-3), abs=1e-3)


def test_the_description_of_the_sample_call_has_the_words_that_are_heard() -> None:
    """The file beside the recording is what a reader believes about it."""
    text = Path(SAMPLE_CALL).with_suffix(".yaml").read_text(encoding="utf-8")
    written = re.findall(r'say: "([^"]+)"', text)
    assert [re.sub(r"[^a-z ]", "", line.lower()) for line in written] == HEARD
