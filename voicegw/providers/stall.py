"""Notices a stream that brings nothing any more.

One timer for the whole stream: a time-out for each item costs more than all the rest of the policy.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

T = TypeVar("T")


class Stall:
    """Waits for the items of one stream, each at most `within_s`. `close` it when the stream is left."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._since: float | None = None  # waiting since then; None: the reader is busy with an item
        self._cancelling = 0
        self._fired = False

    async def next(self, stream: AsyncGenerator[T, None]) -> T | None:
        """Return the next item, None at the end. Raises TimeoutError."""
        self._task = asyncio.current_task()
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._within_s, self._look)
        try:
            return await anext(stream, None)
        except asyncio.CancelledError:
            # As `asyncio.timeout` does: somebody else's cancellation goes on.
            if self._fired and self._task is not None and self._task.uncancel() <= self._cancelling:
                raise TimeoutError from None
            raise
        finally:
            self._since = None

    def _look(self) -> None:
        now = self._loop.time()
        due = (now if self._since is None else self._since) + self._within_s
        if now < due:
            self._timer = self._loop.call_at(due, self._look)
        elif self._task is not None:
            self._fired = True
            self._cancelling = self._task.cancelling()
            self._task.cancel()

    def close(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
