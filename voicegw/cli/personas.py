"""`voicegw personas`: which agents there are, and whether files of your own are right."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from voicegw.agents.personas import load_personas
from voicegw.config import Settings


def list_personas(settings: Settings, console: Console | None = None, *, as_json: bool = False) -> None:
    """Print the personas that a call may name. Raises ConfigError for a wrong file."""
    if as_json:
        for name, persona in sorted(load_personas(settings).items()):
            told = {
                "persona": name,
                "default": name == settings.persona.default,
                "language": persona.call.language,
                "voice": persona.voice,
                "model": persona.model,
                "tools": list(persona.tools),
                "called": list(persona.called),
                "greeting": persona.call.phrases.greeting,
            }
            print(json.dumps(told, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("persona", "language", "voice", "greeting"):
        table.add_column(heading, header_style="bold", overflow="fold")
    for name, persona in sorted(load_personas(settings).items()):
        label = Text(name).append(" (default)" if name == settings.persona.default else "", style="dim")
        table.add_row(label, persona.call.language, persona.voice, persona.call.phrases.greeting)
    (console or Console(highlight=False)).print(table)


def validate_personas(settings: Settings, folders: list[Path], console: Console | None = None) -> None:
    """Read the personas of `folders` too, and say that all is well. Raises ConfigError for a fault."""
    all_folders = (*settings.persona.folders, *map(str, folders))
    persona = settings.persona.model_copy(update={"folders": all_folders})
    personas = load_personas(settings.model_copy(update={"persona": persona}))
    names = ", ".join(sorted(personas))
    (console or Console(highlight=False)).print(
        Text(f"{len(personas)} personas are well: {names}"), soft_wrap=True
    )
