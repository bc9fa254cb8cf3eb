"""The gateway's one inner form of audio, and how its lengths convert.

`pcm` without more words is 16-bit little-endian mono at 16 kHz; a *frame* is 20 ms of it.
"""

SAMPLE_RATE_HZ = 16_000
SAMPLE_BYTES = 2
FRAME_MS = 20
FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
FRAME_BYTES = FRAME_SAMPLES * SAMPLE_BYTES
FRAME_US = FRAME_MS * 1000
SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000
SILENT_FRAME = bytes(FRAME_BYTES)


def ms_to_samples(ms: float) -> int:
    """Convert milliseconds to samples at 16 kHz, rounded down."""
    return int(ms * SAMPLES_PER_MS)


def samples_to_us(samples: int) -> int:
    """Convert samples at 16 kHz to microseconds, rounded down."""
    return samples * 1000 // SAMPLES_PER_MS


def pcm_ms(pcm: bytes) -> float:
    """Length of `pcm` in milliseconds."""
    return len(pcm) / (SAMPLES_PER_MS * SAMPLE_BYTES)
