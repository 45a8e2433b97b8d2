"""
Copies the classifier of the package rapidocr-onnxruntime that tells whether a line of text is upside down, and writes
golden cases from the package itself.

    python convert.py <empty folder>

Needs Python 3.11 or later with requirements.txt. From the repository root `npm run models:add -- text-orientation` does it
all.
"""
import json
import shutil
import sys
from pathlib import Path

import yaml
from PIL import Image

HERE = Path(__file__).resolve().parent
# The package and the lines of text of the golden cases are those of text-recognition.
sys.path.append(str(HERE.parent / "text-recognition"))
from lines import bgr, lines, png
from rapidocr import VERSION, checked_graph, packaged

GRAPH, GRAPH_SHA256 = "ch_ppocr_mobile_v2.0_cls_infer.onnx", "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c"
TOLERANCE = 1e-4
HEIGHT, WIDTH = 48, 192


def turned():
    """Each line upright, and every second one upside down."""
    for number, image in enumerate(lines()):
        yield image
        if number % 2 == 0:
            yield image.transpose(Image.Transpose.ROTATE_180)


def manifest(labels):
    """The normalization is (level / 255 - 0.5) / 0.5; 0 fills the rest of a short line, and a long one is squeezed."""
    return {
        "task": "image-classification",
        "owner": "PaddlePaddle",
        "framework": "PaddlePaddle",
        "labels": labels,
        "image": {
            "size": {"height": HEIGHT, "min_width": WIDTH, "max_width": WIDTH},
            "pad": {"value": 0},
            "color": "bgr",
            "resample": "opencv-linear",
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
        "example": {"image": {"base64": png(next(turned()))}},
    }


def golden_cases(config):
    from rapidocr_onnxruntime.ch_ppocr_cls import TextClassifier

    classifier = TextClassifier({**config, "model_path": str(packaged("models") / GRAPH)})
    cases = []
    for image in turned():
        _, [(label, score)], _ = classifier(bgr(image))
        expect = {"label": label, "scores": {label: float(score)}}
        cases.append({"input": {"image": {"base64": png(image)}}, "expect": expect})
    return cases


def main(target):
    path = checked_graph(GRAPH, GRAPH_SHA256)
    config = yaml.safe_load(packaged("config.yaml").read_text())["Cls"]
    for name in ("README.md", "LICENSE"):
        shutil.copyfile(HERE / name, target / name)
    (target / "model.yaml").write_text(json.dumps(manifest(config["label_list"])))
    (target / "1").mkdir()
    shutil.copyfile(path, target / "1" / "model.onnx")
    cases = golden_cases(config)
    golden = {"source": f"rapidocr-onnxruntime {VERSION}", "tolerance": TOLERANCE, "cases": cases}
    (target / "1" / "golden.json").write_text(json.dumps(golden))
    print(f"{len(cases)} golden cases from rapidocr-onnxruntime {VERSION}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
