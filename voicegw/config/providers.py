"""Settings of an upstream service, and the services that are known by name."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from voicegw.config.group import Group

HOLYSHEEP_URL = "https://api.holysheep.ai/v1"
OPENAI_URL = "https://api.openai.com/v1"


class CostSettings(Group):
    """What calls cost: docs/costs.md."""

    prices: str = Field(
        "", description="TOML file of prices that go before the package's (providers/prices.toml)"
    )


class ProviderSettings(Group):
    """One upstream service. Empty fields of `stt`, `llm` and `tts` are taken from `provider`."""

    base_url: str = Field("", description="OpenAI-compatible base URL, usually ending in /v1")
    api_key: str = Field("", repr=False, description="key; never printed")
    model: str = Field(
        "", description="model name as the provider knows it (`provider.model` is the chat model)"
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        repr=False,
        description="extra headers as JSON (HTTP-Referer, X-Title); never printed",
    )
    timeout_s: float = Field(
        10.0, gt=0, description="first byte of an answer, and each further one, within this"
    )
    pcm_hz: int = Field(
        24000, ge=8000, le=48000, description="rate of raw pcm speech from this provider (OpenAI: 24,000)"
    )
    stall_s: float = Field(
        2.5, gt=0, description="a stream that brings nothing for this long is broken, and is asked for again"
    )
    plan: Literal["", "free", "pro"] = Field("", description="free: 60 requests a minute; pro: 500")
    requests_a_minute: int = Field(
        0, ge=0, description="requests a minute of the key; 0: as `plan`, or no limit"
    )
    tokens_a_minute: int = Field(0, ge=0, description="tokens a minute of the key; 0: no limit")
    streams: int = Field(0, ge=0, description="requests at once of the key; 0: no limit")
    hedge: bool = Field(
        False, description="ask a second time when the first answer is later than usual; costs requests"
    )
    fallbacks: tuple[dict[str, str], ...] = Field(
        (),
        repr=False,
        description="asked in this order when the first fails, as JSON: "
        '[{"base_url": "…", "api_key": "…", "model": "…"}, …]; never printed',
    )

    @field_validator("fallbacks")
    @classmethod
    def _are_providers(cls, value: tuple[dict[str, str], ...]) -> tuple[dict[str, str], ...]:
        for number, named in enumerate(value, start=1):
            if unknown := named.keys() - (cls.model_fields.keys() - {"fallbacks", "headers"}):
                raise ValueError(f"fallback {number}: no such field: {', '.join(sorted(unknown))}")
            cls.model_validate(named)
        return value

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected an address such as https://api.example.com/v1")
        if "@" in parts.netloc:
            raise ValueError("expected an address without user or password; the key has a setting of its own")
        if parts.query or parts.fragment:
            raise ValueError("expected an address without ? and #")
        return value.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _is_key(cls, value: str) -> str:
        value = value.strip()
        if not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError("expected a key without spaces and special characters; was it copied whole?")
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not name.isascii() or not name.replace("-", "").isalnum() or not text.isprintable():
                raise ValueError(
                    "expected header names of letters, digits and dashes, and values on one line"
                )
        return value
