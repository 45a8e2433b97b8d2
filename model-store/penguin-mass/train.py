"""
Trains the penguin mass regressor with scikit-learn and writes 1/model.onnx, 1/golden.json and the test rows.

Needs Python 3.11 with requirements.txt, and npm for the data. Run from the repository root:

    python model-store/penguin-mass/train.py [--check]

With --check nothing in the store is touched: it trains again in a temporary folder and fails unless every metric of
the card lies in the 95% interval of the model just trained.
"""
import sys
from pathlib import Path

import numpy as np
import sklearn
from sklearn.linear_model import Ridge

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from penguin_data import as_row, export, load, pipeline, split
from recipe import SEED, finish, measure_values, write_golden, write_rows

NUMBERS = ["beak_length", "beak_depth", "flipper_length"]
WORDS = ["species", "island", "sex"]


def recipe(store):
    # A bird that was not weighed teaches and proves nothing.
    train, test = (part[part["body_mass"].notna()] for part in split(load()))
    model = pipeline(NUMBERS, WORDS, Ridge(alpha=1.0)).fit(train[NUMBERS + WORDS], train["body_mass"])
    values = model.predict(test[NUMBERS + WORDS])
    truth = test["body_mass"].to_numpy(np.float64)
    graph, golden = (store / "penguin-mass" / "1" / name for name in ("model.onnx", "golden.json"))
    test_rows_file = store / "datasets" / "penguin-mass-test" / "data.jsonl.gz"
    export(model, NUMBERS, WORDS, graph)
    birds = [as_row(bird, NUMBERS + WORDS) for _, bird in test.iterrows()]
    # The birds with something missing, then seeded picks.
    picks = np.random.default_rng(SEED).permutation(len(birds))
    chosen = sorted(picks, key=lambda i: None not in birds[i].values())[:50]
    cases = [{"input": {"row": birds[i]}, "expect": {"value": float(values[i])}} for i in chosen]
    write_golden(golden, f"scikit-learn {sklearn.__version__}", cases)
    write_rows(test_rows_file, [{**bird, "body_mass": float(mass)} for bird, mass in zip(birds, truth)])
    return truth, values, [graph, golden, test_rows_file]


if __name__ == "__main__":
    sys.exit(finish(recipe, HERE, [], "--check" in sys.argv, measure_values))
