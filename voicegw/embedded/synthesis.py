"""espeak-ng in this process, by ctypes: text in, pcm pieces out as they are made, cancellable.

Functions and constants are those of espeak-ng's speak_lib.h
(https://github.com/espeak-ng/espeak-ng/blob/1.52.0/src/include/espeak-ng/speak_lib.h).
"""

import asyncio
import ctypes
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor

import anyio
import espeakng_loader
import numpy as np
import soxr

from voicegw.embedded.spoken_text import sentences, spoken

OUTPUT_HZ = 24000
"""Rate of all pcm from here: what OpenAI's `response_format=pcm` has."""

_PIECE_MS = 60
_WORDS_PER_MINUTE = 175
_MIN_WORDS_PER_MINUTE, _MAX_WORDS_PER_MINUTE = 80, 450  # espeak-ng's own limits

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_PARAMETER_RATE = 1
_CHARS_UTF8 = 1
_STOP, _GO_ON = 1, 0

VOICES = {
    "en": "en-us",
    "en-us": "en-us",
    "en-gb": "gmw/en",  # the engine knows the tag in its list, but takes only the voice's file name
    "vi": "vi",
    "vi-north": "vi",
    "vi-central": "vi-vn-x-central",
    "vi-south": "vi-vn-x-south",
}
"""Our voice names and espeak-ng's."""

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Engine:
    """The one speech engine of a process; its state is global, so all its calls run in one thread.

    Raises `RuntimeError` where the library cannot be loaded or initialised.
    """

    def __init__(self) -> None:
        library = espeakng_loader.load_library()
        if library is None:
            raise RuntimeError("the espeak-ng library cannot be loaded on this system")
        data = espeakng_loader.get_data_path().encode()
        self.rate_hz: int = library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, _PIECE_MS, data, 0)
        if self.rate_hz <= 0:
            raise RuntimeError("espeak-ng cannot be initialised")
        self._library = library
        self._emit: Callable[[bytes], bool] = lambda _piece: False
        self._callback = _Callback(self._on_samples)  # kept: the library holds only a pointer to it
        library.espeak_SetSynthCallback(self._callback)

    def _on_samples(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        if not samples or count <= 0:
            return _GO_ON
        return _GO_ON if self._emit(ctypes.string_at(samples, count * 2)) else _STOP

    def speak(self, text: str, voice: str, words_per_minute: int, emit: Callable[[bytes], bool]) -> None:
        """Speak `text`, giving `emit` pieces of about 60 ms of pcm at `rate_hz`; stop when it returns False.

        Markup in the text is not interpreted. Blocks, with the interpreter lock released.
        """
        self._emit = emit
        if self._library.espeak_SetVoiceByName(VOICES[voice].encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {VOICES[voice]}")
        self._library.espeak_SetParameter(_PARAMETER_RATE, words_per_minute, 0)
        data = text.encode()
        code = self._library.espeak_Synth(
            ctypes.c_char_p(data), ctypes.c_size_t(len(data) + 1), 0, 0, 0, _CHARS_UTF8, None, None
        )
        if code != 0:
            raise RuntimeError(f"espeak-ng failed with code {code}")


class Synthesiser:
    """Speaks texts sentence by sentence; requests take turns at the one engine after each sentence."""

    def __init__(self) -> None:
        # One thread is also the lock around the engine.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="espeak-ng")
        self._engine = self._thread.submit(Engine).result()
        self.sentences_spoken = 0
        self.cancelled = 0
        self.active = 0

    def close(self) -> None:
        """End the engine's thread, after the sentence that it is speaking."""
        self._thread.shutdown()

    async def speak(self, text: str, *, voice: str, speed: float = 1.0) -> AsyncGenerator[bytes]:
        """Yield `text` as pcm at `OUTPUT_HZ`, about 60 ms at a time; nothing where nothing can be spoken.

        The next sentence is begun when the pieces of this one have been taken, so a slow or vanished
        reader costs one sentence at most; closing the generator stops the engine within one piece.
        """
        rate = round(min(max(_WORDS_PER_MINUTE * speed, _MIN_WORDS_PER_MINUTE), _MAX_WORDS_PER_MINUTE))
        resample = soxr.ResampleStream(self._engine.rate_hz, OUTPUT_HZ, 1, dtype="int16")
        finished = False
        self.active += 1
        try:
            for sentence in sentences(text):
                pieces = self._pieces(spoken(sentence), voice, rate)
                try:
                    async for piece in pieces:
                        resampled = resample.resample_chunk(np.frombuffer(piece, dtype="<i2"))
                        if len(resampled):
                            yield resampled.tobytes()
                finally:
                    await pieces.aclose()
                self.sentences_spoken += 1
            rest = resample.resample_chunk(np.empty(0, np.int16), last=True)
            if len(rest):
                yield rest.tobytes()
            finished = True
        finally:
            self.active -= 1
            self.cancelled += not finished

    async def _pieces(self, sentence: str, voice: str, words_per_minute: int) -> AsyncGenerator[bytes]:
        loop = asyncio.get_running_loop()
        # Holds one sentence at most (`sentences` bounds its length); None ends it.
        ready: asyncio.Queue[bytes | None] = asyncio.Queue()
        stop = threading.Event()

        def emit(piece: bytes) -> bool:
            loop.call_soon_threadsafe(ready.put_nowait, piece)
            return not stop.is_set()

        def work() -> None:
            try:
                if not stop.is_set():
                    self._engine.speak(sentence, voice, words_per_minute, emit)
            finally:
                loop.call_soon_threadsafe(ready.put_nowait, None)

        working = loop.run_in_executor(self._thread, work)
        try:
            while (piece := await ready.get()) is not None:
                yield piece
        finally:
            stop.set()
            # Shielded: the engine must have let go of `emit` before the request is forgotten.
            with anyio.CancelScope(shield=True):
                await working
