"""Is a frame the caller's voice? webrtcvad behind a level gate.

webrtcvad alone calls steady noise speech, and the first frames of any stream; a gate on the level over
the running background and a vote over five frames make it hold to about 10 dB of noise.
"""

import webrtcvad

from voicegw.audio.level import NoiseFloor, rms
from voicegw.audio.pcm import SAMPLE_RATE_HZ

# 3 is webrtcvad's strictest mode: fewest false alarms, and the gate does not cost it onsets.
MODE = 3
# A frame must be this much louder than the background: 5 dB, as a ratio of rms.
GATE = 10 ** (5 / 20)
# Where the background itself sounds like talk (a radio, other callers), 8 dB: what passes is somebody nearer.
TALK_GATE = 10 ** (8 / 20)
# Every eighth frame of the background is asked whether it sounds like talk, over some 2 s.
TALK_EVERY = 8
TALK_SHARE = 0.1
TALK = 0.5
# -60 dBFS: below it no telephone carries speech, and digital silence need not be looked at.
LEAST_RMS = 33
# webrtcvad's own estimate of the noise needs this many frames (300 ms) before it can be believed.
WARM_UP_FRAMES = 15
# Three voiced frames of the last five are voice: one click is not, one dropped frame does not end a word.
VOTE_MASK = 0b11111
VOTES = 3
_BITS = tuple(bits.bit_count() for bits in range(VOTE_MASK + 1))


class VoiceDetector:
    """Decides frame by frame. Keeps no audio; one per call."""

    def __init__(self) -> None:
        self._vad = webrtcvad.Vad(MODE)
        self._floor = NoiseFloor()
        self._history = 0
        self._warm_up = WARM_UP_FRAMES
        self._gate = GATE
        self._talk = 0.0
        self._quiet = 0
        self.level_rms = 0
        # True when the newest frame is louder than the background, whatever it is.
        self.frame_loud = False
        # True when the newest frame by itself passed detector and gate (the vote may still say no).
        self.frame_voiced = False

    @property
    def background_rms(self) -> float:
        """The level of the background by now."""
        return self._floor.rms

    def hear(self, frame: bytes, least_rms: float = 0.0) -> bool:
        """Return True while the vote over the last five frames says voice.

        `frame` is 20 ms of pcm; one that is not louder than `least_rms` is no voice, whatever it sounds like.
        """
        self.level_rms = level = rms(frame)
        floor = self._floor
        # The gate compares with the background before this frame has changed it.
        self.frame_loud = loud = level > LEAST_RMS and level > floor.rms * self._gate and level > least_rms
        voiced = loud and self._vad.is_speech(frame, SAMPLE_RATE_HZ)
        if not loud and level > LEAST_RMS:
            self._listen_to_background(frame)
        floor.hear(level)
        if self._warm_up:
            self._warm_up -= 1
            voiced = False
        self.frame_voiced = voiced
        self._history = history = (self._history << 1 | voiced) & VOTE_MASK
        return _BITS[history] >= VOTES

    def _listen_to_background(self, frame: bytes) -> None:
        self._quiet += 1
        if self._quiet % TALK_EVERY:
            return
        self._talk += (self._vad.is_speech(frame, SAMPLE_RATE_HZ) - self._talk) * TALK_SHARE
        self._gate = TALK_GATE if self._talk > TALK else GATE

    @property
    def state(self) -> int:
        """The vote's memory, to be given back to `rewind` when frames turn out not to have been real."""
        return self._history

    def rewind(self, state: int) -> None:
        """Forget the frames heard since `state` was taken, as far as the vote is concerned."""
        self._history = state
