"""The caller's keys: what belongs together, when it is complete, and what single keys mean."""

from voicegw.call.settings import KeypadRules, Slot

# Longer than any number that is typed at a telephone: an account number with its prefix has 34 digits.
MOST_KEYS = 40
# Who types a number presses the next key sooner than this.
MENU_US = 1_500_000


class Keypad:
    """Gathers keys. Those pressed ahead, while the agent still talks, are kept like any others."""

    def __init__(self, rules: KeypadRules) -> None:
        self._rules = rules
        self._keys = ""
        self.due = 0  # without a further key they are taken then

    def __bool__(self) -> bool:
        return bool(self._keys)

    def press(self, digit: str, now: int, slot: Slot | None) -> bool:
        """Take a key. True: what was typed is complete."""
        if digit == self._rules.end and self._keys:
            return True
        self._keys += digit
        self.due = now + int(self._rules.pause_s * 1e6)
        if slot is None and self._keys in self._rules.menu:
            # A choice, unless a number goes on behind it at once.
            self.due = now + min(MENU_US, int(self._rules.pause_s * 1e6))
        length = slot.keys if slot is not None and slot.keys else MOST_KEYS
        return len(self._keys) >= length

    def take(self, slot: Slot | None) -> str:
        """Return what was typed, in the caller's words where the menu has a meaning for it."""
        keys, self._keys = self._keys, ""
        if slot is not None and slot.sensitive:
            # They were hidden before they came here.
            return f"[{slot.name}]"
        return keys if slot is not None else self._rules.menu.get(keys, keys)
