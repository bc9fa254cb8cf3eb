"""The breaker and the quota bucket by themselves, on a clock that only moves by hand or on virtual time."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rehearsed import on_virtual_time

from voicegw.config import ProviderSettings, load_settings
from voicegw.providers.breaker import FAILURES, MOST_OPEN_S, OPEN_S, PROBE_S, Breaker
from voicegw.providers.build import build_providers
from voicegw.providers.failures import retry_after_s
from voicegw.providers.policy import BASE_S, CALL_BASE_S, CAP_S, backoff_s
from voicegw.providers.quota import BURST_S, Bucket, duration_s, limits_of
from voicegw.rehearsal.provider import ScriptedProvider

# The breaker


def opened(at_s: float = 0.0) -> Breaker:
    """A breaker that has seen enough."""
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(at_s)
    return breaker


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    """A success between them starts the count again: one bad request in ten is no outage."""
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0)
    breaker.succeeded()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0)
    assert (breaker.state, breaker.wait_s(0.0)) == ("closed", 0.0)
    breaker.failed(0.0)
    assert (breaker.state, breaker.wait_s(0.0)) == ("open", OPEN_S)


def test_half_open_lets_one_probe_through_for_all_calls() -> None:
    """Two hundred calls must not all find out for themselves whether it is back."""
    breaker = opened()
    assert breaker.wait_s(OPEN_S) == 0.0
    breaker.asked(OPEN_S)
    assert breaker.wait_s(OPEN_S) == PROBE_S
    breaker.succeeded()
    assert (breaker.state, breaker.wait_s(OPEN_S)) == ("closed", 0.0)


def test_a_probe_that_fails_keeps_it_open_for_longer_up_to_a_limit() -> None:
    """A dead provider is asked less and less often."""
    breaker, now, waits = opened(), 0.0, []
    for _ in range(8):
        now += breaker.wait_s(now)
        breaker.asked(now)
        breaker.failed(now)
        waits.append(breaker.wait_s(now))
    assert waits[:4] == [2 * OPEN_S, 4 * OPEN_S, 8 * OPEN_S, MOST_OPEN_S]
    assert max(waits) == MOST_OPEN_S
    breaker.succeeded()
    for _ in range(FAILURES):
        breaker.failed(now)
    assert breaker.wait_s(now) == OPEN_S


def test_a_probe_that_nobody_waits_for_any_more_is_left_to_the_next_call() -> None:
    """A caller who hangs up must not keep the provider closed for the others; nor a probe that is lost."""
    breaker = opened()
    breaker.asked(OPEN_S)
    breaker.gave_up(OPEN_S + 1)
    assert breaker.wait_s(OPEN_S + 1) == 0.0
    breaker.asked(OPEN_S + 1)
    assert breaker.wait_s(OPEN_S + 1 + PROBE_S) == 0.0


# Backoff


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.sampled_from([BASE_S, CALL_BASE_S]))
def test_backoff_stays_within_its_bounds(tries: int, chance: float, base_s: float) -> None:
    """At least half of the doubling step, never more than all of it, never more than the cap."""
    step = min(CAP_S, base_s * 2.0 ** min(tries - 1, 16))
    assert 0.5 * step <= backoff_s(tries, base_s, lambda: chance) <= step <= CAP_S == 32.0


# What providers say about waiting


def test_retry_after_in_every_form_that_is_sent() -> None:
    """Seconds, a date, milliseconds, and LiteLLM's name for the upstream's own."""
    assert retry_after_s({"retry-after": "20"}) == 20.0
    assert retry_after_s({"retry-after": "0.5"}) == 0.5
    assert retry_after_s({"retry-after-ms": "250", "retry-after": "20"}) == 0.25
    assert retry_after_s({"llm_provider-retry-after": "7"}) == 7.0
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after_s({"retry-after": date}) == pytest.approx(30.0, abs=2.0)
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


@given(st.text(max_size=40))
def test_no_retry_after_is_taken_from_nonsense(text: str) -> None:
    """A broken proxy's header is as good as none, and never endless."""
    found = retry_after_s({"retry-after": text})
    assert found is None or 0.0 <= found < 1e12


def test_resets_are_read_as_openai_writes_them() -> None:
    """1s, 6m0s, 20ms, or a number."""
    assert [duration_s(t) for t in ("1s", "6m0s", "20ms", "1h2m", "12.5")] == [1.0, 360.0, 0.02, 3720.0, 12.5]
    assert [duration_s(t) for t in ("", "soon", "1s later", "-3", "nan")] == [None] * 5


# The quota


class Clock:
    """Seconds, by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def spend(bucket: Bucket, count: int) -> int:
    """Take without waiting as often as it goes, at most `count` times, and end each request at once."""

    async def take() -> int:
        for n in range(count):
            grant = await bucket.take()
            if grant is None:
                return n
            grant.done()
        return count

    return asyncio.run(take())


def test_a_burst_then_the_pace_of_the_plan() -> None:
    """60 a minute: ten seconds' worth at once, then one a second."""
    clock = Clock()
    bucket = Bucket(requests=60, clock=clock)
    assert spend(bucket, 100) == 60 * BURST_S / 60
    assert bucket.wait_time() == pytest.approx(1.0)
    assert bucket.headroom() == 0.0
    clock.now = 1.0
    assert spend(bucket, 100) == 1
    clock.now = 1000.0
    assert spend(bucket, 100) == 10


