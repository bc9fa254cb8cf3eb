"""Who is let in: tokens, pages, limits, admission, and connections that only begin."""

import asyncio
import contextlib
import json
import ssl
import urllib.request
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from gateways import Running, caller, kept_gateway, running_gateway
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from voicegw.config import DoorSettings, Settings, load_settings
from voicegw.errors import ConfigError, GatewayFull
from voicegw.observe.lateness import Lateness
from voicegw.server.admission import Admission
from voicegw.server.door import check_listening
from voicegw.server.peers import Refused
from voicegw.server.tokens import MOST_USED, Tokens, issue

SECRET = "a-secret-for-tests-which-is-long-enough"
DOOR = DoorSettings(secret=SECRET)
GOOD = {"aud": "voicegw", "exp": 1 << 40, "jti": "x", "scope": "call"}


async def status_of(url: str, **headers: str) -> int:
    """The HTTP status that answers a WebSocket handshake; 101 when it is let in."""
    try:
        async with connect(url, additional_headers=headers, compression=None):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def changed(**claims: Any) -> str:
    """A token like ours with some claims changed, signed with our secret."""
    found = jwt.decode(issue(DOOR, "x", ["call"], 86_400), options={"verify_signature": False})
    return jwt.encode({k: v for k, v in (found | claims).items() if v is not None}, SECRET, "HS256")


def test_a_token_tells_whose_it_is_and_what_it_allows() -> None:
    found = Tokens(DOOR).check(issue(DOOR, "bridge", ["call", "supervise"], 60), "supervise")
    assert (found.name, set(found.scopes), found.once) == ("bridge", {"call", "supervise"}, False)


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("", 401),
        ("rubbish", 401),
        ("a.b.c", 401),
        (changed(exp=1), 401),
        (changed(exp=None), 401),
        (changed(jti=None), 401),
        (changed(aud="another"), 401),
        (changed(scope="operate"), 403),
        (changed(scope=None), 403),
        (jwt.encode(GOOD, "f" * 40, "HS256"), 401),
        # "none" and other algorithms are not what we sign with.
        (jwt.encode(GOOD, "", "none"), 401),
        (
            jwt.encode({"aud": "voicegw", "exp": 1 << 40, "jti": "x", "scope": "call"}, SECRET * 2, "HS512"),
            401,
        ),
    ],
)
def test_a_token_that_is_not_ours_opens_nothing(token: str, status: int) -> None:
    """Each way in which a token can be wrong."""
    with pytest.raises(Refused) as refused:
        Tokens(DOOR).check(token, "call")
    assert refused.value.status == status
    assert SECRET not in str(refused.value)


def test_used_one_time_tokens_do_not_grow_without_bound() -> None:
    """What is remembered is bounded: beyond, a new one is refused rather than an old one forgotten."""
    tokens = Tokens(DOOR)
    first = tokens.check(issue(DOOR, "", ["call"], 60, once=True), "call")
    tokens.use(first)
    for number in range(MOST_USED - 1):
        tokens.use(type(first)("", first.scopes, str(number), first.expires, True))
    with pytest.raises(Refused):
        tokens.use(type(first)("", first.scopes, "one more", first.expires, True))


async def test_with_a_secret_only_a_token_begins_a_call(tmp_path: Path) -> None:
    """In the header for programs, in the query for browsers; the token is in no journal."""
    async with running_gateway(tmp_path, door__secret=SECRET) as running:
        token = issue(running.gateway.settings.door, "bridge", ["call"], 60)
        assert await status_of(running.url) == 401
        assert await status_of(running.url, Authorization="Bearer nonsense") == 401
        operator = issue(running.gateway.settings.door, "op", ["operate"], 60)
        assert await status_of(running.url, Authorization=f"Bearer {operator}") == 403
        assert await status_of(running.url, Authorization=f"Bearer {token}") == 101
        async with caller(f"{running.url}?token={token}&queue=vip") as someone:
            await someone.send("start")
            ready = await someone.event("ready")
            someone.connection.transport.abort()
        # Whoever comes back needs no second token.
        async with caller(f"{running.url}?resume_token={ready['resume_token']}") as again:
            assert (await again.event("ready"))["resumed"] is True
            await again.send("hangup")
            await again.closed()
    journal = (tmp_path / "journals" / f"{ready['call_id']}.jsonl").read_text()
    assert token not in journal
    assert '"queue":"vip"' in journal


async def test_a_made_up_resume_token_is_no_way_in(tmp_path: Path) -> None:
    """It is let through the handshake and ends there: no call begins by it."""
    async with (
        running_gateway(tmp_path, door__secret=SECRET) as running,
        caller(f"{running.url}?resume_token=made-up") as thief,
    ):
        assert (await thief.event("error"))["code"] == "unknown_resume_token"
        assert (await thief.closed())[0] == 1008
        assert running.gateway.calls == 0


