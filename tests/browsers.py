"""A real Chromium on a real gateway, and a wire between them that a test can read, cut and add to.

The microphone is a WAV file that Chromium plays from the moment the page opens it. What leaves the page's
playback worklet is recorded by a worklet of the test behind it.
"""

import asyncio
import contextlib
import json
import os
import wave
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import soundfile
from aiohttp import web
from gateways import Running, running_gateway
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Script

ROOT = Path(__file__).parent.parent
AXE = ROOT / "tests" / "vendor" / "axe-core" / "axe.min.js"
PICTURES = Path(os.environ.get("SOFTPHONE_PICTURES", ROOT / "build" / "softphone"))
# Where the caller's voice lies in the microphone's file, seconds.
VOICE_AT = (3.0, 7.0)
VOICE_S = 1.9
PATIENCE_MS = 45_000  # the machine may be busy; every wait is for a condition

TAP = """
registerProcessor("tap", class extends AudioWorkletProcessor {
  constructor() { super(); this.parts = []; }
  process([input]) {
    this.parts.push(input.length ? input[0].slice() : new Float32Array(128));
    if (this.parts.length === 8) {
      this.port.postMessage({ frame: currentFrame - 7 * 128, parts: this.parts });
      this.parts = [];
    }
    return true;
  }
});
"""

# Runs in the page before its own scripts.
LISTEN = """
window.tapped = []; window.orders = [];
const Node = AudioWorkletNode;
window.AudioWorkletNode = class extends Node {
  constructor(context, name, options) {
    super(context, name, options);
    if (name !== "playback") return;
    window.contextRate = context.sampleRate;
    this.port.addEventListener("message", ({ data }) => { if (data.order) orders.push(data); });
    context.audioWorklet.addModule("/tap.js").then(() => {
      const tap = new Node(context, "tap", { numberOfOutputs: 0 });
      tap.port.onmessage = ({ data }) => window.tapped.push(data);
      this.connect(tap);
    }).catch(() => {});  // the test has taken the network away
  }
};
// The loudest sample of the last 40 ms of all that goes to a loudspeaker.
const meters = new Map();
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    if (!meters.has(target)) meters.set(target, new AnalyserNode(target.context, { fftSize: 2048 }));
    connect.call(this, meters.get(target), ...rest);
  }
  return connect.call(this, target, ...rest);
};
window.loudest = () => Math.max(0, ...[...meters.values()].map((meter) => {
  const wave = new Float32Array(2048);
  if (meter.context.state === "running") meter.getFloatTimeDomainData(wave);
  return wave.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}));
// The context's output after frame `from`, as [frame, loudest sample] of every 5 ms, and the largest step.
window.envelope = (from = 0) => {
  const out = []; let before = null; let step = 0; const size = contextRate / 200;
  let start = null, loud = 0, n = 0;
  const recent = tapped.filter(({ frame }) => frame + 1024 > from);
  for (const { frame, parts } of recent) parts.forEach((part, i) => part.forEach((x, j) => {
    const at = frame + i * 128 + j;
    if (at < from) { before = x; return; }
    if (before !== null) step = Math.max(step, Math.abs(x - before));
    before = x; start ??= at; loud = Math.max(loud, Math.abs(x)); n += 1;
    if (n >= size) { out.push([start, loud]); start = null; loud = 0; n = 0; }
  }));
  return { out, step, rate: contextRate };
};
// Whether for the last `ms` every 5 ms were louder than `floor`, or (false) all were silent.
window.sounds = (ms, floor = 0.1) => tapped.length > 40
  && envelope(tapped.at(-1).frame - ms * contextRate / 1000).out.every(([, x]) => x > floor);
window.silent = (ms) => tapped.length > 40
  && envelope(tapped.at(-1).frame - ms * contextRate / 1000).out.every(([, x]) => x < 1e-4);
"""


