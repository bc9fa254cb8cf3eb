"""The scripted provider over real HTTP, on a loopback port.

Answers without delays and faults are sent in one write with their length; the benchmark asks it for
hundreds of calls.
"""

import asyncio
import ssl
from types import TracebackType

from aiohttp import web

from voicegw.providers.http import HttpRequest
from voicegw.rehearsal.provider import Plan, ScriptedProvider


class ProviderServer:
    """Serves `provider` on 127.0.0.1, for `async with`; then `base_url` is known. Port 0: a free one."""

    def __init__(
        self, provider: ScriptedProvider, *, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.provider = provider
        self.base_url = ""
        self._port = port
        self._tls = tls
        self._runner: web.ServerRunner | None = None
        self._peers: set[object] = set()

    async def __aenter__(self) -> "ProviderServer":
        # `handler_cancellation`: an answer stops when its client has gone, as a real provider's does.
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"{'https' if self._tls else 'http'}://{host}:{port}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def connections_made(self) -> int:
        """Connections over which requests have come."""
        return len(self._peers)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if request.transport is not None:
            self._peers.add(request.transport.get_extra_info("peername"))
        asked = HttpRequest(request.method, request.path, tuple(request.headers.items()), body)
        plan = self.provider.plan(asked, asyncio.get_running_loop().time())
        try:
            return await self._answer(request, plan)
        except (asyncio.CancelledError, ConnectionError):
            plan.received.end("closed")
            raise

    async def _answer(self, request: web.BaseRequest, plan: Plan) -> web.StreamResponse:
        if plan.ends == "complete" and not any(delay for delay, _ in plan.pieces):
            plan.received.end("complete")
            data = b"".join(data for _, data in plan.pieces)
            return web.Response(status=plan.status, headers=plan.headers, body=data)
        response = web.StreamResponse(status=plan.status, headers=plan.headers)
        if plan.answers:
            response.enable_chunked_encoding()
            for index, (delay, data) in enumerate(plan.pieces):
                if delay:
                    await asyncio.sleep(delay)
                if index == 0:
                    await response.prepare(request)
                if data:
                    await response.write(data)
            if not plan.pieces:
                await response.prepare(request)
        if plan.ends == "hang":
            await asyncio.get_running_loop().create_future()
        if plan.ends == "reset":
            plan.received.end("broken")
            if request.transport is not None:
                request.transport.abort()
            return response
        plan.received.end("complete")
        await response.write_eof()
        return response
