"""PyTorch nets on rows and time series, exported with PyTorch's default exporter."""
import numpy as np
import torch
from torch import nn

import deep
from deep import BATCH, export, torch_source

KIND = "torch"
LABELS = ["ant", "bee", "cat", "dog", "elk", "fox"]


def seeded(*names):
    torch.manual_seed(int(deep.random(*names).integers(2**31)))


def columns(count, kind="number"):
    return [{"name": f"c{i}", "type": kind, "example": 1 if kind == "integer" else 0.5} for i in range(count)]


def mlp(features, outputs, *last, width=16):
    return nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, outputs), *last)


class Net(nn.Module):
    """A function of the outputs of another net."""

    def __init__(self, inner, function):
        super().__init__()
        self.inner = inner
        self.function = function

    def forward(self, x):
        return self.function(self.inner(x))


def row_case(out, name, model, features, answer, *, yaml, outputs=("y",), why="", says=None, finish=None,
             dynamic=True, rows=6, batch=2, scale=2.0, dtype=torch.float32, tolerance=1e-4):
    """`answer` turns the outputs for one row into what is right."""
    rng = deep.random(KIND, name)
    data = (rng.normal(0, scale, (rows, features))).round(4).astype(np.float32)
    version = None
    model = model.eval().to(dtype)
    inputs = [{"row": {f"c{i}": float(x) for i, x in enumerate(row)}} for row in data]
    with torch.no_grad():
        answers = [model(torch.from_numpy(row[None]).to(dtype)) for row in data]
    answers = [tuple(t.float().numpy() if t.is_floating_point() else t.numpy() for t in (a if isinstance(a, tuple) else (a,))) for a in answers]
    right = [] if says else [answer(*a) for a in answers]
    version = deep.case(out, KIND, name, yaml=yaml, inputs=inputs, right=right, source=torch_source(), why=why,
                        says=says, tolerance=tolerance)
    path = version / "model.onnx"
    export(model, (torch.zeros(batch, features, dtype=dtype),), path, inputs=["x"], outputs=list(outputs), dynamic=dynamic)
    if finish:
        finish(path)
    deep.check_graph(path, model, [(torch.from_numpy(row[None]).to(dtype),) for row in data], tolerance)


