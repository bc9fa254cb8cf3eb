"""The loop whose clock jumps."""

import asyncio
import threading

import pytest
from rehearsed import on_virtual_time

from voicegw.rehearsal.clock import run_virtual
from voicegw.server.ticker import SLOT_S, Ticker


@on_virtual_time
async def test_an_hour_passes_at_once_and_in_order() -> None:
    """That is what makes a call of an hour a test of a second."""
    order: list[int] = []

    async def wake(after_s: float, number: int) -> None:
        await asyncio.sleep(after_s)
        order.append(number)

    await asyncio.gather(wake(3600, 3), wake(0.001, 1), wake(1800, 2))
    assert order == [1, 2, 3]
    assert asyncio.get_running_loop().time() == pytest.approx(3600)


@on_virtual_time
async def test_deadlines_pass_in_virtual_time() -> None:
    """`asyncio.timeout` is what providers are guarded with."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            await asyncio.get_running_loop().create_future()
    assert asyncio.get_running_loop().time() == pytest.approx(10)


def test_a_wait_that_nothing_can_end_is_an_error() -> None:
    """In real life it would hang; a test must say so."""

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="virtual time has stopped"):
        run_virtual(forever())


@on_virtual_time
async def test_work_for_a_thread_is_done_at_once() -> None:
    """A thread would race with the jumping clock."""
    thread = await asyncio.to_thread(threading.get_ident)
    assert thread == threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(divmod, 1, 0)


class Waiter:
    """A client of the ticker that notes when it was woken, and may wish again."""

    def __init__(self, ticker: Ticker, again_s: float | None = None) -> None:
        self.slot = 0
        self.woken: list[float] = []
        self._ticker = ticker
        self._again_s = again_s

    def tick(self) -> None:
        now = asyncio.get_running_loop().time()
        self.woken.append(now)
        if self._again_s is not None and len(self.woken) < 5:
            self._ticker.schedule(self, now + self._again_s)


@on_virtual_time
async def test_a_slow_client_of_the_ticker_does_not_delay_a_quick_one() -> None:
    """One call waits for its next silence, the other for its next frame: that one may not be late."""
    ticker = Ticker(asyncio.get_running_loop())
    slow, quick = Waiter(ticker, 0.2), Waiter(ticker, 0.02)
    await asyncio.sleep(1.0)
    ticker.schedule(slow, 1.0)
    ticker.schedule(quick, 1.012)
    await asyncio.sleep(2.0)
    gaps = [after - before for before, after in zip(quick.woken, quick.woken[1:], strict=False)]
    assert max(gaps) <= 0.02 + 2 * SLOT_S
    assert quick.woken[0] - 1.012 <= SLOT_S + 1e-6
    assert len(slow.woken) == 5
    assert ticker.waiting == 0
    ticker.close()


@on_virtual_time
async def test_an_earlier_wish_takes_the_place_of_a_later_one_and_none_is_left() -> None:
    """A wish that was changed must neither wake twice nor hold its client in memory."""
    ticker = Ticker(asyncio.get_running_loop())
    waiter = Waiter(ticker)
    await asyncio.sleep(1.0)
    ticker.schedule(waiter, 30.0)
    ticker.schedule(waiter, 2.0)
    assert ticker.waiting == 1
    await asyncio.sleep(40.0)
    assert len(waiter.woken) == 1
    ticker.schedule(waiter, 50.0)
    ticker.forget(waiter)
    assert ticker.waiting == 0
    ticker.close()
