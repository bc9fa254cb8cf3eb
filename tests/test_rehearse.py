"""Fault scenarios: what callers hear when providers and lines fail, as `voicegw rehearse` tells it."""

import asyncio
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from voicegw.cli.rehearse import RehearseOptions, run_rehearse
from voicegw.config import load_settings
from voicegw.errors import ConfigError
from voicegw.rehearsal.healthy import count_fillers
from voicegw.rehearsal.heard import gaps
from voicegw.rehearsal.rehearse import rehearse, rehearse_on_sockets
from voicegw.rehearsal.scenario import Scenario, load_scenarios

SCENARIOS = load_scenarios()
DOCUMENT = Path(__file__).parent.parent / "docs" / "resilience.md"
SETTINGS = load_settings({}, None)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_caller_hears_what_is_right(scenario: Scenario) -> None:
    """No silence beyond the budget; the answer where there can be one; else an apology and a proper end."""
    assert rehearse(scenario, SETTINGS).broken == []


def test_there_are_enough_scenarios_and_the_document_tells_them_all() -> None:
    """Regenerate the table: voicegw rehearse --markdown."""
    assert len(SCENARIOS) >= 30
    told = re.findall(r"^\| `([a-z0-9-]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert told == [scenario.name for scenario in SCENARIOS]


def test_the_same_scenario_gives_the_same_timeline() -> None:
    """Virtual time and seeded spreading: a failure can be looked at again."""
    storm = next(scenario for scenario in SCENARIOS if scenario.name == "llm-503-storm")
    assert rehearse(storm, SETTINGS).sounds == rehearse(storm, SETTINGS).sounds


def test_a_vietnamese_caller_is_told_in_vietnamese() -> None:
    """With every provider dead from the start: greeting, apology, offer, goodbye."""
    dead = next(scenario for scenario in SCENARIOS if scenario.name == "all-dead")
    found = rehearse(dead, SETTINGS, "giao-hang")
    assert found.broken == []
    said = [sound.text for sound in found.sounds if sound.text]
    assert said[0] == "Dạ xin chào anh chị, em nghe ạ."
    assert said[-1] == "Dạ em cảm ơn anh chị đã gọi. Em chào anh chị ạ."


def test_a_budget_that_does_not_hold_fails_the_command(tmp_path: Path) -> None:
    """The check can fail: a persona's patience of 20 s with a filler after 10 s is too long a silence."""
    slow = tmp_path / "slow.yaml"
    slow.write_text(
        "- name: slow\n  title: slow\n  turns: 1\n  script: {first_token_ms: 7000}\n"
        '  settings: {"patience.first_max_ms": "2500"}\n  never: [filler]\n',
        encoding="utf-8",
    )
    out, page = io.StringIO(), tmp_path / "page.html"
    code = run_rehearse(
        SETTINGS, RehearseOptions((slow,), html=page), Console(file=out, width=100, highlight=False)
    )
    assert code == 1
    assert "filler was heard" in out.getvalue()
    assert "filler was heard" in page.read_text(encoding="utf-8")
    assert "<svg" in page.read_text(encoding="utf-8")


def test_a_long_silence_is_found() -> None:
    """The measure itself: between sounds, before the first and behind the last."""
    assert gaps(0.0, 10.0, [(1.0, 2.0), (1.5, 4.0), (9.0, 12.0)]) == [(0.0, 1.0), (4.0, 9.0)]
    assert gaps(0.0, 3.0, []) == [(0.0, 3.0)]


def test_mistakes_in_a_file_name_the_place(tmp_path: Path) -> None:
    """Users write their own."""
    wrong = tmp_path / "mine.yaml"
    wrong.write_text("- name: mine\n  title: x\n  fault: []\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine.yaml: scenario mine: fault: Extra inputs"):
        load_scenarios([wrong])
    with pytest.raises(ConfigError, match="no such scenario"):
        run_rehearse(SETTINGS, RehearseOptions(only=("nope",)))


def test_scripts_get_json() -> None:
    """One object a scenario, and a list."""
    out = io.StringIO()
    assert run_rehearse(SETTINGS, RehearseOptions(only=("healthy",), as_json=True), Console(file=out)) == 0
    (found,) = json.loads(out.getvalue())
    assert (found["name"], found["ok"], found["held"], found["rungs"]) == ("healthy", True, True, [])


def test_healthy_providers_are_seldom_talked_over() -> None:
    """Fillers on at most one in ten exchanges, at the latencies of real providers."""
    found = count_fillers(SETTINGS, 300)
    assert found.exchanges == 300
    assert found.share <= 0.10
    assert found.p95_ms > 1500


async def test_the_marked_scenarios_hold_over_real_sockets() -> None:
    """The same in real time: providers behind real HTTP, callers on real WebSockets.

    Among them a name that no resolver knows, and a certificate that nobody has signed.
    """
    marked = [
        scenario.model_copy(update={"turns": 1})
        for scenario in SCENARIOS
        if scenario.sockets and scenario.name != "llm-hangs-fallback"
    ]
    assert {"healthy", "no-such-host", "tls-failure"} <= {scenario.name for scenario in marked}
    found = await asyncio.gather(*(rehearse_on_sockets(scenario, SETTINGS) for scenario in marked))
    for heard in found:
        # Times are those of a busy machine: what was heard counts.
        assert heard.recovered, heard.name
        assert "apology" not in heard.rungs, heard.name
        if code := {"no-such-host": "dns", "tls-failure": "tls"}.get(heard.name):
            assert heard.failures[0].failure.startswith("llm at "), heard.name
            assert heard.failures[0].failure.endswith(f": {code}"), heard.name
