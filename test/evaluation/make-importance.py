"""Writes importance.json: what scikit-learn's permutation_importance finds of two models of the model store.

    python -m venv venv && venv/bin/pip install scikit-learn==1.9.1 onnxruntime==1.32.0
    venv/bin/python test/evaluation/make-importance.py

The shuffles are not those of the server, so there are many of them: their mean is compared with that of the server's.
"""
import gzip
import json
from pathlib import Path

import numpy as np
import onnxruntime
from sklearn.base import BaseEstimator
from sklearn.inspection import permutation_importance

STORE = Path(__file__).resolve().parents[2] / "model-store"
REPEATS = 2_000


class Graph(BaseEstimator):
    def __init__(self, model):
        self.model = model
        self.session = onnxruntime.InferenceSession(STORE / model / "1" / "model.onnx")
        self.inputs = self.session.get_inputs()

    def fit(self, *_):
        return self

    def predict(self, rows):
        feed = {
            one.name: rows[:, [i]].astype(np.float32 if "float" in one.type else object)
            for i, one in enumerate(self.inputs)
        }
        return self.session.run(None, feed)[0].reshape(-1)


def importance(model, target, scoring):
    graph = Graph(model)
    with gzip.open(STORE / "datasets" / f"{model}-test" / "data.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]

    def value(row, one):
        missing = np.nan if "float" in one.type else ""
        return missing if row.get(one.name) is None else row[one.name]

    values = np.array([[value(row, one) for one in graph.inputs] for row in rows], dtype=object)
    truth = np.array([row[target] for row in rows])
    found = permutation_importance(graph, values, truth, scoring=scoring, n_repeats=REPEATS, random_state=15)
    names = [one.name for one in graph.inputs]
    return {
        name: {"mean": float(mean), "standardDeviation": float(deviation)}
        for name, mean, deviation in zip(names, found.importances_mean, found.importances_std)
    }


golden = {
    "penguins": importance("penguins", "species", "accuracy"),
    "penguin-mass": importance("penguin-mass", "body_mass", "neg_mean_absolute_error"),
}
Path(__file__).with_name("importance.json").write_text(json.dumps(golden, indent=1) + "\n")
