"""Calls from the softphone in a real browser: what a person does on it, and what they then hear and see."""

import asyncio
import base64
import io
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import soundfile
from browsers import chromium, microphone_file, quick_script, softphone
from PIL import Image, ImageStat
from playwright.async_api import Browser, Page

pytestmark = pytest.mark.asyncio(loop_scope="module")
HUM = "Hm" + "m" * 30 + "."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(
    tmp_path_factory: pytest.TempPathFactory, system_program: Callable[[str], str]
) -> AsyncIterator[Browser]:
    """One browser for all tests of this file; each has its own page, profile and gateway."""
    folder = tmp_path_factory.mktemp("microphone")
    async with chromium(system_program("chromium"), microphone_file(folder)) as running:
        yield running


async def begun(page: Page) -> None:
    """Press Call, and wait until the agent greets."""
    await page.click("#call")
    await page.wait_for_selector('body[data-state="talking"] .turn.agent')


async def type_in(page: Page, text: str) -> None:
    await page.fill("#typed", text)
    await page.press("#typed", "Enter")


async def output_after(page: Page, frame: float) -> tuple[list[list[float]], float, int]:
    """What left the page after a frame of its clock: 5 ms windows, the largest step, the rate."""
    found: dict[str, Any] = await page.evaluate("from => envelope(from)", frame)
    return found["out"], found["step"], found["rate"]


async def test_a_spoken_call_is_heard_and_answered(browser: Browser, tmp_path: Path) -> None:
    """The whole way: microphone, gateway, transcript, and the agent's voice as it leaves the page."""
    async with softphone(browser, tmp_path) as (page, wire):
        await begun(page)
        said = page.locator(".turn.caller:not(.partial) .said").first
        await said.wait_for()
        assert await said.text_content() == "I would like to check my order."
        await page.wait_for_selector(".turn.agent:nth-of-type(n+2) .wait")
        await wire.until(
            lambda: any(e["type"] == "speech_stopped" and e["reply_id"] == 2 for e in wire.heard)
        )
        await page.wait_for_selector('.stage[data-floor="none"]')
        await page.wait_for_function("() => silent(200)")
        out, _, _ = await output_after(page, 0)
        loud = [window for _, window in out if window > 0.05]
        # Greeting and answer: two sentences each, 0.6 s a sentence; gaps between words are silent.
        sentences = sum(e["type"] == "reply_text" for e in wire.heard)
        spoken_s = len(loud) * 0.005
        assert sentences >= 2
        assert 0.6 * sentences * 0.6 < spoken_s < 0.6 * sentences * 1.05
        assert max(loud) == pytest.approx(8000 / 32768, abs=0.05)
        # Every sentence was reported as heard to its end.
        ended = {e["speech_id"] for e in wire.events if e["type"] == "played" and "samples" not in e}
        # (The file's second voice may cut one off, where the machine is slow.)
        cut = {e["reply_id"] for e in wire.heard if e["type"] == "speech_stopped" and e["cut"]}
        torn = {e["speech_id"] for e in wire.heard if e["type"] == "reply_text" and e["reply_id"] in cut}
        assert {e["speech_id"] for e in wire.heard if e["type"] == "mark"} - torn == ended - torn
        # Time was sent without gaps: 20 ms messages, silence included.
        assert len(wire.audio) % 640 == 0
        assert len(wire.audio) > 4 * 32_000
        # The page tells where the wait went, and that its own measure agrees with the gateway's.
        (latency,) = [e for e in wire.heard if e["type"] == "latency"][:1]
        stages = await page.locator("#last-answer .stages b").all_text_contents()
        assert len(stages) >= 5
        assert int(stages[0].split()[0]) == latency["end_of_turn_ms"]


async def test_an_interruption_silences_the_agent_within_50_ms(browser: Browser, tmp_path: Path) -> None:
    """Counted in samples on the worklet's clock, from `clear` to the last sound; without a click."""
    async with softphone(browser, tmp_path, quick_script((HUM,))) as (page, wire):
        await begun(page)
        await type_in(page, "Please hum.")
        await page.wait_for_function("() => sounds(100)")
        # As the gateway says it, but with nothing behind it that could sound again.
        wire.quiet = True
        before = await page.evaluate("orders.length")
        await wire.tell(type="clear")
        await page.wait_for_function("n => orders.length > n", arg=before)
        assert await page.evaluate("orders.at(-1).order === 'clear' && orders.at(-1).waiting > 0")
        # The worklet counts at 16 kHz, the context at its device's rate.
        cleared_at = await page.evaluate("orders.at(-1).at * contextRate / 16000")
        await page.wait_for_function("at => tapped.at(-1).frame > at + 24000", arg=cleared_at)
        out, step, rate = await output_after(page, cleared_at - 2400)
        loud = [frame + rate / 200 - cleared_at for frame, window in out if window > 1e-3]
        assert loud, "the agent was speaking"
        assert max(loud) <= 0.050 * rate
        # A full tone of 440 Hz steps by 0.015; a break in it would step by up to 0.24.
        assert step < 0.03
        assert wire.count("played") > 0


