"""Photos by HTTP: the page behind a link of `uploads.py`, and the file that it sends."""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voicegw.server.gateway import Gateway
from voicegw.server.photos import MOST_BYTES, BadPhoto, too_large
from voicegw.server.uploads import PATH
from voicegw.web.assets import Assets


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


def upload_routes() -> list[Route]:
    """Both."""
    return [
        Route(PATH + "{token}", page, methods=["GET"]),
        Route(PATH + "{token}", upload, methods=["POST"]),
    ]
