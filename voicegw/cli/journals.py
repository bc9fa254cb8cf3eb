"""`voicegw replay CALL.jsonl`: a production call's events fed to the rules again, for the same commands."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from voicegw.errors import ConfigError
from voicegw.replay.journal import compared, digest, lines


def replay_journals(paths: Sequence[Path], *, as_json: bool) -> int:
    """Replay journals and return the exit code: 0 if each gives what is kept beside it.

    Beside `CALL.jsonl` its commands are kept as `CALL.commands.txt`, or their digests in it; where there are
    none they are written, so that the next version of the rules can be held against this one. Raises
    ConfigError.
    """
    console = Console(highlight=False)
    differ = 0
    for path in paths:
        kept = path.with_suffix(".commands.txt")
        outcome = compared(path, kept)
        steps, found = outcome.steps, outcome.found
        if not outcome.against:
            _write(kept, lines(steps))
        differ += found is not None
        if as_json:
            told = {
                "journal": path.name,
                "events": len(steps),
                "digest": digest(steps),
                "same": found is None,
            }
            sys.stdout.write(json.dumps(told) + "\n")
            continue
        state = "the same commands" if outcome.against else "its commands are kept now"
        label = Text("FAIL ", "bold red") if found else Text("ok   ", "green")
        console.print(
            label.append(f"{path.name}: {len(steps)} events, ", "default").append(
                "other commands" if found else state, "default"
            )
        )
        if found is not None:
            console.print(Text(str(found)), soft_wrap=True)
    return 1 if differ else 0


def _write(path: Path, text: Iterable[str]) -> None:
    try:
        path.write_text("\n".join([*text, ""]), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
