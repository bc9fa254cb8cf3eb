"""Who may connect as a carrier: signatures, credentials, tokens and addresses, over real sockets and HTTP."""

import asyncio
import base64
import contextlib
import io
import json
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import urlencode

import jwt
import pytest
from carrier_conversations import SAMPLES
from gateways import Running, running_gateway
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from voicegw.carriers.base import Handshake
from voicegw.config import Settings, load_settings
from voicegw.observe.log import logging_to
from voicegw.server.peers import Peers, Refused, forwarded_peer
from voicegw.server.signatures import plivo_signature, twilio_signature

TOKEN = "12345abcdef67890fedcba0987654321"
PUBLIC = "https://voice.example.com"


def configured(**values: str) -> Settings:
    return load_settings({}, None, {name.replace("__", "."): value for name, value in values.items()})


def refusal(
    carrier: str, handshake: Handshake, values: dict[str, str], form: dict[str, str] | None = None
) -> str:
    """Which check fails; "" when all pass."""
    try:
        Peers(configured(**values)).check(carrier, handshake, form)
    except Refused as refused:
        return str(refused)
    return ""


# Signatures as the vendors' documents have them


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        ("wss://voice.example.com/twilio/media", "+taAI9S6xbbHunwoHuiakPnZIUQ="),
        ("wss://voice.example.com:443/twilio/media", "3Dodo9P1Ra9e/deRtj0+OHWNPBw="),
        ("wss://voice.example.com/twilio/media/", "lzhwU8dOasnZL9bXpu3VYtJCLu4="),
    ],
)
def test_every_spelling_of_the_public_address_verifies(url: str, signature: str) -> None:
    """Port and slash depend on how the address was typed into a console: neither may cost a call."""
    assert twilio_signature(TOKEN, url, {}) == signature
    handshake = Handshake("/twilio/media", headers={"x-twilio-signature": signature})
    values = {"twilio__auth_token": TOKEN, "carriers__public_url": PUBLIC}
    assert refusal("twilio", handshake, values) == ""
    values["carriers__public_url"] = "https://other.example.com"
    assert refusal("twilio", handshake, values) == "Refused: X-Twilio-Signature."


@pytest.mark.parametrize(
    ("url", "form", "signature"),
    [
        (f"{PUBLIC}/plivo/answer?a=b", {}, "TPjPA2Mgt8Lk/lmfowpgeaK2khAs1lmB9tsW7MeFVJ0="),
        (
            f"{PUBLIC}/plivo/answer",
            {"CallUUID": "u1", "From": "15550199"},
            "A455rj9xXLzvMnHPy5qSmAHtr/j3dPOI3DxeQKjZkcc=",
        ),
        (
            f"{PUBLIC}/plivo/answer?a=b",
            {"CallUUID": "u1", "From": "15550199"},
            "HIrw3BjI4ezS0l+xeJ6ItsZyFN4ocH1fRStLX+rK2bE=",
        ),
    ],
)
def test_plivos_signature_is_verified(url: str, form: dict[str, str], signature: str) -> None:
    """With and without a query, with and without posted fields; one of several signatures is enough."""
    nonce = "12345678901234567890"
    assert plivo_signature(TOKEN, url, nonce, form) == signature
    headers = {"x-plivo-signature-v3": f"bm9uZQ==,{signature}", "x-plivo-signature-v3-nonce": nonce}
    handshake = Handshake(url.removeprefix(PUBLIC), headers=headers)
    values = {"plivo__auth_token": TOKEN, "carriers__public_url": PUBLIC}
    assert refusal("plivo", handshake, values, form) == ""
    changed = {**form, "From": "15550198"}
    assert refusal("plivo", handshake, values, changed) == "Refused: X-Plivo-Signature-V3."
    assert refusal("plivo", Handshake("/plivo"), values) == "Refused: X-Plivo-Signature-V3 missing."
    assert refusal("plivo", Handshake("/plivo"), {**values, "plivo__signed_streams": "false"}) == ""


