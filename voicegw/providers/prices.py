"""What requests cost, from one dated table (`prices.toml`), or a file of the operator's own.

Models are found by their name without vendor and by the longest known beginning: `openai/gpt-4.1-2025-04-14`
is `gpt-4.1`. But `gpt-4.1-mini` is another model, so what follows must look like a date or a version.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicegw.errors import ConfigError

TABLE = Path(__file__).parent / "prices.toml"
# A token is about four characters of English, and of Vietnamese about two and a half; towards more.
CHARS_A_TOKEN = 3
_VERSION = re.compile(r"[-@:](\d{4}-\d\d-\d\d|\d{3,8}|latest|exp|preview.*)$")


@dataclass(frozen=True, slots=True)
class ChatPrice:
    """US dollars for a million tokens."""

    input: float
    output: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return what a request costs."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


class Prices:
    """A table of prices."""

    def __init__(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Raises ValueError for a price that is none."""
        self.chat = {name.lower(): _chat(name, price) for name, price in found.get("chat", {}).items()}
        self.audio = {name.lower(): float(price) for name, price in found.get("audio", {}).items()}
        self.speech = {name.lower(): float(price) for name, price in found.get("speech", {}).items()}

    @classmethod
    def load(cls, own: str = "") -> "Prices":
        """Read the package's table, and over it the file `own`. Raises ConfigError."""
        found: dict[str, dict[str, Any]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))
        if own:
            try:
                for kind, prices in tomllib.loads(Path(own).read_text(encoding="utf-8")).items():
                    if kind not in found:
                        raise ValueError(f"[{kind}]: expected chat, audio or speech")
                    found[kind] |= prices
            except (OSError, ValueError) as error:
                raise ConfigError(f"prices in {own}: {error}") from None
        try:
            return cls(found)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"prices in {own or TABLE}: {error}") from None

    @property
    def chat_models(self) -> list[str]:
        """The chat models of the table, each once: some providers write `4-5` for `4.5`."""
        return list({name.replace(".", "-"): name for name in reversed(self.chat)}.values())[::-1]

    def chat_price(self, model: str) -> ChatPrice | None:
        """Return the price of a chat model; None for one that is not in the table."""
        name = model.lower().rpartition("/")[2]
        return self.chat.get(name) or self.chat.get(_VERSION.sub("", name))

    def chat_cost(self, model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return what a chat request costs; None where the model's price is unknown."""
        price = self.chat_price(model)
        return None if price is None else price.cost(prompt_tokens, completion_tokens)

    def audio_cost(self, model: str, seconds: float) -> float | None:
        """Return what a transcription costs."""
        price = self.audio.get(model.lower().rpartition("/")[2])
        return None if price is None else price * seconds / 60

    def speech_cost(self, model: str, characters: int) -> float | None:
        """Return what synthesis costs."""
        price = self.speech.get(model.lower().rpartition("/")[2])
        return None if price is None else price * characters / 1e6


def estimated_tokens(characters: int) -> int:
    """Return about how many tokens a text has whose provider did not say."""
    return -(-characters // CHARS_A_TOKEN)


def _chat(name: str, price: Any) -> ChatPrice:
    if isinstance(price, Mapping):
        return ChatPrice(float(price["input"]), float(price["output"]))
    if isinstance(price, bool) or not isinstance(price, int | float) or price < 0:
        raise ValueError(f'chat."{name}": expected a number, or {{ input = …, output = … }}')
    return ChatPrice(float(price), float(price))