@given(st.integers(1, 2000), st.lists(st.floats(0, 30), max_size=40))
def test_never_more_than_the_burst_and_the_minutes_allow(rpm: int, steps: list[float]) -> None:
    """However the requests come, the provider's own count is kept."""
    clock, taken = Clock(), 0
    bucket = Bucket(requests=rpm, clock=clock)
    for step in steps:
        clock.now += step
        taken += spend(bucket, 5)
    assert taken <= max(1.0, rpm * BURST_S / 60) + clock.now * rpm / 60 + 1e-6


def test_tokens_are_counted_and_set_right_afterwards() -> None:
    """An estimate that was too high is given back; one that was too low is taken."""
    clock = Clock()
    bucket = Bucket(tokens=60_000, clock=clock)

    async def use(estimate: int, real: int) -> None:
        grant = await bucket.take(estimate)
        assert grant is not None
        grant.done(real)
        grant.done(real)  # ended twice counts once

    asyncio.run(use(4000, 1000))
    assert bucket.headroom() == pytest.approx(0.9)
    asyncio.run(use(1000, 9000))
    assert bucket.headroom() == 0.0
    assert bucket.wait_time(1000) == pytest.approx(1.0)


@on_virtual_time
async def test_taking_waits_in_its_turn_or_not_at_all(tmp_path: object) -> None:
    """Without a time-out, with one that is too short, with one that does."""
    loop = asyncio.get_running_loop()
    bucket = Bucket(requests=60, clock=loop.time)
    for _ in range(10):
        assert await bucket.take() is not None
    assert await bucket.take() is None
    assert await bucket.take(within_s=0.5) is None
    began = loop.time()
    order: list[int] = []

    async def wait(n: int) -> None:
        assert await bucket.take(within_s=None if n else 5.0) is not None
        order.append(n)

    await asyncio.gather(*(wait(n) for n in range(3)))
    assert order == [0, 1, 2]
    assert loop.time() - began == pytest.approx(3.0, abs=0.01)


@on_virtual_time
async def test_streams_are_given_back_whoever_ends_them(tmp_path: object) -> None:
    """Two at once; a third waits for one to end, and a cancelled one leaves nothing behind."""
    loop = asyncio.get_running_loop()
    bucket = Bucket(streams=2, clock=loop.time)
    one, two = await bucket.take(), await bucket.take()
    assert one is not None
    assert two is not None
    assert bucket.headroom() == 0.0
    assert await bucket.take() is None
    assert await bucket.take(within_s=1.0) is None
    waiting = asyncio.ensure_future(bucket.take(within_s=None))
    await asyncio.sleep(0.5)
    waiting.cancel()
    await asyncio.wait([waiting])
    again = asyncio.ensure_future(bucket.take(within_s=10.0))
    await asyncio.sleep(0.5)
    one.done()
    assert await again is not None
    two.done()
    assert bucket.headroom() == pytest.approx(0.5)


def test_a_429_and_the_rate_headers_correct_the_count() -> None:
    """What others use of the same key is known by this alone; headers never raise what is left."""
    clock = Clock()
    bucket = Bucket(requests=600, tokens=600_000, clock=clock)
    bucket.told({"x-ratelimit-remaining-requests": "10"})
    assert bucket.headroom() == pytest.approx(0.1)
    bucket.told({"x-ratelimit-remaining-requests": "99"})
    assert bucket.headroom() == pytest.approx(0.1)
    bucket.told(
        {"llm_provider-x-ratelimit-remaining-tokens": "0", "llm_provider-x-ratelimit-reset-tokens": "6s"}
    )
    assert bucket.wait_time(1) == pytest.approx(6.0)
    bucket.refused(9.0)
    assert bucket.wait_time() == pytest.approx(9.0)
    clock.now = 9.0
    assert bucket.wait_time() == 0.0


def test_calls_in_progress_come_before_new_ones() -> None:
    """A turn is about five requests, six turns a minute: 60 a minute hold two calls, 500 hold 16."""
    for plan, held in (("free", 2), ("pro", 16)):
        bucket = Bucket(**limits_of(ProviderSettings(plan=plan)), clock=Clock())
        assert bucket.calls_held == held
        assert bucket.room_for_call(held - 1) == 0.0
        assert bucket.room_for_call(held) > 0.0
    # A bucket that is empty just now takes no new call either, whatever its plan.
    bucket = Bucket(requests=6000, clock=Clock())
    bucket.refused(20.0)
    assert bucket.room_for_call(0) == pytest.approx(20.0)
    assert Bucket(clock=Clock()).room_for_call(10_000) == 0.0


def test_stages_of_one_key_share_one_bucket_with_the_tightest_limit() -> None:
    """One key has one allowance, whichever stage it was written at; another key has its own."""
    url = {"provider.base_url": "http://one.test/v1", "provider.api_key": "k"}
    settings = load_settings({}, None, {**url, "llm.requests_a_minute": "90", "tts.requests_a_minute": "60"})
    providers = build_providers(settings, ScriptedProvider())
    (bucket,) = providers.quotas
    assert bucket.requests_a_minute == 60
    settings = load_settings(
        {}, None, {**url, "llm.requests_a_minute": "90", "tts.api_key": "other", "tts.plan": "pro"}
    )
    providers = build_providers(settings, ScriptedProvider())
    assert sorted(bucket.requests_a_minute for bucket in providers.quotas) == [90, 500]
