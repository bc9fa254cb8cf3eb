"""What one piece of work asked of providers: whom, which model, and what failed on the way.

The row fills it while it asks (`policy.py`); whoever made it reads it when the work is over.
"""

from collections.abc import Callable
from dataclasses import dataclass

from voicegw.errors import ProviderError


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is paid for: it was answered, at least in part, or given up while it was answered."""

    provider: str  # its host, as in errors
    model: str


class Attempts:
    """The requests of one utterance, reply or sentence, in the order in which they were made.

    `on_failure` is told of every one that failed, also where another one then gives the answer.
    """

    def __init__(self, on_failure: Callable[[ProviderError], None] | None = None) -> None:
        self.asked: list[Asked] = []
        # What the first provider of the row is asked for, where that is not the model of its settings.
        self.first_model = ""
        self._on_failure = on_failure

    def begin(self, provider: str, model: str, *, first: bool) -> Asked:
        """A request is made; `first`: of the first provider of the row."""
        asked = Asked(provider, self.first_model if first and self.first_model else model)
        self.asked.append(asked)
        return asked

    def failed(self, error: ProviderError, asked: Asked | None = None) -> None:
        """A request failed. With `asked`: before anything of its answer came, so nobody charges for it."""
        if asked is not None:
            self.asked = [each for each in self.asked if each is not asked]
        if self._on_failure is not None:
            self._on_failure(error)
