"""The softphone's files over HTTP: found, fresh after an update, kept by browsers, whole in a wheel."""

import io
import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import pytest
import soundfile
from gateways import running_gateway

from voicegw.verdict.timeline import Timeline
from voicegw.verdict.verdict import Thresholds, graded, judge

ROOT = Path(__file__).parent.parent
WEB = ROOT / "voicegw" / "web"


async def test_the_page_and_all_that_it_names_are_there(tmp_path: Path) -> None:
    """One missing file is a blank page; so every address in every file is asked for."""
    async with running_gateway(tmp_path) as running, aiohttp.ClientSession() as http:
        async with http.get(running.http + "/") as answer:
            page = await answer.text()
            assert answer.headers["Cache-Control"] == "no-cache"
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            tag = answer.headers["ETag"]
        async with http.get(running.http + "/", headers={"If-None-Match": tag}) as answer:
            assert answer.status == 304
        (assets,) = set(re.findall(r'"(/assets/\w+)/main\.js"', page))
        # The page behind an upload link, which is served by such links alone.
        page += (WEB / "static" / "upload.html").read_text(encoding="utf-8").replace("{{assets}}", assets)
        wanted = {urljoin(running.http, path) for path in re.findall(r'(?:src|href)="([^"]+)"', page)}
        seen: set[str] = set()
        while wanted - seen:
            url = (wanted - seen).pop()
            seen.add(url)
            async with http.get(url) as answer:
                assert answer.status == 200, url
                assert "immutable" in answer.headers["Cache-Control"]
                text = await answer.text()
            if url.endswith(".js"):
                found = re.findall(r'(?:from|url\(|import) ?"([^"]+\.js)"', text)
                wanted |= {urljoin(url, path) for path in found}
        served = {url.rsplit("/", 1)[1] for url in seen}
        assert served == {path.name for path in (WEB / "static").rglob("*.*")} - {"index.html", "upload.html"}


async def test_files_of_another_version_are_not_there(tmp_path: Path) -> None:
    """A page of yesterday must not run with half of today's modules, and no path leads out of the folder."""
    async with running_gateway(tmp_path) as running, aiohttp.ClientSession() as http:
        page = await (await http.get(running.http + "/")).text()
        (base,) = set(re.findall(r'"(/assets/\w+)/main\.js"', page))
        for path in (
            "/assets/0123456789abcdef/main.js",
            f"{base}/../softphone.py",
            f"{base}/%2e%2e/__init__.py",
        ):
            async with http.get(running.http + path) as answer:
                assert answer.status == 404, path


async def test_what_can_be_called_is_told(tmp_path: Path) -> None:
    """The page chooses from this list; a sample caller must be playable without the repository."""
    async with running_gateway(tmp_path) as running, aiohttp.ClientSession() as http:
        offered = await (await http.get(running.http + "/api/personas")).json()
        assert offered["protocol"] == 1
        assert offered["default"] in {persona["name"] for persona in offered["personas"]}
        assert {p["language"] for p in offered["personas"]} >= {"en", "vi"}
        assert all(persona["greeting"] for persona in offered["personas"])
        for sample in await (await http.get(running.http + "/api/samples")).json():
            data = await (await http.get(f"{running.http}/samples/{sample['file']}")).read()
            info = soundfile.info(io.BytesIO(data))
            assert info.duration == pytest.approx(sample["seconds"], abs=1)
        async with http.get(running.http + "/samples/none.flac") as answer:
            assert answer.status == 404


async def test_a_plain_request_for_the_call_says_what_an_upgrade_would_get(tmp_path: Path) -> None:
    """A browser's WebSocket only says that it failed; the page asks why by HTTP."""
    async with running_gateway(tmp_path, server__max_calls="1") as running, aiohttp.ClientSession() as http:
        async with http.get(running.http + "/v1/call") as answer:
            assert answer.status == 426
        async with http.ws_connect(running.url), http.get(running.http + "/v1/call") as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"]
            assert "in use" in await answer.text()


def test_a_wheel_brings_the_page_and_the_sample_caller() -> None:
    """Package data is what an editable install never misses."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["voicegw"]
    packed = {path for pattern in patterns for path in (ROOT / "voicegw").glob(pattern)}
    wanted = {p for folder in ("static", "samples") for p in (WEB / folder).rglob("*.*") if p.is_file()}
    assert len(wanted) > 15
    assert wanted <= packed


def test_both_languages_say_the_same_things() -> None:
    """A word that is missing in one of them would be shown as its name."""

    def names(language: str) -> list[str]:
        text = (WEB / "static" / f"words-{language}.js").read_text(encoding="utf-8")
        return re.findall(r"^  (\w+):", text, re.MULTILINE)

    assert names("en") == names("vi")
    used = "".join(path.read_text(encoding="utf-8") for path in (WEB / "static").rglob("*.*"))
    for name in re.findall(r'data-(?:word|label|placeholder)="(\w+)"', used):
        assert name in names("en"), name


def test_a_verdict_s_reasons_are_told_in_vietnamese() -> None:
    """The gateway writes them in English; the page knows all that a call of its own can get."""
    text = (WEB / "static" / "words-vi.js").read_text(encoding="utf-8")
    listed = text[text.index("verdict_reasons: [") : text.index("controls:")]
    known = [json.loads(f'"{pattern}"') for pattern in re.findall(r'^    \["(.+?)", "', listed, re.MULTILINE)]
    bad = replace(
        judge(Timeline()),
        gap_p95_ms=60_000,
        longest_wait_ms=60_000,
        longest_wait_owner="llm",
        cut_offs=99,
        barge_in_stop_ms=60_000,
        false_interruptions=99,
        apologies=99,
        end_reason="internal_error",
    )
    reasons = graded(bad, Thresholds()).reasons
    assert len(reasons) == 7
    for reason in reasons:
        assert any(re.search(pattern, reason) for pattern in known), reason


def test_no_file_asks_another_host() -> None:
    """No font, script or picture from elsewhere: the page works in a closed network and tells nobody."""
    for path in (WEB / "static").rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        code = re.sub(r"(?m)^ *(//|\*|/\*).*$", "", text).replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://(?!soundfile\.sapp\.org)", code), path.name
        assert "style=" not in text or path.suffix != ".html"
