"""The turnstile before the door: how often one address may come, and when it is shut out for what it sent.

Asked as soon as a connection is there, before a byte of it is read. Behind a trusted proxy every connection
has the proxy's address: that one is let through here, and who comes through it is asked for at the handshake.
Knows no sockets; time is an argument.
"""

import ipaddress
import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from voicegw.config import Settings
from voicegw.config.addresses import parsed_address

log = logging.getLogger(__name__)

# Offences, and the connections beside which they are judged, are counted for a minute.
WINDOW_S = 60.0
# The first time that an address is shut out; each further time it is twice as long, up to the longest.
FIRST_OUT_S = 10.0
LONGEST_OUT_S = 600.0
# Whoever behaved for so long after that begins anew.
FORGIVEN_S = 3600.0
# Each is some 200 bytes. The one that has not come for the longest is forgotten first.
MOST_ADDRESSES = 10_000
# A provider gives a customer at least so much of IPv6: all of it is one address here.
IPV6_PREFIX = 64


@dataclass(slots=True)
class _Visitor:
    tokens: float  # connections that are free at `at`
    at: float
    since: float  # when the window began in which these two are counted
    came: int = 0
    offences: int = 0
    shut_out: int = 0  # times, one after the other
    out_until: float = 0.0
    told_at: float = float("-inf")


class Turnstile:
    """The addresses that have come to one process lately."""

    def __init__(self, settings: Settings, refused: Counter[str]) -> None:
        """`refused` counts by reason."""
        self._door = settings.door
        self._free = tuple(
            ipaddress.ip_network(network, strict=False)
            for network in (*settings.door.unlimited_from, *settings.carriers.trusted_proxies)
        )
        self._refused = refused
        self._visitors: OrderedDict[str, _Visitor] = OrderedDict()

    def __len__(self) -> int:
        """Addresses that are remembered."""
        return len(self._visitors)

    def wait_s(self, address: str, now: float) -> float:
        """Let a connection through (0), or tell for how long none of its address is welcome."""
        who = whose(address)
        if not who or self._is_free(address):
            return 0.0
        visitor = self._visitor(who, now)
        if now < visitor.out_until:
            return self._refuse("shut_out", who, visitor, visitor.out_until - now, now)
        rate = self._door.connections_s
        if rate:
            visitor.tokens = min(
                float(self._door.connections_burst), visitor.tokens + (now - visitor.at) * rate
            )
            visitor.at = now
            if visitor.tokens < 1:
                return self._refuse("rate", who, visitor, (1 - visitor.tokens) / rate, now)
            visitor.tokens -= 1
        visitor.came += 1
        return 0.0

    def is_out(self, address: str, now: float) -> bool:
        """True while an address is shut out for what it did."""
        visitor = self._visitors.get(whose(address))
        return visitor is not None and now < visitor.out_until

    def offended(self, address: str, now: float) -> None:
        """A connection of this address was cut for what it sent.

        Beyond so many in a minute the address is shut out, unless most of what comes from it is in order: a
        bridge brings the calls of many, and one of them may be mad.
        """
        who = whose(address)
        if not who or self._is_free(address) or not self._door.offences_per_minute:
            return
        visitor = self._visitor(who, now)
        visitor.offences += 1
        if visitor.offences < self._door.offences_per_minute or 2 * visitor.offences <= visitor.came:
            return
        if now - visitor.out_until > FORGIVEN_S:
            visitor.shut_out = 0
        out_s = min(FIRST_OUT_S * 2**visitor.shut_out, LONGEST_OUT_S)
        visitor.shut_out = min(visitor.shut_out + 1, 16)
        visitor.out_until = now + out_s
        visitor.offences = visitor.came = 0
        log.warning("%s is shut out for %.0f s: its connections had to be cut for what they sent", who, out_s)
        visitor.told_at = now

    def _visitor(self, who: str, now: float) -> _Visitor:
        visitor = self._visitors.get(who)
        if visitor is None:
            visitor = self._visitors[who] = _Visitor(float(self._door.connections_burst), now, now)
            if len(self._visitors) > MOST_ADDRESSES:
                self._visitors.popitem(last=False)
        else:
            self._visitors.move_to_end(who)
            if now - visitor.since >= WINDOW_S:
                visitor.since, visitor.came, visitor.offences = now, 0, 0
        return visitor

    def _refuse(self, reason: str, who: str, visitor: _Visitor, wait_s: float, now: float) -> float:
        self._refused[reason] += 1
        if now - visitor.told_at >= WINDOW_S:
            visitor.told_at = now
            log.warning("connections of %s are refused: %s", who, _WORDS[reason])
        return wait_s

    def _is_free(self, address: str) -> bool:
        return bool(self._free) and is_in(address, self._free)


_WORDS = {
    "rate": "more than door.connections_s; a bridge that everybody comes through belongs into "
    "door.unlimited_from",
    "shut_out": "it is shut out for what it sent before",
}


@lru_cache(maxsize=4096)
def whose(address: str) -> str:
    """Whom an address belongs to: itself, or its network of IPv6. Empty for what is no address."""
    found = parsed_address(address)
    if found is None:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))
    return str(found)


def is_in(address: str, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """True when an address lies in one of the networks."""
    found = parsed_address(address)
    return found is not None and any(found in network for network in networks)
