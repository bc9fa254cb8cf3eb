"""Is what comes from the caller our own voice? A threshold under which it is taken for echo.

The levels of the agent's frames, as they are heard, are compared with those of the caller's: where both rise
and fall together, at one delay, the line echoes, and how much comes back is learned. While the agent is
heard, and shortly after, a frame of the caller counts only above what must be expected of that. Pure.
"""

from collections import deque

import numpy as np

from voicegw.audio.pcm import FRAME_US

# Longest echo path that is looked for (600 ms: a mobile network, a loudspeaker), and the ring that holds it.
LAGS = 30
SLOTS = 256
# Levels of the last 1.2 s are compared, every 200 ms; once a second on a line that has shown no echo so far.
WINDOW = 60
EVERY = 10
RARELY = 50
# Voices that are not echo agree by chance to about 0.5 over such a window.
ALIKE = 0.65
# Until something is learned of a line, echo 15 dB below the agent is reckoned with …
PRIOR = 0.178
PRIOR_MARGIN = 1.3
# … but only as long as the agent has not been heard for 3 s without any.
PRIOR_FRAMES = 150
# A caller must be 5 dB louder than the echo that is expected.
MARGIN = 1.8
# How much of the coupling a new comparison decides.
SHARE = 0.3
# Quieter frames of the agent say nothing about the line.
LEAST = 100.0
# Correlated with it, levels are summed over every window.
ONES = np.ones(WINDOW)


class EchoGuard:
    """Learns one line's echo. `played` for each frame of the agent, `threshold` for each of the caller."""

    def __init__(self) -> None:
        # The agent's levels by the 20 ms in which they are heard, up to `_head`; 0 where it is silent.
        self._agent = [0.0] * SLOTS
        self._head = 0
        self._caller: deque[float] = deque(maxlen=WINDOW)
        self._until = -1
        self._newest = 0
        self._counted = 0
        self._sounded = 0  # frames of the agent that were compared without finding an echo
        self.lag: int | None = None  # frames
        self.coupling = 0.0

    def played(self, heard_at_us: int, level_rms: float) -> None:
        """A frame of the agent is heard at that time."""
        slot = heard_at_us // FRAME_US
        self._advance(slot)
        self._agent[slot % SLOTS] = level_rms
        self._newest = max(self._newest, slot)
        self._until = self._newest + LAGS

    def threshold(self, now: int, level_rms: float) -> float:
        """Return the rms that a frame of the caller must exceed; 0.0 while no echo can come."""
        slot = now // FRAME_US
        if slot > self._until:
            if self._caller:
                self._caller.clear()
            return 0.0
        self._advance(slot)
        self._caller.append(level_rms)
        self._counted += 1
        every = RARELY if self.lag is None and self._sounded >= PRIOR_FRAMES else EVERY
        if self._counted % every == 0 and len(self._caller) == WINDOW:
            self._compare(slot)
        if self.lag is not None:
            return MARGIN * self.coupling * self._loudest(slot - self.lag - 2, slot - self.lag + 3)
        if self._sounded >= PRIOR_FRAMES:
            return 0.0
        return PRIOR_MARGIN * PRIOR * self._loudest(slot - LAGS, slot + 1)

    def _advance(self, slot: int) -> None:
        """Nothing is known yet of what lies between."""
        for at in range(max(self._head + 1, slot - SLOTS + 1), slot + 1):
            self._agent[at % SLOTS] = 0.0
        self._head = max(self._head, slot)

    def _levels(self, first: int, stop: int) -> list[float]:
        """The agent's levels in those slots."""
        first, stop = first % SLOTS, stop % SLOTS
        return self._agent[first:stop] if first < stop else self._agent[first:] + self._agent[:stop]

    def _loudest(self, first: int, stop: int) -> float:
        return max(self._levels(first, stop))

    def _compare(self, slot: int) -> None:
        agent = np.array(self._levels(slot - WINDOW - LAGS + 1, slot + 1))
        if np.count_nonzero(agent > LEAST) < WINDOW // 3:
            return
        caller = np.array(self._caller)
        own = caller - sum(self._caller) / WINDOW
        # Pearson's coefficient of the caller's levels with each window of the agent's, the newest first.
        sums, squares = np.correlate(agent, ONES), np.correlate(agent * agent, ONES)
        spread = np.maximum(squares - sums * sums / WINDOW, 0.0)
        likeness = (np.correlate(agent, own) / (np.sqrt(spread * (own @ own)) + 1e-9))[::-1]
        lag = int(likeness.argmax())
        if likeness[lag] < ALIKE:
            self._sounded += EVERY
            return
        earlier = agent[LAGS - lag : LAGS - lag + WINDOW]
        found = float(earlier @ caller / (earlier @ earlier + 1e-9))
        if found > 1.0:
            # Louder than what was sent is no echo.
            return
        self.coupling = found if self.lag is None else self.coupling + (found - self.coupling) * SHARE
        self.lag = lag
