"""The caller's turn that is being spoken now, and what was asked ahead for it: it has no exchange yet."""

from dataclasses import dataclass, field
from typing import Any

from voicegw.verdict.exchanges import Asked, Failure, Interruption, Utterance


@dataclass(slots=True)
class ComingTurn:
    """Filled by the timeline while the caller speaks; a new one begins where a turn is taken or rejected.

    `reached_us`: when the pause that ended it was long enough. `reopens`: the turn before was taken for over,
    and its answer was dropped before it sounded. `yielded`: the interruption for which the agent stopped.
    """

    from_us: int | None = None
    reached_us: int | None = None
    reopens: bool = False
    yielded: Interruption | None = None
    utterances: dict[int, Utterance] = field(default_factory=dict)  # by `utterance_id`
    asked: dict[int, Asked] = field(default_factory=dict)  # by `reply_id`
    costs: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def is_for(self, work: str, number: int) -> bool:
        """True for a request that was made for this turn."""
        return (work == "stt" and number in self.utterances) or (work == "llm" and number in self.asked)

    def mark_superseded(self) -> None:
        """The speculative transcripts of pauses behind which the caller went on were paid for nothing."""
        turn = list(self.utterances.values())
        for cost in self.costs:
            of = self.utterances.get(cost.get("number", 0)) if cost["work"] == "stt" else None
            if of is not None and any(
                u.from_sample <= of.from_sample and u.to_sample > of.to_sample for u in turn
            ):
                cost["wasted"] = True

    def mark_wasted(self, reply_id: int) -> None:
        """An answer that was asked for ahead was not used."""
        for cost in self.costs:
            if cost["work"] == "llm" and cost.get("number") == reply_id:
                cost["wasted"] = True
