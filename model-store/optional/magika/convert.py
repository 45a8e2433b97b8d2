"""
Writes magika's model with the rules that magika applies to its scores, and golden cases from the package itself.

    python convert.py <empty folder>

Needs Python 3.11 or later with requirements.txt. From the repository root `npm run models:add -- magika` does it all.

The package's graph scores 214 content types from the bytes at both ends of a file. Its Python code then decides: types with
a low score become "txt" or "unknown", two types of random content are renamed, and files with fewer than eight bytes are
told apart by whether they are valid UTF-8. Here the graph itself makes these decisions.
"""
import base64
import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from magika import Magika
from onnx import TensorProto, helper, numpy_helper

from samples import samples

HERE = Path(__file__).resolve().parent
MODEL = "standard_v3_3"
GRAPH_SHA256 = "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c"
VERSION = "1.0.3"
TOLERANCE = 1e-4
# For files with fewer meaningful bytes, magika does not ask the model.
UNKNOWN, TEXT = "unknown", "txt"


def packaged(name):
    return Path(importlib.util.find_spec("magika").submodule_search_locations[0]) / name


class Rules:
    """What magika's code does with the scores, as tables with an entry for each type that the model scores."""

    def __init__(self):
        config = json.loads((packaged("models") / MODEL / "config.min.json").read_text())
        kinds = json.loads((packaged("config") / "content_types_kb.min.json").read_text())
        self.config = config
        scored = config["target_labels_space"]
        renamed = [config["overwrite_map"].get(label, label) for label in scored]
        self.labels = list(dict.fromkeys(renamed))
        at = {label: i for i, label in enumerate(self.labels)}
        self.kept = np.array([at[label] for label in renamed], np.int64)
        generic = [TEXT if kinds[label]["is_text"] else UNKNOWN for label in renamed]
        self.generic = np.array([at[label] for label in generic], np.int64)
        least = config["medium_confidence_threshold"]
        self.thresholds = np.array([config["thresholds"].get(label, least) for label in scored], np.float64)
        # Adds up the scores of types with the same name.
        self.merge = np.zeros((len(scored), len(self.labels)), np.float32)
        self.merge[np.arange(len(scored)), self.kept] = 1
        self.text, self.unknown = at[TEXT], at[UNKNOWN]


class Nodes:
    """Appends nodes and constants to a graph; every call returns the name of what it made."""

    def __init__(self, graph):
        self.graph = graph
        self.count = 0

    def add(self, operator, *inputs, output=None, **attributes):
        self.count += 1
        name = output or f"rules_{self.count}"
        self.graph.node.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value):
        self.count += 1
        name = f"rules_{self.count}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def slice(self, x, start, end):
        """Of the second dimension."""
        bounds = [self.constant(np.array([value], np.int64)) for value in (start, end, 1)]
        return self.add("Slice", x, *bounds)


def decide(nodes, rules, scores):
    """The type with the highest score, unless that is too low."""
    best = nodes.add("ArgMax", scores, axis=1, keepdims=0)
    highest = nodes.add("Cast", nodes.add("ReduceMax", scores, axes=[1], keepdims=0), to=TensorProto.DOUBLE)
    least = nodes.add("Gather", nodes.constant(rules.thresholds), best)
    is_sure = nodes.add("GreaterOrEqual", highest, least)
    kept = nodes.add("Gather", nodes.constant(rules.kept), best)
    generic = nodes.add("Gather", nodes.constant(rules.generic), best)
    return nodes.add("Where", is_sure, kept, generic)


def utf8_tables(padding):
    """
    By the value of a byte: whether it continues a character, whether one, two and three bytes have to follow it, and from
    and to which value the next one may be. A missing byte stands for the end.
    """
    tables = {name: np.zeros(padding + 1, np.int64) for name in ("continues", "one", "two", "three", "from", "to", "never")}
    tables["continues"][0x80:0xC0] = 1
    tables["one"][0xC2:0xF5] = 1
    tables["two"][0xE0:0xF5] = 1
    tables["three"][0xF0:0xF5] = 1
    tables["to"][:] = padding
    tables["from"][[0xE0, 0xF0]] = 0xA0, 0x90
    tables["to"][[0xED, 0xF4]] = 0x9F, 0x8F
    tables["never"][[0xC0, 0xC1, *range(0xF5, 0x100)]] = 1
    return tables


