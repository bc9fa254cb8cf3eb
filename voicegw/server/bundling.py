"""What goes into a call's bundle while it runs, and what closes it: see `store/bundle.py`."""

import logging
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from voicegw.agents.personas import Persona
from voicegw.config import Settings
from voicegw.errors import ConfigError, Stage
from voicegw.providers.cassette import Take, take_line
from voicegw.store.bundle import Bundle, finish
from voicegw.store.recording import Tape
from voicegw.store.steps import first_other, lines, replay

log = logging.getLogger(__name__)

# Groups of settings in which no secret can stand.
_GROUPS = ("turns", "limits", "patience", "persona", "verdict", "speech_cache")


class CallBundle:
    """The bundle of one call; keeps what the providers answer (`KEEPER`), but nothing sensitive."""

    def __init__(self, bundle: Bundle, tape: Tape, journal: Path) -> None:
        self._bundle = bundle
        self._tape = tape
        self._journal = journal

    @property
    def wanted(self) -> bool:
        """False while something sensitive is being said: a transcript would hold it."""
        return not self._tape.masked

    def keep(self, take: Take) -> None:
        """Take an answer of a provider."""
        if self.wanted:
            size = sum(len(data) for _, data in take.chunks) + 1000
            self._bundle.answer(size, lambda: take_line(take, compact=True))

    def end(self, recording: Path | None) -> None:
        """Make it whole. Blocks; never fails: a call has been kept before."""
        try:
            steps = list(replay(self._journal))
            if (number := first_other(self._journal, steps)) is not None:
                log.error("%s: its events gave other commands at step %d again", self._journal.name, number)
            self._bundle.end(self._journal, recording, lines(steps))
        except Exception:
            log.exception("the bundle of %s could not be made", self._journal.name)


def finish_bundle(data: Path, call_id: str) -> bool:
    """Make a bundle of a killed process whole; False: it has left none. Blocks; never fails."""
    journal, recording = data / "journals" / f"{call_id}.jsonl", data / "recordings" / f"{call_id}.flac"
    try:
        commands = lines(replay(journal))
        found = recording if recording.exists() else None
        return finish(data / "bundles", call_id, journal, found, commands) is not None
    except (OSError, ConfigError, RuntimeError) as error:
        log.error("the bundle of %s could not be made whole: %s", call_id, error)
        return False


def about_bundle(told: Mapping[str, str], persona: Persona, settings: Settings) -> dict[str, Any]:
    """Return what a bundle tells of its call, as plain data without secrets."""
    models = {stage: settings.resolved(stage).model for stage in get_args(Stage)}
    return {
        "call": dict(told),
        "voicegw": version("voicegw"),
        "models": models,
        "settings": {name: getattr(settings, name).model_dump(mode="json") for name in _GROUPS},
        "agent": {
            "name": persona.name,
            "voice": persona.voice,
            "speed": persona.speed,
            "temperature": persona.temperature,
            "max_tokens": persona.max_tokens,
            "tools": [tool.definition for tool in persona.tools.values()],
        },
    }
