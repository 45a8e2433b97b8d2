"""
Boxes: how much two overlap, which of many are kept, and how good the kept ones are.

A box is xmin, ymin, xmax, ymax; an answer is (score, box).
"""
import numpy as np

THRESHOLD = 0.5  # a face is an answer above it
SUPPRESS_AT = 0.4  # of two answers that overlap this much, the better one stays
RIGHT_AT = 0.5  # an answer is right when it overlaps a labelled face this much


def iou(one, other):
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (areas - width * height)


def suppress(scores, boxes, threshold=THRESHOLD):
    """Greedy, best score first: (score, box) of what is kept."""
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if scores[i] > threshold and all(iou(boxes[i], box) < SUPPRESS_AT for _, box in kept):
            kept.append((float(scores[i]), boxes[i].tolist()))
    return kept


def judge(truth, answers):
    """Every answer of all pictures, best score first: is it right? A labelled face counts once, for its best answer."""
    found = sorted(((score, i, box) for i, faces in enumerate(answers) for score, box in faces), key=lambda face: -face[0])
    free = [list(boxes) for boxes in truth]
    right = []
    for _, i, box in found:
        best = max(free[i], key=lambda face: iou(face, box), default=None)
        hit = best is not None and iou(best, box) >= RIGHT_AT
        if hit:
            free[i].remove(best)
        right.append(hit)
    return np.array(right, bool)


def average_precision(truth, answers):
    """The area under the envelope of the precision-recall curve, as in PASCAL VOC since 2010."""
    right, labelled = judge(truth, answers), sum(map(len, truth))
    if not labelled or not right.any():
        return 0.0
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[right].sum() / labelled)


def measure_boxes(truth, answers, _labels):
    """The metrics of a detector's card; the answers are those above the threshold."""
    right, labelled = judge(truth, answers), sum(map(len, truth))
    metrics = [
        {"type": "precision", "name": "precision at IoU 0.5", "value": float(right.mean()) if len(right) else 0.0},
        {"type": "recall", "name": "recall at IoU 0.5", "value": float(right.sum() / labelled) if labelled else 0.0},
        {"type": "average_precision_50", "name": "AP at IoU 0.5", "value": average_precision(truth, answers)},
    ]
    return [metric | {"args": {"label": "face"}} for metric in metrics]
