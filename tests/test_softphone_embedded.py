"""The softphone with all behind it real: embedded recognition, agent and voice, records, recordings."""

import asyncio
import contextlib
import io
import itertools
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
import soundfile
from browsers import Wire, chromium, page_on, serious, watch
from browsers import picture as picture_of
from gateways import serving
from PIL import Image
from playwright.async_api import Browser, FilePayload, Page, expect

from voicegw.cli.demo import demo_settings

pytest_plugins = ["embedded_server"]
STAGES = ("end_of_turn", "transcription", "first_token", "first_sentence", "speech")
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(system_program: Callable[[str], str]) -> AsyncIterator[Browser]:
    """A browser without a microphone: these callers type, show and press."""
    async with chromium(system_program("chromium"), None) as running:
        yield running


@contextlib.asynccontextmanager
async def demo(
    browser: Browser, folder: Path, base_url: str, persona: str, **options: str
) -> AsyncIterator[tuple[Page, Wire]]:
    """A call that has begun on the page of a gateway as `make demo` starts it."""
    settings = demo_settings(base_url, folder, {"server.port": "0", **options})
    async with serving(settings, keep=True) as server:
        wire = Wire(f"http://127.0.0.1:{server.port}")
        async with page_on(browser, wire) as page:
            await page.check(f'[name="persona"][value="{persona}"]')
            await page.select_option("#microphone", "none")
            await page.click("#call")
            await page.wait_for_selector('body[data-state="talking"] .turn.agent')
            yield page, wire


async def recognisers_ready(base_url: str) -> None:
    """Wait for the provider's recogniser, as `make demo` does."""
    health = base_url.removesuffix("/v1") + "/healthz"
    async with aiohttp.ClientSession() as http, asyncio.timeout(60):
        while (await (await http.get(health)).json())["recognition"]["ready"] < 1:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


async def test_a_sample_caller_needs_no_microphone(
    browser: Browser, tmp_path: Path, embedded_base_url: str
) -> None:
    """The first thing that many will press: a caller is heard, understood and answered, turn by turn."""
    await recognisers_ready(embedded_base_url)
    # The machine of a test may be busy: its recogniser has time.
    slow = {"server.port": "0", "limits.patience_s": "60", "stt.timeout_s": "60"}
    async with serving(demo_settings(embedded_base_url, tmp_path, slow), keep=True) as server:
        wire = Wire(f"http://127.0.0.1:{server.port}")
        async with page_on(browser, wire) as page:
            await page.click("#sample")
            await page.locator(".turn.caller:not(.partial) .said", has_text="order").first.wait_for()
            await page.locator("#happenings", has_text="turn 2 of 5").wait_for()
            await picture_of(page, "light-17-a-sample-caller")
            told = [
                e.get("kind", "question")
                for e in wire.heard
                if e["type"] == "speech_started" or e.get("status") == "final"
            ]
            # Greeting, question, answer: each waits for the other.
            assert [kind for kind in told if kind != "filler"][:3] == ["greeting", "question", "reply"]
            await page.click("#hang-up")
            await page.wait_for_selector('body[data-state="ended"]')


async def type_in(page: Page, text: str) -> None:
    await page.fill("#typed", text)
    await page.press("#typed", "Enter")


def picture(grey: int, kind: str = "PNG", size: tuple[int, int] = (1600, 1200)) -> bytes:
    """A grainy picture of one brightness, which is all that the embedded agent sees."""
    found = io.BytesIO()
    Image.blend(noise(*size), Image.new("RGB", size, (grey, grey, grey)), 0.8).save(found, kind, quality=95)
    return found.getvalue()


def noise(width: int, height: int) -> Image.Image:
    """A picture that no compression makes small."""
    return Image.frombytes("RGB", (width, height), random.Random(1).randbytes(3 * width * height))


async def show(page: Page, name: str, media_type: str, data: bytes) -> None:
    """Choose a photo."""
    if await page.locator("#photo-panel").is_hidden():
        await page.click("#photo-open")
    await page.set_input_files("#photo-file", {"name": name, "mimeType": media_type, "buffer": data})


@pytest.mark.parametrize(
    ("grey", "kind", "laptop"),
    [(20, "PNG", "Falcon 15"), (240, "WEBP", "Canvas 16")],
)
async def test_the_agent_speaks_about_the_photo(
    browser: Browser, tmp_path: Path, embedded_base_url: str, grey: int, kind: str, laptop: str
) -> None:
    """Two pictures, two answers, and both are heard: the agent has looked."""
    async with demo(browser, tmp_path, embedded_base_url, "laptop") as (page, wire):
        await show(page, f"p.{kind.lower()}", f"image/{kind.lower()}", picture(grey, kind))
        await page.wait_for_selector("#preview:not([hidden])")
        await page.fill("#photo-text", "Máy này là máy gì?")
        await page.click("#photo-send")
        await page.locator(".turn.agent .said", has_text=laptop).wait_for()
        await wire.until(lambda: any(laptop in e.get("text", "") for e in wire.heard))
        about = next(e["speech_id"] for e in wire.heard if laptop in e.get("text", ""))
        await page.wait_for_function("() => sounds(50, 0.02)")
        await wire.until(lambda: about in (e["speech_id"] for e in wire.events if e["type"] == "played"))
        # Sent in parts, and a voice would not have waited for them.
        parts = [at for at, kind in enumerate(wire.order) if kind == "image"]
        assert len(parts) > 1
        assert all("audio" in wire.order[a:b] for a, b in itertools.pairwise(parts))
        assert [e["last"] for e in wire.events if e["type"] == "image"] == [False] * (len(parts) - 1) + [True]
        await page.locator(".turn.caller .way").wait_for(state="hidden")