async def test_a_voice_silences_the_agent_within_50_ms(browser: Browser, tmp_path: Path) -> None:
    """The caller's voice alone does it, and all is counted on the worklet's clock: pause, clear, silence."""
    async with softphone(browser, tmp_path, quick_script((HUM,))) as (page, wire):
        await begun(page)
        await type_in(page, "Please hum.")
        await page.wait_for_function("() => sounds(100)")
        told, cuts = await page.evaluate("[orders.length, document.querySelectorAll('.tag.cut').length]")
        await page.locator(".turn.agent .tag.cut").nth(cuts).wait_for()
        orders = await page.evaluate("n => orders.slice(n)", told)
        # A `clear` with a `resume` behind it is not the end: the agent goes on with a word it was torn from.
        (clear, *_) = [
            i
            for i, (order, then) in enumerate(itertools.pairwise([*orders, {"order": ""}]))
            if order["order"] == "clear" and then["order"] != "resume"
        ]
        rate = await page.evaluate("contextRate")
        place = [order["at"] * rate / 16000 for order in orders]
        await page.wait_for_function("at => tapped.at(-1).frame > at", arg=place[clear] + 0.3 * rate)
        assert orders[0]["order"] == "pause"
        for i, order in enumerate(orders[: clear + 1]):
            if order["order"] == "resume":
                continue
            # Until something else is ordered; an answer to this voice comes 0.5 s later at the soonest.
            until = place[i + 1] if i < clear else place[i] + 0.3 * rate
            out, step, _ = await output_after(page, place[i] - 0.05 * rate)
            loud = [at + rate / 200 for at, window in out if at + rate / 200 < until and window > 1e-3]
            assert max(loud, default=0) <= place[i] + 0.050 * rate, (i, orders)
            assert step < 0.03  # no click: see above
        assert await page.text_content("#cuts") != "0"
        assert any(e["type"] == "speech_stopped" and e["cut"] for e in wire.heard)
        # It was the voice of the file, and it is the turn now.
        said = page.locator(".turn.caller:not(.partial) .said", has_text="check my order")
        await said.first.wait_for()


async def test_words_that_were_cut_off_are_shown_as_unheard(browser: Browser, tmp_path: Path) -> None:
    """Who interrupts sees what the agent believes was heard."""
    reply = " ".join(f"word{n}" for n in range(60)) + "."
    script = quick_script((reply,), speech_ms=lambda text: 600.0 if "word" not in text else 20_000.0)
    async with softphone(browser, tmp_path, script) as (page, wire):
        await begun(page)
        await type_in(page, "Count.")
        await page.wait_for_selector(".word.spoken >> text=word2")
        await type_in(page, "Stop.")
        await page.wait_for_selector(".word.unheard")
        await wire.until(
            lambda: any(
                e["type"] == "speech_stopped" and e["cut"] and "word" in e["heard"] for e in wire.heard
            )
        )
        heard = next(e["heard"] for e in wire.heard if e["type"] == "speech_stopped" and "word" in e["heard"])
        cut = page.locator(".turn.agent", has_text="word0")
        spoken = await cut.locator(".word.spoken").all_text_contents()
        assert spoken == heard.split()


async def test_mute_sends_silence(browser: Browser, tmp_path: Path) -> None:
    """A caller who has muted must be sure of it: zeros leave, not a quiet voice."""
    async with softphone(browser, tmp_path, quick_script((HUM,))) as (page, wire):
        await begun(page)
        await page.click("#mute")
        assert await page.get_attribute("#mute", "aria-pressed") == "true"
        start = len(wire.audio) + 6400
        await wire.until(lambda: len(wire.audio) > 32_000 * 5.5)  # past the first voice of the file
        assert not any(wire.audio[start:])
        assert wire.provider.received("stt") == []
        await page.click("#mute")
        await wire.until(lambda: wire.provider.received("stt"))


