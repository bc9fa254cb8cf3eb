"""The chat route: whole and streamed answers as the official client sees them, and as the wire has them."""

import json
from typing import Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

pytest_plugins = ["embedded_server"]

MODEL = "embedded-chat"
CONFIRMED: list[ChatCompletionMessageParam] = [
    {"role": "assistant", "content": "I heard D H 1 2 3 4 5 6. Is that right?"},
    {"role": "user", "content": "yes"},
]
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "get_order_status",
            "parameters": {
                "type": "object",
                "properties": {"order_id": {"type": "string"}},
                "required": ["order_id"],
            },
        },
    }
]


@pytest.fixture
def client(embedded_base_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=embedded_base_url, api_key="unused", max_retries=0)


def test_the_models_are_listed_and_each_can_be_asked_for(client: openai.OpenAI) -> None:
    """`voicegw check` asks for the list to tell what a key reaches."""
    listed = [model.id for model in client.models.list()]
    assert {"embedded-stt", "embedded-chat", "embedded-tts", "whisper-1", "tts-1"} == set(listed)
    assert client.models.retrieve("embedded-chat").owned_by == "voicegw-embedded"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


def test_an_answer_as_a_whole(client: openai.OpenAI) -> None:
    """Not streaming is the simplest client's way."""
    completion = client.chat.completions.create(model=MODEL, messages=CONFIRMED)
    (choice,) = completion.choices
    assert choice.finish_reason == "stop"
    assert choice.message.content is not None
    assert choice.message.content.startswith("Your order DH123456 is out for delivery.")
    assert completion.usage is not None
    assert (
        completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    )


def test_a_streamed_answer_is_the_whole_one_word_by_word(client: openai.OpenAI) -> None:
    """The gateway's sentence chunker is fed by small deltas, as from any model."""
    whole = client.chat.completions.create(model=MODEL, messages=CONFIRMED).choices[0].message.content
    stream = client.chat.completions.create(model=MODEL, messages=CONFIRMED, stream=True)
    chunks = list(stream)
    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert "".join(words) == whole
    assert len(words) > 10
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_comes_last_with_no_choices_when_it_is_asked_for(client: openai.OpenAI) -> None:
    """Costs are counted from this chunk; a reader that expects a choice in it would break on real servers."""
    stream = client.chat.completions.create(
        model=MODEL, messages=CONFIRMED, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > 10
    assert all(chunk.usage is None for chunk in chunks)


def test_a_tool_call_is_streamed_in_fragments_by_index(client: openai.OpenAI) -> None:
    """Real servers send id and name once, then bits of the arguments: joining them is the client's work."""
    stream = client.chat.completions.create(model=MODEL, messages=CONFIRMED, tools=TOOLS, stream=True)
    chunks = list(stream)
    first, *rest = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert first.id is not None
    assert first.function is not None
    assert (first.index, first.type) == (0, "function")
    assert (first.function.name, first.function.arguments) == ("get_order_status", "")
    assert len(rest) >= 2
    assert all(part.index == 0 and part.id is None and part.function for part in rest)
    joined = "".join(part.function.arguments or "" for part in rest if part.function)
    assert json.loads(joined) == {"order_id": "DH123456"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_tool_call_as_a_whole_and_the_answer_to_its_result(client: openai.OpenAI) -> None:
    """The round that an agent with tools makes in every client library."""
    choice = client.chat.completions.create(model=MODEL, messages=CONFIRMED, tools=TOOLS).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    messages: list[Any] = [
        *CONFIRMED,
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": '{"status": "shipped", "eta": "on Monday"}'},
    ]
    told = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS).choices[0]
    assert told.finish_reason == "stop"
    assert (told.message.content or "").startswith(
        "Your order DH123456 is on its way. It should arrive on Monday."
    )


def test_no_tool_is_called_when_the_request_forbids_it(client: openai.OpenAI) -> None:
    """`tool_choice: none` is how a client asks for a spoken answer."""
    choice = client.chat.completions.create(
        model=MODEL, messages=CONFIRMED, tools=TOOLS, tool_choice="none"
    ).choices[0]
    assert choice.finish_reason == "stop"


def test_the_token_limit_cuts_the_answer(client: openai.OpenAI) -> None:
    """Clients must meet `length` in tests before they meet it in a call."""
    choice = client.chat.completions.create(model=MODEL, messages=CONFIRMED, max_tokens=3).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Your order DH123456", "length")


def test_the_stream_ends_with_done(embedded_base_url: str) -> None:
    """Readers that do not use the official client wait for this line."""
    body = {"model": MODEL, "messages": CONFIRMED, "stream": True}
    answered = httpx2.post(f"{embedded_base_url}/chat/completions", json=body)
    assert answered.headers["content-type"].startswith("text/event-stream")
    events = answered.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(event.startswith("data: {") for event in events[:-2])


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": "gpt-4o", "messages": CONFIRMED}, 404, "model"),
        ({"messages": CONFIRMED}, 400, "model"),
        ({"model": MODEL, "messages": []}, 400, "messages"),
        ({"model": MODEL, "messages": [{"role": "robot"}]}, 400, "messages.0"),
        ({"model": MODEL, "messages": CONFIRMED, "n": 2}, 400, "n"),
        ({"model": MODEL, "messages": CONFIRMED, "max_tokens": "many"}, 400, "max_tokens"),
        ({"model": MODEL, "messages": CONFIRMED, "tools": ["hammer"]}, 400, "tools"),
        (["not an object"], 400, None),
    ],
)
def test_a_wrong_request_is_refused_in_the_shape_of_openai(
    embedded_base_url: str, body: object, status: int, param: str | None
) -> None:
    """`voicegw check` turns these into advice; a traceback or a plain 500 would tell nothing."""
    answered = httpx2.post(f"{embedded_base_url}/chat/completions", json=body)
    assert answered.status_code == status
    assert answered.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/embeddings", 404), ("GET", "/audio/speech", 405)]
)
def test_unknown_routes_answer_in_the_same_shape(
    embedded_base_url: str, method: str, path: str, status: int
) -> None:
    """A wrong base URL is the commonest mistake; clients read the message from this shape."""
    answered = httpx2.request(method, embedded_base_url + path)
    assert answered.status_code == status
    assert set(answered.json()["error"]) == {"message", "type", "param", "code"}


def test_a_body_that_is_not_json_is_refused(embedded_base_url: str) -> None:
    """The parser's own error must not become a 500."""
    answered = httpx2.post(f"{embedded_base_url}/chat/completions", content=b"{")
    assert answered.status_code == 400
    assert answered.json()["error"]["type"] == "invalid_request_error"
