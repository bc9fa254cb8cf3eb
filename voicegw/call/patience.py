"""The dead-air budget: how long the caller has been waiting for us and hearing nothing."""


class Patience:
    """One clock per call, from the caller's last word to the next sound of the agent."""

    def __init__(self, budget_us: int) -> None:
        self._budget_us = budget_us
        self._since: int | None = None
        self.longest_us = 0

    def wait_from(self, since: int) -> None:
        """The caller waits since `since`. A wait that is running goes on."""
        if self._since is None:
            self._since = since

    def stop(self, now: int) -> None:
        """The caller hears something, or speaks."""
        if self._since is not None:
            self.longest_us = max(self.longest_us, now - self._since)
            self._since = None

    @property
    def due_us(self) -> int | None:
        """When the caller must hear something, come what may; None while nobody waits."""
        return None if self._since is None else self._since + self._budget_us
