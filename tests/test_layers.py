"""Who may import whom: downwards only. The rooms stand in docs/architecture.md."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "voicegw"

# From the top down. Rooms in one line do not import each other.
LAYERS = (
    {"__main__"},
    {"cli"},
    {"bench", "replay"},
    {"rehearsal"},
    {"server"},
    {"web"},
    {"store", "providers", "agents"},
    {"carriers", "verdict"},
    {"call"},
    {"audio"},
    {"observe"},
    {"config"},
    {"errors"},
)
HEIGHT = {room: len(LAYERS) - number for number, rooms in enumerate(LAYERS) for room in rooms}
# The parts of a call in their row (docs/architecture.md).
PARTS = (
    "floor",
    "caller_turn",
    "speaking",
    "presence",
    "ladder",
    "speech",
    "answering",
    "written",
    "hearing",
    "call",
)
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """The room that a file belongs to; "" for the package's own `__init__`."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py").removesuffix("__init__") if first != "__main__.py" else "__main__"


def modules(tree: ast.AST, path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, absolute, with its line; also inside functions."""
    package = ["voicegw", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found = ".".join([*base, *([node.module] if node.module else [])])
            for name in node.names:
                yield node.lineno, f"{found}.{name.name}"


def rooms_imported(source: str, path: Path) -> Iterator[tuple[int, str]]:
    """The rooms of the package that a file imports, with the line."""
    for line, module in modules(ast.parse(source), path):
        parts = module.split(".")
        if parts[0] == "voicegw":
            yield line, parts[1] if len(parts) > 1 and parts[1] != "__version__" else ""


def offences(source: str, path: Path) -> list[str]:
    """The imports of a file that the order forbids, in words."""
    here = room_of(path)
    found = []
    for line, there in rooms_imported(source, path):
        if there in ("", here):
            continue
        if here == "embedded":
            found.append(f"line {line}: embedded imports nothing of the rest, but {there}")
        elif there == "embedded":
            if here != "cli":
                found.append(f"line {line}: embedded is started by cli only")
        elif HEIGHT[there] >= HEIGHT[here]:
            found.append(f"line {line}: {here} is not above {there}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_lies_below_its_room(path: Path) -> None:
    """The heart can be tested without a socket only while it cannot reach one."""
    assert offences(path.read_text(encoding="utf-8"), path) == []


def test_every_room_has_its_place() -> None:
    """A new room must be put somewhere, or this test would not look at it."""
    rooms = {room_of(path) for path in FILES} - {"", "embedded"}
    assert rooms <= HEIGHT.keys()


def looking_back(source: str, part: str) -> list[str]:
    """The parts of a call that `part` imports though they stand behind it."""
    behind = PARTS[PARTS.index(part) :]
    imported = (module for _, module in modules(ast.parse(source), PACKAGE / "call" / f"{part}.py"))
    return [there for module in imported for there in behind if module.startswith(f"voicegw.call.{there}.")]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_call_knows_only_those_before_it(part: str) -> None:
    """Whoever reads one looks in one direction; two that know each other are one that is too long."""
    assert looking_back((PACKAGE / "call" / f"{part}.py").read_text(encoding="utf-8"), part) == []


def test_a_part_that_looks_back_is_found() -> None:
    """Also this guard must bark."""
    assert looking_back("from voicegw.call.hearing import Hearing", "speaking") == ["hearing"]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("call/call.py", "from voicegw.server.session import Session"),
        ("call/call.py", "from ..carriers import native"),
        ("call/call.py", "def f() -> None:\n    import voicegw.providers.stt"),
        ("audio/pcm.py", "from voicegw.call.ear import Ear"),
        ("store/journal.py", "from voicegw.agents.personas import Persona"),
        ("embedded/app.py", "from voicegw.audio.pcm import FRAME_MS"),
        ("embedded/app.py", "from ..errors import ConfigError"),
        ("server/front.py", "from voicegw.embedded import app"),
        ("carriers/native.py", "from .. import server"),
        ("errors.py", "from . import config"),
    ],
)
def test_what_is_forbidden_is_found(file: str, source: str) -> None:
    """A guard that was never seen to bark guards nothing."""
    assert offences(source, PACKAGE / file)
