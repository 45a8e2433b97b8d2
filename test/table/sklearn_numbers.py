"""Several numbers or classes per row, embeddings, anomalies and clusters of scikit-learn, as skl2onnx exports them."""
import itertools
import warnings
import zlib

import numpy as np
import onnx
import sklearn
from sklearn.cluster import Birch, BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import NMF, PCA, FactorAnalysis, FastICA, IncrementalPCA, KernelPCA, SparsePCA, TruncatedSVD
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    RandomTreesEmbedding,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNet,
    GammaRegressor,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    MultiTaskLasso,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    SGDRegressor,
    TweedieRegressor,
)
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, PowerTransformer, RobustScaler, StandardScaler
from sklearn.random_projection import GaussianRandomProjection
from sklearn.svm import SVR, LinearSVC, LinearSVR, NuSVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier
from skl2onnx import to_onnx

from cases import accept_booleans, is_close, run_graph, ties_of, write_case

warnings.filterwarnings("ignore")
accept_booleans()
SOURCE = f"scikit-learn {sklearn.__version__}"
OPSETS = (None, {"": 17, "ai.onnx.ml": 3}, {"": 13, "ai.onnx.ml": 2})
SKIPPED = []


class Data:
    """Rows of float32 numbers, and targets that depend on them."""

    def __init__(self, name, targets=1, width=4, rows=140, positive=False):
        self.rng = rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.x = rng.normal(size=(rows, width)).astype(np.float32)
        self.tested = rng.normal(size=(10, width)).astype(np.float32)
        if positive:
            self.x, self.tested = np.abs(self.x), np.abs(self.tested)
        weights = rng.normal(size=(width, targets))
        self.y = np.tanh(self.x @ weights) + 0.1 * rng.normal(size=(rows, targets))
        self.names = [f"x{i}" for i in range(width)]


def columns(names):
    return "columns:\n" + "".join(f"  - {{ name: {name}, type: number }}\n" for name in names)


def rows_of(data):
    return [{"row": {name: float(value) for name, value in zip(data.names, row)}} for row in data.tested]


def export(kind, name, model, data, options=None, opset=None):
    """The graph and what it answers itself; None if the exporter cannot convert the model."""
    try:
        graph = to_onnx(model, data.x[:1], options=options, target_opset=opset)
    except Exception as error:
        SKIPPED.append(f"{kind}/{name}: {type(error).__name__} {str(error).splitlines()[0][:100]}")
        return None, None
    return graph, run_graph(graph, {"X": data.tested})


def numbers(out, kind, name, model, data, opset=None, named=False, y=None):
    """A regression of one or several numbers."""
    y = data.y if y is None else y
    model.fit(data.x, y)
    graph, raw = export(kind, name, model, data, opset=opset)
    if graph is None:
        return
    answers = np.asarray(model.predict(data.tested))
    differs = raw is not None and not is_close(list(raw.values())[0], answers)
    text = "task: tabular-regression\n"
    if answers.ndim == 1 or answers.shape[1] == 1:
        right = [{"value": float(v)} for v in answers.reshape(-1)]
    elif named:
        names = [f"t{i}" for i in range(answers.shape[1])]
        text += "targets:\n" + "".join(f"  - {{ name: {n}, unit: kg }}\n" for n in names)
        right = [{"values": dict(zip(names, map(float, row)))} for row in answers]
    else:
        right = [{"values": [float(v) for v in row]} for row in answers]
    write_case(out, kind, name, graph, text + columns(data.names), rows_of(data), right, SOURCE, raw_differs=differs)


