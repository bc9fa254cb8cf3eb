"""The gateway as a process: start, drain on SIGTERM, end, and what it says about wrong settings."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from gateways import caller
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.provider_server import ProviderServer


def clean_environment(**more: str) -> dict[str, str]:
    """The environment less what another gateway on this machine may be configured by."""
    names = ("VOICEGW", "HOLYSHEEP", "OPENAI", "MODEL")
    return {k: v for k, v in os.environ.items() if not k.startswith(names)} | more


@asynccontextmanager
async def process(folder: Path, *arguments: str, **env: str) -> AsyncIterator[Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voicegw",
        *arguments,
        cwd=folder,
        env=clean_environment(**env),
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Process, str]]:
    async with (
        ProviderServer(ScriptedProvider()) as provider,
        process(
            folder,
            "serve",
            "--set",
            "server.port=0",
            VOICEGW_PROVIDER__BASE_URL=provider.base_url,
            VOICEGW_PROVIDER__API_KEY="test-key",
        ) as gateway,
    ):
        assert gateway.stdout is not None
        line = (await gateway.stdout.readline()).decode()
        yield gateway, line.rpartition(" ")[2].strip()


async def test_sigterm_lets_the_call_finish_and_exits_0(tmp_path: Path) -> None:
    """A deploy must not cut a caller off."""
    async with serving(tmp_path) as (gateway, url), caller(url) as someone:
        await someone.send("start")
        await someone.event("ready")
        gateway.send_signal(signal.SIGTERM)
        # The call goes on: the greeting is heard to its end, and a question answered.
        assert (await someone.event("speech_stopped"))["cut"] is False
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 503
        await someone.send("text", text="Are you still there?")
        assert (await someone.event("speech_stopped"))["heard"]
        await someone.send("hangup")
        assert (await someone.closed())[0] == 1000
        assert await gateway.wait() == 0


async def test_sigterm_without_calls_exits_0(tmp_path: Path) -> None:
    """An idle gateway goes at once."""
    async with serving(tmp_path) as (gateway, _):
        gateway.send_signal(signal.SIGTERM)
        assert await gateway.wait() == 0


async def test_ctrl_c_ends_the_calls_with_a_word(tmp_path: Path) -> None:
    """Whoever sits at the terminal wants it to end now; the other side is told why."""
    async with serving(tmp_path) as (gateway, url), caller(url) as someone:
        await someone.send("start")
        await someone.event("ready")
        gateway.send_signal(signal.SIGINT)
        assert (await someone.event("hangup"))["reason"] == "shutdown"
        assert await gateway.wait() == 0


async def test_a_killed_process_leaves_a_journal_that_can_be_read(tmp_path: Path) -> None:
    """What was said until the kill is not lost with the process."""
    from voicegw.store.journal import read_journal

    async with serving(tmp_path) as (gateway, url), caller(url) as someone:
        await someone.send("start", caller="0901234567")
        await someone.event("ready")
        await someone.event("speech_stopped")
        gateway.kill()
        await gateway.wait()
    journal = next((tmp_path / "data" / "journals").glob("*.jsonl"))
    _, events = read_journal(journal)
    assert "CallStarted" in [type(event).__name__ for event, _ in events]


async def test_a_wrong_setting_is_one_message_and_exit_2(tmp_path: Path) -> None:
    """No traceback for a typo."""
    async with process(tmp_path, "serve", VOICEGW_TURNS__PAUS_MS="300") as gateway:
        _, said = await gateway.communicate()
        assert gateway.returncode == 2
        assert b"VOICEGW_TURNS__PAUSE_MS" in said
        assert b"Traceback" not in said
