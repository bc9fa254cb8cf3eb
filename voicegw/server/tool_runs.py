"""Carries out what a call decides to do: makes the decision durable, runs the tools, brings the results.

The tasks run in the call's group. What runs when the call ends is cancelled with it, and the journal then
tells that its outcome is unknown.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from voicegw.agents.tools import Ran, Tool, ToolContext
from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.store.journal import Journal

log = logging.getLogger(__name__)


def idempotency_key(call_id: str, tool_id: int) -> str:
    """Return the key of one run of a tool: the same after a crash, and unlike any other's."""
    return hashlib.sha256(f"{call_id}/{tool_id}".encode()).hexdigest()[:32]


class ToolRuns:
    """The tools of one call."""

    def __init__(
        self,
        call_id: str,
        tools: Mapping[str, Tool],
        journal: Journal,
        feed: Callable[[e.Event], None],
        context: Callable[[str], ToolContext],
        resolve: Callable[[str], str],
    ) -> None:
        """`context` makes a tool's context from its key; `resolve` puts secrets into arguments."""
        self._call_id = call_id
        self._tools = tools
        self._journal = journal
        self._feed = feed
        self._context = context
        self._resolve = resolve
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, group: asyncio.TaskGroup) -> None:
        """Tools may run from now on."""
        self._group = group

    def stop(self) -> None:
        """Cancel what runs; the group awaits it."""
        self._group = None
        for task in list(self._tasks):
            task.cancel()

    def commit(self, command: c.Commit) -> None:
        """Make the journal durable; answer with Committed."""
        if self._group is not None:
            self._spawn(self._commit(command.commit_id))

    def run(self, command: c.RunTool) -> None:
        """Run a tool; answer with ToolResult."""
        if self._group is not None:
            self._spawn(self._run(command))

    def transfer(self, handing: Awaitable[bool]) -> None:
        """Wait for a hand-over by the carrier's own means; answer with TransferEnded."""
        if self._group is not None:
            self._spawn(self._transfer(handing))

    async def _transfer(self, handing: Awaitable[bool]) -> None:
        self._feed(e.TransferEnded(await handing))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._group is not None
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _commit(self, commit_id: int) -> None:
        # Written here, in order with all other lines; only the wait for the disk is in a thread.
        self._journal.flush()
        await asyncio.to_thread(self._journal.sync)
        self._feed(e.Committed(commit_id))

    async def _run(self, command: c.RunTool) -> None:
        tool = self._tools[command.name]
        context = self._context(idempotency_key(self._call_id, command.tool_id))
        ran: Ran = await tool.run(self._resolve(command.arguments), context)
        if ran.status not in ("done", "failed"):
            log.warning("call %s: tool %s: %s", self._call_id, command.name, ran.status)
        self._feed(e.ToolResult(command.tool_id, ran.status, ran.content))
