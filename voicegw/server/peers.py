"""Who may connect as a carrier: addresses, signatures, credentials and tokens, before any work is done.

What is configured is demanded. A refusal tells the peer what failed, and the log which check it was; neither
shows what was expected or what was sent.
"""

import base64
import hmac
import ipaddress
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus

from voicegw.carriers.base import Handshake, Start
from voicegw.config import PeerSettings, Settings
from voicegw.config.addresses import parsed_address
from voicegw.errors import CarrierError, VoicegwError
from voicegw.server.signatures import plivo_signed, telnyx_token, twilio_signed, vonage_signed

log = logging.getLogger(__name__)

# What a carrier signs or sends by itself: returns the name of the check that failed, or "".
_OWN: dict[str, Callable[[Handshake, Mapping[str, str], Settings], str]] = {
    "twilio": twilio_signed,
    "telnyx": telnyx_token,
    "plivo": plivo_signed,
    "vonage": vonage_signed,
}


class Refused(VoicegwError):
    """A peer may not connect; `status` and the message are for it."""

    def __init__(self, status: HTTPStatus, message: str, *, retry_after: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after  # in seconds; 0: not told


class Peers:
    """Checks connections and webhooks of the carriers of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def _of(self, carrier: str) -> PeerSettings | None:
        found = getattr(self._settings, carrier, None)
        return found if isinstance(found, PeerSettings) else None

    def check(self, carrier: str, handshake: Handshake, form: Mapping[str, str] | None = None) -> None:
        """Check a request of a carrier. Raises Refused.

        `form` holds what a webhook posted (empty if nothing); None says that this opens a call.
        """
        peer = self._of(carrier)
        if peer is None:
            return
        if not _allowed(handshake.peer, peer.allow_from):
            self._refuse(carrier, "address", HTTPStatus.FORBIDDEN)
        webhook = form is not None
        signed = webhook and _has_signature(self._settings, carrier)
        failed = "" if signed else _authorization(handshake, peer)
        own = _OWN.get(carrier) if webhook or _signs_upgrade(self._settings, carrier) else None
        if not failed and own is not None and (signed or not webhook):
            failed = own(handshake, form or {}, self._settings)
        given = handshake.query.get("token")
        # The answer of a webhook holds secrets: whoever asks for it without a signature must know them.
        demanded = given is not None or (webhook and not signed)
        if not failed and peer.token and demanded:
            failed = "" if same(given or "", peer.token) else "token"
        if failed:
            self._refuse(carrier, failed, HTTPStatus.UNAUTHORIZED)

    def check_start(self, carrier: str, start: Start) -> None:
        """Check the token that comes with the call's own parameters, and take it out. Raises CarrierError."""
        peer = self._of(carrier)
        if peer is None:
            return
        given = start.metadata.pop("token", "")
        if peer.token and not same(given, peer.token):
            log.warning("%s: a call was refused: token", carrier)
            raise CarrierError(
                "unauthorised",
                "The call's token is missing or wrong.",
                "Send it as `token` in the query or among the call's parameters.",
                fatal=True,
            )

    def check_operator(self, authorization: str) -> None:
        """Check who commands calls where `door.secret` is not set. Raises Refused, also without a token."""
        if not self._settings.carriers.operator_token:
            raise Refused(HTTPStatus.FORBIDDEN, "Set VOICEGW_CARRIERS__OPERATOR_TOKEN to command calls.")
        kind, _, given = authorization.partition(" ")
        if kind.lower() != "bearer" or not same(given.strip(), self._settings.carriers.operator_token):
            self._refuse("operator", "token", HTTPStatus.UNAUTHORIZED)

    @staticmethod
    def _refuse(carrier: str, check: str, status: HTTPStatus) -> None:
        log.warning("%s: a connection was refused: %s", carrier, check)
        raise Refused(status, f"Refused: {check}.")


def same(given: str, expected: str) -> bool:
    """Compare secrets in a time that tells nothing."""
    return hmac.compare_digest(given.encode(), expected.encode())


def _signs_upgrade(settings: Settings, carrier: str) -> bool:
    return carrier != "plivo" or settings.plivo.signed_streams


def _has_signature(settings: Settings, carrier: str) -> bool:
    """True when this carrier's webhooks are verified by a signature."""
    secrets = {
        "twilio": settings.twilio.auth_token,
        "plivo": settings.plivo.auth_token,
        "vonage": settings.vonage.signature_secret,
    }
    return bool(secrets.get(carrier))


def _allowed(address: str, networks: tuple[str, ...]) -> bool:
    if not networks:
        return True
    found = parsed_address(address)
    return found is not None and any(
        found in ipaddress.ip_network(network, strict=False) for network in networks
    )


def _authorization(handshake: Handshake, peer: PeerSettings) -> str:
    """Check HTTP Basic and bearer credentials; where both are configured either will do."""
    if not (peer.basic or peer.bearer):
        return ""
    kind, _, value = handshake.headers.get("authorization", "").partition(" ")
    given = value.strip()
    if peer.basic and kind.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode()
        except ValueError:
            return "basic credentials"
        return "" if same(given, peer.basic) else "basic credentials"
    if peer.bearer and kind.lower() == "bearer":
        return "" if same(given, peer.bearer) else "bearer token"
    return "authorization missing"


def forwarded_peer(address: str, headers: Mapping[str, str], settings: Settings) -> str:
    """The address of who really connects: what a trusted proxy says, else who is connected."""
    chain = [part.strip() for part in headers.get("x-forwarded-for", "").split(",") if part.strip()]
    trusted = settings.carriers.trusted_proxies
    while chain and trusted and _allowed(address, trusted):
        # From the near end: what lies behind the first proxy that is not ours may be made up.
        address = chain.pop()
    return address
