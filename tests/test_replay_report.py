"""The report page in a real browser: desktop, phone, dark, a failed call."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from voicegw.replay.batch import replay_one
from voicegw.replay.report import write_report
from voicegw.replay.result import compare
from voicegw.replay.virtual import Options

SAMPLES = Path(__file__).parent.parent / "samples"


def test_the_report_is_drawn_by_a_browser(system_program: Callable[[str], str], tmp_path: Path) -> None:
    """A page that asks the network for anything, or breaks in its script, shows nobody why a call failed."""
    chromium = system_program("chromium")
    good = replay_one(SAMPLES / "interruption.yaml", Options(), True)
    late = {"turns.min_end_ms": "1700", "turns.end_ms": "1700", "turns.acoustic_end_ms": "1700"}
    plain = replay_one(SAMPLES / "order-status.yaml", Options()).result
    failed = replay_one(SAMPLES / "order-status.yaml", Options(overrides=late), True)
    assert compare(plain, failed.result).changes
    compared = {failed.sample.path: compare(plain, failed.result)}
    page_path = write_report(tmp_path, [good, failed], compared)
    trouble: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, size, scheme in (
            ("desktop", (1280, 900), "light"),
            ("phone", (390, 844), "light"),
            ("dark", (1280, 900), "dark"),
        ):
            context = browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page = context.new_page()
            page.on("pageerror", lambda error: trouble.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"{page_path.as_uri()}#interruption")
            page.wait_for_selector(".wave svg path")
            assert page.locator("#calls tr").count() == 2
            assert page.locator(".row.agent").count() >= 5
            assert page.locator(".row s").count() >= 1  # words that were made and not heard
            assert page.locator(".wave .cut").count() == 1
            # Nothing is wider than the window: the waveform scrolls within its box.
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
            page.click("[data-show=changed]")
            assert page.locator("#calls tr").count() == 1
            page.click("#calls tr")
            page.wait_for_selector(".diff td")
            page.screenshot(path=tmp_path / f"{name}-changed.png", full_page=True)
            context.close()
        browser.close()
    assert trouble == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    assert all((tmp_path / f"{name}.png").stat().st_size > 20_000 for name in ("desktop", "phone", "dark"))


@pytest.mark.parametrize("word", ["</script><b>", "<!--"])
def test_no_word_of_a_caller_becomes_part_of_the_page(tmp_path: Path, word: str) -> None:
    """Titles, transcripts and answers come from anywhere."""
    done = replay_one(SAMPLES / "typed.yaml", Options(), True)
    page = write_report(tmp_path, [replace(done, result=replace(done.result, title=word))], {})
    assert word not in page.read_text(encoding="utf-8").partition('id="data">')[2].partition("</script>")[0]