def test_the_signature_covers_what_a_trusted_proxy_says_and_nobody_elses_word() -> None:
    """Behind a proxy the host is the proxy's; a stranger who names another host gains nothing."""
    signature = twilio_signature(TOKEN, "wss://voice.example.com/twilio", {})
    headers = {
        "x-twilio-signature": signature,
        "host": "10.0.0.5:8080",
        "x-forwarded-host": "voice.example.com",
    }
    handshake = Handshake("/twilio", headers=headers)
    values = {"twilio__auth_token": TOKEN}
    assert refusal("twilio", handshake, values) != ""
    assert refusal("twilio", handshake, {**values, "carriers__trusted_proxies": "10.0.0.0/8"}) == ""


def test_only_trusted_proxies_tell_who_connects() -> None:
    """X-Forwarded-For is a header that anybody may write."""
    settings = configured(carriers__trusted_proxies="10.0.0.0/8")
    headers = {"x-forwarded-for": "203.0.113.9, 198.51.100.1, 10.0.0.7"}
    assert forwarded_peer("10.0.0.5", headers, settings) == "198.51.100.1"
    assert forwarded_peer("192.0.2.1", headers, settings) == "192.0.2.1"
    assert forwarded_peer("10.0.0.5", headers, configured()) == "10.0.0.5"


@pytest.mark.parametrize(
    ("address", "welcome"),
    [("203.0.113.7", True), ("::ffff:203.0.113.7", True), ("203.0.114.7", False), ("", False)],
)
def test_addresses_that_are_not_listed_are_refused(address: str, welcome: bool) -> None:
    """For carriers that sign nothing, the network is the key."""
    found = refusal("audiosocket", Handshake(peer=address), {"audiosocket__allow_from": "203.0.113.0/24"})
    assert (found == "") is welcome


@pytest.mark.parametrize(
    ("authorization", "wanted"),
    [
        ("Basic " + base64.b64encode(b"pbx1:secret").decode(), ""),
        ("basic " + base64.b64encode(b"pbx1:secret").decode(), ""),
        ("Basic " + base64.b64encode(b"pbx1:Secret").decode(), "Refused: basic credentials."),
        ("Basic ///", "Refused: basic credentials."),
        ("Basic \u0131", "Refused: basic credentials."),
        ("Bearer t0ken", ""),
        ("Bearer token", "Refused: bearer token."),
        ("", "Refused: authorization missing."),
    ],
)
def test_credentials_are_demanded_once_they_are_set(authorization: str, wanted: str) -> None:
    """A configured secret that is not asked for would be worse than none."""
    handshake = Handshake("/asterisk", headers={"authorization": authorization})
    values = {"asterisk__basic": "pbx1:secret", "asterisk__bearer": "t0ken"}
    assert refusal("asterisk", handshake, values) == wanted


@pytest.mark.parametrize(
    ("claims", "secret", "algorithm", "wanted"),
    [
        ({"iat": 0}, TOKEN, "HS256", ""),
        ({"iat": 0, "exp": 3600}, TOKEN, "HS256", ""),
        ({"iat": -7200, "exp": -3600}, TOKEN, "HS256", "Refused: JWT expired."),
        ({"iat": 0}, TOKEN + "x", "HS256", "Refused: JWT."),
        ({"iat": 0}, TOKEN * 2, "HS512", "Refused: JWT."),
        ({"iat": 0}, "", "none", "Refused: JWT."),
        ({}, TOKEN, "HS256", "Refused: JWT."),
    ],
)
def test_vonages_jwt_is_verified(claims: dict[str, int], secret: str, algorithm: str, wanted: str) -> None:
    """Also against a token that chooses its own algorithm."""
    now = int(time.time())
    token = jwt.encode({name: now + value for name, value in claims.items()}, secret, algorithm=algorithm)
    handshake = Handshake("/vonage", headers={"authorization": f"Bearer {token}"})
    assert refusal("vonage", handshake, {"vonage__signature_secret": TOKEN}) == wanted


