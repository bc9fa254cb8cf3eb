"""Personas: what the agent is, one TOML file each; the built-in ones come with the package."""

import importlib.util
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from voicegw.agents.persona_file import DAYS, HoursPart, PersonaFile, spans
from voicegw.agents.shop_tools import BUILT_IN as BUILT_IN_TOOLS
from voicegw.agents.template import Facts, filled
from voicegw.agents.toml_lines import line_of
from voicegw.agents.tools import FunctionTool, Tool
from voicegw.agents.webhook import WebhookTool
from voicegw.call.settings import (
    CallSettings,
    InterruptionSettings,
    KeypadRules,
    Phrases,
    Slot,
    SpeechSettings,
    ToolRules,
    WindowRules,
)
from voicegw.config import Group, Settings
from voicegw.errors import ConfigError

BUILT_IN = Path(__file__).parent / "builtin"
G = TypeVar("G", bound=Group)


@dataclass(frozen=True, slots=True)
class Persona:
    """An agent: what the heart needs of it, and what the providers are told."""

    name: str
    call: CallSettings
    voice: str
    speed: float
    temperature: float
    max_tokens: int
    tools: Mapping[str, Tool]
    hours: HoursPart
    photo_detail: Literal["low", "high", "auto"] = "low"
    called: tuple[str, ...] = ()
    model: str = ""  # of the first provider of the language model; "": the one that it is set to

    def for_call(
        self, caller: str, called: str, metadata: Mapping[str, str], now: datetime | None = None
    ) -> CallSettings:
        """Return the settings of one call: prompt and greeting filled with what is known of it."""
        local = (now or datetime.now(UTC)).astimezone(ZoneInfo(self.hours.timezone))
        is_open = opened(self.hours, local)
        facts = Facts(local, caller, called, is_open, metadata)
        phrases = replace(
            self.call.phrases,
            greeting=filled(self.call.phrases.greeting, facts, self.call.language),
            closed=filled(self.call.phrases.closed, facts, self.call.language),
        )
        prompt = filled(self.call.system_prompt, facts, self.call.language)
        today = local.date().isoformat()
        return replace(self.call, system_prompt=prompt, phrases=phrases, in_hours=is_open, today=today)


def opened(hours: HoursPart, local: datetime) -> bool:
    """True within business hours."""
    if not hours.days:
        return True
    today = hours.days.get(DAYS[local.weekday()], "")
    return any(start <= local.time() < end for start, end in spans(today))


def persona_for(personas: Mapping[str, Persona], called: str) -> str:
    """Return the name of the persona that answers a called number; "" when none claims it."""
    for name, persona in sorted(personas.items()):
        if called and any(fnmatchcase(called, pattern) for pattern in persona.called):
            return name
    return ""


