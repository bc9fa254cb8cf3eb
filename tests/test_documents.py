"""The documents: what they name is there. A command or a setting that is none costs its reader an hour."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from voicegw.cli import app
from voicegw.config import setting_fields, variable_name

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SETTINGS = list(setting_fields())
GROUPS = {name.partition(".")[0] for name in SETTINGS}
VARIABLES = {variable_name(name) for name in SETTINGS}
# Examples of mistakes and of the form of a name (docs/configuration.md); a column of the records.
NONE_OF_OURS = {"VOICEGW_TURN__PAUSE_MS", "VOICEGW_TURNS__PAUSE", "VOICEGW_GROUP__NAME", "turns.costs"}

documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def commands_in(text: str) -> Iterator[str]:
    """Every indented line that begins with voicegw, and every one between back-ticks, without comments."""
    for line in re.findall(r"^ {4,}voicegw (.*)$|`voicegw ([^`]*)`", text, re.MULTILINE):
        yield re.split(r"\s#|  ", line[0] or line[1])[0].strip()


def wrong_with(line: str) -> str:
    """What is wrong with the words behind `voicegw`, "" if nothing is."""
    command: Any = get_command(app)
    words = line.split()
    while words and not words[0].startswith("-") and (commands := getattr(command, "commands", {})):
        if words[0] not in commands:
            return f"no command {words[0]}"
        command, words = commands[words[0]], words[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
    return f"{line}: no option {', '.join(unknown)}" if unknown else ""


@documents
def test_every_command_is_one(path: Path) -> None:
    assert [wrong for line in commands_in(path.read_text("utf-8")) if (wrong := wrong_with(line))] == []


def test_a_wrong_command_would_be_found() -> None:
    text = "Run `voicegw bench turns --quickly` or\n\n    voicegw rehearsed --only x   # all\n"
    assert [wrong_with(line) for line in commands_in(text)] == [
        "bench turns --quickly: no option --quickly",
        "no command rehearsed",
    ]


@documents
def test_every_setting_is_one(path: Path) -> None:
    text = path.read_text("utf-8")
    variables = set(re.findall(r"\bVOICEGW_[A-Z]+__[A-Z0-9_]*[A-Z0-9]\b", text))
    assert variables - VARIABLES - NONE_OF_OURS == set()
    dotted = set(re.findall(r"(?:`|--set )([a-z_]+\.[a-z_]+)\b(?!\()", text))
    wrong = {name for name in dotted if name.partition(".")[0] in GROUPS and name not in SETTINGS}
    assert {name for name in wrong if not name.endswith((".py", ".md"))} - NONE_OF_OURS == set()


@documents
def test_every_link_and_file_leads_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}
    assert [link for link in links if link and not (path.parent / link).exists()] == []
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_-]+\.(?:py|md|toml|json|js|html))`", text))
    named |= set(re.findall(r"\b(docs/[a-z/-]+\.md)\b", text))
    places = (ROOT, ROOT / "voicegw", ROOT / "voicegw/web/static")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []
