"""
Writes detectors.json: outputs of detectors, invented, with the objects that their source frameworks find in them.

YOLO: letterbox, suppression and clipping as in Ultralytics (`LetterBox`, `non_max_suppression`, `scale_boxes`), written
here with NumPy and torchvision.ops.nms. Needs Python 3.12 with numpy 2.5.5, torch 2.15.0 and torchvision 0.29.2:

    python test/importing/goldens/make-detectors.py && npm run fix
"""
import json
from pathlib import Path

import numpy as np
import torch
from torchvision.ops import nms

random = np.random.default_rng(11)
THRESHOLD, IOU = 0.25, 0.7


def scores_of(boxes, labels):
    """Mostly low scores, some high ones, never near the threshold."""
    scores = random.uniform(0, 0.2, (boxes, labels))
    for box in range(boxes):
        if random.random() < 0.7:
            scores[box, random.integers(labels)] = random.uniform(0.3, 1)
    return scores.round(5).astype(np.float32)


def boxes_of(count, width, height):
    """Clusters of boxes that overlap, some of them beyond the edges."""
    centers = random.uniform(0, 1, (3, 2)) * [width, height]
    chosen = centers[random.integers(3, size=count)] + random.normal(0, 2, (count, 2))
    sizes = np.abs(random.normal(0.4, 0.03, (count, 2))) * [width, height]
    return np.concatenate([chosen, sizes], 1).astype(np.float32)


def corners(boxes):
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], 1)


def detect(boxes, scores, labels, size, source, suppresses):
    """`boxes` are corners in pixels of the input; `size` and `source` are (width, height)."""
    keep = scores > THRESHOLD
    boxes, scores, labels = (torch.from_numpy(a[keep]) for a in (boxes, scores, labels))
    order = scores.argsort(descending=True, stable=True)
    boxes, scores, labels = boxes[order], scores[order], labels[order]
    if suppresses:
        kept = nms(boxes + labels[:, None].float() * 7680, scores, IOU)
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
    gain = min(size[1] / source[1], size[0] / source[0])
    content = [max(round(side * gain), 1) for side in source]
    left, top = (round((size[i] - content[i]) / 2 - 0.1) for i in (0, 1))
    gains = [content[i] / source[i] for i in (0, 1)]  # since 8.4 of the sides as they are rounded
    boxes = (boxes.numpy() - [left, top, left, top]) / [*gains, *gains]
    boxes = np.clip(boxes, 0, [*source, *source])
    names = ("xmin", "ymin", "xmax", "ymax")
    return [
        {"label": f"c{label}", "score": float(score), "box": dict(zip(names, map(float, box)))}
        for box, score, label in zip(boxes, scores.numpy(), labels.numpy())
    ]


def case(layout, labels, boxes):
    size = [int(n) for n in random.choice([32, 64, 96], 2)]
    source = [int(n) for n in random.integers(20, 120, 2)]
    center = boxes_of(boxes, *size)
    scores = scores_of(boxes, labels)
    if layout == "yolov8":
        output = np.concatenate([center, scores], 1).T
        best, classes = scores.max(1), scores.argmax(1)
    elif layout == "yolov5":
        objectness = random.uniform(0.9, 1, (boxes, 1)).round(5).astype(np.float32)
        output = np.concatenate([center, objectness, scores], 1)
        product = scores * objectness
        best, classes = product.max(1), product.argmax(1)
    else:
        best, classes = scores.max(1), scores.argmax(1)
        output = np.concatenate([corners(center), best[:, None], classes[:, None].astype(np.float32)], 1)
    found = detect(corners(center), best, classes, size, source, layout != "yolov10")
    return {
        "layout": layout,
        "labels": labels,
        "size": size,
        "source": source,
        "shape": [1, *output.shape],
        "output": [round(float(n), 5) for n in output.ravel()],
        "found": found,
    }


cases = [case(layout, labels, boxes) for layout in ("yolov5", "yolov8", "yolov10") for labels, boxes in
         [(3, 21), (5, 30), (80, 12), (2, 25), (7, 40), (4, 16), (9, 33)]]
text = json.dumps(cases).replace('}, {"layout"', '},\n{"layout"')
(Path(__file__).parent / "detectors.json").write_text(text + "\n")
