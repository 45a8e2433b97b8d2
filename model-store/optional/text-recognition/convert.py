"""
Copies the text recognizer of the package rapidocr-onnxruntime, with its characters, and writes golden cases from the
package itself.

    python convert.py <empty folder>

Needs Python 3.11 or later with requirements.txt. From the repository root `npm run models:add -- text-recognition` does it
all.
"""
import json
import shutil
import sys
from pathlib import Path

import onnx
import yaml

from lines import COLORS, LINES, SHAPES, bgr, line, lines, png
from rapidocr import VERSION, checked_graph, packaged

HERE = Path(__file__).resolve().parent
GRAPH, GRAPH_SHA256 = "ch_PP-OCRv4_rec_infer.onnx", "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b"
TOLERANCE = 1e-4
HEIGHT, LEAST_WIDTH = 48, 320


def characters(path):
    """In the metadata of the graph, one a line; the package adds a space."""
    (listed,) = [entry.value for entry in onnx.load(path).metadata_props if entry.key == "character"]
    return [*listed.splitlines(), " "]


def manifest(path):
    """The normalization is (level / 255 - 0.5) / 0.5, and 0 fills the rest of a short line."""
    example = line("Hello, world!", SHAPES[0], COLORS[0])
    return json.dumps(
        {
            "task": "image-to-text",
            "owner": "PaddlePaddle",
            "framework": "PaddlePaddle",
            "labels": characters(path),
            "image": {
                "size": {"height": HEIGHT, "min_width": LEAST_WIDTH},
                "pad": {"value": 0},
                "color": "bgr",
                "resample": "opencv-linear",
                "image_mean": [0.5, 0.5, 0.5],
                "image_std": [0.5, 0.5, 0.5],
            },
            "example": {"image": {"base64": png(example)}},
            # Lines of different widths do not share a run anyway.
            "maxBatch": 1,
        },
        ensure_ascii=False,
    )


def golden_cases():
    from rapidocr_onnxruntime.ch_ppocr_rec import TextRecognizer

    config = yaml.safe_load(packaged("config.yaml").read_text())["Rec"]
    recognizer = TextRecognizer({**config, "model_path": str(packaged("models") / GRAPH)})
    cases = []
    for image in lines():
        # One at a time: the package pads the lines of a batch to the widest of them.
        [(text, score)], _ = recognizer(bgr(image))
        expect = {"text": text, "score": score} if text else {"text": ""}
        cases.append({"input": {"image": {"base64": png(image)}}, "expect": expect})
    return cases


def main(target):
    path = checked_graph(GRAPH, GRAPH_SHA256)
    for name in ("README.md", "LICENSE"):
        shutil.copyfile(HERE / name, target / name)
    (target / "model.yaml").write_text(manifest(path), encoding="utf-8")
    (target / "1").mkdir()
    shutil.copyfile(path, target / "1" / "model.onnx")
    cases = golden_cases()
    golden = {"source": f"rapidocr-onnxruntime {VERSION}", "tolerance": TOLERANCE, "cases": cases}
    (target / "1" / "golden.json").write_text(json.dumps(golden))
    right = sum(case["expect"]["text"] == LINES[i // 3] for i, case in enumerate(cases))
    print(f"{len(cases)} golden cases from rapidocr-onnxruntime {VERSION}; {right} of the texts are read without a mistake")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
