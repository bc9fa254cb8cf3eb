"""The door: which connections are let in to begin or join a call, and how many of one address or token.

Carriers that prove themselves in their own way (`peers.py`) need no token. Without `door.secret` anybody may
call, which is why the gateway then listens on this machine only.
"""

import asyncio
import ipaddress
import logging
import math
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from voicegw.carriers.base import Handshake
from voicegw.config import PeerSettings, Settings
from voicegw.errors import ConfigError
from voicegw.server.held import Held
from voicegw.server.peers import Refused
from voicegw.server.tokens import Pass, Scope, Tokens, bearer
from voicegw.server.turnstile import Turnstile, whose

log = logging.getLogger(__name__)

# Refused handshakes are counted for a minute, of at most so many addresses.
WINDOW_S = 60.0
MOST_ADDRESSES = 10_000


@dataclass(frozen=True, slots=True)
class Guest:
    """Who was let in: counted until it leaves."""

    address: str
    token: str  # the token's name, or its id where it has none


class Door:
    """Made once per process, on its running loop."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError where two ways would lead in."""
        self._settings = settings
        self._door = settings.door
        if self._door.secret and settings.carriers.operator_token:
            raise ConfigError(
                "carriers.operator_token: door.secret is set too, so operators bring tokens of scope operate "
                "(voicegw token --scope operate); take one of both settings away"
            )
        self.tokens = Tokens(self._door)
        self._loop = asyncio.get_running_loop()
        self._by_address: Counter[str] = Counter()
        self._by_token: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._failures_since = self._loop.time()
        self.refused: Counter[str] = Counter()  # by reason
        self.turnstile = Turnstile(settings, self.refused)
        self.held = Held()

    @property
    def locked(self) -> bool:
        """True when a token is needed."""
        return bool(self._door.secret)

    def check_turnstile(self, address: str) -> None:
        """Check an address that came through a proxy, whose own one says nothing. Raises Refused."""
        wait_s = self.turnstile.wait_s(address, self._loop.time())
        if wait_s:
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS, "Too many connections.", retry_after=math.ceil(wait_s)
            )

    def offended(self, address: str) -> None:
        """A connection of this address was cut for what it sent."""
        self.turnstile.offended(address, self._loop.time())

    def enter(self, carrier: str, handshake: Handshake, *, resumes: bool) -> Guest | None:
        """Let a WebSocket handshake in. Raises Refused. Whoever is let in must `leave`.

        None for one who comes back to a call: its caller is counted already.
        """
        address = whose(handshake.peer) or handshake.peer
        self._check_failures(address)
        try:
            self._check_origin(handshake)
            found: Pass | None = None
            # A resume token opens nothing but its own call.
            if self.locked and not resumes and not proves_itself(self._settings, carrier):
                found = self.tokens.check(token_of(handshake), "call")
            if resumes:
                return None
            guest = Guest(address, (found.name or found.token_id) if found else "")
            self._check_numbers(guest)
            if found is not None:
                self.tokens.use(found)
        except Refused as refused:
            self._failed(address, refused.status)
            raise
        self._by_address[guest.address] += 1
        if guest.token:
            self._by_token[guest.token] += 1
        return guest

    def leave(self, guest: Guest) -> None:
        """The connection is gone."""
        for counter, name in ((self._by_address, guest.address), (self._by_token, guest.token)):
            counter[name] -= 1
            if counter[name] <= 0:
                del counter[name]

    def check_request(self, scope: Scope, authorization: str, peer: str) -> None:
        """Check an HTTP request for an operator's or supervisor's resource. Raises Refused."""
        if not self.locked:
            return
        address = whose(peer) or peer
        self._check_failures(address)
        try:
            self.tokens.check(bearer(authorization), scope)
        except Refused as refused:
            self._failed(address, refused.status)
            raise

    def _check_failures(self, address: str) -> None:
        now = self._loop.time()
        if now - self._failures_since >= WINDOW_S:
            self._failures_since = now
            self._failures.clear()
        if self._failures[address] >= self._door.failures_per_minute > 0:
            self.refused["failures"] += 1
            wait = int(self._failures_since + WINDOW_S - now) + 1
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "Too many refused attempts.", retry_after=wait)

    def _failed(self, address: str, status: HTTPStatus) -> None:
        self.refused[status.name.lower()] += 1
        if len(self._failures) < MOST_ADDRESSES or address in self._failures:
            self._failures[address] += 1
        log.warning("a connection was refused: %s", status.phrase)

    def _check_origin(self, handshake: Handshake) -> None:
        """Browsers tell which page opens a connection: a foreign page may not use its visitor's way in."""
        origin = handshake.headers.get("origin", "")
        if not origin or origin in self._door.origins:
            return
        host = urlsplit(origin).netloc
        same = host == handshake.headers.get("host", "")
        # Without tokens the name must be this machine's own: another may have been pointed here (rebinding).
        if same and (
            self.locked or self._door.open_to_anyone or is_loopback(urlsplit(origin).hostname or "")
        ):
            return
        raise Refused(HTTPStatus.FORBIDDEN, "This page may not call here: door.origins does not name it.")

    def _check_numbers(self, guest: Guest) -> None:
        most = self._door.calls_per_address
        if most and self._by_address[guest.address] >= most:
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS, f"At most {most} calls of one address.", retry_after=5
            )
        most = self._door.calls_per_token
        if guest.token and most and self._by_token[guest.token] >= most:
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, f"At most {most} calls of one token.", retry_after=5)


def token_of(handshake: Handshake) -> str:
    """The token that a handshake brings: in the Authorization header, or in the query (browsers)."""
    return bearer(handshake.headers.get("authorization", "")) or handshake.query.get("token", "")


def proves_itself(settings: Settings, carrier: str) -> bool:
    """True when a carrier is checked in its own way: signature, credentials, shared token or address."""
    peer = getattr(settings, carrier, None)
    if not isinstance(peer, PeerSettings):
        return False
    secrets = ["basic", "bearer", "token", "auth_token", "signature_secret"]
    if carrier == "plivo" and not settings.plivo.signed_streams:
        # Its token then signs webhooks only: a stream proves nothing by it.
        secrets.remove("auth_token")
    return bool(peer.allow_from) or any(getattr(peer, name, "") for name in secrets)


def is_loopback(host: str) -> bool:
    """True for this machine's own names and addresses."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_listening(settings: Settings) -> None:
    """Refuse to stand open to the network by mistake. Raises ConfigError."""
    door, host = settings.door, settings.server.host
    if is_loopback(host) or door.open_to_anyone:
        return
    if not door.secret:
        raise ConfigError(
            f"server.host: {host} is reached by other machines, and nothing says who may call. Set "
            "VOICEGW_DOOR__SECRET (voicegw token --new-secret makes one) and give callers tokens, or say "
            "VOICEGW_DOOR__OPEN_TO_ANYONE=true if anyone may call at your expense."
        )
