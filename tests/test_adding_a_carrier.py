"""The documents about carriers: their table is the code's, and their example works."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from gateways import running_gateway
from websockets.asyncio.client import connect

from voicegw.audio.format import AudioFormat
from voicegw.audio.level import rms
from voicegw.audio.pcm import SILENT_FRAME
from voicegw.config import CARRIER_NAMES
from voicegw.server import routes
from voicegw.server.features import features_table

DOCS = Path(__file__).parent.parent / "docs"


def test_the_table_of_features_is_made_from_the_code() -> None:
    """A table written by hand promises what the code lost a month ago."""
    document = (DOCS / "carriers" / "README.md").read_text(encoding="utf-8")
    found = document.partition("<!-- features -->\n")[2].partition("<!-- /features -->")[0]
    assert found == features_table()


@pytest.mark.parametrize("name", CARRIER_NAMES)
def test_every_carrier_has_a_page_that_says_what_one_needs(name: str) -> None:
    """What to set on both sides, what is not there, and whether it has met a real peer."""
    page = (DOCS / "carriers" / f"{name}.md").read_text(encoding="utf-8")
    for part in ("## On our side", "## Not supported", "**Met a real peer:**", f"ENABLED={name}"):
        assert part in page
    settings = set(re.findall(r"VOICEGW_[A-Z_]+", page))
    known = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert [setting for setting in settings if f"`{setting}`" not in known] == []


def example() -> type[Any]:
    """The class in the document."""
    document = (DOCS / "adding-a-carrier.md").read_text(encoding="utf-8")
    room: dict[str, Any] = {}
    exec(document.partition("```python\n")[2].partition("```")[0], room)
    found: type[Any] = room["Hexaphone"]
    return found


async def test_the_example_of_the_document_holds_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who follows the page must arrive."""
    carrier = example()
    route = routes.Route("native", "/hexaphone", lambda handshake, settings: carrier())
    monkeypatch.setitem(routes.ROUTES, "/hexaphone", route)
    form = AudioFormat("ulaw", 8000)
    sender, reader = form.encoder(), form.decoder()
    async with running_gateway(tmp_path) as running:
        url = f"ws://127.0.0.1:{running.server.port}/hexaphone"
        async with connect(url, compression=None) as connection:
            await connection.send(json.dumps({"say": "hello", "call": {"from": "+15550199"}}))
            sound = {"say": "sound", "hex": sender.push(SILENT_FRAME).hex()}
            await connection.send(json.dumps(sound))
            loudest = 0
            while loudest < 1_000:
                message = json.loads(await connection.recv())
                loudest = max(loudest, rms(reader.push(bytes.fromhex(message["hex"]))))
            (session,) = running.gateway.sessions
            assert session.start.caller == "+15550199"
            await connection.send('{"say":"key","key":"5"}')
            while json.loads(await connection.recv())["say"] != "silence":
                pass
            await connection.send('{"say":"bye"}')
            await running.gateway.drain()
