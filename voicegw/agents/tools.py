"""Tools: what a model may have done. A Python function with type hints and a docstring becomes one.

    @tool(idempotent=True)
    def book_table(day: date, persons: Annotated[int, Field(ge=1, le=20)]) -> dict[str, str]:
        "Book a table. Ask for the day first."

The schema that the model sees, and the check of its arguments, come from the hints. A parameter with the
hint `ToolContext` is not shown to the model: it is given the call's; `AskedFor` in a hint makes the answer to
the agent's question for it a slot. Functions that are not `async` run in a
thread. What a tool returns goes to the model as JSON; `ToolFailed` tells it what went wrong.
"""

import asyncio
import inspect
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from voicegw.agents.asked_for import AskedFor
from voicegw.call.settings import ToolAction, ToolRules

log = logging.getLogger(__name__)

Status = Literal["done", "failed", "bad_arguments", "timeout", "unknown"]


class ToolFailed(Exception):
    """A tool could not do it; the text is for the model, and through it for the caller."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of the call it runs for. `key` is the same whenever this one run is repeated."""

    call_id: str
    key: str
    caller: str
    language: str
    data_dir: Path
    # Gives the path of a one-time link for a photo; None where nobody could follow it.
    photo_link: Callable[[], str] | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """How a tool ended: its status, and what the model is told, as JSON or text."""

    status: Status
    content: str


class Tool(Protocol):
    """One tool of a persona."""

    @property
    def rules(self) -> ToolRules:
        """What the call must know of it."""
        ...

    @property
    def definition(self) -> dict[str, Any]:
        """The tool as the chat API wants it."""
        ...

    async def run(self, arguments: str, context: ToolContext) -> Ran:
        """Run it once. Never raises but CancelledError; its own time-out has passed then at the latest."""
        ...


def definition(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a tool in the shape of the chat API."""
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": schema},
    }


def bad_arguments(error: ValidationError) -> Ran:
    """Tell the model what is wrong with its arguments."""
    problems = [
        f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
        for detail in error.errors(include_url=False, include_input=False)
    ]
    return Ran("bad_arguments", as_json({"error": "; ".join(problems), "status": "bad_arguments"}))


def as_json(value: object) -> str:
    """Return a result as the model reads it."""
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    return json.dumps(value, ensure_ascii=False, default=str)


class FunctionTool:
    """A Python function as a tool."""

    def __init__(self, function: Callable[..., Any], rules: ToolRules, arguments: type[BaseModel]) -> None:
        self.rules = rules
        self._function = function
        self._arguments = arguments
        self._context_name = next(
            (name for name, hint in get_type_hints(function).items() if hint is ToolContext), ""
        )
        schema = arguments.model_json_schema()
        schema.pop("title", None)
        for field in schema.get("properties", {}).values():
            field.pop("title", None)
        self.definition = definition(rules.name, inspect.getdoc(function) or "", schema)

    def __repr__(self) -> str:
        # What it promises, for the persona's version: an address in memory would make each start another.
        return f"FunctionTool({self.rules!r}, {self.definition!r})"

    async def run(self, arguments: str, context: ToolContext) -> Ran:
        """Check the arguments and call the function."""
        try:
            checked = self._arguments.model_validate_json(arguments)
        except ValidationError as error:
            return bad_arguments(error)
        given = {name: getattr(checked, name) for name in self._arguments.model_fields}
        if self._context_name:
            given[self._context_name] = context
        try:
            async with asyncio.timeout(self.rules.timeout_ms / 1000):
                if inspect.iscoroutinefunction(self._function):
                    found = await self._function(**given)
                else:
                    found = await asyncio.to_thread(self._function, **given)
        except ToolFailed as error:
            return Ran("failed", as_json({"error": str(error)}))
        except TimeoutError:
            return timed_out(self.rules)
        except Exception:
            # A mistake in somebody's tool: the model says that it did not work, the log says why.
            log.exception("tool %s failed", self.rules.name)
            return Ran("failed", as_json({"error": "the tool has failed"}))
        return Ran("done", as_json(found))


def timed_out(rules: ToolRules) -> Ran:
    """Tell the model what nobody knows."""
    told = "the outcome is unknown: it took too long" if not rules.read_only else "it took too long"
    return Ran("timeout", as_json({"error": told}))


def _for_schema(hint: Any) -> Any:
    """A type hint without what only the call needs to know."""
    kept = tuple(part for part in get_args(hint) if not isinstance(part, AskedFor))
    if get_origin(hint) is not Annotated or len(kept) == len(get_args(hint)):
        return hint
    return Annotated[kept] if len(kept) > 1 else kept[0]


def tool(
    *,
    name: str = "",
    read_only: bool = False,
    idempotent: bool = False,
    confirm: str = "",
    background: bool = False,
    timeout_s: float = 10.0,
    action: ToolAction = "run",
) -> Callable[[Callable[..., Any]], FunctionTool]:
    """Make a function a tool; see `ToolRules` for what the marks mean.

    Raises TypeError when a parameter has no type hint: the model would not know what to write.
    """

    def make(function: Callable[..., Any]) -> FunctionTool:
        hints = get_type_hints(function, include_extras=True)
        rules = ToolRules(
            name or function.__name__,
            action,
            read_only,
            idempotent or read_only,
            confirm,
            background,
            round(timeout_s * 1000),
            tuple(
                asked.slot(parameter)
                for parameter, hint in hints.items()
                for asked in get_args(hint)
                if isinstance(asked, AskedFor)
            ),
        )
        fields: dict[str, Any] = {}
        for parameter in inspect.signature(function).parameters.values():
            if parameter.name not in hints:
                raise TypeError(f"{function.__name__}: the parameter {parameter.name} has no type hint")
            if hints[parameter.name] is ToolContext:
                continue
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[parameter.name] = (_for_schema(hints[parameter.name]), default)
        arguments = create_model(rules.name, __config__=ConfigDict(extra="forbid"), **fields)
        return FunctionTool(function, rules, arguments)

    return make
