"""Whether anybody is there to hear the agent: the line may be lost for a while, or the caller holds it.

Nobody who is away waits, is asked whether they are still there, or can interrupt. What the agent says
meanwhile stays with the driver, and is heard by who comes back.
"""

from voicegw.call import events as e
from voicegw.call.caller_turn import CallerTurn
from voicegw.call.floor import Floor, State
from voicegw.call.speaking import Speaking


class Presence:
    """Follows the line and the caller's hold."""

    def __init__(self, floor: Floor, turn: CallerTurn, speaking: Speaking) -> None:
        self._floor = floor
        self._turn = turn
        self._speaking = speaking
        self._most_us = int(floor.settings.limits.hold_s * 1e6)
        self._held_since = 0

    def lost(self, event: e.CarrierLost) -> None:
        """The line is gone."""
        self._leave()
        self._floor.lost = True

    def back(self, event: e.CarrierBack) -> None:
        """There is a line again."""
        self._floor.lost = False
        self._return()

    def hold(self, event: e.CallerHold) -> None:
        """The caller holds the call, or is back."""
        if event.on is self._floor.held:
            return
        if event.on:
            self._leave()
            self._held_since = self._floor.now
        self._floor.held = event.on
        if not event.on:
            self._return()

    @property
    def due_us(self) -> int | None:
        """When a hold has lasted too long."""
        return self._held_since + self._most_us if self._floor.held else None

    def run_out(self) -> None:
        """Nobody would hear a goodbye."""
        if self._speaking.reply is not None:
            self._speaking.remember(self._speaking.reply, cut=True)
        self._turn.drop()
        self._speaking.end_call("hold_too_long")

    def _leave(self) -> None:
        self._floor.patience.stop(self._floor.now)
        if self._turn.interruption.undecided:
            # Nobody is there to go on interrupting; whoever comes back hears the rest.
            self._turn.drop()
            self._speaking.go_on()

    def _return(self) -> None:
        floor = self._floor
        floor.idle_since = floor.now
        floor.news_wanted = True
        if self._speaking.reply is not None or floor.state is State.THINKING:
            floor.wait_from(floor.now)
