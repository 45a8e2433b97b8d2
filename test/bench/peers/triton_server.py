"""Triton from the wheel of PyTriton: its Python backend with ONNX Runtime, dynamic batching, one instance per core.

The wheel has no ONNX Runtime backend. Arguments: {"graphFile", "labels"} as JSON, and a port. Answers are scores.
"""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request

import onnxruntime
import pytriton

options = json.loads(sys.argv[1])
port = int(sys.argv[2])

MODEL = """
import sys
sys.path[:0] = {path}

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession({graph!r}, options, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        inputs = [triton.get_input_tensor_by_name(request, {input!r}).as_numpy() for request in requests]
        if {can_batch}:
            scores = self.session.run(None, {{{input!r}: np.concatenate(inputs)}})[0]
            parts = np.split(scores, np.cumsum([len(one) for one in inputs])[:-1])
        else:
            parts = [self.session.run(None, {{{input!r}: one}})[0] for one in inputs]
        return [triton.InferenceResponse([triton.Tensor("y", part)]) for part in parts]
"""

CONFIG = """
backend: "python"
max_batch_size: 64
input [{{ name: "{input}", data_type: TYPE_FP32, dims: [{width}] }}]
output [{{ name: "y", data_type: TYPE_FP32, dims: [{outputs}] }}]
dynamic_batching {{ }}
instance_group [{{ kind: KIND_CPU, count: {count} }}]
"""


def write_repository(folder):
    session = onnxruntime.InferenceSession(options["graphFile"], providers=["CPUExecutionProvider"])
    (graph_input,), graph_output = session.get_inputs(), session.get_outputs()[0]
    os.makedirs(f"{folder}/model/1")
    with open(f"{folder}/model/1/model.py", "w") as file:
        can_batch = not isinstance(graph_input.shape[0], int)
        path = [entry for entry in sys.path if entry]
        file.write(MODEL.format(path=path, graph=options["graphFile"], input=graph_input.name, can_batch=can_batch))
    with open(f"{folder}/model/config.pbtxt", "w") as file:
        width, outputs = graph_input.shape[-1], graph_output.shape[-1]
        file.write(CONFIG.format(input=graph_input.name, width=width, outputs=outputs, count=os.cpu_count()))


def write_backend(folder, triton):
    """The backend beside the stub of this version of Python, which the wheel keeps apart."""
    shutil.copytree(f"{triton}/backends/python", f"{folder}/python")
    stub = f"{triton}/python_backend_stubs/{sys.version_info.major}.{sys.version_info.minor}/triton_python_backend_stub"
    shutil.copy(stub, f"{folder}/python/triton_python_backend_stub")


def main():
    package = os.path.dirname(pytriton.__file__)
    triton = f"{package}/tritonserver"
    folder = tempfile.mkdtemp(prefix="triton-bench-")
    write_repository(f"{folder}/models")
    write_backend(f"{folder}/backends", triton)
    libraries = [f"{os.path.dirname(package)}/nvidia_pytriton.libs", sysconfig.get_config_var("LIBDIR")]
    region = f"bench-{os.getpid()}"
    server = subprocess.Popen(
        [
            f"{triton}/bin/tritonserver",
            f"--model-repository={folder}/models",
            f"--backend-directory={folder}/backends",
            f"--backend-config=python,shm-region-prefix-name={region}",
            "--http-address=127.0.0.1",
            f"--http-port={port}",
            f"--http-thread-count={2 * os.cpu_count()}",
            "--allow-grpc=false",
            "--allow-metrics=false",
        ],
        env={**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)},
        stdout=open(f"{folder}/log", "w"),
        stderr=subprocess.STDOUT,
    )
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    while server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/model/ready").read()
            print(f"ready http://127.0.0.1:{port}/v2/models/model/infer", flush=True)
            break
        except OSError:
            time.sleep(0.1)
    status = server.wait()
    if status:
        print(open(f"{folder}/log").read()[-2000:], flush=True)
    for file in glob.glob(f"/dev/shm/{region}*"):
        os.remove(file)
    shutil.rmtree(folder)
    sys.exit(status)


if __name__ == "__main__":
    main()
