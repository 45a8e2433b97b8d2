"""
Trains the random forest with scikit-learn and writes 1/model.onnx, 1/golden.json and the test rows.

Needs Python 3.11 with requirements.txt; the data comes with scikit-learn. Run from the repository root:

    python model-store/breast-cancer-forest/train.py [--check]

With --check nothing in the store is touched: it trains again in a temporary folder and fails unless every metric of
the card lies in the 95% interval of the model just trained.
"""
import sys
from pathlib import Path

import numpy as np
import onnx
import skl2onnx
import sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from recipe import choose_cases, expectation, finish, write_golden, write_rows

DATA = load_breast_cancer()
LABELS = [str(name) for name in DATA.target_names]
COLUMNS = [str(name) for name in DATA.feature_names]


def split():
    features = DATA.data.astype(np.float32)
    return train_test_split(features, DATA.target, test_size=0.3, random_state=42, stratify=DATA.target)


def train(rows, targets):
    forest = RandomForestClassifier(n_estimators=100, max_depth=5, random_state=0).fit(rows, targets)
    forest.classes_ = DATA.target_names  # from here on it answers "malignant" and "benign", not 0 and 1
    return forest


def export(forest, path):
    model = skl2onnx.to_onnx(
        forest,
        initial_types=[("input", FloatTensorType([None, len(COLUMNS)]))],
        options={id(forest): {"zipmap": False}},
        target_opset={"": 13, "ai.onnx.ml": 2},
    )
    model.ir_version = 8
    del model.opset_import[2:]  # skl2onnx names the main operator set twice
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def as_row(values):
    """The shortest decimals that read back as the same float32, which is what the model sees."""
    return {name: float(str(value)) for name, value in zip(COLUMNS, values)}


def recipe(store):
    train_rows, rows, train_targets, targets = split()
    forest = train(train_rows, train_targets)
    answers = forest.predict_proba(rows)
    graph, golden = (store / "breast-cancer-forest" / "1" / name for name in ("model.onnx", "golden.json"))
    test_rows_file = store / "datasets" / "breast-cancer-test" / "data.jsonl.gz"
    export(forest, graph)
    cases = [
        {"input": {"row": as_row(rows[i])}, "expect": expectation(answers[i], LABELS)}
        for i in choose_cases(targets, answers)
    ]
    write_golden(golden, f"scikit-learn {sklearn.__version__}", cases)
    test_rows = [{**as_row(row), "label": LABELS[target]} for row, target in zip(rows, targets)]
    write_rows(test_rows_file, test_rows)
    return targets, answers, [graph, golden, test_rows_file]


if __name__ == "__main__":
    sys.exit(finish(recipe, HERE, LABELS, "--check" in sys.argv))
