"""Calls that the gateway opens: as the WebSocket client of Asterisk's incoming media channel.

Asterisk makes the channel (`Dial(WebSocket/INCOMING/…)` or ARI) and names it by an unguessable id; we connect
to it at `asterisk.media_url`, and the protocol behind is the same as when Asterisk connects.
"""

import asyncio
import re
import ssl
from typing import Any
from urllib.parse import quote, urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from voicegw.carriers.asterisk import Asterisk
from voicegw.carriers.base import Start
from voicegw.errors import ConfigError, VoicegwError
from voicegw.server.arrival import Arrival
from voicegw.server.gateway import Gateway
from voicegw.server.line import WebSocketLine, wire_log

_ID = re.compile(r"[A-Za-z0-9._~:@-]{1,200}")


class DialFailed(VoicegwError):
    """The other side did not take the connection."""


class DialledSocket(WebSocketLine):
    """One WebSocket connection that we open."""

    def __init__(self, gateway: Gateway, url: str, carrier: Asterisk, start: Start) -> None:
        self._client = ClientProtocol(
            parse_uri(url),
            subprotocols=[Subprotocol(name) for name in carrier.subprotocols],
            max_size=carrier.max_message_bytes,
            logger=wire_log,
        )
        super().__init__(gateway, self._client)
        self._makes = carrier
        self._start = start
        self.opened: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        super().connection_made(transport)
        self._client.send_request(self._client.connect())
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; before it was open, whoever waits is told."""
        super().connection_lost(exc)
        if not self.opened.done():
            self.opened.set_exception(DialFailed("the connection was closed before it was open"))

    def _take_handshake(self, event: Any) -> None:
        response: Response = event
        error = self._client.handshake_exc
        if self._ws.state is not State.OPEN:
            reason = f"HTTP {response.status_code}" if response.status_code != 101 else str(error)
            if isinstance(error, InvalidHandshake) and not self.opened.done():
                self.opened.set_exception(DialFailed(f"Asterisk answered {reason}"))
            self._transport.close()
            return
        self._opened(self._makes)
        self._arrival = Arrival(self._gateway, self, self._makes, self._start)
        self.opened.set_result(None)


async def dial_asterisk(gateway: Gateway, connection_id: str, start: Start) -> None:
    """Connect to a channel that waits in Asterisk; its call begins at once.

    Raises ConfigError when no address is set, DialFailed, GatewayFull, ValueError for what is no id.
    """
    base = gateway.settings.asterisk.media_url
    if not base:
        raise ConfigError("asterisk.media_url is not set: ws://asterisk:8088/media")
    if not _ID.fullmatch(connection_id):
        raise ValueError("that is no connection id: MEDIA_WEBSOCKET_CONNECTION_ID has it")
    gateway.admit()
    url = f"{base.rstrip('/')}/{quote(connection_id, safe='')}"
    parts = urlsplit(url)
    secure = parts.scheme == "wss"
    carrier = Asterisk(bulk=gateway.settings.asterisk.bulk, pings=gateway.settings.asterisk.pings)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(gateway.settings.server.handshake_s):
            _, line = await loop.create_connection(
                lambda: DialledSocket(gateway, url, carrier, start),
                parts.hostname or "",
                parts.port or (443 if secure else 80),
                ssl=ssl.create_default_context() if secure else None,
            )
            await line.opened
    except TimeoutError:
        raise DialFailed("Asterisk does not answer") from None
    except OSError as error:
        raise DialFailed(f"Asterisk cannot be reached: {error.strerror or type(error).__name__}") from error