def regressions(out):
    tree = lambda: DecisionTreeRegressor(max_depth=3, random_state=0)
    models = {
        "linear": LinearRegression, "ridge": Ridge, "lasso": lambda: Lasso(0.01), "elastic-net": lambda: ElasticNet(0.01),
        "bayesian": BayesianRidge, "huber": HuberRegressor, "sgd": lambda: SGDRegressor(random_state=0),
        "poisson-positive": PoissonRegressor, "tweedie-positive": lambda: TweedieRegressor(power=1.5), "gamma-positive": GammaRegressor,
        "svr": SVR, "nu-svr": NuSVR, "linear-svr": LinearSVR, "poly-svr": lambda: SVR(kernel="poly", degree=2), "tree": tree,
        "forest": lambda: RandomForestRegressor(6, max_depth=4, random_state=0),
        "extra-trees": lambda: ExtraTreesRegressor(6, max_depth=4, random_state=0),
        "boosting": lambda: GradientBoostingRegressor(n_estimators=8, random_state=0),
        "histogram-boosting": lambda: HistGradientBoostingRegressor(max_iter=8, random_state=0),
        "ada-boost": lambda: AdaBoostRegressor(tree(), n_estimators=5, random_state=0),
        "bagging": lambda: BaggingRegressor(tree(), n_estimators=4, random_state=0),
        "stacking": lambda: StackingRegressor([("a", Ridge()), ("b", tree())], cv=3),
        "voting": lambda: VotingRegressor([("a", Ridge()), ("b", tree())], weights=[2, 1]),
        "neighbors": lambda: KNeighborsRegressor(4), "neighbors-weighted": lambda: KNeighborsRegressor(4, weights="distance"),
        "network": lambda: MLPRegressor(hidden_layer_sizes=(6,), max_iter=200, random_state=0), "gaussian-process": GaussianProcessRegressor,
        "kernel-ridge": lambda: KernelRidge(kernel="rbf"), "scaled": lambda: make_pipeline(StandardScaler(), Ridge()),
        "transformed": lambda: TransformedTargetRegressor(Ridge(), func=np.exp, inverse_func=np.log),
        "quantile": lambda: QuantileRegressor(quantile=0.8, alpha=0.01),
    }
    for turn, (key, make) in enumerate(models.items()):
        data = Data(f"regression/{key}", positive="positive" in key)
        y = np.abs(data.y[:, 0]) + 0.1 if "positive" in key else data.y[:, 0]
        numbers(out, "regression", key, make(), data, OPSETS[turn % 3], y=y)


def several_numbers(out):
    scaled = lambda model: make_pipeline(StandardScaler(), model)
    models = {
        "linear": LinearRegression, "ridge": Ridge, "lasso": lambda: MultiTaskLasso(0.01), "pls": lambda: PLSRegression(2),
        "multi-boosting": lambda: MultiOutputRegressor(GradientBoostingRegressor(n_estimators=5, random_state=0)),
        "multi-svr": lambda: MultiOutputRegressor(SVR()), "multi-ridge": lambda: MultiOutputRegressor(Ridge()),
        "multi-forest": lambda: MultiOutputRegressor(RandomForestRegressor(3, max_depth=3, random_state=0)),
        "chain": lambda: RegressorChain(Ridge()), "network": lambda: scaled(MLPRegressor(hidden_layer_sizes=(6,), max_iter=100, random_state=0)),
        "forest": lambda: RandomForestRegressor(5, max_depth=3, random_state=0),
        "extra-trees": lambda: ExtraTreesRegressor(5, max_depth=3, random_state=0),
        "tree": lambda: DecisionTreeRegressor(max_depth=3, random_state=0), "neighbors": lambda: KNeighborsRegressor(3),
        "neighbors-weighted": lambda: KNeighborsRegressor(3, weights="distance"), "scaled-ridge": lambda: scaled(Ridge()),
        "gaussian-process": GaussianProcessRegressor, "kernel-ridge": KernelRidge,
    }
    for turn, ((key, make), targets) in enumerate(itertools.product(models.items(), (2, 5))):
        data = Data(f"several-numbers/{key}-{targets}", targets)
        numbers(out, "several-numbers", f"{key}-{targets}", make(), data, OPSETS[turn % 3], named=turn % 3 == 0)


def quantiles(out):
    """Three models of one quantile each, joined to one graph with three outputs."""
    makers = {
        "boosting": lambda alpha, seed: GradientBoostingRegressor(loss="quantile", alpha=alpha, n_estimators=6, max_depth=2, random_state=seed),
        "histogram": lambda alpha, seed: HistGradientBoostingRegressor(loss="quantile", quantile=alpha, max_iter=6, random_state=seed),
        "linear": lambda alpha, seed: QuantileRegressor(quantile=alpha, alpha=0.01),
    }
    for (key, make), seed in itertools.product(makers.items(), range(7)):
        data, name = Data(f"quantiles/{key}-{seed}"), f"{key}-{seed}"
        models = {f"p{round(alpha * 100)}": make(alpha, seed).fit(data.x, data.y[:, 0]) for alpha in (0.1, 0.5, 0.9)}
        graphs = [
            onnx.compose.add_prefix(to_onnx(model, data.x[:1], target_opset=OPSETS[1]), f"{quantile}_")
            for quantile, model in models.items()
        ]
        joined = graphs[0]
        for graph in graphs[1:]:
            joined = onnx.compose.merge_models(joined, graph, io_map=[])
        for node in joined.graph.node:
            node.input[:] = ["X" if one.endswith("_X") else one for one in node.input]
        del joined.graph.input[1:]
        joined.graph.input[0].name = "X"
        raw = run_graph(joined, {"X": data.tested})
        answers = {quantile: model.predict(data.tested) for quantile, model in models.items()}
        differs = not all(is_close(raw[output.name], answer) for output, answer in zip(joined.graph.output, answers.values()))
        targets = "".join(
            f"  - {{ name: {quantile}, unit: min, output: {output.name} }}\n"
            for quantile, output in zip(models, joined.graph.output)
        )
        right = [{"values": {q: float(a[i]) for q, a in answers.items()}} for i in range(len(data.tested))]
        text = f"task: tabular-regression\ntargets:\n{targets}" + columns(data.names)
        write_case(out, "quantiles", name, joined, text, rows_of(data), right, SOURCE, raw_differs=differs)


