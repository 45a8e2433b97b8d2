"""LitServe with ONNX Runtime: batches, one worker with one intra-op thread, an API process per core: the best of six settings
for a light model on two cores.

Arguments: {"graphFile", "labels"} as JSON, and a port.
"""

import json
import os
import sys
from base64 import b64decode, b64encode

import litserve
import numpy as np
import onnxruntime
from announce import announce_when_ready

options = json.loads(sys.argv[1])
port = int(sys.argv[2])


class Model(litserve.LitAPI):
    def setup(self, device):
        session_options = onnxruntime.SessionOptions()
        session_options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            options["graphFile"], session_options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name
        self.can_batch = not isinstance(self.session.get_inputs()[0].shape[0], int)

    def decode_request(self, request):
        return np.frombuffer(b64decode(request["base64"]), dtype=np.float32).reshape(request["shape"])

    def batch(self, inputs):
        return np.concatenate(inputs)

    def predict(self, rows):
        if self.can_batch:
            return self.session.run(None, {self.input: rows})[0]
        return np.concatenate([self.session.run(None, {self.input: rows[i : i + 1]})[0] for i in range(len(rows))])

    def unbatch(self, scores):
        return list(scores)

    def encode_response(self, scores):
        if options["labels"]:
            best = int(scores.argmax())
            return {"label": options["labels"][best], "score": float(scores[best])}
        return {"tensors": [{"name": "y", "shape": [1, len(scores)], "base64": b64encode(scores.tobytes()).decode()}]}


if __name__ == "__main__":
    announce_when_ready(port, "/health")
    api = Model(max_batch_size=64, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(num_api_servers=os.cpu_count(), host="127.0.0.1", port=port, generate_client_file=False, log_level="error")
