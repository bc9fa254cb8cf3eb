"""All settings of a process in one frozen object, read once at start by `load_settings`.

A setting `group.name` is the environment variable `VOICEGW_GROUP__NAME`. Nothing else in voicegw reads the
environment. Which of several values counts is decided by name first and by source second:

1. `--set group.name=value`
2. `VOICEGW_GROUP__NAME`
3. `HOLYSHEEP_API_KEY`, `HOLYSHEEP_BASE_URL`, `MODEL`
4. `OPENAI_API_KEY`, `OPENAI_BASE_URL`
5. the default

For each name the real environment wins over `.env`, and an empty value counts as none. Key and base URL of
3 and 4 are taken together: a key is never paired with the other family's address. For the same reason
`stt`, `llm` and `tts` take the key of `provider` only where they have its host too.
"""

import difflib
import ipaddress
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_origin
from urllib.parse import urlsplit

from dotenv.parser import parse_stream
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from .errors import ConfigError, Stage

HOLYSHEEP_URL = "https://api.holysheep.ai/v1"
OPENAI_URL = "https://api.openai.com/v1"
CARRIER_NAMES = (
    "twilio",
    "telnyx",
    "plivo",
    "vonage",
    "asterisk",
    "audiosocket",
    "jambonz",
    "freeswitch",
)
_STT_MODEL = "whisper-1"
_TTS_MODEL = "tts-1"
_LLM_MODEL = "gemini-2.5-flash"
_OPENAI_LLM_MODEL = "gpt-4.1-mini"


class Group(BaseModel):
    """A group of related settings: frozen, and an unknown name in it is an error."""

    # An input shown in an error would show keys as well.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


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