def several_classes(out):
    multi = MultiOutputClassifier
    forest = lambda: RandomForestClassifier(4, max_depth=3, random_state=0)
    models = {
        "words": (lambda: multi(LogisticRegression()), "words"),
        "indices": (lambda: multi(LogisticRegression()), "indices"),
        "tree-words": (lambda: multi(DecisionTreeClassifier(max_depth=2)), "words"),
        "forests": (lambda: multi(forest()), "indices"),
        "neighbors-of-each": (lambda: multi(KNeighborsClassifier(5)), "indices"),
        "bayes": (lambda: multi(GaussianNB()), "indices"),
        "networks": (lambda: multi(MLPClassifier((4,), max_iter=100, random_state=0)), "indices"),
        "decisions": (lambda: multi(LinearSVC()), "words"),
        "scaled": (lambda: make_pipeline(StandardScaler(), multi(LogisticRegression())), "words"),
        "chain": (lambda: ClassifierChain(LogisticRegression()), "binary"),
        "forest": (forest, "binary"),
        "extra-trees": (lambda: ExtraTreesClassifier(4, max_depth=3, random_state=0), "binary"),
        "neighbors": (lambda: KNeighborsClassifier(5), "binary"),
        "tree": (lambda: DecisionTreeClassifier(max_depth=3, random_state=0), "binary"),
        "extra-tree": (lambda: ExtraTreeClassifier(max_depth=3, random_state=0), "binary"),
    }
    classes = [["no", "yes"], ["high", "low", "mid"], ["blue", "red"]]
    names = ["answer", "level", "color"]
    for turn, ((key, (make, spelling)), seed) in enumerate(itertools.product(models.items(), range(2))):
        name, model = f"{key}-{seed}", make()
        data = Data(f"several-classes/{name}", 3)
        y = np.stack([data.y[:, 0] > 0, np.digitize(data.y[:, 1], [-0.4, 0.4]), data.y[:, 2] > 0.2], 1).astype(int)
        if spelling == "binary":
            y[:, 1] = data.y[:, 1] > 0
        if spelling == "words":
            y = np.stack([np.array(words)[y[:, i]] for i, words in enumerate(classes)], 1)
        model.fit(data.x, y)
        options = {id(model): {"zipmap": False}} if key in ("forest", "extra-trees", "neighbors", "tree", "extra-tree") and seed else None
        graph, raw = export("several-classes", name, model, data, options, OPSETS[turn % 3])
        if graph is None:
            continue
        labels = model.predict(data.tested)
        own = list((model if hasattr(model, "classes_") else model[-1]).classes_)
        # The exporter returns whether a class occurs in a leaf instead of its share.
        shares = model.predict_proba(data.tested) if hasattr(model, "predict_proba") and "tree-" not in name else None
        if key in ("extra-trees", "tree-words"):
            shares = model.predict_proba(data.tested)
        if key == "chain" and shares is not None:
            shares = [np.stack([1 - shares[:, k], shares[:, k]], 1) for k in range(3)]
        raw_labels = None if raw is None else np.asarray(list(raw.values())[0]).astype(str)
        wanted = labels.astype(int).astype(str) if spelling != "words" else labels
        differs = raw_labels is not None and not np.array_equal(raw_labels.reshape(wanted.shape), wanted)
        ties = set() if shares is None else {int(i) for k in range(3) for i in ties_of(shares[k])}
        right = []
        for i in range(len(data.tested)):
            one = lambda k: {"label": str(wanted[i][k]), **({} if shares is None else {"scores": dict(zip(map(lambda c: str(int(c)) if spelling == "binary" else str(c), own[k]), map(float, shares[k][i])))})}
            right.append({"targets": {target: one(k) for k, target in enumerate(names)}})
        text = f"task: tabular-classification\ntargets: [{', '.join(names)}]\n" + columns(data.names)
        write_case(out, "several-classes", name, graph, text, rows_of(data), right, SOURCE, raw_differs=differs, ties=ties)


