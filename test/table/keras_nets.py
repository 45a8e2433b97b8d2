"""Keras nets on rows, series and images, exported by Keras itself (`model.export(format="onnx")`, which uses tf2onnx)."""
import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import base64
import io
import logging
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import onnx
from keras import layers
from PIL import Image

from cases import is_close, run_graph, write_case

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

KIND = "keras"
SOURCE = f"keras {keras.__version__}"
LABELS = ["ant", "bee", "cat", "dog"]


def random(name):
    return np.random.default_rng(list(name.encode()))


def net(name, shape, *stack, dtype="float32"):
    keras.utils.set_random_seed(int(random(name).integers(2**31)))
    model = keras.Sequential([keras.Input(shape, dtype=dtype), *stack])
    for weight in model.weights:
        if len(weight.shape) > 1:
            weight.assign(weight * 2.0)
    # Keras exports nets that were called.
    model(np.zeros((1, *(6 if size is None else size for size in shape)), dtype))
    return model


def exported(model):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.export(path, format="onnx", verbose=False)
        return onnx.load(path)


def differs(graph, model, batches):
    """Whether the exported graph itself answers something else than the net."""
    for one in batches:
        found = run_graph(graph, {graph.graph.input[0].name: one})
        if found is not None and not is_close(next(iter(found.values())), model(one, training=False).numpy(), 1e-4):
            return True
    return False


def columns(count):
    return "columns: [" + ", ".join(f"{{ name: c{i}, type: number, example: 0.5 }}" for i in range(count)) + "]\n"


def scores_of(labels, y):
    y = np.asarray(y, np.float64).ravel()
    return {"label": labels[int(y.argmax())], "scores": dict(zip(labels, y.tolist()))}


def two(y):
    y = float(np.ravel(y)[0])
    return {"label": LABELS[int(y >= 0.5)], "scores": {"ant": 1 - y, "bee": y}}


def rows(out, name, model, yaml, answer, **more):
    data = random(name).normal(0, 1.5, (6, model.input_shape[1])).round(4).astype(np.float32)
    right = [answer(model(one[None], training=False).numpy()) for one in data]
    inputs = [{"row": {f"c{i}": float(x) for i, x in enumerate(one)}} for one in data]
    graph = exported(model)
    write_case(out, KIND, name, graph, yaml + columns(model.input_shape[1]), inputs, [] if "refuse" in more else right, SOURCE, 1e-4,
               raw_differs="refuse" not in more and differs(graph, model, [one[None] for one in data]), **more)


def tables(out):
    labels = lambda n: f"task: tabular-classification\nlabels: [{', '.join(LABELS[:n])}]\n"
    dense = lambda n, last=None: [layers.Dense(12, activation="relu"), layers.Dense(n, activation=last)]
    for n in (2, 3, 4):
        rows(out, f"softmax-{n}", net(f"softmax-{n}", (5,), *dense(n, "softmax")), labels(n), lambda y, n=n: scores_of(LABELS[:n], y))
    rows(out, "softmax-layer", net("softmax-layer", (5,), *dense(3), layers.Softmax()), labels(3), lambda y: scores_of(LABELS[:3], y))
    rows(out, "sigmoid", net("sigmoid", (5,), *dense(1, "sigmoid")), labels(2), two)
    rows(out, "sigmoid-norm", net("sigmoid-norm", (5,), layers.BatchNormalization(), layers.Dense(8, activation="silu"), layers.Dropout(0.3), layers.Dense(1, activation="sigmoid")), labels(2), two)
    rows(out, "multi-label", net("multi-label", (5,), *dense(3, "sigmoid")), labels(3), lambda y: scores_of(LABELS[:3], y), multi_label=True)
    logits = net("logits", (5,), *dense(3))
    rows(out, "logits-activated", logits, labels(3) + f"output: {{ scores: {output_name(logits)}, activation: softmax }}\n",
         lambda y: scores_of(LABELS[:3], np.exp(y) / np.exp(y).sum()))
    rows(out, "logits-plain", logits, labels(3) + f"output: {{ scores: {output_name(logits)} }}\n",
         lambda y: {"label": LABELS[int(y.argmax())], "scores": None})
    rows(out, "logit-refused", net("logit-refused", (5,), *dense(1)), labels(2), two, refuse="output")
    # tf2onnx has no Erfc, which Keras computes the exact gelu with, and leaves TensorFlow's operator in the graph.
    rows(out, "gelu-left-in", net("gelu", (5,), layers.Dense(8, activation="gelu"), layers.Dense(1, activation="sigmoid")), labels(2), two,
         refuse="the TensorFlow operator Erfc was left in the graph")
    task = "task: tabular-regression\n"
    rows(out, "constants-as-inputs", net("value-normalized", (5,), layers.Normalization(mean=[1.0] * 5, variance=[4.0] * 5), *dense(1)), task,
         lambda y: float(y.ravel()[0]), refuse="the graph's inputs are")
    for name, stack in {"value": dense(1), "value-relu": dense(1, "relu"), "value-softplus": dense(1, "softplus"),
                        "value-selu": [layers.Dense(9, activation="selu"), layers.LayerNormalization(), layers.Dense(1)]}.items():
        rows(out, name, net(name, (5,), *stack), task, lambda y: float(y.ravel()[0]))
    rows(out, "values", net("values", (5,), *dense(3)), task + "targets: [p10, p50, p90]\n", lambda y: y.ravel().tolist())
    rows(out, "embedding", net("embedding", (5,), *dense(8)), "task: feature-extraction\n", lambda y: {"vector": y.ravel().tolist()})


