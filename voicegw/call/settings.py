"""The part of a persona that the heart of a call needs. `agents/` makes it from a persona's file."""

from dataclasses import dataclass, field

from voicegw.config import LimitSettings, TurnSettings


@dataclass(frozen=True, slots=True)
class Phrases:
    """Fixed sentences of the agent, in its language. An empty one is not said."""

    greeting: str
    apology: str
    not_understood: str
    check_in: str
    goodbye: str


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """How the agent's sentences are said: see `spoken_form`."""

    spoken_form: bool = True  # False: figures and signs are left to the provider
    pronunciations: dict[str, str] = field(default_factory=dict)  # word: what is said for it


@dataclass(frozen=True, slots=True)
class CallSettings:
    """What the rules of one call depend on; the same for its whole life."""

    persona: str
    language: str
    system_prompt: str
    phrases: Phrases
    turns: TurnSettings = field(default_factory=TurnSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    speech: SpeechSettings = field(default_factory=SpeechSettings)
    # What caller and agent said before this call, oldest first: the model is given it as its history.
    history: tuple[tuple[str, str], ...] = ()
