"""Webhook tools: a few lines of TOML, and the model can call a service of yours.

Every request has an `Idempotency-Key`; a tool that is marked idempotent is sent once more with the same key
when the connection broke. Bounded in time and size; no redirects; no private address unless it is allowed.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import asyncio
import json
import logging
import os
import re
import socket
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator

from voicegw.agents.asked_for import AskedFor
from voicegw.agents.tools import Ran, ToolContext, as_json, bad_arguments, definition, timed_out
from voicegw.call.settings import ToolRules
from voicegw.config.addresses import is_public, parsed_address

log = logging.getLogger(__name__)

# A model reads a page at most; more is a mistake in the path of the result.
MOST_BYTES = 256_000
_SECRET = re.compile(r"\$\{(\w+)\}")
_PLACE = re.compile(r"\{(\w+)\}")
_TYPES: dict[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool}


class Parameter(BaseModel):
    """One argument of a webhook tool."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["string", "integer", "number", "boolean"] = "string"
    description: str = ""
    required: bool = True
    pattern: str | None = None
    slot: AskedFor | None = None


class WebhookFile(BaseModel):
    """A `[[tools.webhook]]` of a persona file."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")
    description: str = Field(min_length=1)
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    url: str
    headers: dict[str, str] = {}
    parameters: dict[str, Parameter] = {}
    result: Annotated[str, Field(description="path of the result in the answer: data.order")] = ""
    timeout_s: float = Field(10.0, gt=0, le=120)
    read_only: bool = False
    idempotent: bool = False
    confirm: str = ""
    background: bool = False
    allow_private: bool = False

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or "{" in parts.netloc:
            raise ValueError("expected an address such as https://shop.example/orders/{order_id}")
        return value


class _PrivateAddress(OSError):
    """A name leads to an address inside."""


class _PublicOnly(AbstractResolver):
    """Resolves names, and refuses those that lead inside: a name may point anywhere."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if any(not is_public(entry["host"]) for entry in found):
            raise _PrivateAddress(f"{host} is a private address")
        return found

    async def close(self) -> None:
        await self._resolver.close()


class WebhookTool:
    """A service behind HTTP as a tool."""

    def __init__(self, found: WebhookFile, environment: Mapping[str, str] | None = None) -> None:
        """Raises ValueError when a header names a secret that the environment does not hold."""
        self._file = found
        idempotent = found.idempotent or found.read_only
        self.rules = ToolRules(
            found.name,
            "run",
            found.read_only,
            idempotent,
            found.confirm,
            found.background,
            # The second try of an idempotent tool is within its time.
            round(found.timeout_s * 1000),
            tuple(p.slot.slot(name) for name, p in found.parameters.items() if p.slot is not None),
        )
        fields: dict[str, Any] = {
            name: (
                Annotated[_TYPES[p.type], Field(description=p.description or None, pattern=p.pattern)],
                ... if p.required else None,
            )
            for name, p in found.parameters.items()
        }
        self._arguments = create_model(found.name, __config__=ConfigDict(extra="forbid"), **fields)
        schema = self._arguments.model_json_schema()
        schema.pop("title", None)
        self.definition = definition(found.name, found.description, schema)
        values = os.environ if environment is None else environment
        self._headers = {name: _with_secrets(text, values) for name, text in found.headers.items()}

    def __repr__(self) -> str:
        # The file names its secrets, it does not hold them.
        return f"WebhookTool({self._file!r})"

    async def run(self, arguments: str, context: ToolContext) -> Ran:
        """Send the request, and once more if that can do no harm."""
        try:
            checked = self._arguments.model_validate_json(arguments)
        except ValidationError as error:
            return bad_arguments(error)
        given = checked.model_dump(exclude_none=True)
        try:
            async with asyncio.timeout(self._file.timeout_s):
                while True:
                    try:
                        return await self._send(given, context.key)
                    except (aiohttp.ClientConnectionError, ConnectionError) as error:
                        log.warning("tool %s: %s", self.rules.name, type(error).__name__)
                        refused = isinstance(error, aiohttp.ClientConnectorError)
                        if isinstance(getattr(error, "os_error", None), _PrivateAddress):
                            return Ran("failed", as_json({"error": "the tool's address is not allowed"}))
                        if not self.rules.idempotent:
                            return self._broken(refused)
                        await asyncio.sleep(min(0.5, self._file.timeout_s / 4))
        except TimeoutError:
            return timed_out(self.rules)
        except aiohttp.ClientError as error:
            log.warning("tool %s: %s", self.rules.name, type(error).__name__)
            return Ran("failed", as_json({"error": "the service gave no usable answer"}))

    def _broken(self, refused: bool) -> Ran:
        if refused:
            return Ran("failed", as_json({"error": "the service could not be reached"}))
        return Ran("unknown", as_json({"error": "the outcome is unknown: the connection broke"}))

    async def _send(self, given: dict[str, Any], key: str) -> Ran:
        in_url = set(_PLACE.findall(self._file.url))
        if any(str(given.get(name)) in (".", "..") for name in in_url):
            # They would lead to another path of the service than the one that is meant.
            return Ran("bad_arguments", as_json({"error": "no such id", "status": "bad_arguments"}))
        url = _PLACE.sub(lambda m: quote(str(given.get(m[1], "")), safe=""), self._file.url)
        if not self._file.allow_private and not _host_allowed(url):
            return Ran("failed", as_json({"error": "the tool's address is not allowed"}))
        rest = {name: value for name, value in given.items() if name not in in_url}
        query = self._file.method in ("GET", "DELETE")
        resolver = None if self._file.allow_private else _PublicOnly()
        # A connection of its own: nothing of one call is left for another one to trip over.
        connector = aiohttp.TCPConnector(resolver=resolver, limit=1, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(
                self._file.method,
                url,
                params={name: str(value) for name, value in rest.items()} if query else None,
                json=None if query else rest,
                headers={**self._headers, "Idempotency-Key": key},
                allow_redirects=False,
            ) as answer,
        ):
            body = await answer.content.read(MOST_BYTES + 1)
            while len(body) <= MOST_BYTES and (more := await answer.content.read(MOST_BYTES + 1 - len(body))):
                body += more
            if len(body) > MOST_BYTES:
                return Ran("failed", as_json({"error": "the answer is too long"}))
            if answer.status >= 300:
                return self._refused(answer.status, body)
            return Ran("done", self._result(body))

    def _refused(self, status: int, body: bytes) -> Ran:
        told = body[:500].decode(errors="replace")
        outcome = "unknown" if status >= 500 and not self.rules.idempotent else "failed"
        return Ran(
            "unknown" if outcome == "unknown" else "failed", as_json({"error": told, "status": status})
        )

    def _result(self, body: bytes) -> str:
        text = body.decode(errors="replace")
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return text or "{}"
        for part in filter(None, self._file.result.split(".")):
            if isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            elif isinstance(found, dict) and part in found:
                found = found[part]
            else:
                return as_json({"error": f"the answer has no {self._file.result}"})
        return as_json(found)


def _host_allowed(url: str) -> bool:
    """Names are looked at when they are resolved; an address as such does not pass the resolver."""
    host = urlsplit(url).hostname or ""
    return parsed_address(host) is None or is_public(host)


def _with_secrets(text: str, values: Mapping[str, str]) -> str:
    def secret(match: re.Match[str]) -> str:
        if not values.get(match[1]):
            raise ValueError(f"the environment has no {match[1]}")
        return values[match[1]]

    return _SECRET.sub(secret, text)
