"""
Trains the Fashion-MNIST convolutional network with PyTorch and writes 1/model.onnx and 1/golden.json.

Needs Python 3.11 with requirements.txt and the four gzipped IDX files of Fashion-MNIST, as the Debian package
dataset-fashion-mnist installs them. Run from the repository root:

    python model-store/fashion-cnn/train.py [--check] [--data /usr/share/datasets/fashion-mnist]

The golden pictures are those of datasets/fashion-mnist-test: at 28x28 nothing is resized, so a pixel is its level
divided by 255.
With --check nothing in the store is touched: it trains again in a temporary folder and fails unless every metric of
the card lies in the 95% interval of the model just trained.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from fashion_data import INSTALLED, LABELS, SIDE, read_split, read_test_pictures
from recipe import choose_cases, expectation, finish, write_golden

EPOCHS = 8
BATCH = 128
RATE = 2e-3


def as_pixels(images):
    return torch.from_numpy(images[:, np.newaxis] / np.float32(255))


def network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 64), nn.ReLU(),
        nn.Linear(64, len(LABELS)),
    )


def train(pixels, labels):
    torch.manual_seed(7)
    torch.use_deterministic_algorithms(True)
    model = network()
    targets = torch.from_numpy(labels)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * -(-len(pixels) // BATCH))
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in torch.randperm(len(pixels)).split(BATCH):
            loss = nn.functional.cross_entropy(model(pixels[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
            total += loss.item() * len(batch)
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {total / len(pixels):.4f}", flush=True)
    return nn.Sequential(model, nn.Softmax(dim=1)).eval()


def answer(model, pixels):
    with torch.inference_mode():
        return torch.cat([model(part) for part in pixels.split(1000)]).numpy()


def export(model, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        model, (torch.zeros(2, 1, SIDE, SIDE),), path, dynamo=False, opset_version=17,
        input_names=["pixels"], output_names=["probabilities"],
        dynamic_axes={"pixels": {0: "batch"}, "probabilities": {0: "batch"}},
    )
    onnx.checker.check_model(path, full_check=True)


def golden_cases(pictures, pixels, answers, chosen):
    """The chosen images as PNG, four of them again as a data URL and as a plain tensor."""
    given = [(i, {"image": {"base64": pictures[i]}}) for i in chosen]
    given += [(i, {"image": {"base64": f"data:image/png;base64,{pictures[i]}"}}) for i in chosen[:4]]
    for i in chosen[:4]:
        data = [float(str(value)) for value in pixels[i].numpy().ravel()]
        tensor = {"name": "pixels", "datatype": "FP32", "shape": [1, 1, SIDE, SIDE], "data": data}
        given.append((i, {"tensors": [tensor]}))
    return [{"input": sent, "expect": expectation(answers[i], LABELS)} for i, sent in given]


def recipe(data, store):
    train_images, train_labels = read_split(data, "train")
    test_images, test_labels = read_split(data, "t10k")
    pictures = read_test_pictures(test_images, test_labels)
    train_pixels, pixels = as_pixels(train_images), as_pixels(test_images)
    model = train(train_pixels, train_labels)
    print(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters")
    print("train accuracy", (answer(model, train_pixels).argmax(axis=1) == train_labels).mean())

    answers = answer(model, pixels)
    graph, golden = (store / "fashion-cnn" / "1" / name for name in ("model.onnx", "golden.json"))
    export(model, graph)
    cases = golden_cases(pictures, pixels, answers, choose_cases(test_labels, answers, count=60))
    write_golden(golden, f"torch {torch.__version__.split('+')[0]}", cases)
    return test_labels, answers, [graph, golden]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--data", type=Path, default=INSTALLED)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sys.exit(finish(lambda store: recipe(options.data, store), HERE, LABELS, options.check))
