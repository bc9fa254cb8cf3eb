"""The route `/v1/chat/completions` (https://platform.openai.com/docs/api-reference/chat/create)."""

import hashlib
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from voicegw.embedded.agent import Answer, answer
from voicegw.embedded.errors import invalid
from voicegw.embedded.requests import json_object, known_model

MODELS = ["embedded-chat"]

_ROLES = ("system", "developer", "user", "assistant", "tool")
# Arguments of a tool call come in pieces of this many characters, as from real servers.
_ARGUMENT_PIECE = 8


@dataclass(frozen=True)
class ChatRequest:
    """A checked request."""

    model: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    max_tokens: int | None
    stream: bool
    include_usage: bool


@dataclass(frozen=True)
class Completion:
    """A finished answer, in the terms of the API; a token is a word with the space before it."""

    pieces: list[str]
    calls: list[dict[str, Any]]
    finish_reason: str
    usage: dict[str, int]


async def create_completion(request: Request) -> Response:
    """Answer a conversation with the scripted agent, at once or as server-sent events."""
    wanted = read_request(await json_object(request))
    completion = complete(wanted)
    if wanted.stream:
        return StreamingResponse(_events(wanted, completion), media_type="text/event-stream")
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(completion.pieces) or None,
        "refusal": None,
    }
    if completion.calls:
        message["tool_calls"] = completion.calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": completion.finish_reason}
    return JSONResponse(
        {**_envelope(wanted.model, "chat.completion"), "choices": [choice], "usage": completion.usage}
    )


def read_request(body: dict[str, Any]) -> ChatRequest:
    """Check the body of a request. Raises `ApiError` 400 or 404, naming the parameter.

    Sampling parameters have no meaning for a script and are ignored, and so is `tool_choice` other than
    "none".
    """
    model = known_model(body.get("model"), MODELS)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("`messages` must be a list that is not empty.", "messages")
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise invalid(f"`messages[{number}]` needs a role: {', '.join(_ROLES)}.", f"messages.{number}")
        calls = message.get("tool_calls")
        if calls is not None and not _objects(calls):
            raise invalid(f"`messages[{number}].tool_calls` must be a list of objects.", f"messages.{number}")
    tools = body.get("tools") or []
    if not _objects(tools):
        raise invalid("`tools` must be a list of objects.", "tools")
    if body.get("n") not in (None, 1):
        raise invalid("Only one answer at a time: leave `n` out.", "n")
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise invalid("`max_tokens` must be a positive whole number.", "max_tokens")
    options = body.get("stream_options")
    return ChatRequest(
        model,
        messages,
        [] if body.get("tool_choice") == "none" else tools,
        most,
        body.get("stream") is True,
        isinstance(options, dict) and options.get("include_usage") is True,
    )


def _objects(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and isinstance(item.get("function"), dict) for item in value
    )


def complete(wanted: ChatRequest) -> Completion:
    """Return the agent's answer, cut to `max_tokens`."""
    said: Answer = answer(wanted.messages, wanted.tools)
    pieces = words_of(said.text)
    cut = wanted.max_tokens is not None and len(pieces) > wanted.max_tokens
    if cut:
        pieces = pieces[: wanted.max_tokens]
    calls = (
        []
        if cut
        else [_call(wanted.messages, number, c.name, c.arguments) for number, c in enumerate(said.calls)]
    )
    prompt = sum(len(words_of(json.dumps(message.get("content")))) for message in wanted.messages)
    output = len(pieces) + sum(len(words_of(call["function"]["arguments"])) + 1 for call in calls)
    return Completion(
        pieces,
        calls,
        "length" if cut else "tool_calls" if calls else "stop",
        {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output},
    )


def words_of(text: str) -> list[str]:
    """Return the words of a text, each with the space before it; joined they are the text again."""
    return re.findall(r"\s*\S+|\s+$", text)


def _call(
    messages: Sequence[Mapping[str, Any]], number: int, name: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    written = json.dumps(arguments, ensure_ascii=False)
    # The same conversation gives the same id; another turn of it gives another.
    seed = f"{len(messages)}/{number}/{name}/{written}"
    call_id = f"call_{hashlib.sha256(seed.encode()).hexdigest()[:24]}"
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": written}}


def deltas(completion: Completion) -> Iterator[dict[str, Any]]:
    """Yield the deltas of a streamed answer, split as OpenAI's servers split them.

    First the role, then the words; then for each tool call its id and name with empty arguments, followed
    by the arguments in pieces, told apart by `index`.
    """
    yield {"role": "assistant", "content": None if completion.calls and not completion.pieces else ""}
    for piece in completion.pieces:
        yield {"content": piece}
    for index, call in enumerate(completion.calls):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        opening = {"id": call["id"], "type": "function", "function": {"name": name, "arguments": ""}}
        yield {"tool_calls": [{"index": index, **opening}]}
        for start in range(0, len(arguments), _ARGUMENT_PIECE):
            part = arguments[start : start + _ARGUMENT_PIECE]
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}


async def _events(wanted: ChatRequest, completion: Completion) -> AsyncIterator[str]:
    envelope = _envelope(wanted.model, "chat.completion.chunk")
    # With include_usage every chunk has the field, and only the last one, without choices, a value.
    no_usage: dict[str, Any] = {"usage": None} if wanted.include_usage else {}
    for delta in deltas(completion):
        yield _event({**envelope, "choices": [_choice(delta, None)], **no_usage})
    yield _event({**envelope, "choices": [_choice({}, completion.finish_reason)], **no_usage})
    if wanted.include_usage:
        yield _event({**envelope, "choices": [], "usage": completion.usage})
    yield "data: [DONE]\n\n"


def _choice(delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _event(chunk: dict[str, Any]) -> str:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


def _envelope(model: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}
