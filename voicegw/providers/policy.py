"""Who is asked, how often, and how long: one request policy for STT, LLM and TTS.

A `Row` holds the providers of one stage in their order. `Row.first` asks one after the other until one
answers, within what the caller will still wait; waiting, backoff and deadlines follow from that:

* 400, 401, 403, 404, 422 and the like are never asked again of the same provider; 408, 409, 425, 429, 5xx,
  broken connections and time-outs are.
* With another provider at hand it is asked at once. Otherwise after a backoff (exponential, full jitter), or
  after `Retry-After`; one that is longer than the patience counts as a refusal.
* A provider that does not answer gets half of what is left of the patience while another one can be asked.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from voicegw.config import ProviderSettings
from voicegw.errors import ProviderError, Stage
from voicegw.observe.quantile import Quantile
from voicegw.providers.attempts import Attempts
from voicegw.providers.breaker import Breaker
from voicegw.providers.http import ByteStreams, HttpRequest, HttpResponse
from voicegw.providers.quota import REFUSED_S, Grant, Quota
from voicegw.providers.stall import Stall

S = TypeVar("S")
T = TypeVar("T")

# Backoff of work that nobody waits for, and its limit.
BASE_S, CAP_S, TRIES = 1.0, 32.0, 6
# In a call: the first repetition comes within the time that a caller takes for a hesitation.
CALL_BASE_S = 0.3
# With less patience left than this nothing more is begun: an answer would not arrive in it.
LEAST_S = 0.3
# A first answer within a quarter of a second is nobody's to demand, however little patience is left.
LEAST_DEADLINE_S = 1.0
# A provider whose stream broke in the middle goes to the end of the row for so long.
BROKE_S = 5.0
# A second request beside the first only while this much of the quota is free.
HEDGE_HEADROOM = 0.3

# Seconds that the caller would go on waiting; asked anew at each decision.
Patience = Callable[[], float]


def once() -> float:
    """Ask one provider, once, with its own deadline: for checks."""
    return 0.0


def background() -> float:
    """Nobody waits: six tries, up to 32 s apart."""
    return float("inf")


def backoff_s(tries: int, base_s: float, rng: Callable[[], float]) -> float:
    """Return the wait before the next try, `tries` having failed: full jitter over a doubling range."""
    return min(CAP_S, base_s * 2.0 ** min(tries - 1, 16)) * (0.5 + 0.5 * rng())


@dataclass(slots=True)
class Backend(Generic[S]):
    """One provider of a row: its service, its quota (shared by all with its key), its health."""

    service: S
    settings: ProviderSettings
    quota: Quota
    breaker: Breaker = field(default_factory=Breaker)
    # The 95th percentile of the time to the first answer; what is later may be hedged.
    usual_s: Quantile = field(default_factory=lambda: Quantile(0.95, 0.1, 2.0))
    broke_at: float = float("-inf")
    # What a 429 said about this model; limits are often per model, so the key's other ones go on.
    refused_until: float = 0.0

    @property
    def name(self) -> str:
        """The provider's host, as errors and figures name it."""
        return urlsplit(self.settings.base_url).netloc


@dataclass(slots=True)
class _Tried(Generic[S]):
    """A provider within one request."""

    backend: Backend[S]
    tries: int = 0
    not_before: float = 0.0
    refused: bool = False


