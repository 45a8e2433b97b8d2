"""
Writes masks.json: scores of a segmentation graph, invented, with the class of each pixel as in transformers
(`post_process_semantic_segmentation`): bilinear interpolation to the size of the image, then the strongest class.

Needs Python 3.12 with numpy 2.5.5 and torch 2.15.0:

    python test/importing/goldens/make-masks.py && npm run fix
"""
import json
from pathlib import Path

import numpy as np
import torch

random = np.random.default_rng(3)


def case(labels, cells, source):
    scores = random.normal(0, 1, (1, labels, *cells)).round(3).astype(np.float32)
    image = torch.nn.functional.interpolate(torch.from_numpy(scores), source, mode="bilinear", align_corners=False)
    classes = image[0].argmax(0).numpy()
    return {
        "labels": labels, "cells": cells, "source": source, "scores": [float(x) for x in scores.ravel()],
        "classes": "".join(chr(97 + c) for c in classes.ravel()),
    }


cases = [case(labels, cells, source) for labels, cells, source in
         [(3, [4, 5], [12, 20]), (5, [8, 8], [17, 31]), (2, [3, 7], [40, 9]), (21, [6, 6], [24, 24]), (4, [10, 10], [7, 6]), (3, [1, 1], [5, 5])]]
(Path(__file__).parent / "masks.json").write_text(json.dumps(cases).replace("}, {", "},\n{") + "\n")
