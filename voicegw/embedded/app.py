"""The embedded provider's routes, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voicegw.embedded import chat, speech, transcription
from voicegw.embedded.errors import ApiError, answer_api_error, answer_crash, answer_http_error, unknown_model
from voicegw.embedded.recogniser import Recogniser
from voicegw.embedded.synthesis import Synthesiser

MODELS = [*transcription.MODELS, *chat.MODELS, *speech.MODELS]


def create_app(recogniser: Recogniser, synthesiser: Synthesiser) -> Starlette:
    """Return the ASGI application; its lifespan starts and ends the recogniser and ends the synthesiser."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with recogniser:
            try:
                yield
            finally:
                synthesiser.close()

    app = Starlette(
        routes=[
            Route("/healthz", _health),
            Route("/v1/models", _models),
            Route("/v1/models/{model}", _model),
            Route("/v1/audio/transcriptions", transcription.create_transcription, methods=["POST"]),
            Route("/v1/audio/speech", speech.create_speech, methods=["POST"]),
            Route("/v1/chat/completions", chat.create_completion, methods=["POST"]),
        ],
        exception_handlers={
            ApiError: answer_api_error,
            HTTPException: answer_http_error,
            ClientDisconnect: _answer_nobody,
            Exception: answer_crash,
        },
        lifespan=lifespan,
    )
    app.state.recogniser = recogniser
    app.state.synthesiser = synthesiser
    return app


async def _health(request: Request) -> Response:
    """Tell how many recognition processes are ready and what is going on."""
    recogniser: Recogniser = request.app.state.recogniser
    synthesiser: Synthesiser = request.app.state.synthesiser
    return JSONResponse(
        {
            "status": "ok",
            "recognition": {"ready": recogniser.ready_workers, "waiting": recogniser.waiting},
            "speech": {
                "active": synthesiser.active,
                "sentences": synthesiser.sentences_spoken,
                "cancelled": synthesiser.cancelled,
            },
        }
    )


async def _models(_request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [_described(model) for model in MODELS]})


async def _model(request: Request) -> Response:
    model = request.path_params["model"]
    if model not in MODELS:
        raise unknown_model(model, MODELS)
    return JSONResponse(_described(model))


def _described(model: str) -> dict[str, object]:
    return {"id": model, "object": "model", "created": 0, "owned_by": "voicegw-embedded"}


async def _answer_nobody(_request: Request, _error: Exception) -> Response:
    """End a request whose client has gone; 499 is seen by no one."""
    return Response(status_code=499)
