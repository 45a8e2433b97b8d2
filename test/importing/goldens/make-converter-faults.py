"""
Models whose exported graphs answer differently from their source framework, one for each fault of a converter.

Needs Python 3.12 with the packages of test/table/requirements-boosters.txt:

    OMP_NUM_THREADS=1 python test/importing/goldens/make-converter-faults.py

Writes converter-faults/<name>/: model.yaml, 1/model.onnx and right.json, with inputs and the framework's answers in the form
of golden.json. The answers of the graph differ for the first input at least; for the last one they are the same, if there
is such a row. Graphs that look alike and are right are written to right-conversions/<name>/.
"""
import json
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import onnx
import onnxruntime
import skl2onnx
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm as lightgbm_converter
from onnxruntime.capi import onnxruntime_pybind11_state as pybind11_state
from skl2onnx import to_onnx, update_registered_converter
from skl2onnx.common.data_types import StringTensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from sklearn.base import is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

sys.path.insert(0, str(Path(__file__).parents[2] / "table"))
from cases import accept_booleans  # noqa: E402

accept_booleans()
warnings.filterwarnings("ignore")
HERE = Path(__file__).parent / "converter-faults"
RIGHT = Path(__file__).parent / "right-conversions"
rng = np.random.RandomState(0)
X = rng.randn(60, 3).astype(np.float32)
TESTED = rng.randn(60, 3).astype(np.float32)
NUMBER = X @ [1.0, -0.7, 0.3] + 0.4 * rng.randn(60)
TWO = np.array(["no", "yes"])[(NUMBER > 0.6).astype(int)]
THREE = np.digitize(NUMBER, [-0.5, 0.5])
COLUMNS = "columns: [{ name: a, type: number }, { name: b, type: number }, { name: c, type: number }]\n"


def run(graph, given):
    """None if the graph cannot run, or does not answer each row."""
    try:
        raw = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {graph.graph.input[0].name: given})
    except (pybind11_state.Fail, pybind11_state.InvalidArgument, pybind11_state.RuntimeException):
        return None
    return raw if len(raw[0]) == len(given) else None


def write(name, task, graph, labels, shares=None, texts=None, is_right=False):
    """`labels`: of a classifier, or the numbers of a regression. `shares`: its probabilities, with the classes."""
    raw = run(graph, TESTED if texts is None else np.array(texts, object).reshape(-1, 1))
    if raw is None:
        same = np.full(len(TESTED), False)
    elif shares is None:
        given = np.asarray(raw[0]).reshape(-1)
        same = given == labels if task.endswith("classification") else np.abs(given - labels) < 1e-6
    else:
        scores = [list(row.values()) for row in raw[1]] if isinstance(raw[1], list) else raw[1]
        same = np.abs(scores - shares[1]).max(axis=1) < 1e-6
    wrong = np.flatnonzero(~same)
    assert (len(wrong) == 0) == is_right, name
    rows, cases = [*wrong[:2], *np.flatnonzero(same)[:1]], []
    for i in rows:
        expect = {"value": float(labels[i])} if task.endswith("regression") else {"label": str(labels[i])}
        if shares is not None:
            expect["scores"] = dict(zip(map(str, shares[0]), map(float, shares[1][i])))
        row = {name: float(value) for name, value in zip("abc", TESTED[i]) if not np.isnan(value)}
        cases.append({"input": {"row": row} if texts is None else {"text": texts[i]}, "expect": expect})
    columns = COLUMNS.replace("number }", "number, required: false }") if np.isnan(TESTED).any() else COLUMNS
    folder = (RIGHT if is_right else HERE) / name
    (folder / "1").mkdir(parents=True)
    (folder / "1/model.onnx").write_bytes(graph.SerializeToString())
    (folder / "model.yaml").write_text(f"task: {task}\n{columns if texts is None else ''}")
    right = {"hasSame": bool(same.any()), "cases": cases}
    (folder / "right.json").write_text(json.dumps(right, ensure_ascii=False) + "\n")


