"""The recordings in samples/ are what is said of them."""

import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

from voicegw.replay.recording import read_recording

ROOT = Path(__file__).parent.parent


def pcm_of(path: Path) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    with wave.open(str(path)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")


def test_the_demo_caller_is_made_by_its_script(system_program: Callable[[str], str], tmp_path: Path) -> None:
    """Whoever doubts where the recording comes from can make it again."""
    system_program("flite")
    again = tmp_path / "again.wav"
    script = ROOT / "samples" / "make_demo_call.py"
    subprocess.run([sys.executable, str(script), str(again)], check=True, timeout=60)
    committed, made = pcm_of(ROOT / "samples" / "order-status.wav"), pcm_of(again)
    assert len(made) == len(committed)
    # Another build of flite may round differently; it is the same speech.
    assert np.corrcoef(made.astype(float), committed.astype(float))[0, 1] > 0.99


def test_a_telephone_s_m4a_is_read_through_ffmpeg(
    system_program: Callable[[str], str], tmp_path: Path
) -> None:
    """What soundfile cannot read must not be lost on a tester."""
    ffmpeg = system_program("ffmpeg")
    source, made = ROOT / "samples" / "order-status.wav", tmp_path / "call.m4a"
    subprocess.run([ffmpeg, "-loglevel", "error", "-i", str(source), str(made)], check=True, timeout=60)
    read = np.frombuffer(read_recording(made), dtype="<i2").astype(float)
    original = pcm_of(source).astype(float)
    # AAC adds up to a few thousand samples of priming.
    assert abs(len(read) - len(original)) < 5000
    assert 0.8 < np.std(read) / np.std(original) < 1.25
