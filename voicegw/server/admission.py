"""Whether one more call would hurt those in progress: by frame lateness, memory and number, as measured."""

import os
import time
from pathlib import Path

from voicegw.config import Settings
from voicegw.errors import GatewayFull
from voicegw.observe.lateness import Lateness

# Memory is read at most this often: a look at /proc takes 20 us.
LOOK_S = 0.5
# Of the container's limit, when no other is set: beyond it the kernel kills.
SHARE_OF_CONTAINER = 0.9


class Admission:
    """Judges for one process."""

    def __init__(self, settings: Settings, lateness: Lateness) -> None:
        self._settings = settings
        self._lateness = lateness
        self._most_mb = settings.door.max_memory_mb or container_limit_mb() * SHARE_OF_CONTAINER
        self._looked_at = 0.0
        self._memory_mb = 0.0

    def check(self, calls: int, now: float) -> None:
        """Raise GatewayFull when no further call should begin; `calls` are in progress or arriving.

        `now` is the loop's time.
        """
        most = self._settings.server.max_calls
        if calls >= most:
            raise GatewayFull(f"all {most} calls are in use", retry_after=5, limit="calls")
        late_ms = self._lateness.recent_ms(0.99, now)
        if late_ms > self._settings.door.max_late_ms:
            raise GatewayFull(f"audio is late already ({late_ms:.0f} ms)", retry_after=10, limit="lateness")
        if self._most_mb and self.memory_mb() > self._most_mb:
            raise GatewayFull("memory is short", retry_after=30, limit="memory")

    def memory_mb(self) -> float:
        """Resident memory of this process; 0 where it cannot be read."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            self._memory_mb = resident_mb()
        return self._memory_mb


def resident_mb() -> float:
    """Resident memory of this process; 0 where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def container_limit_mb() -> float:
    """The memory limit of this process's container (cgroup v2); 0 when there is none."""
    try:
        found = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return 0.0
    return 0.0 if found == "max" else int(found) / 1e6