def classifier(name, model, y, scores=True, zipmap=False, is_right=False, target_opset=None):
    model.fit(X, y)
    graph = to_onnx(model, X[:1], options={id(model): {"zipmap": zipmap}}, target_opset=target_opset)
    shares = (model.classes_, model.predict_proba(TESTED)) if scores else None
    write(name, "tabular-classification", graph, model.predict(TESTED), shares, is_right=is_right)


def of_catboost(model):
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.onnx")
        model.save_model(path, format="onnx")
        graph = onnx.load(path)
    # Of the metadata, only the parameters tell the loss function; the rest has times and is long.
    parameters = [entry for entry in graph.metadata_props if entry.key == "params"]
    del graph.metadata_props[:]
    graph.metadata_props.extend(parameters)
    graph.producer_version = catboost.__version__
    return graph


shutil.rmtree(HERE, ignore_errors=True)
shutil.rmtree(RIGHT, ignore_errors=True)
classifier("isotonic", CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2), TWO)
classifier("weighted-neighbors", KNeighborsClassifier(3, weights="distance"), TWO)
neighbors = KNeighborsRegressor(3, weights="distance").fit(X, NUMBER)
write("weighted-neighbors-number", "tabular-regression", to_onnx(neighbors, X[:1]), neighbors.predict(TESTED))
classifier("two-class-discriminant", LinearDiscriminantAnalysis(), TWO)
classifier("one-versus-rest", OneVsRestClassifier(LinearSVC()), TWO, scores=False)
classifier("one-versus-rest-svc", OneVsRestClassifier(SVC()), THREE, scores=False)
classifier("one-versus-rest-perceptron", OneVsRestClassifier(Perceptron()), TWO, scores=False)
classifier("one-versus-rest-ridge", OneVsRestClassifier(RidgeClassifier()), THREE, scores=False)
classifier("bagged-svm", BaggingClassifier(LinearSVC(), n_estimators=3, random_state=0), THREE, scores=False)
for name, model in {"svm": LinearSVC(), "perceptron": Perceptron()}.items():
    final = DecisionTreeClassifier(max_depth=3, random_state=0)
    stack = StackingClassifier([("a", model), ("b", GaussianNB())], final_estimator=final, cv=3)
    classifier(f"stacked-{name}", stack, TWO, scores=False)
classifier("tuned-threshold", TunedThresholdClassifierCV(LogisticRegression(), cv=2, random_state=0), TWO, scores=False)
classifier("one-versus-one", OneVsOneClassifier(LogisticRegression()), THREE * 2 + 3, scores=False)
forest = lightgbm.LGBMRegressor(n_estimators=5, boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, min_child_samples=5, verbose=-1)
forest.fit(X, NUMBER)
types = [("X", FloatTensorType([None, 3]))]
write("lightgbm-forest", "tabular-regression", convert_lightgbm(forest, initial_types=types, target_opset=15), forest.predict(TESTED))
votes = lightgbm.LGBMClassifier(n_estimators=5, boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, min_child_samples=5, verbose=-1)
votes.fit(X, TWO)
graph = convert_lightgbm(votes, initial_types=types, target_opset=15, zipmap=False)
write("lightgbm-forest-classes", "tabular-classification", graph, votes.predict(TESTED), (votes.classes_, votes.predict_proba(TESTED)))
each = catboost.CatBoostClassifier(iterations=3, depth=2, loss_function="MultiClassOneVsAll", verbose=0, allow_writing_files=False).fit(X, THREE)
write("catboost-one-versus-all", "tabular-classification", of_catboost(each), each.predict(TESTED).reshape(-1), (each.classes_, each.predict_proba(TESTED)))
counts = catboost.CatBoostRegressor(iterations=3, depth=2, loss_function="Poisson", verbose=0, allow_writing_files=False).fit(X, np.exp(NUMBER))
write("catboost-poisson", "tabular-regression", of_catboost(counts), counts.predict(TESTED))
several = catboost.CatBoostClassifier(iterations=3, depth=2, loss_function="MultiLogloss", verbose=0, allow_writing_files=False)
several.fit(X, np.column_stack([NUMBER > 0, NUMBER > 0.6, X[:, 0] > 0]).astype(int))
shares = several.predict_proba(TESTED)
write("catboost-several-labels", "tabular-classification", of_catboost(several), shares.argmax(axis=1), ([0, 1, 2], shares))
dishes = [
    ("un éclair au chocolat", "dessert"), ("crème brûlée", "dessert"), ("le café crème", "dessert"), ("gâteau", "dessert"),
    ("le match de tennis", "sport"), ("une équipe gagne", "sport"), ("le but décisif", "sport"), ("été sportif", "sport"),
]
words, kinds = zip(*dishes)
french = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10)).fit(words, kinds)
options = {TfidfVectorizer: {"locale": "C.UTF-8"}, LogisticRegression: {"zipmap": False}}
types = [("text", StringTensorType([None, 1]))]
tested = ["Crème brûlée", "une équipe", "le match de tennis"]
write("accented-words", "text-classification", skl2onnx.to_onnx(french, initial_types=types, options=options), french.predict(tested),
      (french.classes_, french.predict_proba(tested)), tested)


