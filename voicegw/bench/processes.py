"""Child processes of the benchmark, each pinned to its core, and what the kernel knows about them.

A child is a module of this room. It gets its orders as JSON in its first argument, says when it is ready
in one line of JSON, and ends when its standard input is closed. Linux only.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from voicegw.errors import ConfigError

# A child that was told to end has this long before it is killed.
END_S = 10.0


class ChildFailed(Exception):
    """A child process ended before it said what it should. Its own message stands on standard error."""


class Child:
    """Runs `python -m module` on `cores`, for `with`."""

    def __init__(self, module: str, orders: dict[str, Any], cores: set[int]) -> None:
        self._module = module
        self._orders = orders
        self._cores = cores
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Child":
        ours = os.sched_getaffinity(0)
        # Inherited, so that no import and no thread of the child ever runs anywhere else.
        os.sched_setaffinity(0, self._cores)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, json.dumps(self._orders)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        finally:
            os.sched_setaffinity(0, ours)
        return self

    @property
    def pid(self) -> int:
        """The child's process id."""
        assert self._process is not None
        return self._process.pid

    def said(self) -> dict[str, Any]:
        """Wait for the child's next line and return it. Raises ChildFailed when it ends instead."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildFailed(f"{self._module} ended with exit code {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            process.stdout.close()


def say(**words: Any) -> None:
    """In a child: send a line to the parent."""
    print(json.dumps(words), flush=True)


def orders() -> dict[str, Any]:
    """In a child: what to do."""
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found


def cores() -> tuple[set[int], set[int]]:
    """Return the core of the server that is measured, and those of all others. Raises ConfigError."""
    if sys.platform != "linux":
        raise ConfigError("the benchmark reads Linux's own accounts of its processes; it runs only there")
    ours = sorted(os.sched_getaffinity(0))
    if len(ours) < 2:
        raise ConfigError("the benchmark needs two cores: one for the gateway, one for its callers")
    # Interrupts and the system's own work are mostly on the first core.
    return {ours[-1]}, set(ours[:-1])


def cpu_s(pid: int) -> float:
    """CPU time of a process with all its threads, in seconds.

    The process's own clock counts nanoseconds, /proc/PID/stat hundredths of a second. Its id is made as
    clock_getcpuclockid(3) makes it.
    """
    return time.clock_gettime((~pid << 3) | 2)


def rss_kb(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1000


def uss_kb(pid: int) -> float:
    """Memory that would be free if the process ended. Takes the kernel milliseconds: not while measuring."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1.024
