"""The request policy by itself, on virtual time: who is asked, how long, and how often."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from gateways import settings_for
from rehearsed import on_virtual_time

from voicegw.errors import ProviderError
from voicegw.providers.attempts import Attempts
from voicegw.providers.build import Providers, build_providers
from voicegw.providers.policy import background, once
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Fault, Script, ScriptedReply

SECOND = '[{"base_url": "http://second.test/v1", "api_key": "k", "model": "deepseek-v3.2"}]'


class Hosts:
    """Two providers by host."""

    def __init__(self, **providers: ScriptedProvider) -> None:
        self.providers = providers

    async def send(self, request: Any) -> Any:
        host = request.url.split("/")[2].split(".")[0]
        return await self.providers[host].send(request)

    async def aclose(self) -> None:
        pass


def within(seconds: float) -> Callable[[], float]:
    """A caller who waits so much longer, from now on."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    return lambda: max(0.001, until - loop.time())


def two(tmp_path: Any, **overrides: str) -> tuple[Providers, ScriptedProvider, ScriptedProvider]:
    """A row of two providers for the model."""
    first, second = ScriptedProvider(Script(llm=("One.",))), ScriptedProvider(Script(llm=("Two.",)))
    settings = settings_for(tmp_path, llm__fallbacks=SECOND, **overrides)
    built = build_providers(settings, Hosts(scripted=first, second=second), lambda: 0.5)
    return built, first, second


async def said(providers: Providers, patience: Callable[[], float], attempts: Attempts | None = None) -> str:
    """Ask the model; return its whole answer."""
    stream = providers.llm.reply(
        [{"role": "user", "content": "Hi"}],
        patience=patience,
        attempts=attempts,
        max_tokens=50,
        temperature=0.0,
    )
    return "".join([delta.text async for delta in stream])


# Who is asked


@on_virtual_time
async def test_a_retry_after_beyond_the_patience_is_not_waited_for(tmp_path: Any) -> None:
    """The next provider answers at once; the first is left alone until its time has come."""
    providers, first, second = two(tmp_path)
    first.fail("llm", Fault(status=429, headers={"retry-after": "20"}), times=None)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await said(providers, within(8.0)) == "Two."
    assert loop.time() - began < 0.1
    first.heal()
    assert await said(providers, within(8.0)) == "Two."
    assert len(first.received("llm")) == 1
    await asyncio.sleep(20.0)
    assert await said(providers, within(8.0)) == "One."
    assert len(second.received("llm")) == 2


@on_virtual_time
async def test_a_retry_after_beyond_the_patience_fails_at_once_where_nobody_else_is(
    tmp_path: Any,
) -> None:
    """The caller hears an apology now, and not after eight seconds that were lost from the start."""
    provider = ScriptedProvider()
    provider.fail("llm", Fault(status=429, headers={"retry-after": "20"}), times=None)
    providers = build_providers(settings_for(tmp_path), provider, lambda: 0.5)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(ProviderError) as failed:
        await said(providers, within(8.0))
    assert loop.time() - began < 0.1
    assert (failed.value.status, failed.value.retry_after) == (429, 20.0)
    assert len(provider.received("llm")) == 1


@on_virtual_time
async def test_a_retry_after_within_the_patience_is_kept_to_the_second(tmp_path: Any) -> None:
    """Asking earlier would only cost another 429."""
    provider = ScriptedProvider()
    provider.fail("llm", Fault(status=429, headers={"retry-after": "3"}))
    providers = build_providers(settings_for(tmp_path), provider, lambda: 0.5)
    assert await said(providers, within(8.0)) == "All right."
    first, second = provider.received("llm")
    assert second.at_s - first.at_s == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize(
    ("status", "requests"),
    [(400, 1), (401, 1), (403, 1), (404, 1), (422, 1), (408, 3), (409, 3), (425, 3), (429, 3), (503, 3)],
)
def test_what_is_asked_again_and_what_is_not(tmp_path: Any, status: int, requests: int) -> None:
    """A wrong key does not become right; a busy server may have room in a moment."""

    async def ask(folder: Any) -> None:
        provider = ScriptedProvider()
        provider.fail("llm", Fault(status=status), times=2)
        providers = build_providers(settings_for(folder), provider, lambda: 0.5)
        if requests == 1:
            with pytest.raises(ProviderError) as failed:
                await said(providers, within(8.0))
            assert not failed.value.retryable
        else:
            assert await said(providers, within(8.0)) == "All right."
        assert len(provider.received("llm")) == requests

    on_virtual_time(ask)(tmp_path)


@on_virtual_time
async def test_nothing_is_asked_beyond_the_patience_and_once_means_once(tmp_path: Any) -> None:
    """Repetitions end with the caller's patience; a check asks one time; the background asks six times."""
    provider = ScriptedProvider()
    provider.fail("llm", Fault(status=503), times=None)
    loop = asyncio.get_running_loop()
    for patience, least_s, most_s, requests in (
        (within(3.0), 0.5, 3.0, (2, 5)),
        (once, 0.0, 0.01, (1, 1)),
        (background, 10.0, 70.0, (6, 6)),
    ):
        providers = build_providers(settings_for(tmp_path), provider, lambda: 0.5)
        before, began = len(provider.received("llm")), loop.time()
        patience = within(3.0) if requests == (2, 5) else patience
        with pytest.raises(ProviderError):
            await said(providers, patience)
        assert least_s <= loop.time() - began <= most_s
        assert requests[0] <= len(provider.received("llm")) - before <= requests[1]


