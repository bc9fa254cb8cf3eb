"""Tools in whole calls over real sockets: a real webhook server counts keys and raw requests."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from gateways import Caller, Running, caller, running_gateway
from test_process import process

from voicegw.agents.shop import Shop
from voicegw.agents.shop_tools import BUILT_IN
from voicegw.agents.tools import FunctionTool, ToolContext, tool
from voicegw.agents.webhook import Parameter, WebhookFile, WebhookTool
from voicegw.call.call import Call
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.provider_server import ProviderServer
from voicegw.rehearsal.script import Fault, Replies, Script, ScriptedReply, ToolCall
from voicegw.store.journal import read_journal

PERSONA = """
name = "booker"
language = "en"
system_prompt = "Book."

[phrases]
apology = "Sorry."
not_understood = "Pardon?"

[[tools.webhook]]
name = "book"
description = "Book."
url = "{url}/book"
headers = {{ Authorization = "Bearer ${{BOOK_KEY}}" }}
parameters = {{ day = {{ type = "string" }} }}
result = "data"
allow_private = true
idempotent = {idempotent}
timeout_s = 60
"""


class Service:
    """Somebody's web service: counts what really arrives, and may keep it waiting."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any], str]] = []
        self.came = asyncio.Event()
        self.go_on = asyncio.Event()
        self.url = ""

    @property
    def keys(self) -> set[str]:
        return {key for key, _, _ in self.requests}

    async def book(self, request: web.Request) -> web.Response:
        key, sent_by = request.headers["Idempotency-Key"], request.headers.get("Authorization", "")
        self.requests.append((key, await request.json(), sent_by))
        self.came.set()
        await self.go_on.wait()
        return web.json_response({"data": {"booked": True}})


@asynccontextmanager
async def service() -> AsyncIterator[Service]:
    found = Service()
    app = web.Application()
    app.router.add_post("/book", found.book)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        found.go_on.set()
        await runner.cleanup()


def persona_folder(folder: Path, url: str, *, idempotent: bool) -> Path:
    personas = folder / "personas"
    personas.mkdir()
    text = PERSONA.format(url=url, idempotent=str(idempotent).lower())
    (personas / "booker.toml").write_text(text, encoding="utf-8")
    return personas


def books_once(messages: list[dict[str, Any]]) -> ScriptedReply:
    """A model that books when it is asked to, and tells the result."""
    if messages[-1]["role"] == "tool":
        return ScriptedReply(f"Result {messages[-1]['content']}")
    return ScriptedReply("", (ToolCall("book", '{"day": "Friday"}'),))


async def test_a_webhook_gets_key_secret_and_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is spoken; the secret comes from the environment, and stands in no file."""
    monkeypatch.setenv("BOOK_KEY", "s3cret")
    async with service() as booking:
        booking.go_on.set()
        folder = persona_folder(tmp_path, booking.url, idempotent=False)
        script = Script(llm=books_once, ms_per_char=12)
        async with (
            running_gateway(tmp_path, script, persona__folders=str(folder)) as running,
            caller(running.url) as someone,
        ):
            await someone.send("start", persona="booker")
            await someone.event("ready")
            await someone.send("text", text="Friday, please")
            assert (await someone.event("tool"))["status"] == "running"
            assert (await someone.event("tool"))["status"] == "done"
            assert "booked" in (await someone.event("reply_text"))["text"]
    ((key, sent, authorization),) = booking.requests
    assert (sent, authorization) == ({"day": "Friday"}, "Bearer s3cret")
    assert len(key) == 32


@asynccontextmanager
async def at_the_desk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, llm: Replies = books_once, more: str = ""
) -> AsyncIterator[tuple[Service, Running, Caller]]:
    """A caller whose agent books at a real service, not idempotent; the service waits until `go_on`."""
    monkeypatch.setenv("BOOK_KEY", "s3cret")
    async with service() as booking:
        personas = persona_folder(folder, booking.url, idempotent=False)
        path = personas / "booker.toml"
        path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
        async with (
            running_gateway(
                folder, Script(llm=llm, ms_per_char=12), persona__folders=str(personas)
            ) as running,
            caller(running.url) as someone,
        ):
            await someone.send("start", persona="booker")
            await someone.event("ready")
            yield booking, running, someone


async def until_said(someone: Caller, word: str) -> str:
    """The agent's next sentence with this word in it."""
    while word not in (told := str((await someone.event("reply_text"))["text"])):
        pass
    return told


