"""Writes models with several answers per row, and with other answers than a class or a number, into several-answers/.

Each folder is a model of the store: model.yaml, the graph, and golden.json with the answers of the framework that
trained the model. The data is invented: normal random numbers.

    python -m venv .venv && .venv/bin/pip install -r requirements-several-answers.txt
    .venv/bin/python make-several-answers.py            # the committed models
    .venv/bin/python make-several-answers.py FOLDER 20  # 20 models of each kind, with other seeds, into FOLDER
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import sklearn
from skl2onnx import to_onnx
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA, KernelPCA, TruncatedSVD
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier

warnings.filterwarnings("ignore")

SOURCE = f"scikit-learn {sklearn.__version__}"
OPSET = {"": 17, "ai.onnx.ml": 3}
TESTED = 8


class Data:
    """Rows of `width` features, with numbers and classes that depend on them."""

    def __init__(self, seed, width=4, targets=3, rows=120):
        rng = np.random.default_rng(seed)
        self.rng = rng
        self.x = rng.normal(size=(rows, width)).astype(np.float32)
        noise = rng.normal(size=(rows, targets))
        self.y = (np.tanh(self.x @ rng.normal(size=(width, targets))) + 0.1 * noise).astype(np.float64)
        self.rows = rng.normal(size=(TESTED, width)).astype(np.float32)
        self.names = [chr(97 + i) for i in range(width)]


def columns(names):
    return "columns:\n" + "".join(f"  - {{ name: {name}, type: number, example: 0.5 }}\n" for name in names)


def write(folder, name, graph, yaml, cases, source=SOURCE, tolerance=1e-5):
    """`cases`: pairs of an input, as a client sends it, and what golden.json expects."""
    model = pathlib.Path(folder) / name
    (model / "1").mkdir(parents=True, exist_ok=True)
    (model / "model.yaml").write_text(yaml)
    (model / "1" / "model.onnx").write_bytes(graph if isinstance(graph, bytes) else graph.SerializeToString())
    golden = {
        "source": source,
        "tolerance": tolerance,
        "cases": [{"input": given, "expect": expected} for given, expected in cases],
    }
    (model / "1" / "golden.json").write_text(json.dumps(golden))


def rows_of(data):
    return [{"row": dict(zip(data.names, map(float, row)))} for row in data.rows]


# ── several numbers ──


def several_numbers(folder, prefix, seed):
    data = Data(seed, targets=2 + seed % 3)
    scaled = lambda model: make_pipeline(StandardScaler(), model)
    models = {
        "linear": LinearRegression(),
        "multi-output": MultiOutputRegressor(GradientBoostingRegressor(n_estimators=4, max_depth=2, random_state=seed)),
        "multi-output-svr": MultiOutputRegressor(SVR()),
        "mlp": scaled(MLPRegressor(hidden_layer_sizes=(6,), max_iter=60, random_state=seed)),
        "forest": RandomForestRegressor(4, max_depth=3, random_state=seed),
        "extra-trees": ExtraTreesRegressor(4, max_depth=3, random_state=seed),
        "tree": DecisionTreeRegressor(max_depth=3, random_state=seed),
        "neighbors": KNeighborsRegressor(3),
        "scaled-ridge": scaled(Ridge()),
    }
    for kind, model in models.items():
        model.fit(data.x, data.y)
        try:
            graph = to_onnx(model, data.x[:1], target_opset=OPSET)
        except Exception as error:
            print(f"{kind}: {str(error).splitlines()[0][:150]}")
            continue
        answers = model.predict(data.rows)
        names = [f"t{i}" for i in range(data.y.shape[1])]
        isNamed = seed % 2 == 0
        targets = "targets:\n" + "".join(f"  - {{ name: {name}, unit: kg }}\n" for name in names) if isNamed else ""
        expected = [{"values": dict(zip(names, map(float, a))) if isNamed else [float(v) for v in a]} for a in answers]
        yaml = "task: tabular-regression\n" + targets + columns(data.names)
        write(folder, f"{prefix}numbers-{kind}", graph, yaml, zip(rows_of(data), expected))


def quantiles(folder, prefix, seed):
    """Three models of one quantile each, joined to one graph with three outputs."""
    import onnx

    data = Data(seed, targets=1)
    models, graphs = {}, []
    for alpha in (0.1, 0.5, 0.9):
        name = f"p{round(alpha * 100)}"
        model = GradientBoostingRegressor(loss="quantile", alpha=alpha, n_estimators=5, max_depth=2, random_state=seed)
        models[name] = model.fit(data.x, data.y[:, 0])
        graph = onnx.compose.add_prefix(to_onnx(model, data.x[:1], target_opset=OPSET), f"{name}_")
        graphs.append(graph)
    joined = graphs[0]
    for graph in graphs[1:]:
        joined = onnx.compose.merge_models(joined, graph, io_map=[])
    for node in joined.graph.node:
        node.input[:] = ["X" if name.endswith("_X") else name for name in node.input]
    inputs = list(joined.graph.input)
    del joined.graph.input[1:]
    joined.graph.input[0].name = "X"
    targets = [
        f"  - {{ name: {name}, unit: min, output: {output.name} }}\n"
        for name, output in zip(models, joined.graph.output)
    ]
    yaml = "task: tabular-regression\ntargets:\n" + "".join(targets) + columns(data.names)
    answers = {name: model.predict(data.rows) for name, model in models.items()}
    expected = [{"values": {name: float(a[i]) for name, a in answers.items()}} for i in range(TESTED)]
    write(folder, f"{prefix}quantiles", joined, yaml, zip(rows_of(data), expected))


# ── several classes ──


def several_classes(folder, prefix, seed):
    data = Data(seed, targets=3)
    classes = [["no", "yes"], ["high", "low", "mid"], ["blue", "red"]]
    indices = np.stack([data.y[:, 0] > 0, np.digitize(data.y[:, 1], [-0.4, 0.4]), data.y[:, 2] > 0.2], 1).astype(int)
    words = np.stack([np.array(names)[indices[:, i]] for i, names in enumerate(classes)], 1)
    binary = indices.copy()
    binary[:, 1] = data.y[:, 1] > 0
    multi = MultiOutputClassifier
    models = {
        "words": (multi(LogisticRegression()), words),
        "indices": (multi(LogisticRegression()), indices),
        "trees-words": (multi(DecisionTreeClassifier(max_depth=2)), words),
        "forests": (multi(RandomForestClassifier(3, max_depth=2, random_state=seed)), indices),
        "neighbors-of-each": (multi(KNeighborsClassifier(5)), indices),
        "bayes": (multi(GaussianNB()), indices),
        "mlps": (multi(MLPClassifier((4,), max_iter=60, random_state=seed)), indices),
        "scaled": (make_pipeline(StandardScaler(), multi(LogisticRegression())), words),
        "forest": (RandomForestClassifier(4, max_depth=3, random_state=seed), binary),
        "extra-trees": (ExtraTreesClassifier(4, max_depth=3, random_state=seed), binary),
        # The exporter pads the scores of the targets with fewer classes.
        "forest-padded": (RandomForestClassifier(4, max_depth=3, random_state=seed), indices),
        "extra-trees-padded": (ExtraTreesClassifier(4, max_depth=3, random_state=seed), indices),
        "one-target": (multi(LogisticRegression()), words[:, 1:2]),
        "neighbors": (KNeighborsClassifier(5), binary),
        # The exporter returns whether a class occurs in a leaf instead of its share.
        "tree": (DecisionTreeClassifier(max_depth=3, random_state=seed), binary),
        "extra-tree": (ExtraTreeClassifier(max_depth=3, random_state=seed), binary),
    }
    names = ["answer", "level", "color"]
    for kind, (model, y) in models.items():
        model.fit(data.x, y)
        isPlain = kind in ("forest", "extra-trees", "neighbors", "tree", "extra-tree")
        withoutZipMap = (isPlain and seed % 2 == 0) or kind == "extra-trees-padded"
        options = {"zipmap": False} if withoutZipMap else None
        try:
            graph = to_onnx(model, data.x[:1], target_opset=OPSET, options=options)
        except Exception as error:
            print(f"{kind}: {str(error).splitlines()[0][:150]}")
            continue
        labels, probabilities = model.predict(data.rows), model.predict_proba(data.rows)
        own = (model if hasattr(model, "classes_") else model[-1]).classes_
        hasScores = kind not in ("tree", "extra-tree")
        expected = []
        for i in range(TESTED):
            target = lambda k: {
                "label": str(labels[i][k]),
                **({"scores": {str(c): float(p) for c, p in zip(own[k], probabilities[k][i])}} if hasScores else {}),
            }
            expected.append({"targets": {name: target(k) for k, name in enumerate(names[: len(own)])}})
        named = ", ".join(names[: len(own)])
        yaml = f"task: tabular-classification\ntargets: [{named}]\n" + columns(data.names)
        write(folder, f"{prefix}classes-{kind}", graph, yaml, zip(rows_of(data), expected))


# ── embeddings, anomalies and clusters ──


def embeddings(folder, prefix, seed):
    data = Data(seed)
    size = 2 + seed % 2
    models = {
        "pca": PCA(size),
        "whitened-pca": PCA(size, whiten=True),
        "svd": TruncatedSVD(size, random_state=seed),
        "kernel-pca": KernelPCA(size),
        "scaled-pca": make_pipeline(StandardScaler(), PCA(size)),
        "scaler": StandardScaler(),
    }
    for kind, model in models.items():
        model.fit(data.x)
        graph = to_onnx(model, data.x[:1], target_opset=OPSET)
        expected = [{"vector": [float(v) for v in row]} for row in model.transform(data.rows)]
        yaml = "task: feature-extraction\n" + columns(data.names)
        write(folder, f"{prefix}embedding-{kind}", graph, yaml, zip(rows_of(data), expected))


def anomalies(folder, prefix, seed):
    data = Data(seed)
    data.rows[::3] *= 4
    models = {
        "forest": IsolationForest(n_estimators=5, random_state=seed),
        "svm": OneClassSVM(nu=0.2),
        "neighbors": LocalOutlierFactor(5, novelty=True),
    }
    for kind, model in models.items():
        model.fit(data.x)
        graph = to_onnx(model, data.x[:1], target_opset=OPSET)
        isNamed = seed % 2 == 0
        words = {-1: "anomaly", 1: "normal"} if isNamed else {-1: "-1", 1: "1"}
        expected = [{"label": words[int(label)]} for label in model.predict(data.rows)]
        labels = "labels: [anomaly, normal]\n" if isNamed else ""
        yaml = "task: tabular-classification\n" + labels + columns(data.names)
        write(folder, f"{prefix}anomaly-{kind}", graph, yaml, zip(rows_of(data), expected))


def clusters(folder, prefix, seed):
    data = Data(seed)
    models = {
        "kmeans": KMeans(3, random_state=seed, n_init=2),
        "mini-batch": MiniBatchKMeans(3, random_state=seed, n_init=2),
        "mixture": GaussianMixture(3, random_state=seed),
        "diagonal-mixture": GaussianMixture(3, covariance_type="diag", random_state=seed),
        "bayesian-mixture": BayesianGaussianMixture(n_components=3, random_state=seed),
        "scaled-kmeans": make_pipeline(StandardScaler(), KMeans(3, random_state=seed, n_init=2)),
    }
    for kind, model in models.items():
        model.fit(data.x)
        graph = to_onnx(model, data.x[:1], target_opset=OPSET)
        names = ["small", "medium", "large"]
        isNamed = seed % 2 == 0 or "mixture" in kind
        expected = []
        for i, label in enumerate(model.predict(data.rows)):
            one = {"label": names[label] if isNamed else str(label)}
            if "mixture" in kind:
                shares = model.predict_proba(data.rows)[i]
                one["scores"] = {name: float(p) for name, p in zip(names, shares)}
            expected.append(one)
        labels = f"labels: [{', '.join(names)}]\n" if isNamed else ""
        yaml = "task: tabular-classification\n" + labels + columns(data.names)
        write(folder, f"{prefix}cluster-{kind}", graph, yaml, zip(rows_of(data), expected), tolerance=1e-4)


def rows_to_tensors(folder, prefix, seed):
    """Task tensor with columns, one of them a category that feeds a number: its index."""
    data = Data(seed)
    categories = ["female", "male", "other"]
    data.x[:, 1] = np.abs(data.x[:, 1] * 10).astype(int) % 3
    data.rows[:, 1] = np.arange(TESTED) % 3
    model = Ridge().fit(data.x, data.y)
    graph = to_onnx(model, data.x[:1], target_opset=OPSET)
    named = columns(data.names).replace(
        "{ name: b, type: number, example: 0.5 }",
        f"{{ name: b, type: category, categories: [{', '.join(categories)}], example: male }}",
    )
    inputs = [{"row": {**one["row"], "b": categories[int(one["row"]["b"])]}} for one in rows_of(data)]
    answers = [[float(v) for v in row] for row in model.predict(data.rows)]
    output = graph.graph.output[0].name
    expected = [{"tensors": {output: row}} for row in answers]
    write(folder, f"{prefix}row-to-tensors", graph, "task: tensor\n" + named, zip(inputs, expected))
    expected = [{"values": row} for row in answers]
    write(folder, f"{prefix}row-with-category", graph, "task: tabular-regression\n" + named, zip(inputs, expected))


KINDS = [several_numbers, quantiles, several_classes, embeddings, anomalies, clusters, rows_to_tensors]

if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else str(pathlib.Path(__file__).parent / "several-answers")
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for seed in range(1, count + 1) if count else [0]:
        for kind in KINDS:
            kind(folder, f"s{seed}-" if count else "", seed)
