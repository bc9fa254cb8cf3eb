"""What can go wrong, cut by what one can do about it.

    VoicegwError
    ├── ConfigError     a setting, persona or file is wrong: fix it and start again
    ├── CarrierError    the other end of the call's socket broke its protocol: ends at most its own call
    ├── ProviderError   an upstream service (STT, LLM, TTS) failed: the call goes on, the caller hears why
    ├── StoreError      the database has something against it: records wait in the spool
    └── GatewayFull     no room for another call: come back later

Inside a call a failure is an event, not an exception: `call/` never raises these.
"""

from typing import Literal

Stage = Literal["stt", "llm", "tts"]


class VoicegwError(Exception):
    """Base of all errors that voicegw raises on purpose."""


class ConfigError(VoicegwError):
    """A setting is missing or wrong. The message names it, its source and what to do."""


class CarrierError(VoicegwError):
    """A message from a carrier could not be understood.

    `fatal` ends the connection with `close_code` (RFC 6455 section 7.4); otherwise the message is skipped
    and the peer is told.
    """

    def __init__(
        self, code: str, message: str, hint: str = "", *, fatal: bool = False, close_code: int = 1008
    ):
        super().__init__(f"{message} {hint}".strip())
        self.code = code
        self.message = message
        self.hint = hint
        self.fatal = fatal
        self.close_code = close_code


class ProviderError(VoicegwError):
    """A request to a provider failed.

    `code` is a short word for what happened: the provider's own error code where it sent one, else
    `timeout`, `dns`, `tls`, `refused`, `http_503`, `bad_answer`, … `retry_after` is in seconds. Within a call
    each is a `ProviderFailed` event; the timeline tells what the caller heard for it (`Failure.heard`).
    """

    def __init__(
        self,
        stage: Stage,
        provider: str,
        code: str,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        request_id: str | None = None,
    ):
        super().__init__(f"{stage} at {provider}: {message}" + (f" (HTTP {status})" if status else ""))
        self.stage = stage
        self.provider = provider
        self.code = code
        self.message = message
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.request_id = request_id


class StoreError(VoicegwError):
    """The database did not do what was asked; `lost` when it could not be reached."""

    def __init__(self, message: str, *, lost: bool = False):
        super().__init__(f"the database of call records: {message}")
        self.lost = lost


class GatewayFull(VoicegwError):
    """The gateway takes no more calls now; `retry_after` says in seconds when to ask again.

    `limit` is a word for what is short: `calls`, `lateness`, `memory`, `quota`, `draining`, or `""` when
    another gateway said so.
    """

    def __init__(self, message: str, retry_after: int = 5, *, limit: str = ""):
        super().__init__(message)
        self.retry_after = retry_after
        self.limit = limit
