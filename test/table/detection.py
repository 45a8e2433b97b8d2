"""
Detectors: layouts of YOLO, torchvision's detectors, and those of transformers.

The processing of YOLO follows Ultralytics' public definition (`LetterBox`, `non_max_suppression`, `scale_boxes`), written
here with OpenCV, NumPy and `torchvision.ops.nms`.
"""
import copy
import json

import cv2
import numpy as np
import onnx
import torch
import torchvision
import transformers
from torch import nn
from torchvision.ops import nms

import deep
from deep import export, image_input

KIND = "object-detection"
THRESHOLD, IOU, MAX_OBJECTS = 0.25, 0.7, 300
NAMES = ["person", "bicycle", "car", "it's", 'a "b"', "dog, cat", "tree", "été", "box", "sign"]
TORCHVISION_SOURCE = f"torchvision {torchvision.__version__.split('+')[0]}, {deep.torch_source()}"


def seeded(*names):
    torch.manual_seed(int(deep.random(*names).integers(2**31)))


def found(boxes, scores, labels, names):
    edges = ("xmin", "ymin", "xmax", "ymax")
    return {"boxes": [
        {"label": names[int(label)], "score": float(score), "box": dict(zip(edges, map(float, box)))}
        for box, score, label in zip(boxes, scores, labels)
    ]}


def near_tie(scores, threshold):
    """Whether a score is so near to the threshold that rounding decides."""
    return bool((np.abs(np.asarray(scores) - threshold) < 1e-4).any())


# ── YOLO ──


class Yolo(nn.Module):
    """A net with the heads of the YOLO family: boxes from a grid, in pixels of the input."""

    def __init__(self, layout, labels, stride=8, activated=True):
        super().__init__()
        self.layout, self.labels, self.stride, self.activated = layout, labels, stride, activated
        self.a = nn.Conv2d(3, 12, stride, stride=stride)
        self.b = nn.Conv2d(12, 24, 3, padding=1)
        self.out = nn.Conv2d(24, 5 + labels, 1)

    def forward(self, images):
        y = self.out(torch.sin(self.b(torch.sin(self.a(images) * 4)) * 3)) * 3
        n, _, h, w = y.shape
        y = y.flatten(2).permute(0, 2, 1)
        # No two cells score the same: which of them are kept would be a matter of chance.
        y = y + 0.3 * torch.sin(torch.arange(h * w, dtype=torch.float32) * 1.7)[:, None]
        column = (torch.arange(w, dtype=torch.float32) + 0.5).repeat(h)
        row = (torch.arange(h, dtype=torch.float32) + 0.5).repeat_interleave(w)
        grid = torch.stack([column, row], 1) * self.stride
        center = grid + torch.tanh(y[..., :2]) * self.stride
        size = torch.sigmoid(y[..., 2:4]) * 5 * self.stride + 4
        activate = torch.sigmoid if self.activated else (lambda t: t)
        if self.layout == "yolov5":
            return torch.cat([center, size, activate(y[..., 4:5] + 2), activate(y[..., 5:])], 2)
        scores = activate(y[..., 5:])
        if self.layout == "yolov8":
            return torch.cat([center, size, scores], 2).permute(0, 2, 1)
        if self.layout == "yolov8-rows":
            return torch.cat([center, size, scores], 2)
        best, index = scores.max(2)
        top, places = best.topk(min(30, best.shape[1]), 1)
        corners = torch.cat([center - size / 2, center + size / 2], 2)
        corners = corners.gather(1, places[..., None].expand(-1, -1, 4))
        return torch.cat([corners, top[..., None], index.gather(1, places)[..., None].float()], 2)


def letterbox(image, size):
    """Ultralytics' LetterBox(new_shape, auto=False, center=True), then the tensor."""
    height, width = image.shape[:2]
    ratio = min(size[1] / height, size[0] / width)
    unpadded = round(width * ratio), round(height * ratio)
    dw, dh = (size[0] - unpadded[0]) / 2, (size[1] - unpadded[1]) / 2
    if (width, height) != unpadded:
        image = cv2.resize(image, unpadded, interpolation=cv2.INTER_LINEAR)
    top, bottom, left, right = round(dh - 0.1), round(dh + 0.1), round(dw - 0.1), round(dw + 0.1)
    image = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114))
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()[None] / 255


