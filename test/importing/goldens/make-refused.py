"""Exports that the service refuses, made with the tools that owners use, for ../refusals.test.ts.

    python3 -m venv venv && venv/bin/pip install -r requirements-refused.txt
    venv/bin/python make-refused.py refused

Each file is a graph as the exporter wrote it; only the newest opset is asked for where that is the fault. tf2onnx leaves an
operator in that has no equivalent in ONNX; that file is written by hand, as tf2onnx writes it.
"""
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
import xgboost
from onnx import TensorProto, helper
from onnxmltools import convert_xgboost
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import KNNImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsRegressor
from sklearn.pipeline import make_pipeline

OUT = Path(sys.argv[1])
OUT.mkdir(exist_ok=True)


def save(name, model):
    model.graph.ClearField("value_info")
    model.graph.ClearField("metadata_props")
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString())


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LeakyReLU(), torch.nn.Linear(3, 2))

    def forward(self, x):
        return self.layers(x)


def exported(model, x, **options):
    return torch.onnx.export(model, (x,), dynamo=True, external_data=False, verbose=False, **options).model_proto


torch.manual_seed(1)
# Without dynamic_shapes, the batch of the example that was traced is frozen.
save("torch-frozen-batch", exported(Net(), torch.zeros(8, 2)))
batch = torch.export.Dim("batch")
save("torch-double", exported(Net().double(), torch.zeros(2, 2, dtype=torch.float64), dynamic_shapes=({0: batch},)))


def identity(**versions):
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "graph", [x], [y])
    return helper.make_model(graph, producer_name="onnx", producer_version=onnx.__version__, **versions)


# What the newest onnx package writes by default is ahead of the runtime.
newest = identity()
save("newest-onnx", newest)
save("newest-opset", identity(ir_version=10))
print("newest:", newest.ir_version, newest.opset_import[0].version)

random = np.random.default_rng(1)
rows = random.normal(size=(40, 2)).astype(np.float32)
classifier = LogisticRegression().fit(rows, rows[:, 0] > 0)
frozen = to_onnx(classifier, initial_types=[("x", FloatTensorType([16, 2]))], options={"zipmap": False})
save("sklearn-frozen-batch", frozen)

zero = GradientBoostingClassifier(init="zero", n_estimators=2, max_depth=1).fit(rows, np.digitize(rows[:, 0], [-0.5, 0.5]))
save("sklearn-init-zero", to_onnx(zero, rows[:1], options={"zipmap": False}))
targets = np.stack([np.digitize(rows[:, 0], [-0.5, 0.5]), rows[:, 1] > 0], axis=1).astype(int)
save("sklearn-neighbors", to_onnx(KNeighborsClassifier(2).fit(rows, targets), rows[:1], options={"zipmap": False}))
save("sklearn-radius", to_onnx(RadiusNeighborsRegressor(radius=0.5).fit(rows, rows[:, 0]), rows[:1]))
gaps = np.where(random.random(rows.shape) < 0.2, np.nan, rows).astype(np.float32)
save("sklearn-knn-imputer", to_onnx(make_pipeline(KNNImputer(n_neighbors=2), LinearRegression()).fit(gaps[:6], rows[:6, 0]), gaps[:1]))

labels = np.stack([rows[:, 0] > 0, rows[:, 1] > 0, rows.sum(axis=1) > 0], axis=1).astype(int)
several = xgboost.XGBClassifier(n_estimators=2, max_depth=1).fit(rows, labels)
save("xgboost-labels", convert_xgboost(several, initial_types=[("x", FloatTensorType([None, 2]))]))

city = helper.make_tensor_value_info("city", TensorProto.STRING, [None, 1])
index = helper.make_tensor_value_info("Identity:0", TensorProto.INT64, [None, 1])
table, default = (f"string_lookup/None_Lookup/LookupTableFindV2/{name}:0" for name in ("table_handle", "default_value"))
lookup = helper.make_node("LookupTableFindV2", [table, "city", default], ["Identity:0"], name="string_lookup/Find")
constants = [helper.make_tensor(name, TensorProto.INT64, [], [0]) for name in (table, default)]
graph = helper.make_graph([lookup], "tf2onnx", [city], [index], constants)
opset = [helper.make_opsetid("", 15)]
save("tf2onnx-lookup", helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="tf2onnx"))
