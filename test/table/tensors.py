"""The task tensor: numbers that JSON has not, sizes of 0, integers beyond 2^53, booleans, rows, and shapes that are declared wrongly."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from cases import write_case

SOURCE = f"numpy {np.__version__}"
TYPES = {"FP32": (TensorProto.FLOAT, np.float32), "FP64": (TensorProto.DOUBLE, np.float64), "FP16": (TensorProto.FLOAT16, np.float16),
         "INT64": (TensorProto.INT64, np.int64), "INT32": (TensorProto.INT32, np.int32), "INT8": (TensorProto.INT8, np.int8),
         "INT16": (TensorProto.INT16, np.int16), "UINT8": (TensorProto.UINT8, np.uint8), "UINT16": (TensorProto.UINT16, np.uint16),
         "UINT32": (TensorProto.UINT32, np.uint32), "UINT64": (TensorProto.UINT64, np.uint64), "BOOL": (TensorProto.BOOL, np.bool_)}


def model(nodes, inputs, outputs, constants=(), opset=17):
    """`inputs`, `outputs`: (name, datatype, shape). `nodes`: (operator, inputs, outputs, attributes)."""
    info = lambda name, kind, shape: helper.make_tensor_value_info(name, TYPES[kind][0], list(shape))
    graph = helper.make_graph(
        [helper.make_node(op, list(i), list(o), **(a[0] if a else {})) for op, i, o, *a in nodes], "graph", [info(*one) for one in inputs],
        [info(*one) for one in outputs], [numpy_helper.from_array(value, name) for name, value in constants])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])


def plain(value):
    """A number as it stands in JSON: long integers are strings, NaN is null, and infinities have names."""
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, (int, np.integer)):
        return str(int(value)) if abs(int(value)) > 2**53 - 1 else int(value)
    value = float(value)
    return None if np.isnan(value) else value if np.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def sent(name, kind, array):
    array = np.asarray(array, dtype=TYPES[kind][1])
    return {"name": name, "datatype": kind, "shape": list(array.shape), "data": [plain(one) for one in array.flatten()]}


def answered(**arrays):
    return {"tensors": {name: [plain(one) for one in np.asarray(value).flatten()] for name, value in arrays.items()}}


def one_operator(group, name, op, kind, tried, function, to=None, opset=17, yaml=None, shape=("N",), to_shape=None, **more):
    """y = op(x)."""
    def make(out):
        inputs, right = [], []
        for values in tried:
            array = np.asarray(values, dtype=TYPES[kind][1])
            with np.errstate(all="ignore"):
                found = function(array)
            inputs.append({"tensors": [sent("x", kind, array)]})
            right.append(answered(y=found))
        graph = model([(op, ["x"], ["y"])], [("x", kind, shape)], [("y", to or kind, to_shape or shape)], opset=opset)
        write_case(out, group, name, graph, yaml, inputs, right, SOURCE, 1e-2 if kind == "FP16" else 1e-5, **more)
    return make


def two_inputs(group, name, op, kind, pairs, function, to=None, yaml=None):
    """y = op(a, b)."""
    def make(out):
        inputs, right = [], []
        for a, b in pairs:
            a, b = (np.asarray(one, dtype=TYPES[kind][1]) for one in (a, b))
            with np.errstate(all="ignore"):
                found = function(a, b)
            inputs.append({"tensors": [sent("a", kind, a), sent("b", kind, b)]})
            right.append(answered(y=found))
        graph = model([(op, ["a", "b"], ["y"])], [("a", kind, ["N"]), ("b", kind, ["N"])], [("y", to or kind, ["N"])])
        write_case(out, group, name, graph, yaml, inputs, right, SOURCE)
    return make


NOT_FINITE = "tensors that are not finite"
EXAMPLE = "example: { tensors: [{ name: x, datatype: FP32, shape: [1], data: [1] }] }"


def not_finite():
    tried = [[-1, 0, 1], [0.5], [-2, 0.25, 4, 100]]
    functions = {"Log": np.log, "Sqrt": np.sqrt, "Reciprocal": lambda x: 1 / x, "Acos": np.arccos, "Asin": np.arcsin, "Atanh": np.arctanh,
                 "Acosh": np.arccosh}
    made = [one_operator(NOT_FINITE, f"{op.lower()}-{kind.lower()}", op, kind, tried, function)
            for op, function in functions.items() for kind in ["FP32", *(["FP64"] if op in ("Log", "Sqrt", "Reciprocal") else [])]]
    made += [one_operator(NOT_FINITE, f"{op.lower()}-with-example", op, "FP32", tried, functions[op], yaml=EXAMPLE) for op in ["Log", "Sqrt", "Acosh"]]
    made += [one_operator(NOT_FINITE, f"exp-{kind.lower()}", "Exp", kind, [[0, 1], [800, -800], [1e4, -1e4]], np.exp) for kind in ["FP32", "FP64", "FP16"]]
    made += [two_inputs(NOT_FINITE, f"div-{kind.lower()}", "Div", kind, [([1, -1, 0], [0, 0, 0]), ([1, 2], [2, 1])], lambda a, b: a / b)
             for kind in ["FP32", "FP64"]]
    made += [two_inputs(NOT_FINITE, "pow", "Pow", "FP32", [([-1, 0, 10], [0.5, -1, 50]), ([2], [3])], np.power),
             two_inputs(NOT_FINITE, "mod-product", "Mul", "FP32", [([3e38, -3e38], [10, 10]), ([1], [2])], np.multiply),
             two_inputs(NOT_FINITE, "overflow-fp16", "Mul", "FP16", [([300, 2], [300, 2])], np.multiply)]
    return made


ZERO = "tensors without elements"


def without_elements():
    none = lambda *shape: np.zeros(shape, np.float32)
    made = [one_operator(ZERO, f"identity-{kind.lower()}", "Identity", kind, [np.zeros(0), np.zeros(2)], lambda x: x) for kind in TYPES]
    made += [one_operator(ZERO, f"identity-{'-'.join(map(str, shape))}", "Identity", "FP32", [none(*shape)], lambda x: x, shape=[None] * len(shape))
             for shape in [(0, 3), (2, 0), (0, 0), (1, 0, 4), (0, 1, 2, 3)]]
    made += [one_operator(ZERO, "nonzero", "NonZero", "FP32", [[0, 0, 0], [1, 0, 2]], lambda x: np.array(np.nonzero(x)), to="INT64", to_shape=[1, None])]
    made += [one_operator(ZERO, name, op, "FP32", [none(0, 3), np.ones((2, 3))], function, shape=[None, 3], to_shape=to)
             for name, op, function, to in [("relu", "Relu", lambda x: np.maximum(x, 0), [None, 3]), ("neg", "Neg", np.negative, [None, 3])]]
    made += [two_inputs(ZERO, "add", "Add", "FP32", [([], []), ([1, 2], [3, 4])], np.add)]
    return made


LONG = "integers beyond 2^53"


def long_integers():
    large = {"INT64": [[2**53 + 1, -(2**53) - 1], [2**63 - 1, -(2**63)], [0, 7]], "UINT64": [[2**53 + 1, 2**64 - 1], [0, 7]]}
    made = [one_operator(LONG, f"identity-{kind.lower()}", "Identity", kind, large[kind], lambda x: x) for kind in large]
    made += [one_operator(LONG, "abs", "Abs", "INT64", [[-(2**60) - 1, 2**60 + 1]], np.abs), one_operator(LONG, "neg", "Neg", "INT64", [[2**60 + 1]], np.negative)]
    made += [two_inputs(LONG, op.lower(), op, "INT64", [([2**53, 5], [1, 6]), ([2**60, -(2**61)], [3, 3])], function)
             for op, function in [("Add", np.add), ("Sub", np.subtract), ("Max", np.maximum), ("Min", np.minimum)]]
    made += [two_inputs(LONG, f"compare-{op.lower()}", op, "INT64", [([2**53 + 1, 2**53], [2**53, 2**53])], function, to="BOOL")
             for op, function in [("Equal", np.equal), ("Greater", np.greater), ("Less", np.less)]]

    def scatter(out):
        graph = model([("Cast", ["x"], ["y"], {"to": TensorProto.STRING})], [("x", "INT64", ["N"])], [], [])
        graph.graph.output.append(helper.make_tensor_value_info("y", TensorProto.STRING, ["N"]))
        ids = [2**53 + 1, -(2**62), 12]
        write_case(out, LONG, "to-strings", graph, None, [{"tensors": [sent("x", "INT64", ids)]}], [{"tensors": {"y": [str(one) for one in ids]}}], SOURCE)

    def ids_in_rows(name, values, columns, to):
        def make(out):
            graph = model([("Identity", ["id"], ["y"])], [("id", "INT64", ["N", 1])], [("y", "INT64", ["N", 1])])
            inputs = [{"row": {"id": plain(one)}} for one in values]
            write_case(out, LONG, name, graph, f"task: tensor\n{columns}", inputs, [answered(y=[one]) for one in values], SOURCE)
        return make
    row = "columns: [{ name: id, type: integer }]"
    made += [scatter, *(ids_in_rows(f"row-{i}", values, row, None) for i, values in enumerate([[7], [2**53 + 1], [2**63 - 1, -(2**63)], [0, -1]]))]

    def number_refused(name, kind, data):
        def make(out):
            graph = model([("Identity", ["x"], ["y"])], [("x", kind, ["N"])], [("y", kind, ["N"])])
            tensor = {"name": "x", "datatype": kind, "shape": [len(data)], "data": data}
            write_case(out, LONG, name, graph, None, [{"tensors": [tensor]}], [{"problem": ["string"]}], SOURCE)
        return make
    made += [number_refused(f"number-{i}", kind, [value]) for i, (kind, value) in enumerate(
        [("INT64", 2**53 + 2), ("INT64", -(2**53) - 2), ("UINT64", 2**60), ("INT64", 2**62)])]
    return made


REFUSED = "values that do not fit"


def refused_values():
    wrong = [("UINT8", 256), ("UINT8", -1), ("INT8", 128), ("INT8", -129), ("INT16", 32768), ("UINT16", 65536), ("UINT16", -1), ("INT32", 2**31),
             ("INT32", -(2**31) - 1), ("UINT32", 2**32), ("UINT32", -1), ("UINT64", -1), ("UINT8", 1.5), ("INT64", 0.5), ("INT64", "9223372036854775808"),
             ("UINT64", "18446744073709551616"), ("INT64", "1.5"), ("INT64", "seven"), ("BOOL", 2), ("BOOL", -1), ("FP32", "1"), ("FP32", None),
             ("FP32", "NaN"), ("INT64", None)]

    def value(i, kind, bad):
        def make(out):
            graph = model([("Identity", ["x"], ["y"])], [("x", kind, ["N"])], [("y", kind, ["N"])])
            of = lambda *data: {"tensors": [{"name": "x", "datatype": kind, "shape": [len(data)], "data": list(data)}]}
            write_case(out, REFUSED, f"{i:02}-{kind.lower()}", graph, None, [of(1, bad), of(1, 0)], [{"problem": ["tensors", "data"]}, answered(y=[1, 0])], SOURCE)
        return make
    return [value(i, kind, bad) for i, (kind, bad) in enumerate(wrong)]


BOOLEANS = "booleans"


def booleans():
    numbers = [([1, 2, 3], [3, 2, 1]), ([0.5], [0.5])]
    made = [two_inputs(BOOLEANS, f"{op.lower()}-{kind.lower()}", op, kind, [tuple(map(lambda one: [int(x) for x in one] if kind != "FP32" else one, pair)) for pair in numbers],
                       function, to="BOOL") for op, function in [("Greater", np.greater), ("Less", np.less), ("Equal", np.equal), ("GreaterOrEqual", np.greater_equal),
                                                                 ("LessOrEqual", np.less_equal)] for kind in ["FP32", "INT64"]]
    logical = [([True, False, True, False], [True, True, False, False])]
    made += [two_inputs(BOOLEANS, op.lower(), op, "BOOL", logical, function) for op, function in
             [("And", np.logical_and), ("Or", np.logical_or), ("Xor", np.logical_xor)]]
    made += [one_operator(BOOLEANS, "not", "Not", "BOOL", [[True, False]], np.logical_not),
             one_operator(BOOLEANS, "isnan", "IsNaN", "FP32", [[1, 2]], np.isnan, to="BOOL"),
             one_operator(BOOLEANS, "isinf", "IsInf", "FP32", [[1, 2]], np.isinf, to="BOOL"),
             one_operator(BOOLEANS, "identity", "Identity", "BOOL", [[True, False, True]], lambda x: x)]

    def to(name, kind):
        def make(out):
            graph = model([("Cast", ["x"], ["y"], {"to": TYPES[kind][0]})], [("x", "BOOL", ["N"])], [("y", kind, ["N"])])
            write_case(out, BOOLEANS, name, graph, None, [{"tensors": [sent("x", "BOOL", [True, False])]}], [answered(y=[1, 0])], SOURCE)
        return make
    return [*made, *(to(f"cast-{kind.lower()}", kind) for kind in ["FP32", "INT64", "UINT8", "INT32", "FP64"])]


ROWS = "rows in place of tensors"


def rows():
    random = np.random.default_rng(5)

    def linear(name, width, outputs, kind="FP32", given=None):
        def make(out):
            weights = random.normal(size=(width, outputs)).astype(TYPES[kind][1])
            graph = model([("MatMul", ["x", "w"], ["y"])], [("x", kind, ["N", width])], [("y", kind, ["N", outputs])], [("w", weights)])
            columns = ", ".join(given[i] if given else f"{{ name: c{i}, type: number }}" for i in range(width))
            names = [f"c{i}" for i in range(width)]
            inputs, right = [], []
            for values in random.normal(size=(3, width)).astype(np.float32):
                inputs.append({"row": dict(zip(names, map(float, values)))})
                right.append(answered(y=values.astype(TYPES[kind][1]) @ weights))
            two = random.normal(size=(2, width)).astype(TYPES[kind][1])
            inputs.append({"tensors": [sent("x", kind, two)]})
            right.append(answered(y=two @ weights))
            write_case(out, ROWS, name, graph, f"task: tensor\ncolumns: [{columns}]", inputs, right, SOURCE)
        return make

    def category(name, categories, wanted):
        def make(out):
            graph = model([("Identity", ["x"], ["y"])], [("x", "FP32", ["N", 2])], [("y", "FP32", ["N", 2])])
            yaml = f"task: tensor\ncolumns: [{{ name: kind, type: category, categories: {categories} }}, {{ name: size, type: number, required: false }}]"
            inputs = [{"row": {"kind": one, "size": 0.5}} for one in categories] + [{"row": {"kind": categories[0]}}, {"row": {"kind": "other", "size": 1}}]
            right = [answered(y=[i, 0.5]) for i in range(len(categories))] + [answered(y=[0, np.nan]), {"problem": ["kind"]}]
            write_case(out, ROWS, name, graph, yaml, inputs, right, SOURCE)
        return make

    def separate(name, kinds):
        """A graph with an input for each column."""
        def make(out):
            inputs_of = [(f"c{i}", kind, ["N", 1]) for i, kind in enumerate(kinds)]
            nodes = [("Cast", [f"c{i}"], [f"f{i}"], {"to": 1}) for i in range(len(kinds))]
            nodes.append(("Concat", [f"f{i}" for i in range(len(kinds))], ["y"], {"axis": 1}))
            graph = model(nodes, inputs_of, [("y", "FP32", ["N", len(kinds)])])
            value = {"FP32": 0.5, "INT64": 3, "BOOL": True, "INT32": -4}
            columns = ", ".join(f"{{ name: c{i}, type: {dict(FP32='number', INT64='integer', BOOL='boolean', INT32='integer')[kind]} }}" for i, kind in enumerate(kinds))
            row = {f"c{i}": value[kind] for i, kind in enumerate(kinds)}
            write_case(out, ROWS, name, graph, f"task: tensor\ncolumns: [{columns}]", [{"row": row}], [answered(y=[float(one) for one in row.values()])], SOURCE)
        return make
    made = [linear(f"linear-{width}-{outputs}{'-double' if kind == 'FP64' else ''}", width, outputs, kind)
            for width, outputs in [(1, 1), (2, 3), (5, 1), (8, 8)] for kind in ["FP32", "FP64"]]
    made += [category(f"category-{i}", categories, None) for i, categories in enumerate([["a", "b"], ["red", "green", "blue"], ["x"], ["0", "1", "2", "3"]])]
    made += [separate(f"inputs-{'-'.join(kinds).lower()}", kinds) for kinds in
             [["FP32"], ["FP32", "INT64"], ["BOOL", "FP32"], ["INT64", "INT32", "BOOL"], ["FP32", "FP32", "FP32"]]]
    made += [linear("with-units", 2, 1, given=["{ name: c0, type: number, unit: cm }", "{ name: c1, type: number, example: 3 }"]),
             linear("with-ranges", 2, 2, given=["{ name: c0, type: number, minimum: -100 }", "{ name: c1, type: number, maximum: 100 }"]),
             linear("optional", 3, 2, given=["{ name: c0, type: number, required: false }", "{ name: c1, type: number }", "{ name: c2, type: number }"])]
    return made


DECLARED = "shapes that are declared wrongly"


def declared_wrongly():
    def wrong(name, shape, size=3, op="Relu", function=lambda x: np.maximum(x, 0)):
        def make(out):
            graph = model([(op, ["x"], ["y"])], [("x", "FP32", ["N", size])], [("y", "FP32", shape)])
            tried = [np.random.default_rng(i).normal(size=(rows, size)).astype(np.float32) for i, rows in enumerate([1, 2, 5])]
            write_case(out, DECLARED, name, graph, None, [{"tensors": [sent("x", "FP32", one)]} for one in tried],
                       [answered(y=function(one)) for one in tried], SOURCE, batches=True)
        return make
    made = []
    for op, function in [("Relu", lambda x: np.maximum(x, 0)), ("Tanh", np.tanh), ("Neg", np.negative), ("Abs", np.abs)]:
        for name, shape in [("one-row", [1, 3]), ("other-width", ["N", None]), ("no-width", [None, None]), ("other-names", ["a", "b"]), ("named-1", [1, "b"])]:
            made.append(wrong(f"{op.lower()}-{name}", shape, op=op, function=function))
    return made


def build(out):
    for make in [*not_finite(), *without_elements(), *long_integers(), *refused_values(), *booleans(), *rows(), *declared_wrongly()]:
        make(out)
