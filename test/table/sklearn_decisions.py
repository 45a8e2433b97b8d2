"""Classifiers of scikit-learn as skl2onnx exports them: the class that predict() returns, and what predict_proba() returns."""
import itertools
import warnings
import zlib

import numpy as np
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    PassiveAggressiveClassifier,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

from cases import accept_booleans, is_close, run_graph, ties_of, write_case

warnings.filterwarnings("ignore")
accept_booleans()
SOURCE = f"scikit-learn {sklearn.__version__}"

#: How the classes are spelled: words, numbers from 0, other numbers, negative ones, truth values.
CLASSES = {
    "words": np.array(["no", "yes", "maybe", "unknown"]),
    "from-0": np.array([0, 1, 2, 3]),
    "grades": np.array([3, 5, 7, 11]),
    "signs": np.array([-1, 1, 2, 3]),
    "truth": np.array([False, True]),
}


class Data:
    """Rows of float32 numbers with classes that overlap, and others to predict, among them some near to a tie."""

    def __init__(self, name, classes=2, spelling="words", width=None, rows=160, positive=False):
        self.rng = rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.width = width or int(rng.integers(2, 6))
        centers = rng.normal(size=(classes, self.width)) * 1.2
        share = rng.dirichlet(np.full(classes, 4.0))
        indices = np.concatenate([np.arange(classes).repeat(8), rng.choice(classes, rows - 8 * classes, p=share)])
        self.x = (centers[indices] + rng.normal(size=(rows, self.width))).astype(np.float32)
        self.pool = (centers[rng.choice(classes, 300)] + 1.3 * rng.normal(size=(300, self.width))).astype(np.float32)
        if positive:
            self.x, self.pool = np.abs(self.x), np.abs(self.pool)
        self.indices = indices
        self.y = CLASSES[spelling][indices]
        self.names = [f"x{i}" for i in range(self.width)]

    def tested(self, model):
        """Twelve rows: the six that the model is least sure about, and six others."""
        margins = margin_of(model, self.pool)
        near = np.argsort(margins)[:6] if margins is not None else np.arange(6)
        return self.pool[np.concatenate([near, np.setdiff1d(np.arange(30), near)[:6]])]


def scores_of(model, x):
    """Probabilities, or the decision function, or None."""
    for method in ("predict_proba", "decision_function"):
        if hasattr(model, method):
            found = getattr(model, method)(x)
            return np.asarray(found) if not isinstance(found, list) else None
    return None


def margin_of(model, x):
    scores = scores_of(model, x)
    if scores is None or scores.ndim > 2:
        return None
    if scores.ndim == 1:
        return np.abs(scores)
    ordered = np.sort(scores, axis=1)
    return ordered[:, -1] - ordered[:, -2]


def tied_rows(model, x):
    """Rows whose class changes when their numbers change by as much as rounding to float32 may."""
    found = set()
    scores = scores_of(model, x)
    if scores is not None and scores.ndim <= 2:
        found.update(ties_of(scores))
    if hasattr(model, "predict_proba") and hasattr(model, "decision_function"):
        found.update(ties_of(np.asarray(model.decision_function(x))))
    return sorted(found)


def columns(names, kind="number"):
    return "columns:\n" + "".join(f"  - {{ name: {name}, type: {kind} }}\n" for name in names)


def rows_of(names, x):
    return [{"row": {name: float(value) for name, value in zip(names, row)}} for row in x]


