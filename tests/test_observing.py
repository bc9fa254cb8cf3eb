"""What is seen from outside: metrics, log lines, stalls of the loop, traces, and the webhook after a call."""

import asyncio
import contextlib
import io
import json
import logging
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop
from aiohttp import web
from gateways import Caller, caller, kept_gateway, running_gateway
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families
from test_records import record

from voicegw.config import HookSettings
from voicegw.config.addresses import is_public
from voicegw.errors import ConfigError
from voicegw.observe.log import logging_to
from voicegw.rehearsal.script import Fault
from voicegw.server.after_call import AfterCall, signature
from voicegw.server.metrics import code
from voicegw.server.tokens import issue
from voicegw.server.traces import Traces
from voicegw.server.watch import LoopWatch, where
from voicegw.store.spool import HOOK, Spool

SECRET = "a-secret-for-tests-which-is-long-enough"


async def conversation(someone: Caller) -> None:
    await someone.send("start", caller="+84901234567")
    await someone.event("speech_stopped")
    await someone.send("text", text="Where is my order?")
    await someone.event("latency")
    await someone.event("speech_stopped")
    await someone.send("hangup", reason="my own words")
    await someone.closed()


async def fetched(url: str, token: str = "") -> str:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    return await asyncio.to_thread(lambda: urllib.request.urlopen(request).read().decode())


async def test_a_call_is_seen_in_the_metrics(tmp_path: Path, system_program: Callable[[str], str]) -> None:
    """Counted while it runs and when it is over; nothing of it is a caller's word or number."""
    promtool = system_program("promtool")
    async with kept_gateway(tmp_path) as running:
        async with caller(running.url) as someone:
            await someone.send("start")
            await someone.event("ready")
            text = await fetched(running.http + "/metrics")
            assert 'voicegw_calls{state="in_progress"} 1.0' in text
            # The greeting.
            assert 'voicegw_calls{state="speaking"} 1.0' in text
        async with caller(running.url) as someone:
            await conversation(someone)
        await running.gateway.end_calls("shutdown")
        text = await fetched(running.http + "/metrics")
    for line in (
        'voicegw_calls{state="in_progress"} 0.0',
        'voicegw_calls_begun_total{carrier="native"} 2.0',
        'voicegw_calls_ended_total{outcome="caller"} 1.0',
        "voicegw_answer_seconds_count 1.0",
        'voicegw_stage_seconds_count{stage="first_token"} 1.0',
        'voicegw_provider_requests_total{outcome="ok",stage="llm"} 1.0',
        "voicegw_dead_air_seconds_count 1.0",
    ):
        assert line in text
    for name in (
        "voicegw_frame_late_seconds_bucket",
        "voicegw_loop_lag_seconds_bucket",
        "voicegw_database_up",
    ):
        assert name in text
    assert "+8490" not in text
    assert "my own words" not in text
    checked = await asyncio.to_thread(
        subprocess.run, [promtool, "check", "metrics"], input=text, text=True, capture_output=True
    )
    # Of its advice on names only this is not ours to follow: the process's own figures.
    advice = [line for line in checked.stderr.splitlines() if line.startswith("voicegw")]
    assert advice == []


async def test_the_providers_health_and_quota_are_in_the_metrics(tmp_path: Path) -> None:
    """A provider that fails is kept away from calls, one whose quota is used up is seen before it refuses."""
    async with running_gateway(
        tmp_path, tts__base_url="http://speaks.test/v1", provider__requests_a_minute="60"
    ) as running:
        running.provider.fail("tts", Fault(status=503), times=None)
        async with caller(running.url) as someone:
            await someone.send("start")
            for _ in range(5):
                await someone.send("text", text="Where is my order?")
                await someone.event("rung")
            text = await fetched(running.http + "/metrics")
    samples = {
        (s.name, s.labels["stage"]): (s.labels, s.value)
        for family in text_string_to_metric_families(text)
        for s in family.samples
        if s.name in ("voicegw_provider_up", "voicegw_quota_headroom")
    }
    assert samples["voicegw_provider_up", "tts"] == (
        {"stage": "tts", "place": "1", "provider": "speaks.test"},
        0.0,
    )
    assert samples["voicegw_provider_up", "llm"][1] == 1.0
    assert 0.0 < samples["voicegw_quota_headroom", "llm"][1] < 1.0
    assert 0.0 <= samples["voicegw_quota_headroom", "stt"][1] <= 1.0


async def test_metrics_are_for_operators_when_the_door_is_locked(tmp_path: Path) -> None:
    async with kept_gateway(tmp_path, door__secret=SECRET) as running:
        with pytest.raises(urllib.error.HTTPError) as refused:
            await fetched(running.http + "/metrics")
        assert refused.value.code == 401
        refused.value.close()
        token = issue(running.gateway.settings.door, "prometheus", ["operate"], 60)
        assert "voicegw_calls" in await fetched(running.http + "/metrics", token)


