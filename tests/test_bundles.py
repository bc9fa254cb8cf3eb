"""Bundles: a production call kept whole, and run again as it was."""

import json
from pathlib import Path

import pytest
import soundfile
from gateways import Running, kept_gateway
from test_calls_command import typed
from test_records import delivered

from voicegw.rehearsal.script import Script
from voicegw.replay.live import replay_live
from voicegw.replay.sample import read_sample
from voicegw.store.bundle import Bundles

SAMPLES = Path(__file__).parent.parent / "samples"
SCRIPT = Script(stt=("go forward ten meters",), llm=("I am going forward now.",), first_token_ms=100)


async def spoken_call(running: Running) -> Path:
    """A spoken command and its answer; returns the call's bundle."""
    await replay_live(read_sample(SAMPLES / "human-command.yaml"), running.url)
    await delivered(running.gateway.keeping, 1)
    # What is kept is whole when the process has let go of the call.
    await running.gateway.drain()
    assert running.gateway.keeping is not None
    (bundle,) = (running.gateway.keeping.data / "bundles").iterdir()
    return bundle


async def test_a_bundle_has_all_of_a_call_and_no_secret(tmp_path: Path) -> None:
    """One folder to send to whoever looks into a call."""
    async with kept_gateway(tmp_path, SCRIPT, store__bundles="true", tts__api_key="tts-secret") as running:
        bundle = await spoken_call(running)
    names = {path.name for path in bundle.iterdir()}
    assert names == {"bundle.json", "recording.flac", "journal.jsonl", "commands.txt", "cassette.jsonl"}
    about = json.loads((bundle / "bundle.json").read_text("utf-8"))
    assert about["answers_left_out"] == 0
    assert about["call"]["persona"] == about["agent"]["name"]
    assert soundfile.info(bundle / "recording.flac").channels == 2
    takes = [json.loads(line) for line in (bundle / "cassette.jsonl").read_text("utf-8").splitlines()[1:]]
    assert {take["route"] for take in takes} == {"stt", "llm", "tts"}
    assert "go forward ten meters" in (bundle / "commands.txt").read_text("utf-8")
    for path in bundle.iterdir():
        assert b"test-key" not in path.read_bytes()
        assert b"tts-secret" not in path.read_bytes()


async def test_no_bundle_is_kept_unless_it_is_asked_for(tmp_path: Path) -> None:
    """Callers' words on a disk are a decision."""
    async with kept_gateway(tmp_path, SCRIPT) as running:
        await replay_live(read_sample(SAMPLES / "human-command.yaml"), running.url)
        await delivered(running.gateway.keeping, 1)
    assert not (tmp_path / "bundles").exists()
    (journal,) = (tmp_path / "journals").glob("*.jsonl")
    assert b'{"c":' not in journal.read_bytes()


def test_answers_beyond_the_bounds_are_left_out_and_counted(tmp_path: Path) -> None:
    """A call of a day must not fill the disk, and nobody should take its cassette for whole."""
    bundles = Bundles(tmp_path / "bundles", most_bytes=100, head="head")
    bundle = bundles.begin("abc")
    bundle.answer(60, lambda: "first")
    bundle.answer(60, lambda: "second")
    bundle.answer(30, lambda: "third")
    journal = tmp_path / "abc.jsonl"
    journal.write_text("events\n", "utf-8")
    whole = bundle.end({"call": {}}, journal, None, ["a line"])
    bundles.close()
    assert whole is not None
    assert (whole / "cassette.jsonl").read_text("utf-8").splitlines() == ["head", "first", "third"]
    assert json.loads((whole / "bundle.json").read_text("utf-8"))["answers_left_out"] == 1


def test_a_bundle_that_cannot_be_written_is_told_and_hurts_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder's place is taken by a file: as good as a full disk."""
    (tmp_path / "bundles").write_text("no folder", "utf-8")
    bundles = Bundles(tmp_path / "bundles", most_bytes=1000, head="head")
    bundle = bundles.begin("abc")
    bundle.answer(10, lambda: "first")
    assert bundle.end({}, tmp_path / "abc.jsonl", None, []) is None
    bundles.close()
    assert "is not whole" in caplog.text


async def test_who_is_forgotten_leaves_no_bundle(tmp_path: Path) -> None:
    """A right to be forgotten that leaves the recording is none."""
    async with kept_gateway(tmp_path, SCRIPT, store__bundles="true") as running:
        bundle = await spoken_call(running)
    caller = "sample:human-command"
    head = (bundle / "journal.jsonl").read_text("utf-8")
    assert caller in head
    import asyncio

    out = await asyncio.to_thread(typed, tmp_path, "forget", caller, "--yes")
    assert "1 calls removed" in out
    assert not bundle.exists()
