"""How much a key may be asked: requests and tokens a minute, streams at once. Shared by all calls.

`Quota` is what callers see; a shared store can stand behind it as well as the bucket of this process.
`take` may wait (and cross a network), `wait_time` and `headroom` are answered from what is known here.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Protocol

from voicegw.config import ProviderSettings

# Requests a minute of the plans that providers sell by name.
PLANS = {"free": 60, "pro": 500}
# What one caller asks for: STT (twice, as the first is speculative), the model, and speech for two sentences.
REQUESTS_A_TURN = 5
# A caller's turn with its answer takes about ten seconds.
TURNS_A_MINUTE = 6
# A refusal that does not say how long it holds.
REFUSED_S = 2.0
# So much of a minute's allowance may be used at once, as providers let one do.
BURST_S = 10.0


class Grant(Protocol):
    """Leave for one request. `done` gives back its stream."""

    def done(self, tokens: int = 0) -> None:
        """The request is over and has used `tokens` (0: as many as were taken)."""
        ...


class Quota(Protocol):
    """What may be asked of one key."""

    def wait_time(self, tokens: int = 0) -> float:
        """Seconds until a request of about `tokens` finds room; 0.0: now."""
        ...

    def headroom(self) -> float:
        """The share of the allowance that is free now, 0.0 to 1.0."""
        ...

    def room_for_call(self, calls: int) -> float:
        """Seconds until one more call beside `calls` finds room; 0.0: now."""
        ...

    async def take(self, tokens: int = 0, within_s: float | None = 0.0) -> Grant | None:
        """Take leave for a request, waiting at most `within_s` (None: as long as it takes).

        Returns None, and takes nothing, where that does not do.
        """
        ...

    def refused(self, retry_after_s: float | None) -> None:
        """The provider has answered 429: nothing is free before that time."""
        ...

    def told(self, headers: Mapping[str, str]) -> None:
        """Correct the count by the rate headers of an answer, where it has any."""
        ...


class _Given:
    """A grant of the bucket."""

    __slots__ = ("_bucket", "_tokens")

    def __init__(self, bucket: "Bucket", tokens: int) -> None:
        self._bucket: Bucket | None = bucket
        self._tokens = tokens

    def done(self, tokens: int = 0) -> None:
        bucket, self._bucket = self._bucket, None
        if bucket is not None:
            bucket.give_back(tokens - self._tokens if tokens else 0)


class _Rate:
    """One allowance a minute, refilled steadily. `left` below zero: taken ahead by those who wait."""

    __slots__ = ("a_minute", "at", "burst", "left")

    def __init__(self, a_minute: int) -> None:
        self.a_minute = a_minute
        self.burst = max(1.0, a_minute * BURST_S / 60)
        self.left = self.burst
        self.at = 0.0

    def refill(self, now: float) -> None:
        self.left = min(self.burst, self.left + (now - self.at) * self.a_minute / 60)
        self.at = now

    def wait(self, amount: float) -> float:
        # What is larger than the whole burst waits for a full bucket, and then overdraws it.
        short = min(amount, self.burst) - self.left
        return short * 60 / self.a_minute if short > 0 else 0.0


class Bucket:
    """The quota of one key in this process. A limit of 0 is none."""

    def __init__(
        self, *, requests: int = 0, tokens: int = 0, streams: int = 0, clock: Callable[[], float]
    ) -> None:
        self.requests_a_minute = requests
        self._clock = clock
        self._requests = _Rate(requests) if requests else None
        self._tokens = _Rate(tokens) if tokens else None
        self._streams = streams
        self._running = 0
        self._refused_until = 0.0
        self._freed = asyncio.Event()
        now = clock()
        for rate in self._rates():
            rate.at = now

    def _rates(self) -> list[_Rate]:
        return [rate for rate in (self._requests, self._tokens) if rate is not None]

    def wait_time(self, tokens: int = 0) -> float:
        """See `Quota.wait_time`. A full row of streams counts as a tenth of a second: it is not known."""
        now = self._clock()
        wait = max(0.0, self._refused_until - now)
        for rate in self._rates():
            rate.refill(now)
        if self._requests is not None:
            wait = max(wait, self._requests.wait(1))
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait(tokens))
        if self._streams and self._running >= self._streams:
            wait = max(wait, 0.1)
        return wait

    def headroom(self) -> float:
        """See `Quota.headroom`."""
        if self.wait_time() > 0:
            return 0.0
        free = [max(0.0, rate.left / rate.burst) for rate in self._rates()]
        if self._streams:
            free.append(1 - self._running / self._streams)
        return min(free, default=1.0)

    @property
    def calls_held(self) -> int | None:
        """How many calls the key holds at once; None: no limit is known."""
        if not self.requests_a_minute:
            return None
        return max(1, self.requests_a_minute // (REQUESTS_A_TURN * TURNS_A_MINUTE))

    def room_for_call(self, calls: int) -> float:
        """See `Quota.room_for_call`. Calls in progress come first: a new one gets what they leave."""
        held = self.calls_held
        if held is not None and calls >= held:
            return 60.0 / TURNS_A_MINUTE
        # A caller who would wait for the first answer as long as for an apology is not taken.
        wait = self.wait_time()
        return wait if wait > 2.0 else 0.0

    async def take(self, tokens: int = 0, within_s: float | None = 0.0) -> Grant | None:
        """See `Quota.take`. Who waits has taken already, so that all wait in their order."""
        wait = self.wait_time(tokens)
        if within_s is not None and wait > within_s:
            return None
        until = None if within_s is None else self._clock() + within_s
        self._change(-1, -tokens)
        try:
            if wait > 0:
                await asyncio.sleep(wait)
            while self._streams and self._running >= self._streams:
                self._freed.clear()
                left = None if until is None else until - self._clock()
                async with asyncio.timeout(left):
                    await self._freed.wait()
        except TimeoutError:
            self._change(1, tokens)
            return None
        except BaseException:
            self._change(1, tokens)
            raise
        self._running += 1
        return _Given(self, tokens)

    def _change(self, requests: int, tokens: int) -> None:
        if self._requests is not None:
            self._requests.left += requests
        if self._tokens is not None:
            self._tokens.left += tokens

    def give_back(self, more_tokens: int) -> None:
        """A request is over; it has used `more_tokens` than were taken for it (fewer: negative)."""
        self._running -= 1
        self._change(0, -more_tokens)
        self._freed.set()

    def refused(self, retry_after_s: float | None) -> None:
        """See `Quota.refused`."""
        until = self._clock() + (REFUSED_S if retry_after_s is None else retry_after_s)
        self._refused_until = max(self._refused_until, until)
        if self._requests is not None:
            self._requests.left = min(self._requests.left, 0.0)

    def told(self, headers: Mapping[str, str]) -> None:
        """See `Quota.told`. Only downwards: what others use of the key is known by this alone."""
        now = self._clock()
        for rate, name in ((self._requests, "requests"), (self._tokens, "tokens")):
            left = _header(headers, f"x-ratelimit-remaining-{name}")
            if left is None or not left.isdigit():
                continue
            if rate is not None:
                rate.refill(now)
                rate.left = min(rate.left, float(left))
            reset = duration_s(_header(headers, f"x-ratelimit-reset-{name}") or "")
            if left == "0" and reset is not None:
                self._refused_until = max(self._refused_until, now + min(reset, 60.0))


def _header(headers: Mapping[str, str], name: str) -> str | None:
    # LiteLLM hands the upstream's headers on under a name of its own.
    return headers.get(name) or headers.get(f"llm_provider-{name}")


_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration_s(text: str) -> float | None:
    """Read `1s`, `6m0s`, `20ms` (as OpenAI writes them) or a plain number of seconds."""
    try:
        seconds = float(text)
    except ValueError:
        parts = _PART.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            return None
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return seconds if 0 <= seconds < 1e9 else None


def limits_of(settings: ProviderSettings) -> dict[str, int]:
    """Return the limits that the settings name, as `Bucket` takes them."""
    requests = settings.requests_a_minute or PLANS.get(settings.plan, 0)
    return {"requests": requests, "tokens": settings.tokens_a_minute, "streams": settings.streams}
