"""The language model: real servers' streams, however they are cut, and every way in which they fail."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_pairs import KEY, FixedAnswer, cut, providers_over, reached

from voicegw.errors import ProviderError
from voicegw.providers import ByteStreams, ReplyDelta, Usage
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Fault, Script, ScriptedReply, ToolCall, chat_events

MESSAGES = [{"role": "user", "content": "Đơn hàng của em đâu rồi?"}]
TEXT = "Dạ, đơn hàng của em đang trên đường 🚚 rồi ạ."


async def deltas_of(streams: ByteStreams, **settings: Any) -> list[ReplyDelta]:
    """Ask once and collect everything."""
    model = providers_over(streams, **settings).llm
    return [delta async for delta in model.reply(MESSAGES, max_tokens=50, temperature=0.8)]


async def text_of(streams: ByteStreams, **settings: Any) -> str:
    return "".join(delta.text for delta in await deltas_of(streams, **settings))


async def failure_of(streams: ByteStreams, **settings: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await deltas_of(streams, **settings)
    assert caught.value.stage == "llm"
    assert KEY not in str(caught.value)
    return caught.value


def events(*objects: object, end: str = "\n\n") -> bytes:
    """Write objects as an event stream."""
    texts = [o if isinstance(o, str) else json.dumps(o, ensure_ascii=False) for o in objects]
    return "".join(f"data: {text}{end}" for text in texts).encode()


def content(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


async def test_a_reply_is_streamed_with_its_text_finish_reason_and_usage() -> None:
    """The plain case, and what is sent for it."""
    provider = ScriptedProvider(Script(llm=(TEXT,)))
    deltas = await deltas_of(provider)
    assert "".join(delta.text for delta in deltas) == TEXT
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["stop"]
    assert [delta.usage for delta in deltas if delta.usage] == [Usage(100, 1 + len(TEXT.split()))]
    sent = provider.received("llm")[0]
    assert sent.fields["messages"] == MESSAGES
    assert sent.fields["model"] == "gemini-2.5-flash"
    assert (sent.fields["max_tokens"], sent.fields["temperature"], sent.fields["stream"]) == (50, 0.8, True)
    assert "tools" not in sent.fields
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.outcome == "complete"


WIRE = b"".join(
    chat_events(
        ScriptedReply(TEXT, (ToolCall("find_order", '{"id": "ĐH123456"}'),)),
        "m",
        usage=True,
        crlf=False,
        done=True,
    )
)


@given(st.lists(st.integers(0, len(WIRE)), max_size=40), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_a_stream_reads_the_same_however_it_is_cut(places: list[int], line_end: bytes) -> None:
    """Network reads end inside characters, line ends and JSON; the words must not depend on it."""
    wire = b"\xef\xbb\xbf: comment\n\nevent: message\n" + WIRE
    pieces = cut(wire.replace(b"\n", line_end), places)
    deltas = asyncio.run(deltas_of(FixedAnswer(pieces, "text/event-stream")))
    assert "".join(delta.text for delta in deltas) == TEXT
    calls = [call for delta in deltas for call in delta.tool_calls]
    assert {call.index for call in calls} == {0}
    assert "".join(call.arguments for call in calls) == '{"id": "ĐH123456"}'
    assert all(deltas)


async def test_one_network_read_becomes_one_delta() -> None:
    """Every delta costs an event in the call; a burst of tokens is one."""
    assert len(await deltas_of(FixedAnswer([WIRE], "text/event-stream"))) == 1


@pytest.mark.parametrize(
    "wire",
    [
        events(content("Xin "), content("chào", "stop")),
        events(content("Xin "), content("chào"), "[DONE]"),
        events(content("Xin "), content("chào"), "[DONE]", content("never said")),
        events(content("Xin chào", "stop"), {"choices": [], "usage": {"prompt_tokens": 1}}, "[DONE]"),
        events(content("Xin chào"))[:-2],
        events({"choices": [{"message": {"content": "Xin chào"}, "finish_reason": "stop"}]}),
        events({"choices": [{"delta": {"content": [{"type": "text", "text": "Xin chào"}]}}]}, "[DONE]"),
        events({"choices": [{"text": "Xin chào"}]}, "[DONE]"),
        events({"choices": []}, {"prompt_filter_results": []}, content("Xin chào"), "[DONE]"),
        b': BUSY\n\ndata:{"choices":[{"delta":\ndata:{"content":"Xin ch\\u00e0o"}}]}\n\ndata:[DONE]\n\n',
        b"data: \n\n" + events(content("Xin chào"), end="\r\n\r\n"),
    ],
)
async def test_odd_but_real_servers_are_understood(wire: bytes) -> None:
    """No [DONE], no finish reason, the whole answer at once, comments, JSON over two lines."""
    assert await text_of(FixedAnswer([wire], "text/event-stream")) == "Xin chào"


async def test_a_server_that_does_not_stream_gives_one_delta() -> None:
    """Some servers ignore `stream`."""
    body = json.dumps({"choices": [{"message": {"content": "Xin chào"}, "finish_reason": "stop"}]}).encode()
    deltas = await deltas_of(FixedAnswer([body[:9], body[9:]], "application/json"))
    assert [(delta.text, delta.finish_reason) for delta in deltas] == [("Xin chào", "stop")]


async def test_halves_of_a_character_in_two_events_are_joined() -> None:
    """Some servers escape an emoji as two halves, in two tokens; alone a half cannot be sent to speech."""
    wire = b"".join(
        b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % half for half in (b"ok \\ud83d", b"\\ude00!")
    )
    assert await text_of(FixedAnswer(cut(wire, [50]), "text/event-stream")) == "ok 😀!"


@pytest.mark.parametrize(
    ("fragments", "arguments"),
    [
        # Without an index; a second call begins with an id and a name.
        ([{"id": "a", "function": {"name": "f", "arguments": "{}"}}], ["{}"]),
        (
            [
                {"id": "a", "function": {"name": "f", "arguments": '{"x'}},
                {"function": {"arguments": '": 1}'}},
                {"id": "b", "function": {"name": "g", "arguments": "{}"}},
            ],
            ['{"x": 1}', "{}"],
        ),
        # All with index 0 (seen with Gemini's compatible endpoint).
        (
            [
                {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
                {"index": 0, "id": "b", "function": {"name": "g", "arguments": "[]"}},
            ],
            ["{}", "[]"],
        ),
        # The id repeated on every fragment, and arguments as an object.
        (
            [
                {"index": 1, "id": "a", "function": {"name": "f", "arguments": '{"x'}},
                {"index": 1, "id": "a", "function": {"name": "f", "arguments": '": 1}'}},
                {"index": 2, "id": "b", "function": {"name": "g", "arguments": {"y": "ế"}}},
            ],
            ['{"x": 1}', '{"y": "ế"}'],
        ),
    ],
)
async def test_tool_calls_are_put_together_whatever_the_numbering(
    fragments: list[dict[str, Any]], arguments: list[str]
) -> None:
    """A wrong join runs the wrong tool, or none."""
    wire = events(*({"choices": [{"delta": {"tool_calls": [f]}}]} for f in fragments), "[DONE]")
    joined: dict[int, str] = {}
    for delta in await deltas_of(FixedAnswer([wire], "text/event-stream")):
        for call in delta.tool_calls:
            joined[call.index] = joined.get(call.index, "") + call.arguments
    assert [joined[index] for index in sorted(joined)] == arguments


async def test_tools_are_offered_and_called() -> None:
    """The tools of a persona reach the model as they are."""
    provider = ScriptedProvider(
        Script(llm=(ScriptedReply(tool_calls=(ToolCall("f", '{"a": "xin chào"}'),)),))
    )
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    model = providers_over(provider).llm
    deltas = [delta async for delta in model.reply(MESSAGES, max_tokens=9, temperature=0, tools=tools)]
    assert provider.received("llm")[0].fields["tools"] == tools
    calls = [call for delta in deltas for call in delta.tool_calls]
    assert (calls[0].id, calls[0].name) == ("call_1", "f")
    assert "".join(call.arguments for call in calls) == '{"a": "xin chào"}'
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["tool_calls"]


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (Fault(refuse=True), "reset", True),
        (Fault(hang=True), "timeout", True),
        (Fault(stall_after=0), "timeout", True),
        (Fault(stall_after=600), "timeout", True),
        (Fault(reset_after=0), "broken", True),
        (Fault(reset_after=600), "broken", True),
        (Fault(end_after=230), "broken", True),
        (Fault(end_after=0), "empty_answer", True),
        (Fault(error_event=3), "server_overloaded", True),
        (Fault(wrong=True, body=b"<html>Welcome</html>"), "bad_answer", False),
        (Fault(wrong=True, body=b"{nonsense", content_type="application/json"), "bad_answer", False),
        (
            Fault(wrong=True, body=b"data: none\n\n", content_type="text/event-stream"),
            "bad_answer",
            False,
        ),
        (Fault(wrong=True, body=b'data: "text"\n\n', content_type="text/event-stream"), "bad_answer", False),
        (Fault(wrong=True, body=b'{"choices": []}', content_type="application/json"), "bad_answer", False),
        (Fault(wrong=True, body=b'{"error": {"code": "x1"}}', content_type="application/json"), "x1", True),
        (Fault(status=503, body=b"<html>down</html>"), "http_503", True),
        (Fault(status=500), "http_500", True),
        (Fault(status=404), "http_404", False),
        (Fault(status=302, headers={"location": "https://elsewhere.test/v1"}), "redirect", False),
        (Fault(status=402, body=b'{"error": {"code": "insufficient_quota"}}'), "insufficient_quota", False),
        (Fault(status=429, body=b'{"error": {"type": "insufficient_quota"}}'), "http_429", False),
        (Fault(status=401, body=f'{{"error": {{"message": "bad key {KEY}"}}}}'.encode()), "http_401", False),
    ],
)
@pytest.mark.parametrize("over", ["memory", "network"])
async def test_every_failure_is_a_provider_error_with_a_code(
    fault: Fault, code: str, retryable: bool, over: str
) -> None:
    """The call decides by code and `retryable` what the caller hears; nothing else may come out."""
    provider = ScriptedProvider(Script(llm=(TEXT,)))
    provider.fail("llm", fault)
    async with reached(provider, over) as (streams, base_url):
        error = await failure_of(streams, base_url=base_url, timeout_s=0.1)
    assert (error.code, error.retryable) == (code, retryable)


async def test_text_before_a_failure_is_kept() -> None:
    """A broken stream resumes behind what was spoken, so what came must have come out."""
    provider = ScriptedProvider(Script(llm=(TEXT,)))
    provider.fail("llm", Fault(reset_after=700))
    heard = ""
    failed = False
    try:
        async for delta in providers_over(provider).llm.reply(MESSAGES, max_tokens=9, temperature=0):
            heard += delta.text
    except ProviderError:
        failed = True
    assert failed
    assert heard
    assert TEXT.startswith(heard)


async def test_a_rate_limit_tells_how_long_to_wait_and_which_request_it_was() -> None:
    """`Retry-After` comes first in the back-off; support asks for the request id."""
    provider = ScriptedProvider()
    provider.fail("llm", Fault(status=429, headers={"retry-after": "7", "x-request-id": "req_9"}))
    error = await failure_of(provider)
    assert (error.code, error.status, error.retry_after, error.request_id) == ("http_429", 429, 7.0, "req_9")
    provider.fail("llm", Fault(status=429, headers={"retry-after-ms": "250", "retry-after": "9"}))
    assert (await failure_of(provider)).retry_after == 0.25
    provider.fail("llm", Fault(status=503, headers={"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    assert (await failure_of(provider)).retry_after == 0.0
    provider.fail("llm", Fault(status=503, headers={"retry-after": "soon"}))
    assert (await failure_of(provider)).retry_after is None


async def test_fields_that_a_server_refuses_are_left_out_from_then_on() -> None:
    """Newer models refuse `max_tokens` and `temperature`, older servers `stream_options`."""

    provider = ScriptedProvider(Script(llm=(TEXT,)))
    for field in ("max_tokens", "temperature", "stream_options"):
        body = json.dumps(
            {"error": {"message": f"Unsupported parameter: '{field}'", "param": field}}
        ).encode()
        provider.fail("llm", Fault(status=400, body=body))
    model = providers_over(provider).llm
    for _ in range(2):
        assert "".join([d.text async for d in model.reply(MESSAGES, max_tokens=9, temperature=0)]) == TEXT
    assert len(provider.received("llm")) == 5
    fields = provider.received("llm")[-1].fields
    assert fields["max_completion_tokens"] == 9
    assert not {"max_tokens", "temperature", "stream_options"} & fields.keys()


@pytest.mark.parametrize("over", ["memory", "network"])
async def test_leaving_a_reply_early_closes_its_request(over: str) -> None:
    """After a barge-in the provider must stop working (and counting tokens) at once."""
    provider = ScriptedProvider(Script(llm=(TEXT,)))
    provider.fail("llm", Fault(stall_after=700), times=None)
    async with reached(provider, over) as (streams, base_url):
        model = providers_over(streams, base_url=base_url).llm
        started = asyncio.Event()

        async def listen() -> None:
            async with contextlib.aclosing(model.reply(MESSAGES, max_tokens=9, temperature=0)) as reply:
                async for _ in reply:
                    started.set()

        task = asyncio.create_task(listen())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await provider.requests[0].ended() == "closed"
