"""Journals: what is written can be read again, and replayed it gives the same commands anywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from call_alone import Talk, call_settings
from hypothesis import given
from hypothesis import strategies as st
from rehearsed import COUGH, GO_FORWARD, WHEN, on_virtual_time, rehearsed

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.errors import ConfigError
from voicegw.rehearsal.caller import dialling
from voicegw.rehearsal.script import Fault, Script
from voicegw.replay.journal import Step, digest, first_difference, lines, replay
from voicegw.store.journal import Journal, read_journal

TEXTS = st.text(st.characters(codec=None), max_size=40)
EVENTS: st.SearchStrategy[e.Event] = st.one_of(
    st.builds(e.CallStarted, TEXTS, TEXTS, TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3)),
    st.builds(e.VoiceActivity, st.integers(0, 1 << 40), st.booleans(), st.integers(-96, 0), st.integers(0)),
    st.builds(e.Transcript, st.integers(0), TEXTS, TEXTS),
    st.builds(e.ReplyText, st.integers(0), TEXTS),
    st.builds(e.CallerText, TEXTS),
    st.builds(e.Tick),
    st.builds(e.HungUp, TEXTS),
)


@given(events=st.lists(st.tuples(EVENTS, st.integers(0, 1 << 50)), max_size=20))
def test_every_event_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[e.Event, int]]
) -> None:
    """Callers say what they like: line separators, quotes, half a surrogate pair from a sloppy provider."""
    path = tmp_path_factory.mktemp("journal") / "call.jsonl"
    journal = Journal(path, "c1", call_settings())
    for event, now in events:
        journal.write(event, now)
    journal.close()
    settings, read = read_journal(path)
    assert settings == call_settings()
    assert list(read) == events


def journal_of(path: Path, *texts: str) -> None:
    """A journal with one typed text a line."""
    journal = Journal(path, "c1", call_settings())
    for number, text in enumerate(texts):
        journal.write(e.CallerText(text), number)
    journal.close()


@pytest.mark.parametrize("cut", range(1, 25))
def test_a_line_that_was_torn_by_the_end_of_the_process_is_left_out(tmp_path: Path, cut: int) -> None:
    """Cut anywhere, also within a letter: what was written before it stays readable."""
    path = tmp_path / "call.jsonl"
    journal_of(path, "một", "đường giao hàng")
    path.write_bytes(path.read_bytes()[:-cut])
    texts = [event.text for event, _ in read_journal(path)[1] if isinstance(event, e.CallerText)]
    # The line break alone is no loss.
    assert texts == ["một", "đường giao hàng"][: 2 if cut == 1 else 1]


def test_a_damaged_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    """A replay without it would be of another call."""
    path = tmp_path / "call.jsonl"
    journal_of(path, "one", "two", "three")
    found = path.read_text().splitlines()
    path.write_text("\n".join([*found[:2], "17", *found[3:]]) + "\n")
    with pytest.raises(ConfigError, match="line 3 is no event"):
        list(read_journal(path)[1])


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json", '{"format": 99, "settings": {}}'])
def test_a_file_that_is_no_journal_is_an_error(tmp_path: Path, text: str) -> None:
    """Whoever replays the wrong file should be told which."""
    path = tmp_path / "call.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"call\.jsonl"):
        read_journal(path)


def test_a_journal_is_for_its_owner_only_and_never_written_over(tmp_path: Path) -> None:
    """It holds what callers said."""
    path = tmp_path / "call.jsonl"
    journal_of(path, "secret")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        Journal(path, "c1", call_settings())


def test_what_waits_is_in_the_file_before_it_grows(tmp_path: Path) -> None:
    """Memory is bounded however seldom someone flushes."""
    path = tmp_path / "call.jsonl"
    journal = Journal(path, "c1", call_settings())
    head = path.stat().st_size
    for number in range(1000):
        journal.write(e.Tick(), number)
    assert path.stat().st_size - head > 1000 * 10
    journal.close()


async def _eventful_calls(folder: Path) -> list[Path]:
    """Calls with everything in them: interruption, cough, keys, failures, a break, both languages."""
    script = Script(
        stt=lambda n: f"đây là câu hỏi số {n}",
        llm=lambda messages: f"Dạ, {len(messages)} tin nhắn. Here is a second sentence, which is long.",
        stt_ms=250,
        first_token_ms=300,
        audio_chunk_ms=100,
    )
    async with rehearsed(folder, script) as rehearsal:
        for persona in ("support", "giao-hang"):
            async with dialling(rehearsal.gateway, query={"persona": persona}) as caller:
                caller.speak(COUGH, 1.0)
                await caller.event("speech_stopped")
                await caller.say(WHEN)
                started = await caller.event("speech_started", kind="reply")
                caller.speak(GO_FORWARD, started.at_s + 1.0)
                await caller.event("speech_stopped", cut=True)
                await caller.event("speech_started", kind="reply")
                caller.drop()
                await caller.until(caller.now_s + 2.0)
                caller.reconnect()
                await caller.event("speech_stopped")
                for digit in "12#":
                    caller.send("dtmf", digit=digit)
                await caller.event("speech_stopped")
                rehearsal.provider.fail("tts", Fault(status=500), times=None)
                caller.send("text", text="Still there?")
                await caller.event("rung")
                rehearsal.provider.heal()
                await caller.until(caller.now_s + 15.0)
                caller.send("hangup")
    return sorted((folder / "journals").glob("*.jsonl"))


REPLAY = """
import sys
from pathlib import Path
from voicegw.replay.journal import digest, replay
for path in sys.argv[1:]:
    print(digest(replay(Path(path))))
