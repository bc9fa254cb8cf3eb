"""A real gateway on a free loopback port, over the scripted provider, for tests of the driver."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from voicegw.config import Settings, load_settings
from voicegw.providers.http import ByteStreams
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Script
from voicegw.server.front import GatewayServer, make_gateway, make_server
from voicegw.server.gateway import Gateway

# Speech three times as fast as a person's: a call over a real socket takes its time. What is faster than 100
# letters a second is taken for cut short.
SWIFT_MS_PER_CHAR = 20.0


def settings_for(folder: Path, **overrides: str) -> Settings:
    """Settings that name no real provider and keep everything in `folder`."""
    base = {
        "server.port": "0",
        "store.data_dir": str(folder),
        "provider.base_url": "http://scripted.test/v1",
        "provider.api_key": "test-key",
    }
    return load_settings({}, None, {**base, **{k.replace("__", "."): v for k, v in overrides.items()}})


class Running:
    """A gateway that listens, and its scripted provider."""

    def __init__(self, gateway: Gateway, server: GatewayServer, provider: ScriptedProvider) -> None:
        self.gateway = gateway
        self.server = server
        self.provider = provider

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}/v1/call"

    @property
    def audiosocket_port(self) -> int:
        return self.server.audiosocket.port

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


def running_gateway(
    folder: Path, script: Script | None = None, **overrides: str
) -> contextlib.AbstractAsyncContextManager[Running]:
    """A gateway that listens and keeps only journals."""
    return _running(folder, script, overrides, keep=False)


def kept_gateway(
    folder: Path, script: Script | None = None, **overrides: str
) -> contextlib.AbstractAsyncContextManager[Running]:
    """A gateway that listens, records its calls and keeps their records."""
    return _running(folder, script, overrides, keep=True)


@contextlib.asynccontextmanager
async def _running(
    folder: Path, script: Script | None, overrides: dict[str, str], *, keep: bool
) -> AsyncIterator[Running]:
    provider = ScriptedProvider(script or Script(ms_per_char=SWIFT_MS_PER_CHAR))
    async with serving(settings_for(folder, **overrides), provider, keep=keep) as server:
        yield Running(server.config.app.state.gateway, server, provider)  # type: ignore[union-attr]


@contextlib.asynccontextmanager
async def serving(
    settings: Settings, streams: ByteStreams | None = None, *, keep: bool
) -> AsyncIterator[GatewayServer]:
    """A gateway that listens; without `streams` its providers are reached over the network."""
    gateway = await make_gateway(settings, streams, keep=keep)
    server = make_server(gateway.settings, gateway)
    if keep:
        gateway.start()
    task = asyncio.create_task(server._serve())  # without uvicorn's signal handlers
    try:
        await server.listening.wait()
        yield server
    finally:
        server.stop()
        await task
        await gateway.close()


class Caller:
    """A client of the native protocol that keeps what it hears."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self.audio = b""

    async def event(self, kind: str) -> dict[str, Any]:
        """Receive until an event of this type comes, and return it."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                event = self._keep(await self.connection.recv())
                if event is not None and event["type"] == kind:
                    return event
        raise AssertionError(
            f"no {kind}: closed with {self.connection.close_code} {self.connection.close_reason}, "
            f"after {[e['type'] for e in self.events]}"
        )

    def _keep(self, message: str | bytes) -> dict[str, Any] | None:
        if isinstance(message, bytes):
            self.audio += message
            return None
        event: dict[str, Any] = json.loads(message)
        self.events.append(event)
        return event

    async def send(self, kind: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, **fields}))

    async def closed(self) -> tuple[int | None, str | None]:
        """Receive to the end; return close code and reason."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._keep(await self.connection.recv())
        return self.connection.close_code, self.connection.close_reason


@contextlib.asynccontextmanager
async def caller(url: str) -> AsyncIterator[Caller]:
    async with connect(url, compression=None) as connection:
        yield Caller(connection)
