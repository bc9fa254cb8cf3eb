"""The model's history: what the caller said and showed, what of the agent's words was heard, what tools did.

An assistant message with tool calls and the results of all of them is one unit, shown whole or not at all.
"""

from dataclasses import dataclass, field

from voicegw.call.commands import Message

# Where tokens must be guessed: English has about 4 characters in one, Vietnamese about 2.5.
CHARS_PER_TOKEN = 3
# A photo of low detail; high detail costs more, but is rare (OpenAI's guide to vision).
PHOTO_TOKENS = 85
STILL_RUNNING = '{"status": "still running, the result will follow"}'


@dataclass(slots=True)
class ToolUse:
    """One tool call of the model. `content` is empty until there is a result."""

    tool_id: int
    call_id: str
    name: str
    arguments: str
    content: str = ""
    told: bool = False  # the model has seen the result, and its answer was heard

    @property
    def done(self) -> bool:
        """True when there is a result, of whatever kind."""
        return bool(self.content)


@dataclass(slots=True)
class ToolUnit:
    """An assistant message with tool calls: what was said with it, and the calls."""

    said: str
    uses: list[ToolUse]

    def messages(self) -> list[Message]:
        """The unit as the chat API wants it."""
        calls = [
            {"id": u.call_id, "type": "function", "function": {"name": u.name, "arguments": u.arguments}}
            for u in self.uses
        ]
        asked: Message = {"role": "assistant", "content": self.said or None, "tool_calls": calls}
        results = [
            {"role": "tool", "tool_call_id": use.call_id, "content": use.content or STILL_RUNNING}
            for use in self.uses
        ]
        return [asked, *results]


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo that the caller showed."""

    image_id: str
    width: int
    height: int


@dataclass(slots=True)
class Exchange:
    """A caller turn and what the caller heard in answer; the greeting answers no caller turn."""

    caller: str
    agent: list[str | ToolUnit] = field(default_factory=list)
    photos: tuple[Photo, ...] = ()

    def messages(self, shown: frozenset[str]) -> list[Message]:
        """The exchange as messages; photos that are not `shown` are mentioned."""
        messages: list[Message] = []
        if self.caller or self.photos:
            messages.append({"role": "user", "content": self._content(shown)})
        words: list[str] = []
        for item in self.agent:
            if isinstance(item, str):
                words.append(item)
                continue
            if words:
                messages.append({"role": "assistant", "content": " ".join(words)})
                words = []
            messages += item.messages()
        if words:
            messages.append({"role": "assistant", "content": " ".join(words)})
        return messages

    def _content(self, shown: frozenset[str]) -> str | list[Message]:
        if not self.photos:
            return self.caller
        parts: list[Message] = [{"type": "text", "text": self.caller}] if self.caller else []
        for photo in self.photos:
            if photo.image_id in shown:
                parts.append({"type": "image", "image_id": photo.image_id})
            else:
                parts.append({"type": "text", "text": "[a photo that was shown earlier]"})
        return parts


class Dialogue:
    """Keeps the last exchanges. Memory is bounded by `most_exchanges`, not by the length of the call."""

    def __init__(
        self, system_prompt: str, most_exchanges: int, *, most_tokens: int = 0, most_photos: int = 2
    ) -> None:
        self._system_prompt = system_prompt
        self._most = most_exchanges
        self._most_tokens = most_tokens
        self._most_photos = most_photos
        self._exchanges: list[Exchange] = []
        self._dropped: list[Exchange] = []
        self.summary = ""  # of what is not shown any more

    def caller_said(self, text: str, photos: tuple[Photo, ...] = ()) -> None:
        """Open an exchange. A turn that got no audible answer stays: it was said."""
        self._exchanges.append(Exchange(text, photos=photos))
        # The open one comes on top of those that are remembered.
        self._drop(max(0, len(self._exchanges) - self._most - 1))
        while self._most_tokens and len(self._exchanges) > 1 and self.tokens > self._most_tokens:
            self._drop(1)

    def _drop(self, n: int) -> None:
        self._dropped += self._exchanges[:n]
        del self._exchanges[:n]
        # Whoever wants a summary takes them soon; nobody else may let them pile up.
        del self._dropped[: -(self._most + 1)]

    def preview(self, text: str, photos: tuple[Photo, ...] = ()) -> tuple[Message, ...]:
        """The request's messages, if the caller's turn turns out to be `text`."""
        kept, dropped = list(self._exchanges), list(self._dropped)
        self.caller_said(text, photos)
        messages = self.messages()
        self._exchanges, self._dropped = kept, dropped
        return messages

    @property
    def tokens(self) -> int:
        """About how many tokens the messages have."""
        chars, photos = len(self._system_prompt) + len(self.summary), 0
        for exchange in self._exchanges:
            chars += len(exchange.caller)
            photos += len(exchange.photos)
            for item in exchange.agent:
                if isinstance(item, str):
                    chars += len(item)
                else:
                    chars += len(item.said) + sum(len(u.arguments) + len(u.content) for u in item.uses)
        return chars // CHARS_PER_TOKEN + PHOTO_TOKENS * min(photos, self._most_photos)

    def take_dropped(self) -> tuple[Message, ...]:
        """Return once what has fallen out of the window since the last time, as messages."""
        dropped, self._dropped = self._dropped, []
        return tuple(message for exchange in dropped for message in exchange.messages(frozenset()))

    def take_back(self) -> tuple[Photo, ...]:
        """The newest caller turn was not over: it will be said again, whole. Returns its photos."""
        return self._exchanges.pop().photos

    def agent_heard(self, text: str) -> None:
        """Add what the caller heard of the agent's newest words."""
        if text:
            self._open.agent.append(text)

    def tools_called(self, unit: ToolUnit) -> None:
        """Add a unit; its results, and what was heard of its words, are written into it later."""
        self._open.agent.append(unit)

    @property
    def _open(self) -> Exchange:
        if not self._exchanges:
            self._exchanges.append(Exchange(""))
        return self._exchanges[-1]

    def remembers(self, unit: ToolUnit) -> bool:
        """True while the model is shown this unit."""
        return any(item is unit for exchange in self._exchanges for item in exchange.agent)

    def messages(self) -> tuple[Message, ...]:
        """The request's messages: system prompt, remembered exchanges, the open caller turn."""
        system = self._system_prompt
        if self.summary:
            system = f"{system}\n\nEarlier in this call: {self.summary}"
        newest = [photo.image_id for exchange in self._exchanges for photo in exchange.photos]
        shown = frozenset(newest[-self._most_photos :] if self._most_photos else ())
        messages: list[Message] = [{"role": "system", "content": system}]
        for exchange in self._exchanges:
            messages += exchange.messages(shown)
        return tuple(messages)
