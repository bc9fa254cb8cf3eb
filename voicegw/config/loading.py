"""Reads the settings once at start: from the environment, `.env` and `--set`.

A setting `group.name` is the environment variable `VOICEGW_GROUP__NAME`. Nothing else in voicegw reads the
environment. Which of several values counts is decided by name first and by source second:

1. `--set group.name=value`
2. `VOICEGW_GROUP__NAME`
3. `HOLYSHEEP_API_KEY`, `HOLYSHEEP_BASE_URL`, `MODEL`
4. `OPENAI_API_KEY`, `OPENAI_BASE_URL`
5. the default

For each name the real environment wins over `.env`, and an empty value counts as none. Key and base URL of
3 and 4 are taken together: a key is never paired with the other family's address. For the same reason
`stt`, `llm` and `tts` take the key of `provider` only where they have its host too.
"""

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

from dotenv.parser import parse_stream
from pydantic import ValidationError

from voicegw.config.names import setting_fields, variable_name
from voicegw.config.providers import HOLYSHEEP_URL, OPENAI_URL
from voicegw.config.settings import Settings
from voicegw.errors import ConfigError

_NAMES = {variable_name(dotted): dotted for dotted in setting_fields()}


@dataclass(frozen=True, slots=True)
class _Value:
    """A value with the name and the place it came from."""

    text: str
    name: str
    source: str


def load_settings(
    env: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
    overrides: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings from `env` (None: the process's environment), the file `dotenv` and `overrides`.

    `overrides` has dotted names ("turns.pause_ms"). A missing file is no error. Raises ConfigError that
    names every wrong variable, where it stands and what was expected; it never holds a key.
    """
    found = dict(_read_dotenv(dotenv)) if dotenv is not None else {}
    for name, text in (os.environ if env is None else env).items():
        if text:
            found[name] = _Value(text, name, "environment")
    problems = [_unknown(value) for name, value in found.items() if _looks_ours(name) and name not in _NAMES]
    chosen = _well_known(found)
    chosen |= {_NAMES[name]: value for name, value in found.items() if name in _NAMES}
    for dotted, text in (overrides or {}).items():
        if dotted in _NAMES.values():
            chosen[dotted] = _Value(text, dotted, "--set")
        else:
            problems.append(_misspelt(dotted, "--set", _NAMES.values()))
    groups: dict[str, dict[str, Any]] = {}
    for dotted, value in chosen.items():
        group, _, name = dotted.partition(".")
        try:
            groups.setdefault(group, {})[name] = _parsed(dotted, value.text)
        except ValueError as error:
            problems.append(f"{value.name} ({value.source}): {error}")
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(groups)
    except ValidationError as error:
        problems += [
            _explained(detail, chosen) for detail in error.errors(include_input=False, include_url=False)
        ]
    if problems or settings is None:
        raise ConfigError("\n".join(problems))
    settings._overridden = frozenset(overrides or {})
    return settings


def _looks_ours(name: str) -> bool:
    return name.upper().startswith("VOICEGW")


def _read_dotenv(path: Path) -> Iterable[tuple[str, _Value]]:
    try:
        with path.open(encoding="utf-8") as file:
            bindings = list(parse_stream(file))
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {type(error).__name__}") from error
    for binding in bindings:
        # The parser gives a statement together with the blank lines before it.
        blank = len(binding.original.string) - len(binding.original.string.lstrip())
        line = binding.original.line + binding.original.string[:blank].count("\n")
        if binding.error:
            raise ConfigError(f"{path} line {line}: expected NAME=value")
        if binding.key is not None and binding.value:
            yield binding.key, _Value(binding.value, binding.key, f"{path} line {line}")


def _well_known(found: Mapping[str, _Value]) -> dict[str, _Value]:
    """Choose between the names of HolySheep and OpenAI, key and base URL together."""
    chosen: dict[str, _Value] = {}
    for key_name, url_name, url in (
        ("HOLYSHEEP_API_KEY", "HOLYSHEEP_BASE_URL", HOLYSHEEP_URL),
        ("OPENAI_API_KEY", "OPENAI_BASE_URL", OPENAI_URL),
    ):
        if key_name in found:
            chosen["provider.api_key"] = found[key_name]
            chosen["provider.base_url"] = found.get(url_name, _Value(url, url_name, "default"))
            break
    else:
        for url_name in ("HOLYSHEEP_BASE_URL", "OPENAI_BASE_URL"):
            if url_name in found:
                chosen["provider.base_url"] = found[url_name]
                break
    if "MODEL" in found:
        chosen["provider.model"] = found["MODEL"]
    return chosen


def _unknown(value: _Value) -> str:
    return _misspelt(value.name, value.source, _NAMES)


def _misspelt(name: str, source: str, known: Iterable[str]) -> str:
    """Say that `name` is none of the `known` names, and which one was probably meant."""
    same_case = {candidate.upper(): candidate for candidate in known}
    meant = name.upper()
    # A wrong group with a right field is told by its field; a near name elsewhere would be a bad guess.
    close = difflib.get_close_matches(meant, list(same_case), n=3, cutoff=0.75)
    field = re.split(r"__|\.", meant)[-1]
    close.sort(key=lambda candidate: not candidate.endswith(field))
    hint = f"did you mean {same_case[close[0]]}?" if close else "docs/configuration.md lists all settings"
    return f"{name} ({source}): no such setting; {hint}"


def _parsed(dotted: str, text: str) -> Any:
    """Turn a text into what its field takes: JSON for headers, a list for folders, else the text itself."""
    if dotted.endswith(".headers"):
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ValueError('expected JSON such as {"X-Title": "My shop"}')
        return value
    if dotted.endswith(".fallbacks"):
        try:
            listed = json.loads(text)
        except ValueError:
            listed = None
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise ValueError('expected JSON such as [{"base_url": "https://…/v1", "api_key": "…"}]')
        return tuple({name: str(value) for name, value in each.items()} for each in listed)
    if get_origin(setting_fields()[dotted].annotation) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _explained(detail: Mapping[str, Any], chosen: Mapping[str, _Value]) -> str:
    """Say one pydantic error in the user's words; only values that are no secret are quoted."""
    location = [str(part) for part in detail["loc"]]
    message = str(detail["msg"]).removeprefix("Value error, ")
    message = message.replace("Input should be", "expected", 1).replace("a valid integer", "a whole number")
    message = message.partition(", unable to parse")[0]
    value = chosen.get(".".join(location[:2]))
    if value is None:
        # A rule between several settings: say where each value that was given comes from.
        given = [v for dotted, v in chosen.items() if dotted.startswith(f"{location[0]}.")]
        where = ", ".join(f"{v.name} ({v.source})" for v in given if f"{_dotted(v)}" in message)
        return f"{where}: {message}" if where else message
    field = setting_fields().get(".".join(location[:2]))
    secret = location[-1] == "base_url" or (field is not None and field.repr is False)
    return f"{value.name} ({value.source}): {message}" + ("" if secret else f", got {value.text!r}")


def _dotted(value: _Value) -> str:
    return _NAMES.get(value.name, value.name)
