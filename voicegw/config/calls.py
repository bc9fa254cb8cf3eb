"""Settings of a call's rules: the agent, turns, limits, patience."""

from typing import Literal, Self

from pydantic import Field, model_validator

from voicegw.config.group import Group


class PersonaSettings(Group):
    """Which agent answers."""

    default: str = Field("support", min_length=1, description="persona of a call that names none")
    folders: tuple[str, ...] = Field((), description="folders with personas of your own, separated by commas")


class TurnSettings(Group):
    """When a caller's turn ends, and when the caller interrupts."""

    pause_ms: int = Field(
        260, ge=60, le=5000, description="pause after which the utterance is transcribed speculatively"
    )
    end_ms: int = Field(
        820, ge=100, le=10000, description="pause that ends a turn behind a finished sentence"
    )
    acoustic_end_ms: int = Field(
        1060, ge=100, le=10000, description="pause that ends the turn while no transcript has come"
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
    model: str = Field(
        "", description="file of a local turn model with smart-turn v3's inputs (ONNX; extra `turn-model`)"
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
    hold_s: float = Field(600.0, gt=0, description="a call that is on hold for longer ends")
    failures: int = Field(3, ge=1, description="failed answers in a row before the goodbye")
    cost_usd: float = Field(
        0.0, ge=0, description="a call that has cost this much (US dollars) ends politely; 0: no limit"
    )
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


class SpeechCacheSettings(Group):
    """Short sentences of the agent that are kept as audio, so that they need not be made twice."""

    most_mb: float = Field(
        16.0, ge=0, le=1024, description="memory for them in MB (about 500 s of speech); 0 keeps none"
    )