def classifiers(out):
    table = {"task": "tabular-classification", "columns": columns(5)}
    three = {**table, "labels": LABELS[:3]}
    probabilities = lambda y: deep.scores_of(LABELS[: y.shape[-1]], y)
    softmaxed = lambda y: deep.scores_of(LABELS[: y.shape[-1]], torch.from_numpy(y).softmax(-1))
    only_label = lambda y: {"label": LABELS[int(y.argmax())], "scores": None}
    for classes in (2, 3, 6):
        seeded("softmax", classes)
        row_case(out, f"softmax-{classes}", mlp(5, classes, nn.Softmax(-1)), 5, probabilities,
                 yaml={**table, "labels": LABELS[:classes]})
    seeded("softmax-inline")
    row_case(out, "softmax-inline", mlp(5, 3, nn.Softmax(1)), 5, probabilities, yaml=three, finish=deep.inline)
    seeded("logits-softmax")
    row_case(out, "logits-softmax", mlp(5, 3), 5, softmaxed, yaml={**three, "output": {"activation": "softmax", "scores": "y"}})
    seeded("logits-plain")
    row_case(out, "logits-plain", mlp(5, 3), 5, only_label, yaml={**three, "output": {"scores": "y"}},
             why="logits without a declared activation are no probabilities")
    seeded("logits-small")
    row_case(out, "logits-small", mlp(5, 3), 5, only_label, yaml={**three, "output": {"scores": "y"}}, scale=0.05,
             why="logits that happen to be small are no probabilities")
    seeded("log-softmax")
    row_case(out, "log-softmax", mlp(5, 3, nn.LogSoftmax(-1)), 5, only_label, yaml={**three, "output": {"scores": "y"}},
             why="logarithms of probabilities are no probabilities")
    seeded("log-softmax-activated")
    row_case(out, "log-softmax-activated", mlp(5, 3, nn.LogSoftmax(-1)), 5, softmaxed,
             yaml={**three, "output": {"scores": "y", "activation": "softmax"}})
    seeded("temperature")
    row_case(out, "temperature", Net(mlp(5, 3), lambda y: torch.softmax(y / 3, -1).clamp(0, 1)), 5, probabilities,
             yaml={**three, "output": {"scores": "y"}})
    seeded("softmax-manual")
    row_case(out, "softmax-manual", Net(mlp(5, 3), lambda y: y.exp() / y.exp().sum(-1, keepdim=True)), 5, probabilities,
             yaml={**three, "output": {"scores": "y"}}, why="probabilities without an operator that says so")
    two = lambda y: {"label": LABELS[int(y.ravel()[0] >= 0.5)], "scores": {"ant": 1 - float(y.ravel()[0]), "bee": float(y.ravel()[0])}}
    seeded("sigmoid-1")
    row_case(out, "sigmoid-1", mlp(5, 1, nn.Sigmoid()), 5, two, yaml={**table, "labels": LABELS[:2]})
    seeded("sigmoid-flat")
    row_case(out, "sigmoid-flat", Net(mlp(5, 1, nn.Sigmoid()), lambda y: y.squeeze(1)), 5, two, yaml={**table, "labels": LABELS[:2]})
    seeded("logit-1")
    row_case(out, "logit-1", mlp(5, 1), 5, lambda y: two(1 / (1 + np.exp(-y.astype(float)))),
             yaml={**table, "labels": LABELS[:2], "output": {"scores": "y", "activation": "sigmoid"}})
    seeded("logit-refused")
    row_case(out, "logit-refused", mlp(5, 1), 5, None, yaml={**table, "labels": LABELS[:2]},
             says=["output"], why="one number per row, of which nothing says that it is a probability")
    for labels in (2, 3, 5):
        seeded("multi-label", labels)
        row_case(out, f"multi-label-{labels}", mlp(5, labels, nn.Sigmoid()), 5, probabilities,
                 yaml={**table, "labels": LABELS[:labels]})
    seeded("multi-label-logits")
    row_case(out, "multi-label-logits", mlp(5, 4), 5, lambda y: deep.scores_of(LABELS[:4], torch.from_numpy(y).sigmoid()),
             yaml={**table, "labels": LABELS[:4], "output": {"scores": "y", "activation": "sigmoid"}})
    seeded("argmax")
    row_case(out, "argmax", Net(mlp(5, 4), lambda y: y.argmax(-1)), 5, lambda y: {"label": LABELS[int(y.ravel()[0])], "scores": {}},
             yaml={**table, "labels": LABELS[:4]})
    seeded("label-and-probabilities")
    row_case(out, "label-and-probabilities", Net(mlp(5, 4), lambda y: (y.argmax(-1), y.softmax(-1))), 5,
             lambda i, y: {"label": LABELS[int(i.ravel()[0])], "scores": dict(zip(LABELS, y.ravel()))},
             yaml={**table, "labels": LABELS[:4]}, outputs=("label", "probabilities"))
    seeded("own-threshold")
    row_case(out, "own-threshold", Net(mlp(5, 2), lambda y: ((y.softmax(-1)[:, 1] > 0.2).long(), y.softmax(-1))), 5,
             lambda i, y: {"label": LABELS[int(i.ravel()[0])], "scores": dict(zip(LABELS, y.ravel()))},
             yaml={**table, "labels": LABELS[:2]}, outputs=("decision", "scores"), why="the graph decides, not the higher score")
    seeded("logits-and-probabilities")
    row_case(out, "logits-and-probabilities", Net(mlp(5, 3), lambda y: (y, y.softmax(-1))), 5,
             lambda _, y: deep.scores_of(LABELS[:3], y), yaml={**three, "output": {"scores": "p"}}, outputs=("logits", "p"))
    seeded("static-1")
    row_case(out, "static-1", mlp(5, 3, nn.Softmax(-1)), 5, probabilities, yaml=three, dynamic=None, batch=1)
    seeded("static-8")
    row_case(out, "static-8", mlp(5, 3, nn.Softmax(-1)), 5, None, yaml=three, dynamic=None, batch=8,
             says=["batch", "dynamic_shapes"])
    seeded("half")
    row_case(out, "half", mlp(5, 3, nn.Softmax(-1)), 5, probabilities, yaml=three, dtype=torch.float16, tolerance=2e-3, scale=0.5)
    seeded("double")
    row_case(out, "double", mlp(5, 3, nn.Softmax(-1)), 5, probabilities, yaml=three, dtype=torch.float64)
    seeded("batch-norm")
    norm = nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Dropout(0.5), nn.Linear(8, 3), nn.Softmax(-1))
    norm.train()
    norm(torch.randn(64, 5) * 3 + 1)
    row_case(out, "batch-norm", norm, 5, probabilities, yaml=three)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(5, 5), nn.LayerNorm(5), nn.Linear(5, 1)

    def forward(self, x):
        return self.c(x + torch.tanh(self.a(self.b(x)))).squeeze(-1)


