"""Bundles: a production call kept whole, and run again as it was."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
import soundfile
from gateways import SWIFT_MS_PER_CHAR, Running, caller, kept_gateway
from test_calls_command import typed
from test_records import delivered
from typer.testing import CliRunner

from voicegw.cli import app
from voicegw.config import StoreSettings
from voicegw.errors import ConfigError
from voicegw.rehearsal.script import Script, ScriptedReply, ToolCall
from voicegw.replay.live import replay_live
from voicegw.replay.sample import read_sample
from voicegw.server.keeping import Keeping
from voicegw.store.bundle import Bundles
from voicegw.store.journal import lock
from voicegw.store.spool import Spool

SAMPLES = Path(__file__).parent.parent / "samples"
SCRIPT = Script(
    stt=("go forward ten meters",),
    llm=("I am going forward now.",),
    first_token_ms=100,
    ms_per_char=SWIFT_MS_PER_CHAR,
)


async def spoken_call(running: Running) -> None:
    """A spoken command and its answer."""
    await replay_live(read_sample(SAMPLES / "human-command.yaml"), running.url)
    await delivered(running.gateway.keeping, 1)
    # What is kept is whole when the process has let go of the call.
    await running.gateway.drain()


@pytest.fixture(scope="module")
def one_call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a gateway after a call that was kept; it takes the call's nine seconds to make."""
    folder = tmp_path_factory.mktemp("kept")

    async def call() -> None:
        settings = {"store__bundles": "true", "tts__api_key": "tts-secret"}
        async with kept_gateway(folder, SCRIPT, **settings) as running:
            await spoken_call(running)

    asyncio.run(call())
    return folder


@pytest.fixture
def bundle(one_call: Path, tmp_path: Path) -> Path:
    """The bundle of that call, in a data folder of the test's own."""
    shutil.copytree(one_call, tmp_path, dirs_exist_ok=True)
    (found,) = (tmp_path / "bundles").iterdir()
    return found


def test_a_bundle_has_all_of_a_call_and_no_secret(bundle: Path) -> None:
    """One folder to send to whoever looks into a call."""
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


def killed(bundle: Path, data: Path) -> Path:
    """Make of a whole call what a killed process leaves of one; returns its journal.

    That is a bundle that is not whole, the mark of an open call, and a journal and an answer that break off.
    """
    part = bundle.rename(bundle.with_name(f"{bundle.name}.part"))
    for name in ("commands.txt", "journal.jsonl", "recording.flac"):
        (part / name).unlink()
    with (part / "cassette.jsonl").open("ab") as file:
        file.write(b'{"route":"tts","ke')
    journal = data / "journals" / f"{bundle.name}.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[: len(whole) * 3 // 4])
    for path in data.glob("voicegw.db*"):
        path.unlink()
    Spool(data).begin(bundle.name)
    return journal


async def close_while_held(data: Path, journal: Path) -> None:
    """Start a process's keeping while somebody looks into the journal, until the call has been closed."""
    keeping = Keeping(StoreSettings(data_dir=str(data)), dead_again_s=0.2)
    with await asyncio.to_thread(journal.open, "rb") as held:
        assert lock(held.fileno())
        keeping.start()
        await asyncio.to_thread(keeping.spool.count)
        assert keeping.delivered == 0
    await delivered(keeping, 1)
    await keeping.close()


def test_the_bundle_of_a_killed_process_is_made_whole(bundle: Path, tmp_path: Path) -> None:
    """The next process closes the call when its journal is free, and its bundle, as far as they came."""
    names = {path.name for path in bundle.iterdir()}
    takes = (bundle / "cassette.jsonl").read_bytes()
    asyncio.run(close_while_held(tmp_path, killed(bundle, tmp_path)))
    assert {path.name for path in bundle.iterdir()} == names
    assert (bundle / "cassette.jsonl").read_bytes() == takes
    assert bundle.name in typed(tmp_path, "calls", "list", "--ended-by", "killed")
    replayed(str(bundle))


async def test_no_bundle_is_kept_unless_it_is_asked_for(tmp_path: Path) -> None:
    """Callers' words on a disk are a decision."""
    async with kept_gateway(tmp_path, SCRIPT) as running:
        await spoken_call(running)
    assert not (tmp_path / "bundles").exists()
    (journal,) = (tmp_path / "journals").glob("*.jsonl")
    assert b'{"c":' not in journal.read_bytes()