def output_name(model):
    return exported(model).graph.output[0].name


def series(out):
    stacks = {
        "lstm": [layers.LSTM(8), layers.Dense(1)],
        "gru": [layers.GRU(8), layers.Dense(1)],
        "bidirectional": [layers.Bidirectional(layers.LSTM(6)), layers.Dense(1)],
        "deep": [layers.LSTM(6, return_sequences=True), layers.LSTM(6), layers.Dense(1)],
        "conv": [layers.Conv1D(8, 3, padding="causal", activation="relu"), layers.GlobalAveragePooling1D(), layers.Dense(1)],
        "lstm-classes": [layers.LSTM(8), layers.Dense(3, activation="softmax")],
        "gru-classes": [layers.GRU(8), layers.Dense(4, activation="softmax")],
        "conv-classes": [layers.Conv1D(8, 3, padding="same", activation="relu"), layers.GlobalMaxPooling1D(), layers.Dense(3, activation="softmax")],
        "lstm-sigmoid": [layers.LSTM(8), layers.Dense(1, activation="sigmoid")],
    }
    for name, stack in stacks.items():
        for steps in (None, 6):
            case = f"series-{name}{'' if steps is None else '-fixed'}"
            model = net(case, (steps, 3), *stack)
            rng = random(case)
            data = [rng.normal(0, 1, (length, 3)).round(4).astype(np.float32) for length in ([6, 4, 11, 7] if steps is None else [6] * 4)]
            answers = [model(one[None], training=False).numpy() for one in data]
            width = answers[0].size
            if "classes" in name:
                right = [scores_of(LABELS[:width], y) for y in answers]
            else:
                right = [two(y) if "sigmoid" in name else float(y.ravel()[0]) for y in answers]
            task = "tabular-classification" if "classes" in name or "sigmoid" in name else "tabular-regression"
            yaml = f"task: {task}\n" + (f"labels: [{', '.join(LABELS[:max(2, width)])}]\n" if task.endswith("classification") else "")
            graph = exported(model)
            write_case(out, KIND, case, graph, yaml, [{"series": {"values": one.tolist()}} for one in data], right, SOURCE, 1e-4,
                       raw_differs=differs(graph, model, [one[None] for one in data]))


def pictures(name):
    rng = random(name)
    found = []
    for width, height in ((40, 32), (90, 50), (21, 60)):
        y, x = np.mgrid[0:height, 0:width]
        levels = np.stack([127 + 120 * np.sin(x * a / 9 + y * b / 7) for a, b in rng.uniform(0.2, 2, (3, 2))], 2)
        found.append(Image.fromarray((levels + rng.normal(0, 5, levels.shape)).clip(0, 255).astype(np.uint8)))
    return found


def images(out):
    conv = lambda n, last: [layers.Conv2D(8, 3, strides=2, activation="relu"), layers.GlobalMaxPooling2D(), layers.Dense(n, activation=last)]
    cases = {
        "image": (net("image", (32, 40, 3), *conv(3, "softmax")), "{}", 1 / 255, "float32"),
        "image-rescaling": (net("image-rescaling", (32, 40, 3), layers.Rescaling(1 / 127.5, offset=-1), *conv(3, "softmax")), "{ rescale_factor: 1 }", 1, "float32"),
        "image-nearest": (net("image-nearest", (32, 40, 3), *conv(4, "softmax")), "{ resample: nearest }", 1 / 255, "float32"),
        "image-grey": (net("image-grey", (32, 40, 1), *conv(3, "softmax")), "{ color: grey }", 1 / 255, "float32"),
        "image-two": (net("image-two", (32, 40, 3), *conv(1, "sigmoid")), "{}", 1 / 255, "float32"),
        "image-multi-label": (net("image-multi-label", (32, 40, 3), *conv(3, "sigmoid")), "{}", 1 / 255, "float32"),
        "image-uint8": (net("image-uint8", (32, 40, 3), layers.Rescaling(1 / 255), *conv(3, "softmax"), dtype="uint8"), "{}", 1, "uint8"),
        "image-depthwise": (net("image-depthwise", (32, 40, 3), layers.SeparableConv2D(8, 3, activation="relu"), layers.BatchNormalization(), layers.AveragePooling2D(2), layers.Flatten(), layers.Dense(3, activation="softmax")), "{}", 1 / 255, "float32"),
    }
    for name, (model, image, factor, dtype) in cases.items():
        inputs, right, batches = [], [], []
        for picture in pictures(name):
            file = io.BytesIO()
            picture.save(file, "PNG")
            inputs.append({"image": {"base64": base64.b64encode(file.getvalue()).decode()}})
            source = picture.convert("L") if model.input_shape[3] == 1 else picture
            levels = np.asarray(source.resize((40, 32), 0 if "nearest" in name else 2)).reshape(1, 32, 40, -1)
            batches.append((levels * factor).astype(dtype) if dtype == "float32" else levels)
            y = model(batches[-1], training=False).numpy()
            right.append(two(y) if y.size == 1 else scores_of(LABELS[: y.size], y))
        width = max(2, model.output_shape[1])
        graph = exported(model)
        write_case(out, KIND, name, graph, f"task: image-classification\nlabels: [{', '.join(LABELS[:width])}]\nimage: {image}\n", inputs, right, SOURCE, 1e-4,
                   raw_differs=differs(graph, model, batches))


def build(out):
    for part in (tables, series, images):
        part(out)


if __name__ == "__main__":
    import sys

    build(Path(sys.argv[1]))