def microphone_file(folder: Path) -> Path:
    """Two stretches of a voice with silence before, between and behind them; it ends in silence."""
    spoken, rate = soundfile.read(ROOT / "voicegw/web/samples/order-status.flac", dtype="int16")
    first = int(np.argmax(np.abs(spoken) > 1000))
    voice = spoken[first : first + int(VOICE_S * rate)]
    whole = np.zeros(60 * rate, np.int16)
    for at in VOICE_AT:
        whole[int(at * rate) : int(at * rate) + len(voice)] = voice
    path = folder / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(np.repeat(whole, 48000 // rate).tobytes())
    return path


@contextlib.asynccontextmanager
async def chromium(program: str, microphone: Path | None) -> AsyncIterator[Browser]:
    """A headless browser whose microphone plays `microphone`; None: it has none."""
    options = [
        "--no-sandbox",
        "--disable-background-networking",
        "--autoplay-policy=no-user-gesture-required",
    ]
    if microphone is not None:
        options += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        options += [f"--use-file-for-fake-audio-capture={microphone}%noloop"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=options)
        try:
            yield browser
        finally:
            await browser.close()


class Wire:
    """Stands between page and gateway: passes everything on, and keeps what the page sends."""

    running: Running  # where the gateway is one of `softphone`
    provider: ScriptedProvider

    def __init__(self, gateway: str) -> None:
        """`gateway` is its address, without a slash at the end."""
        self.gateway = gateway
        self.url = ""
        self.events: list[dict[str, Any]] = []  # from the page
        self.heard: list[dict[str, Any]] = []  # from the gateway
        self.audio = bytearray()  # from the page
        self.order: list[str] = []  # what the page sends, message by message: "audio", or an event's type
        self.down = False
        self.plain = False  # upgrades are answered as by a proxy that does not know them
        self.quiet = False  # the gateway's audio does not reach the page
        # What the page, and what the gateway, gets to see of the other's events.
        self.rewrite: Callable[[dict[str, Any]], dict[str, Any]] = lambda event: event
        self.spoil: Callable[[dict[str, Any]], dict[str, Any]] = lambda event: event
        self._pages: set[web.WebSocketResponse] = set()
        self._http: aiohttp.ClientSession | None = None

    async def cut(self) -> None:
        """Break the connection as a dead network does, and let no other come."""
        self.down = True
        for page in list(self._pages):
            transport = page._req.transport if page._req is not None else None
            if transport is not None:
                transport.abort()

    async def tell(self, **event: Any) -> None:
        """Send the page an event as if it came from the gateway."""
        for page in list(self._pages):
            await page.send_str(json.dumps(event))

    def count(self, kind: str) -> int:
        """How many events of a type the page has sent."""
        return sum(event["type"] == kind for event in self.events)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while not condition():  # noqa: ASYNC110 - what it looks at has no event
                await asyncio.sleep(0.02)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if request.path == "/tap.js":
            return web.Response(text=TAP, content_type="text/javascript")
        if request.headers.get("Upgrade", "").lower() == "websocket" and not self.plain:
            return await self._call(request)
        assert self._http is not None
        passed = {name: request.headers[name] for name in ("Authorization",) if name in request.headers}
        async with self._http.request(
            request.method, self.gateway + request.path_qs, data=await request.read(), headers=passed
        ) as answer:
            body = await answer.read()
            kept = ("Content-Type", "Cache-Control", "Content-Security-Policy", "Retry-After")
            headers = {name: answer.headers[name] for name in kept if name in answer.headers}
            return web.Response(status=answer.status, body=body, headers=headers)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        assert self._http is not None
        try:
            gateway = await self._http.ws_connect(self.gateway + request.path_qs)
        except aiohttp.WSServerHandshakeError as refused:
            return web.Response(status=refused.status)
        page = web.WebSocketResponse(protocols=("voicegw.v1",))
        await page.prepare(request)
        self._pages.add(page)
        async with gateway:
            back = asyncio.create_task(self._back(gateway, page))
            try:
                async for message in page:
                    if message.type is aiohttp.WSMsgType.BINARY:
                        self.audio += message.data
                        self.order.append("audio")
                        await gateway.send_bytes(message.data)
                    else:
                        event = json.loads(message.data)
                        self.events.append(event)
                        self.order.append(event["type"])
                        await gateway.send_str(json.dumps(self.spoil(event)))
            finally:
                self._pages.discard(page)
                back.cancel()
                await asyncio.wait([back])
        return page

    async def _back(self, gateway: aiohttp.ClientWebSocketResponse, page: web.WebSocketResponse) -> None:
        with contextlib.suppress(ConnectionError):
            async for message in gateway:
                if message.type is aiohttp.WSMsgType.BINARY:
                    if not self.quiet:
                        await page.send_bytes(message.data)
                else:
                    event = self.rewrite(json.loads(message.data))
                    self.heard.append(event)
                    await page.send_str(json.dumps(event))
            await page.close(code=gateway.close_code or 1000)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Wire"]:
        async with aiohttp.ClientSession() as self._http:
            runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.5)  # type: ignore[arg-type]
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
            try:
                yield self
            finally:
                await runner.cleanup()


@contextlib.asynccontextmanager
async def softphone(
    browser: Browser, folder: Path, script: Script | None = None, **options: Any
) -> AsyncIterator[tuple[Page, Wire]]:
    """The page, loaded, on its own gateway over a scripted provider. Errors in the page fail the test."""
    overrides = options.pop("settings", {})
    async with running_gateway(folder, script or quick_script(), **overrides) as running:
        wire = Wire(running.http)
        wire.running, wire.provider = running, running.provider
        async with page_on(browser, wire, **options) as page:
            yield page, wire


@contextlib.asynccontextmanager
async def page_on(
    browser: Browser, wire: Wire, path: str = "", *, listens: bool = True, **options: Any
) -> AsyncIterator[Page]:
    """The page, loaded over a wire. Errors in the page fail the test. `listens`: its sound is recorded."""
    async with wire.open(), await _context(browser, options) as context:
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        wrong: list[str] = []
        watch(page, wrong)
        if listens:
            await page.add_init_script(LISTEN)
        await page.goto(wire.url + path)
        await page.wait_for_selector("body[data-loaded]")
        yield page
        assert not wrong, wrong


def watch(page: Page, wrong: list[str]) -> None:
    """Collect what goes wrong within a page: errors, and what its policy forbids."""
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None,
    )


async def _context(browser: Browser, options: dict[str, Any]) -> BrowserContext:
    options.setdefault("viewport", {"width": 1280, "height": 860})
    return await browser.new_context(locale=options.pop("locale", "en-GB"), **options)


def quick_script(
    replies: Sequence[str] = ("Of course. May I have your order number, please?",), **fields: Any
) -> Script:
    """A provider that speaks 0.6 s a sentence, or 20 s a single word: a steady tone without gaps."""
    fields.setdefault("speech_ms", lambda text: 600.0 if " " in text else 20_000.0)
    return Script(stt=("I would like to check my order.",), llm=replies, **fields)


async def picture(page: Page, name: str, *, full: bool = False) -> Path:
    """Write what is to be seen to the folder of pictures."""
    await asyncio.to_thread(PICTURES.mkdir, parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    await page.screenshot(path=path, full_page=full, animations="disabled")
    return path


async def serious(page: Page) -> list[str]:
    """What axe-core finds that is serious or worse, with the elements."""
    if not await page.evaluate("'axe' in window"):
        # Not as a <script>: the page's policy forbids that, and should.
        await page.evaluate(await asyncio.to_thread(AXE.read_text, encoding="utf-8"))
    found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {[node['target'] for node in one['nodes']]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