"""


def digests_elsewhere(paths: list[Path], hash_seed: str) -> list[str]:
    """Replay in another process."""
    done = subprocess.run(
        [sys.executable, "-c", REPLAY, *map(str, paths)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_journal_gives_the_same_commands_in_another_process(tmp_path: Path) -> None:
    """A call of last week can be looked into, and nothing depends on the order of a set."""
    paths: list[Path] = []

    async def calls(folder: Path) -> None:
        paths.extend(await _eventful_calls(folder))

    on_virtual_time(calls)(tmp_path)
    assert len(paths) == 2
    ours = [digest(replay(path)) for path in paths]
    assert len(set(ours)) == 2
    kinds = {type(command) for path in paths for step in replay(path) for command in step.commands}
    assert kinds >= {c.Transcribe, c.Ask, c.Speak, c.PlayClip, c.PauseSpeech, c.ResumeSpeech, c.ClearSpeech}
    assert digests_elsewhere(paths, "1") == digests_elsewhere(paths, "4242") == ours


def steps(*texts: str) -> list[Step]:
    """A call in which those texts were typed."""
    talk = Talk()
    talk.greet()
    found = []
    for number, text in enumerate(texts):
        commands = talk.at(2000 + number * 1000, e.CallerText(text))
        found.append(Step(e.CallerText(text), round(talk.ms * 1000), tuple(commands)))
    return found


def test_the_first_difference_is_shown_with_what_came_before() -> None:
    """Whoever changes a rule must see what it changes."""
    ours, theirs = list(lines(steps("one", "two"))), list(lines(steps("one", "other")))
    assert first_difference(ours, ours) is None
    found = first_difference(ours, theirs, context=2)
    assert found is not None
    shown = str(found).splitlines()
    assert shown[0] == f"line {found.line}:"
    assert [line[0] for line in shown[1:]] == [" ", " ", "-", "-", "+", "+"]
    assert json.dumps("two") in shown[3]
    assert json.dumps("other") in shown[5]


def test_a_replay_that_ends_early_differs_there() -> None:
    """A journal that was cut is not the same call."""
    ours = list(lines(steps("one", "two")))
    found = first_difference(ours, ours[:-1], context=1)
    assert found is not None
    assert found.right == ()
    assert str(found).endswith("+ (ended)")