def test_labels_are_codes() -> None:
    """A label that holds what somebody said would be a leak, and a new series for each saying."""
    assert code("provider_failure") == "provider_failure"
    assert code("Tôi tên là Lan, 0901234567") == "other"
    assert code("") == "other"


def logged(style: str, *lines: str) -> list[str]:
    out = io.StringIO()
    with logging_to(out, "INFO", style):
        for line in lines:
            logging.getLogger("voicegw.server.gateway").info(line)
    return out.getvalue().splitlines()


def test_a_line_is_json_with_the_call_id_apart() -> None:
    (line,) = [json.loads(line) for line in logged("json", "call 0123456789abcdef ended: caller")]
    assert line["call_id"] == "0123456789abcdef"
    assert line["event"] == "call 0123456789abcdef ended: caller"
    assert (line["level"], line["logger"]) == ("info", "voicegw.server.gateway")
    assert line["timestamp"].endswith("Z")


def test_a_line_for_people_is_plain_where_it_is_no_terminal() -> None:
    (line,) = logged("text", "call 0123456789abcdef ended: caller")
    assert "\x1b" not in line
    assert "call 0123456789abcdef ended: caller" in line


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_traceback_shows_no_variables(style: str) -> None:
    """What was in them: callers' words, keys."""
    out = io.StringIO()
    with logging_to(out, "INFO", style):
        spoken = "my card is 4111"
        try:
            raise ValueError("a rule failed")
        except ValueError:
            logging.getLogger("voicegw").exception("call 0123456789abcdef ends: its rules failed")
    assert "a rule failed" in out.getvalue()
    assert spoken not in out.getvalue()


