"""
Fashion-MNIST for the two recipes that use it: the images of the Debian package dataset-fashion-mnist, and the pictures
of datasets/fashion-mnist-test, which are those images as PNG.
"""
import base64
import gzip
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
SIDE = 28
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
TEST_ROWS = Path(__file__).resolve().parent / "datasets" / "fashion-mnist-test" / "data.jsonl.gz"


def read_split(data, name):
    images = gzip.decompress((data / f"{name}-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((data / f"{name}-labels-idx1-ubyte.gz").read_bytes())[8:]
    return np.frombuffer(images, np.uint8).reshape(-1, SIDE, SIDE), np.frombuffer(labels, np.uint8).astype(int)


def read_test_pictures(images, labels):
    """The base64 pictures of the test rows, checked to show the very images and kinds they stand for."""
    rows = [json.loads(line) for line in gzip.decompress(TEST_ROWS.read_bytes()).splitlines()]
    pictures = [row["image"] for row in rows]
    same = [row["label"] for row in rows] == [LABELS[label] for label in labels]
    if not same or not np.array_equal([levels_of(base64.b64decode(picture)) for picture in pictures], images):
        raise SystemExit("the rows of fashion-mnist-test are not the images that are tested here")
    return pictures


def levels_of(picture):
    return np.asarray(Image.open(io.BytesIO(picture)).convert("L"))
