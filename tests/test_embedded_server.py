"""The provider as a process: what it says, how it ends, and that it knows nothing of the gateway."""

import ast
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import psutil
import pytest

import voicegw.embedded
from voicegw.embedded import serve

if TYPE_CHECKING:
    from embedded_server import RunningProvider

pytest_plugins = ["embedded_server"]

PACKAGE = Path(voicegw.embedded.__file__).parent

Start = Callable[[], AbstractContextManager["RunningProvider"]]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_and_takes_its_processes_along(start_embedded: Start, stop: signal.Signals) -> None:
    """`make demo` starts and stops it; a status other than 0 or a left process would look like a fault."""
    with start_embedded() as running:
        workers = psutil.Process(running.process.pid).children()
        assert workers
        running.process.send_signal(stop)
        assert running.process.wait(timeout=20) == 0
    assert psutil.wait_procs(workers, timeout=20)[1] == []


def test_its_processes_end_even_when_it_is_killed(start_embedded: Start) -> None:
    """A recognition process holds 190 MB; it ends because its stdin does."""
    with start_embedded() as running:
        workers = psutil.Process(running.process.pid).children()
        assert workers
        running.process.kill()
        running.process.wait(timeout=20)
    assert psutil.wait_procs(workers, timeout=20)[1] == []


def test_it_says_what_it_is_and_how_well_it_hears(start_embedded: Start) -> None:
    """Whoever tries it must not take this quality for the gateway's."""
    with start_embedded() as running:
        for said in (
            "demonstration quality",
            "English only",
            "1 word in 3 wrong",
            "scripted",
            "set up a provider",
        ):
            assert said in running.printed
        assert running.base_url.startswith("http://127.0.0.1:")
        assert running.base_url.endswith("/v1")


def test_its_health_tells_whether_it_can_hear_yet(embedded_base_url: str) -> None:
    """A page or a script that waits for recognition asks here instead of sending audio."""
    health = httpx2.get(embedded_base_url.removesuffix("/v1") + "/healthz").json()
    assert health["status"] == "ok"
    assert health["recognition"]["ready"] in (0, 1)


def test_a_port_that_is_taken_is_an_error() -> None:
    """The command line turns it into one line of advice."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve(port=taken.getsockname()[1])


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """espeak-ng is an extra because of its licence, so it is missing from a plain installation."""
    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "espeakng_loader" else find(name))
    with pytest.raises(ModuleNotFoundError, match=r"espeakng_loader: pip install 'voicegw\[embedded\]'"):
        serve(port=0)


def test_it_imports_nothing_of_the_rest() -> None:
    """GPL code is loaded here: the gateway must stay another program, which only speaks HTTP with it."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            for module in modules:
                assert not module.startswith("voicegw") or module.startswith("voicegw.embedded"), (
                    path,
                    module,
                )
