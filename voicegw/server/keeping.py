"""What is kept of the process's calls: begins recordings, spools records, delivers them to the database.

All that blocks runs in threads, all that may fail fails here: a call never waits for a disk or a database
but for the note that it has begun.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voicegw.audio.pcm import FRAME_SAMPLES
from voicegw.config import HookSettings, StoreSettings
from voicegw.errors import StoreError
from voicegw.providers.cassette import HEAD
from voicegw.server.after_call import AfterCall
from voicegw.server.bundling import CallBundle, finish_bundle
from voicegw.store.bundle import Bundles
from voicegw.store.database import Database, database_url
from voicegw.store.recording import Recorder, Tape
from voicegw.store.records import CallRecord, record_of, verdict_of
from voicegw.store.retention import remove_older
from voicegw.store.spool import Spool, read_waiting
from voicegw.verdict.timeline import Timeline
from voicegw.verdict.verdict import Thresholds

log = logging.getLogger(__name__)

# While the database is down it is tried again after 1 s, 2 s, … at most:
MOST_WAIT_S = 15.0
# Records in one transaction.
BATCH = 50
# Calls of killed processes are looked for this often.
DEAD_AGAIN_S = 60.0
# A delivery that is under way when the process ends has so long to end by itself.
CLOSE_S = 5.0
# Old files and rows are looked for this often.
RETENTION_S = 3600.0


class Keeping:
    """Made once per process, on its running loop. Raises ConfigError, or OSError: nothing can be written."""

    def __init__(
        self,
        settings: StoreSettings,
        hook: HookSettings | None = None,
        thresholds: Thresholds | None = None,
        *,
        dead_again_s: float = DEAD_AGAIN_S,
    ) -> None:
        self._settings = settings
        self._again_s = dead_again_s
        self._thresholds = thresholds or Thresholds()
        self._hook = bool(hook and hook.url)
        self.data = Path(settings.data_dir)
        self.spool = Spool(self.data, self._thresholds)
        self.database = Database(database_url(settings))
        self.recorder = Recorder(self.data / "recordings")
        self.bundles: Bundles | None = None
        if settings.bundles:
            most_bytes = settings.bundle_mb * 2**20
            self.bundles = Bundles(self.data / "bundles", most_bytes=most_bytes, head=HEAD)
        self.database_up = False
        self.delivered = 0  # records
        self.arrived = asyncio.Event()  # set whenever records have been delivered
        self._news = asyncio.Event()
        self._delivering = asyncio.Lock()
        self.hook_news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.after_call = AfterCall(hook, self.spool, self.hook_news) if hook and hook.url else None

    def start(self) -> None:
        """Close what a killed process left, and begin to deliver."""
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._run(), name="records"))
        self._tasks.append(loop.create_task(self._close_dead_calls(), name="calls of killed processes"))
        if self.after_call is not None:
            self.after_call.start()
        if self._settings.keep_days:
            self._tasks.append(loop.create_task(self._retain(), name="retention"))

    def begin(self, call_id: str, *, record: bool = True) -> Tape | None:
        """Note that a call begins, before the caller is told; its tape, if it is recorded. Raises OSError."""
        self.spool.begin(call_id)
        # A bundle has the recording in it.
        recorded = self._settings.record or self._settings.bundles
        return self.recorder.tape(call_id) if recorded and record else None

    def bundle(
        self, call_id: str, tape: Tape | None, journal: Path, about: Mapping[str, Any]
    ) -> CallBundle | None:
        """Begin the bundle of a call, where bundles are kept."""
        if self.bundles is None or tape is None:
            return None
        return CallBundle(self.bundles.begin(call_id, about), tape, journal)

    async def end(
        self,
        call_id: str,
        told: Mapping[str, str],
        timeline: Timeline,
        ended_by: str,
        tape: Tape | None,
        bundle: CallBundle | None = None,
    ) -> CallRecord:
        """Keep the record of a call that is over; returns when it is on the disk."""
        whole = None
        if tape is not None:
            whole = await asyncio.wrap_future(tape.done)
        name = whole.name if whole is not None else ""

        def keep() -> CallRecord:
            sound = tape.sound if tape is not None else None
            missing = tape.missing_samples // FRAME_SAMPLES if tape is not None else None
            verdict = verdict_of(call_id, timeline, self._thresholds, sound, missing)
            record = record_of(call_id, told, timeline, ended_by=ended_by, recording=name, verdict=verdict)
            self.spool.end(record, hook=self._hook)
            return record

        record = await asyncio.to_thread(keep)
        if bundle is not None:
            await asyncio.to_thread(bundle.end, whole)
        self._news.set()
        self.hook_news.set()
        return record

    async def close(self) -> None:
        """Deliver what can be delivered at once, and release everything."""
        if self.after_call is not None:
            await self.after_call.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S), self._delivering:
                # A delivery that is under way ends by itself: cut off, it would leave the database's
                # connection in the middle of something, and its records in the spool until the next start.
                pass
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
            if self.database_up:
                with contextlib.suppress(StoreError):
                    await self._deliver()
        await asyncio.to_thread(self.recorder.close)
        if self.bundles is not None:
            await asyncio.to_thread(self.bundles.close)
        await self.database.close()

    async def _close_dead_calls(self) -> None:
        """At start, and again and again: a journal may be held, and processes may share the folder."""
        age_s = 0.0
        while True:
            calls, bundles = await asyncio.to_thread(self._close_those_of, age_s)
            if calls:
                log.warning(
                    "%d calls of a process that was killed were closed by their journals (%d bundles)",
                    calls,
                    bundles,
                )
                self._news.set()
                self.hook_news.set()
            await asyncio.sleep(self._again_s)
            # Those that just begin or end are left alone.
            age_s = self._again_s / 2

    def _close_those_of(self, age_s: float) -> tuple[int, int]:
        closed = self.spool.close_dead_calls(hook=self._hook, least_age_s=age_s)
        return len(closed), sum(finish_bundle(self.data, call_id) for call_id in closed)

    async def _run(self) -> None:
        wait_s = 0.0
        while True:
            self._news.clear()
            try:
                if not self.database_up:
                    await self.database.check()
                    log.info("call records go to %s", self.database.url.get_backend_name())
                    self.database_up = True
                async with self._delivering:
                    await self._deliver()
                wait_s = 0.0
            except StoreError as error:
                if self.database_up or not wait_s:
                    log.error("call records wait in the spool: %s", error)
                self.database_up = False
                wait_s = min(MOST_WAIT_S, 2 * wait_s or 1.0)
            if wait_s:
                await asyncio.sleep(wait_s)
            else:
                await self._news.wait()

    async def _deliver(self) -> None:
        """Deliver all that waits. Raises StoreError."""
        while True:
            waiting = await asyncio.to_thread(self._take_batch)
            records = [record for _, data in waiting if (record := read_waiting(data)) is not None]
            if not records:
                return
            try:
                self.delivered += await self.database.add(records)
            except StoreError as error:
                if error.lost or len(records) == 1:
                    raise
                # One of them is to blame: the others go on alone.
                for record in records:
                    await self._deliver_one(record)
            else:
                for record in records:
                    await asyncio.to_thread(self.spool.delivered, record.call_id)
            self.arrived.set()

    async def _deliver_one(self, record: CallRecord) -> None:
        try:
            self.delivered += await self.database.add([record])
        except StoreError as error:
            if error.lost:
                raise
            log.error("the record of call %s is refused and put aside: %s", record.call_id, error)
            await asyncio.to_thread(self.spool.put_aside, record.call_id)
        else:
            await asyncio.to_thread(self.spool.delivered, record.call_id)

    def _take_batch(self) -> list[tuple[str, bytes]]:
        return [found for found, _ in zip(self.spool.waiting(), range(BATCH), strict=False)]

    async def _retain(self) -> None:
        while True:
            if self.database_up:
                try:
                    n = await remove_older(self.database, self.data, self._settings.keep_days)
                except StoreError as error:
                    log.error("old records were not removed: %s", error)
                else:
                    if n:
                        log.info("%d calls older than %d days were removed", n, self._settings.keep_days)
            await asyncio.sleep(RETENTION_S if self.database_up else 5.0)
