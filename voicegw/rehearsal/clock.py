"""Virtual time: an asyncio loop whose clock jumps to the next timer when nothing else is to do.

The real session, carrier and provider code runs on it unchanged, a five-minute call in milliseconds and
always with the same result. Threads have no place in it: work given to an executor is done at once.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _JumpingSelector(selectors.DefaultSelector):
    """Finds nothing ready, and moves the clock instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            # No timer and nothing to run: in real life this would hang for ever.
            raise RuntimeError("virtual time has stopped: everything waits and nothing will happen")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at 0."""

    virtual = True  # what takes a moment is better done inline, and its moment booked

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        # Timers are exact here: without this the loop would run them one resolution too early.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Do the work at once: a thread would race with the jumping clock."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on virtual time."""
    return run_on(VirtualLoop, main)


def run_on(make_loop: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a loop of its own."""
    found: list[T] = []

    async def run() -> None:
        found.append(await main)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        # Not as the task's result: the runner looks at its signal handler behind it, for which Python forms
        # the `repr` of the task with all that it has returned, a tenth of the time of a replayed call.
        runner.run(run())
    return found[0]
