"""The model's history: what the caller said, and of the agent's words those that were heard."""

from dataclasses import dataclass, field

from voicegw.call.commands import Message


@dataclass(slots=True)
class Exchange:
    """A caller turn and what the caller heard in answer; the greeting answers no caller turn."""

    caller: str
    agent: list[str] = field(default_factory=list)


class Dialogue:
    """Keeps the last exchanges. Memory is bounded by `most_exchanges`, not by the length of the call."""

    def __init__(self, system_prompt: str, most_exchanges: int) -> None:
        self._system_prompt = system_prompt
        self._most = most_exchanges
        self._exchanges: list[Exchange] = []

    def caller_said(self, text: str) -> None:
        """Open an exchange. A turn that got no audible answer stays: it was said."""
        self._exchanges.append(Exchange(text))
        # The open one comes on top of those that are remembered.
        del self._exchanges[: -(self._most + 1)]

    def preview(self, text: str) -> tuple[Message, ...]:
        """The request's messages, if the caller's turn turns out to be `text`."""
        kept = list(self._exchanges)
        self.caller_said(text)
        messages = self.messages()
        self._exchanges = kept
        return messages

    def take_back(self) -> None:
        """The newest caller turn was not over: it will be said again, whole."""
        self._exchanges.pop()

    def agent_heard(self, text: str) -> None:
        """Add what the caller heard of the agent's newest words."""
        if not text:
            return
        if not self._exchanges:
            self._exchanges.append(Exchange(""))
        self._exchanges[-1].agent.append(text)

    def messages(self) -> tuple[Message, ...]:
        """The request's messages: system prompt, remembered exchanges, the open caller turn."""
        messages: list[Message] = [{"role": "system", "content": self._system_prompt}]
        for exchange in self._exchanges:
            if exchange.caller:
                messages.append({"role": "user", "content": exchange.caller})
            if exchange.agent:
                messages.append({"role": "assistant", "content": " ".join(exchange.agent)})
        return tuple(messages)