def test_answers_beyond_the_bounds_are_left_out_and_counted(tmp_path: Path) -> None:
    """A call of a day must not fill the disk, and nobody should take its cassette for whole."""
    bundles = Bundles(tmp_path / "bundles", most_bytes=100, head="head")
    bundle = bundles.begin("abc", {"call": {}})
    bundle.answer(60, lambda: "first")
    bundle.answer(60, lambda: "second")
    bundle.answer(30, lambda: "third")
    bundles.submit(lambda: None).result()
    # Until it is whole it tells what a killed process would leave.
    part = json.loads((tmp_path / "bundles" / "abc.part" / "bundle.json").read_text("utf-8"))
    assert part == {"format": 1, "call": {}, "killed": True}
    journal = tmp_path / "abc.jsonl"
    journal.write_text("events\n", "utf-8")
    whole = bundle.end(journal, None, ["a line"])
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
    bundle = bundles.begin("abc", {})
    bundle.answer(10, lambda: "first")
    assert bundle.end(tmp_path / "abc.jsonl", None, []) is None
    bundles.close()
    assert "is not whole" in caplog.text


def test_who_is_forgotten_leaves_no_bundle(bundle: Path, tmp_path: Path) -> None:
    """A right to be forgotten that leaves the recording is none."""
    caller = "sample:human-command"
    head = (bundle / "journal.jsonl").read_text("utf-8")
    assert caller in head
    out = typed(tmp_path, "forget", caller, "--yes")
    assert "1 calls removed" in out
    assert not bundle.exists()


def replayed(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, ["replay", *arguments], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.stdout


def test_a_bundle_is_replayed_as_it_is(bundle: Path, tmp_path: Path) -> None:
    """A call of last night, in this version, with the answers of last night: the same call."""
    (line,) = replayed(str(bundle), "--json").splitlines()[:1]
    result = json.loads(line)
    assert result["sample"] == bundle.name
    assert result["passed"]
    (turn,) = result["turns"]
    assert (turn["understood"], turn["answer"]) == ("go forward ten meters", "I am going forward now.")
    assert result["matches"][2] == 0  # nothing was asked that is not on the cassette
    whats = [check["what"] for check in result["checks"] if check["where"] == "journal"]
    assert whats == ["the same commands"]
    # In its folder, among others; and with something changed, compared with how it was.
    assert "1 calls" in replayed(str(tmp_path / "bundles"))
    slower = ("turns.min_end_ms=1500", "turns.end_ms=1500", "turns.acoustic_end_ms=1500")
    out = replayed(str(bundle), *(part for each in slower for part in ("--set", each)))
    assert "what is different" in out
    assert "gap_ms" in out


def test_a_bundle_whose_rules_decide_otherwise_now_shows_where(bundle: Path) -> None:
    """Commands that nobody gave then stand in the result with what came before them."""
    commands = bundle / "commands.txt"
    commands.write_text(commands.read_text("utf-8").replace("going forward", "going back", 1), "utf-8")
    out = replayed(str(bundle), exit_code=1)
    assert "journal: the same commands: expected the same, got line" in out
    assert "going back" in out
    # The journal alone has digests: they tell the event, if not what was decided then.
    journal = bundle / "journal.jsonl"
    commands.unlink()
    assert "the same commands" in replayed(str(journal))
    lines = journal.read_text("utf-8").splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith('{"c":'))
    lines[at] = '{"c":1}'
    journal.write_text("\n".join([*lines, ""]), "utf-8")
    out = replayed(str(journal), exit_code=1)
    assert "only their digest" in out
    assert "CallStarted" in out


