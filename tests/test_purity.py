"""The pure rooms reach no clock, no socket, no file and no chance: by their text, and while they run."""

import ast
import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Literal

import pytest
from rehearsed import COUGH, GO_FORWARD, WHEN, on_virtual_time, rehearsed

from voicegw.rehearsal.caller import dialling
from voicegw.rehearsal.script import Script

PACKAGE = Path(__file__).parent.parent / "voicegw"
PURE = tuple(PACKAGE / room for room in ("audio", "call", "carriers", "verdict"))
FILES = sorted(path for room in PURE for path in room.rglob("*.py"))

IMPURE_MODULES = {
    "aiohttp", "anyio", "asyncio", "concurrent", "contextvars", "ctypes", "datetime", "glob", "http",
    "httpx2", "io", "logging", "mmap", "multiprocessing", "openai", "os", "pathlib", "queue", "random",
    "sched", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess",
    "sys", "tempfile", "threading", "time", "urllib", "uuid", "uvicorn", "uvloop", "weakref", "websockets",
}  # fmt: skip
IMPURE_NAMES = {
    "__import__", "breakpoint", "compile", "eval", "exec", "globals", "hash", "id", "input", "open", "print",
}  # fmt: skip
# Entry points in C, by module: what a pure room must not reach, through however many calls.
IMPURE_C_MODULES = {
    "time",
    "random",
    "_socket",
    "posix",
    "_io",
    "_random",
    "_thread",
    "select",
    "_ssl",
    "_queue",
}
# And what has no such entry point by itself, or one that is not told of.
IMPURE_PY_MODULES = {"socket", "random", "logging", "pathlib", "subprocess", "tempfile", "threading", "uuid"}
# Text in memory is no file.
HARMLESS = {"StringIO", "BytesIO", "text_encoding"}


