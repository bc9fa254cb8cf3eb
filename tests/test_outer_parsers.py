"""Every parser that faces the outside, fed with what nobody would send in good faith (hypothesis).

`PARSERS` is the list of them and of what each may raise: that ends at most the one call, request or file.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from gateways import Running, caller, running_gateway
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from provider_pairs import FixedAnswer, providers_over
from test_photos import asks_for_photo, begun

from voicegw.agents.personas import load_personas
from voicegw.agents.tools import ToolContext
from voicegw.agents.webhook import WebhookFile, WebhookTool
from voicegw.carriers.audiosocket import AudioSocket
from voicegw.carriers.base import Carrier, Handshake
from voicegw.carriers.fields import identity, texts
from voicegw.config import DoorSettings, Settings, load_settings
from voicegw.errors import CarrierError, ConfigError, ProviderError
from voicegw.providers.cassette import read_cassette
from voicegw.rehearsal.script import Script
from voicegw.replay.recording import read_recording
from voicegw.replay.sample import read_sample
from voicegw.server.arrival import start_of_query
from voicegw.server.links import Links
from voicegw.server.peers import Refused, forwarded_peer
from voicegw.server.routes import ROUTES
from voicegw.server.tokens import Tokens, issue
from voicegw.store.journal import read_journal
from voicegw.store.queries import moment
from voicegw.store.recording import repair

SECRET = "a-secret-for-tests-which-is-long-enough"
FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))

# What protocols, providers and files of ours call their fields: nonsense in the right place goes deepest.
FIELDS = """
type event start stop media payload track text data streamSid call_id from to digit dtmf image last played
choices delta content tool_calls function name arguments index id usage total_tokens error message code
segments no_speech_prob avg_logprob end words language duration format settings events t e caller steps say
expect voice phrases greeting tools webhook url hours
"""
WORDS = st.sampled_from(FIELDS.split())
VALUES = st.recursive(
    WORDS
    | st.integers(-5, 10**20)
    | st.floats()
    | st.text(max_size=8)
    | st.none()
    | st.booleans()
    | st.sampled_from(["\ud800", "\0", "9" * 400, "1e999", "voice_started", "order", "2026-13-45"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=15,
)
# Deeper than any recursion.
DEEP = st.sampled_from(["[" * 12_000, '{"a":' * 12_000, '{"choices":' + "[" * 12_000, "- " * 2_000])
JSONS = st.dictionaries(WORDS, VALUES, max_size=8).map(json.dumps) | VALUES.map(json.dumps) | DEEP
TEXTS = JSONS | st.text(max_size=200)
BYTES = TEXTS.map(lambda text: text.encode(errors="replace")) | st.binary(max_size=2000)
LINES = st.lists(JSONS | st.text(max_size=40), max_size=6).map("\n".join)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["authorization", "x-forwarded-for", "forwarded", "origin", "host", "x-twilio-signature"]
    ),
    st.text(max_size=60),
)
QUERY = st.dictionaries(
    st.sampled_from(
        ["caller", "called", "persona", "resume_token", "token", "external_id", "codec", "rate", "x"]
    ),
    st.text(max_size=300),
)


@dataclass(frozen=True)
class Parser:
    """One way in: what comes, who reads it, and what that one may raise."""

    what: st.SearchStrategy[Any]
    read: Callable[[Any, Path], Any]
    raises: tuple[type[Exception], ...] = ()


def file_of(read: Callable[[Path], Any], name: str) -> Callable[[Any, Path], Any]:
    def whole(data: str | bytes, folder: Path) -> Any:
        path = folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode(errors="replace"))
        return read(path)

    return whole


def carrier(name: str) -> Callable[[Any, Path], Any]:
    def read(given: tuple[dict[str, str], list[str | bytes]], folder: Path) -> None:
        query, messages = given
        (route,) = [route for route in ROUTES.values() if route.name == name]
        made: Carrier = route.make(Handshake("/", query, {}, "127.0.0.1"), Settings())
        for message in messages:
            try:
                made.parse(message)
            except CarrierError:
                continue

    return read


def persona(text: str, folder: Path) -> Any:
    (folder / "mine.toml").write_bytes(text.encode(errors="replace"))
    return load_personas(load_settings({}, None, {"persona.folders": str(folder)}))


def environment(found: dict[str, str], folder: Path) -> Settings:
    dotenv = folder / ".env"
    dotenv.write_bytes("\n".join(f"{k}={v}" for k, v in found.items()).encode(errors="replace"))
    load_settings(found, None)
    return load_settings({}, dotenv)


def audio_socket(pieces: list[bytes], folder: Path) -> None:
    made = AudioSocket()
    for piece in pieces:
        made.feed(piece)


def torn(data: bytes, folder: Path) -> Any:
    part = folder / "x.flac.part"
    part.write_bytes(data)
    (folder / "x.flac").unlink(missing_ok=True)
    return repair(part)


def answered(work: Callable[[Any], Any]) -> Callable[[Any, Path], Any]:
    """A provider's answer in pieces, as the client for it reads it."""

    def read(given: tuple[list[bytes], str], folder: Path) -> None:
        pieces, content_type = given

        async def run() -> None:
            result = work(providers_over(FixedAnswer([p for p in pieces if p] or [b"{}"], content_type)))
            if hasattr(result, "__aiter__"):
                async for _ in result:
                    pass
            else:
                await result

        asyncio.run(run())

    return read


