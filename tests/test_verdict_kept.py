"""The verdict on production calls: told to the client, kept in the record, shown; and it never hurts."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from gateways import SWIFT_MS_PER_CHAR, Running, caller, kept_gateway
from test_calls_command import typed
from test_records import delivered

from voicegw.audio.pcm import SAMPLE_RATE_HZ
from voicegw.config import load_settings
from voicegw.errors import ConfigError
from voicegw.rehearsal.script import Script
from voicegw.replay.batch import replay_one
from voicegw.replay.virtual import Options
from voicegw.store import records
from voicegw.verdict.sound import SoundMeter, sound_of

SAMPLES = Path(__file__).parent.parent / "samples"
QUICK = Script(llm=("It arrives tomorrow.",), first_token_ms=50, ms_per_char=SWIFT_MS_PER_CHAR)


async def one_call(running: Running) -> list[dict[str, object]]:
    """A typed question, its answer, a goodbye; returns all events."""
    async with caller(running.url) as someone:
        await someone.send("start")
        await someone.event("speech_stopped")
        await someone.send("text", text="Where is my order?")
        await someone.event("latency")
        await someone.event("speech_stopped")
        await someone.send("hangup", reason="bye")
        code, _ = await someone.closed()
        assert code == 1000
    await delivered(running.gateway.keeping, 1)
    return someone.events


async def test_the_client_is_told_the_verdict_before_the_connection_closes(tmp_path: Path) -> None:
    """A browser shows it when the call is over: it must not come behind the end."""
    async with kept_gateway(tmp_path, QUICK) as running:
        events = await one_call(running)
    kinds = [event["type"] for event in events]
    assert kinds.index("verdict") < kinds.index("hangup") == len(kinds) - 1
    told = events[kinds.index("verdict")]
    assert told == {"type": "verdict", "grade": "good", "reasons": []}


async def test_the_record_has_the_verdict_with_its_figures_and_thresholds_are_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is poor differs from shop to shop; whoever asks why finds the numbers with the call."""
    strict = {"verdict__gap_p95_ms": "1,1"}
    async with kept_gateway(tmp_path, QUICK, **strict) as running:
        events = await one_call(running)
    told = next(event for event in events if event["type"] == "verdict")
    call_id = str(events[0]["call_id"])
    shown = await asyncio.to_thread(typed, tmp_path, "calls", "show", call_id, "--json")
    row = json.loads(shown)
    assert told["grade"] == row["verdict"] == "poor"
    detail = row["verdict_detail"]
    assert told["reasons"] == detail["reasons"] == [f"answers after up to {detail['gap_p95_ms']} ms (p95)"]
    assert detail["gap_p95_ms"] == next(t["gap_ms"] for t in row["turns"] if t["said"])
    assert sum(detail["causes_ms"].values()) == detail["waited_ms"] == detail["gap_p95_ms"]
    # The recording was listened to while it was written.
    assert detail["agent"]["level_db"] > -40
    assert detail["missing_frames"] > 0  # a client that types sends no audio
    lines = await asyncio.to_thread(typed, tmp_path, "calls", "show", call_id)
    assert "verdict  poor (answers after up to" in lines
    assert f"p95 {detail['gap_p95_ms']} ms" in lines
    assert "dBFS" in lines


async def test_a_verdict_that_fails_costs_the_call_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in a judge must not keep a caller on the line or lose his record."""

    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(records, "judge", fails)
    async with kept_gateway(tmp_path, QUICK) as running:
        events = await one_call(running)
    kinds = [event["type"] for event in events]
    assert "verdict" not in kinds
    assert kinds[-1] == "hangup"
    row = json.loads(
        await asyncio.to_thread(typed, tmp_path, "calls", "show", str(events[0]["call_id"]), "--json")
    )
    assert (row["verdict"], row["ended_by"]) == ("", "caller")


def test_thresholds_in_the_wrong_order_are_told() -> None:
    """ "3500,2000" would call every fair call poor."""
    with pytest.raises(ConfigError, match=r"verdict\.cut_offs|VERDICT__CUT_OFFS"):
        load_settings({"VOICEGW_VERDICT__CUT_OFFS": "3,1"}, None)


def test_sound_measured_while_it_is_written_is_that_of_the_whole() -> None:
    """Chunks of a writer end anywhere; the recording is not read again."""
    rng = np.random.default_rng(7)
    agent = (rng.standard_normal(5 * SAMPLE_RATE_HZ + 77) * 4000).clip(-32768, 32767).astype("<i2")
    agent[::3000] = 32767
    late = np.concatenate((np.zeros(1600, "<i2"), (agent[:-1600] * 0.2).astype("<i2")))
    meter = SoundMeter()
    for start in range(0, len(agent), 12345):
        meter.add(late[start : start + 12345], agent[start : start + 12345])
    assert meter.sound() == sound_of(late.tobytes(), agent.tobytes())
    assert meter.sound().agent.clipped_ppm > 300


def test_a_filler_that_was_heard_is_no_unheard_word() -> None:
    """It answers nothing, so it is not in what was heard of the answer; it was heard all the same."""
    late = {"turns.min_end_ms": "1700", "turns.end_ms": "1700", "turns.acoustic_end_ms": "1700"}
    verdict = replay_one(SAMPLES / "order-status.yaml", Options(overrides=late)).result.verdict
    assert verdict.fillers == 1
    assert verdict.unheard_words == 0
    assert replay_one(SAMPLES / "interruption.yaml", Options()).result.verdict.unheard_words > 0
