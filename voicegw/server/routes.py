"""Which protocol is spoken at which path, and which of them are switched on."""

from collections.abc import Callable
from dataclasses import dataclass

from voicegw.carriers.asterisk import Asterisk
from voicegw.carriers.base import Carrier, Handshake
from voicegw.carriers.freeswitch import Freeswitch
from voicegw.carriers.jambonz import Jambonz
from voicegw.carriers.native import Native
from voicegw.carriers.plivo import Plivo
from voicegw.carriers.telnyx import Telnyx
from voicegw.carriers.twilio import Twilio
from voicegw.carriers.vonage import Vonage
from voicegw.config import Settings


@dataclass(frozen=True, slots=True)
class Route:
    """A carrier's name in the settings, its path, and how one for a connection is made."""

    name: str
    path: str
    make: Callable[[Handshake, Settings], Carrier]


NATIVE = Route("native", "/v1/call", lambda handshake, settings: Native())
_ALL = (
    NATIVE,
    Route("twilio", "/twilio", lambda handshake, settings: Twilio()),
    Route(
        "telnyx",
        "/telnyx",
        lambda handshake, settings: Telnyx(
            settings.telnyx.codec, settings.telnyx.rate_hz, settings.telnyx.byte_order
        ),
    ),
    Route("plivo", "/plivo", lambda handshake, settings: Plivo()),
    Route("vonage", "/vonage", lambda handshake, settings: Vonage()),
    Route(
        "asterisk",
        "/asterisk",
        lambda handshake, settings: Asterisk(
            handshake.query, bulk=settings.asterisk.bulk, pings=settings.asterisk.pings
        ),
    ),
    Route(
        "jambonz",
        "/jambonz",
        lambda handshake, settings: Jambonz(
            handshake.query, rate_hz=settings.jambonz.rate_hz, streaming=settings.jambonz.streaming
        ),
    ),
    Route(
        "freeswitch",
        "/freeswitch",
        lambda handshake, settings: Freeswitch(
            handshake.query, rate_hz=settings.freeswitch.rate_hz, binary=settings.freeswitch.binary
        ),
    ),
)
ROUTES: dict[str, Route] = {route.path: route for route in _ALL}


def route_of(path: str, settings: Settings) -> Route | None:
    """The route at a path; None where there is none, or none that is switched on."""
    route = ROUTES.get(path) or ROUTES.get(path.rstrip("/"))
    return route if route is not None and is_on(route.name, settings) else None


def is_on(name: str, settings: Settings) -> bool:
    """True when a carrier is switched on."""
    return name == "native" or name in settings.carriers.enabled


def no_route(path: str, settings: Settings) -> str:
    """What to tell who asks for a path where no calls are taken."""
    route = ROUTES.get(path.rstrip("/"))
    if route is not None:
        return f"{route.name} is not switched on here: VOICEGW_CARRIERS__ENABLED={route.name}\n"
    return f"No calls at {path}; try {', '.join(p for p, r in ROUTES.items() if is_on(r.name, settings))}.\n"
