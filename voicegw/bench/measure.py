"""Running the benchmark: which servers, which loads, in which order.

Servers run alone on one core, the load and the provider on the others; each load gets a server of its own,
so that no figure depends on what was measured before it.
"""

import contextlib
import importlib.metadata
import os
import platform
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from voicegw.bench.carrier import PATHS, Beside, beside
from voicegw.bench.figures import LOAD, Bench, Capacity, Load, Machine, Round, Row, both
from voicegw.bench.first_sentence import first_sentences
from voicegw.bench.flood import Flooding
from voicegw.bench.hearing_cost import Hearing, hearing_cost
from voicegw.bench.load import LoadOrder, order_fields
from voicegw.bench.policy_cost import policy_costs
from voicegw.bench.processes import Child, cores
from voicegw.bench.virtual import replay_speed
from voicegw.config import DoorSettings, TurnSettings
from voicegw.server.tokens import issue

# Past this lateness of an agent frame (p99) a core is full: a frame has lost its own length.
CAPACITY_LATE_MS = 20.0
# The search for the capacity ends when two steps are this near to each other.
NEAR = 0.12
# What is compared with a gateway that keeps nothing: records, recordings, metrics that are fetched, tokens.
EVERYTHING = "everything on"
FLOODED = "under a flood"
VOICE_MODEL = "with silero"
# As deploy/prometheus.yml has it.
SCRAPE_S = 10.0
TOKEN_S = 3600.0
PACKAGES = ("uvicorn", "uvloop", "websockets", "webrtcvad-wheels", "aiohttp", "openai")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each load lasts, in seconds. Talking needs whole cycles of 8 s to be steady.

    Calls that come and go live for two minutes, so that what a call costs at its end is in the figure.
    """

    quick: bool
    rounds: int
    quiet_s: float
    spread_s: float
    settle_s: float
    window_s: float
    life_s: float  # of calls that come and go


FULL = Plan(quick=False, rounds=3, quiet_s=6.0, spread_s=8.0, settle_s=4.0, window_s=16.0, life_s=120.0)
# One answer of every call, and nothing that could be called steady.
QUICK = Plan(quick=True, rounds=1, quiet_s=0.5, spread_s=0.5, settle_s=0.0, window_s=5.0, life_s=24.0)


class Bencher:
    """Measures with one plan and one recording. `tell` is given a line about each step."""

    def __init__(self, plan: Plan, speech: Path, tell: Tell, profile: Path | None = None) -> None:
        self._plan = plan
        self._speech = speech
        self._tell = tell
        self._profile = profile
        self._server_core, self._other_cores = cores()

    def row(self, calls: int) -> Row:
        """Measure gateway and floor at one number of calls."""
        return Row(calls, [self._round(calls) for _ in range(self._plan.rounds)])

    def _round(self, calls: int) -> Round:
        # The floor is measured before and behind the gateway: what the machine does meanwhile meets both.
        silent = self._floor("/silent", calls, talking=False)
        idle = self._gateway(calls, talking=False)
        silent = both(silent, self._floor("/silent", calls, talking=False))
        echo = self._floor("/echo", calls, talking=True)
        talking = self._gateway(calls, talking=True)
        echo = both(echo, self._floor("/echo", calls, talking=True))
        return Round(silent, echo, idle, talking)

    def capacity(self, first: int) -> Capacity:
        """Search for the most calls that one core holds: double until it breaks, then halve the gap."""
        steps: list[Load] = []
        good, broken = 0, 0
        calls = first
        limited_by_client = False
        while not broken or (broken - good) > NEAR * broken:
            load = self._gateway(calls, talking=True)
            steps.append(load)
            full = load.late is None or load.late.p99 > CAPACITY_LATE_MS or bool(load.trouble)
            if load.void or full:
                broken = calls
                limited_by_client = load.void
                # Below the first number there is nothing to search.
                if not good:
                    break
                calls = (good + broken) // 2
            else:
                good = calls
                calls = (good + broken) // 2 if broken else calls * 2
        return Capacity(good, "client" if limited_by_client else "gateway", CAPACITY_LATE_MS, steps)

    def _floor(self, path: str, calls: int, *, talking: bool) -> Load:
        self._tell(f"{calls} calls at the bare server, {path.removeprefix('/')}")

        def once() -> Load:
            with Child("voicegw.bench.floor", {}, self._server_core) as server:
                return self._load(server, path, calls, talking=talking, answers=False)

        return _repeated(once, self._tell)

    def carrier(self, name: str, calls: int) -> Beside:
        """Measure talking calls of a carrier and of the native protocol, in turns."""
        native: list[Load] = []
        other: list[Load] = []
        for _ in range(self._plan.rounds):
            native.append(self._gateway(calls, talking=True))
            other.append(self._gateway(calls, talking=True, carrier=name))
        return beside(name, calls, native, other)

    def voice_model(self, calls: int) -> Beside:
        """Measure talking calls with the second voice detector and without, in turns."""
        alone: list[Load] = []
        both: list[Load] = []
        for _ in range(self._plan.rounds):
            alone.append(self._gateway(calls, talking=True))
            both.append(self._gateway(calls, talking=True, voice_model=True))
        return beside(VOICE_MODEL, calls, alone, both)

    def _gateway(
        self, calls: int, *, talking: bool, carrier: str = "native", voice_model: bool = False
    ) -> Load:
        what = f"{'talking' if talking else 'idle'}{', ' + VOICE_MODEL if voice_model else ''}"
        self._tell(f"{calls} {carrier} calls at the gateway, {what}")

        def once() -> Load:
            with self._running_gateway(calls, profiled=talking, voice_model=voice_model) as server:
                return self._load(
                    server, PATHS[carrier], calls, talking=talking, answers=True, carrier=carrier
                )

        return _repeated(once, self._tell)

    def flooded(self, calls: int, messages_s: int) -> Beside:
        """Measure talking calls while another client floods the gateway, and while none does."""
        alone: list[Load] = []
        flooded: list[Load] = []
        for _ in range(self._plan.rounds):
            alone.append(self._gateway(calls, talking=True))
            flooded.append(self._beside_flood(calls, messages_s))
        return beside(FLOODED, calls, alone, flooded)

    def _beside_flood(self, calls: int, messages_s: int) -> Load:
        self._tell(f"{calls} native calls at the gateway, {FLOODED}")
        plan = self._plan

        def once() -> Load:
            with self._running_gateway(calls, profiled=False) as server:
                port = server.said()["port"]
                for_s = plan.spread_s + plan.settle_s + plan.window_s + 2
                order = {"port": port, "for_s": for_s, "messages_s": messages_s}
                with Child("voicegw.bench.flood", order, self._other_cores) as flood:
                    load = self._load(server, PATHS["native"], calls, talking=True, answers=True, port=port)
                    done = Flooding(**flood.said())
            self._tell(
                f"{done.meant} malformed messages in {for_s:.0f} s, {done.sent} sent over "
                f"{done.connections} connections; cut {done.cut} times"
            )
            return load

        return _repeated(once, self._tell)

    def everything_on(self, calls: int) -> Beside:
        """Measure talking calls with everything on that an operator may want, and with nothing kept."""
        plain: list[Load] = []
        whole: list[Load] = []
        for _ in range(self._plan.rounds):
            plain.append(self._renewed(calls, kept=False))
            whole.append(self._renewed(calls, kept=True))
        return beside(EVERYTHING, calls, plain, whole)

    def _renewed(self, calls: int, *, kept: bool) -> Load:
        self._tell(f"{calls} calls that come and go, with {EVERYTHING if kept else 'nothing kept'}")
        secret = secrets.token_urlsafe(32) if kept else ""
        door = DoorSettings(secret=secret)
        token = issue(door, "bench", ["call", "operate"], TOKEN_S) if kept else ""

        def once() -> Load:
            with self._running_gateway(calls, profiled=kept, secret=secret) as server:
                return self._load(
                    server,
                    PATHS["native"],
                    calls,
                    talking=True,
                    answers=True,
                    token=token,
                    life_s=self._plan.life_s,
                )

        return _repeated(once, self._tell)

    @contextlib.contextmanager
    def _running_gateway(
        self, calls: int, *, profiled: bool, secret: str = "", voice_model: bool = False
    ) -> Iterator[Child]:
        with (
            tempfile.TemporaryDirectory(prefix="voicegw-bench-") as folder,
            Child("voicegw.bench.provider", {}, self._other_cores) as provider,
        ):
            order = {
                "folder": folder,
                "base_url": provider.said()["base_url"],
                "calls": calls,
                "secret": secret,
                "voice_model": voice_model,
                "profile": str(self._profile.absolute()) if self._profile and profiled else "",
            }
            with Child("voicegw.bench.gateway", order, self._server_core) as server:
                yield server

    def _load(
        self,
        server: Child,
        path: str,
        calls: int,
        *,
        talking: bool,
        answers: bool,
        carrier: str = "native",
        token: str = "",
        life_s: float = 0.0,
        port: int = 0,
    ) -> Load:
        plan = self._plan
        order = LoadOrder(
            port=port or server.said()["port"],
            path=path,
            pid=server.pid,
            calls=calls,
            speech=str(self._speech) if talking else "",
            answers=answers,
            end_ms=TurnSettings().end_ms,
            # Only conversations have a rhythm that calls must be spread over.
            spread_s=plan.spread_s if talking else 0.0,
            settle_s=plan.settle_s if answers and talking else min(2.0, plan.quiet_s),
            # A floor is measured twice.
            window_s=(plan.window_s if talking else plan.quiet_s) if answers else plan.quiet_s / 2,
            carrier=carrier,
            life_s=life_s,
            token=token,
            scrape_s=SCRAPE_S if token else 0.0,
        )
        with Child("voicegw.bench.load", order_fields(order), self._other_cores) as load:
            return LOAD.validate_python(load.said())


def _repeated(once: Callable[[], Load], tell: Tell) -> Load:
    """Measure, and once more when the client was too late; a run that is void again stays void."""
    load = once()
    if not load.void:
        return load
    tell(f"the client was {load.client_late.p99:.1f} ms late (p99); once more")
    return replace(once(), repeated=True)


def measure(
    calls: Sequence[int],
    *,
    speech: Path,
    quick: bool,
    with_capacity: bool,
    tell: Tell,
    profile: Path | None = None,
) -> Bench:
    """Measure everything. Raises ConfigError, and ChildFailed when a process of the benchmark dies."""
    bencher = Bencher(QUICK if quick else FULL, speech, tell, profile)
    rows = [bencher.row(n) for n in calls]
    tell("a call on virtual time")
    virtual = replay_speed(speech, turns=5 if quick else 50)
    tell("first sentences on virtual time")
    first = first_sentences()
    tell("the request policy")
    policy = policy_costs()
    capacity = bencher.capacity(max(calls)) if with_capacity else None
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Bench(at, quick, machine(), rows, virtual, capacity, first, policy)


def machine() -> Machine:
    """Describe this machine."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return Machine(cpu, os.cpu_count() or 1, platform.release(), platform.python_version(), versions)


