"""`voicegw demo`: the whole way on this machine, with the embedded provider, and nothing left behind."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from io import StringIO
from pathlib import Path

import psutil
import pytest
import soundfile
import yaml
from rich.console import Console

from voicegw.audio.pcm import FRAME_BYTES
from voicegw.audio.wav import wav_bytes
from voicegw.cli.demo import (
    SAMPLE,
    DemoOptions,
    demo_listener,
    demo_settings,
    expected_turns,
    named_order,
    run_demo,
    share_understood,
)
from voicegw.cli.embedded_process import embedded_provider
from voicegw.config import TurnSettings
from voicegw.errors import ConfigError
from voicegw.replay.caller import Conversation, Happening
from voicegw.replay.recording import read_recording, split

TURNS = expected_turns(SAMPLE)


def short_sample(folder: Path, first: int, last: int) -> Path:
    """Turns `first` to `last` (from 0) of the sample call, as a sample call."""
    pcm = read_recording(SAMPLE)
    stretches = split(pcm)[first : last + 1]
    path = folder / "short.wav"
    path.write_bytes(wav_bytes(pcm[stretches[0].start * FRAME_BYTES : stretches[-1].end * FRAME_BYTES]))
    listing = [{"file": path.name, "said": TURNS[first : last + 1]}]
    path.with_name("samples.json").write_text(json.dumps(listing), encoding="utf-8")
    return path


def test_the_packaged_sample_says_what_the_sample_call_says() -> None:
    """The wheel brings no `samples/`; what it brings is the same call."""
    described = (Path(__file__).parent.parent / "samples" / "order-status.yaml").read_text(encoding="utf-8")
    assert [turn["say"] for turn in yaml.safe_load(described)["turns"]] == TURNS


def test_a_real_conversation_takes_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recognition, dialogue and speech are real: the order number is understood, read back and looked up."""
    picture = tmp_path / "images" / "conversation.svg"
    sample = short_sample(tmp_path, 1, 2)
    code = run_demo(DemoOptions(True, 0, tmp_path / "data", export_svg=picture, sample=sample))
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert "answers     2 to 2 stretches of the caller" in printed.out
    assert "gap " in printed.out
    # On a busy machine the words come late, and the turn ends later by the rules.
    ends = [int(ms) for ms in re.findall(r"end of turn (\d+)", printed.out)]
    assert ends
    assert min(ends) >= TurnSettings().end_ms
    (recording,) = (tmp_path / "data" / "recordings").glob("*.wav")
    assert recording.name in printed.out.replace("\n", "")
    assert soundfile.info(recording).channels == 2
    assert "DH123456" in picture.read_text(encoding="utf-8")
    assert list((tmp_path / "data" / "journals").glob("*.jsonl"))


@pytest.mark.parametrize(
    ("number", "until", "code"),
    [
        (signal.SIGTERM, "", 130),  # while the provider starts
        (signal.SIGINT, "A synthetic caller", 1),  # within the call: no whole conversation
        (signal.SIGTERM, "A synthetic caller", 1),
    ],
)
def test_a_signal_ends_the_demo_with_all_its_children(
    tmp_path: Path, number: signal.Signals, until: str, code: int
) -> None:
    """A recogniser that is left behind takes 180 MB each time."""
    command = [sys.executable, "-m", "voicegw", "demo", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        started = psutil.Process(process.pid)
        children: list[psutil.Process] = []
        try:
            if until:
                assert any(until in line for line in process.stdout)
            while not (children := started.children(recursive=True)):
                assert process.poll() is None
            process.send_signal(number)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert gone
    assert not alive
    assert process.returncode == code, out + err
    assert "Traceback" not in err


async def test_without_the_extra_the_line_that_installs_it_is_told(tmp_path: Path) -> None:
    """It is the first thing that a new user may be missing."""
    says = "voicegw: the embedded provider needs pocketsphinx: pip install 'voicegw[embedded]'"
    command = (sys.executable, "-c", f'import sys; print("{says}"); sys.exit(2)')
    with pytest.raises(ConfigError, match=r"did not start: the embedded.*pip install 'voicegw\[embedded\]'"):
        async with embedded_provider(tmp_path / "log", command=command):
            pass


async def test_a_provider_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Children always end."""
    monkeypatch.setattr("voicegw.cli.embedded_process.END_S", 0.2)
    script = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('voicegw-embedded listening on http://127.0.0.1:1/v1', flush=True); signal.pause()"
    )
    before = psutil.Process().children()
    async with embedded_provider(tmp_path / "log", command=(sys.executable, "-c", script)) as provider:
        assert provider.base_url == "http://127.0.0.1:1/v1"
        (child,) = set(psutil.Process().children()) - set(before)
    await asyncio.to_thread(child.wait, 10)


def test_a_taken_port_is_replaced_and_told() -> None:
    """Something listens on 8080 on most developers' machines; a port that was asked for is not replaced."""
    out = StringIO()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with demo_listener(None, Console(file=out), usual=taken) as listener:
            free = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {taken}"), demo_listener(taken, Console(file=out)):
            pass
    assert free != taken
    assert f"Port {taken} is taken; the gateway listens on {free}." in out.getvalue()


def test_the_demo_depends_on_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real key in the environment must not be sent to the demo, nor a demo call be paid for."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    settings = demo_settings("http://127.0.0.1:9/v1", tmp_path, {"turns.end_ms": "600"})
    for stage in ("stt", "llm", "tts"):
        found = settings.resolved(stage)
        assert (found.base_url, found.api_key) == ("http://127.0.0.1:9/v1", "embedded")
    assert settings.turns.end_ms == 600


def spoken(agent: str) -> Conversation:
    stopped = {"type": "speech_stopped", "reply_id": 1, "heard": agent, "cut": False}
    return Conversation("c1", (Happening(0, "gateway", stopped),), b"", b"", 0, (), 0)


def test_the_words_must_be_understood_in_their_order() -> None:
    """Exit code 0 promises a conversation, not only sound."""
    heard = [turn.lower().rstrip(".?") for turn in TURNS]
    assert share_understood(TURNS, heard) == 1.0
    assert share_understood(TURNS, []) == 0.0
    assert share_understood(TURNS, heard[:2]) == pytest.approx(19 / 31, abs=0.05)
    assert share_understood(["one two three four"], ["four three two one"]) == 0.25


@pytest.mark.parametrize(
    ("agent", "named"),
    [
        ("Your order DH123456 is out for delivery.", True),
        ("I heard D H 1 2 3 4 5 6. Is that right?", True),
        ("I heard D H 1 2 3 4 5 7.", False),
        ("What is your order number?", False),
    ],
)
def test_the_order_must_be_named_by_the_agent(agent: str, named: bool) -> None:
    """An agent that only asks again has not understood, however good the transcript."""
    assert named_order(TURNS, spoken(agent)) is named