def books_and_chats(messages: list[dict[str, Any]]) -> ScriptedReply:
    """Books once; whatever else is said is talked about, and a result is told when it is seen."""
    last = messages[-1]
    if "booked" in str(messages) and "Result" not in str(messages):
        return ScriptedReply("Result: it is booked.")
    if "Friday" in str(last["content"]) and last["role"] == "user":
        return ScriptedReply("", (ToolCall("book", '{"day": "Friday"}'),))
    return ScriptedReply("I am still at it.")


async def test_an_interruption_during_a_tool_loses_nothing_and_books_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun goes on; its result is told when there is a moment for it."""
    async with at_the_desk(tmp_path, monkeypatch, books_and_chats) as (booking, _, someone):
        await someone.send("text", text="Friday, please")
        await booking.came.wait()
        await someone.send("text", text="Are you there?")
        assert await until_said(someone, "still") == "I am still at it."
        await someone.event("speech_stopped")
        booking.go_on.set()
        assert await until_said(someone, "Result") == "Result: it is booked."
    assert len(booking.requests) == len(booking.keys) == 1


async def test_a_caller_who_comes_back_during_a_tool_hears_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call outlives its connection, and so does what it has begun."""
    async with at_the_desk(tmp_path, monkeypatch) as (booking, running, someone):
        ready = someone.events[0]
        await someone.send("text", text="Friday, please")
        await booking.came.wait()
        someone.connection.transport.abort()
        async with caller(f"{running.url}?resume_token={ready['resume_token']}") as again:
            assert (await again.event("ready"))["resumed"]
            booking.go_on.set()
            assert "booked" in await until_said(again, "Result")
    assert len(booking.requests) == 1


@pytest.mark.parametrize("broken_at", [300, 700])
async def test_an_answer_that_breaks_behind_a_tool_does_not_run_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_at: int
) -> None:
    """Even where the model, asked to go on, calls the tool once more."""

    def forgetful(messages: list[dict[str, Any]]) -> ScriptedReply:
        if messages[-1]["role"] == "tool" and len(messages) < 6:
            return ScriptedReply("Result: it is booked. We are glad to see you on Friday at noon.")
        if messages[-1]["role"] == "assistant":
            return ScriptedReply("", (ToolCall("book", '{"day": "Friday"}'),))
        return books_once(messages)

    async with at_the_desk(tmp_path, monkeypatch, forgetful) as (booking, running, someone):
        booking.go_on.set()
        running.provider.fail("llm", Fault(reset_after=broken_at), after=1)
        await someone.send("text", text="Friday, please")
        await until_said(someone, "Result")
        await someone.event("speech_stopped")
        assert len(running.provider.received("llm")) >= 3
    assert len(booking.requests) == 1


async def test_the_same_tool_twice_at_once_is_one_booking_and_two_callers_are_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model stutters; two people who want the same are two people."""

    def stutters(messages: list[dict[str, Any]]) -> ScriptedReply:
        if messages[-1]["role"] == "tool":
            return books_once(messages)
        twice = (ToolCall("book", '{"day": "Friday"}', "a"), ToolCall("book", '{"day":  "Friday"}', "b"))
        return ScriptedReply("", twice)

    async with (
        at_the_desk(tmp_path, monkeypatch, stutters) as (booking, running, first),
        caller(running.url) as second,
    ):
        await second.send("start", persona="booker")
        await second.event("ready")
        for someone in (first, second):
            await someone.send("text", text="Friday, please")
        await booking.came.wait()
        booking.go_on.set()
        for someone in (first, second):
            assert "booked" in await until_said(someone, "Result")
    assert len(booking.requests) == len(booking.keys) == 2


async def test_a_long_tool_is_not_waited_for_and_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent talks on; the result is the model's to tell, once nobody speaks."""
    async with at_the_desk(tmp_path, monkeypatch, books_and_chats, "background = true\n") as (
        booking,
        _,
        someone,
    ):
        await someone.send("text", text="Friday, please")
        await booking.came.wait()
        assert await until_said(someone, "still") == "I am still at it.", "while it runs"
        await someone.event("speech_stopped")
        await someone.send("text", text="How is the weather?")
        await until_said(someone, "still")
        await someone.event("speech_stopped")
        booking.go_on.set()
        assert await until_said(someone, "Result") == "Result: it is booked."
    assert len(booking.requests) == 1


