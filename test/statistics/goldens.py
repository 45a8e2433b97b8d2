"""Writes goldens/*.json: data, and the metrics that scikit-learn, SciPy, pycocotools and seqeval compute from them.

    python -m venv venv && venv/bin/pip install -r test/statistics/requirements.txt
    venv/bin/python test/statistics/goldens.py

A number as an argument writes other random cases, to compare more of them.

Undefined values are null: scikit-learn with zero_division=nan and force_finite=False, and where it returns 0 for 0/0 without
an option to change that, the exceptions that src/statistics/ states.
"""

import contextlib
import io
import json
import math
import re
import string
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.stats import spearmanr
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support as seqeval_scores
from seqeval.metrics.sequence_labeling import get_entities
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

warnings.simplefilter("ignore")
SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 20
random = np.random.default_rng(SEED)
BINS = 15


def number(value):
    return float(value) if value is not None and math.isfinite(value) else None


def mean_of_defined(values):
    defined = [value for value in values if number(value) is not None]
    return float(np.mean(defined)) if defined else None


def entry(name, value, average=None, label=None):
    return [name, average, label, number(value)]


# Classification


def calibration_error(truth, predicted, scores):
    confidence = scores[np.arange(len(truth)), predicted]
    right = truth == predicted
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence)
    if 0 < right.sum() < len(right):
        rates, means = calibration_curve(right, confidence, n_bins=BINS)
        used = np.unique(bins)
        assert np.allclose(rates, [right[bins == one].mean() for one in used])
        assert np.allclose(means, [confidence[bins == one].mean() for one in used])
    gaps = [abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return sum(gaps)


def count_entries(labels, truth, predicted):
    indices = list(range(len(labels)))
    entries = []
    per_class = sk.precision_recall_fscore_support(truth, predicted, labels=indices, zero_division=np.nan)
    for average in ["macro", "micro", "weighted"]:
        values = sk.precision_recall_fscore_support(
            truth, predicted, labels=indices, average=average, zero_division=np.nan
        )
        values = list(values[:3])
        # scikit-learn then ignores the weights.
        if average == "weighted" and not np.isin(truth, predicted).any():
            values[0] = None
        entries += [entry(name, value, average) for name, value in zip(["precision", "recall", "f1"], values)]
    for name, values in zip(["precision", "recall", "f1"], per_class):
        entries += [entry(name, value, label=label) for label, value in zip(labels, values)]
    return entries


def score_entries(labels, truth, predicted, scores):
    areas = {"roc_auc": [], "average_precision": []}
    for i in range(len(labels)):
        is_class = truth == i
        both = 0 < is_class.sum() < len(truth)
        areas["roc_auc"].append(sk.roc_auc_score(is_class, scores[:, i]) if both else None)
        precision = sk.average_precision_score(is_class, scores[:, i]) if is_class.any() else None
        areas["average_precision"].append(precision)
    entries = []
    for name, values in areas.items():
        if name == "roc_auc" and len(labels) == 2:
            entries.append(entry(name, values[1]))
            continue
        entries.append(entry(name, mean_of_defined([number(value) for value in values]), "macro"))
        entries += [entry(name, value, label=label) for label, value in zip(labels, values)]
    if len(labels) == 1:
        return entries
    indices = list(range(len(labels)))
    is_distribution = np.allclose(scores.sum(axis=1), 1, atol=1e-3) and scores.min() >= 0
    entries.append(entry("log_loss", sk.log_loss(truth, scores, labels=indices) if is_distribution else None))
    brier = sk.brier_score_loss(truth, scores, labels=indices) if is_distribution else None
    if is_distribution and len(labels) == 2:
        assert math.isclose(brier, np.mean((scores[:, 1] - truth) ** 2), abs_tol=1e-5)
    entries.append(entry("brier_score", brier))
    error = calibration_error(truth, predicted, scores) if is_distribution else None
    entries.append(entry("expected_calibration_error", error))
    return entries


def classification(name, labels, truth, predicted, scores, curves=False):
    truth, predicted = np.array(truth, dtype=int), np.array(predicted, dtype=int)
    entries = []
    if len(truth) > 0:
        only_one = len(set(truth)) == 1 or len(set(predicted)) == 1
        entries = [
            entry("accuracy", sk.accuracy_score(truth, predicted)),
            entry("balanced_accuracy", sk.balanced_accuracy_score(truth, predicted)),
            entry("matthews_correlation", None if only_one else sk.matthews_corrcoef(truth, predicted)),
            *count_entries(labels, truth, predicted),
        ]
        if scores is not None:
            entries += score_entries(labels, truth, predicted, scores)
    case = {
        "name": name,
        "labels": labels,
        "truth": truth.tolist(),
        "predicted": predicted.tolist(),
        "scores": None if scores is None else scores.ravel().tolist(),
        "metrics": entries,
        "confusion": sk.confusion_matrix(truth, predicted, labels=range(len(labels))).tolist() if len(truth) else [],
    }
    if curves:
        case["curves"] = curves_of(truth, scores, len(labels))
    return case


def curves_of(truth, scores, classes):
    curves = []
    for i in range(classes):
        is_class = truth == i
        if not 0 < is_class.sum() < len(truth):
            continue
        x, y, thresholds = sk.roc_curve(is_class, scores[:, i])
        precision, recall, _ = sk.precision_recall_curve(is_class, scores[:, i])
        rates, means = calibration_curve(is_class, scores[:, i], n_bins=BINS)
        curves.append(
            {
                "label": i,
                "roc": [x.tolist(), y.tolist(), [number(one) for one in thresholds]],
                "pr": [recall[::-1].tolist(), precision[::-1].tolist()],
                "calibration": [means.tolist(), rates.tolist()],
            }
        )
    return curves


def scores_of(kind, count, classes):
    if kind == "tied":
        return random.multinomial(5, np.ones(classes) / classes, size=count) / 5
    if kind == "equal":
        return np.full((count, classes), 1 / classes)
    if kind == "certain":
        return np.eye(classes)[random.integers(0, classes, count)]
    if kind == "independent":
        return np.round(random.random((count, classes)), 3)
    logits = random.normal(size=(count, classes)) * 2
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = np.round(exp / exp.sum(axis=1, keepdims=True), 6)
    return scores.astype(np.float32).astype(np.float64) if kind == "float32" else scores


def labels_of(count):
    return [f"c{i}" for i in range(count)]


def classifications():
    cases = []
    kinds = ["plain", "tied", "equal", "certain", "independent", "float32"]
    for classes in [2, 3, 5]:
        for kind in kinds:
            for count in [1, 2, 3, 10, 40]:
                scores = scores_of(kind, count, classes)
                skill = random.integers(0, classes, count)
                truth = np.where(random.random(count) < 0.6, scores.argmax(axis=1), skill)
                name = f"{kind} scores, {classes} classes, {count} items"
                with_curves = count == 40
                cases.append(classification(name, labels_of(classes), truth, scores.argmax(axis=1), scores, with_curves))
    for present in [1, 2, 4]:
        scores = scores_of("plain", 30, 6)
        truth = random.integers(0, present, 30)
        cases.append(classification(f"{present} of 6 classes occur", labels_of(6), truth, scores.argmax(axis=1), scores))
        narrow = random.integers(0, present, 30)
        truth = random.integers(0, 6, 30)
        cases.append(classification(f"{present} of 6 classes are predicted", labels_of(6), truth, narrow, scores))
        cases.append(classification(f"{present} of 6 classes occur or are predicted", labels_of(6), narrow, narrow, None))
    for classes in [2, 4]:
        for _ in range(3):
            truth, predicted = random.integers(0, classes, (2, 25))
            cases.append(classification(f"labels only, {classes} classes", labels_of(classes), truth, predicted, None))
        scores = scores_of("plain", 12, classes)
        zeros = np.zeros(12, dtype=int)
        cases.append(classification(f"one class in the truth, {classes} labels", labels_of(classes), zeros, scores.argmax(axis=1), scores))
        cases.append(classification(f"all wrong, {classes} labels", labels_of(classes), zeros, zeros + 1, scores))
        cases.append(classification(f"all right, {classes} labels", labels_of(classes), scores.argmax(axis=1), scores.argmax(axis=1), scores))
        cases.append(classification(f"no items, {classes} labels", labels_of(classes), [], [], scores[:0]))
    sure = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    cases.append(classification("probabilities of 0 and 1, some wrong", ["no", "yes"], [0, 0, 1, 1], [0, 1, 0, 1], sure, True))
    edges = np.array([[i / 15, 1 - i / 15] for i in range(16)])
    cases.append(classification("probabilities at the edges of bins", ["no", "yes"], [i % 2 for i in range(16)], edges.argmax(axis=1), edges, True))
    edges = np.linspace(0, 1, BINS + 1)[8:]
    edges = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges[:-1], 1)])
    right = np.arange(len(edges)) % 3 // 2
    cases.append(classification("probabilities beside the edges of bins", ["no", "yes"], right, np.ones(len(edges)), np.column_stack([1 - edges, edges]), True))
    one = np.ones((5, 1))
    cases.append(classification("one label", ["only"], [0] * 5, [0] * 5, one))
    scores = scores_of("plain", 60, 40)
    cases.append(classification("40 classes", labels_of(40), np.where(random.random(60) < 0.5, scores.argmax(axis=1), 7), scores.argmax(axis=1), scores))
    return cases


