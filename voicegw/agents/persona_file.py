"""What a persona file may hold. docs/personas.md explains every part of it."""

import re
from datetime import time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from voicegw.agents.asked_for import AskedFor
from voicegw.agents.template import unknown_places
from voicegw.agents.webhook import WebhookFile
from voicegw.config import LimitSettings, PatienceSettings, TurnSettings

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _template(value: str) -> str:
    if unknown := unknown_places(value):
        raise ValueError(f"nothing is known for {{{unknown[0]}}}; write {{{{ and }}}} for braces")
    return value


class PhrasesPart(_Part):
    """Fixed sentences."""

    greeting: str = ""
    apology: str = Field(min_length=1)
    not_understood: str = Field(min_length=1)
    check_in: str = ""
    goodbye: str = ""
    fillers: tuple[str, ...] = ()
    offer: str = ""
    callback: str = ""
    consent: str = ""
    closed: str = ""
    transferring: str = ""
    over_limit: str = ""

    _checked = field_validator("greeting", "closed")(_template)


class ModelPart(_Part):
    """How the model is asked."""

    name: str = ""
    temperature: float = Field(0.8, ge=0, le=2)
    max_tokens: int = Field(256, ge=1)


class SpeechPart(_Part):
    """How sentences are said."""

    spoken_form: bool = True
    pronunciations: dict[Annotated[str, Field(min_length=1)], str] = {}


class InterruptionsPart(_Part):
    """Who may interrupt the agent, and with what."""

    mode: Literal["normal", "protected", "never"] = "normal"
    min_words: int = Field(1, ge=1, le=10)
    backchannels: tuple[str, ...] = ()
    protected: tuple[Annotated[str, Field(min_length=1)], ...] = ()


class HistoryPart(_Part):
    """What of the conversation the model is shown. 0 tokens: no limit."""

    exchanges: int | None = Field(None, ge=0)
    tokens: int = Field(0, ge=0)
    photos: int = Field(2, ge=0, le=10)
    summarise: bool = False


class ToolsPart(_Part):
    """What the agent can do."""

    use: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    rounds: int = Field(4, ge=1, le=20)
    confirm: dict[str, str] = {}
    background: tuple[str, ...] = ()
    webhook: tuple[WebhookFile, ...] = ()


class TransferPart(_Part):
    """Somebody who can take the call over."""

    name: str = Field(min_length=1)
    address: str = Field(min_length=1)


class HoursPart(_Part):
    """When the business is open; without days it always is."""

    timezone: str = "UTC"
    days: dict[Day, str] = {}
    closed_hangs_up: bool = False

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("expected a time zone such as Asia/Ho_Chi_Minh") from None
        return value

    @field_validator("days")
    @classmethod
    def _are_spans(cls, value: dict[Day, str]) -> dict[Day, str]:
        for text in value.values():
            spans(text)
        return value


def spans(text: str) -> list[tuple[time, time]]:
    """Read "08:00-12:00, 13:00-24:00". Raises ValueError."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)", part)
        if match is None:
            raise ValueError(f"expected hours such as 08:00-17:30, got {part!r}")
        end = time.max if match[3] + match[4] == "2400" else time(int(match[3]), int(match[4]))
        found.append((time(int(match[1]), int(match[2])), end))
    return found


class SlotPart(AskedFor):
    """An answer that the agent asks for."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")


class PhotosPart(_Part):
    """How closely the model looks at photos: `low` looks closer where the caller asks to read something."""

    detail: Literal["low", "high", "auto"] = "low"


class KeypadPart(_Part):
    """The caller's keys."""

    end: str = Field("#", pattern=r"^[0-9*#A-D]$")
    pause_s: float = Field(3.0, gt=0, le=30)
    menu: dict[Annotated[str, Field(pattern=r"^[0-9*]{1,3}$")], str] = {}


def _some_of(group: type[BaseModel], value: dict[str, Any]) -> dict[str, Any]:
    # Checked against the defaults, so that a wrong name or value is told with its place.
    group.model_validate(value)
    return value


class PersonaFile(_Part):
    """A whole file."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    language: str = Field(min_length=2)
    system_prompt: str = Field(min_length=1)
    called: tuple[str, ...] = ()
    voice: str = "alloy"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    model: ModelPart = ModelPart()
    phrases: PhrasesPart
    speech: SpeechPart = SpeechPart()
    interruptions: InterruptionsPart = InterruptionsPart()
    vocabulary: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    history: HistoryPart = HistoryPart()
    tools: ToolsPart = ToolsPart()
    transfer: tuple[TransferPart, ...] = ()
    hours: HoursPart = HoursPart()
    slot: tuple[SlotPart, ...] = ()
    keypad: KeypadPart = KeypadPart()
    photos: PhotosPart = PhotosPart()
    turns: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    patience: dict[str, Any] = {}

    _prompt = field_validator("system_prompt")(_template)

    @field_validator("turns")
    @classmethod
    def _turns(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in ("model", "second_stage"):
            if name in value:
                # All calls of a process share these.
                raise ValueError(f"{name} holds for all personas: set VOICEGW_TURNS__{name.upper()} instead")
        return _some_of(TurnSettings, value)

    @field_validator("limits")
    @classmethod
    def _limits(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _some_of(LimitSettings, value)

    @field_validator("patience")
    @classmethod
    def _patience(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _some_of(PatienceSettings, value)
