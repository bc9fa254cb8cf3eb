"""Recordings: both sides as heard, in time with the call, whole after a crash; and the link to one."""

import asyncio
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
import soundfile
from gateways import caller, kept_gateway
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegw.audio.pcm import FRAME_SAMPLES, FRAME_US, SAMPLE_RATE_HZ
from voicegw.store import recording
from voicegw.store.recording import Recorder, repair

CALL = "0123456789abcdef"
MS = 1000


def tone(n_samples: int, level: int = 1000) -> bytes:
    return np.full(n_samples, level, "<i2").tobytes()


def sides(path: Path) -> tuple[np.ndarray, np.ndarray]:
    sound, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate_hz == SAMPLE_RATE_HZ
    return sound[:, 0], sound[:, 1]


class Studio:
    """A recorder, one tape, and the time of its call."""

    def __init__(self, folder: Path, **options: int) -> None:
        self.recorder = Recorder(folder, **options)
        self.tape = self.recorder.tape(CALL)
        self.now = 0

    def caller(self, ms: int, level: int = 1000, *, silent_line: bool = False) -> None:
        for _ in range(ms // 20):
            self.now += FRAME_US
            if not silent_line:
                self.tape.hear(tone(FRAME_SAMPLES, level), self.now)
            if self.now % 1_000_000 == 0:
                self.tape.hand_over(self.now)

    def whole(self) -> Path:
        self.tape.close(self.now)
        self.recorder.close()
        path = self.tape.done.result(0)
        assert path is not None
        return path


def test_both_sides_stand_where_they_were_heard(tmp_path: Path) -> None:
    """Caller left, agent right, second n of the file is second n of the call."""
    studio = Studio(tmp_path)
    studio.tape.say(1, tone(SAMPLE_RATE_HZ, 500))
    studio.caller(2000)
    for part in range(10):
        studio.caller(100)
        studio.tape.played(1, (part + 1) * 1600, part == 9, studio.now)
    studio.caller(1000)
    left, right = sides(studio.whole())
    assert len(left) == 4 * SAMPLE_RATE_HZ
    assert (left == 1000).all()
    assert set(np.flatnonzero(right == 500)) == set(range(2 * SAMPLE_RATE_HZ, 3 * SAMPLE_RATE_HZ))


def test_what_was_not_heard_is_not_recorded(tmp_path: Path) -> None:
    """After an interruption the recording says what the caller heard, not what was synthesised."""
    studio = Studio(tmp_path)
    studio.tape.say(1, tone(SAMPLE_RATE_HZ, 500))
    studio.caller(300)
    studio.tape.played(1, 4000, False, studio.now)
    studio.tape.clear()
    studio.tape.played(1, 16000, True, studio.now)
    studio.caller(2000)
    _, right = sides(studio.whole())
    assert np.count_nonzero(right) == 4000


def test_a_silent_line_keeps_its_time(tmp_path: Path) -> None:
    """A carrier that sends nothing for three seconds must not move what follows."""
    studio = Studio(tmp_path)
    studio.caller(1000)
    studio.caller(3000, silent_line=True)
    studio.caller(2000, level=2000)
    left, _ = sides(studio.whole())
    second = np.flatnonzero(left == 2000)
    assert abs(second[0] - 4 * SAMPLE_RATE_HZ) <= FRAME_SAMPLES
    assert len(second) == 2 * SAMPLE_RATE_HZ


def test_late_audio_takes_its_own_place(tmp_path: Path) -> None:
    """A network that stalls for half a second delivers it later: no silence is put in, nothing is moved."""
    studio = Studio(tmp_path)
    studio.caller(1480)
    studio.caller(500, silent_line=True)
    for _ in range(25):
        studio.tape.hear(tone(FRAME_SAMPLES), studio.now)
    studio.caller(3020)
    left, _ = sides(studio.whole())
    assert abs(len(left) - 5 * SAMPLE_RATE_HZ) <= FRAME_SAMPLES
    assert (left == 1000).all()


def test_a_masked_stretch_is_silent_on_both_sides(tmp_path: Path) -> None:
    """A card number is in no recording, nor is the agent's reading it back."""
    studio = Studio(tmp_path)
    studio.tape.say(1, tone(16000, 500))
    studio.caller(1000)
    studio.tape.mask(True)
    studio.caller(500)
    studio.tape.played(1, 8000, False, studio.now)
    studio.tape.mask(False)
    studio.caller(500)
    studio.tape.played(1, 16000, True, studio.now)
    left, right = sides(studio.whole())
    assert np.count_nonzero(left) == 1.5 * SAMPLE_RATE_HZ
    assert not left[SAMPLE_RATE_HZ : SAMPLE_RATE_HZ * 3 // 2].any()
    assert np.count_nonzero(right) == 8000
    assert not right[: SAMPLE_RATE_HZ * 3 // 2].any()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["live", "burst", "nothing"])), min_size=1, max_size=30
    )
)
def test_whatever_the_line_does_the_recording_is_as_long_as_the_call(
    tmp_path_factory: pytest.TempPathFactory, line: list[tuple[int, str]]
) -> None:
    """Gaps, bursts and silence in any order: at most a second apart from the call's own time."""
    studio = Studio(tmp_path_factory.mktemp("studio"))
    owed = 0
    for frames, how in line:
        if how == "burst":
            # What was held up comes at once, then the line goes on.
            for _ in range(min(owed, 49)):
                studio.tape.hear(tone(FRAME_SAMPLES), studio.now)
            owed = 0
        studio.caller(frames * 20, silent_line=how == "nothing")
        owed = owed + frames if how == "nothing" else 0
    studio.caller(2000)
    left, _ = sides(studio.whole())
    assert abs(len(left) - studio.now * SAMPLE_RATE_HZ // 1_000_000) <= SAMPLE_RATE_HZ


def test_a_torn_file_is_made_whole(tmp_path: Path) -> None:
    """A killed process leaves a file without a length, cut within a frame: all before the cut is played."""
    studio = Studio(tmp_path)
    studio.caller(3000)
    studio.recorder.close()
    part = tmp_path / f"{CALL}{recording.PART}"
    whole = part.read_bytes()
    for cut in (0, 1, 700):
        part.write_bytes(whole[: len(whole) - cut])
        mended = repair(part)
        assert mended is not None
        left, _ = sides(mended)
        assert len(left) >= 2 * SAMPLE_RATE_HZ
        assert (left == 1000).all()
        assert not part.exists()
        mended.unlink()


@pytest.mark.parametrize("content", [b"", b"fLaC", b"no sound at all" * 100])
def test_a_file_without_sound_is_removed(tmp_path: Path, content: bytes) -> None:
    """Killed in the first moment: there is nothing to keep, and nothing to stumble over."""
    part = tmp_path / f"{CALL}{recording.PART}"
    part.write_bytes(content)
    assert repair(part) is None
    assert list(tmp_path.iterdir()) == []


def test_a_caller_faster_than_time_fills_no_memory(tmp_path: Path) -> None:
    """A client that sends an hour at once gets the first half minute recorded, and no more is kept."""
    studio = Studio(tmp_path)
    second = tone(SAMPLE_RATE_HZ)
    for _ in range(3600):
        studio.tape.hear(second, studio.now)
        studio.tape.hand_over(studio.now)
    left, _ = sides(studio.whole())
    assert len(left) <= 30 * SAMPLE_RATE_HZ


def test_a_disk_that_is_too_slow_costs_sound_and_no_memory(tmp_path: Path) -> None:
    """What the writer cannot take is silence in the recording: its time stays right."""
    studio = Studio(tmp_path, most_waiting=0)
    studio.caller(2000)
    left, _ = sides(studio.whole())
    assert studio.recorder.dropped
    assert not left.any()
    assert len(left) == 2 * SAMPLE_RATE_HZ


async def test_the_link_of_a_call_leads_to_its_recording(tmp_path: Path) -> None:
    """What the client hears of it, fetched with the link it was told; nothing without that link."""
    async with kept_gateway(tmp_path) as running:
        async with caller(running.url) as someone:
            await someone.send("start")
            await someone.event("ready")
            for _ in range(60):
                await someone.connection.send(tone(FRAME_SAMPLES))
            await someone.event("speech_stopped")
            await someone.send("hangup")
            url = (await someone.event("recording"))["url"]
            await someone.closed()
        fetched = await asyncio.to_thread(lambda: urlopen(running.http + url).read())
        file = tmp_path / "fetched.flac"
        file.write_bytes(fetched)
        left, right = sides(file)
        assert np.count_nonzero(left) == 60 * FRAME_SAMPLES
        # The agent's greeting, as far as it was played, and as it came over the wire.
        said = np.frombuffer(someone.audio, "<i2")
        recorded = right[np.flatnonzero(right)[0] :]
        first = said[np.flatnonzero(said)[0] :]
        n = min(len(recorded), len(first))
        assert n > SAMPLE_RATE_HZ // 4
        assert (recorded[:n] == first[:n]).all()
        for wrong in (
            url.partition("?")[0],
            url[:-1] + ("0" if url[-1] != "0" else "1"),
            url.replace("expires=", "expires=9"),
            url.replace("/recordings/", "/recordings/f"),
        ):
            with pytest.raises(HTTPError) as refused:
                await asyncio.to_thread(urlopen, running.http + wrong)
            assert refused.value.code == 403
            refused.value.close()


async def test_an_old_link_does_not_hold(tmp_path: Path) -> None:
    """A link that leaks is worth nothing tomorrow."""
    async with kept_gateway(tmp_path) as running:
        link = running.gateway.links.sign(f"/recordings/{CALL}.flac", -1)
        with pytest.raises(HTTPError) as refused:
            await asyncio.to_thread(urlopen, running.http + link)
        assert refused.value.code == 403
        refused.value.close()
