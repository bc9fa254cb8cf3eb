"""From what the client and the seam raise to one ProviderError, and back-off hints read from an answer.

| what happened | code | retryable |
|---|---|---|
| no connection, or broken before the head of the answer | `ConnectionFailed.code`: `dns`, `tls`, … | yes |
| connection broken inside the answer | `broken` | yes |
| nothing came within the deadline | `timeout` | yes |
| an error status | the provider's own code, else `http_503` … | see `_is_retryable`; never without money |
| a redirect | `redirect` | no |
| an error event in a stream | the provider's own code, else `stream_error` | yes, unless its status says no |
| an answer that is not what was asked for | `bad_answer` | no |
| no text and no tool call in a whole stream | `empty_answer` | yes |
"""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from voicegw.errors import ProviderError, Stage
from voicegw.providers.http import ConnectionFailed

_RETRYABLE = frozenset({408, 409, 425, 429})
# Waiting does not bring back money: these come with a retryable status, and are not.
_PAY_FIRST = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,63}\Z")
# Long enough for an explanation, short enough for a log line.
_MAX_MESSAGE = 300


class Failures:
    """Makes the ProviderErrors of one provider at one stage; has the key only to keep it out of messages."""

    def __init__(self, stage: Stage, base_url: str, api_key: str) -> None:
        self.stage: Stage = stage
        self.provider = urlsplit(base_url).netloc.rpartition("@")[2] or base_url
        self._api_key = api_key

    def error(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> ProviderError:
        """Make one error; the key is cut out of `message`, which may quote the provider's own words."""
        if len(self._api_key) >= 4:
            message = message.replace(self._api_key, "***")
        message = " ".join(message.split())
        if len(message) > _MAX_MESSAGE:
            message = message[:_MAX_MESSAGE] + "…"
        return ProviderError(
            self.stage, self.provider, code, message,
            status=status, retryable=retryable, retry_after=retry_after, request_id=request_id,
        )  # fmt: skip

    def timeout(self, timeout_s: float, request_id: str | None = None) -> ProviderError:
        """Nothing came within `timeout_s` seconds."""
        return self.error(
            "timeout", f"nothing came within {timeout_s:g} s", retryable=True, request_id=request_id
        )

    def broken(self, error: Exception, request_id: str | None = None) -> ProviderError:
        """The connection broke inside the answer."""
        return self.error("broken", f"the answer broke off ({error})", retryable=True, request_id=request_id)

    def cut_short(self, message: str, request_id: str | None = None) -> ProviderError:
        """The answer ended in good order, but it cannot be all."""
        return self.error("cut_short", message, retryable=True, request_id=request_id)

    def bad_answer(self, message: str, request_id: str | None = None) -> ProviderError:
        """The provider answered with something else than what was asked for."""
        return self.error("bad_answer", message, request_id=request_id)

    def from_exception(self, error: Exception) -> ProviderError:
        """Translate what the client raised while the request was sent and the head of the answer awaited."""
        if isinstance(error, openai.APIStatusError):
            return self._from_status(error)
        if isinstance(error, openai.APIConnectionError | httpx2.TransportError | ConnectionFailed):
            cause = error.__cause__ or error
            return self.error(_connection_code(error), f"no connection ({cause})", retryable=True)
        return self.error("bad_request", f"the request could not be made ({type(error).__name__}: {error})")

    def from_event(self, event: Mapping[str, Any], request_id: str | None = None) -> ProviderError:
        """Translate an error object that came inside a stream with status 200, or as a body of its own."""
        detail = event.get("error", event)
        if not isinstance(detail, Mapping):
            detail = {"message": str(detail)}
        raw = detail.get("code")
        # OpenRouter and LiteLLM put the upstream's status into `code`.
        status = raw if isinstance(raw, int) and not isinstance(raw, bool) else None
        if isinstance(raw, str) and raw.isdigit():
            status = int(raw)
        code = _word(raw) or _word(detail.get("type")) or "stream_error"
        message = str(detail.get("message") or "the provider broke off with an error")
        return self.error(
            code,
            message,
            status=status,
            retryable=code not in _PAY_FIRST and (status is None or _is_retryable(status)),
            request_id=request_id,
        )

    def _from_status(self, error: openai.APIStatusError) -> ProviderError:
        status = error.status_code
        headers = error.response.headers
        request_id = headers.get("x-request-id")
        if 300 <= status < 400:
            where = urlsplit(headers.get("location", "")).netloc or "another path"
            return self.error(
                "redirect",
                f"redirects to {where}; redirects are not followed, set the base URL to the final address",
                status=status,
                request_id=request_id,
            )
        detail = error.body if isinstance(error.body, Mapping) else {}
        detail = detail.get("error", detail)
        if not isinstance(detail, Mapping):
            detail = {"message": str(detail)}
        code = _word(detail.get("code")) or f"http_{status}"
        kind = _word(detail.get("type"))
        message = detail.get("message") or detail.get("detail")
        if not message:
            # HTML and other prose is left out: it is long, and says less than the status.
            plain = isinstance(error.body, str) and not error.body.lstrip().startswith("<")
            message = error.body if plain and error.body else error.response.reason_phrase or "no explanation"
        return self.error(
            code,
            str(message),
            status=status,
            retryable=_is_retryable(status) and code not in _PAY_FIRST and kind not in _PAY_FIRST,
            retry_after=retry_after_s(headers),
            request_id=request_id,
        )


def _connection_code(error: BaseException) -> str:
    """What the seam said, below what the client has put around it."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, ConnectionFailed):
        found = found.__cause__
    return found.code if found is not None else "connection"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that a provider asks to wait: `retry-after-ms` or `Retry-After` (RFC 9110 section 10.2.3).

    LiteLLM hands the upstream's own on as `llm_provider-retry-after`.
    """
    milliseconds = headers.get("retry-after-ms", "")
    try:
        return max(0.0, float(milliseconds) / 1000)
    except ValueError:
        pass  # absent or no number: the standard header may still say it
    value = (headers.get("retry-after") or headers.get("llm_provider-retry-after") or "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    # "nan" and "inf" parse as floats and mean nothing.
    return max(0.0, seconds) if seconds < 1e9 else None


def _is_retryable(status: int) -> bool:
    return status in _RETRYABLE or (status >= 500 and status != 501)


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _CODE.match(value) else None
