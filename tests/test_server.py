"""Calls over real loopback sockets: begin, talk, reconnect, end, and bad input."""

import asyncio
import io
import json
import os
from pathlib import Path
from urllib.request import urlopen

import pytest
from gateways import Caller, Running, caller, running_gateway
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from voicegw.audio.pcm import FRAME_BYTES, SILENT_FRAME
from voicegw.call.call import Call
from voicegw.call.commands import Command
from voicegw.call.events import CallerText, Event
from voicegw.observe.log import logging_to
from voicegw.rehearsal.script import Fault, Script


async def greeted(someone: Caller) -> dict[str, object]:
    ready = await someone.event("ready")
    await someone.event("speech_stopped")
    return ready


async def test_a_typed_question_is_answered_in_speech(tmp_path: Path) -> None:
    """The whole way from the socket to the model, to TTS and back."""
    async with running_gateway(tmp_path) as running, caller(running.url) as someone:
        await someone.send("start", persona="support", caller="+84901234567")
        ready = await someone.event("ready")
        assert ready["persona"] == "support"
        assert ready["resume_token"] != ready["call_id"]
        await someone.event("speech_stopped")
        await someone.send("text", text="Where is my order?")
        latency = await someone.event("latency")
        stages = [value for name, value in latency.items() if name.endswith("_ms") and name != "total_ms"]
        assert sum(stages) == latency["total_ms"]
        stopped = await someone.event("speech_stopped")
        assert stopped["heard"]
        assert not stopped["cut"]
        assert len(someone.audio) % FRAME_BYTES == 0
        await someone.send("hangup")
        assert (await someone.closed())[0] == 1000
    assert running.gateway.calls == 0


async def test_a_bridge_that_only_sends_audio_gets_a_call(tmp_path: Path) -> None:
    """Bridges that know nothing of our events must work: defaults, and identity from the URL."""
    async with (
        running_gateway(tmp_path) as running,
        caller(running.url + "?persona=giao-hang&caller=0901234567&queue=vip") as someone,
    ):
        await someone.connection.send(SILENT_FRAME)
        ready = await someone.event("ready")
        assert ready["persona"] == "giao-hang"
        assert ready["language"] == "vi"
    journal = next((tmp_path / "journals").glob("*.jsonl"))
    started = json.loads(journal.read_text().splitlines()[1])
    assert started["caller"] == "0901234567"
    assert started["metadata"] == {"queue": "vip"}


async def test_a_connection_that_says_nothing_gets_a_call_after_a_short_wait(tmp_path: Path) -> None:
    """A caller on a silent bridge must still hear the greeting."""
    async with (
        running_gateway(tmp_path, server__start_wait_ms="50") as running,
        caller(running.url) as someone,
    ):
        await someone.event("ready")
        await someone.event("speech_started")


async def test_the_call_goes_on_over_a_new_connection(tmp_path: Path) -> None:
    """A dropped socket must not cost the caller the conversation."""
    async with running_gateway(tmp_path) as running:
        async with caller(running.url) as someone:
            await someone.send("start")
            ready = await someone.event("ready")
            await someone.event("reply_text")
            someone.connection.transport.abort()
        async with caller(running.url + f"?resume_token={ready['resume_token']}") as again:
            back = await again.event("ready")
            assert back["resumed"] is True
            assert back["call_id"] == ready["call_id"]
            stopped = await again.event("speech_stopped")
            assert stopped["cut"] is False
            assert stopped["heard"]
            assert again.audio


async def test_only_the_token_resumes_a_call(tmp_path: Path) -> None:
    """The call id may be known to others: it must open nothing."""
    async with running_gateway(tmp_path) as running, caller(running.url) as someone:
        await someone.send("start")
        ready = await someone.event("ready")
        async with caller(running.url + f"?resume_token={ready['call_id']}") as thief:
            error = await thief.event("error")
            assert error["code"] == "unknown_resume_token"
            assert (await thief.closed())[0] == 1008


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("not json", "bad_json"),
        ("[1, 2]", "bad_json"),
        ("[" * 50_000, "bad_json"),
        ('{"type": "dance"}', "unknown_event"),
        ('{"type": ["start"]}', "unknown_event"),
        ('{"text": "hi"}', "unknown_event"),
        ('{"type": "text"}', "bad_event"),
        ('{"type": "text", "text": ""}', "bad_event"),
        ('{"type": "text", "text": "hi", "colour": "red"}', "bad_event"),
        ('{"type": "dtmf", "digit": "12"}', "bad_event"),
        ('{"type": "played", "speech_id": -1}', "bad_event"),
        ('{"type": "image", "data": "…"}', "bad_image"),
        ('{"type": "start", "persona": "giao-hang"}', "persona_fixed"),
    ],
)
async def test_a_bad_event_is_told_and_the_call_goes_on(tmp_path: Path, message: str, code: str) -> None:
    """The author of a bridge learns what was wrong; the caller notices nothing."""
    async with running_gateway(tmp_path) as running, caller(running.url) as someone:
        await someone.send("start", persona="support")
        await someone.event("ready")
        await someone.connection.send(message)
        error = await someone.event("error")
        assert error["code"] == code
        assert error["message"]
        assert error["hint"]
        await someone.send("text", text="Still there?")
        assert (await someone.event("transcript"))["text"] == "Still there?"