async def test_hold_stops_both_sides_and_goes_on(browser: Browser, tmp_path: Path) -> None:
    """Silence both ways, nobody is asked whether they are there, the sentence goes on where it stopped."""
    settings = {"limits__idle_s": "1"}
    async with softphone(browser, tmp_path, quick_script((HUM,)), settings=settings) as (page, wire):
        await begun(page)
        await page.click("#mute")  # the voices of the file are not wanted
        await type_in(page, "Hum.")
        await page.wait_for_function("() => sounds(100)")

        def played() -> list[int]:
            return [e["samples"] for e in wire.events if e["type"] == "played" and "samples" in e]

        await wire.until(lambda: played() and played()[-1] > 8000)
        await page.click("#hold")
        await wire.until(lambda: wire.count("hold") == 1)
        await page.wait_for_function("() => silent(200)")
        assert "On hold" in (await page.text_content("#status") or "")
        before, held = len(played()), len(wire.audio)
        told = len(wire.heard)
        await wire.until(lambda: len(wire.audio) > held + 4 * 32_000)
        assert not any(wire.audio[held:])
        assert [e["type"] for e in wire.heard[told:]] in ([], ["clear"])
        await page.click("#hold")
        await page.wait_for_function("() => sounds(100)")
        await wire.until(lambda: len(played()) > before + 2)
        # On from where it stopped: neither from its beginning, nor as if it had been heard meanwhile.
        assert 0 < played()[before] - played()[before - 1] < 16_000
        assert [e["on"] for e in wire.events if e["type"] == "hold"] == [True, False]


async def test_keys_and_text_reach_the_gateway(browser: Browser, tmp_path: Path) -> None:
    """Two ways to say something without a voice (photos: test_softphone_embedded.py)."""
    async with softphone(browser, tmp_path) as (page, wire):
        await begun(page)
        await page.click("#keys-open")
        await page.click('[data-key="4"]')
        await page.keyboard.press("2")
        await page.click('[data-key="#"]')
        await wire.until(lambda: wire.count("dtmf") == 3)
        assert [e["digit"] for e in wire.events if e["type"] == "dtmf"] == ["4", "2", "#"]
        await page.locator(".turn.caller .said", has_text="42").wait_for()
        await page.keyboard.press("Escape")
        assert await page.locator("#keypad").is_hidden()

        await type_in(page, "Đơn hàng DH123456 đâu rồi?")
        await page.locator(".turn.caller .said", has_text="DH123456").wait_for()


async def test_a_camera_can_take_the_photo(browser: Browser, tmp_path: Path) -> None:
    """Chromium's test camera shows a green field; what arrives is a jpeg of it."""
    async with softphone(browser, tmp_path) as (page, wire):
        await begun(page)
        await page.click("#photo-open")
        await page.click("#take")
        await page.click("#shoot")
        await page.click("#photo-send")
        await wire.until(lambda: any(e["type"] == "image" and e["last"] for e in wire.events))
        sent = [e["data"] for e in wire.events if e["type"] == "image"]
        with Image.open(io.BytesIO(b"".join(base64.b64decode(part) for part in sent))) as photo:
            red, green, _ = ImageStat.Stat(photo.convert("RGB")).mean
        assert photo.format == "JPEG"
        assert green > red + 50


async def test_the_call_outlives_ten_seconds_without_a_network(browser: Browser, tmp_path: Path) -> None:
    """The page says so, comes back with its token, and the conversation goes on."""
    async with softphone(browser, tmp_path) as (page, wire):
        await begun(page)
        call_id = next(e["call_id"] for e in wire.heard if e["type"] == "ready")
        await wire.cut()
        await page.wait_for_selector('body[data-state="reconnecting"]')
        assert "Connection lost" in (await page.text_content("#status") or "")
        await asyncio.sleep(10)  # the outage itself
        wire.down = False
        await page.wait_for_selector('body[data-state="talking"]')
        again = [e for e in wire.heard if e["type"] == "ready"][-1]
        assert again["resumed"] is True
        assert again["call_id"] == call_id
        await type_in(page, "Are you still there?")
        await page.locator(".turn.caller .said", has_text="still there").wait_for()
        await page.locator(".turn.agent .said", has_text="order number").wait_for()