async def test_a_stall_is_told_with_its_line(caplog: pytest.LogCaptureFixture) -> None:
    """Which code held all callers up is the question of every such night."""
    watch = LoopWatch(stall_s=0.3, quiet_s=0)

    def thief() -> None:
        deadline = time.monotonic() + 5
        while not watch.stalls and time.monotonic() < deadline:
            sum(range(1000))

    asyncio.get_running_loop().call_soon(thief)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    watch.close()
    assert watch.stalls == 1
    assert "test_observing.py" in watch.last_line
    assert "thief" in watch.last_line
    assert "held up" in caplog.text


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_that_waits_is_no_stall(make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """However late its beat is: the machine gave this process no time, and no line of code is to blame."""
    loop = make_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    assert thread.ident is not None
    try:
        # From some moment on it waits; a loop whose waiting is taken for work never comes to that.
        deadline = time.monotonic() + 30
        while where(sys._current_frames().get(thread.ident, sys._getframe())) is not None:
            assert time.monotonic() < deadline, "a loop that waits is blamed"
            time.sleep(0.001)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def test_a_call_is_a_trace(tmp_path: Path) -> None:
    """Turns within the call, stages and requests within turns, and no words."""
    exporter = InMemorySpanExporter()
    async with kept_gateway(tmp_path) as running:
        running.gateway.traces = Traces(
            "", model="gemini-2.5-flash", provider="api.example", exporter=exporter
        )
        async with caller(running.url) as someone:
            await conversation(someone)
        await running.gateway.end_calls("shutdown")
    spans = exporter.get_finished_spans()
    by_name = {span.name: span for span in spans}
    call, turn, chat = by_name["call"], [s for s in spans if s.name == "turn"][-1], by_name["chat"]
    assert {span.context.trace_id for span in spans} == {call.context.trace_id}
    assert turn.parent is not None
    assert turn.parent.span_id == call.context.span_id
    assert chat.parent is not None
    assert chat.parent.span_id == turn.context.span_id
    assert chat.attributes is not None
    assert chat.attributes["gen_ai.operation.name"] == "chat"
    assert chat.attributes["gen_ai.request.model"] == "gemini-2.5-flash"
    assert chat.attributes["gen_ai.provider.name"] == "api.example"
    assert isinstance(chat.attributes["gen_ai.usage.input_tokens"], int)
    assert call.attributes is not None
    assert call.attributes["gen_ai.conversation.id"] == call.attributes["voicegw.call_id"]
    assert call.attributes["voicegw.ended_by"] == "caller"
    assert "stage first_token" in by_name
    assert (call.start_time or 0) <= (turn.start_time or 0) <= (turn.end_time or 0) <= (call.end_time or 0)
    told = json.dumps([dict(span.attributes or {}) for span in spans], default=str)
    assert "Where is my order" not in told
    assert "+8490" not in told


async def test_what_is_logged_of_a_call_is_nobodys_word(tmp_path: Path) -> None:
    """A whole call with trouble in it, at the lowest level: no word, number, key or token in the log."""
    out = io.StringIO()
    token_secret = "a-secret-for-tests-which-is-long-enough"
    with logging_to(out, "DEBUG", "json"):
        async with kept_gateway(tmp_path, door__secret=token_secret) as running:
            token = issue(running.gateway.settings.door, "bridge", ["call"], 60)
            async with caller(f"{running.url}?token={token}&queue=platinum") as someone:
                await someone.send("start", caller="+84901234567", metadata={"note": "likes orchids"})
                await someone.event("speech_stopped")
                await someone.send("text", text="Where is my parcel, says Lan?")
                heard = (await someone.event("speech_stopped"))["heard"]
                running.provider.fail("llm", Fault(status=400, body=b"parcel of Lan"), times=None)
                await someone.send("text", text="Nguyễn Thị Lan wants her money back")
                await someone.event("rung")
                await someone.send("dtmf", digit="7")
                await someone.connection.send('{"type":"orchids"')
                await someone.event("error")
                await someone.send("hangup", reason="my own words")
                await someone.closed()
            await running.gateway.end_calls("shutdown")
    logged = out.getvalue()
    assert "ended: caller" in logged
    assert "http_400" in logged
    for word in ("+8490", "901234567", "Lan", "parcel", "orchids", "platinum", "my own words", heard, token):
        assert word not in logged, word


class Receiver:
    """A CRM: answers with the statuses it was given, then with 204."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.news = asyncio.Event()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        self.news.set()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 204, headers={"Location": "/"})

    async def times(self, n: int) -> None:
        while len(self.got) < n:
            self.news.clear()
            await self.news.wait()


@contextlib.asynccontextmanager
async def receiver(*statuses: int) -> AsyncIterator[Receiver]:
    made = Receiver(*statuses)
    app = web.Application()
    app.router.add_post("/calls", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/calls"
    try:
        yield made
    finally:
        await runner.cleanup()


async def attempts(after_call: AfterCall, done: Callable[[], bool]) -> None:
    """Wait until so many attempts have ended that `done`."""
    while not done():
        after_call.attempted.clear()
        await after_call.attempted.wait()


async def test_a_crm_is_told_of_the_call_signed(tmp_path: Path) -> None:
    async with (
        receiver() as crm,
        kept_gateway(tmp_path, hook__url=crm.url, hook__secret="hush", hook__allow_private="true") as running,
    ):
        async with caller(running.url) as someone:
            await conversation(someone)
        await crm.times(1)
    headers, body = crm.got[0]
    told = json.loads(body)
    assert told["event"] == "call_ended"
    assert told["call"]["caller"] == "+84901234567"
    assert headers["Idempotency-Key"] == told["call"]["call_id"]
    at = int(headers["Voicegw-Signature"].partition(",")[0].removeprefix("t="))
    assert headers["Voicegw-Signature"] == signature("hush", at, body)
    assert abs(at - time.time()) < 60


async def test_a_crm_that_fails_is_told_again_with_the_same_key(tmp_path: Path) -> None:
    """A redirect is a failure too: it may lead anywhere."""
    spool = Spool(tmp_path)
    spool.end(record(1, ended_at="2999-01-01T00:00:00.000+00:00"), hook=True)
    async with receiver(500, 302) as crm:
        settings = HookSettings(url=crm.url, allow_private=True)
        after_call = AfterCall(settings, spool, asyncio.Event(), first_wait_s=0.01)
        after_call.start()
        await crm.times(3)
        await attempts(after_call, lambda: after_call.delivered == 1)
        await after_call.close()
    assert len({headers["Idempotency-Key"] for headers, _ in crm.got}) == 1
    assert list(spool.waiting(HOOK)) == []


async def test_a_webhook_gives_up_in_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path)
    spool.end(record(1), hook=True)
    async with receiver(500) as crm:
        after_call = AfterCall(
            HookSettings(url=crm.url, allow_private=True, keep_h=1), spool, asyncio.Event()
        )
        after_call.start()
        await crm.times(1)
        await attempts(after_call, lambda: not list(spool.waiting(HOOK)))
        await after_call.close()
    assert "gave up" in caplog.text


async def test_a_webhook_reaches_no_private_address(tmp_path: Path) -> None:
    """Neither by number nor by a name that leads there."""
    spool = Spool(tmp_path)
    with pytest.raises(ConfigError, match="private"):
        AfterCall(HookSettings(url="http://169.254.169.254/latest"), spool, asyncio.Event())
    spool.end(record(1, ended_at="2999-01-01T00:00:00.000+00:00"), hook=True)
    async with receiver() as crm:
        url = crm.url.replace("127.0.0.1", "localhost")
        after_call = AfterCall(HookSettings(url=url), spool, asyncio.Event())
        after_call.start()
        await attempts(after_call, lambda: after_call.failures == 1)
        await after_call.close()
    assert crm.got == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("2606:2800:220:1::1", True),
        ("no address", False),
    ],
)
def test_addresses_that_anybody_may_reach(address: str, public: bool) -> None:
    assert is_public(address) is public
