"""Callers who are too loud or too quiet for their line: put right for STT, and for STT only."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from rehearsed import ROOT, on_virtual_time, rehearsed

from voicegw.audio.clipping import clipping, repaired
from voicegw.audio.format import AudioFormat
from voicegw.audio.level import for_recognition, rms
from voicegw.audio.pcm import FRAME_BYTES, SAMPLES_PER_MS
from voicegw.call.ear import Ear
from voicegw.call.events import VoiceActivity
from voicegw.embedded.worker import Decoder
from voicegw.providers.cassette import frame_hashes
from voicegw.rehearsal.caller import ScriptedCaller
from voicegw.rehearsal.script import Script

Samples = npt.NDArray[np.float64]
SPEECH = ROOT / "samples" / "speech"
# Two readers, a president, and short commands on a poor line.
VOICES = ("LJ001-0001.flac", "librispeech-1998-15444-0003.flac", "jfk.flac", "cards-002.flac")
MU_LAW = AudioFormat("ulaw", 8000)


def speech(name: str) -> Samples:
    """Return a recording whose loudest sample is at full scale."""
    samples, rate = soundfile.read(SPEECH / name, dtype="float64")
    assert rate == 16_000
    loud: Samples = samples * 32767 / np.abs(samples).max()
    return loud


def pcm(samples: Samples) -> bytes:
    return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()


def through_mu_law(sound: bytes) -> bytes:
    """Return what a telephone carrier makes of it: 8 kHz, companded, and back."""
    out, back = MU_LAW.encoder(), MU_LAW.decoder()
    return back.push(out.push(sound) + out.finish())


def snr_db(clean: Samples, heard: bytes) -> float:
    """Return how far the noise in `heard` lies below the speech; its level does not matter."""
    found = np.frombuffer(heard, "<i2").astype(float)
    clean = clean[: len(found)]
    found = found[: len(clean)]
    noise = clean - found * (clean @ found) / (found @ found)
    return float(10 * np.log10((clean @ clean) / (noise @ noise)))


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize(("over_db", "better_db"), [(6, 2.0), (12, 0.8)])
@pytest.mark.parametrize("quieter", [1.0, 0.1])
def test_clipped_speech_comes_nearer_to_what_was_said(
    name: str, over_db: int, better_db: float, quieter: float
) -> None:
    """Driven that far over full scale; or so by the caller's telephone, and then made quieter by the line."""
    clean = speech(name) * 10 ** (over_db / 20)
    heard = pcm(np.clip(clean, -32768, 32767) * quieter)
    found = clipping(heard)
    assert found is not None
    assert 0.002 < found.share < 0.2
    assert snr_db(clean, repaired(heard, found)) > snr_db(clean, heard) + better_db


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("over_db", [6, 12])
def test_tops_that_mu_law_has_rippled_are_found_too(name: str, over_db: int) -> None:
    """Behind a telephone carrier a flat top is no more quite flat."""
    loud = 10 ** (over_db / 20)
    clean = np.frombuffer(through_mu_law(pcm(speech(name) / 2)), "<i2").astype(float)
    heard = through_mu_law(pcm(speech(name) * loud))
    found = clipping(heard)
    assert found is not None
    assert snr_db(clean, repaired(heard, found)) > snr_db(clean, heard) + 0.5


def test_speech_that_is_only_loud_is_left_alone() -> None:
    """Every recording brought to full scale, in pieces as short as a word, and quiet ones."""
    pieces = 0
    for path in sorted(SPEECH.glob("l*-*.flac")) + sorted(SPEECH.glob("LJ*.flac")):
        sound = speech(path.name)
        for length in (8_000, 32_000, len(sound)):
            for start in range(0, len(sound) - length + 1, length):
                for level in (1.0, 0.1):
                    pieces += 1
                    assert clipping(pcm(sound[start : start + length] * level)) is None, path
    assert pieces > 300


