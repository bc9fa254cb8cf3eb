"""One timer for all calls of the process.

Calls say when they want to be woken; wishes are gathered in slots of 5 ms, so that a hundred calls cost a
few wake-ups instead of a hundred. How late slots come is the gateway's frame lateness.
"""

import asyncio
import heapq
from typing import Protocol

from voicegw.observe.lateness import Lateness

SLOT_S = 0.005


class Ticked(Protocol):
    """Someone who wants to be woken."""

    slot: int

    def tick(self) -> None:
        """The time has come. Must not raise."""
        ...


class Ticker:
    """Wakes each client once per wish. Use from the loop's thread only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[int] = []
        # Dicts as ordered sets: a wish that changes leaves at once, and holds no ended call in memory.
        self._slots: dict[int, dict[Ticked, None]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._armed = 0
        self._woken = 0  # the newest slot whose clients were woken
        self.late_s = 0.0  # how late the newest slot was
        self.lateness = Lateness()

    def schedule(self, client: Ticked, when: float) -> None:
        """Wake `client` at `when` (loop time) or up to 5 ms later; replaces its earlier wish."""
        # Not in a slot that is being woken: one who was a rounding too early would spin in it for ever.
        slot = max(int(when / SLOT_S), self._woken) + 1
        if client.slot == slot:
            return
        self.forget(client)
        client.slot = slot
        clients = self._slots.get(slot)
        if clients is None:
            self._slots[slot] = {client: None}
            heapq.heappush(self._heap, slot)
            self._arm(slot)
        else:
            clients[client] = None

    def forget(self, client: Ticked) -> None:
        """Drop the client's wish."""
        if client.slot:
            clients = self._slots.get(client.slot)
            if clients is not None:
                clients.pop(client, None)
            client.slot = 0

    @property
    def waiting(self) -> int:
        """Clients that want to be woken."""
        return sum(len(clients) for clients in self._slots.values())

    def _arm(self, slot: int) -> None:
        """Have the timer go off at `slot`, if it does not sooner."""
        if self._handle is not None:
            if self._armed <= slot:
                return
            self._handle.cancel()
        self._armed = slot
        self._handle = self._loop.call_at(slot * SLOT_S, self._fire)

    def _fire(self) -> None:
        self._handle = None
        now = self._loop.time()
        self.late_s = max(0.0, now - self._armed * SLOT_S)
        self.lateness.add(self.late_s, now)
        # A little early is on time: the loop's timers have a resolution.
        last = self._woken = int((now + 0.0005) / SLOT_S)
        while self._heap and self._heap[0] <= last:
            slot = heapq.heappop(self._heap)
            for client in self._slots.pop(slot):
                # One that was woken may have ended another of this slot.
                if client.slot == slot:
                    client.slot = 0
                    client.tick()
        # Also when a client's new wish has armed the timer: it may be later than one that waited already.
        if self._heap:
            self._arm(self._heap[0])

    def close(self) -> None:
        """Stop; nobody is woken any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._heap.clear()
        self._slots.clear()
