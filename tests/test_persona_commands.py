"""Personas of a running gateway and in the terminal: real processes, signals, pipes and exit codes."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from gateways import Caller, caller
from test_process import clean_environment, process

from voicegw.agents.shop import Shop
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.provider_server import ProviderServer
from voicegw.rehearsal.script import Script, ScriptedReply, ToolCall

pytest_plugins = ["embedded_server"]

FILE = """
name = "mine"
language = "en"
system_prompt = "Prompt {number}."

[phrases]
greeting = "Greeting {number}."
apology = "Sorry."
not_understood = "Pardon?"

[tools]
use = ["get_order_status", "end_call"]
"""


def write(folder: Path, number: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "mine.toml"
    path.write_text(FILE.replace("{number}", number), encoding="utf-8")
    return path


async def answers(someone: Caller, text: str) -> str:
    """Say something; returns what is answered."""
    await someone.send("text", text=text)
    told: str = (await someone.event("reply_text"))["text"]
    await someone.event("speech_stopped")
    return told


async def log_line(stream: asyncio.StreamReader, word: str) -> str:
    """The next line of the log with this word in it."""
    async with asyncio.timeout(20):
        while word not in (line := (await stream.readline()).decode()):
            assert line, f"the log ended without {word}"
    return line


async def greeting(someone: Caller) -> str:
    await someone.send("start", persona="mine")
    told: str = (await someone.event("reply_text"))["text"]
    await someone.event("speech_stopped")
    return told


async def test_sighup_gives_new_calls_the_new_persona_and_leaves_the_others_theirs(tmp_path: Path) -> None:
    """Prompts are mended while the lines are open; a slip of the pen must not close them."""

    def prompt(messages: list[dict[str, Any]]) -> str:
        return str(messages[0]["content"])

    folder = tmp_path / "personas"
    path = write(folder, "one")
    scripted = ScriptedProvider(Script(llm=prompt, ms_per_char=1))
    async with (
        ProviderServer(scripted) as provider,
        process(
            tmp_path,
            *("serve", "--set", "server.port=0", "--set", f"persona.folders={folder}"),
            VOICEGW_PROVIDER__BASE_URL=provider.base_url,
            VOICEGW_PROVIDER__API_KEY="test-key",
            VOICEGW_LOG__LEVEL="INFO",
        ) as gateway,
    ):
        assert gateway.stdout is not None
        assert gateway.stderr is not None
        url = (await gateway.stdout.readline()).decode().split()[-1]
        async with AsyncExitStack() as lines:
            early = await lines.enter_async_context(caller(url))
            assert await greeting(early) == "Greeting one."
            write(folder, "two")
            gateway.send_signal(signal.SIGHUP)
            assert "4 personas reloaded" in await log_line(gateway.stderr, "reloaded")
            late = await lines.enter_async_context(caller(url))
            assert await greeting(late) == "Greeting two."
            assert await answers(late, "Which are you?") == "Prompt two."
            assert await answers(early, "And you?") == "Prompt one."

            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace("[phrases]", "[phrases]\ngreting = 1"), encoding="utf-8")
            gateway.send_signal(signal.SIGHUP)
            told = await log_line(gateway.stderr, "not reloaded")
            assert f"{path} line 7: phrases.greting" in told
            assert "Traceback" not in told
            last = await lines.enter_async_context(caller(url))
            assert await greeting(last) == "Greeting two."
            assert await answers(late, "Still there?") == "Prompt two."


async def run(
    folder: Path, *arguments: str, says: Sequence[str] = (), **env: str
) -> tuple[int | None, str, str]:
    """Run a command with these lines piped into it; returns exit code, output and errors."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voicegw", *arguments),
        cwd=folder,
        env=clean_environment(**env),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(60):
            out, err = await started.communicate("".join(f"{line}\n" for line in says).encode())
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()
    return started.returncode, out.decode(), err.decode()


def order_then_goodbye(messages: list[dict[str, Any]]) -> str | ScriptedReply:
    """A model that looks an order up, tells how it stands, and ends the call when it is thanked."""
    last = messages[-1]
    if last["role"] == "tool":
        return f"It is {json.loads(last['content']).get('status', 'well')}."
    if "thank" in str(last["content"]):
        return ScriptedReply("Goodbye.", (ToolCall("end_call", '{"outcome": "told"}'),))
    return ScriptedReply("", (ToolCall("get_order_status", '{"order_id": "DH654321"}'),))


