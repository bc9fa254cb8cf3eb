"""`voicegw calls`, `db`, `token` and `forget`, as an operator types them."""

import csv
import io
import json
from pathlib import Path

import jwt
import pytest
from test_records import record
from typer.testing import CliRunner

from voicegw.cli import app
from voicegw.config import StoreSettings
from voicegw.store.database import Database, database_url, newest_revision
from voicegw.store.records import RungRecord, ToolRecord

SECRET = "a-secret-for-tests-which-is-long-enough"


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A data folder with three calls."""
    database = Database(database_url(StoreSettings(data_dir=str(tmp_path))))
    await database.check()
    more = {
        "tools": [
            ToolRecord(1, "t1", "get_order_status", '{"order_id": "DH123456"}', "done", "{}", 900, 120)
        ],
        "rungs": [RungRecord(1, 700, "filler", "Dạ…", "slow")],
        "recording": "x.flac",
    }
    await database.add(
        [
            record(1, **more),
            record(2, caller="=1+1", ended_by="killed"),
            record(3, started_at="2020-01-01T00:00:00.000+00:00", persona="support", cost_usd=0.0),
        ]
    )
    await database.close()
    return tmp_path


def typed(data: Path, *arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, [*arguments, "--set", f"store.data_dir={data}"], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.output


def test_calls_are_listed_newest_first_and_by_filter(data: Path) -> None:
    lines = typed(data, "calls", "list").splitlines()
    assert len(lines) == 4
    assert lines[-1].startswith(f"{3:016x}")
    assert len(typed(data, "calls", "list", "--persona", "support").splitlines()) == 2
    assert len(typed(data, "calls", "list", "--ended-by", "killed").splitlines()) == 2
    assert len(typed(data, "calls", "list", "--since", "2026-01-01").splitlines()) == 3
    assert len(typed(data, "calls", "list", "--limit", "1").splitlines()) == 2
    assert typed(data, "calls", "list", "--caller", "nobody").strip() == "no calls"


def test_an_export_has_everything_and_no_formula(data: Path) -> None:
    """CSV goes into spreadsheets: a caller who calls himself =1+1 computes nothing there."""
    rows = list(csv.DictReader(io.StringIO(typed(data, "calls", "list", "--export", "csv"))))
    assert [row["caller"] for row in rows] == ["'+84901234567", "'=1+1", "'+84901234567"]
    assert json.loads(rows[0]["turns"])[0]["said"] == "đơn của em đâu?"
    lines = [json.loads(line) for line in typed(data, "calls", "list", "--export", "jsonl").splitlines()]
    assert [line["caller"] for line in lines] == ["+84901234567", "=1+1", "+84901234567"]
    assert lines[0]["tools"][0]["name"] == "get_order_status"
    assert lines[2]["started_at"] == "2020-01-01T00:00:00+00:00"


def test_a_call_is_shown_whole(data: Path) -> None:
    shown = typed(data, "calls", "show", f"{1:016x}")
    for word in ("đơn của em đâu?", "Dạ em kiểm tra ngay.", "get_order_status", "filler", "800 ms", "x.flac"):
        assert word in shown
    assert json.loads(typed(data, "calls", "show", f"{1:016x}", "--json"))["turns"][0]["gap_ms"] == 800


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("calls", "show", "ffff"), "no call begins with ffff"),
        (("calls", "show", "0000"), "several calls begin with 0000"),
        (("calls", "list", "--since", "yesterday"), "expected 2026-11-25"),
        (("calls", "list", "--export", "xml"), "expected csv or jsonl"),
        (("token", "x"), "door.secret is not set"),
    ],
)
def test_a_mistake_is_told_in_words(data: Path, arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, [*arguments, "--set", f"store.data_dir={data}"])
    assert message in str(result.exception)


def test_a_caller_is_forgotten_when_that_is_confirmed(data: Path) -> None:
    result = CliRunner().invoke(
        app, ["forget", "+84901234567", "--set", f"store.data_dir={data}"], input="n\n"
    )
    assert result.exit_code == 1
    assert json.loads(typed(data, "forget", "+84901234567", "--yes", "--json")) == {
        "removed": [f"{1:016x}", f"{3:016x}"]
    }
    assert typed(data, "forget", "+84901234567").strip() == "0 calls removed"
    assert len(typed(data, "calls", "list").splitlines()) == 2


def test_the_database_is_upgraded_and_described(tmp_path: Path) -> None:
    typed(tmp_path, "db", "status", exit_code=1)
    assert str(newest_revision()) in typed(tmp_path, "db", "upgrade")
    assert json.loads(typed(tmp_path, "db", "status", "--json"))["revision"] == newest_revision()


def test_a_token_is_issued(tmp_path: Path) -> None:
    said = typed(
        tmp_path, "token", "shop", "--scope", "call", "--lifetime", "12h", "--json", "--set",
        f"door.secret={SECRET}",
    )  # fmt: skip
    claims = jwt.decode(json.loads(said)["token"], SECRET, ["HS256"], audience="voicegw")
    assert (claims["sub"], claims["scope"], claims["exp"] - claims["iat"]) == ("shop", "call", 12 * 3600)
    once = typed(tmp_path, "token", "--once", "--set", f"door.secret={SECRET}").strip()
    claims = jwt.decode(once, SECRET, ["HS256"], audience="voicegw")
    assert claims["once"] is True
    assert claims["exp"] - claims["iat"] == 120


def test_new_secrets_are_long_and_never_the_same(tmp_path: Path) -> None:
    one, two = (typed(tmp_path, "token", "--new-secret").strip() for _ in range(2))
    assert len(one) >= 32
    assert one != two