def toml_of(found: dict[str, Any]) -> str:
    """Tables and values as TOML has them, as far as they can be; the rest is as wrong as it comes."""
    return "\n".join(
        f"[{k}]\n" + "\n".join(f"{n} = {json.dumps(w)}" for n, w in v.items())
        if isinstance(v, dict)
        else f"{k} = {json.dumps(v)}"
        for k, v in sorted(found.items(), key=lambda item: isinstance(item[1], dict))
    )


ANSWERS = st.tuples(
    st.lists(BYTES | JSONS.map(lambda text: f"data: {text}\n\n".encode()), max_size=5),
    st.sampled_from(
        ["application/json", "text/event-stream", "audio/pcm", "audio/wav", "audio/mpeg", "text/html", ""]
    ),
)
DOOR = DoorSettings(secret=SECRET)
TOKEN = issue(DOOR, "x", ["call"], 60)
PARSERS: dict[str, Parser] = {
    **{
        f"messages of {route.name}": Parser(
            st.tuples(QUERY, st.lists(TEXTS | st.binary(max_size=700), max_size=5)),
            carrier(route.name),
            (CarrierError,),
        )
        for route in ROUTES.values()
    },
    "frames of audiosocket": Parser(
        st.lists(st.binary(max_size=500), max_size=6), audio_socket, (CarrierError,)
    ),
    "tokens": Parser(
        st.text(max_size=300)
        | st.tuples(st.integers(0, len(TOKEN) - 1), st.characters()).map(
            lambda at: TOKEN[: at[0]] + at[1] + TOKEN[at[0] + 1 :]
        ),
        lambda text, _: Tokens(DOOR).check(text, "operate"),
        (Refused,),
    ),
    "the address of a call": Parser(QUERY, lambda query, _: (start_of_query(query), identity(texts(query)))),
    "a proxy's headers": Parser(
        HEADERS,
        lambda headers, _: forwarded_peer(
            "127.0.0.1", headers, load_settings({}, None, {"carriers.trusted_proxies": "127.0.0.1"})
        ),
    ),
    "signed links": Parser(QUERY, lambda query, _: Links(b"x" * 32).holds("/recordings/x", query)),
    "transcriptions": Parser(ANSWERS, answered(lambda p: p.stt.transcribe(bytes(3200))), (ProviderError,)),
    "model streams": Parser(
        ANSWERS,
        answered(lambda p: p.llm.reply([{"role": "user", "content": "x"}], max_tokens=9, temperature=0.1)),
        (ProviderError,),
    ),
    "speech": Parser(ANSWERS, answered(lambda p: p.tts.speak("Hello.", voice="alloy")), (ProviderError,)),
    "persona files": Parser(
        st.text(max_size=200) | st.dictionaries(WORDS, VALUES, max_size=8).map(toml_of),
        persona,
        (ConfigError,),
    ),
    "sample calls": Parser(
        TEXTS | VALUES.map(lambda value: yaml.safe_dump(json.loads(json.dumps(value)))),
        file_of(read_sample, "a.yaml"),
        (ConfigError,),
    ),
    "cassettes": Parser(
        LINES.map(lambda text: '{"cassette": 1}\n' + text) | TEXTS,
        file_of(read_cassette, "a.jsonl"),
        (ConfigError,),
    ),
    "journals": Parser(
        LINES, file_of(lambda path: list(read_journal(path)[1]), "a.journal.jsonl"), (ConfigError,)
    ),
    "settings": Parser(
        st.dictionaries(
            st.sampled_from(
                [
                    "VOICEGW_SERVER__PORT",
                    "VOICEGW_DOOR__SECRET",
                    "VOICEGW_PROVIDER__BASE_URL",
                    "VOICEGW_STORE__KEEP_DAYS",
                    "VOICEGW_CARRIERS__ENABLED",
                    "VOICEGW_NONE",
                    "OPENAI_BASE_URL",
                ]
            ),
            st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=40),
        ),
        environment,
        (ConfigError,),
    ),
    "sound files": Parser(
        st.binary(max_size=400) | st.binary(max_size=400).map(lambda b: b"RIFF\xff\0\0\0WAVEfmt " + b),
        file_of(read_recording, "a.wav"),
        (ConfigError,),
    ),
    "torn recordings": Parser(
        st.binary(max_size=400) | st.binary(max_size=400).map(lambda b: b"fLaC" + b), torn
    ),
    "times that people type": Parser(
        st.text(max_size=20), lambda text, _: moment("--since", text), (ConfigError,)
    ),
}


