"""docs/protocol.md and the code say the same."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from voicegw.carriers.native import MAX_AUDIO_BYTES, Native
from voicegw.carriers.native_events import CLIENT_TYPES, TYPE_NAMES, schema

DOCS = Path(__file__).parent.parent / "docs"
TEXT = (DOCS / "protocol.md").read_text(encoding="utf-8")
EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    (side, json.loads(body)) for side, body in re.findall(r"```json (client|server)\n(.*?)\n```", TEXT, re.S)
]


def names(side: str) -> list[str]:
    return [example["type"] for found, example in EXAMPLES if found == side]


def test_every_event_has_exactly_one_example() -> None:
    """A bridge author needs nothing else: a missing event would be found in production."""
    assert sorted(names("client")) == sorted(CLIENT_TYPES)
    assert sorted(names("server")) == sorted(TYPE_NAMES.values())


@pytest.mark.parametrize(("side", "example"), EXAMPLES, ids=lambda value: str(value)[:40])
def test_the_example_fits_the_schema_of_its_event(side: str, example: dict[str, Any]) -> None:
    """An example that does not work is worse than none."""
    whole = schema()
    kind = example["type"].title().replace("_", "") if side == "client" else example["type"]
    jsonschema.validate(example, {"$ref": f"#/$defs/{side}_{kind}", "$defs": whole["$defs"]})


@pytest.mark.parametrize("example", [e for s, e in EXAMPLES if s == "client"], ids=lambda e: str(e["type"]))
def test_the_gateway_understands_the_example(example: dict[str, Any]) -> None:
    """What the document shows is what the parser takes."""
    assert len(Native().parse(json.dumps(example))) == 1


def test_server_examples_have_all_fields_and_no_others() -> None:
    """Fields come in the document as they come on the wire."""
    for side, example in EXAMPLES:
        if side == "server":
            definition = schema()["$defs"][f"server_{example['type']}"]
            assert list(example) == list(definition["properties"])


def test_the_schema_file_is_the_one_the_code_makes() -> None:
    """Regenerate: python -m voicegw.carriers.native_events > docs/protocol.schema.json."""
    assert json.loads((DOCS / "protocol.schema.json").read_text(encoding="utf-8")) == schema()


def test_the_limits_in_the_document_are_the_code_s() -> None:
    """Numbers in prose go stale first."""
    assert f"{MAX_AUDIO_BYTES:,} bytes" in TEXT
    assert f"{Native.max_message_bytes:,} bytes" in TEXT
    assert f"silent for {Native.ping_s:.0f} s" in TEXT
