"""
Small classifiers of scikit-learn as skl2onnx exports them, and what scikit-learn answers with them.

Needs Python 3.12 with scikit-learn 1.9.1 and skl2onnx 1.20.0:

    OMP_NUM_THREADS=1 python test/importing/goldens/make-classifiers.py

Writes the folders of classifiers/. Labels are those of predict(), or for indicators the label with the highest
probability; scores are those of predict_proba(), and left out where the estimator has none.
"""
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC, NuSVC
from skl2onnx import to_onnx

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent / "classifiers"
rng = np.random.RandomState(0)
X = rng.randn(120, 3).astype(np.float32)
TESTED = rng.randn(12, 3).astype(np.float32)
FIRST = X @ [1.0, -0.7, 0.3] + 0.4 * rng.randn(120)
SECOND = X @ [-0.3, 0.8, 0.5] + 0.4 * rng.randn(120)
TWO = np.array(["no", "yes"])[(FIRST > 0.2).astype(int)]
THREE = np.array(["high", "low", "middle"])[np.where(FIRST > 0.3, 0, np.where(SECOND > 0.1, 1, 2))]
GRADES = np.where(FIRST > 0.3, 7, np.where(SECOND > 0.1, 5, 3))
INDICATORS = np.stack([FIRST > 0, SECOND > 0.2, X[:, 2] > 0], 1).astype(int)
COLUMNS = "columns: [{ name: a, type: number }, { name: b, type: number }, { name: c, type: number }]\n"


def write(name, estimator, y, zipmap=False, extra="", names=None):
    estimator.fit(X, y)
    has_zipmap = not isinstance(estimator, (LinearSVC, RidgeClassifier))
    onnx = to_onnx(estimator, X[:1], options={id(estimator): {"zipmap": zipmap}} if has_zipmap else None)
    scores = estimator.predict_proba(TESTED) if hasattr(estimator, "predict_proba") else None
    names = names or [str(c) for c in estimator.classes_]
    known = {str(c): label for c, label in zip(estimator.classes_, names)}
    if y.ndim == 2:
        labels = [names[int(np.argmax(row))] for row in scores]
    else:
        labels = [known[str(label)] for label in estimator.predict(TESTED)]
    cases = []
    for i, row in enumerate(TESTED):
        expect = {"label": labels[i]}
        if scores is not None:
            expect["scores"] = {n: float(s) for n, s in zip(names, scores[i])}
        cases.append({"input": {"row": {c: float(v) for c, v in zip("abc", row)}}, "expect": expect})
    folder = HERE / name
    (folder / "1").mkdir(parents=True)
    (folder / "1/model.onnx").write_bytes(onnx.SerializeToString())
    (folder / "model.yaml").write_text(f"task: tabular-classification\n{extra}{COLUMNS}")
    golden = {"source": f"scikit-learn {sklearn.__version__}", "tolerance": 1e-5, "cases": cases}
    (folder / "1/golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


shutil.rmtree(HERE, ignore_errors=True)
write("logistic", LogisticRegression(), THREE, zipmap=True)
write("logistic-columns", LogisticRegression(), THREE, zipmap="columns")
SPACED = np.char.add("so ", THREE)
write("bayes-columns-spaced", GaussianNB(), SPACED, zipmap="columns")
write("svc-columns", SVC(), GRADES, zipmap="columns")
write("logistic-grades", LogisticRegression(), GRADES)
write("logistic-renamed", LogisticRegression(), GRADES, extra="labels: [poor, fair, good]\n", names=["poor", "fair", "good"])
write("ridge", RidgeClassifier(), TWO)
write("ridge-three", RidgeClassifier(), THREE)
write("linear-svc", LinearSVC(), TWO)
write("linear-svc-three", LinearSVC(), THREE)
write("svc", SVC(), TWO)
write("svc-three", SVC(), THREE, zipmap=True)
write("svc-probability", SVC(probability=True, class_weight="balanced", random_state=0), THREE)
write("nu-svc", NuSVC(nu=0.3), TWO, zipmap=True)
write("perceptron", Perceptron(), TWO, zipmap=True)
write("perceptron-three", Perceptron(), THREE)
write("hinge", SGDClassifier(random_state=0), TWO)
write("hinge-three", SGDClassifier(random_state=0), THREE)
write("log-loss", SGDClassifier(loss="log_loss", random_state=0), THREE)
write("calibrated", CalibratedClassifierCV(LinearSVC(), cv=2), THREE, zipmap=True)
write("forest", RandomForestClassifier(5, max_depth=3, random_state=0), TWO)
write("stacking", StackingClassifier([("a", LinearSVC()), ("b", GaussianNB())], LogisticRegression(), cv=3), THREE)
write("bagging", BaggingClassifier(n_estimators=3, random_state=0, estimator=GaussianNB()), TWO)
write("neighbors", KNeighborsClassifier(3), THREE)
write("bayes", GaussianNB(), THREE, zipmap=True)
write("network", MLPClassifier((4,), max_iter=300, random_state=0), TWO)
write("one-versus-rest", OneVsRestClassifier(LogisticRegression()), THREE)
write("one-versus-one-grades", OneVsOneClassifier(LogisticRegression()), GRADES, zipmap=True)
TAGS = {"extra": "labels: [t0, t1, t2]\n", "names": ["t0", "t1", "t2"]}
write("indicators", OneVsRestClassifier(LogisticRegression()), INDICATORS, **TAGS)
write("indicators-zipmap", OneVsRestClassifier(LogisticRegression()), INDICATORS, zipmap=True, **TAGS)
write("indicators-network", MLPClassifier((4,), max_iter=300, random_state=0), INDICATORS, **TAGS)
