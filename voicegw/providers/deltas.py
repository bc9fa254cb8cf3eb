"""From the JSON objects of a chat stream to `ReplyDelta`s, tolerating what real servers send.

Pure. https://platform.openai.com/docs/api-reference/chat-streaming
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A fragment of one tool call; fragments of the same `index` (0, 1, …) belong together.

    `id` and `name` come once, `arguments` in pieces of one JSON text.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request, as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class ReplyDelta:
    """What one network read of a reply brought. `finish_reason` is "stop", "length", "tool_calls", …"""

    text: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None

    def __bool__(self) -> bool:
        return bool(self.text or self.tool_calls or self.finish_reason or self.usage)


class DeltaReader:
    """Collects the objects of one network read and makes one `ReplyDelta` of them.

    Tolerated: usage in any object, objects without choices, a missing finish reason or ids, the whole
    answer in one object (`message` in place of `delta`), text as a list of parts, tool calls without an
    index or all with index 0, and characters outside the basic plane sent as two halves in two objects.
    """

    def __init__(self) -> None:
        self.seen_content = False
        self._text: list[str] = []
        self._half = ""
        self._tool_calls: list[ToolCallDelta] = []
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        # Ours, by position: the provider's id and index of each call so far.
        self._calls: list[tuple[str, object]] = []

    def take(self, event: Mapping[str, Any]) -> None:
        """Add one object of the stream."""
        choices = event.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
            self._take_choice(choices[0])
        usage = event.get("usage")
        if isinstance(usage, Mapping):
            self._usage = Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))

    def delta(self) -> ReplyDelta:
        """Return what has been collected since the last time; false in a condition when that is nothing."""
        text = "".join(self._text)
        if self._half or not text.isascii():
            text = self._join_halves(text)
        found = ReplyDelta(text, tuple(self._tool_calls), self._finish_reason, self._usage)
        self._text.clear()
        self._tool_calls.clear()
        self._finish_reason = None
        self._usage = None
        return found

    def _take_choice(self, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, Mapping):
            content = delta.get("content") or delta.get("refusal")
            if isinstance(content, list):
                content = "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
            if content and isinstance(content, str):
                self.seen_content = True
                self._text.append(content)
            tool_calls = delta.get("tool_calls")
            if isinstance(tool_calls, list):
                for tool_call in tool_calls:
                    if isinstance(tool_call, Mapping):
                        self._take_tool_call(tool_call)
        elif isinstance(choice.get("text"), str):
            self.seen_content = True
            self._text.append(choice["text"])
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._finish_reason = reason

    def _take_tool_call(self, tool_call: Mapping[str, Any]) -> None:
        self.seen_content = True
        function = tool_call.get("function")
        function = function if isinstance(function, Mapping) else {}
        call_id = str(tool_call.get("id") or "")
        name = str(function.get("name") or "")
        arguments = function.get("arguments")
        if isinstance(arguments, Mapping):
            # Ollama's own form: an object where a JSON text is due.
            arguments = json.dumps(arguments, ensure_ascii=False)
        self._tool_calls.append(
            ToolCallDelta(
                self._position(call_id, tool_call.get("index"), name), call_id, name, str(arguments or "")
            )
        )

    def _position(self, call_id: str, index: object, name: str) -> int:
        """Which call a fragment belongs to; a new id with a name begins a new one, whatever its index."""
        for position in range(len(self._calls) - 1, -1, -1):
            known_id, known_index = self._calls[position]
            if call_id and known_id == call_id:
                return position
            same_place = index is None or index == known_index
            if same_place and not (name and call_id and known_id) and not (index is None and name):
                if call_id and not known_id:
                    self._calls[position] = (call_id, known_index)
                return position
        self._calls.append((call_id, index))
        return len(self._calls) - 1

    def _join_halves(self, text: str) -> str:
        text = self._half + text
        self._half = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        try:
            text.encode()
        except UnicodeEncodeError:
            # Joins pairs; a half without its other half becomes U+FFFD.
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
