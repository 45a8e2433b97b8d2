"""
Writes resizes.json: images resized by OpenCV, and by Pillow where the order of passes matters.

Needs Python 3.12 with pillow 13.0.0, numpy 2.5.5 and opencv-python-headless 5.0.0.93:

    python test/worker/goldens/make-resizes.py && npm run fix
"""
import base64
import io
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

random = np.random.default_rng(5)
OPENCV = {"opencv-nearest": cv2.INTER_NEAREST, "opencv-linear": cv2.INTER_LINEAR, "opencv-area": cv2.INTER_AREA}
PILLOW = {"bilinear": 2, "bicubic": 3, "lanczos": 1}


def noise(width, height):
    """Noise in smooth areas: every pixel counts, and the file stays small."""
    levels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def coded(data):
    return base64.b64encode(data).decode()


def case(picture, size, resample, levels):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return {
        "from": list(picture.size), "to": list(size), "resample": resample,
        "png": coded(file.getvalue()), "levels": coded(np.ascontiguousarray(levels).tobytes()),
    }


cases = []
SIZES = [((24, 18), (12, 9)), ((24, 18), (8, 6)), ((24, 18), (7, 5)), ((13, 21), (8, 15)), ((9, 6), (14, 10)),
         ((12, 8), (17, 5)), ((5, 5), (24, 24)), ((1, 9), (4, 4)), ((20, 20), (20, 19)), ((31, 17), (1, 1))]
for source, size in SIZES:
    picture = noise(*source)
    for name, flag in OPENCV.items():
        cases.append(case(picture, size, name, cv2.resize(np.asarray(picture), size, interpolation=flag)))
PORTRAITS = [((12, 20), (6, 6)), ((12, 20), (11, 4)), ((9, 30), (5, 22)), ((9, 30), (5, 21)), ((10, 12), (14, 7)), ((20, 12), (6, 6))]
for source, size in PORTRAITS:
    picture = noise(*source)
    for name, flag in PILLOW.items():
        cases.append(case(picture, size, name, picture.resize(size, flag)))
(Path(__file__).parent / "resizes.json").write_text(json.dumps(cases).replace("}, {", "},\n{") + "\n")
