"""What a call has cost so far, and when it has cost enough.

Speculation is apart: what an answer cost that was asked for ahead and not used. Requests that are given up
are charged a moment later than they are dropped, so dropped replies are remembered.
"""

from voicegw.call import events as e
from voicegw.call import notices as n


class Spending:
    """The bill of one call, in US dollars. `limit_usd` 0: none."""

    def __init__(self, limit_usd: float) -> None:
        self._limit_usd = limit_usd
        self.usd = 0.0
        self._since_usd = self._wasted_usd = 0.0  # since the last notice
        self._estimated = self._priced = False
        self._replies: dict[int, float] = {}  # what each reply since the last notice has cost
        self._dropped: set[int] = set()

    @property
    def over(self) -> bool:
        """True when the call has reached its limit."""
        return 0 < self._limit_usd <= self.usd

    def charged(self, event: e.Charged) -> None:
        """A request is to be paid."""
        if event.usd is None:
            return
        self._priced = True
        self.usd += event.usd
        self._since_usd += event.usd
        self._estimated = self._estimated or event.estimated
        if event.work == "llm":
            self._replies[event.number] = self._replies.get(event.number, 0.0) + event.usd
            if event.number in self._dropped:
                self._wasted_usd += event.usd

    def wasted(self, reply_id: int) -> None:
        """An answer that was asked for ahead is not used."""
        self._dropped.add(reply_id)
        self._wasted_usd += self._replies.get(reply_id, 0.0)

    def told(self, exchange: int) -> n.Cost | None:
        """Return the account of what came since the last one; None where nothing did."""
        if not self._priced:
            return None
        notice = n.Cost(
            round(self.usd, 6),
            exchange,
            round(self._since_usd, 6),
            round(self._wasted_usd, 6),
            self._estimated,
        )
        self._since_usd = self._wasted_usd = 0.0
        self._priced = False
        self._replies.clear()
        return notice