class TurnSettings(Group):
    """When a caller's turn ends, and when the caller interrupts."""

    pause_ms: int = Field(
        260, ge=60, le=5000, description="pause after which the utterance is transcribed speculatively"
    )
    end_ms: int = Field(900, ge=100, le=10000, description="pause that ends the turn")
    acoustic_end_ms: int = Field(
        1000, ge=100, le=10000, description="pause that ends the turn while no transcript has come"
    )
    min_end_ms: int = Field(400, ge=100, le=10000, description="shortest end_ms that any rule may choose")
    max_end_ms: int = Field(1800, ge=100, le=10000, description="longest end_ms that any rule may choose")
    preroll_ms: int = Field(
        300, ge=0, le=1000, description="audio before the onset that belongs to the utterance"
    )
    barge_in_ms: int = Field(
        560, ge=60, le=3000, description="voice over the agent's speech that counts as an interruption"
    )
    second_stage: Literal["auto", "on", "off"] = Field(
        "auto", description="second voice detector (extra `silero`); auto: where it is installed"
    )
    max_turn_s: float = Field(
        25.0,
        gt=1,
        le=28,
        description="a longer turn is transcribed in pieces of this length (the ear keeps 30 s)",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.min_end_ms <= self.end_ms <= self.max_end_ms:
            raise ValueError(
                "turns.min_end_ms <= turns.end_ms <= turns.max_end_ms must hold, "
                f"they are {self.min_end_ms}, {self.end_ms} and {self.max_end_ms}"
            )
        if self.pause_ms > self.end_ms:
            raise ValueError(
                f"turns.pause_ms ({self.pause_ms}) must not be longer than turns.end_ms ({self.end_ms}): "
                "a turn is transcribed before it ends"
            )
        return self


class LimitSettings(Group):
    """Bounds of one call."""

    max_call_s: float = Field(3600.0, gt=0, description="longest call; the agent says goodbye before it ends")
    idle_s: float = Field(10.0, gt=0, description="silence of the caller after which the agent checks in")
    check_ins: int = Field(2, ge=0, description="check-ins without an answer before the goodbye")
    patience_s: float = Field(8.0, gt=0, description="the caller waits at most this long before an apology")
    failures: int = Field(3, ge=1, description="failed answers in a row before the goodbye")
    history_exchanges: int = Field(
        3, ge=0, description="exchanges (caller turn with its reply) the model is shown"
    )


class PatienceSettings(Group):
    """When a caller who waits hears a filler; `limits.patience_s` says when the answer is given up."""

    first_ms: int = Field(
        1200, ge=300, le=10000, description="earliest first sign after the caller's last word"
    )
    first_max_ms: int = Field(
        2500, ge=300, le=10000, description="latest first sign; between the two, the recent p95 of the wait"
    )
    again_ms: int = Field(3000, ge=500, le=20000, description="silence after a filler until the next sign")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first_ms > self.first_max_ms:
            raise ValueError(
                f"patience.first_ms ({self.first_ms}) must not be more than patience.first_max_ms "
                f"({self.first_max_ms})"
            )
        return self


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


class SpeechCacheSettings(Group):
    """Short sentences of the agent that are kept as audio, so that they need not be made twice."""

    most_mb: float = Field(
        16.0, ge=0, le=1024, description="memory for them in MB (about 500 s of speech); 0 keeps none"
    )


class StoreSettings(Group):
    """Where calls are kept."""

    data_dir: str = Field("data", description="folder of journals and recordings; made when missing")
    record: bool = Field(True, description="record calls (stereo FLAC, caller left, agent right)")
    database_url: str = Field(
        "", repr=False, description="database of call records: postgresql://…; empty: SQLite in `data_dir`"
    )
    keep_days: int = Field(0, ge=0, description="records, recordings, journals are kept so long; 0: for ever")


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
    max_connections: int = Field(
        2000, ge=1, description="TCP connections at once, calls included; one more is closed at once"
    )
    max_late_ms: float = Field(
        20.0, gt=0, description="agent frames later than this (p99 of the last seconds): no further call"
    )
    max_memory_mb: float = Field(
        0.0, ge=0, description="more memory than this: no further call; 0: 90 % of the container's limit"
    )

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


class CarriersSettings(Group):
    """The protocols of telephony bridges, each on a path of its own: docs/carriers/."""

    enabled: tuple[str, ...] = Field(
        (), description="carriers to switch on, separated by commas: twilio, asterisk, … (native always is)"
    )
    public_url: str = Field(
        "", description="address by which carriers reach this gateway; webhooks name it, signatures cover it"
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="addresses or networks whose X-Forwarded-For and X-Forwarded-Host are believed"
    )
    operator_token: str = Field(
        "", repr=False, description="token of those who dial and command calls by REST; empty: nobody may"
    )
    messages_s: int = Field(
        200, ge=10, description="messages a second of one connection, over 10 s; more closes it (1008)"
    )
    idle_s: float = Field(
        60.0,
        ge=0,
        description="a peer that is not pinged is cut after this long without a byte; 0: never",
    )

    @field_validator("enabled")
    @classmethod
    def _are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in CARRIER_NAMES]
        if unknown:
            raise ValueError(f"expected some of {', '.join(CARRIER_NAMES)}")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname):
            raise ValueError("expected an address such as https://voice.example.com")
        return value.rstrip("/")


class PeerSettings(Group):
    """Who may connect as a carrier. All that is set is required of each connection."""

    allow_from: tuple[str, ...] = Field(
        (), description="addresses or networks (203.0.113.0/24) that may connect; empty: all"
    )
    basic: str = Field("", repr=False, description="HTTP Basic credentials that are demanded, user:password")
    bearer: str = Field("", repr=False, description="bearer token that is demanded in Authorization")
    token: str = Field(
        "",
        repr=False,
        description="shared token that is demanded: `token` in the query or among the call's own parameters",
    )

    @field_validator("allow_from")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ValueError(f"{network} is no address and no network") from None
        return value


class TwilioSettings(PeerSettings):
    """Twilio Media Streams at `/twilio`: docs/carriers/twilio.md."""

    auth_token: str = Field(
        "", repr=False, description="account auth token: signatures are then demanded of every request"
    )
    account_sid: str = Field(
        "", description="account (AC…): with `auth_token` calls are hung up and moved by REST"
    )
    api_url: str = Field("https://api.twilio.com", description="Twilio's REST address")


