"""The first moments of a connection, until it is known which call it belongs to.

A call begins at `start`, at the first audio, or after a short wait, whichever comes first; with a resume
token the connection goes on with the call that it belonged to.
"""

import asyncio
from collections.abc import Mapping, Sequence

from voicegw.carriers.base import Carrier, HangUpRequest, Inbound, Message, Start
from voicegw.errors import CarrierError
from voicegw.server.connection import Line
from voicegw.server.gateway import Gateway
from voicegw.server.session import Session

QUERY_NAMES = ("external_id", "caller", "called", "persona", "language", "resume_token")
MOST_QUERY_CHARS = 200


def start_of_query(query: Mapping[str, str]) -> Start:
    """What the URL tells about the call; unknown names become metadata."""
    known = {name: query[name].strip()[:MOST_QUERY_CHARS] for name in QUERY_NAMES if name in query}
    metadata = {
        name[:MOST_QUERY_CHARS]: value[:MOST_QUERY_CHARS]
        for name, value in query.items()
        if name not in QUERY_NAMES
    }
    return Start(metadata=metadata, **known)


class Arrival:
    """Takes a connection's first messages, then hands it to its session."""

    def __init__(
        self, gateway: Gateway, line: Line, carrier: Carrier, query: Start, *, checked_as: str = "native"
    ) -> None:
        """`checked_as` names the carrier in whose settings the call's token stands."""
        self._gateway = gateway
        self._checked_as = checked_as
        self._line = line
        self._carrier = carrier
        self._query = query
        self.session: Session | None = None
        gateway.arrivals += 1
        self._waiting = True
        server, loop = gateway.settings.server, asyncio.get_running_loop()
        if carrier.awaits_start:
            self._timer = loop.call_later(server.handshake_s, self._give_up)
        else:
            self._timer = loop.call_later(server.start_wait_ms / 1000, self._begin_by_time)

    def received(self, message: Message) -> bool:
        """Take a message; False when it was wrong. Raises CarrierError when the connection must end."""
        if self.session is not None:
            return self.session.received(message)
        try:
            items = self._carrier.parse(message)
        except CarrierError as error:
            if error.fatal:
                self._done()
                raise
            for answer in self._carrier.error(error.code, error.message, error.hint):
                self._line.send(answer)
            return False
        self._take(items)
        return True

    def _take(self, items: Sequence[Inbound]) -> None:
        rest = list(items)
        if not rest:
            return
        if isinstance(rest[0], HangUpRequest):
            self._done()
            self._line.close(1000, "hung up before the call began")
            return
        if isinstance(first := rest[0], Start):
            del rest[0]
            self.begin(first)
        else:
            self.begin(Start())
        if self.session is not None:
            self.session.take(rest)

    def _give_up(self) -> None:
        """The other side never said what call this is."""
        self._done()
        self._line.close(1008, "no start message came")

    def _begin_by_time(self) -> None:
        try:
            self._take(self._carrier.known())
        except CarrierError as error:
            self._done()
            for answer in self._carrier.error(error.code, error.message, error.hint):
                self._line.send(answer)
            self._line.close(error.close_code, error.code)

    def begin(self, start: Start) -> None:
        """Begin or resume the call. Raises CarrierError."""
        self._done()
        merged = _merge(self._query, start)
        self._gateway.peers.check_start(self._checked_as, merged)
        if merged.resume_token:
            self.session = self._gateway.resume(merged.resume_token)
            self.session.attach(self._line, self._carrier)
        else:
            self.session = self._gateway.begin(merged, self._line, self._carrier)

    def resume_by_query(self) -> None:
        """The URL carries a resume token: there is nothing to wait for. Raises CarrierError."""
        self.begin(Start())

    def lost(self) -> None:
        """The connection is gone."""
        self._done()
        if self.session is not None:
            self.session.lost(self._line)

    def _done(self) -> None:
        if self._waiting:
            self._waiting = False
            self._gateway.arrivals -= 1
            self._timer.cancel()


def _merge(query: Start, start: Start) -> Start:
    """`start` wins over the URL where both tell something."""
    return Start(
        start.external_id or query.external_id,
        start.caller or query.caller,
        start.called or query.called,
        start.persona or query.persona,
        start.language or query.language,
        start.resume_token or query.resume_token,
        {**query.metadata, **start.metadata},
    )