def test_a_long_top_is_only_made_quieter_with_the_rest() -> None:
    """What was lost in it is lost: a guess would be a sound that nobody made."""
    wave = np.where(np.arange(16_000) % 200 < 100, 32767, -32768)  # 80 Hz
    tooth = np.sin(np.arange(16_000) / 5) * 60_000
    heard = pcm(np.concatenate((wave, tooth)))
    found = clipping(heard)
    assert found is not None
    sound = np.frombuffer(repaired(heard, found), "<i2")
    assert np.ptp(np.abs(sound[300:15_700].astype(int))) <= 2
    assert abs(int(sound[300])) < 25_000
    assert np.abs(sound).max() == 32767


def test_a_repaired_recording_is_known_again_by_its_frames() -> None:
    """A cassette answers by them."""
    heard = pcm(speech("jfk.flac") * 4)
    found = clipping(heard)
    assert found is not None
    assert frame_hashes(repaired(heard, found)) == frame_hashes(heard)


def test_a_click_does_not_keep_a_quiet_caller_quiet() -> None:
    """The receiver is put down on the table, and a whisper follows."""
    quiet = speech("LJ001-0001.flac")[:48_000] * 0.01
    quiet[4_000:4_040] = 30_000
    louder = for_recognition(pcm(quiet))
    assert rms(louder[32_000:]) > 8 * rms(pcm(quiet)[32_000:])


@on_virtual_time
async def test_the_ear_hears_what_came_and_the_recogniser_what_was_repaired(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No decision of the ear moves by a sample for it, and the log tells it once, without a word."""
    caplog.set_level("INFO")
    said = pcm(speech("jfk.flac")[4_000:36_000] * 4)
    script = Script(stt=("my fellow americans",), llm=("Yes.",))
    async with rehearsed(tmp_path, script) as on, ScriptedCaller(on.gateway) as caller:
        await caller.event("speech_stopped")
        from_s, _ = caller.speak(said, caller.now_s + 1.0)
        await caller.event("speech_started", kind="reply")
        sent = on.provider.received("stt")[-1].fields["file"][44:]
        caller.send("hangup")
    alone = Ear()
    silence = bytes(FRAME_BYTES)
    line = silence * round(from_s * 50) + said + silence * 40
    told: list[VoiceActivity] = []
    for start in range(0, len(line), FRAME_BYTES):
        for event in alone.hear(line[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"), start):
            assert isinstance(event, VoiceActivity)
            if not told or told[-1].speaking != event.speaking:
                told.append(event)
    heard = [t for t in caller.events if t.type in ("voice_started", "voice_stopped")]
    assert [(t.type == "voice_started", t.fields["at_ms"]) for t in heard] == [
        (event.speaking, event.at_sample // SAMPLES_PER_MS) for event in told
    ]
    assert len(told) >= 2
    assert clipping(said) is not None
    assert sent not in line
    assert frame_hashes(sent)[5] in frame_hashes(line)
    assert clipping(sent) is None
    told_in_log = [r.getMessage() for r in caplog.records if "clipped" in r.getMessage()]
    assert len(told_in_log) == 1
    assert "fellow" not in told_in_log[0]


def errors(said: list[str], heard: list[str]) -> int:
    """Return how many words are wrong, missing or too many (edit distance)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        before, row[0] = row[0], number
        for at, other in enumerate(heard, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (word != other))
    return row[-1]


def test_the_embedded_recogniser_mishears_no_more_words_than_before() -> None:
    """A command 12 dB over full scale behind mu-law, where clipping costs it every word."""
    said = ["go", "forward", "ten", "meters"]
    heard = through_mu_law(pcm(speech("goforward.flac") * 4))
    found = clipping(heard)
    assert found is not None
    decoder = Decoder()
    before, after = (
        errors(said, [word.word for word in decoder.recognise(sound).words])
        for sound in (heard, repaired(heard, found))
    )
    assert after <= before
