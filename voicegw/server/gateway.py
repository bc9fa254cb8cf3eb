"""All calls of the process: who may begin one, who may go on with one, and when the process may stop."""

import asyncio
import hashlib
import logging
import math
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from voicegw.agents.personas import Persona, load_personas, persona_for
from voicegw.call.notices import Notice, Recording, Verdict
from voicegw.carriers.base import Carrier, Start
from voicegw.config import Settings
from voicegw.errors import CarrierError, ConfigError, GatewayFull
from voicegw.observe.quantile import Recent
from voicegw.providers.build import Providers
from voicegw.providers.cassette_recorder import KEEPER
from voicegw.server.admission import Admission
from voicegw.server.bundling import CallBundle, about_bundle
from voicegw.server.clips import Clips
from voicegw.server.connection import Line
from voicegw.server.door import Door, Guest
from voicegw.server.keeping import Keeping
from voicegw.server.links import Links
from voicegw.server.metrics import Metrics
from voicegw.server.peers import Peers
from voicegw.server.recovery import recover_tools
from voicegw.server.rest import CallControl, HttpControl
from voicegw.server.session import Session
from voicegw.server.ticker import Ticker
from voicegw.server.traces import Traces
from voicegw.server.turn_model import make_turn_model
from voicegw.server.uploads import Uploads
from voicegw.server.voice_model import make_voice_model
from voicegw.server.watch import LoopWatch
from voicegw.store.journal import Journal
from voicegw.store.recording import Tape
from voicegw.store.records import about_call, verdict_of
from voicegw.verdict.verdict import Thresholds

log = logging.getLogger(__name__)

# So many exchanges tell how long a caller usually waits for an answer: minutes of a busy process.
USUAL_OF = 400
# Until twenty exchanges have told: the p95 of a good chain of providers.
UNKNOWN_MS = 1800