def ultralytics(output, layout, size, source, threshold=THRESHOLD, iou=IOU):
    """Boxes in pixels of the source, scores and classes, after suppression."""
    y = output[0]
    if layout == "end-to-end":
        boxes, scores, classes = y[:, :4], y[:, 4], y[:, 5]
        keep = scores > threshold
        boxes, scores, classes = boxes[keep], scores[keep], classes[keep]
    else:
        rows = y.T if layout == "yolov8" else y
        scores = rows[:, 5:] * rows[:, 4:5] if layout == "yolov5" else rows[:, 4:]
        best, classes = scores.max(1)
        keep = best > threshold
        center, scores, classes = rows[keep, :4], best[keep], classes[keep].float()
        boxes = torch.cat([center[:, :2] - center[:, 2:] / 2, center[:, :2] + center[:, 2:] / 2], 1)
        order = scores.argsort(descending=True, stable=True)[:30000]
        boxes, scores, classes = boxes[order], scores[order], classes[order]
        kept = nms(boxes + classes[:, None] * 7680, scores, iou)[:MAX_OBJECTS]
        boxes, scores, classes = boxes[kept], scores[kept], classes[kept]
    gain = min(size[1] / source[1], size[0] / source[0])
    left, top = (round((size[i] - round(source[i] * gain)) / 2 - 0.1) for i in (0, 1))
    boxes = (boxes - torch.tensor([left, top, left, top])) / gain
    boxes = boxes.numpy().clip(0, [source[0], source[1], source[0], source[1]])
    return boxes, scores.numpy(), classes.numpy()


def add_metadata(path, entries):
    model = onnx.load(str(path), load_external_data=True)
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save_model(model, str(path))


def yolo(out, name, layout, labels, *, size=(96, 64), yaml=None, names_in_graph=False, names=None, settings=None, dynamic=False, activated=True,
         threshold=THRESHOLD, iou=IOU, says=None, why="", half=False, metadata=None):
    seeded("yolo", name)
    names = names or [NAMES[i % len(NAMES)] + ("" if i < len(NAMES) else str(i)) for i in range(labels)]
    model = Yolo(layout, labels, activated=activated).eval()
    data, right, tensors = [], [], []
    attempt = 0
    sizes = list(deep.SIZES)
    while len(data) < 5 and attempt < 25:
        width, height = sizes[len(data)]
        one = deep.files("yolo", name, attempt, sizes=[(width, height)] * (len(data) + 1))[-1]
        attempt += 1
        pixels = deep.opencv(one)
        height, width = pixels.shape[:2]
        tensor = letterbox(pixels, size)
        with torch.no_grad():
            output = model(tensor)
        activated_output = output
        if not activated:
            activated_output = output.clone()
            part = slice(4, None)
            if layout == "yolov8":
                activated_output[:, part] = activated_output[:, part].sigmoid()
            else:
                activated_output[..., part] = activated_output[..., part].sigmoid()
        boxes, scores, classes = ultralytics(activated_output, layout, size, (width, height), threshold, iou)
        if near_tie(scores, threshold):
            continue
        data.append(one)
        tensors.append((tensor,))
        right.append(found(boxes, scores, classes, names))
    yaml = {"task": "object-detection", **({} if names_in_graph else {"labels": names}), **(yaml or {})}
    version = deep.case(out, KIND, f"yolo-{name}", yaml=yaml, inputs=[image_input(one) for one in data], right=[] if says else right,
                        source=f"{deep.torch_source()}, OpenCV {cv2.__version__} as used by Ultralytics", says=says, why=why)
    path = version / "model.onnx"
    example = torch.rand(2 if dynamic else 1, 3, size[1], size[0])
    export(model, (example,), path, inputs=["images"], outputs=["output0"], dynamic=True if dynamic else None)
    deep.inline(path)
    deep.check_graph(path, model, tensors)
    if names_in_graph:
        add_metadata(path, {"description": "Ultralytics model", "author": "Ultralytics", "task": "detect", "stride": "8", "batch": "1",
                            "imgsz": str([size[1], size[0]]), "names": str(dict(enumerate(names))), **(metadata or {})})


