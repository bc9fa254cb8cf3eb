"""Keeps what a caller says in answer to a sensitive question away from everything that is kept or sent.

The answer is taken out before the call, its journal, the transcript or the model see it; they get a reference
("[card_number]"). Only a tool gets the answer itself, in the place of the reference in its arguments.
"""

from dataclasses import replace

from voicegw.call import events as e
from voicegw.call import slots
from voicegw.call.settings import Slot

MASKED_KEY = "•"
# Longer than any card number or code.
MOST_KEYS = 64


class Vault:
    """The secrets of one call, in memory only."""

    def __init__(self, language: str, today: str = "") -> None:
        self._language = language
        self._today = today  # see `CallSettings.today`
        self._values: dict[str, str] = {}
        self._keys = ""

    def mask(self, event: e.Event, slot: Slot) -> e.Event:
        """Return an event without the answer to `slot`, which is sensitive and expected now."""
        match event:
            case e.Transcript() | e.CallerText():
                return replace(event, text=self._hidden(event.text, slot))
            case e.Dtmf("#"):
                self._keys = ""
            case e.Dtmf():
                self._keys = (self._keys + event.digit)[:MOST_KEYS]
                self._values[slot.name] = self._keys
                return replace(event, digit=MASKED_KEY)
        return event

    def _hidden(self, text: str, slot: Slot) -> str:
        if not text.strip():
            return text
        value = slots.read(slot, text, self._language, self._today)
        if not value:
            return f"[{slot.name} not understood]"
        self._values[slot.name] = value
        return reference(slot)

    def forget_keys(self) -> None:
        """The next key begins another answer."""
        self._keys = ""

    def resolve(self, arguments: str) -> str:
        """Return a tool's arguments (JSON) with the answers in place of their references."""
        for name, value in self._values.items():
            # Values are letters, digits and signs of e-mail addresses: nothing that JSON would escape.
            safe = value.replace("\\", "").replace('"', "")
            arguments = arguments.replace(f"[{name}]", safe)
        return arguments


def reference(slot: Slot) -> str:
    """Return what stands for the answer to a sensitive question."""
    return f"[{slot.name}]"
