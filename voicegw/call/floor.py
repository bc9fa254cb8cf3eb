"""Who has the floor, since when, and who waits: what both halves of a call share.

All that a call does about an event is gathered here, in order.
"""

from enum import Enum, auto

from voicegw.call import commands as c
from voicegw.call import notices as n
from voicegw.call.patience import Patience
from voicegw.call.settings import CallSettings
from voicegw.call.spending import Spending


class State(Enum):
    """What the agent is doing."""

    NEW = auto()
    LISTENING = auto()  # it is the caller's turn
    THINKING = auto()  # the caller waits for the agent
    SPEAKING = auto()  # the caller hears the agent
    ENDING = auto()  # the agent's last words, which nothing interrupts
    ENDED = auto()


TRANSITIONS: dict[State, set[State]] = {
    State.NEW: {State.LISTENING, State.THINKING, State.ENDED},
    State.LISTENING: {State.THINKING, State.ENDING, State.ENDED},
    State.THINKING: {State.LISTENING, State.SPEAKING, State.ENDING, State.ENDED},
    State.SPEAKING: {State.LISTENING, State.THINKING, State.ENDING, State.ENDED},
    State.ENDING: {State.ENDED},
    State.ENDED: set(),
}


class Floor:
    """The state of a call, the time, and the commands that the event of now leads to."""

    def __init__(self, settings: CallSettings) -> None:
        self.settings = settings
        self.phrases = settings.phrases
        self.patience = Patience(
            settings.patience,
            settings.phrases.fillers,
            int(settings.limits.patience_s * 1e6),
            settings.usual_wait_ms * 1000,
        )
        self.spending = Spending(settings.limits.cost_usd)
        self._state = State.NEW
        self.now = 0
        self.out: list[c.Command] = []
        self.lost = False  # nobody is at the other end, for the time being
        self.held = False  # the caller holds the call
        self.idle_since = 0  # since then nobody has said anything
        self.check_ins = 0  # how often the caller was asked for since the last turn
        self.exchanges = 0
        # It is a good moment to look for what has come meanwhile; done when the event is dealt with.
        self.news_wanted = False
        self.ignored = 0  # events that came too late, or that the state does not know

    @property
    def away(self) -> bool:
        """True while nobody is there to hear the agent."""
        return self.lost or self.held

    def begin(self, now: int) -> list[c.Command]:
        """An event has come. Returns the list that its commands will be in."""
        self.now = now
        self.out = []
        return self.out

    @property
    def state(self) -> State:
        """What the agent is doing."""
        return self._state

    def go(self, state: State) -> None:
        """The only writer of the state."""
        if state is self._state:
            return
        if state not in TRANSITIONS[self._state]:
            raise RuntimeError(f"no way from {self._state.name} to {state.name}")
        self._state = state

    def do(self, *commands: c.Command) -> None:
        """What is to be done next."""
        self.out += commands

    def notify(self, notice: n.Notice) -> None:
        """Tell those who watch."""
        self.out.append(c.Notify(notice))

    def tell_cost(self) -> None:
        """An exchange is over: tell what it has cost, where that is known."""
        if (cost := self.spending.told(self.exchanges)) is not None:
            self.notify(cost)

    def listen(self) -> None:
        """Now it is the caller's turn."""
        self.patience.stop(self.now)
        self.idle_since = self.now
        self.go(State.LISTENING)

    def wait_from(self, since: int, *, prepared: bool = False, within: bool = False) -> None:
        """The caller hears nothing and waits for us, if there is a caller."""
        if not self.away:
            self.patience.wait_from(since, prepared=prepared, within=within)
