"""`GET /recordings/<call_id>.flac`: a recording, for whoever holds a link that was signed for it."""

import asyncio
import re

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from voicegw.server.gateway import Gateway

# The link is told when the call ends; a browser is there before the last second is encoded.
WHOLE_S = 10.0
_NAME = re.compile(r"([0-9a-f]{16})\.flac")


def recording_routes() -> list[Route]:
    """The routes of this file."""
    return [Route("/recordings/{name}", recording)]


async def recording(request: Request) -> Response:
    """The file; 403 without a link that holds."""
    gateway: Gateway = request.app.state.gateway
    if not gateway.links.holds(request.url.path, request.query_params):
        return PlainTextResponse("This link does not hold, or does not hold any more.\n", 403)
    named = _NAME.fullmatch(request.path_params["name"])
    keeping = gateway.keeping
    if named is None or keeping is None:
        return PlainTextResponse("There is no such recording.\n", 404)
    being_written = keeping.recorder.being_written(named[1])
    if being_written is not None:
        done, _ = await asyncio.wait([asyncio.wrap_future(being_written)], timeout=WHOLE_S)
        if not done:
            return PlainTextResponse("The call is not over yet.\n", 503, {"Retry-After": "5"})
    path = keeping.recorder.path(named[1])
    if not path.is_file():
        return PlainTextResponse("There is no such recording any more.\n", 404)
    return FileResponse(path, media_type="audio/flac", headers={"Cache-Control": "private, no-store"})