@pytest.mark.parametrize(("idempotent", "sent"), [(True, 2), (False, 1)])
async def test_a_killed_process_never_does_it_twice(tmp_path: Path, idempotent: bool, sent: int) -> None:
    """What may be repeated is sent again with the same key; of anything else the outcome is unknown."""
    async with service() as booking, ProviderServer(ScriptedProvider(Script(llm=books_once))) as provider:
        folder = persona_folder(tmp_path, booking.url, idempotent=idempotent)
        arguments = ["serve", "--set", "server.port=0", "--set", f"persona.folders={folder}"]
        env = {
            "VOICEGW_PROVIDER__BASE_URL": provider.base_url,
            "VOICEGW_PROVIDER__API_KEY": "test-key",
            "BOOK_KEY": "s3cret",
        }
        async with process(tmp_path, *arguments, **env) as gateway:
            assert gateway.stdout is not None
            url = (await gateway.stdout.readline()).decode().split()[-1]
            async with caller(url) as someone:
                await someone.send("start", persona="booker")
                await someone.event("ready")
                await someone.send("text", text="Friday, please")
                await booking.came.wait()
                gateway.send_signal(signal.SIGKILL)
                await gateway.wait()
        booking.go_on.set()
        (journal,) = (tmp_path / "data" / "journals").glob("*.jsonl")
        async with process(tmp_path, *arguments, **env) as gateway:
            assert gateway.stdout is not None
            await gateway.stdout.readline()
            async with asyncio.timeout(20):
                while b'"ToolResult"' not in journal.read_bytes():  # noqa: ASYNC110 - another process writes it
                    await asyncio.sleep(0.05)
    assert len(booking.keys) == 1
    assert len(booking.requests) == sent
    settings, events = read_journal(journal)
    call = Call(settings)
    for event, now in events:
        call.receive(event, now)
    told = [m["content"] for m in call.history if m["role"] == "tool"]
    assert told == ['{"booked": true}'] if idempotent else "outcome is unknown" in told[0]


CONTEXT = ToolContext("call", "key", "+841", "en", Path("/nowhere"))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x", "http://localhost:9/x", "http://169.254.169.254/x", "http://[::1]/x"]
)
async def test_no_private_address_is_called(url: str) -> None:
    """A model that is talked into it must not reach what is inside."""
    made = WebhookTool(WebhookFile(name="spy", description="x", url=url, timeout_s=5))
    ran = await made.run("{}", CONTEXT)
    assert ran.status == "failed"
    assert "not allowed" in ran.content