def export(model, example, zipmap, opset):
    """The graph, with the option if the estimator has it."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    tried = [] if zipmap is None else [{id(model): {"zipmap": zipmap}}, {id(last): {"zipmap": zipmap}}]
    for options in [*tried, None, {id(last): {}}]:
        try:
            return to_onnx(model, example, options=options, target_opset=opset)
        except NameError as error:
            reason = error
    raise reason


def matrix_of(scores, labels):
    """What a graph returns for scores: an array, or a list of maps."""
    if isinstance(scores, list) and scores and isinstance(scores[0], dict):
        return np.array([[row[label] for label in labels] for row in scores])
    return np.asarray(scores)


def raw_differs(outputs, labels, probabilities, classes, ties):
    """Whether the graph itself answers another class, or other probabilities."""
    if outputs is None:
        return False
    values = list(outputs.values())
    kept = np.setdiff1d(np.arange(len(labels)), ties)
    given = np.asarray(values[0]).reshape(-1)
    if given.size != len(labels) or not np.array_equal(given[kept].astype(str), np.asarray(labels)[kept].astype(str)):
        return True
    if probabilities is None:
        return False
    scores = np.stack(values[1:], 1) if len(values) > 2 else values[1]
    return not is_close(matrix_of(scores, list(classes)), probabilities)


SKIPPED = []


def classifier(out, kind, name, model, data, zipmap=None, opset=None, yaml="", names=None, scores=True, refuse=None):
    """Fits, exports and writes one classifier of numbers. `names`: labels of model.yaml, in the order of the classes."""
    try:
        model.fit(data.x, data.y)
        graph = export(model, data.x[:1], zipmap, opset)
    except Exception as error:
        SKIPPED.append(f"{kind}/{name}: {type(error).__name__} {str(error).splitlines()[0][:100]}")
        return
    x = data.tested(model)
    labels = model.predict(x)
    probabilities = model.predict_proba(x) if scores and hasattr(model, "predict_proba") else None
    if data.y.dtype == bool:
        # The graph has 0 and 1 in place of False and True.
        labels = labels.astype(int)
    classes = [int(c) if isinstance(c, np.bool_) else c for c in model.classes_]
    spelled = dict(zip(classes, names or map(str, classes)))
    ties = tied_rows(model, x)
    right = []
    for i, label in enumerate(labels):
        shares = None if probabilities is None else dict(zip(spelled.values(), map(float, probabilities[i])))
        right.append({"label": spelled[label], "scores": shares})
    differs = raw_differs(run_graph(graph, {"X": x}), labels, probabilities, classes, ties)
    text = f"task: tabular-classification\n{yaml}" + columns(data.names)
    refuse = refuse(graph) if callable(refuse) else refuse
    write_case(out, kind, name, graph, text, rows_of(data.names, x), right, SOURCE, raw_differs=differs, ties=ties, refuse=refuse)


ZIPMAPS = (None, False, "columns")
OPSETS = (None, {"": 17, "ai.onnx.ml": 3}, {"": 13, "ai.onnx.ml": 2})
SPELLINGS = ("words", "from-0", "grades", "signs")


def all_of(out, kind, models, repeats=1, refuse=lambda key, classes: None, yaml=lambda spelling, classes, zipmap: ""):
    """
    Each model with 2 and 3 classes, and in turn with other spellings, zipmaps and opsets. `refuse`: what the refusal of an
    export that must be refused says.
    """
    turns = itertools.count()
    for repeat in range(repeats):
        for key, make in models.items():
            for classes in (2, 3):
                turn = next(turns)
                name = f"{key}-{classes}-{repeat}" if repeats > 1 else f"{key}-{classes}"
                data = Data(f"{kind}/{name}", classes, SPELLINGS[turn % 4], positive="positive" in key)
                settings = {"zipmap": ZIPMAPS[turn % 3], "opset": OPSETS[(turn // 3) % 3]}
                spelling = SPELLINGS[turn % 4]
                text = yaml(spelling, classes, settings["zipmap"])
                classifier(out, kind, name, make(), data, yaml=text, refuse=refuse(f"{key} {spelling}", classes), **settings)


def support_vectors(out):
    all_of(out, "svc", {
        "rbf": lambda: SVC(),
        "linear": lambda: SVC(kernel="linear"),
        "poly": lambda: SVC(kernel="poly", degree=2, coef0=1.0),
        "sigmoid": lambda: SVC(kernel="sigmoid", gamma=0.1),
        "balanced": lambda: SVC(class_weight="balanced"),
        "one-versus-one": lambda: SVC(decision_function_shape="ovo"),
        "break-ties": lambda: SVC(break_ties=True),
        "nu": lambda: NuSVC(nu=0.2),
        "nu-linear": lambda: NuSVC(nu=0.2, kernel="linear"),
        "nu-poly": lambda: NuSVC(nu=0.2, kernel="poly", degree=2),
        "scaled": lambda: make_pipeline(StandardScaler(), SVC()),
    })
    all_of(out, "svc-probability", {
        "rbf": lambda: SVC(probability=True, random_state=0),
        "linear": lambda: SVC(kernel="linear", probability=True, random_state=0),
        "poly": lambda: SVC(kernel="poly", degree=2, probability=True, random_state=0),
        "sigmoid": lambda: SVC(kernel="sigmoid", gamma=0.1, probability=True, random_state=0),
        "balanced": lambda: SVC(class_weight="balanced", probability=True, random_state=0),
        "nu": lambda: NuSVC(nu=0.2, probability=True, random_state=0),
        "scaled": lambda: make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)),
        "scaled-nu": lambda: make_pipeline(StandardScaler(), NuSVC(nu=0.2, probability=True, random_state=0)),
        "soft": lambda: SVC(C=0.05, probability=True, random_state=0),
        "hard": lambda: SVC(C=50, probability=True, random_state=0),
    })


def linear_decisions(out):
    all_of(out, "linear-decision", {
        "linear-svc": lambda: LinearSVC(),
        "linear-svc-balanced": lambda: LinearSVC(class_weight="balanced"),
        "ridge": lambda: RidgeClassifier(),
        "ridge-cv": lambda: RidgeClassifierCV(),
        "perceptron": lambda: Perceptron(),
        "passive-aggressive": lambda: PassiveAggressiveClassifier(random_state=0),
        "hinge": lambda: SGDClassifier(random_state=0),
        "perceptron-loss": lambda: SGDClassifier(loss="perceptron", random_state=0),
        "squared-hinge": lambda: SGDClassifier(loss="squared_hinge", random_state=0),
        "scaled-svc": lambda: make_pipeline(StandardScaler(), LinearSVC()),
        "scaled-ridge": lambda: make_pipeline(MinMaxScaler(), RidgeClassifier()),
        "nearest-centroid": lambda: NearestCentroid(),
    })


def thresholds(out):
    models = {
        "logistic": lambda: LogisticRegression(),
        "forest": lambda: RandomForestClassifier(5, max_depth=3, random_state=0),
        "bayes": lambda: GaussianNB(),
        "boosting": lambda: GradientBoostingClassifier(n_estimators=5, max_depth=2, random_state=0),
        "scaled": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
        "tree": lambda: DecisionTreeClassifier(max_depth=3, random_state=0),
        "network": lambda: MLPClassifier((4,), max_iter=200, random_state=0),
        "log-loss": lambda: SGDClassifier(loss="log_loss", random_state=0),
        "neighbors": lambda: KNeighborsClassifier(5),
        "extra-trees": lambda: ExtraTreesClassifier(5, max_depth=3, random_state=0),
    }
    # Of an estimator that names its own outputs, such as a pipeline, nothing tells the threshold.
    tuned = lambda graph: "TunedThresholdClassifierCV" if any("label_tuned" in node.output for node in graph.graph.node) else None
    for turn, ((key, make), threshold) in enumerate(itertools.product(models.items(), (0.1, 0.25, 0.7))):
        name = f"fixed-{key}-{str(threshold).replace('.', '')}"
        model = FixedThresholdClassifier(make(), threshold=threshold, response_method="predict_proba")
        data = Data(f"threshold/{name}", 2, SPELLINGS[turn % 4])
        classifier(out, "threshold", name, model, data, zipmap=ZIPMAPS[turn % 3])
    for turn, ((key, make), scoring) in enumerate(itertools.product(models.items(), ("balanced_accuracy", "accuracy"))):
        name = f"tuned-{key}-{scoring.replace('_', '-')}"
        model = TunedThresholdClassifierCV(make(), scoring=scoring, cv=3, random_state=0)
        data = Data(f"threshold/{name}", 2, SPELLINGS[turn % 4])
        classifier(out, "threshold", name, model, data, zipmap=ZIPMAPS[turn % 3], refuse=tuned)


def calibrated(out):
    models = {"linear-svc": LinearSVC, "bayes": GaussianNB, "logistic": LogisticRegression, "svc": SVC}
    models["forest"] = lambda: RandomForestClassifier(5, max_depth=3, random_state=0)
    all_of(out, "calibrated", {
        f"{method}-{key}{'' if ensemble else '-single'}": lambda make=make, method=method, ensemble=ensemble: (
            CalibratedClassifierCV(make(), method=method, cv=2, ensemble=ensemble)
        )
        for (key, make), method, ensemble in itertools.product(models.items(), ("sigmoid", "isotonic"), (True, False))
    }, refuse=lambda key, classes: "isotonic" if "isotonic" in key else None)


def one_versus_others(out):
    models = {
        "logistic": lambda: LogisticRegression(),
        "linear-svc": lambda: LinearSVC(),
        "svc": lambda: SVC(),
        "svc-probability": lambda: SVC(probability=True, random_state=0),
        "bayes": lambda: GaussianNB(),
        "tree": lambda: DecisionTreeClassifier(max_depth=3, random_state=0),
        "network": lambda: MLPClassifier((4,), max_iter=200, random_state=0),
        "ridge": lambda: RidgeClassifier(),
        "perceptron": lambda: Perceptron(),
    }
    more = {
        "forest": lambda: RandomForestClassifier(5, max_depth=3, random_state=0),
        "log-loss": lambda: SGDClassifier(loss="log_loss", random_state=0),
        "hinge": lambda: SGDClassifier(random_state=0),
    }

    def refused_rest(key, classes):
        name = key.split()[0]
        is_raw = name in ("linear-svc", "perceptron", "hinge") and classes == 2
        return "OneVsRestClassifier" if is_raw or name in ("ridge", "svc", "svc-probability") else None

    def labels_of(spelling, classes, zipmap):
        return f'labels: {list(map(str, CLASSES[spelling][:classes]))}\n' if zipmap is False and spelling != "words" else ""

    rest = {key: lambda make=make: OneVsRestClassifier(make()) for key, make in {**models, **more}.items()}
    all_of(out, "one-versus-rest", rest, refuse=refused_rest)
    all_of(out, "one-versus-one", {
        f"{key}-{i}": lambda make=make: OneVsOneClassifier(make())
        for key, make in models.items() if "svc-prob" not in key
        for i in range(2)
    }, refuse=lambda key, classes: "OneVsOneClassifier" if "words" in key else None, yaml=labels_of)


def probabilities(out):
    tree = lambda: DecisionTreeClassifier(max_depth=2, random_state=0)
    all_of(out, "probabilities", {
        "logistic": lambda: LogisticRegression(),
        "logistic-cv": lambda: LogisticRegressionCV(Cs=3),
        "logistic-l1": lambda: LogisticRegression(l1_ratio=1, solver="saga"),
        "log-loss": lambda: SGDClassifier(loss="log_loss", random_state=0),
        "huber": lambda: SGDClassifier(loss="modified_huber", random_state=0),
        "tree": lambda: DecisionTreeClassifier(max_depth=4, random_state=0),
        "extra-tree": lambda: ExtraTreeClassifier(max_depth=4, random_state=0),
        "forest": lambda: RandomForestClassifier(9, max_depth=4, random_state=0),
        "extra-trees": lambda: ExtraTreesClassifier(9, max_depth=4, random_state=0),
        "boosting": lambda: GradientBoostingClassifier(n_estimators=8, max_depth=2, random_state=0),
        "boosting-exponential": lambda: GradientBoostingClassifier(n_estimators=8, loss="exponential", random_state=0),
        "histogram-boosting": lambda: HistGradientBoostingClassifier(max_iter=8, random_state=0),
        "ada-boost": lambda: AdaBoostClassifier(tree(), n_estimators=5, random_state=0),
        "bagging": lambda: BaggingClassifier(n_estimators=4, random_state=0),
        "bagging-svc": lambda: BaggingClassifier(SVC(), n_estimators=3, random_state=0),
        "stacking": lambda: StackingClassifier([("a", LinearSVC()), ("b", GaussianNB())], cv=3),
        "stacking-tree": lambda: StackingClassifier([("a", Perceptron()), ("b", GaussianNB())], final_estimator=tree(), cv=3),
        "bayes-stacking": lambda: StackingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], cv=3),
        "voting-soft": lambda: VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], voting="soft"),
        "voting-weighted": lambda: VotingClassifier([("a", LogisticRegression()), ("b", tree())], voting="soft", weights=[2, 1]),
        "voting-hard": lambda: VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB()), ("c", tree())]),
        "bayes": lambda: GaussianNB(),
        "bernoulli-bayes": lambda: BernoulliNB(),
        "multinomial-bayes-positive": lambda: MultinomialNB(),
        "complement-bayes-positive": lambda: ComplementNB(),
        "neighbors": lambda: KNeighborsClassifier(5),
        "neighbors-weighted": lambda: KNeighborsClassifier(5, weights="distance"),
        "neighbors-manhattan": lambda: KNeighborsClassifier(4, metric="manhattan"),
        "radius-neighbors": lambda: RadiusNeighborsClassifier(30.0),
        "linear-discriminant": lambda: LinearDiscriminantAnalysis(),
        "quadratic-discriminant": lambda: QuadraticDiscriminantAnalysis(),
        "network": lambda: MLPClassifier((6,), max_iter=200, random_state=0),
        "network-tanh": lambda: MLPClassifier((6, 4), activation="tanh", max_iter=200, random_state=0),
        "network-logistic": lambda: MLPClassifier((6,), activation="logistic", max_iter=200, random_state=0),
        "gaussian-process": lambda: GaussianProcessClassifier(random_state=0),
        "output-code": lambda: OutputCodeClassifier(LogisticRegression(), random_state=0),
    }, refuse=lambda key, classes: (
        "BaggingClassifier" if key.startswith("bagging-svc") else "StackingClassifier" if key.startswith("stacking") and classes == 2 else None
    ))


def class_types(out):
    models = {
        "logistic": lambda: LogisticRegression(),
        "forest": lambda: RandomForestClassifier(5, max_depth=3, random_state=0),
        "bayes": lambda: GaussianNB(),
        "network": lambda: MLPClassifier((4,), max_iter=200, random_state=0),
        "linear-svc": lambda: LinearSVC(),
        "ridge": lambda: RidgeClassifier(),
        "svc": lambda: SVC(),
    }
    for (key, make), spelling, zipmap in itertools.product(models.items(), ("truth", "signs", "words"), ZIPMAPS):
        name = f"{key}-{spelling}-{'default' if zipmap is None else 'none' if zipmap is False else zipmap}"
        classifier(out, "class-types", name, make(), Data(f"class-types/{name}", 2, spelling), zipmap=zipmap)
    for key, make in models.items():
        name, names = f"{key}-truth-named", ["False", "True"]
        yaml = 'labels: ["False", "True"]\n'
        classifier(out, "class-types", name, make(), Data(f"class-types/{name}", 2, "truth"), yaml=yaml, names=names)
    for (key, make), spelling in itertools.product(models.items(), ("from-0", "grades", "words")):
        name = f"{key}-{spelling}-renamed"
        data = Data(f"class-types/{name}", 3, spelling)
        names = ["poor", "fair", "good"]
        classifier(out, "class-types", name, make(), data, yaml=f"labels: [{', '.join(names)}]\n", names=names)


def multi_label(out):
    models = {
        "rest-logistic": lambda: OneVsRestClassifier(LogisticRegression()),
        "rest-bayes": lambda: OneVsRestClassifier(GaussianNB()),
        "rest-tree": lambda: OneVsRestClassifier(DecisionTreeClassifier(max_depth=3, random_state=0)),
        "rest-network": lambda: OneVsRestClassifier(MLPClassifier((4,), max_iter=200, random_state=0)),
        "network": lambda: MLPClassifier((5,), max_iter=200, random_state=0),
        "scaled-rest": lambda: make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression())),
    }
    for turn, ((key, make), count) in enumerate(itertools.product(models.items(), (2, 3, 4, 5))):
        name, model = f"{key}-{count}", make()
        data = Data(f"multi-label/{name}", 2)
        weights = data.rng.normal(size=(data.width, count))
        indicators = ((data.x - data.x.mean(0)) @ weights + 0.5 * data.rng.normal(size=(len(data.x), count)) > 0).astype(int)
        model.fit(data.x, indicators)
        try:
            graph = export(model, data.x[:1], False if turn % 2 else None, OPSETS[turn % 3])
        except Exception as error:
            SKIPPED.append(f"multi-label/{name}: {str(error).splitlines()[0][:100]}")
            continue
        x = data.pool[:12]
        shares, names = model.predict_proba(x), [f"t{i}" for i in range(count)]
        raw = run_graph(graph, {"X": x})
        right = [{"label": names[int(row.argmax())], "scores": dict(zip(names, map(float, row)))} for row in shares]
        text = f"task: tabular-classification\nlabels: [{', '.join(names)}]\n" + columns(data.names)
        differs = raw is not None and not is_close(matrix_of(list(raw.values())[1], list(range(count))), shares)
        write_case(out, "multi-label", name, graph, text, rows_of(data.names, x), right, SOURCE,
                   raw_differs=differs, ties=ties_of(shares), multi_label=True,
                   refuse="name the targets in targets" if name == "network-2" else None)


CITIES = ["Bern", "Lyon", "Turin"]


def pipelines(out):
    """Columns of numbers, integers and words, each its own input of the graph."""
    import pandas as pd

    models = {
        "logistic": lambda: LogisticRegression(),
        "forest": lambda: RandomForestClassifier(5, max_depth=3, random_state=0),
        "svc": lambda: SVC(),
        "linear-svc": lambda: LinearSVC(),
        "ridge": lambda: RidgeClassifier(),
        "network": lambda: MLPClassifier((4,), max_iter=200, random_state=0),
        "boosting": lambda: GradientBoostingClassifier(n_estimators=5, max_depth=2, random_state=0),
    }
    scalers = {
        "standard": StandardScaler,
        "imputed": lambda: make_pipeline(SimpleImputer(strategy="median"), RobustScaler()),
        "polynomial": lambda: make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False)),
        "bins": lambda: KBinsDiscretizer(4, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
    }
    for turn, ((key, make), (scaler, make_scaler)) in enumerate(itertools.product(models.items(), scalers.items())):
        name = f"{key}-{scaler}"
        data = Data(f"pipelines/{name}", 2 + turn % 2, SPELLINGS[turn % 4], width=3)
        frame = lambda x: pd.DataFrame({
            "age": x[:, 0], "income": x[:, 1],
            "children": np.clip(np.round(np.abs(x[:, 2]) * 2), 0, 5).astype(np.int64),
            "city": np.array(CITIES)[(np.abs(x[:, 0] * 7 + x[:, 2] * 3).astype(int)) % 3],
        })
        encoder = OneHotEncoder(handle_unknown="ignore") if turn % 3 else OrdinalEncoder(dtype=np.float32)
        model = make_pipeline(
            ColumnTransformer([("n", make_scaler(), ["age", "income"]), ("i", "passthrough" if turn % 2 else StandardScaler(), ["children"]), ("c", encoder, ["city"])]),
            make(),
        )
        model.fit(frame(data.x), data.y)
        types = [("age", FloatTensorType([None, 1])), ("income", FloatTensorType([None, 1])),
                 ("children", Int64TensorType([None, 1])), ("city", StringTensorType([None, 1]))]
        options = None if turn % 3 == 0 else {id(model): {"zipmap": ZIPMAPS[turn % 3]}}
        try:
            try:
                graph = to_onnx(model, initial_types=types, options=options)
            except NameError:
                graph = to_onnx(model, initial_types=types)
        except Exception as error:
            SKIPPED.append(f"pipelines/{name}: {type(error).__name__} {str(error).splitlines()[0][:100]}")
            continue
        tested = frame(data.pool[:12])
        labels = model.predict(tested)
        shares = model.predict_proba(tested) if hasattr(model, "predict_proba") else None
        ties = tied_rows(model, tested)
        feeds = {n: tested[[n]].to_numpy(object if n == "city" else np.int64 if n == "children" else np.float32) for n in tested}
        differs = raw_differs(run_graph(graph, feeds), labels, shares, model.classes_, ties)
        right = [{"label": str(label), "scores": None if shares is None else dict(zip(map(str, model.classes_), map(float, shares[i])))}
                 for i, label in enumerate(labels)]
        inputs = [{"row": {"age": float(r.age), "income": float(r.income), "children": int(r.children), "city": r.city}} for r in tested.itertuples()]
        text = "task: tabular-classification\n" + (
            "columns: [{ name: age, type: number }, { name: income, type: number }, { name: children, type: integer },"
            f" {{ name: city, type: category, categories: [{', '.join(CITIES)}] }}]\n" if turn % 2 else "")
        write_case(out, "pipelines", name, graph, text, inputs, right, SOURCE, raw_differs=differs, ties=ties)


TEXTS = {
    "spam": ["Win a FREE prize now!!!", "free money, click here", "You have WON, claim the prize", "cheap pills, buy now", "Click to win money"],
    "work": ["Meeting moved to Monday", "please review the report", "The Monday report is late", "Notes from our meeting", "Review notes, please"],
    "food": ["Crème brûlée for dessert", "un éclair au café", "Soup and bread for lunch", "Lunch: soup of the day", "Café and ÉCLAIR today"],
}
QUERIES = ["free prize", "Monday MEETING notes", "ÉCLAIR au café", "soup for lunch, please", "win the report", "bread", "CLICK here now", "nothing known"]


def texts(out):
    vectorizers = {
        "tfidf": lambda: TfidfVectorizer(),
        "tfidf-bigrams": lambda: TfidfVectorizer(ngram_range=(1, 2)),
        "tfidf-sublinear": lambda: TfidfVectorizer(sublinear_tf=True),
        "count": lambda: CountVectorizer(),
        "stop-words": lambda: TfidfVectorizer(stop_words=["the", "a", "to", "and"]),
        "case": lambda: TfidfVectorizer(lowercase=False),
        "tokens": lambda: TfidfVectorizer(token_pattern=r"[a-zA-Z]+"),
    }
    models = {
        "logistic": lambda: LogisticRegression(C=10),
        "linear-svc": lambda: LinearSVC(),
        "bayes": lambda: MultinomialNB(),
        "hinge": lambda: SGDClassifier(random_state=0),
    }
    for turn, ((words, make_words), (key, make)) in enumerate(itertools.product(vectorizers.items(), models.items())):
        kinds = list(TEXTS)[: 2 + turn % 2]
        given = [text for kind in kinds for text in TEXTS[kind]]
        y = np.array([kind for kind in kinds for _ in TEXTS[kind]])
        vectorizer = make_words()
        model = make_pipeline(vectorizer, make()).fit(given, y)
        options = {id(vectorizer): {"tokenexp": None, "locale": "C.UTF-8"}} if turn % 2 else None
        try:
            graph = to_onnx(model, initial_types=[("text", StringTensorType([None, 1]))], options=options)
        except Exception as error:
            SKIPPED.append(f"texts/{words}-{key}: {type(error).__name__} {str(error).splitlines()[0][:100]}")
            continue
        labels = model.predict(QUERIES)
        shares = model.predict_proba(QUERIES) if hasattr(model, "predict_proba") else None
        ties = tied_rows(model, QUERIES)
        raw = run_graph(graph, {"text": np.array(QUERIES, object).reshape(-1, 1)})
        differs = raw_differs(raw, labels, shares, model.classes_, ties)
        right = [{"label": str(label), "scores": None if shares is None else dict(zip(model.classes_, map(float, shares[i])))} for i, label in enumerate(labels)]
        write_case(out, "texts", f"{words}-{key}", graph, "task: text-classification\n", [{"text": text} for text in QUERIES], right, SOURCE, raw_differs=differs, ties=ties)


def build(out):
    for kind in (support_vectors, linear_decisions, thresholds, calibrated, one_versus_others, probabilities, class_types, multi_label, pipelines, texts):
        kind(out)
    for line in SKIPPED:
        print(f"not exported: {line}")
