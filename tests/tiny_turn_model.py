"""Writes a tiny ONNX model with smart-turn v3's inputs and output, for tests: no weights, no package `onnx`.

It answers the sigmoid of the mean of its input, less an offset: enough to see what it was given. An ONNX file
is one protobuf message (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto); the few fields that are
needed are written by hand here.
"""

import struct
from collections.abc import Sequence
from pathlib import Path

FLOAT, INT64 = 1, 7


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    """ValueInfoProto: a tensor of floats; a dimension with a name has any size."""
    sizes = b"".join(
        _text(1, _text(2, size) if isinstance(size, str) else _number(1, size)) for size in shape
    )
    return _text(1, name) + _text(2, _text(1, _number(1, FLOAT) + _text(2, sizes)))


def _node(operator: str, inputs: Sequence[str], output: str) -> bytes:
    return b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, operator)


def _axes(name: str, axes: Sequence[int]) -> bytes:
    """TensorProto of whole numbers."""
    data = struct.pack(f"<{len(axes)}q", *axes)
    return _number(1, len(axes)) + _number(2, INT64) + _text(8, name) + _text(9, data)


def _floats(name: str, value: float) -> bytes:
    return _number(1, 1) + _number(2, FLOAT) + _text(8, name) + _text(9, struct.pack("<f", value))


def write_model(
    path: Path, *, bands: int = 80, frames: int = 800, offset: float = 0.0, probability: bool = True
) -> Path:
    """Write the model. Without `probability` its output is not squeezed into 0 to 1."""
    last = "logits" if not probability else "shifted"
    nodes = [
        _node("ReduceMean", ["input_features", "axes"], "mean"),
        _node("Sub", ["mean", "offset"], last),
    ]
    if probability:
        nodes.append(_node("Sigmoid", ["shifted"], "logits"))
    graph = (
        b"".join(_text(1, node) for node in nodes)
        + _text(2, "tiny")
        + _text(5, _axes("axes", [1, 2]))
        + _text(5, _floats("offset", offset))
        + _text(11, _value("input_features", ["batch", bands, frames]))
        + _text(12, _value("logits", ["batch", "one", "one more"]))
    )
    # IR version 8, operator set 18: ReduceMean takes its axes as an input from there on.
    path.write_bytes(_number(1, 8) + _text(8, _number(2, 18)) + _text(7, graph))
    return path
