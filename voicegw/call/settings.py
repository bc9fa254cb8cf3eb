"""The part of a persona that the heart of a call needs. `agents/` makes it from a persona's file."""

from dataclasses import dataclass, field
from typing import Literal

from voicegw.call.commands import Role
from voicegw.config import LimitSettings, PatienceSettings, TurnSettings

_ROLES: tuple[Role, ...] = ("greeting", "not_understood", "offer", "check_in", "callback", "goodbye")


@dataclass(frozen=True, slots=True)
class Phrases:
    """Fixed sentences of the agent, in its language. An empty one is not said."""

    greeting: str
    apology: str
    not_understood: str
    check_in: str
    goodbye: str
    fillers: tuple[str, ...] = ()  # said in turn while an answer takes its time
    offer: str = ""  # after a second failed answer: try again, or press 1 to be called back
    callback: str = ""  # the goodbye to a caller who is to be called back

    def role(self, text: str) -> Role:
        """Return what a phrase is for; an unknown one is an apology."""
        if text in self.fillers:
            return "filler"
        return next((role for role in _ROLES if getattr(self, role) == text), "apology")


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """How the agent's sentences are said: see `spoken_form`."""

    spoken_form: bool = True  # False: figures and signs are left to the provider
    pronunciations: dict[str, str] = field(default_factory=dict)  # word: what is said for it


@dataclass(frozen=True, slots=True)
class InterruptionSettings:
    """Who may interrupt the agent, and with what.

    `mode`: "normal"; "protected": not the greeting; "never". `min_words`: so many words take the floor, fewer
    do not. `backchannels`: murmurs that never do, besides the language's own. `protected`: sentences with one
    of these texts in them (a legal notice) are heard to their end.
    """

    mode: Literal["normal", "protected", "never"] = "normal"
    min_words: int = 1
    backchannels: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()


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
    patience: PatienceSettings = field(default_factory=PatienceSettings)
    # The 95th percentile of the wait for an answer, as the process knew it when the call began.
    usual_wait_ms: int = 0
    interruptions: InterruptionSettings = field(default_factory=InterruptionSettings)
    vocabulary: tuple[str, ...] = ()  # names and terms that callers use: a hint for STT