def yolos(out):
    for layout in ("yolov8", "yolov5", "end-to-end"):
        short = {"yolov8": "v8", "yolov5": "v5", "end-to-end": "v10"}[layout]
        yolo(out, f"{short}-3", layout, 3)
        yolo(out, f"{short}-10", layout, 10, size=(64, 64))
        yolo(out, f"{short}-tall", layout, 4, size=(64, 128))
        yolo(out, f"{short}-names-in-graph", layout, 6, names_in_graph=True)
        yolo(out, f"{short}-names-and-labels", layout, 3, yaml={"labels": ["x", "y", "z"]}, names=["x", "y", "z"], names_in_graph=True, metadata={"names": "{0: 'other', 1: 'names', 2: 'here'}"})
        yolo(out, f"{short}-threshold", layout, 3, yaml={"output": {"threshold": 0.4, **({} if layout == "end-to-end" else {"iou": 0.45})}}, threshold=0.4, iou=0.45)
        yolo(out, f"{short}-dynamic", layout, 7, dynamic=True)
    yolo(out, "v8-rows", "yolov8-rows", 5)
    yolo(out, "v8-logits", "yolov8", 4, activated=False, yaml={"output": {"activation": "sigmoid"}})
    yolo(out, "v5-logits", "yolov5", 4, activated=False, yaml={"output": {"activation": "sigmoid"}})
    yolo(out, "v8-80", "yolov8", 80, names_in_graph=True)
    yolo(out, "v8-1", "yolov8", 1)
    yolo(out, "v5-1-declared", "yolov5", 1, yaml={"output": {"layout": "yolov5"}})
    yolo(out, "v5-1", "yolov5", 1, says=["output.layout"], why="[N, boxes, 6] can be yolov5 with one label, or yolov10")
    yolo(out, "v8-2-declared", "yolov8-rows", 2, yaml={"output": {"layout": "yolov8"}})
    yolo(out, "v8-segment", "yolov8", 9, yaml={"labels": ["a", "b"]}, says=["labels"], why="an output with 7 numbers too many, as masks have")


# ── torchvision ──


def tiny_backbone(channels=16):
    backbone = nn.Sequential(nn.Conv2d(3, 8, 7, stride=4, padding=3), nn.Tanh(), nn.Conv2d(8, channels, 3, stride=2, padding=1), nn.Tanh())
    backbone.out_channels = channels
    return backbone


def detector(kind, labels):
    from torchvision.models import detection
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    options = dict(min_size=64, max_size=96, num_classes=labels)
    anchors = AnchorGenerator(sizes=((8, 16, 32),), aspect_ratios=((0.5, 1.0, 2.0),))
    if kind == "fasterrcnn":
        roi = torchvision.ops.MultiScaleRoIAlign(featmap_names=["0"], output_size=3, sampling_ratio=2)
        from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
        return detection.FasterRCNN(tiny_backbone(), rpn_anchor_generator=anchors, box_roi_pool=roi, box_head=TwoMLPHead(16 * 9, 32), box_predictor=FastRCNNPredictor(32, labels), min_size=64, max_size=96, box_detections_per_img=20, rpn_post_nms_top_n_test=50)
    if kind == "retinanet":
        return detection.RetinaNet(tiny_backbone(), anchor_generator=anchors, detections_per_img=20, **options)
    if kind == "fcos":
        single = AnchorGenerator(sizes=((8,),), aspect_ratios=((1.0,),))
        return detection.FCOS(tiny_backbone(32), anchor_generator=single, detections_per_img=20, **options)
    boxes = detection.ssd.DefaultBoxGenerator([[2]], scales=[0.1, 0.3])
    return detection.ssd.SSD(tiny_backbone(), boxes, (96, 64), labels, image_mean=[0.48] * 3, image_std=[0.25] * 3, detections_per_img=20, head=detection.ssd.SSDHead([16], boxes.num_anchors_per_location(), labels))


def torchvision_detectors(out):
    for kind in ("fasterrcnn", "retinanet", "fcos", "ssd"):
        for labels in (3, 6):
            name = f"torchvision-{kind}-{labels}"
            try:
                torchvision_detector(out, name, kind, labels)
            except Exception as error:  # noqa: BLE001 a family goes on without one of its members
                deep.leave_out(out, KIND, name, error)


def torchvision_detector(out, name, kind, labels):
    seeded(name)
    model = detector(kind, labels).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, 0, 1.5 / parameter[0].numel() ** 0.5)
    names = ["background", *NAMES[: labels - 1]]
    data, right, tensors = [], [], []
    for one in deep.files(name, sizes=[(96, 64)] * 5):
        pixels = torch.from_numpy(np.array(deep.pillow(one)).transpose(2, 0, 1)).float() / 255
        if pixels.shape[1:] != (64, 96):
            continue
        with torch.no_grad():
            answer = model([pixels])[0]
        data.append(one)
        tensors.append((pixels,))
        right.append(found(answer["boxes"].numpy(), answer["scores"].numpy(), answer["labels"].numpy(), names))
    order = ["boxes", "labels", "scores"] if kind == "fasterrcnn" else ["boxes", "scores", "labels"]
    version = deep.case(out, KIND, name, yaml={"task": "object-detection", "labels": names, "image": {}},
                        inputs=[image_input(one) for one in data], right=right, source=TORCHVISION_SOURCE)
    path = version / "model.onnx"
    example = torch.from_numpy(np.array(deep.pillow(data[0])).transpose(2, 0, 1)).float() / 255
    torch.onnx.export(model, ([example],), str(path), dynamo=False, opset_version=17, input_names=["image"], output_names=order)
    deep.inline(path)
    deep.check_graph(path, Ordered(model, order), tensors)


