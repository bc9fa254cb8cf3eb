"""What every wire format must be able to do. A carrier object belongs to one connection.

Audio comes in as `bytes` (pcm); everything else as one of the small types below or as an event of the call.
`Carrier` is the whole contract; `Telephone` answers for a protocol that has no word for something.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from voicegw.call.events import CallerHold, CallerText, Dtmf, TransferEnded
from voicegw.call.mouth import Player
from voicegw.call.notices import Notice

Message = bytes | str
NOTHING: tuple[Message, ...] = ()
# Carriers that sit behind the internet and can be told to drop what they have: more of a lead costs nothing.
FAR_LEAD_US = 205_000


@dataclass(frozen=True, slots=True)
class Handshake:
    """The request that opened a connection, before any message. Header names are in lower case."""

    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    peer: str = ""  # address; behind a trusted proxy the one that the proxy tells


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
class PhotoPart:
    """A part of a photo, in order; `text` comes with the last one."""

    photo_id: str
    data: bytes
    last: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class HangUpRequest:
    """The other side ends the call."""

    reason: str


@dataclass(frozen=True, slots=True)
class Flow:
    """The other side takes no more audio for now (`on` False), or again."""

    on: bool


Inbound = (
    bytes
    | Start
    | PlayedReport
    | PhotoPart
    | HangUpRequest
    | CallerHold
    | CallerText
    | Dtmf
    | TransferEnded
    | Flow
)


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
    # True: no call begins before the other side's own start message, however long that takes.
    awaits_start: ClassVar[bool]
    # True: a connection that is gone ends the call, for the protocol has no way to come back.
    ends_with_line: ClassVar[bool]
    # After a ping without any sign of life for this long the connection counts as lost.
    pong_timeout_s: ClassVar[float]

    @property
    def ping_s(self) -> float:
        """Pings keep middleboxes from closing a quiet connection and find dead peers; 0: none."""
        ...

    @property
    def player(self) -> Player:
        """How agent audio is taken; asked when the call begins."""
        ...

    def parse(self, message: Message) -> Sequence[Inbound]:
        """Return what a message means. Raises CarrierError and nothing else, whatever the message."""
        ...

    def known(self) -> Sequence[Inbound]:
        """What there is to begin a call with when no start message came in time. Raises CarrierError."""
        ...

    def render(self, frame: bytes) -> Message:
        """The message that carries one encoded frame; an empty one where it is sent later, with others."""
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

    def dtmf(self, digits: str) -> Sequence[Message]:
        """Press keys towards the caller's side."""
        ...

    def transfer(self, target: str) -> Sequence[Message]:
        """Hand the caller over to `target`."""
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


class Telephone:
    """What most telephony protocols have in common: few words, and a call that ends with its connection."""

    subprotocols: ClassVar[tuple[str, ...]] = ()
    # One message of a telephone is 20 ms to some seconds of audio; 1 MiB holds 20 s of the widest.
    max_message_bytes: ClassVar[int] = 1 << 20
    ping_s: float = 20.0
    pong_timeout_s: ClassVar[float] = 20.0
    awaits_start: ClassVar[bool] = True
    ends_with_line: ClassVar[bool] = True

    def known(self) -> Sequence[Inbound]:
        """The call begins without anything being known of it."""
        return (Start(),)

    def ready(self, ready: Ready) -> Sequence[Message]:
        """No word for it."""
        return NOTHING

    def mark(self, speech_id: int) -> Sequence[Message]:
        """No word for it: the clock tells what was heard."""
        return NOTHING

    def pause(self) -> Sequence[Message]:
        """No word for it: feeding stops, and the little that is there plays out."""
        return NOTHING

    def resume(self) -> Sequence[Message]:
        """No word for it."""
        return NOTHING

    def clear(self) -> Sequence[Message]:
        """No word for it."""
        return NOTHING

    def dtmf(self, digits: str) -> Sequence[Message]:
        """No word for it."""
        return NOTHING

    def transfer(self, target: str) -> Sequence[Message]:
        """No word for it."""
        return NOTHING

    def notify(self, notice: Notice) -> Sequence[Message]:
        """No word for it."""
        return NOTHING

    def error(self, code: str, message: str, hint: str) -> Sequence[Message]:
        """No word for it: the log tells."""
        return NOTHING

    def hang_up(self, reason: str) -> Sequence[Message]:
        """No word for it: closing the connection is the end."""
        return NOTHING
