"""The examples of docs/personas.md and docs/tools.md run as they stand there."""

import re
from pathlib import Path

import pytest
from gateways import settings_for

from voicegw.agents.personas import load_personas
from voicegw.agents.tools import ToolContext

DOCS = Path(__file__).parent.parent / "docs"


def blocks(document: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / document).read_text(encoding="utf-8"), re.DOTALL)


def test_the_whole_persona_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "hotel.toml").write_text(blocks("personas.md", "toml")[0], encoding="utf-8")
    hotel = load_personas(settings_for(tmp_path, persona__folders=str(tmp_path)))["hotel"]
    assert [slot.name for slot in hotel.call.slots] == ["room", "card_number"]
    assert hotel.call.limits.history_exchanges == 6
    assert list(hotel.tools) == ["transfer_to_person", "request_callback", "ask_for_photo", "end_call"]


async def test_the_tools_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTEL_KEY", "x")
    (tmp_path / "rooms.toml").write_text(blocks("tools.md", "toml")[0], encoding="utf-8")
    (tmp_path / "hotel_tools.py").write_text(blocks("tools.md", "python")[0], encoding="utf-8")
    rooms = load_personas(settings_for(tmp_path, persona__folders=str(tmp_path)))["rooms"]
    context = ToolContext("call", "abcdefgh", "+841", "en", tmp_path)
    free, book = rooms.tools["free_rooms"], rooms.tools["book_room"]
    assert (await free.run('{"day": "Friday"}', context)).content == '{"rooms": 3}'
    assert (await free.run('{"day": "x", "persons": 9}', context)).status == "bad_arguments"
    assert (await book.run('{"day": "Friday"}', context)).content == '{"booking": "abcdef"}'
    rules = {rule.name: rule for rule in rooms.call.tools}
    assert rules["book_room"].background
    assert rules["book_room"].confirm == "A room for {day}, right?"
    assert rules["room_service"].idempotent
