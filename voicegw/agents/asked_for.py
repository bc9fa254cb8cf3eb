"""An answer that the agent asks for, as a persona's `[[slot]]` or a tool's parameter declares it.

@tool()
def move(day: Annotated[str, AskedFor(kind="date", when="which day|ngày nào")]) -> None: ...
"""

import re
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from voicegw.call.settings import Slot


class AskedFor(BaseModel):
    """An answer, and what follows from it; `voicegw.call.settings.Slot` says what each field does."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["yes_no", "number", "id", "date", "email", "free"]
    when: str = Field(min_length=1)
    pattern: str = ""
    hint: str = Field("", max_length=400)
    keys: int = Field(0, ge=0, le=40)
    read_back: str = ""
    sensitive: bool = False

    @field_validator("when", "pattern")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _secret_stays_secret(self) -> Self:
        if self.sensitive and self.read_back:
            raise ValueError("a sensitive answer cannot be read back: leave read_back out")
        return self

    def slot(self, name: str) -> Slot:
        """The slot as the call knows it."""
        return Slot(name, **self.model_dump(include=set(AskedFor.model_fields)))
