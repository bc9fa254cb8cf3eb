"""A local turn model: does the caller sound done? One more vote on the end of the turn.

A file of the user's, with the inputs and outputs of smart-turn v3 (https://github.com/pipecat-ai/smart-turn):
`input_features`, the log-mel spectrum of the last 8 s as `audio/log_mel.py` makes it, [batch, 80, 800]; and
one probability, the sigmoid within the model, that the turn is over. It is asked once per pause, about what
is then transcribed too; it takes 10 to 110 ms of a core, in a thread.
"""

import asyncio
import importlib.util
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voicegw.audio.log_mel import BANDS, FRAMES, SAMPLES, log_mel
from voicegw.audio.pcm import SAMPLE_BYTES
from voicegw.errors import ConfigError

log = logging.getLogger(__name__)

# A vote comes no sooner than this: on virtual time, where the model takes no time, it is the delay booked.
DELAY_S = 0.060
# Behind the usual pause (0.9 s, less the 0.2 s before the model is asked) a vote decides nothing any more.
LATE_S = 0.7
# So many may wait; at a tenth of a second each the rest would be late.
MOST_WAITING = 8


@dataclass(slots=True)
class _Question:
    asked_at: float
    pcm: bytes
    told: Callable[[float], None]


class TurnModel:
    """One per process. Raises ConfigError for a file that is no such model."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._session, self._input = _load(path)
        self._loop = loop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="turn-model")
        self._waiting: deque[_Question] = deque()
        self._running = False
        self._closed = False
        self.dropped = 0  # questions that a busy machine left without a vote

    def judge(self, pcm: bytes, told: Callable[[float], None]) -> None:
        """Tell soon how likely (0 to 1) the caller is done behind `pcm`; never when the machine is busy."""
        if self._closed:
            return
        if len(self._waiting) >= MOST_WAITING:
            # The oldest would be late first.
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(_Question(self._loop.time(), pcm[-SAMPLES * SAMPLE_BYTES :], told))
        if not self._running:
            self._next()

    def _next(self) -> None:
        now = self._loop.time()
        while self._waiting and now - self._waiting[0].asked_at > LATE_S:
            self._waiting.popleft()
            self.dropped += 1
        self._running = bool(self._waiting) and not self._closed
        if self._running:
            question = self._waiting.popleft()
            done = self._loop.run_in_executor(self._thread, self._judge, question.pcm)
            done.add_done_callback(lambda future: self._deliver(question, future))

    def _judge(self, pcm: bytes) -> float:
        features = log_mel(np.frombuffer(pcm, "<i2").astype(np.float32) / 32768)
        return float(np.ravel(self._session.run(None, {self._input: features[None]})[0])[0])

    def _deliver(self, question: _Question, future: "asyncio.Future[float]") -> None:
        self._next()
        if future.cancelled() or self._closed:
            return
        if (error := future.exception()) is not None:
            # The words and the pauses decide without it.
            log.error("the turn model failed: %s", type(error).__name__)
            return
        p = min(1.0, max(0.0, future.result()))
        self._loop.call_at(question.asked_at + DELAY_S, question.told, round(p, 3))

    def close(self) -> None:
        """Judge nothing any more."""
        self._closed = True
        self._waiting.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)


def _load(path: Path) -> tuple[Any, str]:
    """Return the model and its input's name. Raises ConfigError when it does not take what we give."""

    def unfit(why: str) -> ConfigError:
        return ConfigError(
            f"turns.model: {path}: {why}; give it the file of smart-turn v3 (smart-turn-v3.2-cpu.onnx), "
            "or leave it empty"
        )

    if not path.is_file():
        raise unfit("no such file")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # onnxruntime has an exception of its own for each kind of damage, with nothing in common.
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise unfit(f"not an ONNX model ({type(error).__name__})") from error
    inputs = session.get_inputs()
    shape = inputs[0].shape if len(inputs) == 1 else []
    if len(shape) != 3 or shape[1:] != [BANDS, FRAMES] or inputs[0].type != "tensor(float)":
        found = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
        raise unfit(f"takes {found}, not one float input [batch, {BANDS}, {FRAMES}]")
    silence = np.zeros((1, BANDS, FRAMES), np.float32)
    try:
        answer = np.ravel(session.run(None, {inputs[0].name: silence})[0])
    except Exception as error:
        raise unfit(f"fails on silence ({type(error).__name__})") from error
    if len(answer) != 1 or not 0 <= answer[0] <= 1:
        raise unfit(f"answers {answer[:4]} to silence, not one probability")
    return session, str(inputs[0].name)


def make_turn_model(path: str, loop: asyncio.AbstractEventLoop) -> TurnModel | None:
    """Return the model of the settings' `turns.model`; None where none is wanted. Raises ConfigError."""
    if not path:
        return None
    if importlib.util.find_spec("onnxruntime") is None:
        raise ConfigError("turns.model: needs onnxruntime; pip install 'voicegw[turn-model]'")
    return TurnModel(Path(path).expanduser(), loop)