def regressors(out):
    table = {"task": "tabular-regression", "columns": columns(5)}
    number = lambda y: float(y.ravel()[0])
    for name, model in {
        "value": mlp(5, 1), "value-flat": Net(mlp(5, 1), lambda y: y.squeeze(1)), "value-residual": Residual(),
        "value-softplus": mlp(5, 1, nn.Softplus()), "value-sigmoid": mlp(5, 1, nn.Sigmoid()),
        "value-exp": Net(mlp(5, 1), torch.exp), "value-reshape": Net(mlp(5, 1), lambda y: y.reshape(-1)),
    }.items():
        seeded(name)
        row_case(out, name, model, 5, number, yaml=table)
    several = lambda *y: [float(x) for t in y for x in t.ravel()]
    seeded("values-3")
    row_case(out, "values-3", mlp(5, 3), 5, several, yaml={**table, "targets": ["p10", "p50", "p90"]})
    seeded("values-unnamed")
    row_case(out, "values-unnamed", mlp(5, 2), 5, several, yaml=table)
    seeded("mean-and-deviation")
    row_case(out, "mean-and-deviation", Net(mlp(5, 2), lambda y: (y[:, 0], nn.functional.softplus(y[:, 1]))), 5, several,
             yaml={**table, "targets": [{"name": "mean", "output": "mu"}, {"name": "deviation", "output": "sigma"}]},
             outputs=("mu", "sigma"))
    seeded("value-half")
    row_case(out, "value-half", mlp(5, 1), 5, number, yaml=table, dtype=torch.float16, tolerance=5e-3, scale=0.5)
    seeded("value-static-4")
    row_case(out, "value-static-4", mlp(5, 1), 5, None, yaml=table, dynamic=None, batch=4, says=["batch"])


def embeddings(out):
    table = {"task": "feature-extraction", "columns": columns(5)}
    vector = lambda y: y.ravel()
    for size in (1, 3, 16):
        seeded("vector", size)
        row_case(out, f"vector-{size}", mlp(5, size), 5, vector, yaml=table)
    seeded("vector-unit")
    row_case(out, "vector-unit", Net(mlp(5, 8), lambda y: nn.functional.normalize(y, dim=-1)), 5, vector, yaml=table)
    seeded("vector-normalized-by-service")
    row_case(out, "vector-normalized-by-service", mlp(5, 8), 5, lambda y: (y / np.linalg.norm(y)).ravel(),
             yaml={**table, "output": {"normalize": True}})


class Recurrent(nn.Module):
    def __init__(self, cell, features, outputs, last=None, layers=1, bidirectional=False, pick="last"):
        super().__init__()
        self.cell = cell(features, 8, batch_first=True, num_layers=layers, bidirectional=bidirectional)
        self.out = nn.Linear(16 if bidirectional else 8, outputs)
        self.last, self.pick = last or nn.Identity(), pick

    def forward(self, x):
        y = self.cell(x)[0]
        return self.last(self.out(y[:, -1] if self.pick == "last" else y.mean(1)))


class Convolution(nn.Module):
    def __init__(self, features, outputs, last=None):
        super().__init__()
        self.a, self.b = nn.Conv1d(features, 8, 3, padding=1), nn.Conv1d(8, 8, 3, padding=1)
        self.out, self.last = nn.Linear(8, outputs), last or nn.Identity()

    def forward(self, x):
        y = torch.relu(self.b(torch.relu(self.a(x.transpose(1, 2)))))
        return self.last(self.out(y.mean(-1)))


class Attention(nn.Module):
    def __init__(self, features, outputs, last=None):
        super().__init__()
        self.up = nn.Linear(features, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True)
        self.out, self.last = nn.Linear(8, outputs), last or nn.Identity()

    def forward(self, x):
        return self.last(self.out(self.layer(self.up(x)).mean(1)))


