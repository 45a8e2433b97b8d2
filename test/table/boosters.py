"""XGBoost, LightGBM and CatBoost, as onnxmltools and CatBoost itself export them."""
import itertools
import tempfile
import warnings
import zlib
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import onnx
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm as lightgbm_node
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost as xgboost_node
from skl2onnx import to_onnx, update_registered_converter
from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes
from sklearn.multioutput import MultiOutputRegressor

from cases import is_close, run_graph, ties_of, write_case

warnings.filterwarnings("ignore")
update_registered_converter(xgboost.XGBRegressor, "XGBRegressor", calculate_linear_regressor_output_shapes, xgboost_node)
update_registered_converter(lightgbm.LGBMRegressor, "LGBMRegressor", calculate_linear_regressor_output_shapes, lightgbm_node, options={"split": None})
SKIPPED = []
SOURCES = {
    "xgboost": f"XGBoost {xgboost.__version__}",
    "lightgbm": f"LightGBM {lightgbm.__version__}",
    "catboost": f"CatBoost {catboost.__version__}",
}
WORDS = np.array(["high", "low", "middle", "none"])
GRADES = np.array([3, 5, 7, 11])


class Data:
    """Rows of float32 numbers with numbers and classes that depend on them. `missing`: some numbers are NaN."""

    def __init__(self, name, classes=2, targets=1, missing=False, rows=200):
        self.rng = rng = np.random.default_rng(zlib.crc32(name.encode()))
        width = int(rng.integers(3, 6))
        self.x = rng.normal(size=(rows, width)).astype(np.float32)
        self.tested = rng.normal(size=(12, width)).astype(np.float32)
        weights = rng.normal(size=(width, targets))
        self.y = np.tanh(self.x @ weights) + 0.1 * rng.normal(size=(rows, targets))
        cuts = np.quantile(self.y[:, 0], np.linspace(0, 1, classes + 1)[1:-1])
        self.indices = np.digitize(self.y[:, 0], cuts)
        self.names = [f"x{i}" for i in range(width)]
        self.missing = missing
        if missing:
            self.x[rng.random(self.x.shape) < 0.15] = np.nan
            self.tested[rng.random(self.tested.shape) < 0.25] = np.nan


def columns(data):
    more = ", required: false" if data.missing else ""
    return "columns:\n" + "".join(f"  - {{ name: {name}, type: number{more} }}\n" for name in data.names)


def rows_of(data):
    return [
        {"row": {name: float(value) for name, value in zip(data.names, row) if not np.isnan(value)}}
        for row in data.tested
    ]


def graph_of(library, model, data, zipmap=True):
    types = [("X", FloatTensorType([None, data.x.shape[1]]))]
    if library == "xgboost":
        return convert_xgboost(model, initial_types=types, target_opset=15)
    if library == "lightgbm":
        return convert_lightgbm(model, initial_types=types, zipmap=zipmap, target_opset=15)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.save_model(str(path), format="onnx")
        return onnx.load(str(path))


def exported(kind, name, library, model, data, zipmap=True):
    """The graph and its own answers; None if the exporter cannot convert the model, or the graph cannot run."""
    try:
        graph = graph_of(library, model, data, zipmap)
    except Exception as error:
        SKIPPED.append(f"{kind}/{name}: {type(error).__name__} {str(error).splitlines()[0][:120]}")
        return None, None
    return graph, run_graph(graph, {graph.graph.input[0].name: data.tested})


