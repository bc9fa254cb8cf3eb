"""Handing a caller over, to the end: said, written, done by the carrier; and what happens where it fails.

Real sockets on all sides: Twilio's stream and its REST interface (a local one with its true form), the native
protocol, and the receiver of the webhook after the call.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from gateways import Caller, Running, caller, kept_gateway
from test_carrier_control import CALL, Rest, rest, twilio
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from voicegw.carriers.base import Message
from voicegw.rehearsal.bridges import BRIDGES
from voicegw.rehearsal.script import Script, ScriptedReply, ToolCall
from voicegw.rehearsal.telephone import Telephone

PERSONA = """
name = "phone"
language = "en"
system_prompt = "You are a telephone agent."

[phrases]
greeting = "Hello."
apology = "I am sorry."
not_understood = "Sorry?"
transferring = "I connect you."

[tools]
use = ["transfer_to_person", "request_callback", "end_call"]

[[transfer]]
name = "person"
address = "+15550111"

[keypad.menu]
0 = "I want a person"
1 = "Yes, call me back"
"""
SUMMARY = "Order DH123456 is two days late, the caller wants it today."


def model(messages: list[dict[str, Any]]) -> str | ScriptedReply:
    """Hands over when asked to, offers a call back when nobody answers, and notes it."""
    last = messages[-1]
    said = str(last["content"])
    if "nobody has answered" in said:
        return "Nobody is free. Shall we call you back?"
    if last["role"] == "tool":
        return "We will call you."
    if "call me back" in said:
        wish = json.dumps({"when": "tomorrow at nine", "reason": "nobody was free"})
        return ScriptedReply("", (ToolCall("request_callback", wish),))
    if "person" in said:
        wish = json.dumps({"reason": "late order", "summary": SUMMARY})
        return ScriptedReply("", (ToolCall("transfer_to_person", wish),))
    return "Yes?"


Press = Callable[[str], Awaitable[None]]


class Crm:
    """The receiver of records."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def take(self, request: web.Request) -> web.Response:
        assert request.headers["Voicegw-Signature"]
        self.calls.put_nowait(await request.json())
        return web.Response()

    async def record(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            told = await self.calls.get()
        assert told["event"] == "call_ended"
        found: dict[str, Any] = told["call"]
        return found


@asynccontextmanager
async def office(folder: Path, **more: str) -> AsyncIterator[tuple[Running, Crm]]:
    """A gateway that keeps its calls and tells them to a CRM."""
    (folder / "personas").mkdir()
    (folder / "personas" / "phone.toml").write_text(PERSONA, encoding="utf-8")
    crm = Crm()
    application = web.Application()
    application.router.add_post("/calls", crm.take)
    async with (
        TestServer(application) as server,
        kept_gateway(
            folder / "data",
            Script(llm=model, ms_per_char=20),
            persona__folders=str(folder / "personas"),
            persona__default="phone",
            hook__url=str(server.make_url("/calls")),
            hook__secret="hush",
            hook__allow_private="true",
            **more,
        ) as running,
    ):
        yield running, crm


@asynccontextmanager
async def telephone(running: Running) -> AsyncIterator[tuple[Telephone, Press]]:
    """Somebody calls through Twilio, and may press keys."""
    url = f"ws://127.0.0.1:{running.server.port}/twilio"
    signed = RequestValidator("secret").compute_signature(url.replace("ws://", "wss://"), {})
    bridge = BRIDGES["twilio"](identity={"external_id": CALL, "caller": "+15550199"})
    async with connect(url, compression=None, additional_headers={"X-Twilio-Signature": signed}) as line:

        async def send(message: Message) -> None:
            try:
                await line.send(message)
            except ConnectionClosed:
                phone.gone = True

        async def hear() -> None:
            try:
                async for message in line:
                    await phone.take(message)
            except ConnectionClosed:
                pass
            phone.gone = True

        async def press(digit: str) -> None:
            for message in bridge.dtmf(digit):
                await send(message)

        phone = Telephone(bridge, send)
        for message in bridge.open():
            await line.send(message)
        tasks = [asyncio.create_task(hear()), asyncio.create_task(phone.run())]
        try:
            async with asyncio.timeout(20):
                await phone.until(lambda: len(phone.sounds) > 0 and phone.quiet_for(0.2))
                yield phone, press
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            # The line goes as Twilio's does, behind its `stop`.
            for message in bridge.hang_up():
                await send(message)


async def until_quiet(phone: Telephone) -> None:
    """The agent says something, to its end."""
    since = phone.now
    await phone.until(lambda: phone.sounding_since(since) is not None and phone.quiet_for(0.3))


async def twilio_asked(carrier: Rest) -> dict[str, list[str]]:
    async with asyncio.timeout(20):
        await carrier.came.wait()
    ((method, path, _, body),) = carrier.asked
    assert (method, path) == ("POST", f"/2010-04-01/Accounts/AC1/Calls/{CALL}.json")
    return parse_qs(body)


async def test_a_caller_is_handed_over_by_the_carrier(tmp_path: Path) -> None:
    """Spoken first, then done; whoever looks the call up finds what it was about."""
    async with rest() as (carrier, url), office(tmp_path, **twilio(url)) as (running, crm):
        async with telephone(running) as (phone, press):
            greeted = len(phone.sounds)
            await press("0")
            assert await twilio_asked(carrier) == {"Twiml": ["<Response><Dial>+15550111</Dial></Response>"]}
            assert len(phone.sounds) > greeted, "nobody is put through without a word"
            async with asyncio.timeout(20):
                await running.gateway.drain()
        record = await crm.record()
    assert len(carrier.asked) == 1, "a caller who was handed over is not hung up on"
    assert (record["ended_by"], record["outcome"]) == ("transferred", "transferred")
    assert record["summary"] == SUMMARY
    assert [(each["target"], each["status"]) for each in record["transfers"]] == [("person", "done")]
    assert record["turns"][-1]["heard"] == "I connect you."


async def test_where_the_carrier_refuses_the_call_goes_on_and_a_call_back_is_recorded(tmp_path: Path) -> None:
    """Nobody is left on a dead line: the agent comes back, and somebody's list has the number."""
    async with rest() as (carrier, url), office(tmp_path, **twilio(url)) as (running, crm):
        carrier.status = 500
        async with telephone(running) as (phone, press):
            await press("0")
            await twilio_asked(carrier)
            await until_quiet(phone)
            await press("1")
            await until_quiet(phone)
        record = await crm.record()
    assert (record["ended_by"], record["outcome"]) == ("caller", "callback")
    assert [(each["target"], each["status"]) for each in record["transfers"]] == [
        ("person", "failed"),
        ("+15550199", "callback_requested"),
    ]
    assert [turn["heard"] for turn in record["turns"]][1:] == [
        "I connect you. Nobody is free. Shall we call you back?",
        "We will call you.",
    ]


@asynccontextmanager
async def handing_over(running: Running) -> AsyncIterator[tuple[Caller, dict[str, Any]]]:
    """A native client that is asked to hand its caller over."""
    async with caller(running.url) as someone:
        await someone.send("start", persona="phone", caller="+84901234567")
        await someone.event("speech_stopped")
        await someone.send("text", text="I want a person")
        yield someone, await someone.event("transfer")


@pytest.mark.parametrize("done", [True, False])
async def test_a_native_client_hands_over_and_tells_how_it_went(tmp_path: Path, done: bool) -> None:
    """The client gets address, reason and summary behind the spoken words, and its answer counts."""
    async with office(tmp_path) as (running, crm):
        async with handing_over(running) as (someone, asked):
            assert asked == {
                "type": "transfer",
                "target": "person",
                "status": "started",
                "address": "+15550111",
                "reason": "late order",
                "summary": SUMMARY,
            }
            stopped = [event for event in someone.events if event["type"] == "speech_stopped"]
            assert stopped[-1]["heard"] == "I connect you."
            await someone.send("transferred", done=done)
            if done:
                assert (await someone.event("hangup"))["reason"] == "transferred"
                assert (await someone.closed())[0] == 1000
            else:
                assert (await someone.event("transfer"))["status"] == "failed"
                assert "Nobody is free" in (await someone.event("reply_text"))["text"]
                await someone.event("speech_stopped")
                await someone.send("text", text="Yes, call me back")
                told = await someone.event("callback")
                assert (told["when"], told["reason"]) == ("tomorrow at nine", "nobody was free")
                await someone.event("speech_stopped")
                await someone.send("hangup")
        record = await crm.record()
    transfers = [(each["target"], each["status"]) for each in record["transfers"]]
    if done:
        assert transfers == [("person", "done")]
        assert record["summary"] == SUMMARY
    else:
        assert transfers == [("person", "failed"), ("+84901234567", "callback_requested")]
