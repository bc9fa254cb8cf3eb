"""Tool calls as servers really send them: split at every byte, in odd shapes, over real chunked HTTP."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from gateways import Caller, caller, settings_for
from provider_pairs import FixedAnswer, providers_over

from voicegw.call import events as e
from voicegw.call.tool_rounds import Fragments
from voicegw.providers.steady import SteadyChat
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.provider_server import ProviderServer
from voicegw.rehearsal.script import Script
from voicegw.server.front import make_gateway, make_server

MESSAGES = [{"role": "user", "content": "Hai đơn của em đâu rồi?"}]
NAME = "get_order_status"
# What the model wants, in whatever shape it says so.
FIRST, SECOND = '{"order_id": "DH123456"}', '{"order_id":"DH654321"}'
WANTED = [(NAME, FIRST), (NAME, SECOND)]

Fragment = dict[str, Any]


def piece(index: int | None, id: str = "", name: str = "", arguments: object = "") -> Fragment:
    """One entry of a delta's `tool_calls`, with the fields that are given only."""
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v != ""}
    found: Fragment = {"function": function}
    if index is not None:
        found["index"] = index
    return found | ({"id": id, "type": "function"} if id else {})


def in_pieces(index: int, text: str, size: int) -> list[Fragment]:
    return [piece(index, arguments=text[at : at + size]) for at in range(0, len(text), size)]


def mixed(*rows: Iterable[Fragment]) -> list[Fragment]:
    """The fragments of parallel calls as they come from a server that writes both at once."""
    return [part for parts in itertools.zip_longest(*rows) for part in parts if part]


SHAPES: dict[str, list[list[Fragment]]] = {
    # One after the other, arguments in pieces: OpenAI.
    "openai": [
        [part]
        for index, arguments in ((0, FIRST), (1, SECOND))
        for part in (piece(index, f"call_{index}", NAME), *in_pieces(index, arguments, 5))
    ],
    "mixed": [
        [part]
        for part in (
            piece(0, "a", NAME),
            piece(1, "b", NAME),
            *mixed(in_pieces(0, FIRST, 4), in_pieces(1, SECOND, 3)),
        )
    ],
    "both in each delta": [
        list(pair)
        for pair in [
            (piece(0, "a", NAME), piece(1, "b", NAME)),
            *zip(in_pieces(0, FIRST, 6), in_pieces(1, SECOND, 6), strict=True),
        ]
    ],
    "each call whole": [[piece(0, "a", NAME, FIRST)], [piece(1, "b", NAME, SECOND)]],
    "all in one delta": [[piece(0, "a", NAME, FIRST), piece(1, "b", NAME, SECOND)]],
    "no ids": [
        [part]
        for index, arguments in ((0, FIRST), (1, SECOND))
        for part in (piece(index, "", NAME), *in_pieces(index, arguments, 9))
    ],
    "no index": [[piece(None, "a", NAME, FIRST)], [piece(None, "b", NAME, SECOND)]],
    "no ids and no index": [[piece(None, "", NAME, FIRST)], [piece(None, "", NAME, SECOND)]],
    "always index 0": [[piece(0, "a", NAME, FIRST)], [piece(0, "b", NAME, SECOND)]],
    "name and id repeated": [
        [piece(index, f"call_{index}", NAME, arguments[at : at + 8])]
        for index, arguments in ((0, FIRST), (1, SECOND))
        for at in range(0, len(arguments), 8)
    ],
    "name repeated, no ids": [
        [piece(index, "", NAME, arguments[at : at + 8])]
        for index, arguments in ((0, FIRST), (1, SECOND))
        for at in range(0, len(arguments), 8)
    ],
    "arguments as objects": [
        [piece(0, "a", NAME, json.loads(FIRST))],
        [piece(1, "b", NAME, json.loads(SECOND))],
    ],
}


