"""Photos by HTTP: a link that works once, for a caller who has a browser at hand.

The link is all the authority: it is unguessable, ends after ten minutes and with the call.
"""

import asyncio
import secrets
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voicegw.server.photos import MOST_BYTES, BadPhoto, Photos, too_large
from voicegw.web.assets import Assets

if TYPE_CHECKING:
    from voicegw.server.gateway import Gateway

LINK_S = 600.0
PATH = "/v1/photos/"
MOST_LINKS = 10_000


class Uploads:
    """The links of a process."""

    def __init__(self) -> None:
        self._links: dict[str, tuple[Photos, float]] = {}

    def link(self, photos: Photos) -> str:
        """Return the path of a new link for the photos of a call."""
        now = asyncio.get_running_loop().time()
        self._links = {token: found for token, found in self._links.items() if found[1] > now}
        if len(self._links) >= MOST_LINKS:
            self._links.pop(next(iter(self._links)))
        token = secrets.token_urlsafe(18)
        self._links[token] = (photos, now + LINK_S)
        return PATH + token

    def forget(self, photos: Photos) -> None:
        """The call is over: its links lead nowhere."""
        self._links = {token: found for token, found in self._links.items() if found[0] is not photos}

    def open(self, token: str) -> bool:
        """True while a photo may be sent under this link."""
        found = self._links.get(token)
        return found is not None and found[1] > asyncio.get_running_loop().time()

    def take(self, token: str) -> Photos | None:
        """Return where the photo goes, and use the link up; None when it is not good any more."""
        if not self.open(token):
            return None
        return self._links.pop(token)[0]

    def give_back(self, token: str, photos: Photos) -> None:
        """The photo was not good: the caller may try again."""
        self._links[token] = (photos, asyncio.get_running_loop().time() + LINK_S)


async def page(request: Request) -> Response:
    """A page that takes the photo, or says that the link is used up."""
    gateway: Gateway = request.app.state.gateway
    assets: Assets = request.app.state.assets
    answer = assets.page(request, "upload.html")
    if not gateway.uploads.open(request.path_params["token"]):
        answer.status_code = 404
    # Whether the link still holds is not in the page's tag.
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def upload(request: Request) -> Response:
    """Take one photo: the body is the file itself. `?text=` is what the caller asks about it."""
    gateway: Gateway = request.app.state.gateway
    token = request.path_params["token"]
    photos = gateway.uploads.take(token)
    if photos is None:
        return _error(404, "unknown_link", "This link is not good any more.", "Ask for a new one.")
    try:
        path = photos.new_file()
        size = 0
        try:
            with path.open("ab") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > MOST_BYTES:
                        raise too_large()
                    file.write(chunk)
        except (BadPhoto, ClientDisconnect):
            path.unlink(missing_ok=True)
            raise
        await photos.add(path, request.query_params.get("text", "")[:4000])
    except BadPhoto as error:
        gateway.uploads.give_back(token, photos)
        return _error(413 if error.code == "photo_too_large" else 415, error.code, str(error), error.hint)
    except ClientDisconnect:
        gateway.uploads.give_back(token, photos)
        return Response(status_code=499)
    except OSError:
        return _error(507, "photo_not_kept", "The photo cannot be kept.", "Try again later.")
    return JSONResponse({"status": "ok"})


def _error(status: int, code: str, message: str, hint: str) -> Response:
    return JSONResponse({"code": code, "message": message, "hint": hint}, status_code=status)


ROUTES = [
    Route(PATH + "{token}", page, methods=["GET"]),
    Route(PATH + "{token}", upload, methods=["POST"]),
]
