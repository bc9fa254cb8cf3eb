"""Connections that are not welcome: kept for a while, unread, then told so and closed.

Closed at once, a program that comes back whenever it is cut would do so thousands of times a second. Kept, it
waits.
"""

import asyncio

# At once, of all addresses: each is an open file, and nothing else. One more is closed at once.
MOST_HELD = 200


class Held:
    """Made once per process, on its running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._held: dict[asyncio.Transport, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        """Connections that are held."""
        return len(self._held)

    def hold(self, transport: asyncio.Transport, for_s: float, answer: bytes) -> None:
        """Keep a connection for a while before it gets its answer and is closed."""
        if len(self._held) >= MOST_HELD:
            transport.abort()
        else:
            self._held[transport] = self._loop.call_later(for_s, self._let_go, transport, answer)

    def _let_go(self, transport: asyncio.Transport, answer: bytes) -> None:
        del self._held[transport]
        transport.write(answer)
        transport.close()

    def gone(self, transport: asyncio.Transport) -> None:
        """A connection that was held, or may be, is gone."""
        timer = self._held.pop(transport, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Cut all of them."""
        for transport in list(self._held):
            self.gone(transport)
            transport.abort()
