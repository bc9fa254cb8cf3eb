"""What all routes do with a request: read it, check its model, notice that the client has gone."""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from voicegw.embedded.errors import ApiError, invalid, unknown_model

# Far more than a long conversation; pictures are not looked at.
_MAX_JSON = 32 * 1024 * 1024

T = TypeVar("T")


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body. Raises `ApiError` 400 or 413."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_JSON:
            raise ApiError(413, f"The request is larger than {_MAX_JSON} bytes.")
    try:
        value = json.loads(body)
    except ValueError as error:
        raise invalid("The body is not JSON.") from error
    if not isinstance(value, dict):
        raise invalid("The body must be a JSON object.")
    return value


def known_model(model: object, known: Sequence[str]) -> str:
    """Return the model's name if this route has it. Raises `ApiError` 400 or 404."""
    if not isinstance(model, str) or not model:
        raise invalid("`model` is missing.", "model")
    if model not in known:
        raise unknown_model(model, list(known))
    return model


async def until_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns, but cancel it as soon as the client has gone.

    The body must have been read. Raises `ClientDisconnect` when the client went first.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
