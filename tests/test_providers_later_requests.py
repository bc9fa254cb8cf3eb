"""Later requests skip the client's own making of them: they must be what the client would have sent, and
their failures must be told alike."""

import pytest
from provider_pairs import FixedAnswer, providers_over

from voicegw.errors import ProviderError
from voicegw.providers import HttpRequest, Providers
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Fault

PCM = bytes(3200)


def comparable(request: HttpRequest) -> tuple[str, str, list[tuple[str, str]], bytes]:
    headers = sorted((name.lower(), value) for name, value in request.headers)
    return request.method, request.url, headers, request.body


async def test_a_later_request_is_the_one_that_the_client_made() -> None:
    """Address and authentication are the client's, also when it is not asked any more."""
    answer = FixedAnswer([b'{"text": "hello"}'], "application/json")
    providers = providers_over(answer)
    for _ in range(3):
        await providers.stt.transcribe(PCM)
    first, second, third = (comparable(request) for request in answer.requests)
    assert first == second == third


async def ask(providers: Providers) -> None:
    async for _ in providers.llm.reply([{"role": "user", "content": "hi"}], max_tokens=9, temperature=0):
        pass


async def failure_of(fault: Fault, *, after: int) -> dict[str, object]:
    """How the request number `after` fails."""
    provider = ScriptedProvider()
    provider.fail("llm", fault, after=after)
    providers = providers_over(provider, timeout_s=0.05)
    for _ in range(after):
        await ask(providers)
    with pytest.raises(ProviderError) as failed:
        await ask(providers)
    error = failed.value
    names = ("stage", "provider", "code", "message", "status", "retryable", "retry_after")
    # The scripted provider numbers its requests: only whether there is an id can be the same.
    return {name: getattr(error, name) for name in names} | {"request_id": error.request_id is not None}


FAULTS = {
    "401": Fault(status=401, body=b'{"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}'),
    "404 in plain words": Fault(status=404, body=b"no such route", content_type="text/plain"),
    "429 with Retry-After": Fault(status=429, headers={"Retry-After": "7"}),
    "429 without money": Fault(
        status=429, body=b'{"error": {"message": "pay", "code": "insufficient_quota"}}'
    ),
    "500 as a page": Fault(status=500, body=b"<html>oops</html>", content_type="text/html"),
    "503 without a body": Fault(status=503, body=b" ", content_type="text/plain"),
    "redirect": Fault(status=307, headers={"Location": "http://elsewhere.test/v1"}),
    "error as a string": Fault(status=422, body=b'{"error": "bad field"}', content_type="application/json"),
    "a list": Fault(status=400, body=b"[1]", content_type="application/json"),
    "reset": Fault(reset_after=10),
    "hang": Fault(hang=True),
    "wrong content": Fault(wrong=True, body=b"<html>login</html>"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_later_failure_is_told_like_a_first_one(fault: Fault) -> None:
    """Whoever decides on a retry must not see two kinds of the same failure."""
    assert await failure_of(fault, after=2) == await failure_of(fault, after=0)


async def test_nobody_at_the_address_is_a_connection_error_also_later() -> None:
    """A provider that goes away in the middle of a call."""
    first, later = (
        await failure_of(Fault(refuse=True), after=0),
        await failure_of(Fault(refuse=True), after=2),
    )
    assert first["code"] == later["code"] == "reset"
    assert first["retryable"] is later["retryable"] is True