class Gateway:
    """Made once per process, on its running loop."""

    def __init__(
        self,
        settings: Settings,
        personas: dict[str, Persona],
        providers: Providers,
        keeping: Keeping | None = None,
    ) -> None:
        self.settings = settings
        self.keeping = keeping
        self._versions = _versions(personas)
        self._thresholds = Thresholds(**settings.verdict.model_dump())
        self.door = Door(settings)
        self.metrics = Metrics()
        self.watch: LoopWatch | None = None
        self.traces = _traces(settings)
        self.links = Links(settings.door.secret.encode() or secrets.token_bytes(32))
        self.personas = personas
        self.providers = providers
        self.peers = Peers(settings)
        self.control: CallControl = HttpControl(settings)
        self.ticker = Ticker(asyncio.get_running_loop())
        self.admission = Admission(settings, self.ticker.lateness)
        self.voice_model = make_voice_model(settings.turns.second_stage, asyncio.get_running_loop())
        self.turn_model = make_turn_model(settings.turns.model, asyncio.get_running_loop())
        voices = settings.resolved("tts")
        self.clips = Clips(Path(settings.store.data_dir) / "clips", f"{voices.base_url} {voices.model}")
        self.waits = Recent(USUAL_OF)
        self.uploads = Uploads()
        self.draining = False
        self.arrivals = 0  # connections whose call has not begun
        self._sessions: dict[str, Session] = {}  # by resume token
        self._guests: dict[str, Guest] = {}  # whose connection is gone and whose call is not, by resume token
        self._runs: set[asyncio.Task[None]] = set()
        self._clip_task: asyncio.Task[None] | None = None
        self._recovery: asyncio.Task[int] | None = None

    @property
    def calls(self) -> int:
        """Calls in progress."""
        return len(self._sessions)

    def start(self) -> None:
        """Begin to make the personas' clips and to deliver records; calls may come at once."""
        if self.keeping is not None:
            self.keeping.start()
            # Not on virtual time, where nothing is kept and a loop cannot be late.
            self.watch = LoopWatch()
        self._recovery = asyncio.get_running_loop().create_task(
            recover_tools(Path(self.settings.store.data_dir), self.personas), name="tools of killed calls"
        )
        self._make_clips()

    def _make_clips(self) -> None:
        self._clip_task = asyncio.get_running_loop().create_task(
            self.clips.make(self.providers.tts, self.personas.values()), name="clips"
        )

    def reload_personas(self) -> None:
        """Read the persona files again, for calls that begin from now on. A mistake leaves all as it was."""
        try:
            self.personas = load_personas(self.settings)
        except ConfigError as error:
            log.error("personas are not reloaded: %s", error)
            return
        self._versions = _versions(self.personas)
        log.info("%d personas reloaded", len(self.personas))
        if self._clip_task is None or self._clip_task.done():
            self._make_clips()

    def leave(self, guest: Guest, session: Session | None) -> None:
        """A guest's connection is gone; he counts at the door until his call is over."""
        if session is not None and self._sessions.get(session.resume_token) is session:
            self._guests[session.resume_token] = guest
        else:
            self.door.leave(guest)

    def admit(self) -> None:
        """Raise GatewayFull when no further connection may begin a call, and count that."""
        try:
            self.check_room()
        except GatewayFull as full:
            self.metrics.turned_away(full.limit)
            raise

    def check_room(self) -> None:
        """Raise GatewayFull when no further connection may begin a call."""
        if self.draining:
            raise GatewayFull("the gateway is shutting down", retry_after=5, limit="draining")
        self.admission.check(self.calls + self.arrivals, asyncio.get_running_loop().time())
        if wait_s := self.providers.room_for_call(self.calls + self.arrivals):
            raise GatewayFull(
                "the providers' quota holds no further call", retry_after=math.ceil(wait_s), limit="quota"
            )

    def begin(self, start: Start, line: Line, carrier: Carrier) -> Session:
        """Begin a call. Raises CarrierError for an unknown persona, or when no journal can be written."""
        name = start.persona or persona_for(self.personas, start.called) or self.settings.persona.default
        persona = self.personas.get(name)
        if persona is None:
            known = ", ".join(sorted(self.personas))
            raise CarrierError(
                "unknown_persona",
                "There is no such persona.",
                f"Known: {known}.",
                fatal=True,
                close_code=1008,
            )
        usual_ms = int(self.waits.quantile(0.95) or UNKNOWN_MS)
        call = persona.for_call(start.caller, start.called, start.metadata)
        persona = replace(persona, call=replace(call, usual_wait_ms=usual_ms))
        call_id, token = secrets.token_hex(8), secrets.token_urlsafe(24)
        path = Path(self.settings.store.data_dir) / "journals" / f"{call_id}.jsonl"
        about = about_call(
            datetime.now(UTC),
            carrier.name,
            name,
            self._versions[name],
            start.language or persona.call.language,
        )
        tape: Tape | None = None
        try:
            if self.keeping is not None:
                tape = self.keeping.begin(call_id)
            journal = Journal(path, call_id, persona.call, about, digests=self.settings.store.bundles)
        except OSError as error:
            log.error("no journal can be written in %s: %s", path.parent, error.strerror)
            raise CarrierError(
                "no_journal",
                "The gateway cannot keep this call.",
                "Try again later.",
                fatal=True,
                close_code=1011,
            ) from error
        session = Session(
            call_id,
            token,
            persona,
            start,
            providers=self.providers,
            clips=self.clips,
            journal=journal,
            ticker=self.ticker,
            voice_model=self.voice_model,
            turn_model=self.turn_model,
            waits=self.waits,
            uploads=self.uploads,
            hand_over=lambda target: self.transfer(self._sessions[token], target),
            resume_grace_s=self.settings.server.resume_grace_s,
            tape=tape,
            on_notice=self.metrics.notice,
            last_words=lambda: self._last_words(session, tape),
        )
        self._sessions[token] = session
        bundle: CallBundle | None = None
        if self.keeping is not None and self.settings.store.bundles:
            bundle = self.keeping.bundle(call_id, tape, path, about_bundle(about, persona, self.settings))
        self.metrics.begun(carrier.name)
        run = asyncio.get_running_loop().create_task(
            self._run(session, line, carrier, about, tape, bundle), name=f"call {call_id}"
        )
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)
        return session

    def _last_words(self, session: Session, tape: Tape | None) -> tuple[Notice, ...]:
        words: list[Notice] = []
        if tape is not None:
            path = f"/recordings/{session.call_id}.flac"
            words.append(Recording(self.links.sign(path, self.settings.server.link_s)))
        verdict = verdict_of(session.call_id, session.timeline, self._thresholds)
        if verdict is not None:
            words.append(Verdict(verdict.grade, verdict.reasons))
        return tuple(words)

    async def _run(
        self,
        session: Session,
        line: Line,
        carrier: Carrier,
        about: dict[str, str],
        tape: Tape | None,
        bundle: CallBundle | None,
    ) -> None:
        KEEPER.set(bundle)
        try:
            await session.run(lambda: session.attach(line, carrier))
        finally:
            self._sessions.pop(session.resume_token, None)
            if (guest := self._guests.pop(session.resume_token, None)) is not None:
                self.door.leave(guest)
            # What a client gives as its reason is a caller's word: it stays in the journal.
            reason = "caller" if session.hung_up_by_caller else session.end_reason
            log.info("call %s ended: %s", session.call_id, reason)
            if not (session.hung_up_by_caller or session.transferred):
                # Closing the stream alone does not end the telephone call everywhere.
                await self.control.hang_up(carrier.name, session.start.external_id)
            self.metrics.ended(reason, session.timeline)
            if self.traces is not None:
                await asyncio.to_thread(self.traces.ended, session.call_id, about, session.timeline, reason)
            if self.keeping is not None:
                await self.keeping.end(session.call_id, about, session.timeline, reason, tape, bundle)

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The calls in progress."""
        return tuple(self._sessions.values())

    def find(self, call_id: str) -> Session | None:
        """The call in progress with this id."""
        return next((found for found in self._sessions.values() if found.call_id == call_id), None)

    async def transfer(self, session: Session, target: str) -> bool:
        """Hand a caller over, who hears an open line meanwhile. Returns whether the carrier does."""
        session.open_line(True)
        external_id = session.start.external_id
        done = session.say_transfer(target) or await self.control.transfer(
            session.carrier_name, external_id, target
        )
        session.transferred = session.transferred or done
        if not done:
            session.open_line(False)
        return done

    def resume(self, token: str) -> Session:
        """Return the call that `token` goes on with. Raises CarrierError when it is over or unknown."""
        session = self._sessions.get(token)
        if session is None or session.ended:
            raise CarrierError(
                "unknown_resume_token", "There is no such call any more.", "Begin a new one.", fatal=True
            )
        return session

    async def drain(self) -> None:
        """Take no more calls and wait until those in progress have ended, at most `server.drain_s`."""
        self.draining = True
        if self._runs:
            log.info("draining: %d calls in progress", self.calls)
            await asyncio.wait(self._runs, timeout=self.settings.server.drain_s)

    async def end_calls(self, reason: str) -> None:
        """End all calls now and wait until nothing of them is left."""
        self.draining = True
        for session in list(self._sessions.values()):
            session.finish(reason)
        if self._runs:
            await asyncio.wait(self._runs)

    async def close(self) -> None:
        """End what is left and release everything."""
        await self.end_calls("shutdown")
        background = [task for task in (self._clip_task, self._recovery) if task is not None]
        for task in background:
            task.cancel()
        if background:
            await asyncio.wait(background)
        self.ticker.close()
        if self.voice_model is not None:
            self.voice_model.close()
        if self.turn_model is not None:
            self.turn_model.close()
        if self.watch is not None:
            self.watch.close()
        if self.traces is not None:
            await asyncio.to_thread(self.traces.close)
        if self.keeping is not None:
            await self.keeping.close()
        await self.control.aclose()
        await self.providers.aclose()


def _traces(settings: Settings) -> Traces | None:
    if not settings.log.traces:
        return None
    llm = settings.resolved("llm")
    return Traces(settings.log.traces, model=llm.model, provider=urlsplit(llm.base_url).hostname or "")


def _versions(personas: dict[str, Persona]) -> dict[str, str]:
    """Return a word for what each persona really was: its file and the settings that it was read with."""
    return {
        name: hashlib.sha256(repr(persona).encode()).hexdigest()[:12] for name, persona in personas.items()
    }