# Classification with several labels for an item


def multi_label(name, labels, truth, predicted, scores):
    entries = []
    if len(truth) > 0:
        entries = [
            entry("subset_accuracy", np.mean((truth == predicted).all(axis=1))),
            entry("hamming_loss", sk.hamming_loss(truth, predicted)),
        ]
        if len(labels) > 1:
            assert entries[0][3] == sk.accuracy_score(truth, predicted)
        # Without its case for one column, which is a binary target.
        wide = lambda values: values if len(labels) > 1 else np.column_stack([values, np.zeros(len(values), dtype=int)])
        per_label = sk.precision_recall_fscore_support(wide(truth), wide(predicted), average=None, zero_division=np.nan)
        micro = sk.precision_recall_fscore_support(wide(truth), wide(predicted), average="micro", zero_division=np.nan)
        weighted = sk.precision_recall_fscore_support(wide(truth), wide(predicted), average="weighted", zero_division=np.nan)
        macro = sk.precision_recall_fscore_support(wide(truth), wide(predicted), average="macro", zero_division=np.nan)
        weighted = list(weighted[:3])
        if not (truth.any(axis=0) & predicted.any(axis=0)).any():
            weighted[0] = None
        if not truth.any():
            weighted = [None] * 3
        for average, values in [("macro", macro), ("micro", micro), ("weighted", weighted)]:
            entries += [entry(metric, value, average) for metric, value in zip(["precision", "recall", "f1"], values)]
        for metric, values in zip(["precision", "recall", "f1"], per_label):
            entries += [entry(metric, value, label=label) for label, value in zip(labels, values)]
        if scores is not None:
            rocs, precisions = [], []
            for is_label, column in zip(truth.T, scores.T):
                rocs.append(sk.roc_auc_score(is_label, column) if 0 < is_label.sum() < len(truth) else None)
                precisions.append(sk.average_precision_score(is_label, column) if is_label.any() else None)
            for metric, values in [("roc_auc", rocs), ("average_precision", precisions)]:
                entries.append(entry(metric, mean_of_defined(values), "macro"))
                entries += [entry(metric, value, label=label) for label, value in zip(labels, values)]
    return {
        "name": name,
        "labels": labels,
        "itemCount": len(truth),
        "truth": truth.ravel().tolist(),
        "predicted": predicted.ravel().tolist(),
        "scores": None if scores is None else scores.ravel().tolist(),
        "metrics": entries,
    }


