"""What every wire format must be able to do. A carrier object belongs to one connection.

Audio comes in as `bytes` (pcm); everything else as one of the small types below or as an event of the call.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from voicegw.call.events import CallerText, Dtmf
from voicegw.call.notices import Notice

Message = bytes | str


@dataclass(frozen=True, slots=True)
class Start:
    """What the other side tells about the call. Empty means: not told."""

    external_id: str = ""
    caller: str = ""
    called: str = ""
    persona: str = ""
    language: str = ""
    resume_token: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlayedReport:
    """The other side has played `samples` (16 kHz) of a sentence; None means all of it."""

    speech_id: int
    samples: int | None


@dataclass(frozen=True, slots=True)
class HangUpRequest:
    """The other side ends the call."""

    reason: str


Inbound = bytes | Start | PlayedReport | HangUpRequest | CallerText | Dtmf


@dataclass(frozen=True, slots=True)
class Ready:
    """The call has begun, or goes on after a reconnect."""

    call_id: str
    resume_token: str
    persona: str
    language: str
    resumed: bool


class Carrier(Protocol):
    """A wire format, and the properties of a connection that speaks it."""

    name: ClassVar[str]
    subprotocols: ClassVar[tuple[str, ...]]
    # Messages above this are refused with close code 1009 before they are in memory as a whole.
    max_message_bytes: ClassVar[int]
    # Pings keep middleboxes from closing a quiet connection and find dead peers; 0: none.
    ping_s: ClassVar[float]
    # After a ping without any sign of life for this long the connection counts as lost.
    pong_timeout_s: ClassVar[float]
    # Agent audio: bytes in 20 ms, one sample of silence, and whether the peer can hold what it has.
    frame_bytes: ClassVar[int]
    silence: ClassVar[bytes]
    can_pause: ClassVar[bool]

    def parse(self, message: Message) -> Sequence[Inbound]:
        """Return what a message means. Raises CarrierError."""
        ...

    def encode(self, pcm: bytes) -> bytes:
        """Agent audio, pcm of any even length, in the carrier's codec."""
        ...

    def render(self, frame: bytes) -> Message:
        """The message that carries one encoded frame."""
        ...

    def ready(self, ready: Ready) -> Sequence[Message]:
        """The messages that open the call."""
        ...

    def mark(self, speech_id: int) -> Sequence[Message]:
        """Ask to be told when a sentence was played to its end."""
        ...

    def pause(self) -> Sequence[Message]:
        """Stop playing, keep what is there."""
        ...

    def resume(self) -> Sequence[Message]:
        """Go on playing."""
        ...

    def clear(self) -> Sequence[Message]:
        """Drop all audio that was not played."""
        ...

    def notify(self, notice: Notice) -> Sequence[Message]:
        """Tell a notice, if the protocol has a word for it."""
        ...

    def error(self, code: str, message: str, hint: str) -> Sequence[Message]:
        """Tell that something was wrong with a message, if the protocol has a word for it."""
        ...

    def hang_up(self, reason: str) -> Sequence[Message]:
        """The messages that end the call; the connection is closed behind them."""
        ...