def wire(deltas: Iterable[list[Fragment]], finish: str = "tool_calls") -> bytes:
    """An event stream with these deltas."""
    head: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices: list[dict[str, Any]] = [
        {"index": 0, "delta": {"tool_calls": delta}, "finish_reason": None} for delta in deltas
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    events = [json.dumps({**head, "choices": [choice]}, ensure_ascii=False) for choice in choices]
    return "".join(f"data: {event}\n\n" for event in (*events, "[DONE]")).encode()


async def assembled(model: SteadyChat) -> list[tuple[str, Any]]:
    """The calls as the rules of a call put them together from what the client yields."""
    fragments = Fragments()
    async for delta in model.reply(MESSAGES, max_tokens=50, temperature=0):
        for part in delta.tool_calls:
            fragments.take(e.ReplyToolCall(1, part.index, part.name, part.arguments))
    return [(name, json.loads(arguments)) for name, arguments in fragments.take_all()]


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_stream_of_tool_calls_may_be_cut_at_any_byte(shape: str) -> None:
    """A cut inside a name, a number, an escape or a line end must not lose or double a call."""
    data = wire(SHAPES[shape])
    wanted = [(name, json.loads(arguments)) for name, arguments in WANTED]
    cuts = [[data[:at], data[at:]] for at in range(len(data))]
    cuts += [[data[at : at + size] for at in range(0, len(data), size)] for size in (1, 2, 3)]
    server = FixedAnswer([], "text/event-stream")
    model = providers_over(server).llm
    for pieces in cuts:
        server.pieces = pieces
        found = await assembled(model)
        assert found == wanted, f"cut into {len(pieces[0])} and more bytes"


class ToolModel:
    """A model server over real HTTP: byte by byte it asks for tools, and tells what they brought."""

    def __init__(self) -> None:
        self.base_url = ""
        self.requests: list[dict[str, Any]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        last = body["messages"][-1]
        if last["role"] == "tool":
            said = {"index": 0, "delta": {"content": "Here you are."}, "finish_reason": "stop"}
            data = f"data: {json.dumps({'choices': [said]})}\n\ndata: [DONE]\n\n".encode()
        else:
            data = wire(SHAPES[last["content"]])
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        for at in range(len(data)):
            await response.write(data[at : at + 1])
            if at % 50 == 0:
                # Lets the reader read: else the socket would join all of it.
                await asyncio.sleep(0)
        await response.write_eof()
        return response


@asynccontextmanager
async def tool_model() -> AsyncIterator[ToolModel]:
    model = ToolModel()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    model.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield model
    finally:
        await runner.cleanup()


@asynccontextmanager
async def calling(folder: Path, **overrides: str) -> AsyncIterator[Caller]:
    """A caller of a gateway that reaches its providers over HTTP."""
    gateway = await make_gateway(settings_for(folder, **overrides))
    server = make_server(gateway.settings, gateway)
    serving = asyncio.create_task(server._serve())  # without uvicorn's signal handlers
    try:
        await server.listening.wait()
        async with caller(f"ws://127.0.0.1:{server.port}/v1/call") as someone:
            await someone.send("start", persona="support")
            await someone.event("ready")
            yield someone
    finally:
        server.stop()
        await serving
        await gateway.close()


async def test_every_shape_of_server_has_its_tools_run_and_told(tmp_path: Path) -> None:
    """From HTTP chunks of one byte to the shop's rows, and back to the model in the API's form."""
    speech = ScriptedProvider(Script(ms_per_char=1))
    async with (
        ProviderServer(speech) as tts,
        tool_model() as model,
        calling(
            tmp_path,
            provider__base_url=tts.base_url,
            llm__base_url=model.base_url,
            llm__api_key="k",
        ) as someone,
    ):
        for shape in SHAPES:
            asked = len(model.requests)
            await someone.send("text", text=shape)
            while (told := await someone.event("reply_text"))["text"] != "Here you are.":
                assert told["kind"] in ("greeting", "filler"), told
            await someone.event("speech_stopped")
            first, second = model.requests[asked:]
            assert first["messages"][-1] == {"role": "user", "content": shape}
            assistant, *results = second["messages"][-3:]
            assert [json.loads(c["function"]["arguments"]) for c in assistant["tool_calls"]] == [
                json.loads(FIRST),
                json.loads(SECOND),
            ]
            ids = [c["id"] for c in assistant["tool_calls"]]
            assert len(set(ids)) == 2
            assert [result["tool_call_id"] for result in results] == ids
            assert [json.loads(result["content"])["status"] for result in results] == [
                "out_for_delivery",
                "processing",
            ]
    ran = [event for event in someone.events if event["type"] == "tool" and event["status"] == "done"]
    assert len(ran) == 2 * len(SHAPES)