class MeteredStreams:
    """The seam below one provider, read for what it says about its quota."""

    def __init__(self, streams: ByteStreams, quota: Quota) -> None:
        self._streams = streams
        self._quota = quota

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send; see `ByteStreams.send`."""
        response = await self._streams.send(request)
        if _has_rate_headers(response.headers):
            self._quota.told(response.headers)
        return response

    async def aclose(self) -> None:
        """Leave the connections open: they are shared."""


def _has_rate_headers(headers: Mapping[str, str]) -> bool:
    return (
        "x-ratelimit-remaining-requests" in headers
        or "x-ratelimit-remaining-tokens" in headers
        or "llm_provider-x-ratelimit-remaining-requests" in headers
    )


class Row(Generic[S]):
    """The providers of one stage, in the order in which they are asked."""

    def __init__(
        self,
        stage: Stage,
        backends: Sequence[Backend[S]],
        *,
        hedge: bool = False,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.stage: Stage = stage
        self.backends = tuple(backends)
        self._hedge = hedge
        self._rng = rng
        self.hedged = 0  # second requests that were made beside a late first one

    async def first(
        self,
        ask: Callable[[S], Awaitable[T]],
        patience: Patience,
        tokens: int = 0,
        attempts: Attempts | None = None,
    ) -> tuple[Backend[S], Grant, T]:
        """Return the first answer, who gave it, and the grant that its reader must end.

        Raises the ProviderError of the last one asked when the patience, or the row, is at its end.
        """
        clock = asyncio.get_running_loop().time
        row = [_Tried(backend) for backend in self.backends]
        last: ProviderError | None = None
        attempts = attempts or Attempts()
        while True:
            now, left = clock(), patience()
            if last is not None and left < LEAST_S:
                raise last
            tried, wait = self._choose(row, now, tokens)
            if tried is None or (wait > 0 and (wait > left - LEAST_S or left == 0.0)):
                if last is None:
                    last = self._no_room(row, wait)
                    attempts.failed(last)
                raise last
            if wait > 0:
                await asyncio.sleep(wait)
                continue
            others = any(not t.refused and t is not tried and t.tries <= tried.tries for t in row)
            deadline = self._deadline_s(tried.backend, left, others)
            try:
                return await self._ask(tried, row, ask, deadline, tokens, attempts)
            except ProviderError as error:
                last = error
                self._judge(tried, error, clock(), left)

    def _choose(self, row: Sequence[_Tried[S]], now: float, tokens: int) -> tuple[_Tried[S] | None, float]:
        """Return who is to be asked, and in how many seconds; None: nobody is left."""
        best: tuple[tuple[float, int, bool], _Tried[S]] | None = None
        for tried in row:
            if tried.refused:
                continue
            backend = tried.backend
            wait = max(
                tried.not_before - now,
                backend.refused_until - now,
                backend.breaker.wait_s(now),
                backend.quota.wait_time(tokens),
                0.0,
            )
            rank = (wait, tried.tries, now - backend.broke_at < BROKE_S)
            if best is None or rank < best[0]:
                best = (rank, tried)
        return (None, 0.0) if best is None else (best[1], best[0][0])

    def _deadline_s(self, backend: Backend[S], left: float, others: bool) -> float | None:
        if left in (0.0, float("inf")):
            return None  # the service's own deadline does
        return min(backend.settings.timeout_s, max(LEAST_DEADLINE_S, left / 2 if others else left))

    def _no_room(self, row: Sequence[_Tried[S]], wait: float) -> ProviderError:
        backend = row[0].backend
        code = "no_quota" if backend.breaker.state == "closed" else "provider_down"
        why = "its quota is used up" if code == "no_quota" else "it has failed too often just now"
        return ProviderError(
            self.stage, backend.name, code, f"not asked: {why}", retryable=True, retry_after=wait
        )

    def _judge(self, tried: _Tried[S], error: ProviderError, now: float, left: float) -> None:
        """Note a failure: with the provider, and for this request."""
        backend = tried.backend
        tried.tries += 1
        if error.status == 429:
            backend.quota.refused(min(error.retry_after or REFUSED_S, REFUSED_S))
            backend.refused_until = now + (error.retry_after or 0.0)
        elif error.retryable or error.status in (401, 403, 404):
            backend.breaker.failed(now)
        elif error.code != "bad_answer":
            # It is well; it was asked for something that it does not do.
            backend.breaker.succeeded()
        else:
            backend.breaker.failed(now)
        in_call = left not in (0.0, float("inf"))
        # An answer that is none may be another one next time; who waits for nothing asks no more.
        again = error.retryable or (error.code == "bad_answer" and in_call)
        if not again or left == 0.0 or tried.tries >= TRIES:
            tried.refused = True
            return
        wait = backoff_s(tried.tries, CALL_BASE_S if in_call else BASE_S, self._rng)
        tried.not_before = now + max(error.retry_after or 0.0, wait if error.retry_after is None else 0.0)

    # One request, or two

    async def _ask(
        self,
        tried: _Tried[S],
        row: Sequence[_Tried[S]],
        ask: Callable[[S], Awaitable[T]],
        deadline_s: float | None,
        tokens: int,
        attempts: Attempts,
    ) -> tuple[Backend[S], Grant, T]:
        backend = tried.backend
        if not self._hedge or backend.quota.headroom() < HEDGE_HEADROOM:
            return await self._ask_one(backend, ask, deadline_s, tokens, attempts)
        return await self._ask_two(tried, row, ask, deadline_s, tokens, attempts)

    async def _ask_one(
        self,
        backend: Backend[S],
        ask: Callable[[S], Awaitable[T]],
        deadline_s: float | None,
        tokens: int,
        attempts: Attempts,
    ) -> tuple[Backend[S], Grant, T]:
        loop = asyncio.get_running_loop()
        grant = await backend.quota.take(tokens)
        if grant is None:
            error = ProviderError(
                self.stage, backend.name, "no_quota", "not asked: its quota is used up",
                retryable=True, retry_after=backend.quota.wait_time(tokens),
            )  # fmt: skip
            attempts.failed(error)
            raise error
        began = loop.time()
        backend.breaker.asked(began)
        asked = attempts.begin(backend.name, backend.settings.model, first=backend is self.backends[0])
        try:
            async with asyncio.timeout(deadline_s):
                answer = await ask(backend.service)
        except TimeoutError as late:
            grant.done()
            error = ProviderError(
                self.stage, backend.name, "timeout", f"nothing came within {deadline_s or 0:.1f} s",
                retryable=True,
            )  # fmt: skip
            attempts.failed(error, asked)
            raise error from late
        except ProviderError as error:
            grant.done()
            attempts.failed(error, asked)
            raise
        except BaseException:
            grant.done()
            backend.breaker.gave_up(loop.time())
            raise
        backend.breaker.succeeded()
        backend.usual_s.learn(loop.time() - began)
        return backend, grant, answer

    async def _ask_two(
        self,
        tried: _Tried[S],
        row: Sequence[_Tried[S]],
        ask: Callable[[S], Awaitable[T]],
        deadline_s: float | None,
        tokens: int,
        attempts: Attempts,
    ) -> tuple[Backend[S], Grant, T]:
        """Ask a second time when the first answer is later than usual; the first to come counts."""
        one = asyncio.ensure_future(self._ask_one(tried.backend, ask, deadline_s, tokens, attempts))
        running = {one}
        try:
            await asyncio.wait(running, timeout=min(tried.backend.usual_s.value, deadline_s or CAP_S))
            if not one.done():
                other = next((t for t in row if not t.refused and t is not tried), tried).backend
                self.hedged += 1
                running.add(asyncio.ensure_future(self._ask_one(other, ask, deadline_s, tokens, attempts)))
            while True:
                done, pending = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                good = next((task for task in done if task.exception() is None), None)
                if good is not None or not pending:
                    break
            winner = good or one
            running.discard(winner)
            return await winner
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)
            for task in running:
                # The loser had answered as well: its stream is closed, its grant given back.
                if not task.cancelled() and task.exception() is None:
                    _, grant, answer = task.result()
                    grant.done()
                    await _close(answer)

    # Streams

    async def stream(
        self,
        ask: Callable[[S], AsyncGenerator[T, None]],
        patience: Patience,
        tokens: int = 0,
        attempts: Attempts | None = None,
    ) -> AsyncGenerator[T, None]:
        """Stream an answer of the first that begins one. What breaks behind the beginning is raised.

        Raises ProviderError; `stalled` when nothing comes for `stall_s`.
        """
        attempts = attempts or Attempts()
        backend, grant, (first, rest) = await self.first(
            lambda service: _begin(ask(service)), patience, tokens, attempts
        )
        stall_s = backend.settings.stall_s
        loop = asyncio.get_running_loop()
        stall = Stall(stall_s)
        try:
            async with contextlib.aclosing(rest):
                if first is None:
                    return
                yield first
                while True:
                    try:
                        item = await stall.next(rest)
                    except TimeoutError as error:
                        raise ProviderError(
                            self.stage, backend.name, "stalled",
                            f"nothing came for {stall_s:g} s", retryable=True,
                        ) from error  # fmt: skip
                    if item is None:
                        return
                    yield item
        except ProviderError as error:
            backend.broke_at = loop.time()
            backend.breaker.failed(loop.time())
            attempts.failed(error)
            raise
        finally:
            stall.close()
            grant.done()


async def _begin(stream: AsyncGenerator[T, None]) -> tuple[T | None, AsyncGenerator[T, None]]:
    """Wait for the first item; the stream is closed when that fails."""
    try:
        return await anext(stream, None), stream
    except BaseException:
        await stream.aclose()
        raise


async def _close(answer: object) -> None:
    """Close a stream that lost."""
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], AsyncIterator):
        closing = getattr(answer[1], "aclose", None)
        if closing is not None:
            await closing()
