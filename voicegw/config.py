"""All settings of a process in one frozen object, read once at start.

A setting `group.name` is the environment variable `VOICEGW_GROUP__NAME`; the real environment wins over
`.env`. Nothing else in voicegw reads the environment.
"""

from pydantic import BaseModel, ConfigDict, Field


class Group(BaseModel):
    """A group of related settings: frozen, and an unknown name in it is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSettings(Group):
    """The process and its port."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    max_calls: int = Field(500, ge=1, description="calls at once; one more gets HTTP 503 before the upgrade")
    start_wait_ms: int = Field(500, ge=0, description="a call begins this long after the connection without `start` or audio")
    handshake_s: float = Field(10.0, gt=0, description="a WebSocket handshake must be complete within this")
    resume_grace_s: float = Field(30.0, ge=0, description="a call outlives its socket by this")
    drain_s: float = Field(300.0, ge=0, description="after SIGTERM running calls have this long to finish")


class TurnSettings(Group):
    """When a caller's turn ends, and when the caller interrupts."""

    pause_ms: int = Field(300, ge=60, le=5000, description="pause after which the utterance is transcribed speculatively")
    end_ms: int = Field(700, ge=100, le=10000, description="pause that ends the turn")
    min_end_ms: int = Field(400, ge=100, le=10000, description="shortest end_ms that any rule may choose")
    max_end_ms: int = Field(1800, ge=100, le=10000, description="longest end_ms that any rule may choose")
    preroll_ms: int = Field(300, ge=0, le=1000, description="audio before the onset that belongs to the utterance")
    barge_in_ms: int = Field(300, ge=60, le=3000, description="voice over the agent's speech that counts as an interruption")
    max_turn_s: float = Field(25.0, gt=1, le=28, description="a longer turn is transcribed in pieces of this length (the ear keeps 30 s)")


class LimitSettings(Group):
    """Bounds of one call."""

    max_call_s: float = Field(3600.0, gt=0, description="longest call; the agent says goodbye before it ends")
    idle_s: float = Field(10.0, gt=0, description="silence of the caller after which the agent checks in")
    check_ins: int = Field(2, ge=0, description="check-ins without an answer before the goodbye")
    patience_s: float = Field(8.0, gt=0, description="the caller waits at most this long before an apology")
    failures: int = Field(3, ge=1, description="failed answers in a row before the goodbye")
    history_exchanges: int = Field(3, ge=0, description="exchanges (caller turn with its reply) the model is shown")


class ProviderSettings(Group):
    """One upstream service. Empty fields of `stt`, `llm` and `tts` are taken from `provider`."""

    base_url: str = Field("", description="OpenAI-compatible base URL, usually ending in /v1")
    api_key: str = Field("", repr=False, description="key; never printed")
    model: str = Field("", description="model name as the provider knows it")
    headers: dict[str, str] = Field(default_factory=dict, repr=False, description="extra headers (HTTP-Referer, X-Title)")
    timeout_s: float = Field(10.0, gt=0, description="first byte of an answer, and each further one, within this")
    pcm_hz: int = Field(24000, ge=8000, le=48000, description="rate of raw pcm speech from this provider (OpenAI: 24,000)")


class StoreSettings(Group):
    """Where calls are kept."""

    data_dir: str = Field("data", description="folder of journals and recordings; made when missing")


class LogSettings(Group):
    """Log lines; never a secret or a caller's word in them."""

    level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
