"""The samples catch what they are for: broken settings and builds; and a replay is the same everywhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from voicegw.call.playback import Spoken
from voicegw.replay.batch import replay_one
from voicegw.replay.result import compare, read_baseline, write_baseline
from voicegw.replay.virtual import Options

SAMPLES = Path(__file__).parent.parent / "samples"


def failures(name: str, options: Options | None = None, folder: Path = SAMPLES) -> set[str]:
    """What is not as expected of a sample under these options."""
    result = replay_one(folder / f"{name}.yaml", options or Options()).result
    return {check.what for check in result.failed} | ({"error"} if result.error else set())


def test_a_turn_that_ends_after_150_ms_is_caught() -> None:
    """Whoever makes the agent quicker must see whom it cuts off."""
    hasty = {
        "turns.pause_ms": "100", "turns.min_end_ms": "100", "turns.end_ms": "150",
        "turns.acoustic_end_ms": "150", "turns.max_end_ms": "150",
    }  # fmt: skip
    names = ("slow-number", "human-hesitation", "human-speech", "vi-doc-so-cham")
    found = {name: failures(name, Options(overrides=hasty)) for name in names}
    caught = [name for name, what in found.items() if what & {"is one turn", "is not cut off"}]
    assert len(caught) >= 3, found


def test_an_agent_that_cannot_be_interrupted_is_caught(tmp_path: Path) -> None:
    """A caller who says "wait" and is talked down hangs up."""
    deaf = (SAMPLES / "personas" / "shop.toml").read_text(encoding="utf-8")
    persona = tmp_path / "deaf.toml"
    persona.write_text(deaf + '\n[interruptions]\nmode = "never"\n', encoding="utf-8")
    assert "the agent stops (ms)" in failures("interruption", Options(persona=persona))
    assert failures("interruption") == set()


def test_a_history_of_what_was_not_heard_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model would go on from words that the caller never heard."""
    monkeypatch.setattr(Spoken, "heard", property(lambda spoken: spoken.text))
    assert "the model remembers only what was heard" in failures("interruption")


def test_a_tool_with_the_wrong_id_is_caught(tmp_path: Path) -> None:
    """A build of the agent that looks up somebody else's order."""
    text = (SAMPLES / "tool-order.yaml").read_text(encoding="utf-8")
    head, answer, rest = text.partition("    answer:")
    wrong = head + answer + rest.replace("DH123456", "DH654321", 1)
    assert wrong.count("DH654321") == 1
    (tmp_path / "tool-order.yaml").write_text(wrong, encoding="utf-8")
    (tmp_path / "tool-order.flac").write_bytes((SAMPLES / "tool-order.flac").read_bytes())
    (tmp_path / "personas").mkdir()
    persona = (SAMPLES / "personas" / "shop.toml").read_bytes()
    (tmp_path / "personas" / "shop.toml").write_bytes(persona)
    assert "tools" in failures("tool-order", Options(providers="script"), tmp_path)
    assert failures("tool-order", Options(providers="script")) == set()


def test_two_processes_with_different_hash_seeds_give_the_same_bytes() -> None:
    """Else a difference between two versions of the code could be chance."""
    paths = [str(SAMPLES / f"{name}.yaml") for name in ("interruption", "vi-don-hang", "tool-order", "echo")]

    def run(seed: str, jobs: str) -> bytes:
        command = [sys.executable, "-m", "voicegw", "replay", *paths, "--json", "-j", jobs]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, timeout=110, check=True
        )
        assert b"times real time on one core" in done.stderr
        return done.stdout

    alone = run("1", "1")
    assert len(alone.splitlines()) == 4
    assert run("4711", "2") == alone


def test_a_changed_setting_is_compared_turn_by_turn(tmp_path: Path) -> None:
    """The accepted result is what a later one is held against; the same code shows no difference."""
    path = SAMPLES / "order-status.yaml"
    before = replay_one(path, Options()).result
    write_baseline(tmp_path / "base.json", before)
    accepted = read_baseline(tmp_path / "base.json")
    assert compare(accepted, replay_one(path, Options()).result).changes == []
    slower = {"turns.min_end_ms": "1500", "turns.end_ms": "1500", "turns.acoustic_end_ms": "1500"}
    after = replay_one(path, Options(overrides=slower)).result
    changed = {change.what for change in compare(accepted, after).changes}
    assert {"gap_ms", "over after ms", "gap_p50_ms"} <= changed


def test_turns_behind_another_answer_are_not_compared(tmp_path: Path) -> None:
    """The recorded caller goes on as if he had heard the old answer: what follows says nothing."""
    text = (SAMPLES / "order-status.yaml").read_text(encoding="utf-8")
    asks = "Sure. What is your order number?"
    assert asks in text
    (tmp_path / "order-status.yaml").write_text(
        text.replace(asks, "We are closed today, please call tomorrow."), encoding="utf-8"
    )
    (tmp_path / "order-status.wav").write_bytes((SAMPLES / "order-status.wav").read_bytes())
    script = Options(providers="script")
    before = replay_one(SAMPLES / "order-status.yaml", script).result
    found = compare(before, replay_one(tmp_path / "order-status.yaml", script).result)
    assert found.not_comparable_from == 2
    assert {change.turn for change in found.changes} <= {0, 1}