def is_utf8(nodes, values, count, padding):
    """Whether the first `count` values, of which at least the last is missing, are valid UTF-8."""
    bytes_ = nodes.slice(values, 0, count)
    looked_up = {
        name: nodes.add("Gather", nodes.constant(table), bytes_) for name, table in utf8_tables(padding).items()
    }
    needed = None
    for distance, name in enumerate(("one", "two", "three"), start=1):
        pads = nodes.constant(np.array([0, distance, 0, 0], np.int64))
        shifted = nodes.add("Pad", nodes.slice(looked_up[name], 0, count - distance), pads)
        needed = shifted if needed is None else nodes.add("Add", needed, shifted)
    next_ = nodes.slice(bytes_, 1, count)
    wrong = [
        nodes.add("Not", nodes.add("Equal", needed, looked_up["continues"])),
        nodes.add("Cast", looked_up["never"], to=TensorProto.BOOL),
        nodes.add("Less", next_, nodes.slice(looked_up["from"], 0, count - 1)),
        nodes.add("Greater", next_, nodes.slice(looked_up["to"], 0, count - 1)),
    ]
    counts = [nodes.add("Cast", one, to=TensorProto.FLOAT) for one in wrong]
    sums = [nodes.add("ReduceMax", one, axes=[1], keepdims=0) for one in counts]
    total = nodes.add("Sum", *sums)
    return nodes.add("Equal", total, nodes.constant(np.zeros(1, np.float32)))


def build(rules):
    model = onnx.load(packaged("models") / MODEL / "model.onnx")
    graph, config = model.graph, rules.config
    nodes = Nodes(graph)
    (scores,) = [output.name for output in graph.output]
    (values,) = [input_.name for input_ in graph.input]
    padding, few = config["padding_token"], config["min_file_size_for_dl"]
    wide = nodes.add("Cast", values, to=TensorProto.INT64)
    last = nodes.add("Squeeze", nodes.slice(wide, few - 1, few), nodes.constant(np.array([1], np.int64)))
    has_few = nodes.add("Equal", last, nodes.constant(np.array([padding], np.int64)))
    by_utf8 = nodes.add(
        "Where",
        is_utf8(nodes, wide, few, padding),
        nodes.constant(np.array([rules.text], np.int64)),
        nodes.constant(np.array([rules.unknown], np.int64)),
    )
    label = nodes.add("Where", has_few, by_utf8, decide(nodes, rules, scores), output="label")
    merged = nodes.add("MatMul", scores, nodes.constant(rules.merge))
    count = nodes.constant(np.array(len(rules.labels), np.int64))
    certain = nodes.add("OneHot", label, count, nodes.constant(np.array([0, 1], np.float32)), axis=-1)
    has_few_rows = nodes.add("Unsqueeze", has_few, nodes.constant(np.array([1], np.int64)))
    nodes.add("Where", has_few_rows, certain, merged, output="probabilities")
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]))
    graph.output.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(rules.labels)]))
    onnx.checker.check_model(model, full_check=True)
    return model


def golden_cases(rules):
    """The score of a type that magika has put another in place of is not the score of the answer."""
    magika = Magika()
    cases = []
    for content in samples():
        result = magika.identify_bytes(content)
        output, model_label = str(result.output.label), str(result.dl.label)
        expect = {"label": output}
        if output == model_label and output not in (TEXT, UNKNOWN):
            expect["scores"] = {output: float(result.score)}
        cases.append({"input": {"bytes": base64.b64encode(content).decode()}, "expect": expect})
    return cases


def manifest(rules):
    config = rules.config
    return "\n".join(
        [
            "task: file-classification",
            "owner: Google",
            f"framework: magika {VERSION}",
            f"labels: {json.dumps(rules.labels)}",
            "output: { label: label, scores: probabilities }",
            f"bytes: {{ begin: {config['beg_size']}, end: {config['end_size']}, padding: {config['padding_token']}, "
            f"stripWithin: {config['block_size']} }}",
            f"example: {{ bytes: {base64.b64encode(samples()[0]).decode()} }}",
            "",
        ]
    )


def main(target):
    source = packaged("models") / MODEL / "model.onnx"
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    if found != GRAPH_SHA256:
        sys.exit(f"model.onnx is not the file this recipe was written for: sha256 {found} instead of {GRAPH_SHA256}.")
    rules = Rules()
    for name in ("README.md", "LICENSE"):
        shutil.copyfile(HERE / name, target / name)
    (target / "model.yaml").write_text(manifest(rules))
    (target / "1").mkdir()
    onnx.save(build(rules), target / "1" / "model.onnx")
    golden = {"source": f"magika {VERSION}", "tolerance": TOLERANCE, "cases": golden_cases(rules)}
    (target / "1" / "golden.json").write_text(json.dumps(golden))
    print(f"{len(golden['cases'])} golden cases from magika {VERSION}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
