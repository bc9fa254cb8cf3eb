"""Where in a TOML file a value stands: `tomllib` forgets it, and a mistake without a line is hard to find."""

import re

_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r'^\s*((?:[\w-]+|"[^"]*"|\'[^\']*\')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|\'[^\']*\'))*)\s*=')


def line_of(text: str, place: tuple[int | str, ...]) -> int | None:
    """Return the line (from 1) of the value at `place`, as pydantic names it, else of what holds it.

    Knows tables, arrays of tables and keys on lines of their own; within a value that spans lines it gives
    the line where the value begins.
    """
    wanted = tuple(str(part) for part in place)
    best: tuple[int, int] | None = None  # (matched parts, line)
    table: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    inside = ""  # the quotes of a text that goes on
    for number, line in enumerate(text.splitlines(), start=1):
        if inside:
            inside = "" if inside in line else inside
            continue
        if found := _TABLE.match(line):
            name = _parts(found[2])
            if found[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                name = (*name, str(counts[name]))
            table = name
            path = table
        elif found := _KEY.match(line):
            path = (*table, *_parts(found[1]))
            rest = line[found.end() :]
            for quotes in ('"""', "'''"):
                if rest.count(quotes) == 1:
                    inside = quotes
        else:
            continue
        if path == wanted[: len(path)] and (best is None or len(path) > best[0]):
            best = (len(path), number)
    return best[1] if best else None


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in re.findall(r'"[^"]*"|\'[^\']*\'|[\w-]+', name))
