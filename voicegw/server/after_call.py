"""The webhook after each call: its record as JSON, signed, delivered until somebody takes it.

    POST <hook.url>
    Content-Type: application/json
    Idempotency-Key: <call_id>
    Voicegw-Signature: t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>.<body>" with hook.secret, hex>

A 2xx answer is the end of it; 410 too. Anything else is tried again, later and later, for `hook.keep_h`.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import random
import socket
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from voicegw.config import HookSettings
from voicegw.config.addresses import is_public, parsed_address
from voicegw.errors import ConfigError
from voicegw.store.spool import HOOK, Spool

log = logging.getLogger(__name__)

ANSWER_S = 15.0
# Deliveries at once: a receiver that was away is not run over when it is back.
AT_ONCE = 4


def signature(secret: str, at: int, body: bytes) -> str:
    """The value of Voicegw-Signature."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"


class PublicOnly(AbstractResolver):
    """Resolves names, and knows no private address: a webhook must not reach what only this machine can."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """As the system resolves it, less what is not public. Raises OSError when nothing is left."""
        found = await self._resolver.resolve(host, port, family)
        public = [result for result in found if is_public(result["host"])]
        if not public:
            raise OSError(None, f"{host} has no public address; hook.allow_private allows it")
        return public

    async def close(self) -> None:
        """Nothing to close but the system's resolver."""
        await self._resolver.close()


class AfterCall:
    """Delivers the webhooks of one process. Raises ConfigError for an address that is private."""

    def __init__(
        self, settings: HookSettings, spool: Spool, news: asyncio.Event, *, first_wait_s: float = 2.0
    ) -> None:
        host = urlsplit(settings.url).hostname or ""
        # Resolvers are not asked about literal addresses.
        if not settings.allow_private and parsed_address(host) is not None and not is_public(host):
            raise ConfigError(f"hook.url: {host} is a private address; hook.allow_private allows it")
        self._settings = settings
        self._spool = spool
        self._news = news
        self._first_wait_s = first_wait_s
        self._again: dict[str, tuple[float, float]] = {}  # call id: when, and the wait before that
        self._task: asyncio.Task[None] | None = None
        self.delivered = 0
        self.failures = 0
        self.attempted = asyncio.Event()  # set whenever an attempt has ended

    def start(self) -> None:
        """Begin to deliver."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="after call")

    async def close(self) -> None:
        """Stop; what waits is delivered by the next process."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        resolver = None if self._settings.allow_private else PublicOnly()
        connector = aiohttp.TCPConnector(resolver=resolver, limit=AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
            while True:
                self._news.clear()
                waiting = await asyncio.to_thread(lambda: list(self._spool.waiting(HOOK)))
                now = time.monotonic()
                due = [(i, body) for i, body in waiting if self._again.get(i, (0.0, 0.0))[0] <= now]
                for start in range(0, len(due), AT_ONCE):
                    batch = due[start : start + AT_ONCE]
                    await asyncio.gather(*(self._deliver(client, *each) for each in batch))
                    self.attempted.set()
                nexts = [at for at, _ in self._again.values()]
                wait = max(0.1, min(nexts) - time.monotonic()) if nexts else None
                try:
                    await asyncio.wait_for(self._news.wait(), wait)
                except TimeoutError:
                    continue

    async def _deliver(self, client: aiohttp.ClientSession, call_id: str, record: bytes) -> None:
        body = json.dumps({"event": "call_ended", "call": json.loads(record)}, ensure_ascii=False).encode()
        at = int(time.time())
        headers = {"Content-Type": "application/json", "Idempotency-Key": call_id}
        if self._settings.secret:
            headers["Voicegw-Signature"] = signature(self._settings.secret, at, body)
        try:
            async with client.post(
                self._settings.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._later(call_id, record, type(error).__name__)
            return
        if 200 <= status < 300 or status == 410:
            self._again.pop(call_id, None)
            self.delivered += 1
            await asyncio.to_thread(self._spool.delivered, call_id, HOOK)
        else:
            self._later(call_id, record, f"HTTP {status}")

    def _later(self, call_id: str, record: bytes, why: str) -> None:
        self.failures += 1
        _, before = self._again.get(call_id, (0.0, 0.0))
        wait = min(3600.0, 2 * before or self._first_wait_s)
        ended = _ended_at(record)
        if time.time() - ended > self._settings.keep_h * 3600:
            log.error("call %s: the webhook gave up after %d h: %s", call_id, self._settings.keep_h, why)
            self._again.pop(call_id, None)
            self._spool.delivered(call_id, HOOK)
            return
        if not before:
            log.warning("call %s: the webhook failed (%s); it is tried again", call_id, why)
        # Spread, so that what failed together does not come together again.
        self._again[call_id] = (time.monotonic() + wait * random.uniform(0.8, 1.2), wait)


def _ended_at(record: bytes) -> float:
    found: dict[str, Any] = json.loads(record)
    return datetime.fromisoformat(found["ended_at"]).timestamp()