def multi_labels():
    cases = []
    for classes in [1, 2, 6]:
        for count in [1, 5, 30]:
            for kind in ["independent", "tied", None]:
                scores = scores_of(kind or "independent", count, classes)
                predicted = (scores >= 0.5).astype(int)
                truth = np.where(random.random((count, classes)) < 0.3, 1 - predicted, predicted)
                name = f"{kind} scores, {classes} labels, {count} items"
                cases.append(multi_label(name, labels_of(classes), truth, predicted, scores if kind else None))
    zeros = np.zeros((4, 3), dtype=int)
    scores = scores_of("independent", 4, 3)
    cases.append(multi_label("no label applies", labels_of(3), zeros, zeros + 1, scores))
    cases.append(multi_label("no label was predicted", labels_of(3), zeros + 1, zeros, scores))
    cases.append(multi_label("neither", labels_of(3), zeros, zeros, scores))
    cases.append(multi_label("no items", labels_of(3), zeros[:0], zeros[:0], scores[:0]))
    return cases


# Regression and similarity


def regression(name, truth, predicted, quantile):
    truth, predicted = np.array(truth, dtype=float), np.array(predicted, dtype=float)
    entries = []
    if len(truth) > 0:
        is_constant = truth.min() == truth.max()
        rank_constant = is_constant or predicted.min() == predicted.max()
        entries = [
            entry("mae", sk.mean_absolute_error(truth, predicted)),
            entry("rmse", sk.root_mean_squared_error(truth, predicted)),
            entry("r2", None if is_constant else sk.r2_score(truth, predicted, force_finite=False)),
            entry("mape", None if (truth == 0).any() else sk.mean_absolute_percentage_error(truth, predicted)),
            entry("spearman_correlation", None if rank_constant else spearmanr(truth, predicted).statistic),
            entry(f"pinball_loss_{quantile}", sk.mean_pinball_loss(truth, predicted, alpha=quantile)),
        ]
    return {"name": name, "truth": truth.tolist(), "predicted": predicted.tolist(), "quantile": quantile, "metrics": entries}