def series(out):
    softmax, sigmoid = nn.Softmax(-1), nn.Sigmoid()
    cases = [
        ("lstm", lambda: Recurrent(nn.LSTM, 3, 1), 3, "value", "any"),
        ("gru", lambda: Recurrent(nn.GRU, 2, 1), 2, "value", "any"),
        ("rnn", lambda: Recurrent(nn.RNN, 4, 1), 4, "value", "fixed"),
        ("lstm-deep", lambda: Recurrent(nn.LSTM, 3, 1, layers=2), 3, "value", "any"),
        ("lstm-both-ways", lambda: Recurrent(nn.LSTM, 3, 1, bidirectional=True, pick="mean"), 3, "value", "any"),
        ("lstm-fixed", lambda: Recurrent(nn.LSTM, 3, 1), 3, "value", "fixed"),
        ("gru-fixed", lambda: Recurrent(nn.GRU, 1, 1), 1, "value", "fixed"),
        ("conv", lambda: Convolution(3, 1), 3, "value", "any"),
        ("conv-fixed", lambda: Convolution(5, 1), 5, "value", "fixed"),
        ("attention", lambda: Attention(3, 1), 3, "value", "any"),
        ("lstm-classes", lambda: Recurrent(nn.LSTM, 3, 3, softmax), 3, "scores", "any"),
        ("gru-classes", lambda: Recurrent(nn.GRU, 3, 4, softmax), 3, "scores", "any"),
        ("conv-classes", lambda: Convolution(2, 3, softmax), 2, "scores", "any"),
        ("conv-classes-fixed", lambda: Convolution(2, 3, softmax), 2, "scores", "fixed"),
        ("attention-classes", lambda: Attention(3, 3, softmax), 3, "scores", "any"),
        ("lstm-sigmoid", lambda: Recurrent(nn.LSTM, 3, 1, sigmoid), 3, "two", "any"),
        ("gru-multi-label", lambda: Recurrent(nn.GRU, 3, 3, sigmoid), 3, "scores", "any"),
        ("lstm-values", lambda: Recurrent(nn.LSTM, 3, 2), 3, "vector", "any"),
        ("lstm-static", lambda: Recurrent(nn.LSTM, 3, 1), 3, "value", "static"),
        ("conv-static", lambda: Convolution(3, 3, softmax), 3, "scores", "static"),
    ]
    for name, make, features, judged, steps in cases:
        seeded("series", name)
        model = make().eval()
        rng = deep.random(KIND, "series", name)
        lengths = [6] * 5 if steps != "any" else [6, 2, 9, 15, 6]
        data = [rng.normal(0, 1, (1, length, features)).round(4).astype(np.float32) for length in lengths]
        with torch.no_grad():
            answers = [model(torch.from_numpy(one)).numpy() for one in data]
        width = answers[0].size
        if judged == "value":
            right = [float(a.ravel()[0]) for a in answers]
        elif judged == "vector":
            right = [a.ravel() for a in answers]
        elif judged == "two":
            right = [{"label": LABELS[int(a.item() >= 0.5)], "scores": {"ant": 1 - a.item(), "bee": a.item()}} for a in answers]
        else:
            right = [deep.scores_of(LABELS[:width], a) for a in answers]
        task = "tabular-regression" if judged in ("value", "vector") else "tabular-classification"
        yaml = {"task": task}
        if task == "tabular-classification":
            yaml["labels"] = LABELS[: max(2, width)]
        if len(name) % 2:
            yaml["columns"] = columns(features)
        inputs = [
            {"series": {"values": one[0].tolist()}} if i % 2 else
            {"tensors": [{"name": "x", "datatype": "FP32", "shape": list(one.shape), "data": one.ravel().tolist()}]}
            for i, one in enumerate(data)
        ]
        version = deep.case(out, KIND, f"series-{name}", yaml=yaml, inputs=inputs, right=right, source=torch_source())
        dynamic = {"any": ({0: BATCH, 1: torch.export.Dim("T", min=2, max=4096)},), "fixed": ({0: BATCH},), "static": None}[steps]
        example = torch.randn(1 if steps == "static" else 2, 6, features)
        export(model, (example,), version / "model.onnx", inputs=["x"], outputs=["y"], dynamic=dynamic)
        deep.check_graph(version / "model.onnx", model, [(torch.from_numpy(one),) for one in data])