@pytest.mark.parametrize(
    ("message", "code", "close_code"),
    [
        (b"\0" * 641, "bad_audio", 1007),
        (b"\0" * 32_002, "audio_too_long", 1009),
    ],
)
async def test_audio_that_is_none_ends_its_call_with_a_reason(
    tmp_path: Path, message: bytes, code: str, close_code: int
) -> None:
    """Noise in the caller's ear or in Whisper's would be worse than a clear end."""
    async with (
        running_gateway(tmp_path) as running,
        caller(running.url) as other,
        caller(running.url) as someone,
    ):
        await other.send("start")
        await other.event("ready")
        await someone.send("start")
        await someone.event("ready")
        await someone.connection.send(message)
        assert (await someone.event("error"))["code"] == code
        assert (await someone.closed())[0] == close_code
        await other.send("text", text="And me?")
        assert (await other.event("transcript"))["text"] == "And me?"


async def test_an_oversized_message_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Memory is bounded whatever a peer announces."""
    async with running_gateway(tmp_path) as running, caller(running.url) as someone:
        await someone.connection.send("x" * 70_000)
        assert (await someone.closed())[0] == 1009


async def test_an_unknown_persona_ends_the_call_and_names_the_known_ones(tmp_path: Path) -> None:
    """A typo in a dialplan should be found in a minute."""
    async with running_gateway(tmp_path) as running, caller(running.url) as someone:
        await someone.send("start", persona="nobody")
        error = await someone.event("error")
        assert error["code"] == "unknown_persona"
        assert "giao-hang" in error["hint"]
        assert (await someone.closed())[0] == 1008


async def test_an_unknown_path_is_a_404(tmp_path: Path) -> None:
    """Before the upgrade, so that a bridge's log shows it."""
    async with running_gateway(tmp_path) as running:
        with pytest.raises(InvalidStatus) as refused:
            await connect(running.url.replace("/v1/call", "/v1/cal"))
        assert refused.value.response.status_code == 404


async def test_a_full_gateway_refuses_before_the_upgrade(tmp_path: Path) -> None:
    """One call too many must not hurt those in progress; the bridge can try elsewhere."""
    async with running_gateway(tmp_path, server__max_calls="1") as running, caller(running.url) as someone:
        await someone.send("start")
        await someone.event("ready")
        with pytest.raises(InvalidStatus) as refused:
            await connect(running.url)
        assert refused.value.response.status_code == 503
        assert int(refused.value.response.headers["Retry-After"]) > 0


async def test_a_subprotocol_is_agreed_on_when_offered_and_not_demanded(tmp_path: Path) -> None:
    """Some clients must offer one, others cannot."""
    async with running_gateway(tmp_path) as running:
        async with connect(running.url, subprotocols=["other", "voicegw.v1"]) as offered:  # type: ignore[list-item]
            assert offered.subprotocol == "voicegw.v1"
        async with connect(running.url, subprotocols=["other"]) as foreign:  # type: ignore[list-item]
            assert foreign.subprotocol is None


def _get(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except OSError as error:
        return getattr(error, "code", 0), ""


async def test_readiness_ends_when_the_gateway_drains(tmp_path: Path) -> None:
    """A load balancer must stop sending calls before the process goes; running calls finish."""
    async with running_gateway(tmp_path) as running, caller(running.url) as someone:
        assert (await asyncio.to_thread(_get, running.http + "/healthz"))[0] == 200
        assert (await asyncio.to_thread(_get, running.http + "/readyz"))[0] == 200
        await someone.send("start")
        await someone.event("ready")
        draining = asyncio.create_task(running.gateway.drain())
        await someone.event("speech_stopped")
        assert (await asyncio.to_thread(_get, running.http + "/healthz"))[0] == 200
        assert (await asyncio.to_thread(_get, running.http + "/readyz"))[0] == 503
        with pytest.raises(InvalidStatus):
            await connect(running.url)
        await someone.send("hangup")
        await someone.closed()
        await draining


async def test_a_half_sent_handshake_is_cut(tmp_path: Path) -> None:
    """A thousand silent connections must not hold the port."""
    async with running_gateway(tmp_path, server__handshake_s="0.2") as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.server.port)
        writer.write(b"GET /v1/call HTTP/1.1\r\nHost: x\r\n")
        assert await reader.read() == b""
        writer.close()


