"""Every conversation of samples/carriers/, through the real server, over real sockets, in real time."""

import asyncio
import json
from pathlib import Path

import pytest
from carrier_conversations import ANSWER_S, CONVERSATIONS, SAMPLES, Outcome, play, vector

from voicegw.call.events import Played, Transcript

_outcomes: dict[Path, Outcome | BaseException] = {}


@pytest.fixture
async def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Outcome | BaseException]:
    """All conversations, played side by side: one after the other they would take a minute."""
    if not _outcomes:
        folders = [tmp_path_factory.mktemp("call") for _ in CONVERSATIONS]
        played = await asyncio.gather(
            *(play(path, folder) for path, folder in zip(CONVERSATIONS, folders, strict=True)),
            return_exceptions=True,
        )
        _outcomes.update(zip(CONVERSATIONS, played, strict=True))
    return _outcomes


@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_a_conversation_takes_its_course(
    path: Path, outcomes: dict[Path, Outcome | BaseException]
) -> None:
    """The same call whatever the protocol: greeted, answered, interrupted, keys taken, ended cleanly."""
    outcome = outcomes[path]
    if isinstance(outcome, BaseException):
        raise outcome
    expected = outcome.conversation["expect"]
    for name, value in outcome.conversation["identity"].items():
        assert getattr(outcome.started, name) == value
    assert "token" not in outcome.started.metadata
    # "Hello, what can I do?": 21 characters of 60 ms.
    assert outcome.greeting_s == pytest.approx(1.26, abs=0.15)
    assert outcome.answered_after_s < 2.0
    # 300 ms of voice decide, then what the other side still holds plays out or is dropped.
    assert outcome.heard_after_interruption_s < expected.get("stops_within_s", 1.0)
    assert outcome.answer_heard_s < ANSWER_S - 0.5
    assert outcome.answered_again
    assert len(outcome.of(Transcript)) >= 2
    if "dtmf" in outcome.conversation:
        assert outcome.keys in ("1#", "2#", "5#")
        assert outcome.answered_keys
    if "clear" in expected:
        clear = vector(SAMPLES / path.parent.name / expected["clear"])
        assert any(same(message, clear) for message in outcome.received)
    assert bool(outcome.marks) == expected["marks"]
    assert any(event.done for event in outcome.of(Played))
    assert outcome.end_reason == expected["end_reason"]
    assert outcome.left == 0


def same(message: str | bytes, wanted: str | bytes) -> bool:
    """True when two messages say the same; blanks in JSON mean nothing."""
    if message == wanted:
        return True
    try:
        return bool(json.loads(message) == json.loads(wanted))
    except ValueError:
        return False