def test_tools_give_what_they_gave_and_do_not_run_again(tmp_path: Path) -> None:
    """Whoever replays a call must not cancel somebody's order a second time."""
    calls = (ToolCall("get_order_status", '{"order_id": "DH123456"}'),)
    script = Script(
        llm=(ScriptedReply(tool_calls=calls), "It is on its way."),
        first_token_ms=50,
        ms_per_char=SWIFT_MS_PER_CHAR,
    )

    async def call() -> Path:
        async with kept_gateway(
            tmp_path, script, store__bundles="true", persona__default="support"
        ) as running:
            async with caller(running.url) as someone:
                await someone.send("start")
                await someone.event("speech_stopped")
                await someone.send("text", text="Where is my order DH123456?")
                await someone.event("latency")
                await someone.event("speech_stopped")
                await someone.send("hangup")
                await someone.closed()
            await delivered(running.gateway.keeping, 1)
            await running.gateway.drain()
        (bundle,) = (tmp_path / "bundles").iterdir()
        return bundle

    bundle = asyncio.run(call())
    journal = bundle / "journal.jsonl"
    told = next(line for line in journal.read_text("utf-8").splitlines() if '"ToolResult"' in line)
    # A result that no shop of this machine could give.
    other = json.loads(told) | {"content": '{"status": "eaten by a whale"}'}
    journal.write_text(journal.read_text("utf-8").replace(told, json.dumps(other)), "utf-8")
    (bundle / "commands.txt").unlink()
    (line,) = replayed(str(bundle), "--json", "--record", exit_code=1).splitlines()[:1]
    result = json.loads(line)
    (turn,) = result["turns"]
    assert turn["tools"] == [["get_order_status", '{"order_id": "DH123456"}']]
    assert turn["answer"] == "It is on its way."
    assert [c["what"] for c in result["checks"] if not c["ok"]] == ["the same commands"]


def test_a_sample_drafted_from_a_bundle_has_its_cassette_and_passes(bundle: Path, tmp_path: Path) -> None:
    """From a bad night to a sample that stays: no provider is asked for it."""
    drafts = tmp_path / "drafts"
    out = replayed(str(drafts), "--from-call", bundle.name, "--set", f"store.data_dir={tmp_path}")
    assert "with 1 turns" in out
    assert (drafts / f"{bundle.name}.cassette.jsonl").exists()
    assert "1 calls" in replayed(str(drafts))


def test_a_folder_that_is_no_whole_bundle_is_told(bundle: Path) -> None:
    """A copy that lost its recording on the way."""
    (bundle / "recording.flac").unlink()
    with pytest.raises(ConfigError, match=r"no whole bundle: recording\.flac is missing"):
        replayed(str(bundle))


async def test_nothing_that_is_said_to_a_sensitive_question_is_in_a_bundle(tmp_path: Path) -> None:
    """The recogniser's answer is the one place where the journal's masks do not reach."""
    persona = tmp_path / "personas" / "bank.toml"
    persona.parent.mkdir()
    persona.write_text(
        'name = "bank"\nlanguage = "en"\nsystem_prompt = "You are a bank."\n'
        '[phrases]\ngreeting = "What is your card number?"\napology = "Sorry."\nnot_understood = "Pardon?"\n'
        '[[slot]]\nname = "card"\nkind = "id"\nwhen = "card number"\npattern = "[0-9]{4}"\n'
        "sensitive = true\n",
        "utf-8",
    )
    script = Script(
        stt=("seven three nine one",),
        llm=("Thank you very much.",),
        first_token_ms=50,
        ms_per_char=SWIFT_MS_PER_CHAR,
    )
    settings = {"store__bundles": "true", "persona__folders": str(persona.parent), "persona__default": "bank"}
    sample = read_sample(SAMPLES / "human-command.yaml")
    sample = sample.model_copy(update={"file": sample.file.model_copy(update={"persona": "bank"})})
    async with kept_gateway(tmp_path / "data", script, **settings) as running:
        await replay_live(sample, running.url)
        await delivered(running.gateway.keeping, 1)
        await running.gateway.drain()
        assert running.provider.received("stt")
    (bundle,) = (tmp_path / "data" / "bundles").iterdir()
    for path in bundle.iterdir():
        assert b"seven three" not in path.read_bytes(), path.name
        assert b"7391" not in path.read_bytes(), path.name
    takes = [json.loads(line) for line in (bundle / "cassette.jsonl").read_text("utf-8").splitlines()[1:]]
    assert "stt" not in {take["route"] for take in takes}
    assert "tts" in {take["route"] for take in takes}
