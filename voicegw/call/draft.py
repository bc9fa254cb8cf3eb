"""A reply that is asked for before the turn is over: kept back until that is sure.

What the model sends of it, text or tool calls, is kept as it came. When the turn ends with the same words it
is played to the call as if it came now; when the caller goes on it is thrown away, and has had no effect.
"""

from dataclasses import dataclass, field
from typing import Any

from voicegw.audio.pcm import ms_to_samples
from voicegw.call.events import Event, ReplyFailed, ReplyText

# Guesses cost money: a caller who pauses again and again gets no more of them in one turn.
MOST_DRAFTS = 2
# The rest of the quota belongs to turns that are over.
LEAST_HEADROOM = 0.3
# A draft is asked for so long before the turn would end: most models have written a first sentence by then.
# Sooner, more of them would be thrown away, as whoever goes on does so soon.
LEAD = ms_to_samples(500)


@dataclass(slots=True)
class Kept:
    """The reply, the words it answers, and what has come of it."""

    reply_id: int
    text: str
    events: list[Event] = field(default_factory=list)
    first_token: int | None = None  # when its first word or tool call came

    @property
    def characters(self) -> int:
        """How much the model has written."""
        return sum(len(event.text) for event in self.events if isinstance(event, ReplyText))


class Drafts:
    """The drafts of one turn after another; at most one is open."""

    def __init__(self) -> None:
        self.open: Kept | None = None
        self.headroom = 1.0  # of the model's quota, as it was told with the newest transcript
        self.due: int | None = None  # the sample at which one is to be asked for if nobody speaks
        self._asked = 0

    def pause(self, end: int) -> int | None:
        """Return the pause (samples) behind which a further one is worth its price; None when none is.

        `end` is the pause that ends the turn by what is known of it.
        """
        if self.headroom <= LEAST_HEADROOM or self._asked >= MOST_DRAFTS:
            return None
        return max(0, end - LEAD)

    def begin(self, reply_id: int, text: str) -> None:
        """The model was asked."""
        self.open = Kept(reply_id, text)
        self.due = None
        self._asked += 1

    def keep(self, event: Any, now: int) -> bool:
        """Keep an event of the open draft. Returns False for any other event."""
        draft = self.open
        if draft is None or getattr(event, "reply_id", None) != draft.reply_id:
            return False
        if type(event) is ReplyFailed:
            # Nobody waits for it: the turn's end asks anew.
            self.open = None
            return True
        if draft.first_token is None:
            draft.first_token = now
        draft.events.append(event)
        return True

    def close(self) -> Kept | None:
        """Return the open draft, which is used or thrown away now."""
        draft, self.open, self.due = self.open, None, None
        return draft

    def turn_done(self) -> None:
        """The next turn may have drafts of its own."""
        self._asked = 0
