"""The TCP port of Asterisk's AudioSocket, and the calls that are announced to it beforehand."""

import asyncio
import logging
import time
from collections import OrderedDict
from typing import cast

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from voicegw.carriers.audiosocket import AudioSocket
from voicegw.carriers.base import Handshake, Message, Start
from voicegw.carriers.fields import identity
from voicegw.errors import CarrierError, ConfigError, GatewayFull
from voicegw.server.arrival import Arrival
from voicegw.server.door import is_loopback
from voicegw.server.gateway import Gateway
from voicegw.server.line import address_of
from voicegw.server.peers import Refused
from voicegw.server.routes import is_on
from voicegw.server.webhooks import body_of, form_of, handshake_of

log = logging.getLogger(__name__)

# Asterisk connects within seconds of the announcement; more than so many at once are a mistake.
ANNOUNCED_S = 60.0
MOST_ANNOUNCED = 10_000
# After a hang-up Asterisk closes; it has this long for it.
CLOSE_S = 2.0
# A frame is 23 ms at most; so much unsent (4 s at 8 kHz) means that nobody reads.
MOST_UNSENT_BYTES = 64_000


class Announced:
    """Who is calling under which UUID, told by HTTP before the connection that can tell nothing else."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, tuple[float, Start]] = OrderedDict()

    def add(self, uuid: str, start: Start) -> None:
        """Keep a call for a minute. The oldest goes when there are too many."""
        self._calls[uuid.lower()] = (time.monotonic(), start)
        self._calls.move_to_end(uuid.lower())
        while len(self._calls) > MOST_ANNOUNCED:
            self._calls.popitem(last=False)

    def take(self, uuid: str) -> Start | None:
        """What was told of a call; each is taken once."""
        told_at, start = self._calls.pop(uuid, (0.0, None))
        return start if start is not None and time.monotonic() - told_at <= ANNOUNCED_S else None


class AudioSocketLine(asyncio.Protocol):
    """One TCP connection, one call. Is the `Line` of its session."""

    def __init__(self, gateway: Gateway, announced: Announced) -> None:
        self._gateway = gateway
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self._carrier = AudioSocket(announced.take, known_only=gateway.settings.audiosocket.known_only)
        self._arrival: Arrival | None = None
        self._peer = ""
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A call, if its address is welcome and there is room."""
        self._transport = cast(asyncio.Transport, transport)
        self._peer = address_of(transport)
        if not self._peer:  # reset already
            self._transport.abort()
            return
        try:
            self._gateway.door.check_turnstile(self._peer)
            self._gateway.peers.check("audiosocket", Handshake(peer=self._peer))
            self._gateway.admit()
        except (Refused, GatewayFull) as error:
            log.info("audiosocket: a connection was refused: %s", error)
            self._hang_up()
            return
        self._heard_at = self._loop.time()
        self._arrival = Arrival(self._gateway, self, self._carrier, Start())
        self._watch_silence()

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self._heard_at = self._loop.time()
        arrival = self._arrival
        if arrival is None or self._closing:
            return
        try:
            (arrival.session or arrival).received(data)
        except CarrierError as error:
            log.warning("audiosocket: a connection is closed: %s", error.code)
            self._gateway.door.offended(self._peer)
            self._hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and with it the call."""
        if self._timer is not None:
            self._timer.cancel()
        if self._arrival is not None:
            arrival, self._arrival = self._arrival, None
            arrival.lost()

    def send(self, message: Message) -> None:
        """Send a frame; dropped when the connection is closing or gone."""
        if self._closing or self._transport.is_closing() or isinstance(message, str):
            return
        self._transport.write(message)
        if self._transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            log.warning("audiosocket: a connection is cut: it does not read")
            self._transport.abort()

    def close(self, code: int, reason: str) -> None:
        """Let Asterisk close behind the hang-up that was sent."""
        if not self._closing:
            self._closing = True
            self._after(CLOSE_S, self._transport.abort)
            if self._transport.can_write_eof():
                self._transport.write_eof()

    def _hang_up(self) -> None:
        for message in self._carrier.hang_up(""):
            self.send(message)
        self.close(1000, "")

    def _after(self, seconds: float, work: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, work)  # type: ignore[arg-type]

    def _watch_silence(self) -> None:
        limit = self._gateway.settings.carriers.idle_s
        if not limit or self._closing:
            return
        quiet = self._loop.time() - self._heard_at
        if quiet >= limit:
            log.info("audiosocket: a connection is cut: nothing came for %.0f s", quiet)
            self._transport.abort()
            return
        self._after(limit - quiet, self._watch_silence)


class AudioSocketPort:
    """The listening port, while the gateway runs."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._server: asyncio.Server | None = None
        self.announced = Announced()

    @property
    def port(self) -> int:
        """The port that is listened on; 0 while it is not."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server is not None else 0

    async def open(self) -> None:
        """Listen, if the carrier is switched on. Raises ConfigError."""
        settings = self._gateway.settings
        if not is_on("audiosocket", settings) or self._server is not None:
            return
        loop, where = asyncio.get_running_loop(), settings.audiosocket
        guarded = where.allow_from or (where.known_only and where.token) or settings.door.open_to_anyone
        if not guarded and not is_loopback(where.host):
            raise ConfigError(
                f"audiosocket.host: {where.host} is reached by other machines and nothing says who may call. "
                "Set VOICEGW_AUDIOSOCKET__ALLOW_FROM, or __KNOWN_ONLY=true with __TOKEN."
            )
        try:
            self._server = await loop.create_server(
                lambda: AudioSocketLine(self._gateway, self.announced), where.host, where.port
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {where.host}, port {where.port} for AudioSocket: {error.strerror}; "
                "another one: --set audiosocket.port=0"
            ) from error

    def close(self) -> None:
        """Take no more connections."""
        if self._server is not None:
            self._server.close()
            self._server = None


def announce_route(port: AudioSocketPort) -> Route:
    """`POST /audiosocket/calls`: uuid, and who calls whom under it."""

    async def endpoint(request: Request) -> Response:
        gateway: Gateway = request.app.state.gateway
        if not is_on("audiosocket", gateway.settings):
            return PlainTextResponse("AudioSocket is not switched on here.\n", 404)
        body = await body_of(request)
        if body is None:
            return PlainTextResponse("The request is too long.\n", 413)
        found = {**request.query_params, **form_of(request, body)}
        handshake = handshake_of(request, gateway.settings)
        try:
            gateway.peers.check("audiosocket", handshake)
            start = identity(found)
            gateway.peers.check_start("audiosocket", start)
        except (Refused, CarrierError) as refused:
            return PlainTextResponse(f"{refused}\n", 401)
        if not start.external_id:
            return PlainTextResponse("Send uuid=…, and from=, to=, persona= as they are known.\n", 400)
        port.announced.add(start.external_id, start)
        return PlainTextResponse("ok\n")

    return Route("/audiosocket/calls", endpoint, methods=["POST"])
