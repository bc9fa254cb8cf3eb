"""What the softphone looks like and says, in every state that a person may find it in.

Writes pictures of all of them to `build/softphone/` (SOFTPHONE_PICTURES names another folder), and lets
axe-core look for what keeps people from using it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from browsers import chromium, microphone_file, picture, quick_script, serious, softphone
from playwright.async_api import Browser, Page

from voicegw.config import DoorSettings
from voicegw.rehearsal.script import Fault
from voicegw.server.tokens import issue

pytestmark = pytest.mark.asyncio(loop_scope="module")
# The looks in which axe-core looks at each state: both colour schemes, both sizes, both languages.
CHECKED = ("light", "dark", "phone-vietnamese-dark")
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
ANSWER = "Of course. May I have your order number, please? You find it in the message we sent you."
TRẢ_LỜI = "Dạ, anh chị đọc giúp em mã đơn hàng ạ. Mã nằm trong tin nhắn bên em đã gửi."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(
    tmp_path_factory: pytest.TempPathFactory, system_program: Callable[[str], str]
) -> AsyncIterator[Browser]:
    """A browser with a microphone."""
    folder = tmp_path_factory.mktemp("microphone")
    async with chromium(system_program("chromium"), microphone_file(folder)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deaf_browser(system_program: Callable[[str], str]) -> AsyncIterator[Browser]:
    """A browser without a microphone, and without anybody who allows one."""
    async with chromium(system_program("chromium"), None) as running:
        yield running


def natural_script(answer: str) -> Any:
    """Speech as long as such words take."""
    return quick_script(
        (answer,), speech_ms=lambda text: 60.0 * len(text), first_token_ms=280, first_audio_ms=140
    )


@pytest.mark.parametrize(
    ("name", "options", "persona", "typed", "answer"),
    [
        ("light", {}, "support", "Where is my order?", ANSWER),
        ("dark", {"color_scheme": "dark"}, "support", "Where is my order?", ANSWER),
        ("phone", PHONE, "support", "Where is my order?", ANSWER),
        ("vietnamese", {"locale": "vi-VN"}, "giao-hang", "Đơn hàng của tôi đâu rồi?", TRẢ_LỜI),
        (
            "phone-vietnamese-dark",
            {**PHONE, "locale": "vi-VN", "color_scheme": "dark"},
            "giao-hang",
            "Đơn hàng của tôi đâu rồi?",
            TRẢ_LỜI,
        ),
    ],
)
async def test_every_state_is_readable_whole_and_usable(
    browser: Browser, tmp_path: Path, name: str, options: Any, persona: str, typed: str, answer: str
) -> None:
    """Idle, ringing, talking, interrupted, keypad, photo, held, lost, ended, refused: seen and checked."""
    async with softphone(browser, tmp_path, natural_script(answer), **dict(options)) as (page, wire):

        async def seen(state: str) -> None:
            await picture(page, f"{name}-{state}")
            if name in CHECKED:
                assert await serious(page) == [], state
            width = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert width[0] <= width[1], f"{state}: the page is wider than the screen"

        await page.check(f'[name="persona"][value="{persona}"]')
        assert await page.get_attribute("html", "lang") == ("vi" if "vietnamese" in name else "en")
        await seen("01-idle")
        held = asyncio.Event()
        await page.route("**/playback-worklet.js", lambda route: _later(route, held))
        await page.click("#call")
        await page.wait_for_selector('body[data-state="ringing"]')
        await seen("02-ringing")
        held.set()
        await page.unroute_all()
        await page.wait_for_selector(".turn.agent .spoken")
        await page.fill("#typed", typed)
        await page.press("#typed", "Enter")
        await page.locator(".turn.agent .wait").wait_for()
        await wire.tell(type="tool", name="get_order_status", status="running")
        await wire.tell(type="cost", usd=0.0042)
        await page.locator(".turn.agent:last-child .spoken").nth(2).wait_for()
        await seen("03-talking")
        await page.locator(".word.unheard").first.wait_for()  # typing has cut the greeting
        await seen("04-interrupted")
        await page.click("#keys-open")
        await seen("05-keypad")
        await wire.tell(type="photo_wanted", url="/v1/photos/example")
        # Not by its place: the conversation moves under the mouse while both speak.
        await page.dispatch_event(".wanted button", "click")
        await page.wait_for_selector("#photo-panel:not([hidden])")
        await seen("06-photo-wanted")
        await page.click("#take")
        await page.click("#shoot")
        await page.wait_for_selector("#preview:not([hidden])")
        await seen("07-photo")
        await page.click("#photo-send")
        await page.locator(".turn.caller .shown").wait_for()
        await page.click("#hold")
        await seen("08-held")
        await page.click("#hold")
        await wire.cut()
        await page.wait_for_selector('body[data-state="reconnecting"]')
        await seen("09-reconnecting")
        wire.down = False
        await page.wait_for_selector('body[data-state="talking"]')
        await wire.tell(type="verdict", grade="fair", reasons=["answers after up to 2140 ms (p95)"])
        await page.click("#hang-up")
        await page.wait_for_selector('body[data-state="ended"]')
        await seen("10-ended")
        wire.down = True
        await page.click("#again")
        await page.wait_for_selector("#problem:not([hidden])")
        await seen("11-error")


async def _later(route: Any, event: asyncio.Event) -> None:
    await event.wait()
    await route.continue_()


async def problem(page: Page) -> str:
    """The problem that is shown."""
    await page.wait_for_selector("#problem:not([hidden])")
    return await page.get_attribute("#problem", "data-code") or ""


async def test_a_microphone_that_is_missing_is_explained_and_typing_offered(
    deaf_browser: Browser, tmp_path: Path
) -> None:
    """Nobody is stopped by a missing microphone."""
    async with softphone(deaf_browser, tmp_path) as (page, _):
        await page.click("#call")
        assert await problem(page) in ("microphone_missing", "microphone_refused")
        await picture(page, "light-12-no-microphone")
        assert await serious(page) == []
        await page.click("#problem-do")
        await page.wait_for_selector('body[data-state="talking"] .turn.agent')
        await page.fill("#typed", "I type.")
        await page.press("#typed", "Enter")
        await page.locator(".turn.agent .said", has_text="order number").wait_for()


async def test_a_refused_microphone_is_told_from_a_missing_one(browser: Browser, tmp_path: Path) -> None:
    """The remedies differ: one is in the browser, the other in the hand."""
    for name, code in (
        ("NotAllowedError", "microphone_refused"),
        ("NotFoundError", "microphone_missing"),
        ("NotReadableError", "microphone_busy"),
    ):
        async with softphone(browser, tmp_path / name) as (page, _):
            await page.evaluate(
                """name => {
                  const refuse = async () => { throw new DOMException('', name); };
                  navigator.mediaDevices.getUserMedia = refuse;
                }""",
                name,
            )
            await page.click("#call")
            assert await problem(page) == code


async def test_an_insecure_address_is_explained(deaf_browser: Browser, tmp_path: Path) -> None:
    """Over http from another machine no browser gives a microphone: say so, and what to do."""
    async with softphone(deaf_browser, tmp_path) as (page, _):
        # What a browser says of http:// and another machine's name.
        await page.evaluate("Object.defineProperty(window, 'isSecureContext', { value: false })")
        await page.click("#call")
        assert await problem(page) == "insecure"
        assert "https" in (await page.text_content("#problem-text") or "")


async def test_a_full_gateway_is_told_from_one_that_is_gone(browser: Browser, tmp_path: Path) -> None:
    """Busy: try again. Gone: call whoever runs it."""
    async with softphone(browser, tmp_path, settings={"server__max_calls": "1"}) as (page, wire):
        async with aiohttp.ClientSession() as other, other.ws_connect(wire.running.url):
            await page.click("#call")
            assert await problem(page) == "full"
            await picture(page, "light-13-full")
        await wire.until(lambda: True)
        wire.down = True
        await page.click("#problem-do")
        await page.wait_for_selector('#problem[data-code="unreachable"]')


async def test_a_gateway_with_a_door_asks_for_a_token(browser: Browser, tmp_path: Path) -> None:
    """Without one, with a wrong one, with one from the address; and the call comes back by its own."""
    secret = "a-secret-for-tests-which-is-long-enough"
    async with softphone(browser, tmp_path, settings={"door__secret": secret}) as (page, wire):
        await page.click("#call")
        assert await problem(page) == "token_needed"
        assert await serious(page) == []
        await picture(page, "light-15-token")
        await page.click("#problem-do")
        await page.keyboard.type("not a token")
        await page.keyboard.press("Enter")
        await page.wait_for_selector('#problem[data-code="token_wrong"]')
        operator = issue(DoorSettings(secret=secret), "x", ["operate"], 60)
        await page.fill("#token", operator)
        await page.click("#call")
        await page.wait_for_selector('#problem[data-code="not_allowed"]')
        once = issue(DoorSettings(secret=secret), "x", ["call"], 60, once=True)
        await page.goto("about:blank")
        await page.goto(f"{wire.url}#token={once}")
        await page.wait_for_selector("body[data-loaded]")
        assert "token" not in page.url
        await page.click("#call")
        await page.wait_for_selector('body[data-state="talking"] .turn.agent')
        # A token that opens one connection is used up now; what lets the call go on is its own.
        await wire.cut()
        await page.wait_for_selector('body[data-state="reconnecting"]')
        wire.down = False
        await page.wait_for_selector('body[data-state="talking"]')
        await page.click("#hang-up")
        await page.click("#again")
        await page.wait_for_selector('#problem[data-code="token_wrong"]')


async def test_a_wire_that_takes_no_websocket_is_told_from_a_gateway_that_is_gone(
    browser: Browser, tmp_path: Path
) -> None:
    """A proxy that drops the upgrade is the usual mistake of an installation."""
    async with softphone(browser, tmp_path) as (page, wire):
        wire.plain = True
        await page.click("#call")
        assert await problem(page) == "blocked"


async def test_a_gateway_of_another_version_is_noticed(browser: Browser, tmp_path: Path) -> None:
    """A page from before an update must not guess what new events mean."""
    async with softphone(browser, tmp_path) as (page, wire):
        wire.rewrite = lambda event: {**event, "protocol": 2} if event["type"] == "ready" else event
        await page.click("#call")
        assert await problem(page) == "version"
        assert "2" in (await page.text_content("#problem-text") or "")


async def test_a_dead_provider_is_heard_and_explained(browser: Browser, tmp_path: Path) -> None:
    """The caller hears that something is wrong, sees it, and is told that it was not their fault."""
    async with softphone(browser, tmp_path, settings={"limits__failures": "2"}) as (page, wire):
        wire.provider.fail("llm", Fault(status=500), times=None)
        await page.click("#call")
        await page.wait_for_selector(".turn.agent .spoken")
        await page.fill("#typed", "Hello?")
        await page.press("#typed", "Enter")
        await page.wait_for_selector("#happenings .rung")
        # The gateway asks again as long as patience lasts: a question typed before the apology would take the
        # place of the one that fails.
        await page.get_by_text("technical problem").first.wait_for(timeout=30_000)
        await page.fill("#typed", "Hello again?")
        await page.press("#typed", "Enter")
        assert await problem(page) == "provider_failure"
        await picture(page, "light-14-provider-down")


async def test_the_keyboard_is_enough(browser: Browser, tmp_path: Path) -> None:
    """Choose, call, mute, hang up and call again without a mouse; the focus is always to be seen."""
    async with softphone(browser, tmp_path) as (page, _):

        async def tab_to(element: str) -> None:
            for _ in range(40):
                await page.keyboard.press("Tab")
                if await page.evaluate("id => document.activeElement.id === id", element):
                    return
            raise AssertionError(f"{element} is not reached by Tab")

        await tab_to("call")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
        await page.keyboard.press("Enter")
        await page.wait_for_selector('body[data-state="talking"] .turn.agent')
        await tab_to("mute")
        await page.keyboard.press("Space")
        assert await page.get_attribute("#mute", "aria-pressed") == "true"
        await tab_to("hang-up")
        await page.keyboard.press("Enter")
        await page.wait_for_selector('body[data-state="ended"]')
        assert await page.evaluate("document.activeElement.id") == "again"
