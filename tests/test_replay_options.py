"""`voicegw replay` as QA types it: each option, through the command line."""

import asyncio
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from voicegw.cli import app
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.provider_server import ProviderServer
from voicegw.rehearsal.script import Script

SAMPLES = Path(__file__).parent.parent / "samples"


def typed(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, ["replay", *arguments], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return " ".join(result.stdout.split())


def lines(*arguments: str, exit_code: int = 0) -> list[dict[str, object]]:
    result = CliRunner().invoke(app, ["replay", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A copy of one sample, without its cassette."""
    for suffix in (".yaml", ".flac"):
        shutil.copy(SAMPLES / f"human-command{suffix}", tmp_path)
    return tmp_path / "human-command.yaml"


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    """A provider that answers over real HTTP, named by the environment."""
    provider = ScriptedProvider(
        Script(stt=("go forward ten meters",), llm=("I am going forward now.",), first_token_ms=30)
    )
    began, stop = threading.Event(), threading.Event()
    address = ""

    async def serve() -> None:
        nonlocal address
        async with ProviderServer(provider) as server:
            address = server.base_url
            began.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert began.wait(10)
    monkeypatch.setenv("VOICEGW_PROVIDER__BASE_URL", address)
    monkeypatch.setenv("VOICEGW_PROVIDER__API_KEY", "test-key")
    yield provider
    stop.set()
    thread.join(10)


def test_live_providers_are_asked_and_their_answers_recorded(sample: Path, live: ScriptedProvider) -> None:
    """Today's answers of the real providers, kept: from then on nobody has to be asked."""
    out = typed(str(sample), "--providers", "live", "--record")
    assert "all as expected" in out
    asked = len(live.received("stt")), len(live.received("llm")), len(live.received("tts"))
    assert min(asked) >= 1
    assert sample.with_suffix(".cassette.jsonl").exists()
    (again,) = lines(str(sample))
    assert again["passed"]
    assert again["matches"][2] == 0  # type: ignore[index]
    assert (len(live.received("stt")), len(live.received("llm")), len(live.received("tts"))) == asked


def test_another_model_answers_what_the_cassette_heard(sample: Path, live: ScriptedProvider) -> None:
    """Only the model is asked for real; the same caller, recogniser and voice as before; compared."""
    out = typed(str(sample), "--llm", "other-model")
    assert "what is different" in out
    assert "I am going forward now." in out
    assert {request.fields["model"] for request in live.received("llm")} == {"other-model"}
    assert live.received("stt") == []


def test_each_call_is_repeated_and_pass_rates_told(sample: Path) -> None:
    """A live model does not say the same twice."""
    assert "pass rates human-command: 3 of 3" in typed(str(sample), "--repeat", "3")


def test_junit_has_a_case_for_each_expectation(sample: Path, tmp_path: Path) -> None:
    """CI shows which expectation of which call failed."""
    text = sample.read_text("utf-8")
    strict = re.sub(r"gap_ms\"?: \d+", 'gap_ms": 1', text)
    assert strict != text
    sample.write_text(strict, "utf-8")
    typed(str(sample), "--junit", str(tmp_path / "out" / "results.xml"), exit_code=1)
    (suite,) = ElementTree.parse(tmp_path / "out" / "results.xml").getroot()
    assert suite.get("name") == "human-command"
    failed = [case for case in suite if case.find("failure") is not None]
    assert suite.get("failures") == str(len(failed)) == "1"
    assert len(suite) > 3
    assert "gap_ms" in str(failed[0].get("name"))


def test_a_sweep_tells_cut_offs_against_response_time(tmp_path: Path) -> None:
    """Shorter ends answer sooner and cut callers off: the plot shows where it tips."""
    plot = tmp_path / "sweep.svg"
    fixed = ("turns.pause_ms=100", "turns.min_end_ms=100", "turns.end_ms=150", "turns.acoustic_end_ms=150")
    points = lines(
        str(SAMPLES / "human-hesitation.yaml"),
        *(part for each in fixed for part in ("--set", each)),
        "--sweep",
        "turns.max_end_ms=150..2550/2400",
        "--plot",
        str(plot),
    )
    assert [point["settings"] for point in points] == [
        {"turns.max_end_ms": "150"},
        {"turns.max_end_ms": "2550"},
    ]
    assert all(point["turns"] for point in points)
    assert plot.read_text("utf-8").lstrip().startswith("<")


def test_several_processes_give_the_calls_in_their_order(sample: Path) -> None:
    """Whoever was first: a diff of two results must show changes only."""
    names = ["vi-ngat-loi", "human-command", "typed"]
    found = lines(*(str(SAMPLES / f"{name}.yaml") for name in names), "-j", "2")
    assert [result["sample"] for result in found] == sorted(names)


def test_a_setting_and_a_persona_are_compared_with_the_call_as_it_is(sample: Path, tmp_path: Path) -> None:
    """The same calls with something changed, side by side."""
    slow = ("turns.min_end_ms=1500", "turns.end_ms=1500", "turns.acoustic_end_ms=1500")
    out = typed(str(sample), *(part for each in slow for part in ("--set", each)))
    assert "human-command: what is different before now" in out
    assert "turn 1 gap_ms" in out
    persona = tmp_path / "shy.toml"
    shop = (SAMPLES / "personas" / "shop.toml").read_text("utf-8")
    persona.write_text(shop + '\n[interruptions]\nmode = "never"\n', "utf-8")
    out = typed(str(SAMPLES / "interruption.yaml"), "--persona", str(persona), exit_code=1)
    assert "barge_ins" in out
    assert "the agent stops (ms)" in out


def test_what_was_accepted_is_what_later_results_are_held_against(sample: Path) -> None:
    """And the same code shows no difference."""
    assert "1 results are the baseline now" in typed(str(sample), "--accept")
    assert "what is different" not in typed(str(sample))
    baseline = sample.with_suffix(".baseline.json")
    kept = json.loads(baseline.read_text("utf-8"))
    kept["turns"][0]["understood"] = "go back ten meters"
    baseline.write_text(json.dumps(kept), "utf-8")
    out = typed(str(sample))
    assert "understood go back ten meters go forward ten meters" in out


JUDGED = '    expect:\n      judge: "it says that it goes"\n'


def test_an_answer_is_judged_by_a_model(sample: Path, live: ScriptedProvider, tmp_path: Path) -> None:
    """Its yes passes, its no fails with the reason, and anything else fails too."""
    text = sample.read_text("utf-8")
    sample.write_text(text.replace("    expect:\n", JUDGED, 1), "utf-8")
    for said, code in (("YES. It does.", 0), ("No, it is rude.", 1), ("Perhaps", 1)):
        live.script = Script(llm=(said,))
        (result,) = lines(str(sample), "--judge", "wise", exit_code=code)
        (check,) = [c for c in result["checks"] if c["what"] == "a judge finds true"]  # type: ignore[attr-defined]
        assert (check["ok"], check["skipped"]) == (code == 0, False)
        asked = live.received("llm")[-1].fields
        assert asked["model"] == "wise"
        assert "it says that it goes" in str(asked["messages"])
    assert "neither yes nor no" in check["got"]


def test_without_a_judge_the_expectation_is_skipped_and_told(sample: Path, tmp_path: Path) -> None:
    """Not met, not failed: nobody should take it for judged."""
    text = sample.read_text("utf-8")
    sample.write_text(text.replace("    expect:\n", JUDGED, 1), "utf-8")
    out = typed(str(sample), "--junit", str(tmp_path / "results.xml"))
    assert "1 expectations skipped: no model judges answers" in out
    (suite,) = ElementTree.parse(tmp_path / "results.xml").getroot()
    assert (suite.get("skipped"), suite.get("failures")) == ("1", "0")
