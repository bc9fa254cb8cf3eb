"""The softphone's routes: its page at `/`, its files, the personas it offers, the callers it can play."""

import json
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from voicegw import __version__
from voicegw.agents.personas import Persona
from voicegw.carriers.native_events import PROTOCOL_VERSION
from voicegw.web.assets import Assets, read_asset

HERE = Path(__file__).parent


def static_files() -> Assets:
    """Read the softphone's files."""
    return Assets(HERE / "static")


def softphone_routes(
    assets: Assets, personas: Mapping[str, Persona], default: str, *, locked: bool
) -> list[Route]:
    """Return the routes. `default` is the persona of a call that names none; `locked`: a token is needed."""
    offered = {
        "version": __version__,
        "protocol": PROTOCOL_VERSION,
        "default": default,
        "locked": locked,
        "personas": [
            {"name": name, "language": p.call.language, "greeting": p.call.phrases.greeting}
            for name, p in personas.items()
        ],
    }
    samples = json.loads((HERE / "samples" / "samples.json").read_text(encoding="utf-8"))
    recordings = {sample["file"]: read_asset(HERE / "samples" / sample["file"]) for sample in samples}

    async def list_personas(request: Request) -> Response:
        return JSONResponse(offered, headers={"Cache-Control": "no-cache"})

    async def list_samples(request: Request) -> Response:
        return JSONResponse(samples, headers={"Cache-Control": "no-cache"})

    async def sample(request: Request) -> Response:
        asset = recordings.get(request.path_params["file"])
        if asset is None:
            return PlainTextResponse("There is no such sample caller.\n", status_code=404)
        headers = {"Cache-Control": "public, max-age=86400"}
        return Response(asset.data, media_type=asset.media_type, headers=headers)

    return [
        Route("/", assets.index),
        Route("/assets/{digest}/{name:path}", assets.file),
        Route("/api/personas", list_personas),
        Route("/api/samples", list_samples),
        Route("/samples/{file}", sample),
    ]
