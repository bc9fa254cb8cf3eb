"""Watches the event loop: how late it is, and which line of code held it up."""

import asyncio
import logging
import sys
import threading
import time
from types import FrameType

from voicegw.observe.lateness import Lateness

log = logging.getLogger(__name__)

# The loop's heart beats so often; what holds it up longer than the second costs callers a frame.
BEAT_S = 0.05
STALL_S = 0.2
# One stall is told of, and the next ones after this much time.
QUIET_S = 10.0
# Innermost Python functions of a loop that waits: asyncio's, and of uvloop those that started it.
_WAITING = ("select", "_run_once", "run_forever", "run", "run_until_complete")


class LoopWatch:
    """Made on the running loop. A thread of its own looks at the loop's stack when it does not beat."""

    def __init__(self, *, stall_s: float = STALL_S, quiet_s: float = QUIET_S) -> None:
        self.lateness = Lateness()
        self.stalls = 0
        self.last_line = ""  # of the last stall
        self._stall_s = stall_s
        self._quiet_s = quiet_s
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._beat_at = time.monotonic()
        self._due = self._loop.time() + BEAT_S
        self._timer = self._loop.call_at(self._due, self._beat)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="loop watch", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        now = self._loop.time()
        self.lateness.add(max(0.0, now - self._due), now)
        self._beat_at = time.monotonic()
        self._due = now + BEAT_S
        self._timer = self._loop.call_at(self._due, self._beat)

    def _look(self) -> None:
        told = stalled_beat = 0.0
        while not self._stop.wait(BEAT_S):
            beat, now = self._beat_at, time.monotonic()
            if now - beat < self._stall_s + BEAT_S or beat == stalled_beat:
                continue
            # Once per stall: whatever is on the stack now is what holds the loop.
            stalled_beat = beat
            line = where(sys._current_frames().get(self._thread_id))
            if line is None:
                continue
            self.stalls += 1
            self.last_line = line
            if now - told >= self._quiet_s:
                told = now
                log.warning("the event loop is held up for %.0f ms by %s", (now - beat) * 1000, line)

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()
        self._stop.set()
        self._thread.join()


def where(frame: FrameType | None) -> str | None:
    """The innermost line, and the innermost line of ours that led to it; None when the loop itself waits.

    A loop that only waits was not held up: the machine gave this process no time.
    """
    if frame is None or frame.f_code.co_name in _WAITING:
        return None
    found = line = f"{frame.f_code.co_filename}:{frame.f_lineno} ({frame.f_code.co_name})"
    ours: FrameType | None = frame
    while ours is not None and "voicegw" not in ours.f_code.co_filename:
        ours = ours.f_back
    if ours is not None and ours is not frame:
        found = f"{line}, called at {ours.f_code.co_filename}:{ours.f_lineno} ({ours.f_code.co_name})"
    return found
