"""The HTTP side of the port, and the process around it: start, readiness, drain, exit."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Iterator
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from voicegw.agents.personas import load_personas
from voicegw.config import Settings
from voicegw.errors import ConfigError, GatewayFull
from voicegw.providers.build import build_providers
from voicegw.providers.cassette_recorder import CallsRecorder
from voicegw.providers.http import AiohttpStreams, ByteStreams
from voicegw.server.audiosocket import AudioSocketPort, announce_route
from voicegw.server.doorstep import Doorstep
from voicegw.server.gateway import Gateway
from voicegw.server.keeping import Keeping
from voicegw.server.operator import operator_routes
from voicegw.server.peers import Refused
from voicegw.server.policy import Policy
from voicegw.server.recordings import recording_routes
from voicegw.server.routes import NATIVE
from voicegw.server.scraping import metrics_route
from voicegw.server.socket import CallSocket
from voicegw.server.upload_routes import upload_routes
from voicegw.server.webhooks import handshake_of, webhook_routes
from voicegw.verdict.verdict import Thresholds
from voicegw.web.softphone import softphone_routes, static_files

log = logging.getLogger(__name__)


async def healthz(request: Request) -> Response:
    """The process is alive."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """New calls are welcome; 503 while the process drains."""
    gateway: Gateway = request.app.state.gateway
    status = 503 if gateway.draining else 200
    return JSONResponse({"ready": status == 200, "calls": gateway.calls}, status_code=status)


async def call_without_upgrade(request: Request) -> Response:
    """What an upgrade would be answered now: a browser is not told why its WebSocket was refused."""
    gateway: Gateway = request.app.state.gateway
    headers = {"Cache-Control": "no-store"}
    try:
        peer = handshake_of(request, gateway.settings).peer
        gateway.door.check_request("call", request.headers.get("authorization", ""), peer)
        gateway.check_room()
    except Refused as refused:
        if refused.retry_after:
            headers["Retry-After"] = str(refused.retry_after)
        return PlainTextResponse(f"{refused}\n", status_code=refused.status, headers=headers)
    except GatewayFull as full:
        headers["Retry-After"] = str(full.retry_after)
        return PlainTextResponse(f"{full}\n", status_code=503, headers=headers)
    headers["Upgrade"] = "websocket"
    return PlainTextResponse("Calls come by WebSocket.\n", status_code=426, headers=headers)


def make_app(gateway: Gateway) -> Starlette:
    """The HTTP routes around a gateway."""
    audiosocket = AudioSocketPort(gateway)
    assets = static_files()
    routes = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route(NATIVE.path, call_without_upgrade),
        *softphone_routes(
            assets, gateway.personas, gateway.settings.persona.default, locked=gateway.door.locked
        ),
        *webhook_routes(),
        *operator_routes(),
        *recording_routes(),
        *upload_routes(),
        metrics_route(gateway),
        announce_route(audiosocket),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(Policy)])
    app.state.audiosocket = audiosocket
    app.state.assets = assets
    app.state.gateway = gateway
    return app


class GatewayServer(uvicorn.Server):
    """uvicorn, with SIGTERM meaning: no new calls, let those in progress finish, then exit 0."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._loop = asyncio.get_running_loop()
        self._drain: asyncio.Task[None] | None = None
        self.audiosocket: AudioSocketPort = config.app.state.audiosocket  # type: ignore[union-attr]
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the ports."""
        await self.audiosocket.open()
        await super().startup(sockets)
        self.listening.set()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: drain. Second, or Ctrl-C: stop now."""
        if sig == signal.SIGINT or self._drain is not None:
            self._loop.call_soon_threadsafe(self.stop)
        else:
            self._loop.call_soon_threadsafe(self._begin_drain)

    def _begin_drain(self) -> None:
        if self._drain is None:
            self._drain = self._loop.create_task(self._drain_and_stop(), name="drain")

    async def _drain_and_stop(self) -> None:
        await self._gateway.drain()
        self.stop()

    async def serve_among_others(self) -> None:
        """Serve until `stop`, and leave the process's signals alone: it has other servers, or tests."""
        await self._serve()

    def stop(self) -> None:
        """End the server."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the ports; calls that are still in progress end first, with a word to the other side."""
        self.audiosocket.close()
        self._gateway.door.held.close()
        await self._gateway.end_calls("shutdown")
        await super().shutdown(sockets)

    async def finish_drain(self) -> None:
        """Await the drain task, if there was one."""
        if self._drain is not None:
            self._drain.cancel()
            await asyncio.wait([self._drain])


@contextlib.contextmanager
def settled_memory() -> Iterator[None]:
    """Keep what was made at start out of garbage collection within the block.

    Modules, settings and routes live as long as the process; a full collection that looks at them takes
    30 to 60 ms, in which no frame leaves. Without them it takes a tenth of that.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def make_gateway(
    settings: Settings, streams: ByteStreams | None = None, *, keep: bool = False
) -> Gateway:
    """Make a gateway on the running loop; with `keep` its calls are recorded and get records.

    Raises ConfigError.
    """
    personas = load_personas(settings)
    streams = streams or AiohttpStreams()
    if keep and settings.store.bundles:
        streams = CallsRecorder(streams)
    providers = build_providers(settings, streams)
    return Gateway(settings, personas, providers, _keeping(settings) if keep else None)


def _keeping(settings: Settings) -> Keeping:
    try:
        return Keeping(settings.store, settings.hook, Thresholds(**settings.verdict.model_dump()))
    except OSError as error:
        raise ConfigError(f"store.data_dir: {settings.store.data_dir}: {error.strerror}") from error


def make_server(settings: Settings, gateway: Gateway) -> GatewayServer:
    """Make the server of the gateway's port."""
    app = make_app(gateway)
    config = uvicorn.Config(
        app,
        host=settings.server.host,
        port=settings.server.port,
        http=Doorstep,
        ws=CallSocket,
        lifespan="off",
        ssl_certfile=settings.server.tls_cert or None,
        ssl_keyfile=settings.server.tls_key or None,
        access_log=False,
        log_config=None,
        # Calls have been ended before; what is left are half-open handshakes.
        timeout_graceful_shutdown=2,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        raise ConfigError(f"server.tls_cert, server.tls_key: {error}") from error
    # uvicorn wraps the application; the call sockets need the gateway behind it.
    config.app = app
    return GatewayServer(config, gateway)
