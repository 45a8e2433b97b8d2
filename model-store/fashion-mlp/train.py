"""
Trains the Fashion-MNIST network with Keras on TensorFlow and writes 1/model.onnx, 1/golden.json and the test rows.

Needs Python 3.11 with requirements.txt, Node 24, `npm ci` and `npm run build` (the pixels come from the service's own
image tool), and the four gzipped IDX files of Fashion-MNIST, as the Debian package dataset-fashion-mnist installs them.
Run from the repository root:

    python model-store/fashion-mlp/train.py [--check] [--data /usr/share/datasets/fashion-mnist]

With --check nothing in the store is touched: it trains again in a temporary folder and fails unless every metric of
the card lies in the 95% interval of the model just trained.
"""
import argparse
import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from recipe import choose_cases, expectation, finish, write_golden, write_rows

LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
SIDE = 28
INPUTS = 100
EPOCHS = 25
BATCH = 128
OTHER_FORMATS = ["jpeg", "webp"]


def read_split(data, name):
    images = gzip.decompress((data / f"{name}-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((data / f"{name}-labels-idx1-ubyte.gz").read_bytes())[8:]
    return np.frombuffer(images, np.uint8).reshape(-1, SIDE * SIDE), np.frombuffer(labels, np.uint8).astype(int)


def as_pictures(images, picture_format):
    """Base64 pictures and the float32 pixels that the service reads from them."""
    with tempfile.TemporaryDirectory() as folder:
        raw, pictures, pixels = (Path(folder) / name for name in ("images.raw", "pictures.txt", "pixels.f32"))
        raw.write_bytes(images.tobytes())
        command = ["npx", "node", str(HERE / "pixels.mjs"), picture_format, str(raw), str(pictures), str(pixels)]
        subprocess.run(command, check=True, cwd=HERE.parent.parent)
        return pictures.read_text().split(), np.fromfile(pixels, np.float32).reshape(-1, INPUTS)


def train(pixels, labels):
    tf.keras.utils.set_random_seed(7)
    tf.config.experimental.enable_op_determinism()
    layers = tf.keras.layers
    model = tf.keras.Sequential([
        layers.Input((INPUTS,), name="input"),
        layers.Dense(64, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])
    rate = tf.keras.optimizers.schedules.CosineDecay(1e-3, EPOCHS * -(-len(pixels) // BATCH))
    model.compile(tf.keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(pixels, labels, batch_size=BATCH, epochs=EPOCHS, verbose=2)
    return model


def export(model, path):
    @tf.function(input_signature=[tf.TensorSpec([None, INPUTS], tf.float32, name="input")])
    def answer(pixels):
        return {"probabilities": model(pixels, training=False)}

    graph, _ = tf2onnx.convert.from_function(answer, answer.input_signature, opset=13)
    graph.ir_version = 8
    graph.producer_name, graph.producer_version = "tf2onnx", tf2onnx.__version__
    for value in [*graph.graph.input, *graph.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(graph, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, path)


def golden_cases(model, images, pictures, pixels, chosen):
    """The chosen images as PNG, the first of them again as a data URL in every format and as a plain tensor."""
    answers = model.predict(pixels, verbose=0)
    cases = [({"image": {"base64": pictures[i]}}, answers[i]) for i in chosen]
    again = chosen[:4]
    cases += [({"image": {"base64": f"data:image/png;base64,{pictures[i]}"}}, answers[i]) for i in again]
    for name in OTHER_FORMATS:
        encoded, seen = as_pictures(images[again], name)
        urls = [f"data:image/{name};base64,{picture}" for picture in encoded]
        cases += [({"image": {"base64": url}}, row) for url, row in zip(urls, model.predict(seen, verbose=0))]
    for i in again:
        data = [float(str(value)) for value in pixels[i]]
        tensor = {"name": "input", "datatype": "FP32", "shape": [1, INPUTS], "data": data}
        cases.append(({"tensors": [tensor]}, answers[i]))
    return [{"input": given, "expect": expectation(answer, LABELS)} for given, answer in cases]


def recipe(data, store):
    train_images, train_labels = read_split(data, "train")
    test_images, test_labels = read_split(data, "t10k")
    _, train_pixels = as_pictures(train_images, "png")
    pictures, pixels = as_pictures(test_images, "png")
    model = train(train_pixels, train_labels)
    print("train accuracy", model.evaluate(train_pixels, train_labels, batch_size=1000, verbose=0)[1])

    answers = model.predict(pixels, verbose=0)
    graph, golden = (store / "fashion-mlp" / "1" / name for name in ("model.onnx", "golden.json"))
    test_rows_file = store / "datasets" / "fashion-mnist-test" / "data.jsonl.gz"
    export(model, graph)
    cases = golden_cases(model, test_images, pictures, pixels, choose_cases(test_labels, answers, count=60))
    write_golden(golden, f"tensorflow {tf.__version__}", cases)
    rows = [{"image": picture, "label": LABELS[label]} for picture, label in zip(pictures, test_labels)]
    write_rows(test_rows_file, rows)
    return test_labels, answers, [graph, golden, test_rows_file]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    options = parser.parse_args()
    sys.exit(finish(lambda store: recipe(options.data, store), HERE, LABELS, options.check))
