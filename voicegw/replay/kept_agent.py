"""The agent of a call that was kept, as it was. Its tools do not run again: they give what they gave then."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from voicegw.agents.persona_file import HoursPart
from voicegw.agents.personas import Persona
from voicegw.agents.tools import Ran, Tool, ToolContext, as_json, definition
from voicegw.call.settings import CallSettings, ToolRules
from voicegw.config import Settings
from voicegw.errors import ConfigError
from voicegw.store.bundle import ABOUT, FORMAT, JOURNAL
from voicegw.store.journal import read_journal
from voicegw.verdict.exchanges import ToolUse
from voicegw.verdict.timeline import play_journal

# Groups of settings that a call has of its own.
_GROUPS = ("turns", "limits", "patience")


class AsItWas(Persona):
    """A persona whose prompt and greeting are filled already."""

    def for_call(
        self, caller: str, called: str, metadata: Mapping[str, str], now: datetime | None = None
    ) -> CallSettings:
        """Return the settings of the call that was kept."""
        return self.call


@dataclass(slots=True)
class KeptTool:
    """A tool that answers as it did in a call, in the order of its uses with the same arguments."""

    rules: ToolRules
    definition: dict[str, Any]
    uses: list[ToolUse]

    async def run(self, arguments: str, context: ToolContext) -> Ran:
        """Give what was given then, as late as then; a failure where there was nothing like it."""
        found = next((use for use in self.uses if _same(use.arguments, arguments)), None)
        if found is None:
            return Ran("failed", as_json({"error": "this was not asked in the call that was kept"}))
        if len([use for use in self.uses if _same(use.arguments, arguments)]) > 1:
            self.uses.remove(found)
        if found.done_us is not None:
            await asyncio.sleep((found.done_us - found.asked_us) / 1e6)
        return Ran(found.outcome or "unknown", found.result)  # type: ignore[arg-type]


def _same(left: str, right: str) -> bool:
    try:
        return bool(json.loads(left or "{}") == json.loads(right or "{}"))
    except ValueError:
        return left == right


def read_about(bundle: Path) -> dict[str, Any]:
    """Read what a bundle tells of its call. Raises ConfigError."""
    path = bundle / ABOUT
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ConfigError(f"{path}: bundle format {about['format']} is unknown; this reads {FORMAT}")
        return about
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: no bundle of this gateway") from error


def kept_agent(bundle: Path, settings: Settings) -> Persona:
    """Return the agent of a bundle; what `settings` override is as they say. Raises ConfigError."""
    agent = read_about(bundle)["agent"]
    call, events = read_journal(bundle / JOURNAL)
    timeline = play_journal(call, events)
    uses = [use for exchange in timeline.exchanges for use in exchange.tools]
    definitions = {each["function"]["name"]: each for each in agent["tools"]}
    tools = kept_tools(call.tools, uses, definitions)
    return AsItWas(
        agent["name"],
        overridden(call, settings),
        agent["voice"],
        agent["speed"],
        agent["temperature"],
        agent["max_tokens"],
        tools,
        HoursPart(),
    )


def kept_tools(
    rules: Sequence[ToolRules], uses: Sequence[ToolUse], definitions: Mapping[str, dict[str, Any]]
) -> dict[str, Tool]:
    """Return tools that answer as they did in a call."""
    return {
        each.name: KeptTool(
            each,
            definitions.get(each.name, definition(each.name, "", {"type": "object"})),
            [use for use in uses if use.name == each.name],
        )
        for each in rules
    }


def overridden(call: CallSettings, settings: Settings) -> CallSettings:
    """Return a call's settings with what `--set` says otherwise."""
    for group in _GROUPS:
        names = [n.partition(".")[2] for n in settings.overridden if n.startswith(f"{group}.")]
        if names:
            wanted = getattr(settings, group)
            old = getattr(call, group).model_dump()
            new = type(wanted).model_validate(old | {name: getattr(wanted, name) for name in names})
            call = replace(call, **{group: new})
    return call