def calibrated(name, model, y, pipeline=True, **options):
    fitted = CalibratedClassifierCV(make_pipeline(StandardScaler(), model) if pipeline else model, cv=2)
    classifier(f"calibrated-{name}", fitted, y, **options)


calibrated("regression", LogisticRegression(), TWO)
calibrated("regression-three", LogisticRegression(), THREE)
calibrated("boosting", GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=0), TWO)
calibrated("adaboost", AdaBoostClassifier(n_estimators=2, random_state=0), TWO)
calibrated("svc", SVC(C=0.1, kernel="linear"), TWO)
calibrated("ridge", RidgeClassifier(), TWO)
calibrated("sgd", SGDClassifier(loss="log_loss", random_state=0), TWO)
calibrated("sgd-three", SGDClassifier(loss="log_loss", random_state=0), THREE)
calibrated("huber", SGDClassifier(loss="modified_huber", random_state=0), TWO)
calibrated("bagging", BaggingClassifier(LogisticRegression(), n_estimators=2, random_state=0), TWO)
calibrated("svc-probability", SVC(C=0.1, kernel="linear", probability=True, random_state=0), TWO, pipeline=False)
calibrated("discriminant", QuadraticDiscriminantAnalysis(), TWO, pipeline=False)
update_registered_converter(
    lightgbm.LGBMClassifier, "LightGbmLGBMClassifier", calculate_linear_classifier_output_shapes, lightgbm_converter,
    options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
)
boosted = lightgbm.LGBMClassifier(n_estimators=3, num_leaves=4, min_child_samples=5, verbose=-1)
calibrated("lightgbm", boosted, TWO, pipeline=False, target_opset={"": 21, "ai.onnx.ml": 3})
calibrated_alone = {
    "svc": SVC(C=0.1, kernel="linear"),
    "regression": LogisticRegression(),
    "boosting": GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=0),
    "bagging": BaggingClassifier(LinearSVC(), n_estimators=2, random_state=0),
}
for name, model in calibrated_alone.items():
    outside = make_pipeline(StandardScaler(), CalibratedClassifierCV(model, cv=2))
    classifier(f"calibrated-{name}", outside, TWO, is_right=True)
inside = make_pipeline(StandardScaler(), MLPClassifier((2,), random_state=0, max_iter=50))
classifier("calibrated-perceptron", CalibratedClassifierCV(inside, cv=2), TWO, is_right=True)

TESTED = 20 * TESTED
classifier("modified-huber", SGDClassifier(loss="modified_huber", random_state=0), np.digitize(np.arctan2(X[:, 1], X[:, 0]), [-1, 1]), scores=False)

# Trees whose splits at 0 are by category, and such of numbers.
CODES = rng.choice([0, 1, 2, 3, 4], (300, 3)).astype(np.float32)
SIGNS = rng.choice([-1, 1, np.nan], (300, 3)).astype(np.float32)
EFFECTS = np.array([1.0, -1.5, 2.0, -0.5, 0.3])[CODES[:, 0].astype(int)] + CODES[:, 1]
few = {"max_iter": 2, "min_samples_leaf": 2, "max_leaf_nodes": 12}