def classes(out, kind, name, library, model, data, spelling, zipmap=True):
    """A classifier. XGBoost takes classes from 0 only; their names are `labels` of model.yaml."""
    k, text = len(np.unique(data.indices)), "task: tabular-classification\n"
    spelled = {"words": WORDS, "grades": GRADES, "from-0": np.arange(4)}[spelling][:k]
    if library == "xgboost":
        model.fit(data.x, data.indices)
        text += f"labels: [{', '.join(spelled)}]\n" if spelling == "words" else ""
    else:
        model.fit(data.x, spelled[data.indices])
    labels, shares = np.asarray(model.predict(data.tested)).reshape(-1), np.asarray(model.predict_proba(data.tested))
    own = [str(c) for c in (np.arange(k) if library == "xgboost" else model.classes_)]
    names = [str(w) for w in spelled] if library == "xgboost" and spelling == "words" else own
    graph, raw = exported(kind, name, library, model, data, zipmap)
    if graph is None:
        return
    ties = ties_of(shares)
    kept = np.setdiff1d(np.arange(len(labels)), ties)
    differs = False
    if raw is not None:
        values = list(raw.values())
        given = np.asarray(values[0]).reshape(-1).astype(str)
        scores = values[1]
        if isinstance(scores, list):
            scores = np.array([list(row.values()) for row in scores])
        differs = not np.array_equal(given[kept], labels.astype(str)[kept]) or not is_close(scores, shares)
    spelling_of = dict(zip(own, names))
    right = [
        {"label": spelling_of[str(label)], "scores": dict(zip(names, map(float, row)))}
        for label, row in zip(labels, shares)
    ]
    refuse = 'boosting_type="rf"' if library == "lightgbm" and name.startswith("forest") else None
    write_case(out, kind, name, graph, text + columns(data), rows_of(data), right, SOURCES[library],
               raw_differs=differs, ties=ties, refuse=refuse)


def classifiers(out):
    makers = {
        "xgboost": {
            "plain": lambda: xgboost.XGBClassifier(n_estimators=8, max_depth=3),
            "slow": lambda: xgboost.XGBClassifier(n_estimators=20, max_depth=2, learning_rate=0.05),
            "base-score": lambda: xgboost.XGBClassifier(n_estimators=5, base_score=0.3),
            "sampled": lambda: xgboost.XGBClassifier(n_estimators=8, subsample=0.7, random_state=0),
            "dart": lambda: xgboost.XGBClassifier(n_estimators=5, booster="dart", rate_drop=0.2, random_state=0),
            "forest": lambda: xgboost.XGBRFClassifier(n_estimators=6, max_depth=3, random_state=0),
            "exact": lambda: xgboost.XGBClassifier(n_estimators=8, tree_method="exact", gamma=0.2),
            "regularized": lambda: xgboost.XGBClassifier(n_estimators=8, reg_lambda=5, reg_alpha=0.5, min_child_weight=3),
            "weighted": lambda: xgboost.XGBClassifier(n_estimators=6, scale_pos_weight=3),
        },
        "lightgbm": {
            "plain": lambda: lightgbm.LGBMClassifier(n_estimators=8, num_leaves=6, verbose=-1),
            "slow": lambda: lightgbm.LGBMClassifier(n_estimators=20, learning_rate=0.05, verbose=-1),
            "dart": lambda: lightgbm.LGBMClassifier(n_estimators=5, boosting_type="dart", verbose=-1),
            "forest": lambda: lightgbm.LGBMClassifier(n_estimators=5, boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, verbose=-1),
            "balanced": lambda: lightgbm.LGBMClassifier(n_estimators=8, class_weight="balanced", verbose=-1),
            "goss": lambda: lightgbm.LGBMClassifier(n_estimators=8, data_sample_strategy="goss", verbose=-1),
            "one-versus-all": lambda: lightgbm.LGBMClassifier(n_estimators=6, objective="multiclassova", verbose=-1),
        },
        "catboost": {
            "plain": lambda: catboost.CatBoostClassifier(iterations=8, depth=3, verbose=0),
            "slow": lambda: catboost.CatBoostClassifier(iterations=20, learning_rate=0.05, verbose=0),
            "multi-class": lambda: catboost.CatBoostClassifier(iterations=6, loss_function="MultiClass", verbose=0),
            "one-versus-all": lambda: catboost.CatBoostClassifier(iterations=6, loss_function="MultiClassOneVsAll", verbose=0),
            "weighted": lambda: catboost.CatBoostClassifier(iterations=6, auto_class_weights="Balanced", verbose=0),
            "deep": lambda: catboost.CatBoostClassifier(iterations=4, depth=6, verbose=0),
            "sampled": lambda: catboost.CatBoostClassifier(iterations=8, bootstrap_type="Bernoulli", subsample=0.7, random_seed=1, verbose=0),
            "regularized": lambda: catboost.CatBoostClassifier(iterations=8, l2_leaf_reg=10, random_strength=2, verbose=0),
            "cross-entropy": lambda: catboost.CatBoostClassifier(iterations=6, loss_function="CrossEntropy", verbose=0),
        },
    }
    for library, models in makers.items():
        for turn, ((key, make), k) in enumerate(itertools.product(models.items(), (2, 3, 4))):
            if key == "weighted" and library == "xgboost" and k > 2 or key in ("cross-entropy",) or (key == "one-versus-all" and library == "lightgbm" and k == 2):
                continue
            name = f"{key}-{k}"
            spelling = ("words", "grades", "from-0")[turn % 3]
            data = Data(f"{library}/{name}", k, missing=turn % 5 == 4)
            try:
                classes(out, f"{library}-classifier", name, library, make(), data, spelling, zipmap=turn % 2 == 0)
            except (ValueError, catboost.CatBoostError) as error:
                SKIPPED.append(f"{library}-classifier/{name}: cannot be trained: {str(error).splitlines()[0][:100]}")