class Mixed(nn.Module):
    """Numbers, and categories by their index."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(4, 3)
        self.out = nn.Linear(5, 3)

    def forward(self, numbers, city):
        return torch.softmax(self.out(torch.cat([numbers, self.embedding(city)], 1)), -1)


def mixed(out):
    cities = ["bonn", "lima", "oslo", "rome"]
    for name, shape in (("flat", ()), ("column", (1,))):
        seeded("mixed", name)
        inner = Mixed().eval()
        model = inner if shape == () else Net2(inner)
        rng = deep.random("mixed", name)
        inputs, right, feeds = [], [], []
        for _ in range(6):
            a, b = rng.normal(0, 2, 2).round(4)
            city = int(rng.integers(4))
            inputs.append({"row": {"a": float(a), "b": float(b), "city": cities[city]}})
            feeds.append((torch.tensor([[a, b]], dtype=torch.float32), torch.tensor([city]).reshape(1, *shape)))
            with torch.no_grad():
                y = model(*feeds[-1])
            right.append(deep.scores_of(LABELS[:3], y.numpy()))
        yaml = {"task": "tabular-classification", "labels": LABELS[:3], "columns": [
            {"name": "a", "type": "number", "input": "numbers"}, {"name": "b", "type": "number", "input": "numbers"},
            {"name": "city", "type": "category", "categories": cities}]}
        version = deep.case(out, KIND, f"mixed-{name}", yaml=yaml, inputs=inputs, right=right, source=torch_source())
        export(model, (torch.zeros(2, 2), torch.zeros(2, *shape, dtype=torch.int64)), version / "model.onnx",
               inputs=["numbers", "city"], outputs=["y"])
        deep.check_graph(version / "model.onnx", model, feeds)


class Net2(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, numbers, city):
        return self.inner(numbers, city.squeeze(1))


def bools(out):
    """Graphs that return [N] booleans as the label."""
    table = {"task": "tabular-classification", "columns": columns(4)}
    cases = {
        "bool-only": (lambda y: y[:, 0] > 0, ("is_spam",), None, {}),
        "bool-named": (lambda y: y[:, 0] > 0, ("is_spam",), ["ham", "spam"], {}),
        "bool-column": (lambda y: y[:, :1] > 0, ("is_spam",), ["ham", "spam"], {}),
        "bool-score": (lambda y: (y[:, 0].sigmoid() > 0.3, y[:, :1].sigmoid()), ("flag", "score"), ["ham", "spam"], {}),
        "bool-two-scores": (lambda y: (y[:, 1] > y[:, 0] + 0.5, y.softmax(-1)), ("flag", "scores"), ["ham", "spam"], {}),
        "bool-two-scores-unnamed": (lambda y: (y[:, 1] > y[:, 0] + 0.5, y.softmax(-1)), ("flag", "scores"), None, {}),
        "bool-logits": (lambda y: (y[:, 1] > y[:, 0], y), ("flag", "logits"), ["ham", "spam"], {}),
        "bool-first-of-two": (lambda y: (y[:, 0] > 0, y[:, 1] > 0), ("a", "b"), ["ham", "spam"], {"output": {"label": "b"}}),
        "bool-logical": (lambda y: torch.logical_and(y[:, 0] > -1, y[:, 1] < 1), ("flag",), ["out", "in"], {}),
        "bool-not": (lambda y: torch.logical_not(y[:, 0] > 0), ("flag",), None, {}),
        "bool-equal": (lambda y: y.argmax(-1) == 1, ("flag",), ["no", "yes"], {}),
        "bool-any": (lambda y: (y > 1).any(-1), ("flag",), ["no", "yes"], {}),
        "bool-all": (lambda y: (y > -1).all(-1), ("flag",), None, {}),
    }
    for name, (function, outputs, labels, more) in cases.items():
        seeded(name)
        yaml = {**table, **({"labels": labels} if labels else {}), **more}
        named = labels or ["false", "true"]
        place = outputs.index(more["output"]["label"]) if more else 0

        def answer(*y):
            found = {"label": named[int(y[place].ravel()[0])], "scores": {}}
            if outputs[-1] in ("score", "scores"):
                scores = y[-1].ravel()
                scores = [1 - scores[0], scores[0]] if len(scores) == 1 else scores
                found["scores"] = dict(zip(named, scores))
            return found

        row_case(out, name, Net(mlp(4, 2), function), 4, answer, yaml=yaml, outputs=outputs, rows=8)
    labels = ["alarm", "door", "rain"]
    flags = lambda y: {"label": None, "scores": {}}
    seeded("bool-multi-label")
    row_case(out, "bool-multi-label", Net(mlp(4, 3), lambda y: (y > 0, y.sigmoid())), 4,
             lambda b, y: deep.scores_of(labels, y), yaml={**table, "labels": labels, "output": {"scores": "scores"}}, outputs=("flags", "scores"))


def build(out):
    for part in (classifiers, regressors, embeddings, series, mixed, bools):
        part(out)


if __name__ == "__main__":
    import sys

    build(sys.argv[1])