def measure_carrier(name: str, calls: int, *, speech: Path, quick: bool, tell: Tell) -> Beside:
    """Measure what a carrier's calls cost beside native ones. Raises ConfigError, ChildFailed."""
    return Bencher(QUICK if quick else FULL, speech, tell).carrier(name, calls)


def measure_everything_on(
    calls: int, *, speech: Path, quick: bool, tell: Tell, profile: Path | None = None
) -> Beside:
    """Measure what records, recordings, metrics and tokens cost together. Raises ConfigError, ChildFailed."""
    return Bencher(QUICK if quick else FULL, speech, tell, profile).everything_on(calls)


def measure_flooded(calls: int, messages_s: int, *, speech: Path, quick: bool, tell: Tell) -> Beside:
    """Measure what a client that floods costs the others. Raises ConfigError, ChildFailed."""
    return Bencher(QUICK if quick else FULL, speech, tell).flooded(calls, messages_s)


def measure_voice_model(
    calls: int, *, speech: Path, quick: bool, tell: Tell, profile: Path | None = None
) -> Hearing:
    """Measure what hearing costs: the ear beside the least there is, the second detector beside none.

    Raises ConfigError, ChildFailed.
    """
    model = Bencher(QUICK if quick else FULL, speech, tell, profile).voice_model(calls)
    tell("the ear alone")
    return Hearing(hearing_cost(), model)