def numbers(out, kind, name, library, model, data, fit, refuse=None):
    """A regressor or a ranker."""
    fit(model)
    answers = np.asarray(model.predict(data.tested), np.float64)
    graph, raw = exported(kind, name, library, model, data)
    if graph is None:
        return
    differs = raw is not None and not is_close(list(raw.values())[0], answers)
    right = [{"value": float(a)} if np.ndim(a) == 0 or len(a) == 1 else {"values": [float(v) for v in a]} for a in answers]
    more = {"refuse": refuse} if refuse else {"raw_differs": differs}
    write_case(out, kind, name, graph, "task: tabular-regression\n" + columns(data), rows_of(data), right,
               SOURCES[library], **more)


def regressors(out):
    makers = {
        "xgboost": {
            "plain": (lambda: xgboost.XGBRegressor(n_estimators=8, max_depth=3), False),
            "base-score": (lambda: xgboost.XGBRegressor(n_estimators=5, base_score=2.5), False),
            "absolute": (lambda: xgboost.XGBRegressor(n_estimators=5, objective="reg:absoluteerror"), False),
            "quantile": (lambda: xgboost.XGBRegressor(n_estimators=6, objective="reg:quantileerror", quantile_alpha=0.9), False),
            "poisson": (lambda: xgboost.XGBRegressor(n_estimators=6, objective="count:poisson"), True),
            "gamma": (lambda: xgboost.XGBRegressor(n_estimators=6, objective="reg:gamma"), True),
            "tweedie": (lambda: xgboost.XGBRegressor(n_estimators=6, objective="reg:tweedie"), True),
            "huber": (lambda: xgboost.XGBRegressor(n_estimators=6, objective="reg:pseudohubererror"), False),
            "logistic": (lambda: xgboost.XGBRegressor(n_estimators=6, objective="reg:logistic"), "share"),
            "dart": (lambda: xgboost.XGBRegressor(n_estimators=5, booster="dart", rate_drop=0.2, random_state=0), False),
            "forest": (lambda: xgboost.XGBRFRegressor(n_estimators=6, max_depth=3, random_state=0), False),
            "linear": (lambda: xgboost.XGBRegressor(booster="gblinear", n_estimators=8), False),
        },
        "lightgbm": {
            "plain": (lambda: lightgbm.LGBMRegressor(n_estimators=8, verbose=-1), False),
            "absolute": (lambda: lightgbm.LGBMRegressor(n_estimators=8, objective="l1", verbose=-1), False),
            "quantile": (lambda: lightgbm.LGBMRegressor(n_estimators=8, objective="quantile", alpha=0.9, verbose=-1), False),
            "poisson": (lambda: lightgbm.LGBMRegressor(n_estimators=8, objective="poisson", verbose=-1), True),
            "gamma": (lambda: lightgbm.LGBMRegressor(n_estimators=8, objective="gamma", verbose=-1), True),
            "tweedie": (lambda: lightgbm.LGBMRegressor(n_estimators=8, objective="tweedie", verbose=-1), True),
            "huber": (lambda: lightgbm.LGBMRegressor(n_estimators=8, objective="huber", verbose=-1), False),
            "cross-entropy": (lambda: lightgbm.LGBMRegressor(n_estimators=8, objective="cross_entropy", verbose=-1), "share"),
            "dart": (lambda: lightgbm.LGBMRegressor(n_estimators=5, boosting_type="dart", verbose=-1), False),
            "forest": (lambda: lightgbm.LGBMRegressor(n_estimators=5, boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, verbose=-1), False),
            "square-root": (lambda: lightgbm.LGBMRegressor(n_estimators=8, reg_sqrt=True, verbose=-1), True),
        },
        "catboost": {
            "plain": (lambda: catboost.CatBoostRegressor(iterations=8, depth=3, verbose=0), False),
            "absolute": (lambda: catboost.CatBoostRegressor(iterations=8, loss_function="MAE", verbose=0), False),
            "quantile": (lambda: catboost.CatBoostRegressor(iterations=8, loss_function="Quantile:alpha=0.9", verbose=0), False),
            "poisson": (lambda: catboost.CatBoostRegressor(iterations=8, loss_function="Poisson", verbose=0), True),
            "tweedie": (lambda: catboost.CatBoostRegressor(iterations=8, loss_function="Tweedie:variance_power=1.5", verbose=0), True),
            "huber": (lambda: catboost.CatBoostRegressor(iterations=8, loss_function="Huber:delta=1", verbose=0), False),
            "deep": (lambda: catboost.CatBoostRegressor(iterations=4, depth=6, verbose=0), False),
        },
    }
    for library, models in makers.items():
        for (key, (make, positive)), missing in itertools.product(models.items(), (False, True) if library != "catboost" else (False, True, None)):
            name = f"{key}{'-missing' if missing else '-again' if missing is None else ''}"
            data = Data(f"{library}-regressor/{name}", missing=bool(missing))
            y = data.y[:, 0]
            y = 1 / (1 + np.exp(-y)) if positive == "share" else np.abs(y) + 0.1 if positive else y
            try:
                numbers(out, f"{library}-regressor", name, library, make(), data, lambda model: model.fit(data.x, y))
            except (ValueError, xgboost.core.XGBoostError, catboost.CatBoostError) as error:
                SKIPPED.append(f"{library}-regressor/{name}: cannot be trained: {str(error).splitlines()[0][:100]}")