def of_rows(name, model, given, y, is_right=False):
    """`given`: the rows of training, which are also the inputs."""
    global TESTED
    TESTED = given
    model.fit(given, y)
    options = None if is_regressor(model) else {id(model): {"zipmap": False}}
    graph = to_onnx(model, given[:1], options=options, target_opset={"": 21, "ai.onnx.ml": 3})
    has_scores = hasattr(model, "predict_proba")
    shares = (model.classes_, model.predict_proba(given)) if has_scores else None
    task = "tabular-regression" if is_regressor(model) else "tabular-classification"
    write(name, task, graph, model.predict(given), shares, is_right=is_right)


of_rows("categories", HistGradientBoostingRegressor(categorical_features=[0], **few), CODES, EFFECTS)
of_rows("categories-classes", HistGradientBoostingClassifier(categorical_features=[0], **few), CODES, (EFFECTS > 1.5).astype(int))
numbers = np.nan_to_num(SIGNS, nan=-2) @ [1.0, -2.0, 0.5]
of_rows("signs", HistGradientBoostingRegressor(**few), SIGNS, numbers, is_right=True)
of_rows("signs-classes", HistGradientBoostingClassifier(**few), SIGNS, (numbers > 0).astype(int), is_right=True)
imputed = {
    "linear": LogisticRegression(), "forest": RandomForestClassifier(2, max_depth=3, random_state=0), "svc": SVC(kernel="linear", C=0.1),
    "perceptron": MLPClassifier((2,), random_state=0, max_iter=50), "neighbors": KNeighborsClassifier(3), "bayes": GaussianNB(),
    "number": LinearRegression(),
}
GAPS = np.where(rng.rand(60, 3) < 0.2, np.nan, X).astype(np.float32)[:20]
for name, model in imputed.items():
    y = NUMBER[:20] if is_regressor(model) else TWO[:20]
    of_rows(f"indicators-{name}", make_pipeline(SimpleImputer(add_indicator=True), model), GAPS, y)
    of_rows(f"imputed-{name}", make_pipeline(SimpleImputer(), model), GAPS, y, is_right=True)
forests = {
    "forest": RandomForestClassifier(2, max_depth=3, random_state=0), "tree-number": DecisionTreeRegressor(max_depth=3, random_state=0),
    "scaled-forest": make_pipeline(StandardScaler(), RandomForestClassifier(2, max_depth=3, random_state=0)),
    "partly-imputed": make_pipeline(
        ColumnTransformer([("impute", SimpleImputer(), [0])], remainder="passthrough"), RandomForestClassifier(2, max_depth=3, random_state=0)
    ),
}
for name, model in forests.items():
    of_rows(f"missing-{name}", model, GAPS, NUMBER[:20] if is_regressor(model) else TWO[:20])

TESTED = X


def stack(first, second):
    return StackingClassifier([("a", first), ("b", second)], final_estimator=DecisionTreeClassifier(max_depth=3, random_state=0), cv=3)


def votes_of(first):
    return VotingClassifier([("a", first), ("b", GaussianNB()), ("c", DecisionTreeClassifier(max_depth=1))], flatten_transform=False)


ridge = make_pipeline(StandardScaler(), RidgeClassifier())
classifier("stacked-ridge", stack(ridge, GaussianNB()), TWO)
classifier("stacked-svc", stack(SVC(C=0.1, kernel="linear"), GaussianNB()), TWO)
classifier("stacked-ridges", stack(ridge, make_pipeline(StandardScaler(), RidgeClassifier(alpha=9))), TWO, is_right=True)
classifier("voting-svc", votes_of(SVC(C=0.1, kernel="linear")), TWO, scores=False)
classifier("voting-linear-svc", votes_of(LinearSVC()), TWO, scores=False)
classifier("voting-ridge", votes_of(ridge), TWO, scores=False)
classifier("voting", votes_of(Perceptron()), TWO, scores=False, is_right=True)