class Ordered(nn.Module):
    """Takes one image, and returns boxes, labels and scores in the order of the graph's outputs."""

    def __init__(self, inner, order):
        super().__init__()
        self.inner, self.order = inner, order

    def forward(self, image):
        answer = self.inner([image])[0]
        return tuple(answer[key] for key in self.order)


def postprocessed(out):
    """Detectors that return boxes, labels and scores, in several notations."""
    notations = {
        "corners": (lambda b: b, {}),
        "corners-fractions": (lambda b: b / torch.tensor([96.0, 64.0, 96.0, 64.0]), {"boxUnit": "fractions"}),
        "center": (lambda b: torch.cat([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]], 1), {"boxFormat": "center"}),
        "center-fractions": (lambda b: torch.cat([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]], 1) / torch.tensor([96.0, 64.0, 96.0, 64.0]), {"boxFormat": "center", "boxUnit": "fractions"}),
        "rows-first": (lambda b: b[:, [1, 0, 3, 2]], {"boxFormat": "corners-yx"}),
        "rows-first-fractions": (lambda b: b[:, [1, 0, 3, 2]] / torch.tensor([64.0, 96.0, 64.0, 96.0]), {"boxFormat": "corners-yx", "boxUnit": "fractions"}),
    }
    for i, (name, (convert, settings)) in enumerate(notations.items()):
        seeded("postprocessed", name)
        inner = Yolo("end-to-end", 4)

        class Detector(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = inner

            def forward(self, images):
                y = self.inner(images)[0]
                return convert(y[:, :4]), y[:, 5].long() + i % 2, y[:, 4]

        model = Detector().eval()
        names = ["background", *NAMES[:4]] if i % 2 else NAMES[:4]
        data, right, tensors = deep.files("postprocessed", name), [], []
        for one in data:
            pixels = np.asarray(deep.pillow(one).resize((96, 64), 2))
            tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float()[None] / 255
            tensors.append((tensor,))
            with torch.no_grad():
                y = inner(tensor)[0].numpy()
            height, width = np.asarray(deep.pillow(one)).shape[:2]
            boxes = y[:, :4] * [width / 96, height / 64, width / 96, height / 64]
            keep = y[:, 4] >= 0.05
            right.append(found(boxes[keep], y[keep, 4], y[keep, 5] + i % 2, names))
        yaml = {"task": "object-detection", "labels": names, "image": {}, "output": settings}
        version = deep.case(out, KIND, f"boxes-{name}", yaml=yaml, inputs=[image_input(one) for one in data], right=right, source=deep.torch_source())
        export(model, (torch.rand(1, 3, 64, 96),), version / "model.onnx", inputs=["images"], outputs=["boxes", "labels", "scores"], dynamic=None)
        deep.inline(version / "model.onnx")
        deep.check_graph(version / "model.onnx", model, tensors)


# ── transformers ──


class Both(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, pixel_values, pixel_mask=None):
        answer = self.inner(pixel_values, **({} if pixel_mask is None else {"pixel_mask": pixel_mask}))
        return answer.logits, answer.pred_boxes


RESNET = dict(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"])
DETR = dict(d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=12)


def hub_detectors(out):
    resnet = lambda: transformers.ResNetConfig(**RESNET)
    made = {
        "yolos": ("Yolos", "Yolos", lambda: transformers.YolosConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=[64, 96], patch_size=16, num_detection_tokens=12, num_labels=4), dict(size={"height": 64, "width": 96})),
        "yolos-shortest": ("Yolos", "Yolos", lambda: transformers.YolosConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=[64, 96], patch_size=16, num_detection_tokens=12, num_labels=3), dict(size={"shortest_edge": 64, "longest_edge": 100})),
        "detr": ("Detr", "Detr", lambda: transformers.DetrConfig(backbone_config=resnet(), use_timm_backbone=False, num_labels=4, **DETR), dict(size={"height": 64, "width": 96})),
        "detr-shortest": ("Detr", "Detr", lambda: transformers.DetrConfig(backbone_config=resnet(), use_timm_backbone=False, num_labels=5, **DETR), dict(size={"shortest_edge": 64, "longest_edge": 120})),
        "detr-pad": ("Detr", "Detr", lambda: transformers.DetrConfig(backbone_config=resnet(), use_timm_backbone=False, num_labels=5, **DETR), dict(size={"shortest_edge": 48, "longest_edge": 96}, pad_size={"height": 96, "width": 96}, do_pad=True)),
        "conditional-detr": ("ConditionalDetr", "ConditionalDetr", lambda: transformers.ConditionalDetrConfig(backbone_config=resnet(), use_timm_backbone=False, num_labels=4, **DETR), dict(size={"height": 64, "width": 96})),
        "rt-detr": ("RTDetr", "RTDetr", lambda: transformers.RTDetrConfig(backbone_config=transformers.RTDetrResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage2", "stage3", "stage4"]), encoder_hidden_dim=16, encoder_in_channels=[8, 16, 16], d_model=16, num_queries=12, encoder_ffn_dim=32, decoder_ffn_dim=32, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, decoder_in_channels=[16, 16, 16], num_labels=4, anchor_image_size=[64, 96]), dict(size={"height": 64, "width": 96})),
    }
    for name, (architecture, processor, config, settings) in made.items():
        try:
            hub_detector(out, name, architecture, processor, config(), settings)
        except Exception as error:  # noqa: BLE001 a family goes on without one of its members
            deep.leave_out(out, KIND, f"hub-{name}", error)


def hub_detector(out, name, architecture, processor, config, settings):
    seeded("hub", name)
    names = NAMES[: config.num_labels]
    model = getattr(transformers, f"{architecture}ForObjectDetection")(config).eval()
    for key, parameter in model.named_parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, 0, (12 if "class" in key else 2.5) / parameter.shape[1] ** 0.5)
    if "pad" in name:
        # Otherwise "no object" wins everywhere.
        model.class_labels_classifier.bias.data[-1] -= 10
    imager = getattr(transformers, f"{processor}ImageProcessorPil")(**settings)
    graph = Both(model)
    keys = ["pixel_values", "pixel_mask"] if "pad" in name else ["pixel_values"]
    data, right, tensors = [], [], []
    for one in deep.files("hub", name):
        image = deep.pillow(one)
        inputs = imager(images=image, return_tensors="pt")
        feed = tuple(inputs[key] for key in keys)
        with torch.no_grad():
            answer = model(**dict(zip(keys, feed)))
        if is_unstable(graph, feed):
            continue
        result = imager.post_process_object_detection(answer, threshold=0.5, target_sizes=[image.size[::-1]])[0]
        order = result["scores"].argsort(descending=True)
        if near_tie(result["scores"].numpy(), 0.5):
            continue
        data.append(one)
        tensors.append(feed)
        right.append(found(result["boxes"][order].numpy(), result["scores"][order].numpy(), result["labels"][order].numpy(), names))
    assert any(one["boxes"] for one in right)
    version = deep.case(out, KIND, f"hub-{name}", yaml=None, inputs=[image_input(one) for one in data], right=right,
                        source=f"transformers {transformers.__version__}, {deep.torch_source()}")
    folder = deep.hub(version)
    imager.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"architectures": [f"{architecture}ForObjectDetection"], "model_type": config.model_type,
                                                    "id2label": {str(i): label for i, label in enumerate(names)}}))
    path = folder / "onnx" / "model.onnx"
    sides = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    export(graph, tensors[0], path, inputs=keys, outputs=["logits", "pred_boxes"], dynamic=(sides,) if "shortest" in name else None)
    deep.as_hub_data(path)
    deep.check_graph(path, graph, tensors)


def is_unstable(graph, feed):
    """Whether rounding to float32 alone changes the net's answers, as where random weights make large numbers."""
    exact = copy.deepcopy(graph).double()
    with torch.no_grad():
        logits, boxes = graph(*feed)
        exact_logits, exact_boxes = exact(*(one.double() if one.is_floating_point() else one for one in feed))
        pairs = (logits.sigmoid(), exact_logits.sigmoid()), (logits.softmax(-1), exact_logits.softmax(-1)), (boxes, exact_boxes)
        return any(float((a - b).abs().max()) > 2e-5 for a, b in pairs)


def build(out):
    yolos(out)
    postprocessed(out)
    torchvision_detectors(out)
    hub_detectors(out)


if __name__ == "__main__":
    import sys
    from pathlib import Path

    build(Path(sys.argv[1]))