def rankers(out):
    for library, seed in itertools.product(SOURCES, range(10)):
        name = f"{library}-{seed}"
        data = Data(f"ranker/{name}", 4)
        groups, ids = [20] * 10, np.repeat(np.arange(10), 20)
        if library == "xgboost":
            model = xgboost.XGBRanker(n_estimators=5 + seed, objective=("rank:ndcg", "rank:pairwise")[seed % 2])
            fit = lambda model: model.fit(data.x, data.indices, qid=ids)
        elif library == "lightgbm":
            model = lightgbm.LGBMRanker(n_estimators=5 + seed, objective=("lambdarank", "rank_xendcg")[seed % 2], verbose=-1)
            fit = lambda model: model.fit(data.x, data.indices, group=groups)
        else:
            model = catboost.CatBoostRanker(iterations=5 + seed, loss_function=("YetiRank", "QueryRMSE")[seed % 2], verbose=0)
            fit = lambda model: model.fit(data.x, data.indices, group_id=ids)
        numbers(out, "ranker", name, library, model, data, fit)


#: What the refusal of an export of several numbers says: trees of one target only, or no classes.
LOST = {"xgboost": "export one model for each target", "catboost": "train and export one model for each target"}
ONE_TARGET = {
    "xgboost": lambda seed: xgboost.XGBRegressor(n_estimators=4 + seed, max_depth=3),
    "lightgbm": lambda seed: lightgbm.LGBMRegressor(n_estimators=4 + seed, num_leaves=6, verbose=-1),
    "catboost": lambda seed: catboost.CatBoostRegressor(iterations=4 + seed, depth=3, verbose=0),
}


