"""Comfort noise: what a held line sounds like, so that nobody takes it for a dead one. Always the same."""

import functools
import struct

from voicegw.audio.pcm import SAMPLE_RATE_HZ

# About -58 dBFS: a line that is heard to be open, far below speech.
LEVEL = 70
# Long enough that its repetition is not heard as a rhythm.
LENGTH_S = 2


@functools.cache
def comfort_noise() -> bytes:
    """Two seconds of soft noise as pcm, to be repeated."""
    state, low = 1, 0.0
    samples = []
    for _ in range(LENGTH_S * SAMPLE_RATE_HZ):
        # A linear congruential generator (Numerical Recipes); its upper bits are random enough to hiss.
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        white = (state >> 16) / 32768.0 - 1.0
        # Less treble: white noise is sharper than any line.
        low += (white - low) * 0.4
        samples.append(int(low * LEVEL * 2))
    return struct.pack(f"<{len(samples)}h", *samples)
