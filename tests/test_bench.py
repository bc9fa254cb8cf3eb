"""The benchmark: its parts by themselves, and one quick run of everything. No figure is judged here."""

import asyncio
import io
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from voicegw.audio.pcm import FRAME_BYTES, SILENT_FRAME
from voicegw.bench.caller import BINARY, TEXT, Caller, Notes
from voicegw.bench.figures import (
    BENCH,
    Bench,
    Load,
    Machine,
    Round,
    Row,
    Spread,
    VirtualSpeed,
    both,
    read_bench,
    spread,
)
from voicegw.bench.first_sentence import first_sentences
from voicegw.bench.material import CYCLE_FRAMES, RECORDING, ROOM_RMS, cycle, last_sound, message
from voicegw.bench.policy_cost import policy_costs
from voicegw.bench.report import MOST_POLICY_MS, print_bench
from voicegw.bench.virtual import replay_speed
from voicegw.call.ear import Ear
from voicegw.call.events import VoiceActivity
from voicegw.call.sentences import FIRST_WORDS
from voicegw.cli.bench import run_bench, run_carrier_bench, run_flood_bench, run_records_bench
from voicegw.errors import ConfigError

needs_two_cores = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2,
    reason="the benchmark wants Linux and two cores",
)


def a_load(cpu_ms: float, client_late_ms: float = 0.5, **trouble: int) -> Load:
    late = Spread(1000, 0.1, 0.2, client_late_ms)
    return Load(10, "talking", 16.0, cpu_ms, 100.0, 90.0, late, late, late, late, 20, 3600, dict(trouble))


def a_bench(*rounds: Round) -> Bench:
    machine = Machine("a processor", 2, "6.0", "3.11", {})
    return Bench(
        "2026-01-01T00:00:00+00:00", False, machine, [Row(10, list(rounds))], VirtualSpeed(60, 0.2, 7, 7)
    )


def a_round(floor_ms: float, talking_ms: float, client_late_ms: float = 0.5) -> Round:
    return Round(a_load(floor_ms), a_load(floor_ms), a_load(floor_ms), a_load(talking_ms, client_late_ms))


