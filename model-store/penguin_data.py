"""
The Palmer penguins for the two recipes that use them: downloads the copy of the npm package vega-datasets, checks it,
splits it once, so that both models are held out from the same birds, and exports what was trained on it.
"""
import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import skl2onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

PACKAGE = "vega-datasets@3.2.1"
SHA256 = "0facf769609f1205b82cbceb8238c36af3e6147a0ca0e163902cc6281ce3e917"
NAMES = {
    "Species": "species",
    "Island": "island",
    "Beak Length (mm)": "beak_length",
    "Beak Depth (mm)": "beak_depth",
    "Flipper Length (mm)": "flipper_length",
    "Body Mass (g)": "body_mass",
    "Sex": "sex",
}
WORDS = ["species", "island", "sex"]


def load():
    """All 344 birds. A missing number is NaN, a missing word is the empty text; "." for a sex is missing too."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", PACKAGE, "--silent"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            text = archive.extractfile("package/data/penguins.json").read()
    if hashlib.sha256(text).hexdigest() != SHA256:
        raise SystemExit("penguins.json is not the file that this recipe was written for")
    birds = pd.DataFrame(json.loads(text)).rename(columns=NAMES)
    for name in WORDS:
        words = [word.lower() if isinstance(word, str) and word != "." else "" for word in birds[name]]
        birds[name] = pd.Series(words, dtype=object)
    numbers = [name for name in NAMES.values() if name not in WORDS]
    birds[numbers] = birds[numbers].astype(np.float32)
    return birds


def split(birds):
    return train_test_split(birds, test_size=0.3, random_state=42, stratify=birds["species"])


def pipeline(numbers, words, last):
    """Missing numbers become the median, missing words the most frequent one; words are encoded one-hot."""
    number = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    word = make_pipeline(
        SimpleImputer(strategy="most_frequent", missing_values=""), OneHotEncoder(handle_unknown="ignore")
    )
    return make_pipeline(ColumnTransformer([("numbers", number, numbers), ("words", word, words)]), last)


def export(model, numbers, words, path):
    """One input for each column; of a classifier with scikit-learn's own ZipMap at the end, as its exporter does by default."""
    types = [(name, FloatTensorType([None, 1])) for name in numbers]
    types += [(name, StringTensorType([None, 1])) for name in words]
    graph = skl2onnx.to_onnx(model, initial_types=types, target_opset={"": 17, "ai.onnx.ml": 3})
    onnx.checker.check_model(graph, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, path)


def as_row(bird, names):
    """As a client sends it: null where something is missing."""
    row = {name: bird[name] for name in names}
    return {name: None if value == "" or value != value else plain(value) for name, value in row.items()}


def plain(value):
    return value if isinstance(value, str) else float(str(np.float32(value)))