# Over real sockets


def twilio_settings(running_on: str = "") -> dict[str, str]:
    return {"carriers__enabled": "twilio", "twilio__auth_token": TOKEN, "carriers__public_url": PUBLIC}


def stream(running: Running, path: str = "/twilio", **headers: str) -> connect:
    return connect(
        f"ws://127.0.0.1:{running.server.port}{path}", additional_headers=headers, compression=None
    )


async def closed_with(connection: ClientConnection) -> int | None:
    try:
        while True:
            await connection.recv()
    except ConnectionClosed:
        return connection.close_code


async def test_twilios_own_validator_signs_and_the_stream_is_taken(tmp_path: Path) -> None:
    """The signer is the vendor's code, so that ours is not checked against itself."""
    signature = RequestValidator(TOKEN).compute_signature("wss://voice.example.com/twilio", {})
    async with running_gateway(tmp_path, None, **twilio_settings()) as running:
        async with stream(running, **{"X-Twilio-Signature": signature}) as connection:
            await connection.send((SAMPLES / "twilio" / "in-start.json").read_text())
            assert '"media"' in str(await connection.recv())
        for wrong in (signature[:-2] + "A=", ""):
            with pytest.raises(InvalidStatus) as refused:
                await stream(running, **{"X-Twilio-Signature": wrong})
            assert refused.value.response.status_code == 401


async def test_a_call_without_its_token_is_refused_before_any_work(tmp_path: Path) -> None:
    """The token may come with the call's parameters only: no journal, no greeting before it was seen."""
    out = io.StringIO()
    values = {"carriers__enabled": "twilio", "twilio__token": "another-secret"}
    with logging_to(out, "INFO"):
        async with running_gateway(tmp_path, None, **values) as running:
            async with stream(running) as connection:
                await connection.send((SAMPLES / "twilio" / "in-start.json").read_text())
                assert await closed_with(connection) == 1008
            assert running.gateway.calls == 0
            with pytest.raises(InvalidStatus) as refused:
                await stream(running, "/twilio?token=wrong")
            assert refused.value.response.status_code == 401
    assert not (tmp_path / "journals").exists()
    # The log says which check it was, and shows no secret.
    assert "twilio: a call was refused: token" in out.getvalue()
    assert "another-secret" not in out.getvalue()
    assert "one-time-secret" not in out.getvalue()


async def test_a_carrier_that_is_not_switched_on_says_how_to(tmp_path: Path) -> None:
    """A 404 alone would send its reader to the dialplan."""
    async with running_gateway(tmp_path, carriers__enabled="vonage") as running:
        with pytest.raises(InvalidStatus) as refused:
            await stream(running)
        assert refused.value.response.status_code == 404
        assert b"VOICEGW_CARRIERS__ENABLED=twilio" in (refused.value.response.body or b"")


async def test_a_stream_that_never_starts_is_closed(tmp_path: Path) -> None:
    """Twilio may open a socket for a call that was abandoned: it must not hold a place for ever."""
    values = {"carriers__enabled": "twilio", "server__handshake_s": "0.2"}
    async with running_gateway(tmp_path, None, **values) as running:
        async with stream(running) as connection:
            await connection.send((SAMPLES / "twilio" / "in-connected.json").read_text())
            assert await closed_with(connection) == 1008
        assert running.gateway.arrivals == 0


async def test_a_flood_of_messages_ends_its_own_connection(tmp_path: Path) -> None:
    """One peer gone mad must not take the other calls' time."""
    values = {"carriers__enabled": "twilio", "carriers__messages_s": "10"}
    async with running_gateway(tmp_path, None, **values) as running, stream(running) as connection:
        await connection.send((SAMPLES / "twilio" / "in-start.json").read_text())
        with contextlib.suppress(ConnectionClosed):
            for _ in range(200):
                await connection.send('{"event":"nothing"}')
        assert await closed_with(connection) == 1008


