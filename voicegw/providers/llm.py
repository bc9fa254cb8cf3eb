"""The language model: messages in, a stream of text and tool calls out, by `/chat/completions`.

Reads the event stream itself (`sse.py`, `deltas.py`), because the client's parser costs more than all the
rest of an exchange. https://platform.openai.com/docs/api-reference/chat-streaming
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from voicegw.config import ProviderSettings
from voicegw.errors import ProviderError
from voicegw.providers.deltas import DeltaReader, ReplyDelta, ToolCallDelta, Usage
from voicegw.providers.http import ByteStreams
from voicegw.providers.sse import BadStream, EventReader
from voicegw.providers.upstream import Answer, Upstream, json_bytes

__all__ = ["ChatModel", "ReplyDelta", "ToolCallDelta", "Usage"]

# After [DONE] the connection's last bytes are usually on their way: waiting this long keeps it for the next
# reply.
_LINGER_S = 0.05


class ChatModel:
    """A chat endpoint. Safe for many calls at once."""

    def __init__(self, settings: ProviderSettings, streams: ByteStreams) -> None:
        self._upstream = Upstream("llm", settings, streams)
        # Fields that this server has refused; it is asked without them from then on.
        self._refused: set[str] = set()

    async def reply(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        max_tokens: int,
        temperature: float,
        tools: Sequence[Mapping[str, Any]] = (),
        tool_choice: str = "",
        model: str = "",
    ) -> AsyncGenerator[ReplyDelta, None]:
        """Stream one answer to `messages` (OpenAI's form); `tools` likewise. "" is the provider's own model.

        Each delta holds all that one network read brought, and is never empty. Raises ProviderError, also
        half-way; a stream that ends cleanly without finish reason or [DONE] is complete. Close the
        generator (`contextlib.aclosing`) when leaving it early: that closes the connection.
        """
        async with await self._open(messages, max_tokens, temperature, tools, tool_choice, model) as answer:
            reader = DeltaReader()
            if answer.content_type == "application/json":
                # The server does not stream: the whole answer is one delta.
                yield self._whole(answer, await answer.read_all(), reader)
                return
            if answer.content_type == "text/html":
                raise answer.bad("a web page came in place of an answer; is the base URL right?")
            events = EventReader()
            reason: str | None = None
            while not events.done:
                data = await answer.read()
                for event in self._events(answer, events, data):
                    self._take(answer, event, reader)
                if delta := reader.delta():
                    reason = delta.finish_reason or reason
                    yield delta
                if not data:
                    break
            if events.done:
                await answer.let_end(_LINGER_S)
            if not reader.seen_content:
                blocked = reason == "content_filter"
                raise self._upstream.failures.error(
                    "content_filter" if blocked else "empty_answer",
                    "no text and no tool call came",
                    retryable=not blocked,
                    request_id=answer.request_id,
                )

    def _events(self, answer: Answer, events: EventReader, data: bytes) -> list[Any]:
        try:
            return events.push(data) if data else events.finish()
        except BadStream as error:
            if data:
                raise answer.bad(str(error)) from error
            raise self._upstream.failures.broken(error, answer.request_id) from error

    async def _open(
        self,
        messages: Sequence[Mapping[str, Any]],
        max_tokens: int,
        temperature: float,
        tools: Sequence[Mapping[str, Any]],
        tool_choice: str,
        model: str,
    ) -> Answer:
        while True:
            fields: dict[str, Any] = {
                "model": model or self._upstream.model,
                "messages": messages,
                "stream": True,
            }
            length = "max_completion_tokens" if "max_tokens" in self._refused else "max_tokens"
            fields[length] = max_tokens
            if "temperature" not in self._refused:
                fields["temperature"] = temperature
            if "stream_options" not in self._refused:
                fields["stream_options"] = {"include_usage": True}
            if tools:
                fields["tools"] = tools
                if tool_choice:
                    fields["tool_choice"] = tool_choice
            try:
                return await self._upstream.post("/chat/completions", json_bytes(fields))
            except ProviderError as error:
                if not self._learn(error):
                    raise

    def _learn(self, error: ProviderError) -> bool:
        """Note a field that the server refuses by name; True when asking again without it is worth it."""
        if error.status not in (400, 422):
            return False
        for field in ("stream_options", "max_tokens", "temperature"):
            if field in error.message and field not in self._refused:
                self._refused.add(field)
                return True
        return False

    def _take(self, answer: Answer, event: Any, reader: DeltaReader) -> None:
        if not isinstance(event, Mapping):
            raise answer.bad("an event that is no JSON object")
        if event.get("error") or event.get("object") == "error":
            raise self._upstream.failures.from_event(event, answer.request_id)
        reader.take(event)

    def _whole(self, answer: Answer, body: bytes, reader: DeltaReader) -> ReplyDelta:
        try:
            event = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise answer.bad("an answer that is no JSON") from error
        self._take(answer, event, reader)
        if not reader.seen_content:
            raise answer.bad("an answer without text and without tool calls")
        return reader.delta()
