"""FastAPI with ONNX Runtime: one process per core under uvicorn (uvloop, httptools), one intra-op thread each.

Arguments: {"graphFile", "labels", "onLoop"} as JSON, and a port. The documentation of FastAPI recommends `def` for calls
that block, which runs them in a pool of threads. With "onLoop", they run on the event loop of each process, which is faster
for light graphs but holds up all requests of the process.
"""

import json
import os
import sys
from base64 import b64decode, b64encode

import numpy as np
import onnxruntime
import uvicorn
from announce import announce_when_ready
from fastapi import FastAPI
from pydantic import BaseModel

options = json.loads(sys.argv[1])
port = int(sys.argv[2])

session_options = onnxruntime.SessionOptions()
session_options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(options["graphFile"], session_options, providers=["CPUExecutionProvider"])
app = FastAPI()


class Tensor(BaseModel):
    name: str
    shape: list[int]
    base64: str


def predict(tensor: Tensor):
    values = np.frombuffer(b64decode(tensor.base64), dtype=np.float32).reshape(tensor.shape)
    scores = session.run(None, {tensor.name: values})[0]
    if options["labels"]:
        best = int(scores[0].argmax())
        return {"label": options["labels"][best], "score": float(scores[0][best])}
    return {"tensors": [{"name": "y", "shape": scores.shape, "base64": b64encode(scores.tobytes()).decode()}]}


async def predict_on_loop(tensor: Tensor):
    return predict(tensor)


app.post("/predict")(predict_on_loop if options.get("onLoop") else predict)


@app.get("/ready")
async def ready():
    return True


if __name__ == "__main__":
    announce_when_ready(port, "/ready")
    uvicorn.run(
        "fastapi_server:app",
        app_dir=os.path.dirname(__file__),
        host="127.0.0.1",
        port=port,
        workers=os.cpu_count(),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
    )