class TelnyxSettings(PeerSettings):
    """Telnyx media streaming at `/telnyx`: docs/carriers/telnyx.md."""

    codec: Literal["PCMU", "PCMA", "L16"] = Field(
        "PCMU", description="`stream_bidirectional_codec`; a custom parameter `codec` of a call wins"
    )
    rate_hz: int = Field(8000, ge=8000, le=48000, description="`stream_bidirectional_sampling_rate`")
    byte_order: Literal["auto", "big", "little"] = Field(
        "auto", description="byte order of L16; auto: what the caller's audio looks like, else big"
    )
    auth_token: str = Field("", repr=False, description="`stream_auth_token`, demanded of every connection")
    api_key: str = Field("", repr=False, description="REST key: calls are then hung up and moved by REST")
    api_url: str = Field("https://api.telnyx.com", description="Telnyx's REST address")


class PlivoSettings(PeerSettings):
    """Plivo audio streams at `/plivo`: docs/carriers/plivo.md."""

    auth_id: str = Field("", description="account: with `auth_token` calls are hung up and moved by REST")
    auth_token: str = Field(
        "", repr=False, description="auth token: signatures (V3) are then demanded of every request"
    )
    signed_streams: bool = Field(
        True, description="false where Plivo does not sign its WebSocket requests: then `token` guards them"
    )
    api_url: str = Field("https://api.plivo.com", description="Plivo's REST address")


class VonageSettings(PeerSettings):
    """Vonage Voice API websockets at `/vonage`: docs/carriers/vonage.md."""

    rate_hz: int = Field(16000, ge=8000, le=24000, description="rate that the answer webhook asks for")
    signature_secret: str = Field(
        "", repr=False, description="account signature secret: a signed JWT is then demanded of every request"
    )
    application_id: str = Field("", description="application: with `private_key` calls are hung up by REST")
    private_key: str = Field("", repr=False, description="file of the application's private key (PEM)")
    api_url: str = Field("https://api.nexmo.com", description="Vonage's REST address")


class AsteriskSettings(PeerSettings):
    """Asterisk chan_websocket at `/asterisk`: docs/carriers/asterisk.md."""

    media_url: str = Field(
        "", description="Asterisk's own media address to dial out to, as ws://asterisk:8088/media"
    )
    bulk: bool = Field(False, description="send each sentence whole in bulk mode, and let Asterisk pace it")
    pings: bool = Field(
        False, description="send WebSocket pings; only to 20.18, 22.8, 23.2 and newer, older ones hang up"
    )