@on_virtual_time
async def test_a_breaker_is_shared_by_all_calls(tmp_path: Any) -> None:
    """What five requests found out, the sixth does not ask again; the probe is one, however many wait."""
    providers, first, _ = two(tmp_path)
    first.fail("llm", Fault(status=503), times=None)
    for _ in range(5):
        assert await said(providers, within(8.0)) == "Two."
    asked = len(first.received("llm"))
    await asyncio.gather(*(said(providers, within(8.0)) for _ in range(20)))
    assert len(first.received("llm")) == asked
    await asyncio.sleep(2.0)
    answers = await asyncio.gather(*(said(providers, within(8.0)) for _ in range(20)))
    assert set(answers) == {"Two."}
    assert len(first.received("llm")) == asked + 1
    first.heal()
    await asyncio.sleep(5.0)
    assert await said(providers, within(8.0)) == "One."


@on_virtual_time
async def test_what_failed_on_the_way_is_told_and_only_answers_are_paid(tmp_path: Any) -> None:
    """For the journal, and for the bill."""
    providers, first, _ = two(tmp_path)
    first.fail("llm", Fault(status=503))
    told: list[ProviderError] = []
    attempts = Attempts(told.append)
    assert await said(providers, within(8.0), attempts) == "Two."
    assert [(error.stage, error.provider, error.status) for error in told] == [("llm", "scripted.test", 503)]
    assert [(asked.provider, asked.model) for asked in attempts.asked] == [("second.test", "deepseek-v3.2")]


@on_virtual_time
async def test_a_model_of_the_personas_own_is_named_on_the_bill(tmp_path: Any) -> None:
    """Only the first provider knows it; who stands in is paid for its own."""
    providers, first, _ = two(tmp_path)
    for status, asked in ((None, "gpt-4.1"), (503, "deepseek-v3.2")):
        if status:
            first.fail("llm", Fault(status=status))
        attempts = Attempts()
        stream = providers.llm.reply(
            [{"role": "user", "content": "Hi"}],
            patience=within(8.0),
            attempts=attempts,
            model="gpt-4.1",
            max_tokens=50,
            temperature=0.0,
        )
        async for _ in stream:
            pass
        assert [each.model for each in attempts.asked] == [asked]


# A second request beside a late one


async def _learned(providers: Providers, provider: ScriptedProvider) -> None:
    """Let the row learn that the first token usually comes after 0.3 s."""
    provider.script.first_token_ms = 300
    for _ in range(400):
        await said(providers, within(8.0))


@on_virtual_time
async def test_a_late_answer_is_asked_for_a_second_time_and_the_loser_is_closed(tmp_path: Any) -> None:
    """At the learned p95; one answer, and both streams of the quota are free again."""
    provider = ScriptedProvider()
    settings = settings_for(tmp_path, llm__hedge="true", llm__streams="4")
    providers = build_providers(settings, provider, lambda: 0.5)
    await _learned(providers, provider)
    row = providers.llm.row
    usual_s = row.backends[0].usual_s.value
    assert 0.3 < usual_s < 0.6
    before = row.hedged
    provider.fail("llm", Fault(hang=True))
    loop = asyncio.get_running_loop()
    began, asked = loop.time(), len(provider.received("llm"))
    attempts = Attempts()
    assert await said(providers, within(8.0), attempts) == "All right."
    assert loop.time() - began == pytest.approx(usual_s + 0.3, abs=0.1)
    late, hedge = provider.received("llm")[asked:]
    assert (late.outcome, hedge.outcome) == ("closed", "complete")
    assert row.hedged == before + 1
    assert providers.llm.headroom == 1.0
    # Both were sent: a provider may charge for both.
    assert len(attempts.asked) == 2


@on_virtual_time
async def test_the_first_answer_counts_also_when_both_come(tmp_path: Any) -> None:
    """The second is closed unread, whichever it is."""
    replies = [ScriptedReply("Late.", first_token_ms=900), ScriptedReply("Second.", first_token_ms=2000)]
    provider = ScriptedProvider()
    providers = build_providers(settings_for(tmp_path, llm__hedge="true"), provider, lambda: 0.5)
    await _learned(providers, provider)
    n = len(provider.received("llm"))
    provider.script.llm = lambda messages: replies[len(provider.received("llm")) - n - 1]
    assert await said(providers, within(8.0)) == "Late."
    late, hedge = provider.received("llm")[n:]
    assert late.outcome == "complete"
    assert await hedge.ended() == "closed"


@on_virtual_time
async def test_there_is_no_second_request_without_headroom_nor_unless_it_was_asked_for(tmp_path: Any) -> None:
    """It costs requests: off by default, and never the last ones of the quota."""
    for overrides in ({}, {"llm__hedge": "true", "llm__requests_a_minute": "600"}):
        provider = ScriptedProvider()
        providers = build_providers(settings_for(tmp_path, **overrides), provider, lambda: 0.5)
        await _learned(providers, provider)
        if overrides:
            quota = providers.llm.row.backends[0].quota
            quota.told({"x-ratelimit-remaining-requests": "20"})
            assert quota.headroom() < 0.3
        before, hedged = len(provider.received("llm")), providers.llm.row.hedged
        provider.script.first_token_ms = 3000
        assert await said(providers, within(8.0)) == "All right."
        assert len(provider.received("llm")) == before + 1
        assert providers.llm.row.hedged == hedged