def embeddings(out):
    models = {
        "pca": PCA, "whitened-pca": lambda n: PCA(n, whiten=True), "svd": lambda n: TruncatedSVD(n, random_state=0),
        "incremental-pca": IncrementalPCA, "ica": lambda n: FastICA(n, random_state=0, whiten="unit-variance"),
        "nmf-positive": lambda n: NMF(n, random_state=0, max_iter=500), "kernel-pca": KernelPCA,
        "kernel-pca-rbf": lambda n: KernelPCA(n, kernel="rbf"), "factors": FactorAnalysis, "sparse-pca": lambda n: SparsePCA(n, random_state=0),
        "projection": lambda n: GaussianRandomProjection(n, random_state=0),
        "scaled-pca": lambda n: make_pipeline(StandardScaler(), PCA(n)), "normalized": lambda n: make_pipeline(PCA(n), Normalizer()),
        "scaler": lambda n: StandardScaler(), "robust": lambda n: RobustScaler(), "power": lambda n: PowerTransformer(), "range": lambda n: MinMaxScaler(),
        "distances": lambda n: KMeans(n, random_state=0, n_init=2), "leaves": lambda n: RandomTreesEmbedding(3, max_depth=2, sparse_output=False, random_state=0),
    }
    for turn, ((key, make), size) in enumerate(itertools.product(models.items(), (2, 3))):
        name = f"{key}-{size}"
        data, model = Data(f"embedding/{name}", width=5, positive="positive" in key), make(size)
        model.fit(data.x)
        graph, raw = export("embedding", name, model, data, opset=OPSETS[turn % 3])
        if graph is None:
            continue
        answers, text = np.asarray(model.transform(data.tested)), "task: feature-extraction\n"
        if key == "distances":
            text += "output: { vector: scores }\n"
        output = "scores" if key == "distances" else graph.graph.output[0].name
        differs = raw is not None and not is_close(raw[output], answers)
        right = [{"vector": [float(v) for v in row]} for row in answers]
        write_case(out, "embedding", name, graph, text + columns(data.names), rows_of(data), right, SOURCE, raw_differs=differs)


def unsupervised(out, kind, name, model, data, text, words, shares=None, opset=None):
    """Labels of anomalies or clusters."""
    model.fit(data.x)
    graph, raw = export(kind, name, model, data, opset=opset)
    if graph is None:
        return
    labels = model.predict(data.tested)
    margins = np.abs(model.decision_function(data.tested)) if hasattr(model, "decision_function") else None
    ties = [] if margins is None else ties_of(margins)
    if hasattr(model, "transform") and not hasattr(model, "decision_function"):
        ties = ties_of(-model.transform(data.tested))
    kept = np.setdiff1d(np.arange(len(labels)), ties)
    differs = raw is not None and not np.array_equal(np.asarray(list(raw.values())[0]).reshape(-1)[kept], labels[kept])
    right = [{"label": words[int(label)], **({"scores": None} if shares is None else {})} for label in labels]
    if shares is not None:
        for one, row in zip(right, shares(model)):
            one["scores"] = {words[k]: float(p) for k, p in enumerate(row)}
        differs = differs or (raw is not None and not is_close(list(raw.values())[1], shares(model)))
    write_case(out, kind, name, graph, text + columns(data.names), rows_of(data), right, SOURCE, raw_differs=differs, ties=ties)


def anomalies(out):
    models = {
        "forest": lambda s: IsolationForest(n_estimators=5 + s, random_state=s), "svm": lambda s: OneClassSVM(nu=0.1 + 0.1 * s),
        "svm-poly": lambda s: OneClassSVM(kernel="poly", degree=2, nu=0.2 + 0.1 * s), "neighbors": lambda s: LocalOutlierFactor(5 + s, novelty=True),
        "contaminated-forest": lambda s: IsolationForest(n_estimators=5, contamination=0.1 + 0.1 * s, random_state=s),
        "scaled-svm": lambda s: make_pipeline(StandardScaler(), OneClassSVM(nu=0.2)), "ellipse": lambda s: EllipticEnvelope(random_state=s),
    }
    for turn, ((key, make), seed) in enumerate(itertools.product(models.items(), range(4))):
        name = f"{key}-{seed}"
        data, named = Data(f"anomaly/{name}"), turn % 2
        data.tested[::3] *= 4
        words = {-1: "anomaly", 1: "normal"} if named else {-1: "-1", 1: "1"}
        text = "task: tabular-classification\n" + ("labels: [anomaly, normal]\n" if named else "")
        unsupervised(out, "anomaly", name, make(seed), data, text, words, opset=OPSETS[turn % 3])


