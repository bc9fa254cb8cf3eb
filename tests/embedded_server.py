"""The embedded provider as a real process on a free port, for tests of any module.

A test module that wants it says `pytest_plugins = ["embedded_server"]` and takes the fixture
`embedded_base_url`; one process then serves the whole test session.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest

_START = "import sys; from voicegw.embedded import serve; serve(port=0, workers=int(sys.argv[1]))"
_LISTENING = "voicegw-embedded listening on "


@dataclass(frozen=True)
class RunningProvider:
    """A provider's process, its base URL, and what it printed before it listened."""

    process: subprocess.Popen[str]
    base_url: str
    printed: str


@contextmanager
def embedded_server(workers: int = 1) -> Iterator[RunningProvider]:
    """Run the provider; on leaving it gets SIGTERM, and must end within 20 s."""
    command = [sys.executable, "-c", _START, str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            printed = ""
            for line in process.stdout:
                if line.startswith(_LISTENING):
                    break
                printed += line
            else:
                raise RuntimeError(f"the embedded provider did not start: {printed}")
            yield RunningProvider(process, line.removeprefix(_LISTENING).strip(), printed)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)


@pytest.fixture(scope="session")
def embedded_base_url() -> Iterator[str]:
    """Base URL of the embedded provider, with one recognition process."""
    with embedded_server() as running:
        yield running.base_url


@pytest.fixture
def start_embedded() -> Callable[[], AbstractContextManager[RunningProvider]]:
    """Start a provider of one's own, for tests that stop or break it."""
    return embedded_server