async def test_a_photo_that_is_none_is_told_and_the_call_goes_on(
    browser: Browser, tmp_path: Path, embedded_base_url: str
) -> None:
    """Each mistake has its own sentence, and none of them ends the call."""
    async with demo(browser, tmp_path, embedded_base_url, "laptop") as (page, wire):
        told = page.locator("#photo-problem")
        whole = picture(20, "JPEG")
        for name, media_type, data, says in (
            ("p.bmp", "image/bmp", picture(20, "BMP", (8, 8)), "no PNG, JPG, WEBP or GIF"),
            ("p.txt", "text/plain", b"hello", "no PNG, JPG, WEBP or GIF"),
            ("p.jpg", "image/jpeg", whole[: len(whole) // 3], "no photo that the browser can read"),
            ("p.gif", "image/gif", b"GIF89a and no more", "no photo that the browser can read"),
        ):
            await show(page, name, media_type, data)
            await told.filter(has_text=says).wait_for()
        huge = tmp_path / "huge.png"
        huge.write_bytes(bytes(20_000_001))
        await page.set_input_files(
            "#photo-file", huge
        )  # by its path: 20 MB are slow over the test's own line
        await told.filter(has_text="larger than 20 MB").wait_for()
        assert wire.count("image") == 0
        # One that is damaged on its way.
        wire.spoil = lambda event: {**event, "data": "AAAA"} if event["type"] == "image" else event
        await show(page, "p.png", "image/png", picture(20))
        await page.click("#photo-send")
        await page.locator(".turn.caller.refused .warn", has_text="PNG, JPG, WEBP or GIF").wait_for()
        wire.spoil = lambda event: event
        await show(page, "p.gif", "image/gif", picture(20, "GIF"))
        await page.click("#photo-send")
        await page.locator(".turn.agent .said", has_text="Falcon 15").wait_for()


async def test_a_large_photo_outlives_a_lost_connection(
    browser: Browser, tmp_path: Path, embedded_base_url: str
) -> None:
    """Half a photo is no photo: it is sent again, whole, over the new connection."""
    async with demo(browser, tmp_path, embedded_base_url, "laptop") as (page, wire):
        whole = picture(0, "JPEG", (4000, 3000))
        assert len(whole) > 4_000_000
        await show(page, "p.jpg", "image/jpeg", whole)
        await page.wait_for_selector("#preview:not([hidden])")
        await page.click("#photo-send")
        await wire.until(lambda: wire.count("image") > 5)
        await wire.cut()
        await page.wait_for_selector('body[data-state="reconnecting"]')
        assert not any(e["last"] for e in wire.events if e["type"] == "image")
        before = wire.count("image")
        wire.down = False
        await page.locator(".turn.agent .said", has_text="Falcon 15").wait_for()
        again = [e for e in wire.events if e["type"] == "image"][before:]
        assert len(again) > before
        assert {e["image_id"] for e in again} == {"2"}


async def test_the_agent_asks_for_a_photo_and_gets_it_by_its_link(
    browser: Browser, tmp_path: Path, embedded_base_url: str
) -> None:
    """Who calls by the page has a button; the link works once, for instance on the telephone beside it."""
    async with demo(browser, tmp_path, embedded_base_url, "laptop") as (page, _):
        await type_in(page, "Em cho anh gửi ảnh laptop nhé")
        await page.locator(".wanted button").click()
        assert await page.locator("#photo-panel").is_visible()
        async with page.context.expect_page() as opening:
            await page.locator(".wanted a").click()
        other = await opening.value
        wrong: list[str] = []
        watch(other, wrong)
        await other.wait_for_selector("#choose:not([hidden])")
        assert await serious(other) == []
        await picture_of(other, "light-upload-1")
        bad: FilePayload = {"name": "p.png", "mimeType": "image/png", "buffer": b"no photo"}
        await other.set_input_files("#photo-file", bad)
        await other.locator("#photo-problem", has_text="no photo").wait_for()
        good: FilePayload = {"name": "p.png", "mimeType": "image/png", "buffer": picture(240)}
        await other.set_input_files("#photo-file", good)
        await other.fill("#photo-text", "Máy này giá bao nhiêu?")
        await picture_of(other, "light-upload-2")
        await other.click("#photo-send")
        await other.locator("h1", has_text="has your photo").wait_for()
        await picture_of(other, "light-upload-3")
        await page.locator(".turn.agent .said", has_text="Canvas 16").wait_for()
        await other.reload()
        await other.locator("h1", has_text="used up").wait_for()
        assert not wrong


async def answered(page: Page, words: str) -> None:
    """Wait until the agent has been heard to its end, and said these words."""
    await page.locator(".turn.agent:last-child .said", has_text=words).wait_for()
    await page.wait_for_selector('.stage[data-floor="none"]')


async def test_a_whole_call_is_shown_as_it_happens_and_kept(
    browser: Browser, tmp_path: Path, embedded_base_url: str
) -> None:
    """Nothing is told to the page by the test: tool, waits, words, afterwards the gateway's recording."""
    prices = tmp_path / "prices.toml"
    prices.write_text('[chat]\n"embedded-chat" = 2.50\n[speech]\n"embedded-tts" = 15.00\n', encoding="utf-8")
    options = {"costs.prices": str(prices)}
    async with demo(browser, tmp_path, embedded_base_url, "support", **options) as (page, wire):
        await wire.until(lambda: any(e["type"] == "speech_stopped" for e in wire.heard))
        await type_in(page, "hi, my parcel has not shown up")
        await answered(page, "order number")
        await type_in(page, "it's DH one two three four five six")
        await answered(page, "1 2 3 4 5 6")
        await type_in(page, "yep, that's correct")
        await page.locator('#happenings [data-tool="get_order_status"][data-status="done"]').wait_for()
        await answered(page, "out for delivery")
        await picture_of(page, "light-16-a-real-call")
        # The waterfall of the newest answer is the gateway's own, and its parts are the whole.
        told = [e for e in wire.heard if e["type"] == "latency"][-1]
        shown = await page.locator("#last-answer .stages b").all_text_contents()
        stages = [int(text.split()[0]) for text in shown]
        assert stages[:5] == [told[f"{name}_ms"] for name in STAGES]
        assert sum(told[f"{name}_ms"] for name in STAGES) == told["total_ms"]
        # What the gateway says that it has cost, as far as it knows.
        await wire.until(lambda: any(e["type"] == "cost" for e in wire.heard))
        cost = [e["usd"] for e in wire.heard if e["type"] == "cost"][-1]
        assert cost > 0
        await page.locator("#cost", has_text=f"{cost:.4f}").wait_for()
        # Words become spoken as they sound, and none is left behind.
        assert await page.locator(".word:not(.spoken)").count() == 0
        # An interruption: what was not heard is shown so.
        so_far = len(wire.heard)
        await type_in(page, "hi, my parcel has not shown up")
        await wire.until(
            lambda: any(e["type"] == "speech_started" and e["kind"] == "reply" for e in wire.heard[so_far:])
        )
        await page.locator(".turn.agent:last-child .word.spoken").nth(1).wait_for()
        await type_in(page, "stop")
        await wire.until(lambda: any(e["type"] == "speech_stopped" and e["cut"] for e in wire.heard[so_far:]))
        heard = next(e["heard"] for e in wire.heard[so_far:] if e["type"] == "speech_stopped" and e["cut"])
        cut = page.locator(".turn.agent", has=page.locator(".tag.cut")).last
        await expect(cut.locator(".word.spoken")).to_have_text(heard.split())
        assert await cut.locator(".word.unheard").count() > 0
        await page.click("#hang-up")
        await page.wait_for_selector('body[data-state="ended"]')
        # The gateway's own judgement of this call, in words.
        (verdict,) = (e for e in wire.heard if e["type"] == "verdict")
        grades = {"good": "Good", "fair": "Fair", "poor": "Poor"}
        assert await page.text_content("#grade") == grades[verdict["grade"]]
        if verdict["reasons"]:
            assert await page.locator("#reasons li").all_text_contents() == verdict["reasons"]
        async with page.expect_download() as saving:
            await page.click("#kept")
        kept, rate = soundfile.read(str(await (await saving.value).path()))
        async with page.expect_download() as saving:
            await page.click("#save")
        ours, our_rate = soundfile.read(str(await (await saving.value).path()))
        # Both have two sides, the caller typed, and the agent sounds alike in both.
        assert rate == our_rate == 16000
        spoken = [np.sqrt(np.mean(side**2)) for side in (kept[:, 0], ours[:, 0], kept[:, 1], ours[:, 1])]
        assert spoken[0] == spoken[1] == 0
        assert spoken[2] == pytest.approx(spoken[3], rel=0.2)
        assert spoken[2] > 0.01
        assert len(kept) == pytest.approx(len(ours), rel=0.1)
        # Heard again, on the page: what leaves it is the agent's voice.
        await page.click("#play")
        await page.wait_for_function("() => loudest() > 0.05")
        await page.click("#play")
        await page.wait_for_function("() => loudest() < 1e-4")
