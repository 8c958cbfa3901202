"""Tiny face models in the formats of the real ones, and pictures of "faces" that they see.

A face here is a patch of random coarse colours (who it is) with a magenta cell in the middle (that it is
one). `yunet` finds the cell as YuNet finds faces, with a box and five landmarks; `sface` embeds the aligned
patch by a random projection, as SFace would by a trained network.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CELL = 32  # pixels; the largest stride of YuNet
FACE = 4 * CELL  # pixels, side of a face
STRIDES = (8, 16, 32)
# Right eye, left eye, nose, right and left corner of the mouth: offsets from the cell's corner, in cells.
LANDMARKS = (-0.3, -0.2, 1.3, -0.2, 0.5, 0.6, -0.1, 1.4, 1.1, 1.4)


def _constant(name: str, values: NDArray[np.generic]) -> onnx.TensorProto:
    return numpy_helper.from_array(values, name)


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
) -> Path:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def yunet(path: Path) -> Path:
    """Writes a detector with the inputs and outputs of YuNet (2023mar)."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    outputs = []
    for stride in STRIDES:
        least = 0.9 if stride == CELL else 1e9  # cells of the other strides see nothing
        box = (0.5, 0.5, np.log(FACE / stride), np.log(FACE / stride))
        heads = {
            "cls": ((1 / 510, -1 / 255, 1 / 510), (1 - least,) if stride == CELL else (-1.0,)),
            "obj": ((0.0, 0.0, 0.0), (1.0,)),
            "bbox": ((0.0, 0.0, 0.0), box),
            "kps": ((0.0, 0.0, 0.0), LANDMARKS),
        }
        nodes.append(
            helper.make_node(
                "AveragePool", ["input"], [f"cells{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2
            )
        )
        for name, (weights, bias) in heads.items():
            key, wide = f"{name}_{stride}", len(bias)
            kernel = np.tile(np.array(weights, np.float32), (wide, 1)).reshape(wide, 3, 1, 1)
            constants += [_constant(f"w_{key}", kernel), _constant(f"b_{key}", np.array(bias, np.float32))]
            constants.append(_constant(f"s_{key}", np.array([1, -1, wide], np.int64)))
            nodes += [
                helper.make_node("Conv", [f"cells{stride}", f"w_{key}", f"b_{key}"], [f"map_{key}"]),
                helper.make_node("Transpose", [f"map_{key}"], [f"last_{key}"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"last_{key}", f"s_{key}"], [key]),
            ]
            outputs.append(helper.make_tensor_value_info(key, TensorProto.FLOAT, [1, "n", wide]))
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "h", "w"])
    return _save(path, nodes, constants, [picture], outputs)


def sface(path: Path, *, seed: int = 0, dimensions: int = 128) -> Path:
    """Writes an embedder with the input and output of SFace (2021dec): 112 x 112 to `dimensions` numbers."""
    drawn = np.random.default_rng(seed).standard_normal((dimensions, 3, 8, 8))
    used = np.ones((8, 8))
    used[3:6, 3:6] = 0  # where all faces have the magenta cell
    drawn = used * (drawn - (drawn * used).sum((2, 3), keepdims=True) / used.sum())  # tints say nothing
    net = drawn.reshape(dimensions, -1).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["data"], ["cells"], kernel_shape=[14, 14], strides=[14, 14]),
        helper.make_node("Flatten", ["cells"], ["row"]),
        helper.make_node("Gemm", ["row", "net"], ["fc1"], transB=1),
    ]
    picture = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 112, 112])
    found = helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, dimensions])
    return _save(path, nodes, [_constant("net", net)], [picture], [found])


def face(who: int) -> NDArray[np.uint8]:
    """Returns a face, uint8 [FACE, FACE, 3] RGB; the same one for the same number."""
    coarse = np.random.default_rng(who).integers(30, 225, (8, 8, 3)).astype(np.uint8)
    coarse[..., 1] = np.maximum(coarse[..., 1], 120)  # nothing else is magenta
    patch = cv2.resize(coarse, (FACE, FACE), interpolation=cv2.INTER_CUBIC)
    start = (FACE - CELL) // 2
    patch[start : start + CELL, start : start + CELL] = (255, 0, 255)
    return np.asarray(patch, np.uint8)


def scene(*people: int, noise: int = 0) -> NDArray[np.uint8]:
    """Returns a grey picture with the given faces beside each other, uint8 [H, W, 3] RGB."""
    width = max(1, len(people)) * 2 * FACE
    pixels = np.full((2 * FACE, width, 3), 128, np.uint8)
    # The cell in the middle of a face lies on the grid of the detector.
    top = FACE // 2 - (FACE - CELL) // 2 % CELL
    for place, who in enumerate(people):
        left = place * 2 * FACE + top
        pixels[top : top + FACE, left : left + FACE] = face(who)
    if noise:
        drawn = np.random.default_rng(noise).normal(0, 6, pixels.shape)
        pixels = np.clip(pixels + drawn, 0, 255).astype(np.uint8)
    return pixels