async def test_a_one_time_token_opens_one_connection(tmp_path: Path) -> None:
    """A link that was seen over a shoulder is worth nothing."""
    async with running_gateway(tmp_path, door__secret=SECRET) as running:
        once = issue(running.gateway.settings.door, "page", ["call"], 60, once=True)
        assert await status_of(f"{running.url}?token={once}") == 101
        assert await status_of(f"{running.url}?token={once}") == 401


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:{port}", 101),
        ("https://shop.example", 101),
        ("https://evil.example", 403),
        ("http://127.0.0.1:1", 403),
        ("null", 403),
    ],
)
async def test_only_pages_that_are_named_may_call(tmp_path: Path, origin: str, status: int) -> None:
    """A page somewhere on the web may not use its visitor's loopback."""
    async with running_gateway(tmp_path, door__origins="https://shop.example") as running:
        told = origin.format(port=running.server.port)
        assert await status_of(running.url, Origin=told) == status


async def test_a_name_that_was_pointed_here_is_not_believed(tmp_path: Path) -> None:
    """DNS rebinding: origin and host agree, and both are the attacker's."""
    async with running_gateway(tmp_path) as running:
        url = running.url.replace("ws://127.0.0.1", "ws://rebound.example")
        with pytest.raises(InvalidStatus) as refused:
            async with connect(
                url,
                host="127.0.0.1",
                origin=f"http://rebound.example:{running.server.port}",  # type: ignore[arg-type]
            ):
                pass
        assert refused.value.response.status_code == 403


async def test_one_address_and_one_token_have_their_share(tmp_path: Path) -> None:
    """One customer who dials without end does not take all lines."""
    async with running_gateway(
        tmp_path, door__secret=SECRET, door__calls_per_token="1", door__calls_per_address="2"
    ) as running:
        one, two, three = (issue(running.gateway.settings.door, name, ["call"], 60) for name in "abc")
        async with caller(f"{running.url}?token={one}"):
            assert await status_of(f"{running.url}?token={one}") == 429
            async with caller(f"{running.url}?token={two}"):
                assert await status_of(f"{running.url}?token={three}") == 429
            await left(running, 1)
            assert await status_of(f"{running.url}?token={three}") == 101


async def test_a_call_that_waits_for_its_caller_is_still_his(tmp_path: Path) -> None:
    """Connections that are dropped and opened again would otherwise take all lines of the gateway."""
    async with running_gateway(tmp_path, door__calls_per_address="1") as running:
        async with caller(running.url) as someone:
            await someone.send("start")
            ready = await someone.event("ready")
            someone.connection.transport.abort()
        await left(running, 0)
        assert await status_of(running.url) == 429
        async with caller(f"{running.url}?resume_token={ready['resume_token']}") as again:
            assert (await again.event("ready"))["resumed"] is True
            await again.send("hangup")
            await again.closed()
        await left(running, 0)
        assert await status_of(running.url) == 101


async def left(running: Running, connections: int) -> None:
    while len(running.server.server_state.connections) > connections:  # noqa: ASYNC110 (uvicorn tells nobody)
        await asyncio.sleep(0)


async def test_who_tries_again_and_again_has_to_wait(tmp_path: Path) -> None:
    """Guessing is slow, and costs the gateway nothing but a comparison."""
    async with running_gateway(tmp_path, door__secret=SECRET, door__failures_per_minute="3") as running:
        for _ in range(3):
            assert await status_of(running.url) == 401
        with pytest.raises(InvalidStatus) as refused:
            await connect(running.url)
        assert refused.value.response.status_code == 429
        assert 0 < int(refused.value.response.headers["Retry-After"]) <= 60


def test_a_gateway_does_not_stand_open_by_mistake() -> None:
    """On this machine anybody may call; to others only with a secret, or when that is said in words."""
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        check_listening(load_settings({}, None, {"server.host": host}))
    for host in ("0.0.0.0", "::", "192.168.1.5", "gateway.example"):
        with pytest.raises(ConfigError, match="VOICEGW_DOOR__SECRET"):
            check_listening(load_settings({}, None, {"server.host": host}))
        check_listening(load_settings({}, None, {"server.host": host, "door.secret": SECRET}))
        check_listening(load_settings({}, None, {"server.host": host, "door.open_to_anyone": "true"}))


def test_a_short_secret_is_refused_and_never_shown() -> None:
    with pytest.raises(ConfigError) as wrong:
        load_settings({"VOICEGW_DOOR__SECRET": "hunter2"}, None)
    assert "32" in str(wrong.value)
    assert "hunter2" not in str(wrong.value)


def test_settings_show_no_secret() -> None:
    """A traceback or a log line with all settings in it gives nothing away."""
    settings = load_settings(
        {},
        None,
        {"door.secret": SECRET, "store.database_url": "postgresql://u:pass@h/d", "provider.api_key": "k-1"},
    )
    shown = repr(settings)
    assert SECRET not in shown
    assert "pass@" not in shown
    assert "k-1" not in shown