@pytest.mark.parametrize("name", PARSERS)
def test_nonsense_is_refused_in_words(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever comes is read, or refused by the error that the caller of the parser reckons with."""
    parser = PARSERS[name]
    folder = tmp_path_factory.mktemp("fuzz")

    @FEW
    @given(parser.what)
    def fed(given: Any) -> None:
        assert refusal(parser, given, folder) != ""

    fed()


def refusal(parser: Parser, given: Any, folder: Path) -> str | None:
    """What the parser says to this; None when it takes it."""
    try:
        parser.read(given, folder)
    except parser.raises as error:
        return str(error)
    return None


# What is read by a running gateway, over real sockets.


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def gateway_on(
    runner: asyncio.Runner, folder: Path, script: Script | None = None
) -> tuple[Running, Callable[[], None]]:
    # All of it comes from one address, which would soon be shut out.
    settings = {
        "carriers__enabled": "twilio,telnyx,plivo,vonage,jambonz",
        "door__unlimited_from": "127.0.0.1",
    }
    context = running_gateway(folder, script, **settings)
    running = runner.run(context.__aenter__())

    def close() -> None:
        runner.run(context.__aexit__(None, None, None))

    return running, close


POSTS = (
    "/twilio/voice",
    "/telnyx/voice",
    "/plivo/answer",
    "/plivo/transfer",
    "/vonage/answer",
    "/jambonz/hook",
    "/audiosocket/calls",
    "/v1/dial",
    "/v1/calls/0123456789abcdef/transfer",
    "/v1/photos/none",
)


def test_nothing_that_is_posted_is_an_error_of_the_gateway(loop: asyncio.Runner, tmp_path: Path) -> None:
    """Webhooks, the operator's requests, photos: an answer with its status, never a 500."""
    running, close = gateway_on(loop, tmp_path)

    @FEW
    @given(
        st.sampled_from(POSTS),
        BYTES,
        st.sampled_from(["application/json", "application/x-www-form-urlencoded", "image/jpeg", ""]),
    )
    def posted(path: str, body: bytes, content_type: str) -> None:
        async def post() -> int:
            async with aiohttp.ClientSession() as client:
                headers = {"Content-Type": content_type}
                async with client.post(running.http + path, data=body, headers=headers) as answer:
                    return answer.status

        assert loop.run(post()) < 500

    try:
        posted()
    finally:
        close()


def test_no_photo_ends_its_call(loop: asyncio.Runner, tmp_path: Path) -> None:
    """Bytes that are no picture, or half of one, by the one-time link."""
    running, close = gateway_on(loop, tmp_path, Script(llm=asks_for_photo, ms_per_char=12))
    context = caller(running.url)

    async def begin() -> str:
        someone = await context.__aenter__()
        await begun(someone)
        await someone.send("text", text="My screen is broken.")
        return str((await someone.event("photo_wanted"))["url"])

    link = loop.run(begin())
    heads = st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 "]
    )

    @FEW
    @given(heads, st.binary(max_size=500))
    def shown(head: bytes, rest: bytes) -> None:
        async def post() -> int:
            async with (
                aiohttp.ClientSession() as client,
                client.post(running.http + link, data=head + rest) as answer,
            ):
                return answer.status

        assert loop.run(post()) == 415

    try:
        shown()
        assert running.gateway.calls == 1
        loop.run(context.__aexit__(None, None, None))
    finally:
        close()


def test_no_handshake_stops_the_port(loop: asyncio.Runner, tmp_path: Path) -> None:
    """Upgrades with anything in path, headers and frames; the next caller is served."""
    running, close = gateway_on(loop, tmp_path)

    @FEW
    @given(st.text(max_size=60), HEADERS, st.binary(max_size=300))
    def knocked(path: str, headers: dict[str, str], frames: bytes) -> None:
        lines = [f"GET /v1/call?{path} HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", ""]

        async def knock() -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
            writer.write("\r\n".join(lines).encode("utf-8", "replace") + frames)
            await asyncio.sleep(0)
            writer.transport.abort()

        loop.run(knock())

    async def served() -> None:
        async with caller(running.url) as someone:
            await someone.send("start")
            await someone.event("ready")

    try:
        knocked()
        loop.run(served())
    finally:
        close()


def test_what_a_webhook_answers_is_a_result_or_an_error_for_the_model(
    loop: asyncio.Runner, tmp_path: Path
) -> None:
    """A tool's service is somebody else's program."""
    next_answer: list[tuple[int, bytes]] = []

    async def answer(request: web.Request) -> web.Response:
        status, body = next_answer[-1]
        return web.Response(status=status, body=body)

    async def start() -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_post("/", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, runner.addresses[0][1]

    runner, port = loop.run(start())
    tool = WebhookTool(
        WebhookFile(
            name="look_up",
            description="x",
            url=f"http://127.0.0.1:{port}/",
            result="data.choices.0",
            allow_private=True,
        ),
        {},
    )
    context = ToolContext("call", "key", "", "en", tmp_path)

    @FEW
    @given(st.sampled_from([200, 201, 204, 301, 400, 404, 500]), BYTES | DEEP.map(str.encode))
    def answers(status: int, body: bytes) -> None:
        next_answer.append((status, body))
        ran = loop.run(tool.run("{}", context))
        assert ran.status in ("done", "failed", "unknown", "timeout")

    try:
        answers()
    finally:
        loop.run(runner.cleanup())
