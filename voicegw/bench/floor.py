"""The floor: a bare server of the same stack, which does nothing but what every gateway must.

uvicorn, websockets' sans-I/O protocol in one `asyncio.Protocol`, webrtcvad on each frame. `/silent` answers
nothing, `/echo` sends each frame back. The gateway's cost is told in units of this.
"""

import asyncio
from typing import Any, cast

import uvicorn
import webrtcvad
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from voicegw.audio.pcm import FRAME_BYTES, SAMPLE_RATE_HZ
from voicegw.bench.serving import serve_child


class FloorSocket(asyncio.Protocol):
    """One connection of the bare server."""

    def __init__(self, config: Any, server_state: Any, app_state: Any) -> None:
        self._connections: set[Any] = server_state.connections
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self._ws = ServerProtocol(max_size=65_536)
        self._vad = webrtcvad.Vad(3)
        self._echoes = False
        self.voiced = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection."""
        # uvloop's transports have all of its methods, but are no subclass of it.
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Judge each frame, and echo it where the path says so."""
        self._ws.receive_data(data)
        for event in self._ws.events_received():
            if isinstance(event, Frame):
                if event.opcode is Opcode.BINARY and len(event.data) == FRAME_BYTES:
                    self._take_frame(bytes(event.data))
            elif isinstance(event, Request):
                self._echoes = event.path == "/echo"
                self._ws.send_response(self._ws.accept(event))
        self._flush()

    def _take_frame(self, frame: bytes) -> None:
        self.voiced += self._vad.is_speech(frame, SAMPLE_RATE_HZ)
        if self._echoes:
            self._ws.send_binary(frame)

    def _flush(self) -> None:
        for data in self._ws.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._connections.discard(self)

    def shutdown(self) -> None:
        """uvicorn stops."""
        self._transport.close()


async def _no_pages(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _serve() -> None:
    config = uvicorn.Config(
        _no_pages,
        host="127.0.0.1",
        port=0,
        ws=FloorSocket,
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    await serve_child(uvicorn.Server(config))


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve())