async def test_after_the_call_it_can_be_played_saved_and_made_again(browser: Browser, tmp_path: Path) -> None:
    """Caller left, agent right, on one time line; both were kept by the page itself."""
    async with softphone(browser, tmp_path) as (page, wire):
        await begun(page)
        await page.locator(".turn.caller:not(.partial) .said").first.wait_for()
        await page.wait_for_selector(".turn.agent:nth-of-type(n+2) .wait")
        await wire.until(lambda: any(e["type"] == "cost" for e in wire.heard))
        await wire.tell(type="tool", name="get_order_status", status="running")
        await wire.tell(type="tool", name="get_order_status", status="done")
        await wire.tell(type="verdict", grade="good", reasons=[])
        await wire.tell(type="recording", url="/recordings/x.flac")
        await page.locator("#happenings .tool", has_text="done").wait_for()
        await page.click("#hang-up")
        await page.wait_for_selector('body[data-state="ended"]')
        assert wire.count("hangup") == 1
        assert await page.text_content("#status") == "You hung up"
        cost = [e["usd"] for e in wire.heard if e["type"] == "cost"][-1]
        await page.locator("#cost", has_text=f"{cost:.4f}").wait_for()
        assert await page.text_content("#grade") == "Good"
        assert (await page.get_attribute("#kept", "href") or "").endswith("/recordings/x.flac")
        async with page.expect_download() as saving:
            await page.click("#save")
        samples, rate = soundfile.read(str(await (await saving.value).path()))
        assert rate == 16000
        caller, agent = samples[:, 0], samples[:, 1]
        # The agent greets first, then the caller speaks: never both here.
        first = [int(np.argmax(np.abs(side) > 0.05)) / rate for side in (agent, caller)]
        assert first[0] < 2.5
        assert first[1] > first[0] + 0.5
        async with page.expect_download() as saving:
            await page.click("#save-words")
        saved = await (await saving.value).path()
        words = await asyncio.to_thread(saved.read_text, encoding="utf-8")
        assert "You: I would like to check my order." in words
        await page.click("#play")
        await page.wait_for_function("() => Number(document.querySelector('#seek').value) > 0.3")
        await page.click("#play")
        await page.wait_for_selector('#play[aria-pressed="false"]')
        await page.click("#again")
        await page.wait_for_selector('body[data-state="talking"]')
        assert sum(e["type"] == "ready" for e in wire.heard) == 2


async def test_the_resampler_keeps_the_voice_and_nothing_else(browser: Browser, tmp_path: Path) -> None:
    """From any device rate 1 and 6 kHz pass, and what lies above 8 kHz does not come back as a tone."""
    async with softphone(browser, tmp_path) as (page, _):
        measured = await page.evaluate(
            """async () => {
              const base = document.querySelector('link[rel=stylesheet]').href.replace('style.css', '');
              const { Resampler } = await import(base + 'audio/resampler.js');
              const level = (from, to, hz) => {
                const wave = (_, i) => Math.sin(2 * Math.PI * hz * i / from);
                const input = Float32Array.from({ length: from }, wave);
                const out = []; new Resampler(from, to).push(input, (x) => out.push(x));
                const part = out.slice(to / 4, to * 3 / 4);
                const rms = Math.sqrt(part.reduce((sum, x) => sum + x * x, 0) / part.length);
                return { db: 20 * Math.log10(Math.max(rms, 1e-9) * Math.SQRT2), n: out.length };
              };
              const rates = [8000, 16000, 22050, 44100, 48000, 96000];
              return rates.map((rate) => ({
                rate, low: level(rate, 16000, 1000), high: level(rate, 16000, 6000),
                alias: level(rate, 16000, 9000), back: level(16000, rate, 1000),
              }));
            }"""
        )
        for one in measured:
            assert abs(one["low"]["n"] - 16000) <= 1, one
            assert abs(one["low"]["db"]) < 0.1, one
            assert abs(one["back"]["db"]) < 0.1, one
            if one["rate"] >= 22050:
                assert abs(one["high"]["db"]) < 0.2, one
                assert one["alias"]["db"] < -70, one


async def test_a_page_that_cannot_transfer_says_so_at_once(browser: Browser, tmp_path: Path) -> None:
    """Who asks for a person is told within a moment, not after the 30 s that a telephone may ring."""
    async with softphone(browser, tmp_path) as (page, wire):
        await begun(page)
        told = {"target": "person", "reason": "", "summary": ""}
        await wire.tell(type="transfer", status="started", address="+842812345678", **told)
        await wire.until(lambda: wire.count("transferred") == 1)
        assert [e["done"] for e in wire.events if e["type"] == "transferred"] == [False]
        await page.locator(".note", has_text="+842812345678").wait_for()
        # The gateway has asked for nothing, and bears the answer.
        await type_in(page, "Are you there?")
        await page.locator(".turn.agent .said", has_text="order number").wait_for()