class AudiosocketSettings(PeerSettings):
    """Asterisk AudioSocket, a TCP port of its own: docs/carriers/audiosocket.md."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(9092, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    known_only: bool = Field(
        False, description="refuse calls whose UUID was not registered at `/audiosocket/calls` before"
    )


class JambonzSettings(PeerSettings):
    """jambonz listen and FreeSWITCH mod_audio_fork at `/jambonz`: docs/carriers/jambonz.md."""

    rate_hz: int = Field(
        16000, ge=8000, le=48000, description="rate that the hook asks for, and of agent audio if not told"
    )
    streaming: bool = Field(
        True, description="agent audio as binary messages; else as `playAudio`, sentence by sentence"
    )
    api_key: str = Field("", repr=False, description="REST key: calls are then hung up by REST")
    account_sid: str = Field("", description="jambonz account, for REST")
    api_url: str = Field("", description="jambonz's REST address, as https://jambonz.cloud/api")


class FreeswitchSettings(PeerSettings):
    """FreeSWITCH mod_audio_stream at `/freeswitch`: docs/carriers/freeswitch.md."""

    rate_hz: int = Field(8000, ge=8000, le=48000, description="rate of a stream that does not tell its own")
    binary: bool = Field(
        False, description="agent audio as binary messages (the commercial edition plays them)"
    )


class PersonaSettings(Group):
    """Which agent answers."""

    default: str = Field("support", min_length=1, description="persona of a call that names none")
    folders: tuple[str, ...] = Field((), description="folders with personas of your own, separated by commas")


class Settings(BaseSettings):
    """All settings. Made by `load_settings`; made by hand in tests (`Settings(turns=TurnSettings(…))`)."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    server: ServerSettings = Field(default_factory=ServerSettings)
    turns: TurnSettings = Field(default_factory=TurnSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    patience: PatienceSettings = Field(default_factory=PatienceSettings)
    provider: ProviderSettings = Field(default_factory=ProviderSettings)
    stt: ProviderSettings = Field(default_factory=ProviderSettings)
    llm: ProviderSettings = Field(default_factory=ProviderSettings)
    tts: ProviderSettings = Field(default_factory=ProviderSettings)
    speech_cache: SpeechCacheSettings = Field(default_factory=SpeechCacheSettings)
    persona: PersonaSettings = Field(default_factory=PersonaSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    door: DoorSettings = Field(default_factory=DoorSettings)
    hook: HookSettings = Field(default_factory=HookSettings)
    carriers: CarriersSettings = Field(default_factory=CarriersSettings)
    twilio: TwilioSettings = Field(default_factory=TwilioSettings)
    telnyx: TelnyxSettings = Field(default_factory=TelnyxSettings)
    plivo: PlivoSettings = Field(default_factory=PlivoSettings)
    vonage: VonageSettings = Field(default_factory=VonageSettings)
    asterisk: AsteriskSettings = Field(default_factory=AsteriskSettings)
    audiosocket: AudiosocketSettings = Field(default_factory=AudiosocketSettings)
    jambonz: JambonzSettings = Field(default_factory=JambonzSettings)
    freeswitch: FreeswitchSettings = Field(default_factory=FreeswitchSettings)

    # What `--set` named: it wins over a persona's own settings.
    _overridden: frozenset[str] = PrivateAttr(frozenset())

    @property
    def overridden(self) -> frozenset[str]:
        """The dotted names of the settings that were given by `--set`."""
        return self._overridden

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from `load_settings` only.

        The library's own environment sources let misspelt groups and single underscores pass in silence.
        """
        return (init_settings,)

    def resolved(self, stage: Stage) -> ProviderSettings:
        """Return the complete settings of one stage: its own fields, else those of `provider`, else defaults.

        Key and headers of `provider` go only to the host of `provider`. `provider.model` is the chat model.
        """
        own: ProviderSettings = getattr(self, stage)
        base_url = own.base_url or self._provider_url()
        same_host = urlsplit(base_url).netloc == urlsplit(self._provider_url()).netloc
        inherited = self.provider if same_host else ProviderSettings()
        if stage == "stt":
            model = own.model or _STT_MODEL
        elif stage == "tts":
            model = own.model or _TTS_MODEL
        else:
            usual = _OPENAI_LLM_MODEL if base_url == OPENAI_URL else _LLM_MODEL
            model = own.model or self.provider.model or usual
        return ProviderSettings(
            base_url=base_url,
            api_key=own.api_key or inherited.api_key,
            model=model,
            headers=own.headers or inherited.headers,
            timeout_s=(own if "timeout_s" in own.model_fields_set else self.provider).timeout_s,
            pcm_hz=(own if "pcm_hz" in own.model_fields_set else inherited).pcm_hz,
            stall_s=(own if "stall_s" in own.model_fields_set else self.provider).stall_s,
            hedge=(own if "hedge" in own.model_fields_set else self.provider).hedge,
            **{
                name: getattr(own if name in own.model_fields_set else inherited, name)
                for name in ("plan", "requests_a_minute", "tokens_a_minute", "streams")
            },
        )

    def row(self, stage: Stage) -> tuple[ProviderSettings, ...]:
        """Return the providers of one stage in the order in which they are asked, the first one first.

        A fallback takes what it does not name from the first, but never its key or headers to another host.
        """
        first = self.resolved(stage)
        own: ProviderSettings = getattr(self, stage)
        found = [first]
        for named in own.fallbacks or self.provider.fallbacks:
            base = first.model_dump()
            host = urlsplit(named.get("base_url", first.base_url)).netloc
            if host != urlsplit(first.base_url).netloc:
                base |= {"api_key": "", "headers": {}, "plan": "", "requests_a_minute": 0}
                base |= {"tokens_a_minute": 0, "streams": 0}
            found.append(ProviderSettings.model_validate({**base, **named, "fallbacks": ()}))
        return tuple(found)

    def _provider_url(self) -> str:
        return self.provider.base_url or HOLYSHEEP_URL


@dataclass(frozen=True, slots=True)
class _Value:
    """A value with the name and the place it came from."""

    text: str
    name: str
    source: str


def load_settings(
    env: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
    overrides: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings from `env` (None: the process's environment), the file `dotenv` and `overrides`.

    `overrides` has dotted names ("turns.pause_ms"). A missing file is no error. Raises ConfigError that
    names every wrong variable, where it stands and what was expected; it never holds a key.
    """
    found = dict(_read_dotenv(dotenv)) if dotenv is not None else {}
    for name, text in (os.environ if env is None else env).items():
        if text:
            found[name] = _Value(text, name, "environment")
    problems = [_unknown(value) for name, value in found.items() if _looks_ours(name) and name not in _NAMES]
    chosen = _well_known(found)
    chosen |= {_NAMES[name]: value for name, value in found.items() if name in _NAMES}
    for dotted, text in (overrides or {}).items():
        if dotted in _NAMES.values():
            chosen[dotted] = _Value(text, dotted, "--set")
        else:
            problems.append(_misspelt(dotted, "--set", _NAMES.values()))
    groups: dict[str, dict[str, Any]] = {}
    for dotted, value in chosen.items():
        group, _, name = dotted.partition(".")
        try:
            groups.setdefault(group, {})[name] = _parsed(dotted, value.text)
        except ValueError as error:
            problems.append(f"{value.name} ({value.source}): {error}")
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(groups)
    except ValidationError as error:
        problems += [
            _explained(detail, chosen) for detail in error.errors(include_input=False, include_url=False)
        ]
    if problems or settings is None:
        raise ConfigError("\n".join(problems))
    settings._overridden = frozenset(overrides or {})
    return settings


def setting_fields() -> dict[str, FieldInfo]:
    """Return every setting by its dotted name, in order, as pydantic's FieldInfo."""
    fields: dict[str, FieldInfo] = {}
    for group, info in Settings.model_fields.items():
        assert isinstance(info.annotation, type)
        assert issubclass(info.annotation, Group)
        fields |= {f"{group}.{name}": field for name, field in info.annotation.model_fields.items()}
    return fields


def settings_tables() -> str:
    """Return every setting as Markdown tables, one for each group, as docs/configuration.md has them."""
    blocks: list[str] = []
    for group, info in Settings.model_fields.items():
        assert isinstance(info.annotation, type)
        meaning = " ".join((info.annotation.__doc__ or "").split())
        rows = [f"### `{group}`", "", meaning, ""]
        if group in ("stt", "llm", "tts"):
            rows[2] = f"As `provider`, for this stage alone: `VOICEGW_{group.upper()}__BASE_URL` and so on."
            blocks.append("\n".join(rows))
            continue
        rows += ["| variable | default | limits | meaning |", "|---|---|---|---|"]
        for dotted, field in setting_fields().items():
            if dotted.startswith(f"{group}."):
                default = field.get_default(call_default_factory=True)
                shown = f"`{default}`" if default not in ("", (), {}) else ""
                rows.append(
                    f"| `{variable_name(dotted)}` | {shown} | {_limits(field)} | {field.description} |"
                )
        blocks.append("\n".join([*rows, ""]))
    return "\n".join(blocks)


def _limits(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(rule, name):g}"
        for rule in field.metadata
        for name, sign in signs.items()
        if hasattr(rule, name)
    ]
    return ", ".join(found)


def variable_name(dotted: str) -> str:
    """Return the environment variable of a dotted name: "turns.pause_ms" is VOICEGW_TURNS__PAUSE_MS."""
    group, _, name = dotted.partition(".")
    return f"VOICEGW_{group}__{name}".upper()


def _looks_ours(name: str) -> bool:
    return name.upper().startswith("VOICEGW")


def _read_dotenv(path: Path) -> Iterable[tuple[str, _Value]]:
    try:
        with path.open(encoding="utf-8") as file:
            bindings = list(parse_stream(file))
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {type(error).__name__}") from error
    for binding in bindings:
        # The parser gives a statement together with the blank lines before it.
        blank = len(binding.original.string) - len(binding.original.string.lstrip())
        line = binding.original.line + binding.original.string[:blank].count("\n")
        if binding.error:
            raise ConfigError(f"{path} line {line}: expected NAME=value")
        if binding.key is not None and binding.value:
            yield binding.key, _Value(binding.value, binding.key, f"{path} line {line}")


def _well_known(found: Mapping[str, _Value]) -> dict[str, _Value]:
    """Choose between the names of HolySheep and OpenAI, key and base URL together."""
    chosen: dict[str, _Value] = {}
    for key_name, url_name, url in (
        ("HOLYSHEEP_API_KEY", "HOLYSHEEP_BASE_URL", HOLYSHEEP_URL),
        ("OPENAI_API_KEY", "OPENAI_BASE_URL", OPENAI_URL),
    ):
        if key_name in found:
            chosen["provider.api_key"] = found[key_name]
            chosen["provider.base_url"] = found.get(url_name, _Value(url, url_name, "default"))
            break
    else:
        for url_name in ("HOLYSHEEP_BASE_URL", "OPENAI_BASE_URL"):
            if url_name in found:
                chosen["provider.base_url"] = found[url_name]
                break
    if "MODEL" in found:
        chosen["provider.model"] = found["MODEL"]
    return chosen


def _unknown(value: _Value) -> str:
    return _misspelt(value.name, value.source, _NAMES)


def _misspelt(name: str, source: str, known: Iterable[str]) -> str:
    """Say that `name` is none of the `known` names, and which one was probably meant."""
    same_case = {candidate.upper(): candidate for candidate in known}
    meant = name.upper()
    # A wrong group with a right field is told by its field; a near name elsewhere would be a bad guess.
    close = difflib.get_close_matches(meant, list(same_case), n=3, cutoff=0.75)
    field = re.split(r"__|\.", meant)[-1]
    close.sort(key=lambda candidate: not candidate.endswith(field))
    hint = f"did you mean {same_case[close[0]]}?" if close else "docs/configuration.md lists all settings"
    return f"{name} ({source}): no such setting; {hint}"


def _parsed(dotted: str, text: str) -> Any:
    """Turn a text into what its field takes: JSON for headers, a list for folders, else the text itself."""
    if dotted.endswith(".headers"):
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ValueError('expected JSON such as {"X-Title": "My shop"}')
        return value
    if dotted.endswith(".fallbacks"):
        try:
            listed = json.loads(text)
        except ValueError:
            listed = None
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise ValueError('expected JSON such as [{"base_url": "https://…/v1", "api_key": "…"}]')
        return tuple({name: str(value) for name, value in each.items()} for each in listed)
    if get_origin(setting_fields()[dotted].annotation) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _explained(detail: Mapping[str, Any], chosen: Mapping[str, _Value]) -> str:
    """Say one pydantic error in the user's words; only values that are no secret are quoted."""
    location = [str(part) for part in detail["loc"]]
    message = str(detail["msg"]).removeprefix("Value error, ")
    message = message.replace("Input should be", "expected", 1).replace("a valid integer", "a whole number")
    message = message.partition(", unable to parse")[0]
    value = chosen.get(".".join(location[:2]))
    if value is None:
        # A rule between several settings: say where each value that was given comes from.
        given = [v for dotted, v in chosen.items() if dotted.startswith(f"{location[0]}.")]
        where = ", ".join(f"{v.name} ({v.source})" for v in given if f"{_dotted(v)}" in message)
        return f"{where}: {message}" if where else message
    field = setting_fields().get(".".join(location[:2]))
    secret = location[-1] == "base_url" or (field is not None and field.repr is False)
    return f"{value.name} ({value.source}): {message}" + ("" if secret else f", got {value.text!r}")


def _dotted(value: _Value) -> str:
    return _NAMES.get(value.name, value.name)


_NAMES = {variable_name(dotted): dotted for dotted in setting_fields()}