@asynccontextmanager
async def answering(
    status: int, headers: dict[str, str], body: str = ""
) -> AsyncIterator[tuple[str, list[str]]]:
    """A web server with one answer; gives its address and the paths that were asked for."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return web.Response(status=status, headers=headers, text=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    """The service that was named is asked and no other: a redirect could lead inside."""
    async with answering(status, {"Location": "/inside"}) as (url, asked):
        made = WebhookTool(WebhookFile(name="go", description="x", url=f"{url}/out", allow_private=True))
        ran = await made.run("{}", CONTEXT)
    assert ran.status == "failed"
    assert asked == ["/out"]


@pytest.mark.parametrize(
    ("order", "path"),
    [
        ("DH1", "/orders/DH1"),
        ("../admin", "/orders/..%2Fadmin"),
        ("a/b?c#e", "/orders/a%2Fb%3Fc%23e"),
        ("%2e%2e", "/orders/%252e%252e"),
        ("đơn hàng 1", "/orders/%C4%91%C6%A1n%20h%C3%A0ng%201"),
        ("..", None),
        (".", None),
    ],
)
async def test_an_argument_stays_within_its_place_in_the_address(order: str, path: str | None) -> None:
    """What a caller says must not choose another path of the service."""
    async with answering(200, {}, "{}") as (url, asked):
        address = f"{url}/orders/{{order}}"
        made = WebhookTool(
            WebhookFile(
                name="get",
                description="x",
                method="GET",
                url=address,
                allow_private=True,
                parameters={"order": Parameter()},
            )
        )
        ran = await made.run(json.dumps({"order": order}), CONTEXT)
    assert asked == ([path] if path else [])
    assert ran.status == ("done" if path else "bad_arguments")


@pytest.mark.parametrize(
    "text",
    [
        "DH123456'; drop table orders; --",
        '" or ""="',
        "%_%",
        "x" * 100_000,
        "đơn \u0000 hàng",
        "\ud83d\ude00 2025",
        "DH１２３４５６",
        "",
    ],
)
async def test_whatever_is_said_for_an_argument_the_shop_stays_whole(tmp_path: Path, text: str) -> None:
    """Arguments come from a model that repeats callers."""
    context = ToolContext("c", "k", "+841", "vi", tmp_path)
    before = Shop(tmp_path / "shop.sqlite").order("DH123456")
    for name, arguments in (
        ("get_order_status", {"order_id": text}),
        ("get_product_info", {"product_id": text}),
        ("calculate_discount", {"coupon_code": text, "original_price": 1}),
        ("reschedule_delivery", {"order_id": text, "day": text}),
    ):
        ran = await BUILT_IN[name].run(json.dumps(arguments), context)
        assert ran.status in ("failed", "bad_arguments"), name
        assert json.loads(ran.content)["error"]
        assert "Traceback" not in ran.content
    shop = Shop(tmp_path / "shop.sqlite")
    assert shop.changes() == []
    assert shop.order("DH123456") == before


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-1", "0", "1e999", '"20 triệu"', "null"])
async def test_a_price_that_is_none_is_told(tmp_path: Path, price: str) -> None:
    context = ToolContext("c", "k", "+841", "vi", tmp_path)
    arguments = f'{{"coupon_code": "SUMMER2025", "original_price": {price}}}'
    ran = await BUILT_IN["calculate_discount"].run(arguments, context)
    assert ran.status == "bad_arguments"


def _weather(city: str, days: int = 1, *, context: ToolContext) -> dict[str, object]:
    """Tell the weather."""
    return {"city": city, "days": days, "for": context.caller}


async def test_a_function_becomes_a_tool_by_its_hints() -> None:
    """Its schema is what the model sees; wrong arguments are told, not raised."""
    weather: FunctionTool = tool(name="weather", read_only=True)(_weather)
    function = weather.definition["function"]
    assert function["description"] == "Tell the weather."
    assert function["parameters"]["required"] == ["city"]
    assert set(function["parameters"]["properties"]) == {"city", "days"}
    ran = await weather.run('{"city": "Huế"}', CONTEXT)
    assert json.loads(ran.content) == {"city": "Huế", "days": 1, "for": "+841"}
    assert (await weather.run('{"city": 3, "x": 1}', CONTEXT)).status == "bad_arguments"


async def test_a_slow_or_broken_function_does_not_end_the_call() -> None:
    """The model is told, the caller too; whether it took effect nobody knows."""

    @tool(timeout_s=0.05)
    async def slow() -> None:
        """Never ends."""
        await asyncio.Event().wait()

    @tool()
    def broken() -> None:
        """Fail."""
        raise ZeroDivisionError

    assert (await slow.run("{}", CONTEXT)).status == "timeout"
    assert (await broken.run("{}", CONTEXT)).status == "failed"
