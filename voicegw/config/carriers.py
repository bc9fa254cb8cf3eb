"""Settings of the telephony bridges: one group each, and what is the same for all."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from voicegw.config.group import Group, networks

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
        "",
        repr=False,
        description="token of those who dial and command calls by REST where `door.secret` is not set (else "
        "tokens of scope operate); empty: nobody may",
    )
    messages_s: int = Field(
        200, ge=10, description="messages a second of one connection, over 10 s; more closes it (1008)"
    )
    wrong_messages_s: int = Field(
        10, ge=1, description="wrong ones among them a second, over 10 s; more closes it (1008)"
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

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return networks(value)

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
        return networks(value)


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
