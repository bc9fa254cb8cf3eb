"""Calls over real loopback sockets: begin, talk, reconnect, end, and bad input."""

from pathlib import Path

from gateways import caller, running_gateway


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
        assert len(someone.audio) % 640 == 0
        await someone.send("hangup")
        assert (await someone.closed())[0] == 1000
    assert running.gateway.calls == 0
