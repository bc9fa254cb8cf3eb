"""What all groups of settings have in common."""

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """A group of related settings: frozen, and an unknown name in it is an error."""

    # An input shown in an error would show keys as well.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
