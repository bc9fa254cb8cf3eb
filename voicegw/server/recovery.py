"""Tools that a killed process had begun: those that are idempotent are sent again, others never.

A call's journal tells what was begun: it was durable before anything ran. Every journal whose process is gone
is played again; what has no result there gets one, so that whoever goes on with the call (or reads it) knows:
the result of a tool that was sent again with the same key, or that the outcome is unknown.
"""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voicegw.agents.personas import Persona
from voicegw.agents.tools import ToolContext
from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call.call import Call
from voicegw.call.settings import CallSettings
from voicegw.errors import ConfigError
from voicegw.server.tool_runs import idempotency_key
from voicegw.store.journal import append, lock, read_journal

log = logging.getLogger(__name__)

# Whoever starts a day later finds a world that has moved on: nothing is sent again into it.
RECENT_S = 24 * 3600.0
# Another part of the process may be looking at the same journal: it is done in no time.
LOCK_TRIES = 20
LOCK_WAIT_S = 0.1
UNKNOWN = json.dumps({"error": "the outcome is unknown: the gateway was interrupted"})


@dataclass(frozen=True, slots=True)
class Broken:
    """A call whose process was killed in the middle of its tools."""

    settings: CallSettings
    caller: str
    now: int
    runs: tuple[c.RunTool, ...]


async def recover_tools(data_dir: Path, personas: Mapping[str, Persona]) -> int:
    """Bring to an end what killed processes had begun. Returns how many tools that were."""
    recovered = 0
    for path in await asyncio.to_thread(_recent, data_dir / "journals"):
        try:
            recovered += await _recover(path, data_dir, personas)
        except (OSError, ConfigError, RuntimeError) as error:
            log.warning("the tools of %s cannot be recovered: %s", path.stem, type(error).__name__)
    if recovered:
        log.warning("%d tools that a killed process had begun were brought to an end", recovered)
    return recovered


def _recent(folder: Path) -> list[Path]:
    """Journals of the last day in which tools were called. Blocks."""
    if not folder.is_dir():
        return []
    since = time.time() - RECENT_S
    return [
        path
        for path in sorted(folder.glob("*.jsonl"))
        if path.stat().st_mtime >= since and b'"ReplyToolCall"' in path.read_bytes()
    ]


async def _recover(path: Path, data_dir: Path, personas: Mapping[str, Persona]) -> int:
    with await asyncio.to_thread(path.open, "rb") as file:
        for number in range(LOCK_TRIES):
            if lock(file.fileno()):
                break
            if number == LOCK_TRIES - 1:
                # A living process has it.
                return 0
            await asyncio.sleep(LOCK_WAIT_S)
        broken = await asyncio.to_thread(_broken, path)
        if not broken.runs:
            return 0
        results = [await _result(path.stem, run, broken, data_dir, personas) for run in broken.runs]
        await asyncio.to_thread(append, path, results, broken.now)
        return len(results)


def _broken(path: Path) -> Broken:
    """Play a journal to its end. Blocks."""
    settings, events = read_journal(path)
    call, caller, now = Call(settings), "", 0
    for event, now in events:
        if isinstance(event, e.CallStarted):
            caller = event.caller
        call.receive(event, now)
    return Broken(settings, caller, now, tuple(call.unfinished_tools))


async def _result(
    call_id: str, run: c.RunTool, broken: Broken, data_dir: Path, personas: Mapping[str, Persona]
) -> e.ToolResult:
    persona = personas.get(broken.settings.persona)
    tool = persona.tools.get(run.name) if persona is not None else None
    # What was said in confidence went with the process.
    secret = any(slot.sensitive and f"[{slot.name}]" in run.arguments for slot in broken.settings.slots)
    if tool is None or not tool.rules.idempotent or secret:
        return e.ToolResult(run.tool_id, "unknown", UNKNOWN)
    key = idempotency_key(call_id, run.tool_id)
    context = ToolContext(call_id, key, broken.caller, broken.settings.language, data_dir)
    ran = await tool.run(run.arguments, context)
    return e.ToolResult(run.tool_id, ran.status, ran.content)
