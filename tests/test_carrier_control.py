"""Commanding calls: dialling out to Asterisk, hang-up and transfer by REST, keys; the operator's door."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from carrier_conversations import SAMPLES
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from gateways import Running, running_gateway, settings_for
from typer.testing import CliRunner
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from voicegw.audio.level import rms
from voicegw.cli import app
from voicegw.cli.dial import own_token
from voicegw.config import load_settings
from voicegw.errors import ConfigError
from voicegw.rehearsal.bridges import BRIDGES
from voicegw.server.audiosocket import AudioSocketPort
from voicegw.server.rest import hang_up_request, transfer_request
from voicegw.server.tokens import Tokens, issue

OPERATOR = {"carriers__operator_token": "op-token"}
CALL = "CA00000000000000000000000000000003"


async def ask(
    running: Running, path: str, body: dict[str, Any] | None = None, token: str = "op-token"
) -> tuple[int, dict[str, Any]]:
    """POST as an operator."""
    async with (
        ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.post(running.http + path, json=body or {}) as answer,
    ):
        return answer.status, await answer.json()


def call_id(running: Running) -> str:
    """The id of the only call in progress."""
    (session,) = running.gateway.sessions
    return session.call_id


class Rest:
    """A carrier's REST interface that keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, str]] = []
        self.came = asyncio.Event()
        self.status = 200

    async def answer(self, request: web.Request) -> web.Response:
        authorization = request.headers.get("Authorization", "")
        self.asked.append((request.method, request.raw_path, authorization, await request.text()))
        self.came.set()
        return web.json_response({}, status=self.status)


@contextlib.asynccontextmanager
async def rest() -> AsyncIterator[tuple[Rest, str]]:
    """A carrier's REST at a loopback address."""
    carrier = Rest()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", carrier.answer)
    async with TestServer(application) as server:
        yield carrier, str(server.make_url("")).rstrip("/")


def twilio(url: str) -> dict[str, str]:
    return {
        **OPERATOR,
        "carriers__enabled": "twilio",
        "twilio__account_sid": "AC1",
        "twilio__auth_token": "secret",
        "twilio__api_url": url,
    }


@contextlib.asynccontextmanager
async def signed_call(running: Running) -> AsyncIterator[ClientConnection]:
    from twilio.request_validator import RequestValidator

    url = f"ws://127.0.0.1:{running.server.port}/twilio"
    signature = RequestValidator("secret").compute_signature(url.replace("ws://", "wss://"), {})
    headers = {"X-Twilio-Signature": signature}
    async with connect(url, compression=None, additional_headers=headers) as connection:
        await connection.send((SAMPLES / "twilio" / "in-start.json").read_text())
        await connection.recv()
        yield connection


@contextlib.asynccontextmanager
async def controlled(folder: Path) -> AsyncIterator[tuple[Rest, Running, ClientConnection]]:
    """A call in progress at a gateway that has the carrier's credentials."""
    async with (
        rest() as (carrier, url),
        running_gateway(folder, None, **twilio(url)) as running,
        signed_call(running) as connection,
    ):
        yield carrier, running, connection


async def test_a_call_that_we_end_is_ended_at_the_carrier_too(tmp_path: Path) -> None:
    """A closed stream is not always a telephone that is on the hook."""
    async with controlled(tmp_path) as (carrier, running, _):
        assert (await ask(running, f"/v1/calls/{call_id(running)}/hangup"))[0] == 200
        await asyncio.wait_for(carrier.came.wait(), 20)
    ((method, path, authorization, body),) = carrier.asked
    assert (method, path) == ("POST", f"/2010-04-01/Accounts/AC1/Calls/{CALL}.json")
    assert base64.b64decode(authorization.removeprefix("Basic ")) == b"AC1:secret"
    assert parse_qs(body) == {"Status": ["completed"]}


async def test_a_caller_who_hangs_up_is_not_hung_up_on(tmp_path: Path) -> None:
    """One request less for most of all calls."""
    async with controlled(tmp_path) as (carrier, running, connection):
        await connection.send((SAMPLES / "twilio" / "in-stop.json").read_text())
        await asyncio.wait_for(running.gateway.drain(), 20)
    assert carrier.asked == []


