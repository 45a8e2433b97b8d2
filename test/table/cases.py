"""Writes cases: a model as its owner would drop it into the store, and what its source framework answers."""
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

def accept_booleans():
    """skl2onnx 1.20 passes booleans where onnx 1.23 wants integers, for HistGradientBoosting."""
    make_attribute = onnx.helper.make_attribute

    def with_integers(key, value, *args, **kwargs):
        if isinstance(value, list) and any(isinstance(one, (bool, np.bool_)) for one in value):
            value = [int(one) for one in value]
        return make_attribute(key, value, *args, **kwargs)

    onnx.helper.make_attribute = with_integers


#: How near to a tie an input is when rounding to float32 may decide.
TIE = 1e-5


def write_case(out, kind, case, graph, yaml, inputs, right, source, tolerance=1e-5, **more):
    """
    Writes <out>/<kind>/<case>/. `graph`: an ONNX model, or its bytes. `yaml`: the text of model.yaml, or None. `right`: for
    each input, an object as in golden.json, a number, or a list of numbers.

    `more`: `files` (other files by their path in the model's folder), `raw_differs`, `ties` (indices of inputs),
    `refuse` (what the refusal says, if the model must be refused: a text, or several), `multi_label`, `batches` (whether it
    must run several inputs at once).
    """
    folder = Path(out) / kind / case
    model = folder / "model"
    (model / "1").mkdir(parents=True)
    (model / "1/model.onnx").write_bytes(graph if isinstance(graph, bytes) else graph.SerializeToString())
    files = {**({"model.yaml": yaml} if yaml is not None else {}), **more.get("files", {})}
    for name, content in files.items():
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    expected = {
        "kind": "refuse" if more.get("refuse") is not None else "ready",
        "words": more.get("refuse") or "",
        "source": source,
        "tolerance": tolerance,
        "inputs": inputs,
        "right": right,
        "rawDiffers": bool(more.get("raw_differs", False)),
        "ties": [int(i) for i in more.get("ties", [])],
    }
    if more.get("batches"):
        expected["batches"] = True
    if "multi_label" in more:
        expected["multiLabel"] = more["multi_label"]
    (folder / "expected.json").write_text(json.dumps(expected, allow_nan=False))


def run_graph(graph, feeds):
    """The outputs of the exported graph itself, by name; None if it does not run here, so that it is not known to differ."""
    data = graph if isinstance(graph, bytes) else graph.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, feeds)))
    except Exception:
        return None


def is_close(given, right, tolerance=1e-5):
    """Whether numbers are equal: absolutely up to 1, relatively above."""
    given, right = np.asarray(given, np.float64), np.asarray(right, np.float64)
    if given.size != right.size:
        return False
    given = given.reshape(right.shape)
    return bool(np.all(np.abs(given - right) <= tolerance * np.maximum(1, np.abs(right))))


def ties_of(scores):
    """The rows whose two highest scores are nearly equal; of one number per row, those near to 0."""
    scores = np.asarray(scores, np.float64)
    if scores.ndim == 1:
        return np.flatnonzero(np.abs(scores) <= TIE)
    ordered = np.sort(scores, axis=1)
    return np.flatnonzero(ordered[:, -1] - ordered[:, -2] <= TIE)
