"""The short way of nearly every read: exactly one whole message of a client, of ordinary size.

websockets' parser takes any bytes in any pieces, which costs it 5 us a message; for what a caller's 20 ms
nearly always are, in one read, a look at the header is enough. All else goes through the parser, which also
answers for all of the protocol (docs/performance.md). RFC 6455 section 5.2.
"""

try:
    from websockets.speedups import apply_mask
except ImportError:  # where websockets was installed without its C part
    from websockets.utils import apply_mask

from websockets.frames import Frame, Opcode

# The first byte of a message in one piece, without extensions.
BINARY = 0x80 | Opcode.BINARY
TEXT = 0x80 | Opcode.TEXT
_WHOLE = bytes((BINARY, TEXT))
# The second byte: masked, and its length in two bytes more. 20 ms of any carrier's audio are that long, and
# no carrier's limit is below what they can say.
_MASKED_MEDIUM = 0x80 | 126
_HEAD_BYTES = 2 + 2 + 4


def whole_message(data: bytes) -> bytes | None:
    """Return the payload when `data` is one message of 126 to 65,535 bytes and nothing else; else None.

    Only to be asked where a message may begin.
    """
    length = len(data) - _HEAD_BYTES
    if length < 126 or data[1] != _MASKED_MEDIUM or data[0] not in _WHOLE:
        return None
    if data[2] << 8 | data[3] != length:
        return None
    return apply_mask(data[_HEAD_BYTES:], data[4:_HEAD_BYTES])


def wire_bytes(frame: Frame) -> int:
    """How many bytes a client's frame took on the wire."""
    length = len(frame.data)
    return 2 + (0 if length < 126 else 2 if length < 1 << 16 else 8) + 4 + length
