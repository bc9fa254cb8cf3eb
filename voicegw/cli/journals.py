"""`voicegw replay CALL.jsonl`: a production call's events fed to the rules again, for the same commands."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from voicegw.errors import ConfigError
from voicegw.replay.journal import digest, first_difference, lines, replay


def replay_journals(paths: Sequence[Path], *, as_json: bool) -> int:
    """Replay journals and return the exit code: 0 if each gives what is kept beside it.

    Beside `CALL.jsonl` its commands are kept as `CALL.commands.txt`; where there are none they are written,
    so that the next version of the rules can be held against this one. Raises ConfigError.
    """
    console = Console(highlight=False)
    differ = 0
    for path in paths:
        try:
            steps = list(replay(path))
            kept, now = path.with_suffix(".commands.txt"), list(lines(steps))
            known = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else None
            if known is None:
                kept.write_text("\n".join(now) + "\n", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise ConfigError(f"{error.filename}: {error.strerror}") from error
        found = None if known is None else first_difference(known, now)
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
        state = "its commands are kept now" if known is None else "the same commands"
        label = Text("FAIL ", "bold red") if found else Text("ok   ", "green")
        console.print(
            label.append(f"{path.name}: {len(steps)} events, ", "default").append(
                "other commands" if found else state, "default"
            )
        )
        if found is not None:
            console.print(Text(str(found)), soft_wrap=True)
    return 1 if differ else 0