def regressions():
    cases = []
    for count in [1, 2, 3, 10, 50]:
        for scale, offset in [(1, 0), (1e-6, 0), (1e6, 1e9)]:
            truth = random.normal(size=count) * scale + offset
            predicted = truth + random.normal(size=count) * scale / 3
            cases.append(regression(f"{count} items of scale {scale}", truth, predicted, 0.5))
        ties = random.integers(-2, 3, (2, count))
        cases.append(regression(f"{count} items with ties and zeros", *ties, 0.9))
        positive = random.integers(1, 4, (2, count))
        cases.append(regression(f"{count} items with ties", *positive, 0.1))
        cases.append(regression(f"constant target, {count} items", [3.5] * count, random.normal(size=count), 0.25))
        cases.append(regression(f"constant prediction, {count} items", random.normal(size=count), [3.5] * count, 0.75))
        cases.append(regression(f"exact prediction, {count} items", positive[0], positive[0], 0.05))
    cases.append(regression("no items", [], [], 0.5))
    cases.append(regression("equal targets whose mean is rounded", [0.1] * 7, random.normal(size=7), 0.5))
    return cases


# Detection


def detection(name, labels, images):
    """images: (truth, found) with boxes [label, x, y, width, height, crowd or score]."""
    coco = COCO()
    annotations, found = [], []
    for i, (true_boxes, found_boxes) in enumerate(images):
        for label, x, y, w, h, crowd in true_boxes:
            annotations.append(
                {"id": len(annotations) + 1, "image_id": i + 1, "category_id": label + 1, "bbox": [x, y, w, h], "area": w * h, "iscrowd": crowd}
            )
        found += [{"image_id": i + 1, "category_id": one[0] + 1, "bbox": one[1:5], "score": one[5]} for one in found_boxes]
    coco.dataset = {
        "images": [{"id": i + 1} for i in range(len(images))],
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": label} for i, label in enumerate(labels)],
    }
    entries = []
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        if images:
            evaluation = COCOeval(coco, coco.loadRes(found) if found else empty_results(coco), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            precision = evaluation.eval["precision"][:, :, :, 0, 2]
            mean = lambda values: float(values[values > -1].mean()) if (values > -1).any() else None
            entries = [entry("map", mean(precision)), entry("map_50", mean(precision[0]))]
            for i, label in enumerate(labels):
                entries.append(entry("average_precision", mean(precision[:, :, i]), label=label))
                entries.append(entry("average_precision_50", mean(precision[0, :, i]), label=label))
    return {"name": name, "labels": labels, "images": images, "metrics": entries}


def empty_results(coco):
    results = COCO()
    results.dataset = {**coco.dataset, "annotations": []}
    results.createIndex()
    return results


def box():
    x, y = random.integers(0, 60, 2).tolist()
    w, h = random.integers(5, 40, 2).tolist()
    return [x, y, w, h]


def near(one, by):
    x, y, w, h = one
    dx, dy, dw, dh = (random.integers(-by, by + 1, 4) / 2).tolist()
    return [x + dx, y + dy, max(1, w + dw), max(1, h + dh)]


def detection_image(classes, objects, misses, alarms, crowds, ties, by):
    truth, found = [], []
    score = lambda: float(np.round(random.random(), 1 if ties else 6))
    for _ in range(objects):
        label, one = int(random.integers(0, classes)), box()
        truth.append([label, *one, int(random.random() < crowds)])
        if random.random() >= misses:
            found.append([label, *near(one, by), score()])
        if random.random() < 0.2:
            found.append([label, *near(one, by), score()])
    found += [[int(random.integers(0, classes)), *box(), score()] for _ in range(alarms)]
    return truth, found


def detections():
    cases = []
    for classes in [1, 3]:
        for images in [1, 4, 12]:
            for crowds in [0, 0.3]:
                for ties in [False, True]:
                    for by in [2, 8]:
                        made = [detection_image(classes, int(random.integers(0, 7)), 0.2, int(random.integers(0, 4)), crowds, ties, by) for _ in range(images)]
                        cases.append(detection(f"{classes} classes, {images} images, crowds {crowds}, ties {ties}, shifts {by}", labels_of(classes), made))
    truth = [[0, 0, 0, 20, 20, 0]]
    exact = [[0, 0, 0, 20, 20, 0.9]]
    half = [[0, 0, 0, 20, 10, 0.9]]
    cases += [
        detection("no images", ["a"], []),
        detection("nothing true, nothing found", ["a"], [([], [])]),
        detection("nothing found", ["a"], [(truth, [])]),
        detection("nothing true", ["a"], [([], exact)]),
        detection("found exactly", ["a", "b"], [(truth, exact)]),
        detection("IoU of exactly 0.5", ["a"], [(truth, half)]),
        detection("found twice", ["a"], [(truth, exact + exact)]),
        detection("only a crowd", ["a"], [([[0, 0, 0, 20, 20, 1]], exact)]),
        detection("a crowd beside an object", ["a"], [([[0, 0, 0, 60, 60, 1], [0, 5, 5, 20, 20, 0]], [[0, 5, 5, 20, 20, 0.7], [0, 6, 6, 20, 20, 0.8], [0, 30, 30, 9, 9, 0.5]])]),
        detection("wrong class", ["a", "b"], [(truth, [[1, 0, 0, 20, 20, 0.9]])]),
        detection("two objects with the same box", ["a"], [(truth + truth, exact)]),
        detection("a box without area", ["a"], [(truth, [[0, 5, 5, 0, 4, 0.9]] + exact)]),
        detection("the 100th of 101 detections", ["a"], [(truth, [[0, 40, 40, 10, 10, 0.5 + i / 1000] for i in range(99)] + [[0, 0, 0, 20, 20, 0.4], [0, 40, 40, 10, 10, 0.3]])]),
        detection("more than 100 detections", ["a"], [(truth, [[0, 40, 40, 10, 10, 0.5 + i / 1000] for i in range(100)] + [[0, 0, 0, 20, 20, 0.4]]), (truth, exact)]),
    ]
    return cases


# Entities


def entities(name, texts):
    """texts: (true tags, predicted tags)."""
    truth, predicted = [one for one, _ in texts], [one for _, one in texts]
    entries = []
    if texts:
        hits, said, occurring = counts_of(truth), counts_of(predicted), None
        types = sorted(set(hits) | set(said))
        p, r, f, support = seqeval_scores(truth, predicted, average=None, zero_division=0) if types else ([], [], [], [])
        is_predicted = [bool(said.get(one)) for one in types]
        p = [value if known else None for value, known in zip(p, is_predicted)]
        r = [value if count else None for value, count in zip(r, support)]
        for metric, values in [("precision", p), ("recall", r), ("f1", list(f))]:
            defined = [(value, count) for value, count in zip(values, support) if value is not None]
            weight = sum(count for _, count in defined)
            entries.append(entry(metric, mean_of_defined(values), "macro"))
            entries.append(entry(metric, sum(v * c for v, c in defined) / weight if weight else None, "weighted"))
            entries += [entry(metric, value, label=one) for one, value in zip(types, values)]
        micro = seqeval_scores(truth, predicted, average="micro", zero_division=0) if types else [None] * 3
        entries.append(entry("precision", micro[0] if any(is_predicted) else None, "micro"))
        entries.append(entry("recall", micro[1] if sum(support) else None, "micro"))
        entries.append(entry("f1", micro[2] if types else None, "micro"))
        if types and all(is_predicted) and all(support):
            for i, average in enumerate(["macro", "weighted"]):
                values = seqeval_scores(truth, predicted, average=average)
                for metric, value in zip(["precision", "recall", "f1"], values):
                    mine = next(one for one in entries if one[:2] == [metric, average])
                    assert math.isclose(mine[3], value, abs_tol=1e-12)
    return {
        "name": name,
        "texts": texts,
        "spans": [[[[t, s, e + 1] for t, s, e in get_entities(tags)] for tags in pair] for pair in texts],
        "metrics": entries,
    }


def counts_of(texts):
    return Counter(one for tags in texts for one, _, _ in get_entities(tags))


def tags(scheme, types, count):
    return [str(one) for one in random.choice(["O", "O", *[f"{p}-{t}" for p in scheme for t in types]], count)]


def flipped(one, scheme, types, rate):
    other = tags(scheme, types, len(one))
    return [b if random.random() < rate else a for a, b in zip(one, other)]


def entity_cases():
    cases = []
    for scheme in ["BI", "BIES", "IE"]:
        for types in [["PER"], ["PER", "LOC", "ORG"], ["a-b", "a"]]:
            for rate in [0.1, 0.5]:
                truth = [tags(scheme, types, int(random.integers(1, 15))) for _ in range(6)]
                texts = [(one, flipped(one, scheme, types, rate)) for one in truth]
                cases.append(entities(f"{scheme} tags of {len(types)} types, {rate} changed", texts))
    cases += [
        entities("no texts", []),
        entities("a text without tokens", [([], [])]),
        entities("no entities", [(["O", "O"], ["O", "O"])]),
        entities("nothing predicted", [(["B-PER", "I-PER", "O"], ["O", "O", "O"])]),
        entities("nothing true", [(["O", "O", "O"], ["B-PER", "I-PER", "O"])]),
        entities("wrong type", [(["B-PER", "I-PER", "O"], ["B-LOC", "I-LOC", "O"])]),
        entities("I after O", [(["B-PER", "I-PER", "O"], ["I-PER", "I-PER", "O"])]),
        entities("type changes within", [(["B-PER", "I-LOC", "I-LOC"], ["B-PER", "I-PER", "B-LOC"])]),
        entities("tags without types", [(["B", "I", "O", "B"], ["B", "I", "O", "O"])]),
        entities("entity at the end", [(["O", "B-PER"], ["O", "B-PER"]), (["B-PER"], ["I-PER"])]),
    ]
    return cases


# Answers: the normalization and the scores of SQuAD's evaluate-v2.0.py


def normalized(text):
    text = "".join(one for one in text.lower() if one not in set(string.punctuation))
    return " ".join(re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", text).split())


def word_f1(truth, predicted):
    truth, predicted = normalized(truth).split(), normalized(predicted).split()
    same = sum((Counter(truth) & Counter(predicted)).values())
    if not truth or not predicted:
        return int(truth == predicted)
    if same == 0:
        return 0
    precision, recall = same / len(predicted), same / len(truth)
    return 2 * precision * recall / (precision + recall)


def answers(name, questions):
    exact, f1 = [], []
    for truth, predicted in questions:
        accepted = [one for one in truth if normalized(one)] or [""]
        exact.append(max(int(normalized(one) == normalized(predicted or "")) for one in accepted))
        f1.append(max(word_f1(one, predicted or "") for one in accepted))
    entries = [entry("exact_match", np.mean(exact)), entry("f1", np.mean(f1))] if questions else []
    return {"name": name, "questions": questions, "metrics": entries}


def answer_cases():
    pairs = [
        (["Denver Broncos", "The Denver Broncos"], "the  Denver Broncos!"),
        (["a"], "an"),
        (["the", "dog"], "The dog"),
        ([], None),
        ([], "something"),
        (["something"], None),
        (["May 5th, 2001"], "5th of May 2001"),
        (["to be or not to be"], "to be to be to"),
        (["Ärzte an der Ruhr", "Théâtre"], "ärzte der ruhr"),
        (["äthe the"], "äthe"),
        (["äthe"], "ä"),
        (["theä"], "ä"),
        (["IΣTOΣ"], "iστος"),
        (["a-b c_d"], "ab cd"),
        (["x y\u00a0z"], "x y z"),
        (["东京 the"], "东京"),
        (["10,000 $"], "10000"),
        (["theatre and an apple"], "theatre apple and"),
        (["!?"], ""),
        (["the"], "a"),
    ]
    cases = [answers(f"{truth} against {predicted}", [(truth, predicted)]) for truth, predicted in pairs]
    return [*cases, answers("all of them", pairs), answers("no questions", [])]


# Ranking


def ranking(name, queries, k):
    values = []
    for relevance, scores in queries:
        if max(relevance, default=0) > 0:
            alone = len(relevance) == 1
            values.append(1.0 if alone else sk.ndcg_score([relevance], [scores], k=k))
    return {"name": name, "queries": queries, "k": k, "metrics": [entry(f"ndcg_at_{k}", mean_of_defined(values))] if queries else []}


def rankings():
    cases = []
    for k in [1, 3, 10, 100]:
        for most in [2, 5]:
            for ties in [False, True]:
                queries = []
                for _ in range(8):
                    count = int(random.integers(2, 30))
                    scores = random.random(count)
                    queries.append((random.integers(0, most, count).tolist(), np.round(scores, 1 if ties else 6).tolist()))
                cases.append(ranking(f"k {k}, relevance below {most}, ties {ties}", queries, k))
    cases += [
        ranking("no queries", [], 10),
        ranking("nothing relevant", [([0, 0], [0.1, 0.2])], 10),
        ranking("all scores equal", [([3, 0, 1], [0.5, 0.5, 0.5])], 2),
        ranking("all relevant", [([1, 1, 1], [0.1, 0.2, 0.3])], 2),
        ranking("one document", [([2], [0.3])], 1),
        ranking("best first", [([3, 2, 1, 0], [4, 3, 2, 1])], 3),
        ranking("negative scores and a query without relevant documents", [([1, 0], [-1, -2]), ([0, 0], [-1, -2])], 1),
    ]
    return cases


# Masks


def masks(name, labels, images):
    entries = []
    if images:
        truth = np.concatenate([np.array(one) for one, _ in images])
        predicted = np.concatenate([np.array(one) for _, one in images])
        known = truth != 0xFFFF
        # A pixel without a predicted class is one of no label.
        truth, predicted = truth[known], np.where(predicted[known] == 0xFFFF, len(labels), predicted[known])
        values = sk.jaccard_score(truth, predicted, labels=range(len(labels)), average=None, zero_division=0) if known.any() else []
        present = [bool(((truth == i) | (predicted == i)).any()) for i in range(len(labels))]
        values = [value if there else None for value, there in zip(values, present)] or [None] * len(labels)
        entries = [entry("mean_iou", mean_of_defined(values))]
        entries += [entry("iou", value, label=label) for label, value in zip(labels, values)]
    return {"name": name, "labels": labels, "images": images, "metrics": entries}


def mask_cases():
    cases = []
    for classes in [1, 2, 5]:
        for images in [1, 3]:
            for unknown in [0, 0.2]:
                made = []
                for _ in range(images):
                    truth, predicted = random.integers(0, classes, (2, 48))
                    truth = np.where(random.random(48) < unknown, 0xFFFF, truth)
                    predicted = np.where(random.random(48) < 0.3, truth, predicted)
                    made.append((truth.tolist(), predicted.tolist()))
                cases.append(masks(f"{classes} classes, {images} images, unknown {unknown}", labels_of(classes), made))
    cases += [
        masks("no images", ["a"], []),
        masks("a class that neither occurs nor is predicted", ["a", "b", "c"], [([0, 0, 1], [0, 1, 1])]),
        masks("everything unknown", ["a"], [([0xFFFF], [0])]),
        masks("pixels without a predicted class", ["a", "b"], [([0, 0, 1, 1, 0xFFFF], [0, 0xFFFF, 1, 0xFFFF, 0xFFFF])]),
        masks("nothing right", ["a", "b"], [([0, 0], [1, 1])]),
    ]
    return cases


ALL = {
    "classification": classifications,
    "multi-label": multi_labels,
    "regression": regressions,
    "detection": detections,
    "entities": entity_cases,
    "answers": answer_cases,
    "ranking": rankings,
    "masks": mask_cases,
}

if __name__ == "__main__":
    folder = Path(__file__).parent / "goldens"
    for name, make in ALL.items():
        random = np.random.default_rng([SEED, *name.encode()])
        cases = make()
        lines = ",\n".join(json.dumps(case, separators=(",", ":"), ensure_ascii=False, allow_nan=False) for case in cases)
        (folder / f"{name}.json").write_text(f"[\n{lines}\n]\n")
        print(f"{name}: {len(cases)} cases")
