"""The other end of a call: the line to it, and the words of its carrier."""

from collections.abc import Sequence
from typing import Protocol

from voicegw.call import notices as n
from voicegw.carriers.base import Carrier, Message


class Line(Protocol):
    """The sending end of a call's connection."""

    def send(self, message: Message) -> None:
        """Send a message; dropped when the connection is gone."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close the connection behind what was sent."""
        ...


class Connection:
    """What a call says to the other end. Before it is there, and while it is away, that is dropped."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.carrier: Carrier | None = None  # stays when the line is lost

    def send(self, messages: Sequence[Message]) -> None:
        """Send messages in the carrier's words."""
        if self.line is not None:
            for message in messages:
                self.line.send(message)

    def notify(self, notice: n.Notice) -> None:
        """Tell of something, where the carrier has a word for it."""
        if self.carrier is not None:
            self.send(self.carrier.notify(notice))

    def knows(self, notice: n.Notice) -> bool:
        """Whether the carrier has a word for it."""
        return self.carrier is not None and bool(self.carrier.notify(notice))

    def refuse(self, code: str, message: str, hint: str) -> None:
        """Say that something it has sent was wrong."""
        if self.carrier is not None:
            self.send(self.carrier.error(code, message, hint))

    def close(self, code: int, reason: str) -> None:
        """Close the line, if there is one."""
        line, self.line = self.line, None
        if line is not None:
            line.close(code, reason)
