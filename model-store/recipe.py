"""
What the recipes of this folder share: choosing golden cases, writing the files, measuring, and checking a card.

Nothing here knows a framework: a recipe hands in the true labels and the probabilities its own framework answered.
"""
import gzip
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import yaml
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

SEED = 7
RESAMPLES = 1000


def measure(truth, probabilities, labels):
    """The metrics of a model card, in the words of its front matter. `truth` holds indices into `labels`."""
    answer = probabilities.argmax(axis=1)
    found = [
        {"type": "accuracy", "value": accuracy_score(truth, answer)},
        {"type": "f1", "name": "macro F1", "value": f1_score(truth, answer, average="macro"), "args": {"average": "macro"}},
    ]
    if len(labels) == 2:
        found.append({"type": "roc_auc", "value": roc_auc_score(truth, probabilities[:, 1])})
        found.append({"type": "log_loss", "value": log_loss(truth, probabilities)})
    each = f1_score(truth, answer, average=None)
    found += [{"type": "f1", "name": f"F1 of {l}", "value": v, "args": {"label": l}} for l, v in zip(labels, each)]
    return [{**metric, "value": float(metric["value"])} for metric in found]


def measure_values(truth, values, _labels):
    """The metrics of a regressor's card, in the unit of the value but for R2."""
    return [
        {"type": "mae", "name": "mean absolute error", "value": float(mean_absolute_error(truth, values))},
        {"type": "rmse", "name": "root mean squared error", "value": float(root_mean_squared_error(truth, values))},
        {"type": "r2", "value": float(r2_score(truth, values))},
    ]


def choose_cases(truth, probabilities, count=50, nearest=10):
    """Row numbers for golden.json: the answers nearest to a tie, then seeded picks, class after class."""
    ordered = np.sort(probabilities, axis=1)
    chosen = [int(i) for i in np.argsort(ordered[:, -1] - ordered[:, -2], kind="stable")[:nearest]]
    rest = np.random.default_rng(SEED).permutation(len(truth))
    classes = np.unique(truth)
    while len(chosen) < count:
        wanted = classes[len(chosen) % len(classes)]
        chosen.append(next(int(i) for i in rest if truth[i] == wanted and int(i) not in chosen))
    return chosen


def expectation(probabilities, labels):
    """What one golden case expects: the label, and every label's score."""
    scores = {label: float(score) for label, score in zip(labels, probabilities)}
    return {"label": labels[int(np.argmax(probabilities))], "scores": scores}


def write_golden(path, source, cases, tolerance="1e-5"):
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    Path(path).write_text(f'{{"source":{json.dumps(source)},"tolerance":{tolerance},"cases":[\n{lines}\n]}}\n')


def write_rows(path, rows):
    """One JSON object a line, gzipped without a name or a time, so that equal rows are equal bytes."""
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(text.encode())


def card_metrics(model_folder, result):
    front_matter = (Path(model_folder) / "README.md").read_text().split("---\n")[1]
    return yaml.safe_load(front_matter)["model-index"][0]["results"][result]["metrics"]


def report(truth, answers, labels, measure):
    """Prints the metrics as the card wants them."""
    if labels:
        right = int((answers.argmax(axis=1) == truth).sum())
        interval = binomtest(right, len(truth)).proportion_ci(method="wilson")
        print(f"{right:,} of {len(truth):,} right: {interval.low:.1%} to {interval.high:.1%} (95% Wilson interval)")
    print(yaml.safe_dump(measure(truth, answers, labels), sort_keys=False, allow_unicode=True, default_flow_style=None))


def report_files(files):
    for path in files:
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.stat().st_size:>9,}  {path.parent.name}/{path.name}")


def check_card(model_folder, truth, answers, labels, measure, result=0):
    """True when every metric of this result of the card lies in the 95% bootstrap interval of the model just trained."""
    draws = np.random.default_rng(SEED).integers(0, len(truth), (RESAMPLES, len(truth)))
    values = np.array([[m["value"] for m in measure(truth[d], answers[d], labels)] for d in draws])
    low, high = np.percentile(values, [2.5, 97.5], axis=0)
    here = {json.dumps([m["type"], m.get("args")]): i for i, m in enumerate(measure(truth, answers, labels))}
    good = True
    for metric in card_metrics(model_folder, result):
        i = here[json.dumps([metric["type"], metric.get("args")])]
        inside = low[i] <= metric["value"] <= high[i]
        good = good and inside
        name = metric.get("name", metric["type"])
        print(f"{'ok ' if inside else 'OUT'} {name}: card {metric['value']:.6f}, reproduced within {low[i]:.6f} to {high[i]:.6f}")
    return good


def finish(recipe, model_folder, labels, check, measure=measure):
    """
    Runs a recipe: `recipe(store)` trains, writes its files under `store` as the model store lays them out,
    and returns the held-out truth, the source framework's probabilities (or values, with `measure_values` and no
    labels), and the paths it wrote; then (truth, answers) of further held-out sets, in the order of the card's results.
    """
    with tempfile.TemporaryDirectory() as elsewhere:
        truth, answers, files, *further = recipe(Path(elsewhere) if check else Path(model_folder).parent)
        held_out = [(truth, answers), *further]
        for one in held_out:
            report(*one, labels, measure)
        report_files(files)
    good = not check or all([check_card(model_folder, *one, labels, measure, i) for i, one in enumerate(held_out)])
    return 0 if good else 1
