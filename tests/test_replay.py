"""Sample calls replayed on virtual time: what must come of each, and that mistakes in them are told."""

import json
from pathlib import Path

import pytest

from voicegw.errors import ConfigError
from voicegw.replay.batch import replay_one
from voicegw.replay.sample import find_samples, read_sample, schema
from voicegw.replay.virtual import Options

SAMPLES = Path(__file__).parent.parent / "samples"


def test_every_sample_is_as_expected() -> None:
    """What QA keeps as true of the gateway is true of this one."""
    paths = find_samples([SAMPLES])
    assert len(paths) >= 24
    failed = {}
    for path in paths:
        result = replay_one(path, Options()).result
        if not result.passed:
            failed[result.sample] = [str(check) for check in result.failed] or result.error
    assert failed == {}


@pytest.mark.parametrize(
    ("wrong", "line", "says"),
    [
        ("    end: 2.86", 9, "turns.0: a turn that is said needs start and end"),
        ("language: en", 5, "language: Input should be a valid string"),
        ("expect:\n  turns: 5", 41, "expect.turns"),
    ],
)
def test_a_mistake_in_a_sample_is_told_with_its_line(
    tmp_path: Path, wrong: str, line: int, says: str
) -> None:
    """Whoever writes samples by hand needs file, line, and what was expected."""
    text = (SAMPLES / "order-status.yaml").read_text(encoding="utf-8")
    assert wrong in text
    replaced = {
        "    end: 2.86": "",
        "language: en": "language: [en]",
        "expect:\n  turns: 5": "expect:\n  turns: many",
    }[wrong]
    path = tmp_path / "wrong.yaml"
    path.write_text(text.replace(wrong, replaced), encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        read_sample(path)
    assert f"{path}: line " in str(raised.value)
    assert says in str(raised.value)
    told = int(str(raised.value).split("line ")[1].split(":")[0])
    assert told == line


def test_the_schema_for_editors_is_that_of_the_loader() -> None:
    """An editor that accepts what the loader refuses helps nobody. Made anew by `json.dumps(schema())`."""
    kept = json.loads((SAMPLES / "sample.schema.json").read_text(encoding="utf-8"))
    assert kept == schema()


def test_every_sample_tells_where_it_comes_from() -> None:
    """A recording without origin and licence could not be given away."""
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    for path in find_samples([SAMPLES]):
        sample = read_sample(path)
        assert f"| {sample.name} |" in readme
        assert sample.file.origin
        assert sample.file.licence
