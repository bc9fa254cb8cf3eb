"""Photos of callers: by the protocol and by a one-time link; a bad one is told, and the call goes on."""

import asyncio
import base64
import io
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateways import Caller, Running, caller, running_gateway
from PIL import Image

from voicegw.agents.personas import BUILT_IN
from voicegw.rehearsal.script import Script, ScriptedReply, ToolCall

SCRIPT = Script(llm=("A laptop.",), ms_per_char=12)


def picture(kind: str = "PNG", size: tuple[int, int] = (1600, 900), colour: str = "navy") -> bytes:
    found = io.BytesIO()
    Image.new("RGB", size, colour).save(found, kind)
    return found.getvalue()


def bomb() -> bytes:
    """120 megapixels in few bytes."""
    found = io.BytesIO()
    Image.new("1", (12_000, 10_000)).save(found, "PNG")
    return found.getvalue()


async def show(someone: Caller, data: bytes, text: str = "") -> None:
    """Send a photo in parts, as the protocol advises."""
    parts = [data[at : at + 24_000] for at in range(0, len(data), 24_000)]
    for number, part in enumerate(parts, start=1):
        last = number == len(parts)
        encoded = base64.b64encode(part).decode()
        fields = {"image_id": "1", "data": encoded, "last": last, "text": text if last else ""}
        await someone.send("image", **fields)


def shown_to_model(running: Running) -> dict[str, Any]:
    """The picture of the newest request to the model."""
    content = running.provider.received("llm")[-1].fields["messages"][-1]["content"]
    (part,) = [part for part in content if part["type"] == "image_url"]
    found: dict[str, Any] = part["image_url"]
    return found


async def begun(someone: Caller) -> None:
    await someone.send("start", persona="support")
    await someone.event("ready")
    await someone.event("speech_stopped")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_a_photo_is_answered_in_speech(tmp_path: Path, kind: str) -> None:
    """The model gets it small, as a JPEG, with low detail: a quarter of the tokens."""
    async with running_gateway(tmp_path, SCRIPT) as running, caller(running.url) as someone:
        await begun(someone)
        await show(someone, picture(kind), "Which laptop is this?")
        assert (await someone.event("reply_text"))["text"] == "A laptop."
        shown = shown_to_model(running)
        assert shown["detail"] == "low"
        with Image.open(io.BytesIO(base64.b64decode(shown["url"].partition(",")[2]))) as image:
            assert (image.format, image.size) == ("JPEG", (512, 288))
    left = await asyncio.to_thread(lambda: list(tmp_path.rglob("*.jpg")))
    assert not left, "photos go with their call"


async def test_text_in_a_photo_is_looked_at_closely_and_turned_upright(tmp_path: Path) -> None:
    """A receipt at 512 px is no receipt; telephones store photos lying, with a note how to turn them."""
    found = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (1600, 1200)).save(found, "JPEG", exif=exif)
    async with running_gateway(tmp_path, SCRIPT) as running, caller(running.url) as someone:
        await begun(someone)
        await show(someone, found.getvalue(), "Anh đọc giúp em hóa đơn này")
        await someone.event("reply_text")
        shown = shown_to_model(running)
        assert shown["detail"] == "high"
        with Image.open(io.BytesIO(base64.b64decode(shown["url"].partition(",")[2]))) as image:
            assert image.size == (768, 1024)


