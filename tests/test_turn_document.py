"""docs/turn-taking.md says what the code does, and what was measured."""

import json
import re

from turn_table import BEGIN, DOCUMENT, END, FIGURES, tables

from voicegw.config import TurnSettings


def test_the_tables_are_those_of_the_runs() -> None:
    """A figure that was typed is a figure that nobody measured."""
    found = json.loads(FIGURES.read_text(encoding="utf-8"))
    told = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()
    assert told == tables(found["runs"])


def test_the_pauses_of_the_document_are_the_defaults() -> None:
    """Whoever tunes begins with this page."""
    told = re.findall(r"`turns\.(\w+)` \((\d+)\)", DOCUMENT.read_text(encoding="utf-8"))
    assert len(told) >= 6
    settings = TurnSettings()
    assert {name: int(value) for name, value in told} == {name: getattr(settings, name) for name, _ in told}


def test_the_default_is_a_point_of_the_curve_where_waiting_costs_little() -> None:
    """Shorter pauses cut more turns off for 100 ms at most; behind longer ones callers wait."""
    curve = json.loads(FIGURES.read_text(encoding="utf-8"))["curve"]
    own = next(point for point in curve if point["end_ms"] == TurnSettings().end_ms)
    for point in curve:
        if point["end_ms"] < own["end_ms"]:
            assert point["cut"] >= own["cut"]
            assert point["p50"] >= own["p50"] - 100
        elif point["end_ms"] > own["end_ms"] + 100:
            assert point["p50"] > own["p50"] + 50
