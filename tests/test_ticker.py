"""The ticker on virtual time: who is woken when, and that nobody can hold the others up."""

import asyncio

from voicegw.rehearsal.clock import run_virtual
from voicegw.server.ticker import SLOT_S, Ticker


class Sleeper:
    """Wants to be woken at `due`, and asks again until it really is that late."""

    def __init__(self, ticker: Ticker, due: float) -> None:
        self.slot = 0
        self.due = due
        self.woken: list[float] = []
        self._ticker = ticker
        self._loop = asyncio.get_running_loop()

    def ask(self, when: float) -> None:
        self._ticker.schedule(self, when)

    def tick(self) -> None:
        now = self._loop.time()
        self.woken.append(now)
        if now < self.due:
            self.ask(now)


def test_one_who_is_woken_too_early_waits_for_the_next_slot() -> None:
    """Rounding can put a wish just before its time; asked again in the same slot it would hold up all calls.

    On an event loop whose clock stands still during a turn that would be for ever.
    """

    async def main() -> list[float]:
        ticker = Ticker(asyncio.get_running_loop())
        sleeper = Sleeper(ticker, due=4.1000000001)
        sleeper.ask(4.1 - SLOT_S)
        await asyncio.sleep(5)
        ticker.close()
        return sleeper.woken

    woken = run_virtual(main())
    assert woken == sorted(set(woken))
    assert 4.1 < woken[-1] <= 4.1 + 2 * SLOT_S


def test_calls_of_one_slot_share_a_wakeup() -> None:
    """A hundred timers cost more than the hundred frames that they send."""

    async def main() -> list[list[float]]:
        ticker = Ticker(asyncio.get_running_loop())
        sleepers = [Sleeper(ticker, due=0.0) for _ in range(3)]
        for number, sleeper in enumerate(sleepers):
            sleeper.ask(1.0001 + number * 0.001)
        await asyncio.sleep(2)
        ticker.close()
        return [sleeper.woken for sleeper in sleepers]

    woken = run_virtual(main())
    assert woken[0] == woken[1] == woken[2]
    assert 1.002 < woken[0][0] <= 1.001 + SLOT_S
