"""Small ONNX files, written field by field (onnx.proto, IR version 8, opset 13): no package for that is needed.

The detector answers as YuNet does and takes bright places for faces; the recogniser describes a face by its colours.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

STRIDES = (8, 16, 32)
BRIGHT, SURE = 0.55, 60.0  # sRGB that is half a face, and how sharply


def detector(path: Path, width: int, height: int) -> None:
    """Takes pictures of this size alone, in multiples of 32."""
    nodes, tensors, outputs = [], {}, []
    for kind, channels in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for stride in STRIDES:
            name = f"{kind}_{stride}"
            score = channels == 1
            weight = np.full((channels, 3, 1, 1), SURE / 3 / 255 if score else 0.0, np.float32)
            bias = _answer(kind, channels)
            tensors |= {f"{name}.w": weight, f"{name}.b": bias, f"{name}.s": np.array([1, -1, channels], np.int64)}
            window = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
            nodes.append(_node("AveragePool", ["input"], [f"{name}.p"], window))
            nodes.append(
                _node("Conv", [f"{name}.p", f"{name}.w", f"{name}.b"], [f"{name}.c"], {"kernel_shape": [1, 1]})
            )
            last = f"{name}.c"
            if score:
                nodes.append(_node("Sigmoid", [last], [f"{name}.g"]))
                last = f"{name}.g"
            nodes.append(_node("Transpose", [last], [f"{name}.t"], {"perm": [0, 2, 3, 1]}))
            nodes.append(_node("Reshape", [f"{name}.t", f"{name}.s"], [name]))
            outputs.append((name, (1, (width // stride) * (height // stride), channels)))
    _write(path, nodes, tensors, ("input", (1, 3, height, width)), outputs)


def recognizer(path: Path) -> None:
    """Means of 4x4 patches of each channel, less the middle grey."""
    tensors = {"grey": np.array([-100.0], np.float32)}
    nodes = [
        _node("AveragePool", ["data"], ["p"], {"kernel_shape": [28, 28], "strides": [28, 28]}),
        _node("Add", ["p", "grey"], ["g"]),
        _node("Flatten", ["g"], ["fc1"], {}),
    ]
    _write(path, nodes, tensors, ("data", (1, 3, 112, 112)), [("fc1", (1, 48))])


def arcface(path: Path) -> np.ndarray:
    """InsightFace's names and sizes: 512 mixes of the means of 28x28 patches; returns the mixing matrix (48, 512)."""
    mix = np.random.default_rng(4).standard_normal((48, 512)).astype(np.float32)
    nodes = [
        _node("AveragePool", ["input.1"], ["p"], {"kernel_shape": [28, 28], "strides": [28, 28]}),
        _node("Flatten", ["p"], ["f"], {}),
        _node("MatMul", ["f", "mix"], ["683"]),
    ]
    _write(path, nodes, {"mix": mix}, ("input.1", (1, 3, 112, 112)), [("683", (1, 512))])
    return mix


def _answer(kind: str, channels: int) -> np.ndarray:
    """Boxes of four cells around each cell, landmarks where those of an upright face are, in cells."""
    if channels == 1:
        return np.array([-SURE * BRIGHT], np.float32)
    if kind == "bbox":
        return np.array([0, 0, np.log(4), np.log(4)], np.float32)
    return np.array([-0.8, -0.6, 0.8, -0.6, 0, 0.2, -0.6, 1, 0.6, 1], np.float32)


def _write(
    path: Path,
    nodes: Sequence[bytes],
    tensors: Mapping[str, np.ndarray],
    given: tuple[str, Sequence[int]],
    outputs: Sequence[tuple[str, Sequence[int]]],
) -> None:
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"tiny")
    graph += b"".join(_field(5, _tensor(name, value)) for name, value in tensors.items())
    graph += _field(11, _value(*given)) + b"".join(_field(12, _value(*one)) for one in outputs)
    model = _number(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _number(2, 13))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model)


def _node(
    kind: str, taken: Sequence[str], made: Sequence[str], settings: Mapping[str, Sequence[int]] | None = None
) -> bytes:
    node = b"".join(_field(1, name.encode()) for name in taken) + b"".join(_field(2, name.encode()) for name in made)
    node += _field(3, made[0].encode()) + _field(4, kind.encode())
    for name, values in (settings or {}).items():
        ints = b"".join(_number(8, value) for value in values)
        node += _field(5, _field(1, name.encode()) + ints + _number(20, 7))
    return node


def _tensor(name: str, value: np.ndarray) -> bytes:
    kind = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}[value.dtype]
    sizes = b"".join(_number(1, size) for size in value.shape)
    return sizes + _number(2, kind) + _field(8, name.encode()) + _field(9, value.tobytes())


def _value(name: str, shape: Sequence[int]) -> bytes:
    sizes = b"".join(_field(1, _number(1, size)) for size in shape)
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, 1) + _field(2, sizes)))


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = b""
    value &= (1 << 64) - 1
    while value > 0x7F:
        out += struct.pack("B", value & 0x7F | 0x80)
        value >>= 7
    return out + struct.pack("B", value)
