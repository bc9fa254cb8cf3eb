"""Errors as OpenAI's API sends them (https://platform.openai.com/docs/guides/error-codes)."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class ApiError(Exception):
    """A request cannot be answered; becomes `{"error": {message, type, param, code}}` with `status`.

    `retry_after` in seconds is sent as the header `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after = retry_after

    def response(self) -> JSONResponse:
        """Return the answer to send."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        error = {"message": self.message, "type": _kind(self.status), "param": self.param, "code": self.code}
        return JSONResponse({"error": error}, status_code=self.status, headers=headers)


def _kind(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Return a 400: the request itself is wrong, and repeating it will not help."""
    return ApiError(400, message, param=param, code=code)


def unknown_model(model: str, known: list[str]) -> ApiError:
    """Return the 404 that OpenAI sends for a model name it does not have."""
    message = f"The model '{model}' does not exist here; this route has: {', '.join(known)}."
    return ApiError(404, message, param="model", code="model_not_found")


async def answer_api_error(_request: Request, error: Exception) -> Response:
    """Answer an `ApiError` (Starlette exception handler)."""
    assert isinstance(error, ApiError)
    return error.response()


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer an unknown route or a wrong method in OpenAI's shape."""
    assert isinstance(error, HTTPException)
    message = f"{error.detail}: {request.method} {request.url.path}"
    return ApiError(
        error.status_code, message, code="not_found" if error.status_code == 404 else None
    ).response()


async def answer_crash(_request: Request, _error: Exception) -> Response:
    """Answer a fault of ours without telling its inside; the server logs the traceback."""
    return ApiError(500, "The embedded provider failed on this request.", code="internal_error").response()
