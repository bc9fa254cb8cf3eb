"""Addresses of the network, as everybody here reads them: who may connect, and where may be connected to."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parsed_address(text: str) -> Address | None:
    """Return the address that a text is, None for a name. Without its zone; IPv4 in IPv6's form as IPv4."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def is_public(text: str) -> bool:
    """True for an address that anybody on the internet may reach; False for a name."""
    found = parsed_address(text)
    return found is not None and found.is_global and not found.is_multicast
