"""The recorded caller: reading recordings, when it speaks, how it listens, and whole calls."""

import asyncio
import json
import math
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from gateways import running_gateway, settings_for
from rich.console import Console
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from voicegw.audio.pcm import FRAME_BYTES, FRAME_MS, SAMPLE_RATE_HZ, SILENT_FRAME
from voicegw.carriers.base import Message, PlayedReport
from voicegw.cli.view import ConversationView, JsonView, gap_lines, summary
from voicegw.config import TurnSettings
from voicegw.errors import ConfigError, GatewayFull
from voicegw.rehearsal.channel import Channel
from voicegw.rehearsal.clock import run_virtual
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.script import Script
from voicegw.replay.caller import Conversation, GatewayUnreachable, Happening, LiveCaller, call_address
from voicegw.replay.pacing import RecordedCaller
from voicegw.replay.playout import Playout
from voicegw.replay.recording import Stretch, read_recording, split, write_stereo
from voicegw.server.front import make_gateway

SAMPLE = Path(__file__).parents[1] / "samples" / "order-status.wav"
FRAMES_A_SECOND = 1000 // FRAME_MS
LOUD_FRAME = b"\x00\x10" * (FRAME_BYTES // 2)


@pytest.fixture(scope="module")
def recording() -> bytes:
    return read_recording(SAMPLE)


def seconds(pcm: bytes, begin: float, end: float) -> bytes:
    return pcm[round(begin * SAMPLE_RATE_HZ) * 2 : round(end * SAMPLE_RATE_HZ) * 2]


def loudness(pcm: bytes) -> float:
    return float(np.abs(np.frombuffer(pcm, "<i2").astype(float)).mean()) if pcm else 0.0


# Recordings


def tone(rate_hz: int, hz: float, n_seconds: float = 1.0) -> "np.typing.NDArray[np.float64]":
    return 0.5 * np.sin(2 * math.pi * hz * np.arange(round(rate_hz * n_seconds)) / rate_hz)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_any_rate_and_any_number_of_channels_is_read(tmp_path: Path, suffix: str) -> None:
    """Call centres keep recordings in every form; the first channel is the caller in most."""
    path = tmp_path / f"call.{suffix}"
    caller, agent = tone(44100, 440), 0.1 * tone(44100, 1000)
    soundfile.write(path, np.stack([caller, agent], axis=1), 44100)
    pcm = read_recording(path)
    assert len(pcm) % FRAME_BYTES == 0
    assert len(pcm) / 2 == pytest.approx(SAMPLE_RATE_HZ, abs=2500)  # MP3 pads at both ends
    middle = np.frombuffer(seconds(pcm, 0.3, 0.7), "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.argmax(spectrum) * SAMPLE_RATE_HZ / len(middle) == pytest.approx(440, abs=5)
    assert middle.std() == pytest.approx(0.5 * 32768 / math.sqrt(2), rel=0.1)


def test_mixing_takes_all_channels(tmp_path: Path) -> None:
    """In some recordings nobody knows which channel the caller is on."""
    path = tmp_path / "call.wav"
    soundfile.write(path, np.stack([tone(16000, 440), np.zeros(16000)], axis=1), 16000)
    assert loudness(read_recording(path, mix=True)) == pytest.approx(
        loudness(read_recording(path)) / 2, rel=0.01
    )


def test_a_file_that_is_no_audio_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ffmpeg the message must say what would help."""
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "call.m4a"
    path.write_bytes(b"not audio" * 100)
    with pytest.raises(ConfigError, match=r"call\.m4a.*needs ffmpeg \(apt-get install ffmpeg\)"):
        read_recording(path)
    with pytest.raises(ConfigError, match="there is no such file"):
        read_recording(tmp_path / "other.wav")


def test_the_sample_call_has_a_stretch_for_each_turn(recording: bytes) -> None:
    """Commas within a turn must not part it, and no turn may be missed."""
    stretches = split(recording)
    assert len(stretches) == 5
    assert [s.gap * FRAME_MS > 1000 for s in stretches] == [False, True, True, True, True]
    for stretch in stretches:
        outside = recording[: stretch.start * FRAME_BYTES][-5 * FRAME_BYTES :]
        assert loudness(outside) < 100, "a word begins before the stretch"


def test_a_voice_from_the_first_frame_on_belongs_to_the_first_stretch(recording: bytes) -> None:
    """Cut recordings begin in the middle of a word; the detector's warm-up must not swallow it."""
    first = split(recording)[0]
    begins_at_once = recording[(first.voice_from + 2) * FRAME_BYTES :]
    assert split(begins_at_once)[0].voice_from <= 5


def test_silence_has_no_stretch() -> None:
    """It is still a call that can be played, only without anyone talking."""
    assert split(SILENT_FRAME * 200) == ()


def test_both_sides_stand_on_one_time_line(tmp_path: Path) -> None:
    """Caller left, agent right: whoever listens hears who cuts in on whom."""
    path = tmp_path / "new" / "call.wav"
    write_stereo(path, LOUD_FRAME * 10, SILENT_FRAME * 5 + LOUD_FRAME * 2)
    samples, rate_hz = soundfile.read(path, dtype="int16")
    assert rate_hz == SAMPLE_RATE_HZ
    assert samples.shape == (10 * 320, 2)
    assert (samples[:, 0] == 0x1000).all()
    assert np.flatnonzero(samples[:, 1])[[0, -1]].tolist() == [5 * 320, 7 * 320 - 1]


# Listening


def test_what_was_played_is_reported_every_200_ms_and_at_the_mark() -> None:
    """The gateway's account of what was heard depends on it."""
    playout = Playout()
    playout.began(7)
    playout.hear(LOUD_FRAME * 25)
    playout.mark(7)
    reports = []
    for _ in range(26):
        assert playout.frame()
        reports += playout.reports()
    assert reports == [PlayedReport(7, 10 * 320), PlayedReport(7, 20 * 320), PlayedReport(7, 25 * 320)]


def test_a_pause_keeps_what_is_there_and_tells_how_far_it_came() -> None:
    """A cough holds the agent up for a moment; nothing of the sentence may be lost."""
    playout = Playout()
    playout.began(1)
    playout.hear(LOUD_FRAME * 3)
    assert playout.frame() == LOUD_FRAME
    playout.pause()
    assert playout.reports() == [PlayedReport(1, 320)]
    assert [playout.frame() for _ in range(50)] == [SILENT_FRAME] * 50
    playout.resume()
    assert [playout.frame() for _ in range(3)] == [LOUD_FRAME, LOUD_FRAME, SILENT_FRAME]


def test_cleared_audio_is_never_played_and_never_reported() -> None:
    """The model's history would hold words that the caller did not hear."""
    playout = Playout()
    playout.began(1)
    playout.hear(LOUD_FRAME * 10)
    playout.mark(1)
    playout.frame()
    playout.clear()
    playout.began(2)
    playout.hear(LOUD_FRAME)
    assert [playout.frame() for _ in range(2)] == [LOUD_FRAME, SILENT_FRAME]
    assert playout.reports() == []
    assert playout.heard == {1: 320, 2: 320}


def test_messages_of_any_length_are_played_without_a_gap() -> None:
    """Other gateways send other frame sizes."""
    playout = Playout()
    for at in range(0, len(LOUD_FRAME) * 3, 200):
        playout.hear((LOUD_FRAME * 3)[at : at + 200])
    assert [playout.frame() for _ in range(3)] == [LOUD_FRAME] * 3


# When the caller speaks


def two_stretches(**options: bool) -> RecordedCaller:
    """Voice at 1.0-2.0 s and at 6.0-7.0 s of an 8 s recording."""
    pcm = b"".join(
        LOUD_FRAME if 50 <= frame < 100 or 300 <= frame < 350 else SILENT_FRAME for frame in range(400)
    )
    return RecordedCaller(pcm, (Stretch(50, 100, 50), Stretch(300, 350, 200)), **options)


def frames_until(caller: RecordedCaller, voice: bool, most: int = 2000) -> int:
    """Take frames until one has voice, or has none; return how many were taken before."""
    for number in range(most):
        if (caller.frame(False) == LOUD_FRAME) is voice or caller.done:
            return number
    raise AssertionError("it never came")


def test_the_first_stretch_waits_for_the_end_of_the_greeting() -> None:
    """Nobody talks into a greeting, and the recording's own second of silence is kept."""
    caller = two_stretches()
    caller.agent_started()
    assert all(caller.frame(True) == SILENT_FRAME for _ in range(FRAMES_A_SECOND * 20))
    caller.agent_stopped(cut=False)
    assert frames_until(caller, True) * FRAME_MS == pytest.approx(1000, abs=2 * FRAME_MS)


def test_an_agent_without_a_greeting_is_spoken_to() -> None:
    """Otherwise both wait for ever."""
    assert frames_until(two_stretches(), True) * FRAME_MS == pytest.approx(6000, abs=2 * FRAME_MS)


def test_the_next_stretch_waits_for_the_answer_and_a_bounded_gap() -> None:
    """The recording paused 4 s for an agent that is not this one; 1.5 s is a natural breath."""
    caller = two_stretches()
    frames_until(caller, True)
    frames_until(caller, False)
    assert all(caller.frame(False) == SILENT_FRAME for _ in range(FRAMES_A_SECOND * 3))
    caller.agent_started()
    assert all(caller.frame(True) == SILENT_FRAME for _ in range(FRAMES_A_SECOND * 30))
    caller.agent_stopped(cut=False)
    assert frames_until(caller, True) * FRAME_MS == pytest.approx(1500, abs=2 * FRAME_MS)


def test_an_answer_in_two_parts_is_heard_to_its_end() -> None:
    """ "One moment." and then the answer: speaking in between would cut the agent off."""
    caller = two_stretches()
    frames_until(caller, True)
    frames_until(caller, False)
    caller.agent_started()
    caller.frame(True)
    caller.agent_stopped(cut=False)
    caller.frame(False)
    caller.agent_started()
    assert all(caller.frame(False) == SILENT_FRAME for _ in range(FRAMES_A_SECOND * 5))


def test_without_an_answer_the_caller_goes_on_after_15_s() -> None:
    """One lost answer must not hang a night of replays."""
    caller = two_stretches()
    frames_until(caller, True)
    frames_until(caller, False)
    waited = frames_until(caller, True) * FRAME_MS
    # The stretch ends 300 ms after its voice, and the gap before the next one follows.
    assert waited == pytest.approx(300 + 15_000 + 1500, abs=3 * FRAME_MS)


def test_an_interrupted_agent_still_owes_an_answer() -> None:
    """A late decision to be interrupted is no answer to what was said."""
    caller = two_stretches()
    caller.agent_started()
    for _ in range(10):
        caller.frame(True)
    caller.agent_stopped(cut=False)
    frames_until(caller, True)
    caller.agent_started()
    frames_until(caller, False)
    caller.agent_stopped(cut=True)
    assert all(caller.frame(False) == SILENT_FRAME for _ in range(FRAMES_A_SECOND * 10))


def test_absolute_keeps_the_recorded_times() -> None:
    """For recordings in which the caller cuts in: what the agent does changes nothing."""
    caller = two_stretches(absolute=True)
    caller.agent_started()
    said = [caller.frame(True) == LOUD_FRAME for _ in range(400)]
    assert [number for number, voice in enumerate(said) if voice] == [*range(50, 100), *range(300, 350)]
    assert caller.talked == 2


# Whole calls, on virtual time


class InMemory:
    """A connection to a real gateway, without a socket."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self.channel: Channel | None = None
        self.sent: list[Message] = []

    async def send(self, message: Message) -> None:
        assert self.channel is not None
        self.sent.append(message)
        self.channel.to_gateway(message)

    async def recv(self) -> Message:
        message = await self._messages.get()
        if message is None:
            raise ConnectionClosedOK(None, None)
        return message

    def message(self, message: Message) -> None:
        self._messages.put_nowait(message)

    def closed(self, code: int, reason: str) -> None:
        self._messages.put_nowait(None)

    def played(self) -> list[dict[str, int]]:
        """What this end said that it has played."""
        events = [json.loads(message) for message in self.sent if isinstance(message, str)]
        return [event for event in events if event["type"] == "played"]


def rehearse(
    folder: Path, pcm: bytes, script: Script, *, absolute: bool = False, **overrides: str
) -> tuple[Conversation, InMemory]:
    """Let the recording call a real gateway over the scripted provider."""

    async def call() -> tuple[Conversation, InMemory]:
        gateway = await make_gateway(settings_for(folder, **overrides), ScriptedProvider(script))
        connection = InMemory()
        connection.channel = Channel(gateway, connection)
        try:
            return await LiveCaller(pcm, absolute=absolute).converse(connection), connection
        finally:
            await gateway.close()

    return run_virtual(call())


def test_a_recording_is_a_conversation(tmp_path: Path, recording: bytes) -> None:
    """Every turn is understood once, answered once and heard; then the caller hangs up."""
    script = Script(stt=("One.", "Two.", "Three.", "Four.", "Five."), llm=("All right, I see.",), stt_ms=150)
    conversation, connection = rehearse(tmp_path, recording, script)
    assert conversation.missing() == []
    assert len(conversation.final_transcripts) == 5
    assert conversation.events("hangup")[-1]["reason"] == "caller"
    assert [heard.gap_ms is not None for heard in conversation.heard] == [True] * 5
    # The transcript is there when the pause that ends the turn is over.
    usual_ms = TurnSettings().end_ms - 40
    assert all(heard.gap_ms == pytest.approx(usual_ms, abs=60) for heard in conversation.heard)
    assert len(conversation.caller) == len(conversation.agent)
    # Every sentence was reported to its end.
    ends = {event["speech_id"]: event["samples"] for event in connection.played()}
    assert sorted(ends) == [1, 2, 3, 4, 5, 6]
    assert ends[2] == round(len("All right, I see.") * 60 * 16 / 320) * 320


def test_nobody_is_cut_off_when_the_caller_waits(tmp_path: Path, recording: bytes) -> None:
    """On the recording the two sides never sound together."""
    conversation, _ = rehearse(
        tmp_path, recording, Script(stt=("one",), llm=("A rather long answer to it.",))
    )
    assert not any(event["cut"] for event in conversation.events("speech_stopped"))
    sides = [
        np.frombuffer(side, "<i2").reshape(-1, 320) for side in (conversation.caller, conversation.agent)
    ]
    caller, agent = (np.abs(side.astype(np.int32)).max(axis=1) > 500 for side in sides)
    assert not (caller & agent).any()


def test_an_interruption_is_absent_from_the_recording(tmp_path: Path, recording: bytes) -> None:
    """The agent's track holds what was heard: it falls silent soon after the caller cuts in."""
    long_answer = "This is a very long answer indeed, and it would go on for quite some time."
    script = Script(stt=("one", "two"), llm=(long_answer,), speech_ms=lambda text: 12_000)
    call = recording[: split(recording)[1].end * FRAME_BYTES]
    conversation, _ = rehearse(tmp_path, call, script, absolute=True)
    cut = [event for event in conversation.events("speech_stopped") if event["cut"]]
    assert cut
    begin = conversation.heard[1].began_ms / 1000
    assert loudness(seconds(conversation.agent, begin - 0.3, begin)) > 500
    assert loudness(seconds(conversation.agent, begin + 0.5, begin + 1.5)) == 0


def test_an_agent_that_says_nothing_is_told_as_missing(tmp_path: Path, recording: bytes) -> None:
    """Exit code 0 must mean that somebody was answered."""
    first = split(recording)[0]
    call = recording[: (first.end + 20) * FRAME_BYTES]
    script = Script(stt=("",), llm=("Never said.",))
    conversation, _ = rehearse(tmp_path, call, script)
    assert conversation.missing() == ["no final transcript", "no answer heard"]


def test_an_apology_is_no_answer(tmp_path: Path, recording: bytes) -> None:
    """A gateway whose model is down speaks too, but does not converse."""
    call = recording[: split(recording)[1].end * FRAME_BYTES]
    conversation, _ = rehearse(tmp_path, call, Script(stt=("one",), llm=("",)))
    assert "no answer to stretch 1 of 2" in conversation.missing()


def test_a_call_that_the_gateway_ends_is_kept_as_far_as_it_went(tmp_path: Path, recording: bytes) -> None:
    """A refusal arrives as an event and a close; both must be seen."""

    async def call() -> Conversation:
        gateway = await make_gateway(settings_for(tmp_path), ScriptedProvider())
        connection = InMemory()
        connection.channel = Channel(gateway, connection)
        try:
            return await LiveCaller(recording, start={"persona": "nobody"}).converse(connection)
        finally:
            await gateway.close()

    conversation = run_virtual(call())
    assert conversation.events("error")[0]["code"] == "unknown_persona"
    assert "the gateway said unknown_persona" in conversation.missing()[-1]


class Mute:
    """The other end of something that is no gateway; `first` is all it says."""

    def __init__(self, first: str | None = None) -> None:
        self._first = first

    async def send(self, message: Message) -> None:
        """Say nothing to it."""

    async def recv(self) -> Message:
        first, self._first = self._first, None
        if first is not None:
            return first
        await asyncio.get_running_loop().create_future()
        raise AssertionError


@pytest.mark.parametrize("first", [None, '{"hello": 1}', "[]", "welcome"])
def test_something_that_is_no_gateway_is_told_as_such(recording: bytes, first: str | None) -> None:
    """A wrong URL must not end in a traceback, nor in a call without end."""
    with pytest.raises(GatewayUnreachable, match="is that a voicegw gateway"):
        run_virtual(LiveCaller(recording).converse(Mute(first)))


# Whole calls, over a socket


async def test_a_call_over_a_real_socket(tmp_path: Path, recording: bytes) -> None:
    """What the command does: one turn, answered, recorded."""
    stretch = split(recording)[3]
    turn = recording[stretch.start * FRAME_BYTES : stretch.end * FRAME_BYTES]
    script = Script(stt=("when will it arrive",), llm=("Tomorrow.",), speech_ms=lambda text: 300)
    async with running_gateway(tmp_path, script) as running:
        happenings: list[Happening] = []
        caller = LiveCaller(turn, start={"persona": "support"}, on_happening=happenings.append)
        conversation = await caller.call(running.url.removesuffix("/v1/call"))
    assert conversation.missing() == []
    assert conversation.final_transcripts == ["when will it arrive"]
    assert "Tomorrow." in conversation.agent_text
    assert list(conversation.happenings) == happenings
    assert running.gateway.calls == 0


async def test_a_full_gateway_and_an_absent_one_are_told_apart(tmp_path: Path, recording: bytes) -> None:
    """One is worth waiting for, the other is a wrong address."""
    async with running_gateway(tmp_path) as running:
        url = running.url
        running.gateway.draining = True
        with pytest.raises(GatewayFull, match="HTTP 503"):
            await LiveCaller(recording).call(url)
        with pytest.raises(GatewayUnreachable, match="HTTP 404"):
            await LiveCaller(recording).call(url.replace("/v1/call", "/other"))
    with pytest.raises(GatewayUnreachable, match="not reachable"):
        await LiveCaller(recording).call(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "127.0.0.1:8080", "ws://", "ws://host:99999/"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError, match="expected an address"):
        call_address(url)


def test_a_bare_host_means_the_usual_path() -> None:
    """Nobody remembers paths."""
    assert call_address("ws://localhost:8080") == "ws://localhost:8080/v1/call"
    assert call_address("wss://example.com/custom?x=1") == "wss://example.com/custom?x=1"


def test_a_connection_that_breaks_leaves_what_was_said(recording: bytes) -> None:
    """A gateway that is killed mid-call must not hide what happened before."""

    class Breaking(Mute):
        def __init__(self) -> None:
            super().__init__(json.dumps({"type": "ready", "call_id": "c1"}))
            self._frames: Iterator[int] = iter(range(100))

        async def send(self, message: Message) -> None:
            if next(self._frames, None) is None:
                raise ConnectionClosed(None, None)

        async def recv(self) -> Message:
            if self._first is None:
                await asyncio.sleep(2)
                raise ConnectionClosed(None, None)
            return await super().recv()

    conversation = run_virtual(LiveCaller(recording).converse(Breaking()))
    assert conversation.call_id == "c1"
    assert conversation.missing()[-1] == "the call ended after 0 of 5 stretches"


# What is shown

LATENCY = {
    "type": "latency",
    "exchange": 1,
    "end_of_turn_ms": 700,
    "transcription_ms": 210,
    "first_token_ms": 90,
    "first_sentence_ms": 30,
    "speech_ms": 170,
    "total_ms": 1200,
}


def shown(events: list[dict[str, object]], **console: object) -> str:
    out = StringIO()
    with ConversationView(Console(file=out, width=90, **console)) as view:  # type: ignore[arg-type]
        for number, event in enumerate(events):
            view.happened(Happening(number * 1000, "gateway", event))
    return out.getvalue()


def test_the_conversation_reads_as_a_dialogue() -> None:
    """Who says what, the gap and its causes before the answer; without colours in a pipe."""
    text = shown(
        [
            {"type": "voice_started", "at_ms": 0},
            {"type": "transcript", "status": "partial", "text": "where is", "reason": "", "source": "voice"},
            {"type": "transcript", "status": "final", "text": "Đơn hàng", "reason": "", "source": "voice"},
            {"type": "speech_started", "reply_id": 1, "kind": "reply"},
            LATENCY,
            {"type": "reply_text", "reply_id": 1, "speech_id": 1, "text": "Dạ vâng ạ."},
            {"type": "speech_stopped", "reply_id": 1, "heard": "Dạ", "cut": True},
            {
                "type": "transcript",
                "status": "rejected",
                "text": "",
                "reason": "too_short",
                "source": "voice",
            },
        ]
    )
    assert text.splitlines() == [
        "",
        "  0:00 caller Đơn hàng",
        "              gap 1.20 s: end of turn 700 · transcription 210 · first token 90 · first",
        "              sentence 30 · speech 170 ms",
        "  0:03 agent  Dạ vâng ạ.",
        "              interrupted after “…Dạ”",
        "",
        "  0:00 caller not taken: too short for a turn",
    ]


def test_the_bar_has_the_length_of_the_gap_and_a_part_for_each_cause() -> None:
    """The eye compares answers by it, so rounding must not add up."""
    bar, legend = gap_lines(LATENCY, colours=True)
    assert bar.plain == "━" * 30 + " 1.20 s"
    assert [span.end - span.start for span in bar.spans if span.style != "bold"] == [18, 5, 2, 1, 4]
    assert legend.plain.startswith("end of turn 700 · transcription 210")


def test_an_event_of_a_newer_gateway_is_no_error() -> None:
    """Clients are written once; later versions add events."""
    assert shown([{"type": "hologram", "size": 3}]) == ""


def test_a_terminal_shows_the_voice_while_it_lasts(recording: bytes) -> None:
    """Something must move while the caller talks; it leaves no trace."""
    out = StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system="truecolor")
    with ConversationView(console) as view:
        view.happened(Happening(0, "gateway", {"type": "voice_started", "at_ms": 0}))
        for at in range(0, 50 * FRAME_BYTES, FRAME_BYTES):
            view.frames(seconds(recording, 1, 2)[at : at + FRAME_BYTES], SILENT_FRAME)
    assert "▇" in out.getvalue()


def test_json_lines_keep_every_field() -> None:
    """Scripts read them; an event's own time is not overwritten."""
    out = StringIO()
    JsonView(out).happened(Happening(5, "gateway", {"type": "voice_started", "at_ms": 3}))
    assert json.loads(out.getvalue()) == {"t_ms": 5, "by": "gateway", "type": "voice_started", "at_ms": 3}


def test_the_summary_tells_answers_and_the_median_gap(tmp_path: Path, recording: bytes) -> None:
    """Two figures say whether a setting was an improvement."""
    conversation, _ = rehearse(tmp_path, recording, Script(stt=("One.",), llm=("Yes.",), first_token_ms=300))
    lines = [line.plain for line in summary(conversation, colours=False)]
    assert lines[0] == "answers     5 to 5 stretches of the caller"
    assert lines[1] == f"median gap  {TurnSettings().end_ms} ms"
    # The model was asked in the pause: its 300 ms were over when the turn was.
    assert f"end of turn {TurnSettings().end_ms}" in lines[2]
