"""Personas: what the agent is, one TOML file each; the built-in ones come with the package."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voicegw.call.settings import CallSettings, InterruptionSettings, Phrases, SpeechSettings
from voicegw.config import Settings
from voicegw.errors import ConfigError

BUILT_IN = Path(__file__).parent / "builtin"


class _Phrases(BaseModel):
    model_config = ConfigDict(extra="forbid")
    greeting: str = ""
    apology: str = Field(min_length=1)
    not_understood: str = Field(min_length=1)
    check_in: str = ""
    goodbye: str = ""
    fillers: tuple[str, ...] = ()
    offer: str = ""
    callback: str = ""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    temperature: float = Field(0.8, ge=0, le=2)
    max_tokens: int = Field(256, ge=1)


class _Speech(BaseModel):
    model_config = ConfigDict(extra="forbid")
    spoken_form: bool = True
    pronunciations: dict[Annotated[str, Field(min_length=1)], str] = {}


class _Interruptions(BaseModel):
    model_config = ConfigDict(extra="forbid")
    mode: Literal["normal", "protected", "never"] = "normal"
    min_words: int = Field(1, ge=1, le=10)
    backchannels: tuple[str, ...] = ()
    protected: tuple[Annotated[str, Field(min_length=1)], ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1)
    language: str = Field(min_length=2)
    system_prompt: str = Field(min_length=1)
    voice: str = "alloy"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    model: _Model = _Model()
    phrases: _Phrases
    speech: _Speech = _Speech()
    interruptions: _Interruptions = _Interruptions()
    vocabulary: tuple[Annotated[str, Field(min_length=1)], ...] = ()


@dataclass(frozen=True, slots=True)
class Persona:
    """An agent: what the heart needs of it, and what the providers are told."""

    name: str
    call: CallSettings
    voice: str
    speed: float
    temperature: float
    max_tokens: int


def load_personas(settings: Settings) -> dict[str, Persona]:
    """Read the built-in personas and those of `persona.folders`; a later one replaces one of its name.

    Raises ConfigError naming the file and what is wrong in it, or when the default persona is missing.
    """
    personas: dict[str, Persona] = {}
    for path in _files([BUILT_IN, *(Path(folder) for folder in settings.persona.folders)]):
        persona = _read(path, settings)
        personas[persona.name] = persona
    if settings.persona.default not in personas:
        known = ", ".join(sorted(personas))
        raise ConfigError(
            f"persona.default: there is no persona {settings.persona.default!r}; known: {known}"
        )
    return personas


def _files(folders: Iterable[Path]) -> Iterable[Path]:
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"persona.folders: {folder} is not a folder")
        yield from sorted(folder.glob("*.toml"))


def _read(path: Path, settings: Settings) -> Persona:
    try:
        found = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {place}: {first['msg']}") from None
    phrases = Phrases(
        greeting=found.phrases.greeting,
        apology=found.phrases.apology,
        not_understood=found.phrases.not_understood,
        check_in=found.phrases.check_in,
        goodbye=found.phrases.goodbye,
        fillers=tuple(text for text in found.phrases.fillers if text),
        offer=found.phrases.offer,
        callback=found.phrases.callback,
    )
    call = CallSettings(
        persona=found.name,
        language=found.language,
        system_prompt=found.system_prompt.strip(),
        phrases=phrases,
        speech=SpeechSettings(found.speech.spoken_form, found.speech.pronunciations),
        turns=settings.turns,
        limits=settings.limits,
        patience=settings.patience,
        interruptions=InterruptionSettings(**found.interruptions.model_dump()),
        vocabulary=found.vocabulary,
    )
    return Persona(
        found.name, call, found.voice, found.speed, found.model.temperature, found.model.max_tokens
    )