async def test_a_chat_through_a_pipe(tmp_path: Path) -> None:
    """A script may test an agent: each line waits for the answer to the one before, tools run."""
    says = ["My order?", "thank you", "never read"]
    write(tmp_path / "personas", "one")
    async with ProviderServer(ScriptedProvider(Script(llm=order_then_goodbye))) as provider:
        env = {"VOICEGW_PROVIDER__BASE_URL": provider.base_url, "VOICEGW_PROVIDER__API_KEY": "k"}
        chat = ("chat", "mine", "--set", "persona.folders=personas")
        code, out, err = await run(tmp_path, *chat, says=says, **env)
        # An empty line hangs up.
        json_code, lines, _ = await run(tmp_path, *chat, "--json", says=["My order?", "", "x"], **env)
    assert (code, err) == (0, "")
    assert "\x1b" not in out, "no colours where nobody sees them"
    shown = [line.split(maxsplit=1) for line in out.splitlines()[1:]]
    assert shown[:5] == [
        ["agent", "Greeting one."],
        ["you", "My order?"],
        ["get_order_status:", "running"],
        ["get_order_status:", "done"],
        ["agent", "It is processing."],
    ]
    assert "outcome told" in out
    assert "the call is over: agent" in out
    assert "never read" not in out
    assert json_code == 0
    events = [json.loads(line) for line in lines.splitlines()]
    assert [event["text"] for event in events if event["type"] == "reply_text"][1] == "It is processing."
    assert events[-1] == {"type": "hangup", "reason": "caller"}


async def test_a_chat_with_the_shop_needs_no_key(tmp_path: Path) -> None:
    """The first thing that somebody tries: order, confirmation, another day, in Vietnamese."""
    says = ["DH123456", "đúng rồi em", "đổi ngày giao sang chủ nhật", "đúng"]
    command = ("chat", "giao-hang", "--embedded", "--set", "store.data_dir=shop")
    code, out, err = await run(tmp_path, *command, says=says)
    assert (code, err) == (0, "")
    assert "D H 1 2 3 4 5 6" in out
    assert "Em chuyển đơn DH123456 sang chủ nhật, đúng không ạ?" in out
    assert Shop(tmp_path / "shop" / "shop.sqlite").changes() == [("DH123456", "chủ nhật")]


async def test_a_chat_without_an_answer_says_so_and_fails(tmp_path: Path) -> None:
    """The next line is not read before the apology: a filler is no answer."""
    env = {"VOICEGW_PROVIDER__BASE_URL": "http://127.0.0.1:9/v1", "VOICEGW_PROVIDER__API_KEY": "k"}
    code, out, err = await run(
        tmp_path, "chat", "support", "--set", "limits.patience_s=2", says=["hello", ""], **env
    )
    assert code == 1
    assert "I am sorry, I have a technical problem." in out
    assert "apology: " in out
    assert "Traceback" not in err


async def test_an_unknown_agent_is_told_with_those_there_are(tmp_path: Path) -> None:
    code, out, err = await run(tmp_path, "chat", "nobody", VOICEGW_PROVIDER__API_KEY="k")
    assert code == 2
    assert not out
    assert "there is no persona 'nobody'; known: giao-hang, laptop, support" in err
    assert "Traceback" not in err


async def test_personas_are_listed_for_people_and_for_scripts(tmp_path: Path) -> None:
    write(tmp_path / "personas", "one")
    arguments = ("personas", "list", "--set", "persona.folders=personas", "--set", "persona.default=mine")
    code, out, _ = await run(tmp_path, *arguments)
    assert code == 0
    assert "\x1b" not in out
    assert [line.split()[0] for line in out.splitlines()[1:] if not line.startswith(" ")] == [
        "giao-hang",
        "laptop",
        "mine",
        "support",
    ]
    code, out, _ = await run(tmp_path, *arguments, "--json")
    (mine,) = [told for line in out.splitlines() if (told := json.loads(line))["persona"] == "mine"]
    assert (mine["default"], mine["tools"]) == (True, ["get_order_status", "end_call"])


async def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path) -> None:
    """Before it is put to work: in a hook, or by hand."""
    path = write(tmp_path / "personas", "one")
    code, out, _ = await run(tmp_path, "personas", "validate", "personas")
    assert code == 0
    assert "4 personas are well: giao-hang, laptop, mine, support" in out
    path.write_text(path.read_text().replace('"end_call"', '"fly"'), encoding="utf-8")
    code, out, err = await run(tmp_path, "personas", "validate", "personas")
    assert code == 2
    assert not out
    assert "personas/mine.toml line 12: tools.use.1: no tool 'fly'" in err.replace("\n", "")