async def test_a_transfer_is_done_by_rest_and_the_line_is_not_dead_meanwhile(tmp_path: Path) -> None:
    """The caller hears an open line until the other telephone rings; afterwards nobody hangs up on him."""
    async with controlled(tmp_path) as (carrier, running, connection):
        transfer = f"/v1/calls/{call_id(running)}/transfer"
        assert (await ask(running, transfer, {"target": "+1555<01"}))[0] == 409
        assert (await ask(running, transfer, {"target": "+15550111"}))[0] == 200
        bridge = BRIDGES["twilio"]()
        heard: list[int] = []
        async with asyncio.timeout(20):
            # The greeting ends, and soft noise goes on.
            while len(heard) < 20 or not all(5 < level < 200 for level in heard[-20:]):
                taken = bridge.take(await connection.recv())
                heard += [rms(item) for item in taken if isinstance(item, bytes)]
        await connection.send((SAMPLES / "twilio" / "in-stop.json").read_text())
        await asyncio.wait_for(running.gateway.drain(), 20)
    ((_, path, _, body),) = carrier.asked
    assert path.endswith(f"/Calls/{CALL}.json")
    assert parse_qs(body) == {"Twiml": ["<Response><Dial>+15550111</Dial></Response>"]}


async def test_an_operator_holds_a_call_and_the_agent_waits(tmp_path: Path) -> None:
    """Whoever was put on hold is not asked whether they are there; and a forgotten hold ends."""
    async with (
        rest() as (_, url),
        running_gateway(tmp_path, None, **twilio(url), limits__hold_s="1.5", limits__idle_s="0.2") as running,
        signed_call(running) as connection,
    ):
        (session,) = running.gateway.sessions
        hold = f"/v1/calls/{call_id(running)}/hold"
        assert (await ask(running, hold))[0] == 200
        bridge = BRIDGES["twilio"]()
        heard: list[int] = []
        async with asyncio.timeout(20):
            async for message in connection:
                heard += [rms(item) for item in bridge.take(message) if isinstance(item, bytes)]
        # Noise behind what of the greeting was on its way: nothing was said in it.
        assert all(5 < level < 200 for level in heard[-50:])
        assert session.end_reason == "hold_too_long"


async def test_a_call_on_hold_goes_on_where_it_was(tmp_path: Path) -> None:
    """The greeting that the hold has cut in two is sent to its end, of which the mark behind it tells."""
    async with controlled(tmp_path) as (_, running, connection):
        (session,) = running.gateway.sessions
        greeting = session.timeline.exchanges[0].sentences[0]
        hold = f"/v1/calls/{call_id(running)}/hold"
        assert (await ask(running, hold, {"on": True}))[0] == 200
        assert session.timeline.held
        assert greeting.ended_us is None
        assert (await ask(running, hold, {"on": False}))[0] == 200
        async with asyncio.timeout(20):
            while json.loads(await connection.recv())["event"] != "mark":
                pass
        assert greeting.began_us is not None


async def test_a_transfer_that_the_carrier_refuses_is_told(tmp_path: Path) -> None:
    """The agent must be able to say that it did not work."""
    async with controlled(tmp_path) as (carrier, running, _):
        carrier.status = 500
        status, said = await ask(running, f"/v1/calls/{call_id(running)}/transfer", {"target": "1000"})
        assert status == 409
        assert "cannot transfer" in said["error"]["message"]


async def test_keys_and_transfers_go_over_the_stream_where_it_has_words_for_them(tmp_path: Path) -> None:
    """Plivo presses keys, FreeSWITCH's application transfers."""
    values = {**OPERATOR, "carriers__enabled": "plivo,freeswitch"}
    async with running_gateway(tmp_path, None, **values) as running:
        at = f"ws://127.0.0.1:{running.server.port}"
        async with connect(at + "/plivo", compression=None) as connection:
            await connection.send((SAMPLES / "plivo" / "in-start.json").read_text())
            await connection.recv()
            path = f"/v1/calls/{call_id(running)}/keys"
            assert (await ask(running, path, {"digits": "12x"}))[0] == 409
            assert (await ask(running, path, {"digits": "1234#"}))[0] == 200
            wanted = json.loads((SAMPLES / "plivo" / "out-senddtmf.json").read_text())
            async with asyncio.timeout(20):
                while json.loads(await connection.recv()) != wanted:
                    pass
        async with connect(at + "/freeswitch", compression=None) as connection:
            await connection.send((SAMPLES / "freeswitch" / "in-metadata.json").read_text())
            await connection.recv()
            path = f"/v1/calls/{call_id(running)}/transfer"
            assert (await ask(running, path, {"target": "1000"}))[0] == 200
            wanted = json.loads((SAMPLES / "freeswitch" / "out-transfer.json").read_text())
            async with asyncio.timeout(20):
                while json.loads(await connection.recv()) != wanted:
                    pass


