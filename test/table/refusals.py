"""Exports that must be refused, and what the refusal must say: batch sizes, versions, operators, examples, and files."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from cases import write_case
from tensors import model

SOURCE = "none: the import must fail"


def refused(group, name, graph, words, yaml=None, files=None):
    def make(out):
        write_case(out, group, name, graph, yaml, [], [], SOURCE, refuse=words, **({"files": files} if files else {}))
    return make


def identity(shape, kind="FP32", to=None, opset=17, ir=8, **more):
    made = model([("Identity", ["x"], ["y"])], [("x", kind, shape)], [("y", kind, to or shape)], opset=opset)
    made.ir_version = ir
    return made


FROZEN = "frozen batch"


def frozen():
    tabular = "task: tabular-regression\noutput: { value: y }\ncolumns: [{ name: a, type: number }, { name: b, type: number }]"
    scored = tabular.replace("tabular-regression\noutput: { value: y }", "tabular-classification\nlabels: [no, yes]\noutput: { scores: y, activation: softmax }")
    made = [refused(FROZEN, f"{task}-{size}", identity([size, 2]), ["batch", f"[{size}, 2]", "dynamic_axes", "FloatTensorType"], yaml)
            for task, yaml in [("regression", tabular), ("classification", scored)] for size in [2, 8, 16, 64, 1000]]
    images = "task: image-classification\nlabels: [a, b]\noutput: { scores: y }\nimage: {}"
    flat = lambda size: model([("Reshape", ["x", "s"], ["y"])], [("x", "FP32", [size, 3, 4, 4])], [("y", "FP32", [size, 48])], [("s", np.array([size, 48]))])
    made += [refused(FROZEN, f"images-{size}", flat(size), ["batch", "input \"x\"", "dynamic_axes"], images) for size in [4, 32]]

    def reshaped(size):
        return model([("Reshape", ["x", "s"], ["y"])], [("x", "FP32", ["N", 2])], [("y", "FP32", ["N", 2])], [("s", np.array([size, 2]))])
    made += [refused(FROZEN, f"reshape-{size}", reshaped(size), ["example", "model.yaml", "frozen", "export"]) for size in [2, 4, 128]]

    made += [refused(FROZEN, f"concat-{size}", model([("Concat", ["x", "c"], ["y"], {"axis": 1})], [("x", "FP32", ["N", 2])], [("y", "FP32", ["N", 4])],
                                                    [("c", np.zeros((size, 2), np.float32))]), ["example", "export"]) for size in [3, 8]]
    made += [refused(FROZEN, f"texts-{size}", model([("Cast", ["input_ids"], ["logits"], {"to": 1})], [("input_ids", "INT64", [size, "L"])],
                                                   [("logits", "FP32", [size, "L"])]), ["batch", "dynamic_axes"],
                     "task: text-classification\nlabels: [a, b]\noutput: { scores: logits }") for size in [2, 16]]
    return made


VERSIONS = "newer versions"


def versions():
    made = [refused(VERSIONS, f"ir-{ir}", identity(["N"], ir=ir), [f"IR version {ir}", "highest supported is", "ir_version", "onnx.load"]) for ir in [14, 15, 16, 20, 99]]
    made += [refused(VERSIONS, f"opset-{opset}", identity(["N"], opset=opset, ir=10), [f"opset {opset}", "opset_version", "target_opset", "--opset", "convert_version"])
             for opset in [27, 28, 29, 30, 50, 100]]
    made += [refused(VERSIONS, f"both-{opset}", identity(["N"], opset=opset, ir=14), [f"opset {opset}", "IR version 14", "opset_version"]) for opset in [27, 28, 40]]

    def with_ml(version):
        made = identity(["N"])
        made.opset_import.append(helper.make_opsetid("ai.onnx.ml", version))
        node = helper.make_node("Normalizer", ["x"], ["z"], domain="ai.onnx.ml", norm="L2")
        made.graph.node.append(node)
        return made
    made += [refused(VERSIONS, f"ml-{version}", with_ml(version), ["ai.onnx.ml", f"{version}", "target_opset"]) for version in [6, 7, 9, 20]]
    return made


TENSORFLOW = "missing operators"


def operators():
    names = ["LookupTableFindV2", "StaticRegexReplace", "StringSplitV2", "RaggedTensorToTensor", "HashTableV2", "StringLower", "StringToHashBucketFast", "Bucketize",
             "AdjustHueV2", "NonMaxSuppressionWithOverlaps", "Multinomial2", "VarHandleOp", "ReadVariableOp", "StatefulPartitionedCall", "MatrixBandPartV2", "LookupTableSizeV2"]

    def left(name, kind="FP32"):
        made = model([(name, ["x"], ["y"])], [("x", kind, ["N", 2])], [("y", kind, ["N", 2])])
        made.producer_name = "tf2onnx"
        return made
    made = [refused(TENSORFLOW, f"tensorflow-{name.lower()[:20]}", left(name), [name, "TensorFlow", "export"]) for name in names]

    def other(name, domain, opset=17):
        made = identity(["N"])
        made.graph.node[0].op_type, made.graph.node[0].domain = name, domain
        made.opset_import.append(helper.make_opsetid(domain, 1)) if domain else None
        return made
    made += [refused(TENSORFLOW, f"custom-{domain.split('.')[-1]}", other("Special", domain), [domain, "export"]) for domain in
             ["our.ops", "ai.onnx.contrib", "org.pytorch.aten", "mmdeploy", "com.microsoft.extensions", "TRT"]]
    made += [refused(TENSORFLOW, f"contrib-{name.lower()}", other(name, "com.microsoft"), [name, "export"]) for name in ["NoSuchOperator", "FusedEverything"]]
    made += [refused(TENSORFLOW, f"newer-{name.lower()}", model([(name, ["x"], ["y"])], [("x", "FP32", ["N", 2])], [("y", "FP32", ["N", 2])], opset=opset),
                     [name, f"opset {opset}", "export"]) for name, opset in [("Gelu", 13), ("Mish", 13), ("HardSwish", 12), ("GroupNormalization", 12), ("BitwiseNot", 15)]]
    made += [refused(TENSORFLOW, f"unknown-{name.lower()}", model([(name, ["x"], ["y"])], [("x", "FP32", ["N", 2])], [("y", "FP32", ["N", 2])]), [name, "export"])
             for name in ["Relux", "MyLayer", "aten_add", "FlashAttention"]]
    return made


EXAMPLES = "examples"


def examples():
    def padding(size, mode="reflect"):
        return model([("Pad", ["x", "p"], ["y"], {"mode": mode})], [("x", "FP32", ["N", "T"])], [("y", "FP32", ["N", "T2"])], [("p", np.array([0, size, 0, size]))])
    said = ["generated", "example", "model.yaml"]
    made = [refused(EXAMPLES, f"reflect-{size}", padding(size), said) for size in [1, 2, 5, 16]]

    def product(width):
        return model([("MatMul", ["x", "w"], ["y"])], [("x", "FP32", ["N", "C"])], [("y", "FP32", ["N", 2])], [("w", np.ones((width, 2), np.float32))])
    made += [refused(EXAMPLES, f"open-width-{width}", product(width), said) for width in [2, 3, 7, 100]]

    def convolution(kernel):
        weights = np.ones((1, 1, kernel), np.float32)
        return model([("Conv", ["x", "w"], ["y"])], [("x", "FP32", ["N", 1, "T"])], [("y", "FP32", ["N", 1, "T2"])], [("w", weights)])
    made += [refused(EXAMPLES, f"short-for-kernel-{kernel}", convolution(kernel), said) for kernel in [3, 9]]

    def gather(index):
        return model([("Gather", ["x", "i"], ["y"], {"axis": 1})], [("x", "FP32", ["N", "T"])], [("y", "FP32", ["N", 1])], [("i", np.array([index]))])
    made += [refused(EXAMPLES, f"gather-{index}", gather(index), said) for index in [1, 5, 40]]
    own = "example: { tensors: [{ name: x, datatype: FP32, shape: [1, 1], data: [0] }] }"
    made += [refused(EXAMPLES, f"own-{name}", graph, ["the example in model.yaml"], own) for name, graph in [("reflect", padding(3)), ("width", product(4)), ("gather", gather(2))]]
    misfits = {"shape": "{ name: x, datatype: FP32, shape: [1, 3], data: [0, 0, 0] }", "name": "{ name: z, datatype: FP32, shape: [1, 2], data: [0, 0] }",
               "datatype": "{ name: x, datatype: INT64, shape: [1, 2], data: [0, 0] }", "count": "{ name: x, datatype: FP32, shape: [1, 2], data: [0] }",
               "text": "{ name: x, datatype: FP32, shape: [1, 2], data: [a, b] }"}
    made += [refused(EXAMPLES, f"misfit-{name}", identity(["N", 2]), ["model.yaml", "example"], f"example: {{ tensors: [{tensor}] }}") for name, tensor in misfits.items()]
    made += [refused(EXAMPLES, f"too-large-{size}", identity(["N", size, size]), ["too large", "example", "model.yaml"]) for size in [5000, 20000]]
    return made


MANIFESTS = "manifests"


def manifests():
    pair = identity(["N", 2])
    task = "task: tabular-classification\nlabels: [no, yes]\noutput: { scores: y, activation: softmax }\n"
    two = "columns: [{ name: a, type: number }, { name: b, type: number }]\n"
    cases = {
        "unknown-key": ("colums: []", ["model.yaml", "colums"]), "unknown-task": ("task: speech", ["model.yaml", "task"]),
        "not-yaml": ("task: [", ["model.yaml", "YAML"]), "labels-text": ("labels: yes", ["model.yaml", "labels"]),
        "no-columns": (task, ["model.yaml", "columns"]), "one-column": (task + "columns: [{ name: a, type: number }]", ["columns", "[any, 2]"]),
        "three-columns": (task + two.replace("]", ", { name: c, type: number }]"), ["columns", "[any, 2]"]),
        "column-twice": (task + two.replace("name: b", "name: a"), ["model.yaml", "\"a\""]),
        "unknown-type": (task + two.replace("number }]", "float }]"), ["model.yaml", "type"]),
        "no-categories": (task + two.replace("b, type: number", "b, type: category"), ["model.yaml", "categories"]),
        "three-labels": (task.replace("[no, yes]", "[a, b, c]") + two, ["labels", "[any, 2]"]), "label-twice": (task.replace("[no, yes]", "[a, a]") + two, ["model.yaml", "label"]),
        "no-output": (task.replace("scores: y", "scores: z") + two, ["model.yaml", "output.scores", "\"z\""]),
        "unknown-activation": (task.replace("softmax", "tanh") + two, ["model.yaml", "activation"]),
        "batch-0": (task + two + "maxBatch: 0", ["model.yaml", "maxBatch"]), "run-1-ms": (task + two + "maxRunMs: 1", ["model.yaml", "maxRunMs"]),
        "two-tasks": ("task: tensor\ntask: tensor", ["model.yaml", "YAML"]), "column-input": (task + two.replace("type: number }]", "type: number, input: q }]"), ["model.yaml", "\"q\""]),
        "bad-range": (task + two.replace("a, type: number", "a, type: number, minimum: 3, maximum: 1"), ["model.yaml"]),
        "example-of-other-type": (task + two.replace("a, type: number", "a, type: number, example: x"), ["model.yaml", "example"]),
        "several-labels-one-score": ("task: tabular-classification\nmultiLabel: true\nlabels: [no, yes]\noutput: { scores: y, activation: sigmoid }\ncolumns: [{ name: a, type: number }]", ["model.yaml"]),
        "targets": ("task: tabular-regression\ntargets: [a, b, c]\n" + two, ["model.yaml", "targets"]),
    }
    made = [refused(MANIFESTS, name, identity(["N", 1]) if name == "several-labels-one-score" else pair, words, yaml) for name, (yaml, words) in cases.items()]
    golden = '{ "source": "x", "tolerance": 1e-5, "cases": %s }'
    one = '{ "input": { "tensors": [{ "name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 1] }] }, "expect": { "tensors": { "y": [%s, 1] } } }'
    for name, text, words in [("golden-empty", golden % "[]", ["golden.json"]), ("golden-wrong", golden % f"[{one % 2}]", ["golden.json", "case 0"]),
                              ("golden-nan", golden % "[NaN]", ["golden.json", "null"]), ("golden-no-json", "{", ["golden.json", "JSON"])]:
        made.append(refused(MANIFESTS, name, pair, words, None, {"1/golden.json": text}))
    return made


BROKEN = "broken files"


def broken():
    whole = identity(["N", 2]).SerializeToString()
    made = [refused(BROKEN, name, content, ["ONNX"]) for name, content in
            [("noise", b"noise"), ("empty", b""), ("cut", whole[: len(whole) // 2]), ("html", b"<!doctype html><html></html>"), ("lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")]]

    def double(op):
        return model([(op, ["x"], ["y"])], [("x", "FP64", ["N", 2])], [("y", "FP64", ["N", 2])], opset=22)
    made += [refused(BROKEN, f"double-{op.lower()}", double(op), ["Softplus" if op == "Mish" else op, "float32"]) for op in ["Mish", "HardSigmoid", "Softplus", "Elu", "Selu"]]

    def mixed():
        return model([("Add", ["x", "c"], ["y"])], [("x", "FP32", ["N", 2])], [("y", "FP32", ["N", 2])], [("c", np.ones(2, np.float64))])

    def no_shape():
        made = identity(["N"])
        made.graph.input[0].type.tensor_type.ClearField("shape")
        return made

    def of_type(kind):
        made = identity(["N"])
        made.graph.input[0].type.tensor_type.elem_type = made.graph.output[0].type.tensor_type.elem_type = kind
        return made

    def outside(location):
        tensor = numpy_helper.from_array(np.ones(2, np.float32), "w")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        made = model([("Add", ["x", "w"], ["y"])], [("x", "FP32", ["N", 2])], [("y", "FP32", ["N", 2])])
        made.graph.initializer.append(tensor)
        return made

    def undefined():
        return model([("Add", ["x", "nowhere"], ["y"])], [("x", "FP32", ["N"])], [("y", "FP32", ["N"])])
    made += [refused(BROKEN, "mixed", mixed(), ["datatypes", "export"]), refused(BROKEN, "no-shape", no_shape(), ["\"x\"", "shape", "export"]),
             refused(BROKEN, "bfloat16", of_type(TensorProto.BFLOAT16), ["bfloat16", "float32"]), refused(BROKEN, "complex", of_type(TensorProto.COMPLEX64), ["\"x\""]),
             refused(BROKEN, "undefined-name", undefined(), ["export"])]
    made += [refused(BROKEN, f"data-{name}", outside(location), [named, "model.onnx"]) for name, location, named in
             [("missing", "model.onnx.data", "model.onnx.data"), ("other-name", "weights.bin", "weights.bin"),
              ("outside", "../model.onnx.data", "../model.onnx.data"), ("absolute", "/etc/hostname", "by an absolute path")]]
    return made


def build(out):
    for make in [*frozen(), *versions(), *operators(), *examples(), *manifests(), *broken()]:
        make(out)