@pytest.mark.parametrize(
    ("detail", "text", "sent", "side"),
    [
        ("auto", "What is this?", "auto", 1365),  # the model chooses, and must have enough to choose from
        ("high", "What is this?", "high", 1365),
        ("low", "I already bought this", "low", 512),  # "already" asks for no reading
        ("low", "Mã lỗi này là gì?", "high", 1365),
    ],
)
async def test_how_closely_the_model_looks_is_the_persona_s_choice(
    tmp_path: Path, detail: str, text: str, sent: str, side: int
) -> None:
    """Tokens are paid for: low is enough to tell a laptop, and too little to read its label."""
    folder = tmp_path / "personas"
    folder.mkdir()
    shipped = (BUILT_IN / "support.toml").read_text(encoding="utf-8")
    (folder / "looks.toml").write_text(
        shipped.replace('name = "support"', 'name = "looks"', 1) + f'\n[photos]\ndetail = "{detail}"\n',
        encoding="utf-8",
    )
    async with (
        running_gateway(tmp_path, SCRIPT, persona__folders=str(folder), persona__default="looks") as running,
        caller(running.url) as someone,
    ):
        await someone.send("start")
        await someone.event("speech_stopped")
        heard = len(someone.audio)
        await show(someone, picture(), text)
        assert (await someone.event("reply_text"))["text"] == "A laptop."
        await someone.event("speech_stopped")
        assert len(someone.audio) > heard, "the answer is spoken"
        shown = shown_to_model(running)
        assert shown["detail"] == sent
        with Image.open(io.BytesIO(base64.b64decode(shown["url"].partition(",")[2]))) as image:
            assert max(image.size) == side
    asked = running.provider.received("llm")[-1].fields["messages"][-1]["content"]
    assert asked[0] == {"type": "text", "text": text}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"no photo at all", "not_a_photo"),
        (picture()[:300], "damaged_photo"),
        (bomb(), "photo_too_large"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_a_photo"),
        (bytes(21_000_000), "photo_too_large"),
    ],
    ids=["wrong type", "damaged", "bomb", "svg", "21 MB"],
)
async def test_a_bad_photo_is_told_and_the_call_goes_on(tmp_path: Path, data: bytes, code: str) -> None:
    async with running_gateway(tmp_path, SCRIPT) as running, caller(running.url) as someone:
        await begun(someone)
        await show(someone, data)
        assert (await someone.event("error"))["code"] == code
        await someone.send("text", text="Hello?")
        assert (await someone.event("reply_text"))["text"] == "A laptop."


def asks_for_photo(messages: list[dict[str, Any]]) -> ScriptedReply:
    if messages[-1]["role"] == "tool" or isinstance(messages[-1]["content"], list):
        return ScriptedReply("Thank you.")
    return ScriptedReply("", (ToolCall("ask_for_photo", "{}"),))


async def test_a_link_takes_one_photo(tmp_path: Path) -> None:
    """The agent gives it out; a bad photo may be sent again, a second good one not."""
    script = Script(llm=asks_for_photo, ms_per_char=12)
    async with (
        running_gateway(tmp_path, script) as running,
        caller(running.url) as someone,
        aiohttp.ClientSession() as browser,
    ):
        await begun(someone)
        await someone.send("text", text="My screen is broken")
        link = running.http + (await someone.event("photo_wanted"))["url"]
        await someone.event("speech_stopped")
        async with browser.get(link) as page:
            assert page.status == 200
        async with browser.post(link, data=b"nonsense") as refused:
            assert (refused.status, (await refused.json())["code"]) == (415, "not_a_photo")
        async with browser.post(link, data=io.BytesIO(bytes(21_000_000))) as refused:
            assert refused.status == 413
        async with browser.post(link, data=picture()) as taken:
            assert taken.status == 200
        await someone.event("reply_text")
        assert shown_to_model(running)["url"].startswith("data:image/jpeg;base64,")
        async with browser.post(link, data=picture()) as refused:
            assert refused.status == 404


async def test_old_photos_leave_the_history(tmp_path: Path) -> None:
    """Each costs tokens in every request: the newest two are shown, older ones mentioned."""
    async with running_gateway(tmp_path, SCRIPT) as running, caller(running.url) as someone:
        await begun(someone)
        for _ in range(3):
            await show(someone, picture(), "and this?")
            await someone.event("speech_stopped")
        sent = json.dumps(running.provider.received("llm")[-1].fields["messages"])
        assert sent.count('image_url": {') == 2
        assert sent.count("a photo that was shown earlier") == 1