def clusters(out):
    models = {
        "kmeans": lambda s: KMeans(3, random_state=s, n_init=2), "mini-batch": lambda s: MiniBatchKMeans(3, random_state=s, n_init=2),
        "bisecting": lambda s: BisectingKMeans(3, random_state=s), "birch": lambda s: Birch(n_clusters=3),
        "scaled-kmeans": lambda s: make_pipeline(StandardScaler(), KMeans(3, random_state=s, n_init=2)),
        "mixture": lambda s: GaussianMixture(3, random_state=s), "diagonal-mixture": lambda s: GaussianMixture(3, covariance_type="diag", random_state=s),
        "tied-mixture": lambda s: GaussianMixture(3, covariance_type="tied", random_state=s),
        "spherical-mixture": lambda s: GaussianMixture(3, covariance_type="spherical", random_state=s),
        "bayesian-mixture": lambda s: BayesianGaussianMixture(n_components=3, random_state=s),
    }
    for turn, ((key, make), seed) in enumerate(itertools.product(models.items(), range(3))):
        name = f"{key}-{seed}"
        data, named = Data(f"cluster/{name}"), turn % 2 == 0 or "mixture" in key
        words = ["small", "medium", "large"] if named else ["0", "1", "2"]
        text = "task: tabular-classification\n" + (f"labels: [{', '.join(words)}]\n" if named else "")
        shares = (lambda model, data=data: model.predict_proba(data.tested)) if "mixture" in key else None
        unsupervised(out, "cluster", name, make(seed), data, text, words, shares, OPSETS[turn % 3])


def categories_as_numbers(out):
    """A category feeds a number: its index. Rows for a regression, a classifier and a plain tensor."""
    categories = ["female", "male", "other"]
    for turn, (task, seed) in enumerate(itertools.product(("regression", "several-numbers", "classes", "tensor"), range(6))):
        name = f"{task}-{seed}"
        data = Data(f"categories/{name}", 1 if task == "regression" else 3)
        place = seed % 4
        data.x[:, place] = np.abs(data.x[:, place] * 10).astype(int) % 3
        data.tested[:, place] = np.arange(len(data.tested)) % 3
        text = columns(data.names).replace(
            f"{{ name: x{place}, type: number }}", f"{{ name: x{place}, type: category, categories: [{', '.join(categories)}] }}"
        )
        inputs = rows_of(data)
        for one in inputs:
            one["row"][f"x{place}"] = categories[int(one["row"][f"x{place}"])]
        if task == "classes":
            model = (RandomForestClassifier(4, max_depth=3, random_state=0) if seed % 2 else LogisticRegression()).fit(data.x, data.y[:, 0] > 0)
            model.fit(data.x, np.array(["no", "yes"])[(data.y[:, 0] > 0).astype(int)])
        else:
            model = (Ridge() if seed % 2 else RandomForestRegressor(4, max_depth=3, random_state=0)).fit(data.x, data.y if task != "regression" else data.y[:, 0])
        graph, raw = export("category-as-number", name, model, data)
        answers, ties = model.predict(data.tested), []
        if task == "classes":
            shares, ties = model.predict_proba(data.tested), ties_of(model.predict_proba(data.tested))
            right = [{"label": str(label), "scores": dict(zip(model.classes_, map(float, row)))} for label, row in zip(answers, shares)]
        elif task == "tensor":
            right = [{"tensors": {graph.graph.output[0].name: [float(v) for v in row]}} for row in answers]
        else:
            right = [{"value": float(a)} if answers.ndim == 1 else {"values": [float(v) for v in a]} for a in answers]
        tasks = {"classes": "tabular-classification", "tensor": "tensor"}
        yaml = f"task: {tasks.get(task, 'tabular-regression')}\n{text}"
        differs = task != "classes" and not is_close(list(raw.values())[0], answers)
        write_case(out, "category-as-number", name, graph, yaml, inputs, right, SOURCE, raw_differs=differs, ties=ties)


def build(out):
    for kind in (regressions, several_numbers, quantiles, several_classes, embeddings, anomalies, clusters, categories_as_numbers):
        kind(out)
    for line in SKIPPED:
        print(f"not exported: {line}")
