"""
The ONNX graph of the tiny face detector, written node by node from the weights of face-api.

In: `image` f32[batch,3,416,416], RGB from 0 to 255, the picture at the top left and black elsewhere. Out: `boxes`
f32[batch,845,4], centre and size (cx, cy, w, h) in parts of the 416, and `scores` f32[batch,845,1] from 0 to 1. Answer
number (row * 13 + column) * 5 + anchor belongs to that cell of the 13x13 grid and that one of five anchors.
"""
import hashlib
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pictures import SIDE

WEIGHTS_SHA256 = "b7503ce7df31039b1c43316a9b865cab6a70dd748cc602d3fa28b551503c3871"
OPSET = 13
CELLS = 13
ANCHORS = [(1.603231, 2.094468), (6.041143, 7.080126), (2.882459, 3.518061), (4.266906, 5.178857), (9.041765, 10.66308)]
MEAN_RGB = [117.001, 114.697, 97.404]
LEAK = 0.10000000149011612
WIDTHS = [16, 32, 64, 128, 256]  # what goes into the five layers; each doubles it
ANSWERS = CELLS * CELLS * len(ANCHORS)
KERNELS = (3, 2, 0, 1)  # height, width, in, out to out, in, height, width
DEPTHWISE = (2, 3, 0, 1)


def read_weights(folder):
    """Every tensor as uint8 with its scale and zero point."""
    data = (folder / "tiny_face_detector_model.bin").read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != WEIGHTS_SHA256:
        raise SystemExit(f"The weights have SHA-256 {found}, not {WEIGHTS_SHA256}.")
    weights, at = {}, 0
    for entry in json.loads((folder / "tiny_face_detector_model-weights_manifest.json").read_text())[0]["weights"]:
        scale, least = entry["quantization"]["scale"], entry["quantization"]["min"]
        zero = -least / scale
        assert entry["quantization"]["dtype"] == "uint8" and abs(zero - round(zero)) < 1e-6 and 0 <= round(zero) <= 255
        values = np.frombuffer(data, np.uint8, int(np.prod(entry["shape"])), at).reshape(entry["shape"])
        weights[entry["name"]] = (values, scale, round(zero))
        at += values.size
    assert at == len(data)
    return weights


class Builder:
    """Nodes and constants in the order they are asked for; every method returns the name of a value."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], []

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def weight(self, name, order=None):
        """Stays uint8 in the file; the runtime computes the floats once, when it loads the graph."""
        values, scale, zero = self.weights[name]
        parts = [
            self.constant(f"{name}/uint8", values if order is None else values.transpose(order)),
            self.constant(f"{name}/scale", np.float32(scale)),
            self.constant(f"{name}/zero", np.uint8(zero)),
        ]
        return self.node("DequantizeLinear", parts, name)

    def pool(self, value, name, stride):
        return self.node("MaxPool", [value], name, kernel_shape=[2, 2], strides=[stride] * 2, auto_pad="SAME_UPPER")

    def layer(self, value, number, width):
        """Half the size, then a depthwise and a pointwise convolution."""
        name = f"conv{number}"
        value = self.pool(value, f"{name}/pool", 2)
        kernels = self.weight(f"{name}/depthwise_filter", DEPTHWISE)
        value = self.node("Conv", [value, kernels], f"{name}/depthwise", pads=[1, 1, 1, 1], group=width)
        kernels = self.weight(f"{name}/pointwise_filter", KERNELS)
        value = self.node("Conv", [value, kernels, self.weight(f"{name}/bias")], f"{name}/pointwise")
        return self.node("LeakyRelu", [value], f"{name}/leaky", alpha=LEAK)

    def grid(self, image):
        """The network itself: 25 numbers for each cell, five for each anchor."""
        mean = self.constant("mean", np.array(MEAN_RGB, np.float32).reshape(1, 3, 1, 1))
        value = self.node("Sub", [image, mean], "centred")
        value = self.node("Div", [value, self.constant("levels", np.float32(255))], "normal")
        kernels = self.weight("conv0/filters", KERNELS)
        value = self.node("Conv", [value, kernels, self.weight("conv0/bias")], "conv0/conv")
        value = self.node("LeakyRelu", [value], "conv0/leaky", alpha=LEAK)
        for number, width in enumerate(WIDTHS, 1):
            value = self.layer(value, number, width)
        value = self.pool(value, "last/pool", 1)
        return self.node("Conv", [value, self.weight("conv8/filters", KERNELS), self.weight("conv8/bias")], "grid")

    def part(self, value, start, end):
        bounds = [self.constant(f"from {start}", np.array([start])), self.constant(f"to {end}", np.array([end]))]
        return self.node("Slice", [value, *bounds, "last"], f"numbers {start} to {end}")

    def decode(self, grid):
        """Centre = (cell + sigmoid) / 13, size = exp * anchor / 13, score = sigmoid."""
        rows, columns, anchors = np.meshgrid(np.arange(CELLS), np.arange(CELLS), np.arange(len(ANCHORS)), indexing="ij")
        cells = np.stack([columns, rows], -1).reshape(1, ANSWERS, 2).astype(np.float32)
        sizes = np.array(ANCHORS)[anchors].reshape(1, ANSWERS, 2) / CELLS
        self.constant("last", np.array([2]))
        value = self.node("Transpose", [grid], "cells last", perm=[0, 2, 3, 1])
        shape = self.constant("one answer a row", np.array([0, ANSWERS, 5]))
        value = self.node("Reshape", [value, shape], "numbers")
        value_of = {span: self.part(value, *span) for span in [(0, 2), (2, 4), (4, 5)]}
        center = self.node("Sigmoid", [value_of[0, 2]], "within the cell")
        center = self.node("Add", [center, self.constant("cells", cells)], "in cells")
        center = self.node("Div", [center, self.constant("cell count", np.float32(CELLS))], "centre")
        size = self.node("Exp", [value_of[2, 4]], "in anchors")
        size = self.node("Mul", [size, self.constant("anchors", sizes.astype(np.float32))], "size")
        self.node("Concat", [center, size], "boxes", axis=2)
        self.node("Sigmoid", [value_of[4, 5]], "scores")


def write_graph(folder, path):
    builder = Builder(read_weights(folder))
    builder.decode(builder.grid("image"))

    def values(name, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

    inputs, outputs = [values("image", 3, SIDE, SIDE)], [values("boxes", ANSWERS, 4), values("scores", ANSWERS, 1)]
    graph = helper.make_graph(builder.nodes, "tiny_face_detector", inputs, outputs, builder.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    print(f"{len(builder.nodes)} nodes, opset {OPSET}, IR {model.ir_version}")