def several_numbers(out):
    """Exports of one model of several targets are refused, and one model for each target answers."""
    for library, seed in itertools.product(("xgboost", "xgboost-vector", "xgboost-quantiles", "catboost", "catboost-quantiles"), range(4)):
        name, targets = f"{library}-{seed}", 2 + seed % 2
        data = Data(f"several-numbers/{name}", targets=targets)
        y = data.y
        if library == "xgboost":
            model = xgboost.XGBRegressor(n_estimators=4 + seed)
        elif library == "xgboost-vector":
            model = xgboost.XGBRegressor(n_estimators=4 + seed, multi_strategy="multi_output_tree", tree_method="hist")
        elif library == "xgboost-quantiles":
            model, y = xgboost.XGBRegressor(n_estimators=4 + seed, objective="reg:quantileerror", quantile_alpha=[0.1, 0.5, 0.9]), data.y[:, 0]
        elif library == "catboost":
            model = catboost.CatBoostRegressor(iterations=4 + seed, loss_function="MultiRMSE", verbose=0)
        else:
            model, y = catboost.CatBoostRegressor(iterations=4 + seed, loss_function="MultiQuantile:alpha=0.1,0.5,0.9", verbose=0), data.y[:, 0]
        family = library.split("-")[0]
        numbers(out, "several-numbers-boosted", name, family, model, data, lambda model: model.fit(data.x, y), LOST[family])
    for library, seed in itertools.product(("xgboost", "lightgbm"), range(6)):
        name = f"each-{library}-{seed}"
        data = Data(f"several-numbers/{name}", targets=2 + seed % 3)
        model = MultiOutputRegressor(ONE_TARGET[library](seed)).fit(data.x, data.y)
        graph = to_onnx(model, data.x[:1], target_opset={"": 15, "ai.onnx.ml": 1})
        several(out, name, library, graph, data, model.predict(data.tested))
    for library, seed in itertools.product(SOURCES, range(4)):
        name, targets = f"joined-{library}-{seed}", 2 + seed % 2
        data = Data(f"several-numbers/{name}", targets=targets)
        models = [ONE_TARGET[library](seed).fit(data.x, data.y[:, i]) for i in range(targets)]
        graph = joined([graph_of(library, model, data) for model in models])
        several(out, name, library, graph, data, np.stack([model.predict(data.tested) for model in models], 1))


def joined(graphs):
    """One graph of several, which have the same input."""
    whole = None
    for i, graph in enumerate(graphs):
        made = onnx.compose.add_prefix(graph, f"t{i}_")
        # CatBoost's metadata of two models cannot be merged.
        del made.metadata_props[:]
        made.ir_version = graphs[0].ir_version
        whole = made if whole is None else onnx.compose.merge_models(whole, made, io_map=[])
    nodes = list(whole.graph.node)
    x, names = whole.graph.input[0], [value.name for value in whole.graph.input]
    outputs = [value.name for value in whole.graph.output]
    for node in nodes:
        node.input[:] = [x.name if name in names else name for name in node.input]
    shaped = [onnx.helper.make_node("Reshape", [name, "one_column"], [f"{name}_column"]) for name in outputs]
    together = onnx.helper.make_node("Concat", [f"{name}_column" for name in outputs], ["values"], axis=1)
    result = onnx.helper.make_tensor_value_info("values", onnx.TensorProto.FLOAT, [None, len(outputs)])
    shape = onnx.helper.make_tensor("one_column", onnx.TensorProto.INT64, [2], [-1, 1])
    whole_graph = onnx.helper.make_graph([*nodes, *shaped, together], "joined", [x], [result], [*whole.graph.initializer, shape])
    return onnx.helper.make_model(whole_graph, opset_imports=whole.opset_import, ir_version=graphs[0].ir_version)


def several(out, name, library, graph, data, answers):
    raw = run_graph(graph, {graph.graph.input[0].name: data.tested})
    differs = raw is not None and not is_close(list(raw.values())[0], answers)
    right = [{"values": [float(value) for value in row]} for row in answers]
    targets = f"targets: [{', '.join(f't{i}' for i in range(answers.shape[1]))}]\n"
    write_case(out, "several-numbers-boosted", name, graph, "task: tabular-regression\n" + targets + columns(data), rows_of(data), right,
               SOURCES[library], raw_differs=differs)


def build(out):
    for kind in (classifiers, regressors, rankers, several_numbers):
        kind(out)
    for line in SKIPPED:
        print(f"not exported: {line}")