def _is_main_block(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def offences(source: str) -> Iterator[str]:
    """What in a file makes it impure, in words. A block for `python -m` is no part of the room."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not _is_main_block(node)]
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield f"line {line}: waits"
            case ast.Import(names=names):
                for name in names:
                    if name.name.partition(".")[0] in IMPURE_MODULES:
                        yield f"line {line}: imports {name.name}"
            case ast.ImportFrom(module="datetime", names=names, level=0):
                # Dates are values like others; what asks the clock for one is an attribute of them.
                for name in names:
                    if name.name not in ("date", "timedelta"):
                        yield f"line {line}: imports datetime.{name.name}"
            case ast.Attribute(value=ast.Name(id="date"), attr="today" | "fromtimestamp"):
                yield f"line {line}: asks for today"
            case ast.ImportFrom(module=str(module), level=0):
                if module.partition(".")[0] in IMPURE_MODULES:
                    yield f"line {line}: imports {module}"
            case ast.Name(id=name) if name in IMPURE_NAMES:
                yield f"line {line}: uses {name}"
            case ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="random"):
                yield f"line {line}: uses chance"
            case _:
                pass


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_pure_room_has_no_clock_socket_or_file_in_its_text(path: Path) -> None:
    """Time comes in as an argument: then a call of five minutes is a test of milliseconds."""
    assert list(offences(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "async def f() -> None: ...",
        "import time",
        "import os.path",
        "from datetime import datetime",
        "from datetime import date\nx = date.today()",
        "def f() -> None:\n    from random import random",
        "def f() -> str:\n    return open('x').read()",
        "import numpy as np\nx = np.random.rand()",
        "print('heard')",
    ],
)
def test_what_is_impure_is_found_in_the_text(source: str) -> None:
    """A guard that was never seen to bark guards nothing."""
    assert list(offences(source))


def _module_of(function: Any) -> str:
    return getattr(function, "__module__", None) or type(getattr(function, "__self__", None)).__module__


class Watch:
    """Notes every entry of a pure room into the outer world, while it is in force."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._pure: dict[CodeType, bool] = {}
        self._collected: list[Callable[[Literal["start", "stop"], dict[str, int]], object]] = []

    def __enter__(self) -> "Watch":
        # A collection may begin anywhere, and whoever listens to it (hypothesis, with a clock) then seems to
        # be called by the code that happened to be running.
        self._collected = gc.callbacks[:]
        gc.callbacks.clear()
        sys.setprofile(self._notice)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        gc.callbacks[:] = self._collected

    def _notice(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            module, name = frame.f_globals.get("__name__"), frame.f_code.co_name
            if module not in IMPURE_PY_MODULES:
                return
        elif event == "c_call":
            module, name = _module_of(arg), arg.__name__
            if (module not in IMPURE_C_MODULES and name != "open") or name in HARMLESS:
                return
        else:
            return
        caller: FrameType | None = frame
        while caller is not None:
            if self._is_pure(caller.f_code):
                self.found.add(f"{caller.f_code.co_qualname} reaches {module}.{name}")
                return
            caller = caller.f_back

    def _is_pure(self, code: CodeType) -> bool:
        known = self._pure.get(code)
        if known is None:
            path = Path(code.co_filename)
            known = self._pure[code] = any(room in path.parents for room in PURE)
        return known


@on_virtual_time
async def test_no_pure_room_reaches_a_clock_a_socket_or_a_file_in_a_whole_call(tmp_path: Path) -> None:
    """By its text a room may look pure and reach a clock through a library."""
    script = Script(stt=("where is my order",), llm=("It is on its way. It comes tomorrow.",), pcm_hz=24_000)
    async with rehearsed(tmp_path, script) as rehearsal:
        with Watch() as watch:
            async with dialling(rehearsal.gateway) as caller:
                caller.speak(COUGH, 1.0)
                await caller.event("speech_stopped")
                await caller.say(WHEN)
                started = await caller.event("speech_started", kind="reply")
                caller.speak(GO_FORWARD, started.at_s + 0.5)
                await caller.event("speech_stopped", cut=True)
                caller.send("dtmf", digit="1")
                caller.send("text", text="hello")
                caller.send_message("no json")
                await caller.event("speech_started", kind="reply")
    assert watch.found == set()


def planted(source: str) -> Callable[[], object]:
    """A function as if it stood in the heart."""
    room: dict[str, Any] = {}
    exec(compile(source, str(PACKAGE / "call" / "planted.py"), "exec"), room)
    function: Callable[[], object] = room["f"]
    return function


@pytest.mark.parametrize(
    "source",
    [
        "import time\ndef f(): return time.monotonic()",
        "import time\ndef f(): return time.time()",
        "def f(): open('/dev/null').close()",
        "from pathlib import Path\ndef f(): return Path('/dev/null').exists()",
        "import socket\ndef f(): socket.socket().close()",
        "import random\ndef f(): return random.random()",
        "import random\ndef f(): return random.randint(1, 6)",
        "import logging\ndef f(): logging.getLogger('x').error('heard')",
        "import asyncio\ndef f(): return asyncio.new_event_loop().close()",
    ],
)
def test_whoever_reaches_out_of_a_pure_room_is_noticed(source: str) -> None:
    """The runtime check must see what it is there for, also through a library."""
    function = planted(source)
    with Watch() as watch:
        function()
    assert watch.found


def test_whoever_reaches_out_from_elsewhere_is_not() -> None:
    """The driver has the clock: that is what it is for."""
    import time

    with Watch() as watch:
        time.monotonic()
    assert watch.found == set()


def test_a_collection_of_garbage_is_not_the_doing_of_the_code_it_interrupts() -> None:
    """It comes when it comes: the check must give the same answer on every run."""
    import time

    def listen(phase: str, info: dict[str, int]) -> None:
        time.monotonic()

    gc.callbacks.append(listen)
    try:
        collects = planted("def f(collect): return collect()")
        with Watch() as watch:
            collects(gc.collect)  # type: ignore[call-arg]
        assert watch.found == set()
        assert listen in gc.callbacks
    finally:
        gc.callbacks.remove(listen)
