"""
Trains the penguin classifier with scikit-learn and writes 1/model.onnx, 1/golden.json and the test rows.

Needs Python 3.11 with requirements.txt, and npm for the data. Run from the repository root:

    python model-store/penguins/train.py [--check]

With --check nothing in the store is touched: it trains again in a temporary folder and fails unless every metric of
the card lies in the 95% interval of the model just trained.
"""
import sys
from pathlib import Path

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from penguin_data import as_row, export, load, pipeline, split
from recipe import choose_cases, expectation, finish, write_golden, write_rows

NUMBERS = ["beak_length", "beak_depth", "flipper_length", "body_mass"]
WORDS = ["island", "sex"]
LABELS = ["adelie", "chinstrap", "gentoo"]


def recipe(store):
    train, test = split(load())
    model = pipeline(NUMBERS, WORDS, LogisticRegression(C=1.0, max_iter=1000)).fit(train[NUMBERS + WORDS], train["species"])
    assert list(model.classes_) == LABELS
    answers = model.predict_proba(test[NUMBERS + WORDS])
    truth = np.array([LABELS.index(species) for species in test["species"]])
    graph, golden = (store / "penguins" / "1" / name for name in ("model.onnx", "golden.json"))
    test_rows_file = store / "datasets" / "penguins-test" / "data.jsonl.gz"
    export(model, NUMBERS, WORDS, graph)
    birds = [as_row(bird, NUMBERS + WORDS) for _, bird in test.iterrows()]
    cases = [
        {"input": {"row": birds[i]}, "expect": expectation(answers[i], LABELS)} for i in choose_cases(truth, answers)
    ]
    write_golden(golden, f"scikit-learn {sklearn.__version__}", cases)
    write_rows(test_rows_file, [{**bird, "species": species} for bird, species in zip(birds, test["species"])])
    return truth, answers, [graph, golden, test_rows_file]


if __name__ == "__main__":
    sys.exit(finish(recipe, HERE, LABELS, "--check" in sys.argv))
