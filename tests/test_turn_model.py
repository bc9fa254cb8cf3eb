"""A turn model given by its file: what it hears, what it may be, and that nobody waits for it."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rehearsed import WHEN, on_virtual_time, rehearsed
from tiny_turn_model import write_model

from voicegw.agents.personas import load_personas
from voicegw.audio.log_mel import SAMPLES, log_mel
from voicegw.config import load_settings
from voicegw.errors import ConfigError
from voicegw.rehearsal.caller import dialling
from voicegw.rehearsal.clock import run_virtual
from voicegw.rehearsal.script import Script
from voicegw.server.turn_model import DELAY_S, MOST_WAITING, TurnModel, make_turn_model

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["cards-001", "jfk"])
def test_the_model_hears_what_whispers_extractor_would_give_it(name: str) -> None:
    """Other features would get votes of no meaning, and nobody would notice. The values are transformers'."""
    wanted = np.load(ROOT / "tests" / "data" / "log_mel.npz")[name]
    sound, _ = soundfile.read(ROOT / "samples" / "speech" / f"{name}.flac", dtype="float32")
    found = log_mel(sound)
    assert found.shape == (80, 800)
    assert found.dtype == np.float32
    assert np.abs(found[::8, ::20] - wanted).max() < 1e-5


def test_the_end_of_the_sound_is_at_the_end_of_what_the_model_hears() -> None:
    """Silence stands before a short turn; of a long one the last 8 s count."""
    tone = np.sin(np.arange(16_000) / 4).astype(np.float32)
    short = log_mel(tone)
    assert short[:, :690].max() < short[:, 710:].max()
    silence = np.zeros(SAMPLES, np.float32)
    assert np.array_equal(log_mel(np.concatenate([tone, silence])), log_mel(silence))
    assert np.array_equal(log_mel(silence[:0]), log_mel(silence))


def test_a_file_that_is_no_turn_model_is_told_at_start(tmp_path: Path) -> None:
    """Not at the first pause of the first caller."""
    (tmp_path / "text.onnx").write_text("no model")
    write_model(tmp_path / "whole.onnx", frames=3000)
    write_model(tmp_path / "raw.onnx", probability=False, offset=3.0)

    async def told(name: str) -> str:
        with pytest.raises(ConfigError) as error:
            make_turn_model(str(tmp_path / name), asyncio.get_running_loop())
        return str(error.value)

    for name, words in (
        ("gone.onnx", "no such file"),
        ("text.onnx", "not an ONNX model"),
        ("whole.onnx", "not one float input [batch, 80, 800]"),
        ("raw.onnx", "not one probability"),
    ):
        message = run_virtual(told(name))
        assert message.startswith(f"turns.model: {tmp_path / name}: ")
        assert words in message
        assert "smart-turn" in message


def test_no_file_is_no_model() -> None:
    """The usual case."""

    async def made() -> TurnModel | None:
        return make_turn_model("", asyncio.get_running_loop())

    assert run_virtual(made()) is None


def test_its_vote_comes_after_the_delay_that_is_booked(tmp_path: Path) -> None:
    """On virtual time a model takes no time: calls would end sooner than they do in life."""
    path = write_model(tmp_path / "tiny.onnx", offset=-4.0)

    async def asked() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        model = TurnModel(path, loop)
        vote: asyncio.Future[float] = loop.create_future()
        model.judge(bytes(32_000), vote.set_result)
        p = await vote
        model.close()
        return p, loop.time()

    p, at_s = run_virtual(asked())
    assert 0.9 < p < 1.0
    assert at_s == pytest.approx(DELAY_S)


async def test_a_busy_model_leaves_the_oldest_pauses_without_a_vote(tmp_path: Path) -> None:
    """Late votes decide nothing, and a queue without a limit would grow with the calls."""
    model = TurnModel(write_model(tmp_path / "tiny.onnx"), asyncio.get_running_loop())
    told: list[int] = []
    last = asyncio.Event()
    count = MOST_WAITING + 5
    for number in range(count):

        def vote(p: float, number: int = number) -> None:
            told.append(number)
            if number == count - 1:
                last.set()

        model.judge(bytes(640), vote)
    assert model.dropped == 4
    await last.wait()
    assert told == [0, *range(5, count)]
    model.close()
    model.judge(bytes(640), lambda p: told.append(-1))
    assert told[-1] == count - 1


def test_a_persona_cannot_have_a_model_of_its_own(tmp_path: Path) -> None:
    """It would be taken for set, and do nothing: the process has one for all calls."""
    lines = [
        'name = "own"', 'language = "en"', 'system_prompt = "x"', "[phrases]", 'apology = "Sorry."',
        'not_understood = "Pardon?"', "[turns]", 'model = "/m.onnx"',
    ]  # fmt: skip
    (tmp_path / "own.toml").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigError, match="VOICEGW_TURNS__MODEL"):
        load_personas(load_settings({}, None, {"persona.folders": str(tmp_path), "persona.default": "own"}))


async def _answered_after_ms(folder: Path, text: str, model: Path | None = None) -> tuple[float, int]:
    """How long a caller waits who says this, and how many answers were begun early."""
    script = Script(stt=(text,), llm=("It is on its way.",), stt_ms=300)
    path = "" if model is None else str(model)
    async with (
        rehearsed(folder, script, turns__model=path) as rehearsal,
        dialling(rehearsal.gateway) as caller,
    ):
        await caller.event("speech_stopped")
        await caller.say(WHEN)
        latency = await caller.event("latency")
        caller.send("hangup")
        await caller.ended()
        return latency.fields["end_of_turn_ms"], len(caller.told("draft"))


@on_virtual_time
async def test_a_model_that_hears_more_coming_lets_the_caller_think(tmp_path: Path) -> None:
    """The words looked complete. An answer is begun all the same, half a second before the later end."""
    unsure = write_model(tmp_path / "unsure.onnx", offset=4.0)
    usual, drafts = await _answered_after_ms(tmp_path / "usual", "My order is late.")
    later, as_many = await _answered_after_ms(tmp_path / "later", "My order is late.", unsure)
    assert later > usual + 200
    assert (drafts, as_many) == (1, 1)


@on_virtual_time
async def test_a_model_that_is_sure_of_the_end_outweighs_words_that_often_go_on(tmp_path: Path) -> None:
    """Not words that must go on: nobody ends with "and"."""
    sure = write_model(tmp_path / "sure.onnx", offset=-9.0)
    waits = {}
    for text in ("that is what they said", "I want two and"):
        usual, _ = await _answered_after_ms(tmp_path / "usual", text)
        sooner, _ = await _answered_after_ms(tmp_path / "sooner", text, sure)
        waits[text] = usual - sooner
    assert waits["that is what they said"] > 200
    assert waits["I want two and"] == 0


@on_virtual_time
async def test_a_call_goes_on_when_the_model_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is one vote more, nothing that anybody needs."""
    path = write_model(tmp_path / "tiny.onnx")
    async with rehearsed(tmp_path, Script(stt=("hello",)), turns__model=str(path)) as rehearsal:
        model = rehearsal.gateway.turn_model
        assert model is not None
        # As a damaged answer of the model would: there is no sound of half a sample.
        model.judge(b"\0", lambda p: None)
        async with dialling(rehearsal.gateway) as caller:
            await caller.event("speech_stopped")
            await caller.say(WHEN)
            await caller.event("speech_started", kind="reply")
    assert "the turn model failed: ValueError" in caplog.text
