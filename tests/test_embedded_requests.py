"""What the routes share: requests that nobody waits for any more, and errors with advice."""

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from voicegw.embedded.errors import ApiError
from voicegw.embedded.requests import until_disconnect

SCOPE = {"type": "http", "method": "POST", "path": "/", "headers": []}


async def test_work_is_cancelled_when_the_client_goes() -> None:
    """Speculative transcriptions are given up often; decoding on for nobody would delay the real ones."""
    gone, cancelled = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def work() -> None:
        gone.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(ClientDisconnect):
        await until_disconnect(Request(SCOPE, receive), work())
    assert cancelled.is_set()


async def test_work_that_ends_first_gives_its_result_and_leaves_no_watcher() -> None:
    """The watcher must not outlive the request."""

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def work() -> str:
        return "done"

    before = asyncio.all_tasks()
    assert await until_disconnect(Request(SCOPE, receive), work()) == "done"
    assert asyncio.all_tasks() == before


def test_a_busy_answer_says_when_to_come_back() -> None:
    """Gateways obey Retry-After on 429 and 503."""
    response = ApiError(429, "busy", code="queue_full", retry_after=1).response()
    assert response.headers["retry-after"] == "1"
    assert b'"type":"rate_limit_error"' in response.body