def open_sockets() -> int:
    """Sockets that this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue
    return found


async def short_call(running: Running) -> None:
    async with caller(running.url) as someone:
        await someone.send("start")
        await someone.event("ready")
        await someone.send("text", text="hi")
        await someone.event("transcript")
        await someone.send("hangup")
        await someone.closed()


async def test_nothing_of_a_call_lives_on(tmp_path: Path) -> None:
    """A leak of one task or socket a call ends the process within a day."""
    script = Script()
    async with running_gateway(tmp_path, script) as running:
        await short_call(running)
        tasks, sockets = len(asyncio.all_tasks()), open_sockets()
        for _ in range(20):
            await asyncio.gather(*(short_call(running) for _ in range(5)))
        assert running.gateway.calls == 0
        assert running.gateway.arrivals == 0
        assert len(asyncio.all_tasks()) <= tasks
        assert open_sockets() <= sockets
        assert running.gateway.ticker.waiting == 0


async def test_a_call_whose_rules_fail_ends_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of ours, which its end brings about once more: the line must not stay open for ever."""
    receive = Call.receive
    broken: list[Call] = []

    def mistaken(call: Call, event: Event, now: int) -> list[Command]:
        if isinstance(event, CallerText) and event.text == "the one word":
            broken.append(call)
        if call in broken:
            raise KeyError("no rule has this")
        return receive(call, event, now)

    monkeypatch.setattr(Call, "receive", mistaken)
    async with (
        running_gateway(tmp_path) as running,
        caller(running.url) as one,
        caller(running.url) as other,
    ):
        for someone in (one, other):
            await someone.send("start")
            await greeted(someone)
        await one.send("text", text="the one word")
        async with asyncio.timeout(20):
            assert (await one.event("hangup"))["reason"] == "internal_error"
            assert (await one.closed())[0] == 1011
        await other.send("text", text="Where is my order?")
        assert (await other.event("reply_text"))["text"]
        assert running.gateway.calls == 1


async def test_a_full_disk_refuses_the_call_with_a_word(tmp_path: Path) -> None:
    """A call that cannot be kept is not begun: every call that was sent `ready` leaves a trace."""
    (tmp_path / "journals").write_text("in the way")
    async with running_gateway(tmp_path) as running, caller(running.url) as someone:
        await someone.send("start")
        assert (await someone.event("error"))["code"] == "no_journal"
        assert (await someone.closed())[0] == 1011
        assert running.gateway.calls == 0


async def test_no_word_of_a_caller_and_no_key_enters_the_log(
    tmp_path: Path,
) -> None:
    """Logs are read by many and kept for long; what callers say is theirs."""
    out = io.StringIO()
    with logging_to(out, "DEBUG"):
        await _confide_in_the_agent(tmp_path)
    said = out.getvalue()
    assert "llm failed" in said
    assert "ended: caller" in said
    assert "hoahong" not in said
    assert "0901234567" not in said
    assert "test-key" not in said


async def _confide_in_the_agent(tmp_path: Path) -> None:
    script = Script(llm=("Mật khẩu đó em không lưu ạ.",))
    async with running_gateway(tmp_path, script) as running, caller(running.url) as someone:
        # A provider's error message may quote what it was sent.
        running.provider.fail("llm", Fault(status=400, body=b'{"error": {"message": "bad: hoahong-1975"}}'))
        await someone.send("start", caller="0901234567", metadata={"note": "hoahong-1975"})
        await someone.event("ready")
        await someone.send("text", text="Mật khẩu của tôi là hoahong-1975")
        await someone.event("rung")
        await someone.connection.send('{"type": "text", "txt": "hoahong-1975"}')
        await someone.event("error")
        await someone.send("hangup", reason="hoahong-1975")
        await someone.closed()


async def test_a_call_that_the_providers_quota_does_not_hold_is_refused_with_a_time(tmp_path: Path) -> None:
    """60 requests a minute hold two calls: a third would be accepted into silence."""
    async with (
        running_gateway(tmp_path, provider__plan="free") as running,
        caller(running.url) as one,
        caller(running.url) as two,
    ):
        for someone in (one, two):
            await someone.send("start")
            await someone.event("ready")
        with pytest.raises(InvalidStatus) as refused:
            await connect(running.url)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "10"
