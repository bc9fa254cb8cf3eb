"""What all groups of settings have in common."""

import ipaddress

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """A group of related settings: frozen, and an unknown name in it is an error."""

    # An input shown in an error would show keys as well.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return addresses and networks as they are. Raises ValueError for what is neither."""
    for network in value:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise ValueError(f"{network} is no address and no network") from None
    return value
