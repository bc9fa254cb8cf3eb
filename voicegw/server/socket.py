"""The WebSocket side of the port: whom it lets in, and as what.

uvicorn hands every upgrade to one of these (its `ws=` setting takes a class).
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from voicegw.carriers.base import Handshake, Start
from voicegw.carriers.fields import identity, texts
from voicegw.errors import GatewayFull
from voicegw.server.arrival import Arrival, start_of_query
from voicegw.server.door import Guest
from voicegw.server.line import WebSocketLine, address_of, wire_log
from voicegw.server.peers import Refused, forwarded_peer
from voicegw.server.routes import NATIVE, Route, no_route, route_of


class CallSocket(WebSocketLine):
    """One WebSocket connection that a client has opened."""

    def __init__(self, config: Any, server_state: Any, app_state: Any) -> None:
        gateway = config.app.state.gateway
        self._server = ServerProtocol(logger=wire_log)
        super().__init__(gateway, self._server)
        self._connections: set[Any] = server_state.connections
        self._guest: Guest | None = None
        self._peer = ""  # whose connection it is

    def connection_made(self, transport: Any) -> None:
        """Take over a connection whose request says upgrade."""
        super().connection_made(transport)
        self._connections.add(self)
        self._peer = address_of(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._connections.discard(self)
        arrival = self._arrival
        super().connection_lost(exc)
        if self.offended:
            self._gateway.door.offended(self._peer)
        if self._guest is not None:
            guest, self._guest = self._guest, None
            # A call that waits for its caller to come back is still his.
            self._gateway.leave(guest, arrival.session if arrival is not None else None)

    def shutdown(self) -> None:
        """uvicorn stops: by now the gateway has ended its calls."""
        if self._ws.state is State.OPEN:
            self.close(1001, "the gateway is shutting down")
        else:
            self._transport.close()

    def _take_handshake(self, event: Any) -> None:
        request: Request = event
        settings = self._gateway.settings
        url = urlsplit(request.path)
        route = route_of(url.path, settings)
        if route is None:
            self._refuse(HTTPStatus.NOT_FOUND, no_route(url.path, settings))
            return
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        handshake = Handshake(
            request.path,
            dict(parse_qsl(url.query, keep_blank_values=True)),
            headers,
            forwarded_peer(self._peer, headers, settings),
        )
        through_proxy, self._peer = handshake.peer != self._peer, handshake.peer
        start = start_of(route, handshake)
        try:
            if through_proxy:
                self._gateway.door.check_turnstile(handshake.peer)
            self._gateway.peers.check(route.name, handshake)
            if not start.resume_token:
                self._gateway.admit()
            self._guest = self._gateway.door.enter(route.name, handshake, resumes=bool(start.resume_token))
        except Refused as refused:
            self._refuse(refused.status, f"{refused}\n", retry_after=refused.retry_after)
            return
        except GatewayFull as full:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"{full}\n", retry_after=full.retry_after)
            return
        self._accept(request, route, handshake, start)

    def _accept(self, request: Request, route: Route, handshake: Handshake, start: Start) -> None:
        carrier = route.make(handshake, self._gateway.settings)
        # A subprotocol is agreed on where the other side offers one of ours, and never demanded.
        offered = [p.strip() for h in request.headers.get_all("Sec-WebSocket-Protocol") for p in h.split(",")]
        self._server.available_subprotocols = [
            Subprotocol(p) for p in carrier.subprotocols if p in offered
        ] or None
        response = self._server.accept(request)
        self._server.send_response(response)
        if self._ws.state is not State.OPEN:
            self._flush()
            return
        self._opened(carrier)
        self._arrival = Arrival(self._gateway, self, carrier, start, checked_as=route.name)
        if start.resume_token:
            self._guard(self._arrival.resume_by_query)

    def _refuse(self, status: HTTPStatus, text: str, retry_after: int = 0) -> None:
        response = self._server.reject(status, text)
        if retry_after:
            response.headers["Retry-After"] = str(retry_after)
        if status is HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = 'Basic realm="voicegw"'
        self._server.send_response(response)
        self._flush()


def start_of(route: Route, handshake: Handshake) -> Start:
    """What the address tells about the call."""
    if route is NATIVE:
        return start_of_query({name: text for name, text in handshake.query.items() if name != "token"})
    return identity(texts(dict(handshake.query)))