def load_personas(settings: Settings) -> dict[str, Persona]:
    """Read the built-in personas and those of `persona.folders`; a later one replaces one of its name.

    Raises ConfigError naming file, line and what is wrong there, or when the default persona is missing.
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
        text = path.read_text(encoding="utf-8")
        found = PersonaFile.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _wrong(path, text, first["loc"], first["msg"].removeprefix("Value error, ")) from None
    tools = _tools(path, text, found)
    return Persona(
        found.name,
        _call_settings(path, text, found, settings, tools),
        found.voice,
        found.speed,
        found.model.temperature,
        found.model.max_tokens,
        tools,
        found.hours,
        found.photos.detail,
        found.called,
        "" if settings.overridden & {"llm.model", "provider.model"} else found.model.name,
    )


def _wrong(path: Path, text: str, place: tuple[int | str, ...], message: str) -> ConfigError:
    line = line_of(text, place)
    where = f"{path} line {line}" if line else f"{path}"
    return ConfigError(f"{where}: {'.'.join(str(part) for part in place)}: {message}")


def _call_settings(
    path: Path, text: str, found: PersonaFile, settings: Settings, tools: Mapping[str, Tool]
) -> CallSettings:
    def merged(group: G, name: str, own: dict[str, object]) -> G:
        """`--set` over the persona over the environment."""
        overridden = {key: value for key, value in own.items() if f"{name}.{key}" not in settings.overridden}
        try:
            return type(group).model_validate({**group.model_dump(), **overridden})
        except ValidationError as error:
            raise _wrong(path, text, (name,), error.errors()[0]["msg"]) from None

    limits = dict(found.limits)
    if found.history.exchanges is not None:
        limits.setdefault("history_exchanges", found.history.exchanges)
    phrases = Phrases(**{**found.phrases.model_dump(), "fillers": tuple(filter(None, found.phrases.fillers))})
    return CallSettings(
        persona=found.name,
        language=found.language,
        system_prompt=found.system_prompt.strip(),
        phrases=phrases,
        speech=SpeechSettings(found.speech.spoken_form, found.speech.pronunciations),
        turns=merged(settings.turns, "turns", found.turns),
        limits=merged(settings.limits, "limits", limits),
        patience=merged(settings.patience, "patience", found.patience),
        tools=tuple(_rules(tool, found) for tool in tools.values()),
        tool_rounds=found.tools.rounds,
        slots=_slots(found, tools),
        keypad=KeypadRules(**found.keypad.model_dump()),
        window=WindowRules(found.history.tokens, found.history.photos, found.history.summarise),
        transfers={target.name: target.address for target in found.transfer},
        closed_hangs_up=found.hours.closed_hangs_up,
        interruptions=InterruptionSettings(**found.interruptions.model_dump()),
        vocabulary=found.vocabulary,
    )


def _slots(found: PersonaFile, tools: Mapping[str, Tool]) -> tuple[Slot, ...]:
    """The persona's own, and those that its tools declare; the persona's word counts where both name one."""
    own = {part.name: part.slot(part.name) for part in found.slot}
    declared = {slot.name: slot for tool in tools.values() for slot in tool.rules.slots}
    return (*own.values(), *(slot for name, slot in declared.items() if name not in own))


def _rules(tool: Tool, found: PersonaFile) -> ToolRules:
    rules = tool.rules
    return replace(
        rules,
        confirm=found.tools.confirm.get(rules.name, rules.confirm),
        background=rules.background or rules.name in found.tools.background,
    )


def _tools(path: Path, text: str, found: PersonaFile) -> dict[str, Tool]:
    known: dict[str, Tool] = dict(BUILT_IN_TOOLS)
    for number, module in enumerate(found.tools.modules):
        try:
            known |= _module_tools(path.parent / module)
        except Exception as error:
            # Whatever somebody's module does when it is loaded, it is told with its place.
            raise _wrong(path, text, ("tools", "modules", number), f"{module}: {error}") from error
    tools: dict[str, Tool] = {}
    for number, name in enumerate(found.tools.use):
        if name not in known:
            raise _wrong(
                path, text, ("tools", "use", number), f"no tool {name!r}; known: {', '.join(sorted(known))}"
            )
        tools[name] = known[name]
    for number, webhook in enumerate(found.tools.webhook):
        if webhook.name in tools:
            raise _wrong(path, text, ("tools", "webhook", number, "name"), f"{webhook.name} is there already")
        try:
            tools[webhook.name] = WebhookTool(webhook)
        except ValueError as error:
            raise _wrong(path, text, ("tools", "webhook", number, "headers"), str(error)) from None
    for group in ("confirm", "background"):
        for name in getattr(found.tools, group):
            if name not in tools:
                raise _wrong(path, text, ("tools", group, name), f"{name} is none of the persona's tools")
    return tools


def _module_tools(path: Path) -> dict[str, Tool]:
    spec = importlib.util.spec_from_file_location(f"voicegw_tools_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError("is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {made.rules.name: made for made in vars(module).values() if isinstance(made, FunctionTool)}