async def test_a_message_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """Memory is bounded whatever a carrier announces."""
    async with (
        running_gateway(tmp_path, carriers__enabled="twilio") as running,
        stream(running) as connection,
    ):
        await connection.send("x" * (1 << 20) + "x")
        assert await closed_with(connection) == 1009


# Webhooks


def fetch(url: str, form: dict[str, str] | None = None, **headers: str) -> tuple[int, str]:
    data = urlencode(form).encode() if form is not None else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def test_the_voice_webhook_connects_the_call(tmp_path: Path) -> None:
    """Caller, called and persona arrive as parameters, because the stream itself does not tell them."""
    form = {"CallSid": "CA0123", "From": "+15550199", "To": "+15550100"}
    url = f"{PUBLIC}/twilio/voice?persona=giao-hang"
    signature = RequestValidator(TOKEN).compute_signature(url, form)
    async with running_gateway(tmp_path, None, **twilio_settings(), twilio__token="s<cret") as running:
        at = running.http + "/twilio/voice?persona=giao-hang"
        status, twiml = await asyncio.to_thread(fetch, at, form, **{"X-Twilio-Signature": signature})
        assert status == 200
        streams = ET.fromstring(twiml).findall("./Connect/Stream")
        assert [stream.get("url") for stream in streams] == ["wss://voice.example.com/twilio"]
        told = {line.get("name"): line.get("value") for line in streams[0]}
        assert told == {
            "caller": "+15550199",
            "called": "+15550100",
            "persona": "giao-hang",
            "token": "s<cret",
        }
        forged = {**form, "From": "+15550198"}
        status, text = await asyncio.to_thread(fetch, at, forged, **{"X-Twilio-Signature": signature})
        assert (status, text) == (401, "Refused: X-Twilio-Signature.\n")
        by_get = RequestValidator(TOKEN).compute_signature(url + "&From=%2B1", {})
        status, twiml = await asyncio.to_thread(fetch, at + "&From=%2B1", **{"X-Twilio-Signature": by_get})
        assert status == 200
        assert 'value="+1"' in twiml


@pytest.mark.parametrize("path", ["/twilio/voice", "/telnyx/voice", "/plivo/answer", "/vonage/answer"])
async def test_a_webhook_that_is_not_signed_must_know_the_token_that_it_hands_out(
    tmp_path: Path, path: str
) -> None:
    """Its answer opens the door: who may ask for it must be asked as well."""
    name = path.split("/")[1]
    values = {"carriers__enabled": name, f"{name}__token": "t0ken"}
    async with running_gateway(tmp_path, None, **values) as running:
        status, text = await asyncio.to_thread(fetch, running.http + path)
        assert (status, text) == (401, "Refused: token.\n")
        status, text = await asyncio.to_thread(fetch, running.http + path + "?token=t0ken")
        assert status == 200
        assert "t0ken" in text
        assert "ws://127.0.0.1" in text


async def test_jambonz_is_told_to_listen_and_to_hang_up(tmp_path: Path) -> None:
    """The hook's answer is all that its application has to know."""
    values = {"carriers__enabled": "jambonz", "jambonz__basic": "u:p", "carriers__public_url": PUBLIC}
    async with running_gateway(tmp_path, None, **values) as running:
        at = running.http + "/jambonz/hook?persona=support"
        refused = await asyncio.to_thread(fetch, at, {"call_sid": "1"})
        assert refused == (401, "Refused: authorization missing.\n")
        authorization = "Basic " + base64.b64encode(b"u:p").decode()
        status, text = await asyncio.to_thread(fetch, at, {"call_sid": "1"}, Authorization=authorization)
    assert status == 200
    listen, hang_up = json.loads(text)
    assert (listen["verb"], hang_up) == ("listen", {"verb": "hangup"})
    assert listen["url"] == "wss://voice.example.com/jambonz"
    assert listen["passDtmf"] is True
    assert listen["wsAuth"] == {"username": "u", "password": "p"}
    assert listen["metadata"]["persona"] == "support"