async def test_only_operators_command_calls(tmp_path: Path) -> None:
    """Without a token that is configured nobody is one."""
    async with running_gateway(tmp_path, None, **OPERATOR) as running:
        assert (await ask(running, "/v1/dial", {}, token="wrong"))[0] == 401
        assert (await ask(running, "/v1/calls/none/hangup"))[0] == 404
        assert (await ask(running, "/v1/dial", {"connection_id": "x"}))[0] == 400
    async with running_gateway(tmp_path / "other") as running:
        assert (await ask(running, "/v1/dial"))[0] == 403


async def test_a_token_that_may_operate_commands_calls(tmp_path: Path) -> None:
    """One door for operators: a token for callers opens nothing here."""
    values = {"door__secret": "s" * 40}
    async with running_gateway(tmp_path, None, **values) as running:
        door = running.gateway.settings.door
        caller, operator = (issue(door, "x", [scope], 60) for scope in ("call", "operate"))
        assert (await ask(running, "/v1/calls/none/hangup", token=caller))[0] == 403
        assert (await ask(running, "/v1/calls/none/hangup", token=operator))[0] == 404
        assert (await ask(running, "/v1/calls/none/hangup", token="op-token"))[0] == 401


async def test_a_gateway_with_a_door_has_no_second_way_in(tmp_path: Path) -> None:
    """A fixed token beside tokens that expire would be forgotten; `voicegw dial` makes its own."""
    with pytest.raises(ConfigError, match="take one of both settings away"):
        async with running_gateway(tmp_path, None, **OPERATOR, door__secret="s" * 40):
            pass
    settings = load_settings({}, None, {"door.secret": "s" * 40})
    assert Tokens(settings.door).check(own_token(settings), "operate").name == "voicegw dial"


def test_requests_have_the_form_of_each_carriers_interface(tmp_path: Path) -> None:
    """Without credentials there is none; ids are escaped, as Telnyx's hold a colon."""
    assert hang_up_request("twilio", CALL, load_settings({}, None)) is None
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(pem)
    settings = load_settings(
        {},
        None,
        {
            "telnyx.api_key": "KEY",
            "plivo.auth_id": "MA1",
            "plivo.auth_token": "t",
            "carriers.public_url": "https://voice.example.com",
            "vonage.application_id": "app",
            "vonage.private_key": str(tmp_path / "key.pem"),
            "jambonz.api_key": "j",
            "jambonz.account_sid": "acc",
            "jambonz.api_url": "https://jambonz.example.com/api/",
        },
    )
    telnyx = hang_up_request("telnyx", "v2:T02llQxIyaRkhf", settings)
    assert telnyx is not None
    assert telnyx.url == "https://api.telnyx.com/v2/calls/v2%3AT02llQxIyaRkhf/actions/hangup"
    assert telnyx.headers["Authorization"] == "Bearer KEY"
    moved = transfer_request("telnyx", "x", "+15550111", settings)
    assert moved is not None
    assert json.loads(moved.body) == {"to": "+15550111"}
    plivo = hang_up_request("plivo", "u1", settings)
    assert plivo is not None
    assert (plivo.method, plivo.url) == ("DELETE", "https://api.plivo.com/v1/Account/MA1/Call/u1/")
    plivo_moved = transfer_request("plivo", "u1", "15550111", settings)
    assert plivo_moved is not None
    assert json.loads(plivo_moved.body)["aleg_url"].startswith("https://voice.example.com/plivo/transfer?to=")
    vonage = hang_up_request("vonage", "aaaa-bbbb", settings)
    assert vonage is not None
    assert (vonage.method, json.loads(vonage.body)) == ("PUT", {"action": "hangup"})
    token = vonage.headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, key.public_key(), algorithms=["RS256"])
    assert claims["application_id"] == "app"
    jambonz = hang_up_request("jambonz", "c1", settings)
    assert jambonz is not None
    assert jambonz.url == "https://jambonz.example.com/api/v1/Accounts/acc/Calls/c1"
    assert "KEY" not in repr(telnyx)


class IncomingChannel:
    """Asterisk's end of `WebSocket/INCOMING`: a channel that waits for us."""

    def __init__(self) -> None:
        self.path = ""
        self.heard = asyncio.Event()
        self.hung_up = asyncio.Event()
        self.headers: dict[str, str] = {}

    async def serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.path = connection.request.path
        self.headers = dict(connection.request.headers.raw_items())
        await connection.send((SAMPLES / "asterisk" / "in-media_start.txt").read_text())
        async for message in connection:
            if isinstance(message, bytes) and rms(message) > 1_000:
                self.heard.set()
            if message == "HANGUP":
                self.hung_up.set()


