"""
Trains the Fashion-MNIST network with Keras on TensorFlow and writes 1/model.onnx and 1/golden.json.

Needs Python 3.11 with requirements.txt and the four gzipped IDX files of Fashion-MNIST, as the Debian package
dataset-fashion-mnist installs them. Run from the repository root:

    python model-store/fashion-mlp/train.py [--check] [--data /usr/share/datasets/fashion-mnist]

Pillow makes the pixels: the service shrinks a picture to the same levels, bit for bit. The golden pictures are those of
datasets/fashion-mnist-test.
With --check nothing in the store is touched: it trains again in a temporary folder and fails unless every metric of
the card lies in the 95% interval of the model just trained.
"""
import argparse
import base64
import io
import os
import sys
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from fashion_data import INSTALLED, LABELS, levels_of, read_split, read_test_pictures
from recipe import choose_cases, expectation, finish, write_golden

SIDE = 10
INPUTS = SIDE * SIDE
EPOCHS = 25
BATCH = 128
OTHER_FORMATS = {"jpeg": {"quality": 95}, "webp": {"lossless": True}}


def as_pixels(images):
    """What the service makes of each picture: 10x10 levels, row by row, divided by 255."""
    small = [np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for image in images]
    return np.stack(small).reshape(-1, INPUTS) / np.float32(255)


def encode(image, name):
    file = io.BytesIO()
    Image.fromarray(image).save(file, name, **OTHER_FORMATS[name])
    return file.getvalue()


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
        encoded = [encode(images[i], name) for i in again]
        urls = [f"data:image/{name};base64,{base64.b64encode(picture).decode()}" for picture in encoded]
        seen = as_pixels([levels_of(picture) for picture in encoded])
        cases += [({"image": {"base64": url}}, row) for url, row in zip(urls, model.predict(seen, verbose=0))]
    for i in again:
        data = [float(str(value)) for value in pixels[i]]
        tensor = {"name": "input", "datatype": "FP32", "shape": [1, INPUTS], "data": data}
        cases.append(({"tensors": [tensor]}, answers[i]))
    return [{"input": given, "expect": expectation(answer, LABELS)} for given, answer in cases]


def recipe(data, store):
    train_images, train_labels = read_split(data, "train")
    test_images, test_labels = read_split(data, "t10k")
    pictures = read_test_pictures(test_images, test_labels)
    train_pixels, pixels = as_pixels(train_images), as_pixels(test_images)
    model = train(train_pixels, train_labels)
    print("train accuracy", model.evaluate(train_pixels, train_labels, batch_size=1000, verbose=0)[1])

    answers = model.predict(pixels, verbose=0)
    graph, golden = (store / "fashion-mlp" / "1" / name for name in ("model.onnx", "golden.json"))
    export(model, graph)
    cases = golden_cases(model, test_images, pictures, pixels, choose_cases(test_labels, answers, count=60))
    write_golden(golden, f"tensorflow {tf.__version__}", cases)
    return test_labels, answers, [graph, golden]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--data", type=Path, default=INSTALLED)
    options = parser.parse_args()
    sys.exit(finish(lambda store: recipe(options.data, store), HERE, LABELS, options.check))
