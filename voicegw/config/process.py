"""Settings of the process: its port, who may come in, what is kept, what is told."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from voicegw.config.group import Group, networks


class ServerSettings(Group):
    """The process and its port."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    max_calls: int = Field(500, ge=1, description="calls at once; one more gets HTTP 503 before the upgrade")
    start_wait_ms: int = Field(
        500, ge=0, description="a call begins this long after the connection without `start` or audio"
    )
    handshake_s: float = Field(10.0, gt=0, description="a WebSocket handshake must be complete within this")
    resume_grace_s: float = Field(30.0, ge=0, description="a call outlives its socket by this")
    tls_cert: str = Field("", description="file of the certificate chain (PEM): the port speaks TLS itself")
    tls_key: str = Field("", description="file of its private key (PEM)")
    link_s: float = Field(900.0, gt=0, description="links to recordings hold this long")
    drain_s: float = Field(300.0, ge=0, description="after SIGTERM running calls have this long to finish")


class StoreSettings(Group):
    """Where calls are kept."""

    data_dir: str = Field("data", description="folder of journals and recordings; made when missing")
    record: bool = Field(True, description="record calls (stereo FLAC, caller left, agent right)")
    bundles: bool = Field(
        False, description="keep each call as a bundle too: recording, journal, providers' answers, settings"
    )
    bundle_mb: int = Field(50, ge=1, description="providers' answers of one call that are kept at most")
    database_url: str = Field(
        "", repr=False, description="database of call records: postgresql://…; empty: SQLite in `data_dir`"
    )
    keep_days: int = Field(0, ge=0, description="records, recordings, journals are kept so long; 0: for ever")


class VerdictSettings(Group):
    """From where on a figure makes a call fair, and from where on poor ("2000,3500"): docs/replay.md."""

    gap_p95_ms: tuple[int, int] = Field((2000, 3500), description="the slowest answers (p95)")
    longest_wait_ms: tuple[int, int] = Field((2500, 4000), description="longest wait without any sound")
    cut_offs: tuple[int, int] = Field((1, 2), description="how often the caller was cut off")
    barge_in_stop_ms: tuple[int, int] = Field((600, 1200), description="the agent stops after a voice")
    false_interruptions: tuple[int, int] = Field((1, 3), description="how often it stopped for nothing")
    word_error_rate: tuple[float, float] = Field((0.25, 0.5), description="where the words are known")
    apologies: tuple[int, int] = Field((1, 2), description="prepared phrases in place of answers")
    clipped_ppm: tuple[int, int] = Field((1000, 10_000), description="samples at the edge, in a million")

    @field_validator("*")
    @classmethod
    def _is_in_order(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] <= value[1]:
            raise ValueError("expected two numbers, the second one not below the first")
        return value


class JudgeSettings(Group):
    """Who judges the answers of replayed calls: docs/replay.md."""

    model: str = Field("", description="a model of the `llm` provider; empty: such expectations are skipped")


class DoorSettings(Group):
    """Who may call, and when one more call is too many: docs/security.md."""

    secret: str = Field("", repr=False, description="signs tokens and links; set: callers need a token")
    audience: str = Field("voicegw", min_length=1, description="for whom tokens are made")
    open_to_anyone: bool = Field(
        False, description="listen to other machines without a secret: anyone may call at your expense"
    )
    origins: tuple[str, ...] = Field(
        (), description="web pages that may call (https://shop.example), beside the gateway's own"
    )
    calls_per_address: int = Field(0, ge=0, description="connections of one address at once; 0: no limit")
    calls_per_token: int = Field(0, ge=0, description="connections of one token at once; 0: no limit")
    failures_per_minute: int = Field(
        30, ge=0, description="refused attempts of one address before it has to wait; 0: no limit"
    )
    connections_s: float = Field(
        50.0, ge=0, description="new connections a second of one address (IPv6: of one /64); 0: no limit"
    )
    connections_burst: int = Field(
        1000, ge=1, description="so many at once, as after a restart, when all calls of a bridge come back"
    )
    offences_per_minute: int = Field(
        10,
        ge=0,
        description="connections of one address that were cut for what they sent, before it is shut out "
        "(10 s, then twice as long each time, at most 10 minutes); 0: never",
    )
    unlimited_from: tuple[str, ...] = Field(
        (),
        description="addresses or networks of bridges without these limits (those of "
        "`carriers.trusted_proxies` have none: each of their callers does)",
    )
    max_connections: int = Field(
        2000, ge=1, description="TCP connections at once, calls included; one more is closed at once"
    )
    max_late_ms: float = Field(
        20.0, gt=0, description="agent frames later than this (p99 of the last seconds): no further call"
    )
    max_memory_mb: float = Field(
        0.0, ge=0, description="more memory than this: no further call; 0: 90 % of the container's limit"
    )

    @field_validator("unlimited_from")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return networks(value)

    @field_validator("secret")
    @classmethod
    def _is_secret(cls, value: str) -> str:
        if value and len(value) < 32:
            raise ValueError("expected at least 32 characters; voicegw token --new-secret makes one")
        return value


class HookSettings(Group):
    """The webhook after each call, for a CRM: docs/records.md."""

    url: str = Field("", description="where the record of a call is posted when it is over; empty: nowhere")
    secret: str = Field("", repr=False, description="signs the webhook (HMAC-SHA256)")
    keep_h: int = Field(24, ge=1, description="hours in which it is tried again")
    allow_private: bool = Field(False, description="the receiver may be at a private address")

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("expected an address such as https://crm.example.com/calls")
        return value


class LogSettings(Group):
    """Log lines; never a secret or a caller's word in them."""

    level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    format: Literal["text", "json"] = Field("text", description="lines for people, or JSON for programs")
    traces: str = Field(
        "", description="OTLP endpoint of traces (http://collector:4318/v1/traces); empty: none; extra otel"
    )

    @field_validator("level")
    @classmethod
    def _is_level(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("expected DEBUG, INFO, WARNING or ERROR")
        return value.upper()