async def test_the_gateway_dials_a_channel_that_waits_in_asterisk(tmp_path: Path) -> None:
    """From the command line, over a real gateway, to a real socket: greeted, and hung up."""
    channel = IncomingChannel()
    async with serve(
        channel.serve, "127.0.0.1", 0, subprotocols=[Subprotocol("media")], compression=None
    ) as asterisk:
        port = asterisk.sockets[0].getsockname()[1]
        values = {**OPERATOR, "asterisk__media_url": f"ws://127.0.0.1:{port}/media"}
        async with running_gateway(tmp_path, None, **values) as running:
            arguments = [
                "dial",
                "ab12-cd",
                "--gateway",
                running.http,
                "--token",
                "op-token",
            ]
            result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
            assert result.output == "dialled ab12-cd\n"
            await asyncio.wait_for(channel.heard.wait(), 20)
            assert channel.path == "/media/ab12-cd"
            assert channel.headers["Sec-WebSocket-Protocol"] == "media"
            assert "Sec-WebSocket-Extensions" not in channel.headers
            assert (await ask(running, f"/v1/calls/{call_id(running)}/hangup"))[0] == 200
            await asyncio.wait_for(channel.hung_up.wait(), 20)
            await asyncio.wait_for(running.gateway.drain(), 20)


async def test_a_channel_that_is_gone_is_told_to_who_dialled(tmp_path: Path) -> None:
    """404 and 409 are Asterisk's words for unknown and taken; nothing may be left of the attempt."""

    async def refuse(connection: ServerConnection, request: object) -> Any:
        return connection.respond(404, "unknown")

    async with serve(lambda connection: asyncio.sleep(0), "127.0.0.1", 0, process_request=refuse) as asterisk:
        port = asterisk.sockets[0].getsockname()[1]
        values = {**OPERATOR, "asterisk__media_url": f"ws://127.0.0.1:{port}/media"}
        async with running_gateway(tmp_path, None, **values) as running:
            status, said = await ask(running, "/v1/dial", {"connection_id": "gone"})
            assert (status, said["error"]["message"]) == (502, "Asterisk answered HTTP 404")
            assert running.gateway.arrivals == 0
            assert (await ask(running, "/v1/dial", {"connection_id": "../x y"}))[0] == 400
            asterisk.close()
            await asterisk.wait_closed()
            status, said = await ask(running, "/v1/dial", {"connection_id": "gone"})
            assert status == 502


async def test_audiosocket_does_not_stand_open_to_the_network_by_mistake(tmp_path: Path) -> None:
    """The protocol has no credentials: whoever reaches the port may call."""
    values = {"carriers__enabled": "audiosocket", "audiosocket__host": "0.0.0.0", "audiosocket__port": "0"}
    async with running_gateway(tmp_path, None) as running:
        gateway = running.gateway
        for more, opens in (({}, False), ({"audiosocket__allow_from": "127.0.0.0/8"}, True)):
            gateway.settings = settings_for(tmp_path, **values, **more)
            port = AudioSocketPort(gateway)
            if opens:
                await port.open()
                assert port.port
                port.close()
            else:
                with pytest.raises(ConfigError, match="who may call"):
                    await port.open()


async def test_calls_are_announced_to_audiosocket(tmp_path: Path) -> None:
    """The connection itself tells nothing but a UUID."""
    values = {
        "carriers__enabled": "audiosocket",
        "audiosocket__port": "0",
        "audiosocket__known_only": "true",
        "audiosocket__token": "t0ken",
    }
    uuid = "4f6f2c1e-8d4b-4a11-9c3e-0a1b2c3d4e5f"
    async with running_gateway(tmp_path, None, **values) as running, ClientSession() as session:
        stranger, writer = await asyncio.open_connection("127.0.0.1", running.audiosocket_port)
        opening = BRIDGES["audiosocket"].of({"codec": "l16"})
        opening.identity = {"external_id": uuid}
        (first,) = opening.open()
        assert isinstance(first, bytes)
        writer.write(first)
        assert await stranger.read() == b"\0\0\0"
        writer.close()
        form = {"uuid": uuid, "from": "+15550199", "token": "wrong"}
        at = running.http + "/audiosocket/calls"
        assert (await session.post(at, data=form)).status == 401
        assert (await session.post(at, data={**form, "token": "t0ken"})).status == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", running.audiosocket_port)
        writer.write(first + b"\x10\x01\x40" + bytes(320))
        assert await reader.readexactly(3) == b"\x10\x01\x40"
        (found,) = running.gateway.sessions
        assert (found.start.external_id, found.start.caller) == (uuid, "+15550199")
        assert "token" not in found.start.metadata
        writer.close()
        await asyncio.wait_for(running.gateway.drain(), 20)