def test_a_gateway_that_is_late_takes_no_further_call() -> None:
    """Admission goes by what is measured: calls in progress come first."""
    lateness = Lateness()
    admission = Admission(Settings(), lateness)
    for number in range(200):
        lateness.add(0.0005, number / 100)
    admission.check(1, 2)
    for number in range(20):
        lateness.add(0.15, 2 + number / 100)
    with pytest.raises(GatewayFull, match="late") as full:
        admission.check(1, 3)
    assert full.value.retry_after == 10
    # Some seconds later that is past, also when no call was left that could have been on time.
    admission.check(1, 13)
    for number in range(400):
        lateness.add(0.0005, 20 + number / 25)
    admission.check(1, 36)


def test_a_gateway_short_of_memory_takes_no_further_call() -> None:
    settings = load_settings({}, None, {"door.max_memory_mb": "1"})
    with pytest.raises(GatewayFull, match="memory"):
        Admission(settings, Lateness()).check(0, 0)


def test_lateness_is_counted_by_size() -> None:
    lateness = Lateness()
    for ms in (0.5, 1.5, 30, 3000):
        lateness.add(ms / 1000, 0)
    assert [lateness.counts[i] for i in (0, 1, 5, 10)] == [1, 1, 1, 1]
    assert lateness.recent_ms(0.5, 0) == 0.0  # too few to say


async def test_a_full_gateway_says_so_before_the_upgrade(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, server__max_calls="1") as running, caller(running.url) as someone:
        await someone.send("start")
        await someone.event("ready")
        with pytest.raises(InvalidStatus) as refused:
            await connect(running.url)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "5"


@pytest.mark.parametrize(
    ("setting", "value", "retry_after", "limit"),
    [
        ("door__max_memory_mb", "1", 30, "memory"),
        # Thirty requests a minute are one caller's.
        ("provider__requests_a_minute", "30", 10, "quota"),
    ],
)
async def test_what_is_short_is_said_before_the_upgrade(
    tmp_path: Path, setting: str, value: str, retry_after: int, limit: str
) -> None:
    """A call that the gateway or its providers cannot serve well is better tried elsewhere; it is counted."""
    async with running_gateway(tmp_path, None, **{setting: value}) as running:
        async with contextlib.AsyncExitStack() as stack:
            if limit == "quota":
                first = await stack.enter_async_context(caller(running.url))
                await first.send("start")
                await first.event("ready")
            with pytest.raises(InvalidStatus) as refused:
                await connect(running.url)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == str(retry_after)
        metrics = await asyncio.to_thread(urllib.request.urlopen, running.http + "/metrics")
        assert f'voicegw_turned_away_total{{limit="{limit}"}} 1.0' in metrics.read().decode()
        metrics.close()


async def test_calls_in_progress_that_come_late_keep_a_further_one_out(tmp_path: Path) -> None:
    """By the lateness that the ticker has measured, over the same port; the call in progress goes on."""
    async with running_gateway(tmp_path) as running, caller(running.url) as someone:
        await someone.send("start")
        await someone.event("ready")
        now = asyncio.get_running_loop().time()
        for _ in range(200):
            running.gateway.ticker.lateness.add(0.15, now)
        with pytest.raises(InvalidStatus) as refused:
            await connect(running.url)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "10"
        await someone.send("text", text="Where is my order?")
        await someone.event("latency")
        assert running.gateway.metrics.registry.get_sample_value(
            "voicegw_turned_away_total", {"limit": "lateness"}
        )


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /v1/call HTTP/1.1\r\nHost: x\r\n",
        b"GET /v1/call HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgr",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHo",
        b"POST /audiosocket/calls HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
    ],
)
async def test_a_half_sent_request_is_cut(tmp_path: Path, sent: bytes) -> None:
    """A thousand of them must not stay open; the first, the second on a connection, and a body."""
    async with running_gateway(tmp_path, server__handshake_s="0.05") as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()


async def test_more_connections_than_allowed_are_closed_at_once(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, door__max_connections="3") as running:
        kept = [await asyncio.open_connection("127.0.0.1", running.server.port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        for _, each in [*kept, (reader, writer)]:
            each.close()


async def test_the_port_speaks_tls_itself(tmp_path: Path) -> None:
    """Without a proxy in front: certificate and key by setting."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with (
        running_gateway(tmp_path, server__tls_cert=str(chain), server__tls_key=str(key)) as running,
        connect(f"wss://localhost:{running.server.port}/v1/call", ssl=trust, compression=None) as connection,
    ):
        await connection.send('{"type": "start"}')
        assert json.loads(await connection.recv())["type"] == "ready"


async def test_a_wrong_certificate_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"server\.tls_cert"):
        async with running_gateway(tmp_path, server__tls_cert=str(tmp_path / "none.pem")):
            pass


async def test_every_page_comes_with_its_policy(tmp_path: Path) -> None:
    """Scripts of others run in none of our pages, and nobody frames them."""
    async with kept_gateway(tmp_path) as running:
        answer = await asyncio.to_thread(urllib.request.urlopen, running.http + "/healthz")
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        answer.close()
