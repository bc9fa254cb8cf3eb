"""Samples over real sockets in real time, through the native protocol and a carrier's; journals; drafts."""

import asyncio
import json
from pathlib import Path

import pytest
from gateways import SWIFT_MS_PER_CHAR, kept_gateway, running_gateway, settings_for

from voicegw.cli.draft import draft_sample
from voicegw.cli.journals import replay_journals
from voicegw.config import load_settings
from voicegw.rehearsal.script import Script
from voicegw.replay.live import Network, replay_live
from voicegw.replay.result import result_of
from voicegw.replay.sample import find_samples, read_sample
from voicegw.server.front import make_gateway, make_server

pytest_plugins = ["embedded_server"]

SAMPLES = Path(__file__).parent.parent / "samples"
SCRIPT = Script(
    stt=("go forward ten meters",),
    llm=("I am going forward now.",),
    first_token_ms=100,
    ms_per_char=SWIFT_MS_PER_CHAR,
)


async def test_a_sample_is_played_to_a_running_gateway(tmp_path: Path) -> None:
    """What holds on virtual time holds over a socket, with a network that delays and loses."""
    sample = read_sample(SAMPLES / "human-command.yaml")
    async with running_gateway(tmp_path, SCRIPT) as running:
        network = Network(jitter_ms=30.0, loss=0.01)
        run = await replay_live(sample, running.url, network=network)
    result = result_of(sample, run)
    assert [str(check) for check in result.failed] == []
    (turn,) = result.turns
    assert turn.understood == "go forward ten meters"
    assert turn.answer == "I am going forward now."
    assert turn.gap_ms is not None
    assert 400 < turn.gap_ms < 3000
    assert result.verdict.missing_frames is not None


async def test_a_sample_is_played_through_a_carriers_wire_format(tmp_path: Path) -> None:
    """8 kHz mu-law in base64, marks instead of notices: the caller hears an answer all the same."""
    sample = read_sample(SAMPLES / "human-command.yaml")
    settings = {"carriers__enabled": "twilio"}
    async with running_gateway(tmp_path, SCRIPT, **settings) as running:
        run = await replay_live(sample, running.url.removesuffix("/v1/call"), carrier="twilio")
    assert run.untold
    result = result_of(sample, run)
    assert [str(check) for check in result.failed] == []
    assert result.turns[0].gap_ms is not None


def test_a_journal_gives_the_same_commands_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what a change of the rules does to a call of last week is shown with its context."""
    sample = read_sample(SAMPLES / "human-command.yaml")

    async def call() -> None:
        async with running_gateway(tmp_path, SCRIPT) as running:
            await replay_live(sample, running.url)

    asyncio.run(call())
    (journal,) = (tmp_path / "journals").glob("*.jsonl")
    assert replay_journals([journal], as_json=True) == 0
    assert replay_journals([journal], as_json=True) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["same"] is True
    kept = journal.with_suffix(".commands.txt")
    kept.write_text(kept.read_text("utf-8").replace("go forward", "go back", 1), "utf-8")
    assert replay_journals([journal], as_json=False) == 1
    out = capsys.readouterr().out
    assert "- " in out
    assert "go back" in out


def test_a_sample_is_drafted_from_a_call(tmp_path: Path) -> None:
    """A call that went wrong becomes the sample that keeps it from going wrong again."""
    sample = read_sample(SAMPLES / "human-command.yaml")

    async def call() -> None:
        async with kept_gateway(tmp_path, SCRIPT) as running:
            await replay_live(sample, running.url)

    asyncio.run(call())
    (journal,) = (tmp_path / "journals").glob("*.jsonl")
    settings = load_settings({}, None, {"store.data_dir": str(tmp_path)})
    assert draft_sample(settings, journal.stem, tmp_path / "drafts") == 0
    draft = read_sample(tmp_path / "drafts" / f"{journal.stem}.yaml")
    assert [turn.say for turn in draft.file.turns] == ["go forward ten meters"]
    assert draft.file.turns[0].answer is not None
    assert draft.file.turns[0].answer.says == "I am going forward now."


async def test_a_small_set_runs_over_real_sockets_with_the_embedded_provider(
    tmp_path: Path, embedded_base_url: str
) -> None:
    """No script and no virtual clock: a real recogniser, agent and voice over HTTP, in real time."""
    samples = [found for path in find_samples([SAMPLES]) if (found := read_sample(path)).file.live]
    assert len(samples) >= 3
    models = {"stt__model": "embedded-stt", "llm__model": "embedded-chat", "tts__model": "embedded-tts"}
    settings = settings_for(tmp_path, provider__base_url=embedded_base_url, **models)
    gateway = await make_gateway(settings, keep=True)
    server = make_server(settings, gateway)
    serving = asyncio.create_task(server._serve())
    try:
        await server.listening.wait()
        gateway.start()
        url = f"ws://127.0.0.1:{server.port}/v1/call"
        runs = await asyncio.gather(*(replay_live(sample, url) for sample in samples))
    finally:
        server.stop()
        await serving
        await gateway.close()
    for sample, run in zip(samples, runs, strict=True):
        result = result_of(sample, run)
        # The agent of the embedded provider has its own words, also for goodbye; how fast it is depends on
        # the machine.
        its_own = ("the answer", "ends by", "gap_ms", "gap_p95_ms", "longest_wait_ms")
        failed = [str(check) for check in result.failed if not check.what.startswith(its_own)]
        assert failed == [], sample.name
        assert result.verdict.gap_p95_ms is not None