def printed(bench: Bench, before: Bench | None = None) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    print_bench(bench, before, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# The material


def test_the_callers_speak_one_turn_of_real_speech_in_each_cycle() -> None:
    """If the ear heard two turns, or none, the load would not be the one that the figures are told for."""
    frames = cycle(RECORDING)
    assert len(frames) == CYCLE_FRAMES
    assert {len(frame) for frame in frames} == {FRAME_BYTES}
    ear = Ear()
    for frame in frames[-100:]:
        ear.hear(frame, 0)
    began = ear.position
    heard = [event for at, frame in enumerate(frames) for event in ear.hear(frame, at * 20_000)]
    ends = [e.at_sample - began for e in heard if isinstance(e, VoiceActivity) and not e.speaking]
    # The last silence is the one that ends the turn; a breath before it may be heard as a pause.
    assert 1.8 <= ends[-1] / 16_000 <= 2.7
    assert abs(ends[-1] // 320 - last_sound(frames)) <= 25


def test_a_quiet_room_is_not_digital_silence() -> None:
    """Zeros are cheaper to judge than any telephone line: a benchmark on zeros would flatter."""
    room = cycle(None)
    assert SILENT_FRAME not in room
    assert last_sound(room) == 0
    assert ROOM_RMS > 33


@pytest.mark.parametrize("name", ["missing.wav", "README.md"])
def test_a_recording_that_cannot_be_used_is_named(name: str, tmp_path: Path) -> None:
    """The recording is not part of the package, so this is what a bare installation meets."""
    (tmp_path / "README.md").write_text("no sound")
    with pytest.raises(ConfigError, match=name):
        cycle(tmp_path / name)


# The caller


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        """Nothing is held."""


def server_message(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    head = bytes([length]) if length < 126 else bytes([126]) + length.to_bytes(2, "big")
    return bytes([0x80 | opcode]) + head + payload


async def test_messages_are_understood_wherever_the_network_cuts_them() -> None:
    """A caller that lost count of the frames would report lateness that never was."""
    event = json.dumps(
        {"type": "speech_started", "reply_id": 1, "kind": "reply"}, separators=(",", ":")
    ).encode()
    stream = b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + server_message(TEXT, event)
    stream += server_message(BINARY, SILENT_FRAME) * 3
    for size in (1, 7, 639, len(stream)):
        notes = Notes(on=True)
        caller = Caller("/v1/call", notes, [], 0, 700)
        caller.connection_made(Wire())
        for at in range(0, len(stream), size):
            caller.data_received(stream[at : at + size])
        assert caller.open.done()
        assert notes.frames == 3
        assert not notes.trouble


async def test_what_should_not_happen_is_counted() -> None:
    """Figures of calls that failed are worth nothing: the report must be able to say so."""
    notes = Notes()
    caller = Caller("/v1/call", notes, [], 0, 700)
    caller.connection_made(Wire())
    caller.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    caller.data_received(server_message(TEXT, b'{"type":"error","code":"bad_audio","message":"","hint":""}'))
    caller.data_received(
        server_message(TEXT, b'{"type":"rung","rung":"apology","text":"","reason":"too_slow"}')
    )
    caller.connection_lost(None)
    assert notes.trouble == {"error: bad_audio": 1, "rung: too_slow": 1, "connection lost": 1}


async def test_a_refused_connection_says_why() -> None:
    """A gateway that is full refuses before the upgrade."""
    caller = Caller("/v1/call", Notes(), [], 0, 700)
    caller.connection_made(Wire())
    caller.data_received(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
    with pytest.raises(ConnectionError, match="503"):
        await caller.open


def test_a_clients_message_is_masked_and_says_its_length() -> None:
    """Servers close the connection over an unmasked message (RFC 6455 section 5.1)."""
    assert message(TEXT, b"hi") == b"\x81\x82\0\0\0\0hi"
    assert message(BINARY, SILENT_FRAME)[:4] == b"\x82\xfe\x02\x80"


# The figures


def test_percentiles_are_of_the_nearest_rank() -> None:
    """An average of two neighbours would hide the one late frame of a short run."""
    assert spread([]) is None
    assert spread([5.0]) == Spread(1, 5.0, 5.0, 5.0)
    assert spread(list(range(100))) == Spread(100, 50, 95, 99)


def test_rounds_of_a_late_client_do_not_count() -> None:
    """A client that is late measures itself."""
    bench = a_bench(a_round(1.0, 1.4), a_round(1.0, 9.0, client_late_ms=7.0), a_round(1.0, 1.6))
    assert bench.sound
    assert [one.talking_ratio for one in bench.rows[0].sound_rounds] == [1.4, 1.6]
    assert "only 2 of 3 rounds count" in printed(bench)
    assert "void" in printed(bench)
    assert not a_bench(a_round(1.0, 9.0, client_late_ms=7.0)).sound


def test_trouble_in_a_call_spoils_the_figures() -> None:
    """An apology is cheap to play: a gateway that fails must not look fast."""
    one = a_round(1.0, 1.4)
    failed = Round(one.silent_floor, one.echo_floor, one.idle, a_load(1.4, connection_lost=3))
    bench = a_bench(failed)
    assert not bench.sound
    assert "connection_lost, 3 times" in printed(bench)


def test_a_floor_is_what_it_cost_before_and_behind_the_gateway() -> None:
    """A machine that grows slower between two measurements would flatter, or blame, what comes second."""
    floor = both(a_load(0.8), a_load(1.0, client_late_ms=6.0, refused=2))
    assert floor.cpu_ms == pytest.approx(0.9)
    assert floor.void
    assert floor.trouble == {"refused": 2}
    assert not both(a_load(0.8), a_load(1.0)).void


def test_a_call_that_broke_off_on_virtual_time_spoils_the_figures() -> None:
    """A call that ends after its first turn is fast."""
    bench = replace(a_bench(a_round(1.0, 1.4)), virtual=VirtualSpeed(60, 0.2, 7, 1))
    assert not bench.sound
    assert "1 of 7 turns were answered" in printed(bench)


def test_kept_figures_stand_beside_new_ones(tmp_path: Path) -> None:
    """Whether a change made it faster is the question that a benchmark is run for."""
    before = a_bench(a_round(1.0, 1.72))
    path = tmp_path / "before.json"
    path.write_bytes(BENCH.dump_json(before))
    assert read_bench(path) == before
    table = printed(a_bench(a_round(1.0, 1.41)), read_bench(path))
    ratios = [line for line in table.splitlines() if "ratio" in line]
    assert "1.41" in ratios[1]
    assert "1.72" in ratios[1]


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", '{"at": "today"}'])
def test_a_file_without_figures_is_refused_before_anything_is_measured(content: str, tmp_path: Path) -> None:
    """A mistyped name must not cost ten minutes."""
    path = tmp_path / "figures.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"figures\.json"):
        run_bench([5], against=path)
    with pytest.raises(ConfigError, match=r"missing\.json"):
        run_bench([5], against=tmp_path / "missing.json")
    with pytest.raises(ConfigError, match="--calls 0"):
        run_bench([0])
    with pytest.raises(ConfigError, match="--save"):
        run_bench([5], save=tmp_path / "nowhere" / "figures.json")


# The whole


def test_a_call_runs_on_virtual_time(caplog: pytest.LogCaptureFixture) -> None:
    """Each cycle is one exchange, whatever the machine is doing: nothing waits, is missed or looks wrong."""
    found = replay_speed(RECORDING, turns=3)
    assert not caplog.messages
    assert found.answers == found.turns == 3
    assert 23.9 < found.call_s <= 24.0
    assert found.times > 0


def test_the_first_sentence_is_at_tts_within_words_of_the_first_token() -> None:
    """Whatever the reply: the word limit of the first piece bounds it; a short sentence needs less."""
    for found in first_sentences():
        assert found.ms.n == found.replies
        # A word more is needed to see that the limit is reached.
        assert 0 < found.ms.p50 <= found.ms.p99 <= FIRST_WORDS * 1000 / found.tokens_s


def test_the_request_policy_is_cheap_on_a_good_request() -> None:
    """Below 0.2 ms of CPU; a loaded machine makes both ways slower, so only the order is asserted tightly."""
    found = policy_costs()
    assert [cost.stage for cost in found] == ["stt", "llm", "tts"]
    for cost in found:
        assert cost.request_ms > 0
        assert cost.policy_ms < MOST_POLICY_MS


@pytest.mark.alone
@needs_two_cores
def test_a_quick_run_measures_everything(tmp_path: Path) -> None:
    """Gateway, floor, provider and callers really work together, on the event loop of production."""
    before = os.sched_getaffinity(0)
    path = tmp_path / "figures.json"
    console = Console(file=io.StringIO(), width=200, highlight=False)
    run_bench([5], quick=True, save=path, console=console)
    assert os.sched_getaffinity(0) == before
    bench = read_bench(path)
    (one,) = bench.rows[0].rounds
    assert bench.quick
    assert [load.calls for load in one.loads] == [5] * 4
    assert all(load.cpu_ms > 0 for load in one.loads)
    assert not any(load.trouble for load in one.loads)
    # Each caller was answered once, by three sentences of 1.2 s.
    assert one.talking.turns == 5
    assert one.talking.frames > 5 * 60
    assert one.talking.added is not None
    assert one.talking.late is not None
    assert one.talking.first_sentence is not None
    assert one.talking.first_sentence.n >= 5
    assert [first.language for first in bench.first_sentences] == ["vi", "en"]
    assert len(bench.policy) == 3
    assert one.idle.turns == 0
    assert isinstance(console.file, io.StringIO)
    assert "ratio to the floor" in console.file.getvalue()
    assert "First token to first sentence at TTS (vi, 47 tokens/s" in console.file.getvalue()


@pytest.mark.alone
def test_a_carriers_calls_are_measured_beside_native_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """What a wire format costs is a figure, not a belief; the callers behind it must really talk and hear."""
    run_carrier_bench("twilio", 3, quick=True, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["ratio"] > 0
    for load in (*found["native"], *found["other"]):
        assert load["frames"] > 100
        assert load["trouble"] == {}
    with pytest.raises(ConfigError, match="twilio"):
        run_carrier_bench("telegraph", 3)


@pytest.mark.alone
def test_everything_on_is_measured_beside_nothing_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """Calls come and go meanwhile, all are let in by their token, and the metrics are fetched."""
    run_records_bench(6, quick=True, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == "everything on"
    assert found["ratio"] > 0
    for load in (*found["native"], *found["other"]):
        assert load["frames"] > 100
        assert load["trouble"] == {}


@pytest.mark.alone
def test_calls_are_measured_while_a_client_floods(capsys: pytest.CaptureFixture[str]) -> None:
    """The flood is real, it is cut again and again, and the calls beside it are heard and answered."""
    run_flood_bench(4, quick=True, as_json=True)
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    told = r"(\d+) malformed messages in (\d+) s, (\d+) sent over (\d+) connections; cut (\d+) times"
    meant, for_s, sent, connections, cut = map(int, re.findall(told, printed.err)[-1])
    # Not much less than it was told, and never more.
    assert 0.5 < meant / for_s / 10_000 <= 1
    assert 1000 < sent <= meant
    # It comes back, and then it has to wait.
    assert 3 <= cut <= connections < 30
    for load in (*found["native"], *found["other"]):
        assert load["frames"] > 100
        assert load["trouble"] == {}
