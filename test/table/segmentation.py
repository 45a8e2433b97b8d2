"""Semantic segmentation: nets of transformers and torchvision, and layouts of scores; the class of each pixel of the image."""
import json

import numpy as np
import torch
import torchvision
import transformers
from torch import nn

import deep
from deep import BATCH, export, image_input

KIND = "image-segmentation"
LABELS = ["background", "road", "tree", "car", "person", "sky"]


def seeded(*names):
    torch.manual_seed(int(deep.random(*names).integers(2**31)))


def run_lengths(classes, labels):
    """Masks by class, and how many pixels belong to each."""
    masks = []
    flat = np.asarray(classes).ravel()
    for index in np.unique(flat):
        inside = np.concatenate([[False], flat == index, [False]])
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        masks.append({"label": labels[int(index)], "runLengths": np.diff(np.concatenate([[0], edges])).tolist()})
    return masks


def answer_of(logits, size, labels):
    """`logits` [1, labels, h, w] to the size (height, width), as transformers interpolates them."""
    with torch.no_grad():
        full = nn.functional.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)[0]
    best = full.topk(2, 0).values
    return {"masks": run_lengths(full.argmax(0).numpy(), labels), "pixelsNearTie": int(((best[0] - best[1]) < 1e-4 * best[0].abs().clamp(min=1)).sum())}


class Field(nn.Module):
    def __init__(self, inner, key="logits"):
        super().__init__()
        self.inner, self.key = inner, key

    def forward(self, x):
        answer = self.inner(x)
        return answer[self.key] if isinstance(answer, dict) else getattr(answer, self.key)


def livelier(model, factor=2.0):
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, 0, factor / parameter[0].numel() ** 0.5)
        else:
            nn.init.normal_(parameter, 0.5, 0.5)


HUB = {
    "segformer": ("Segformer", "Segformer", lambda n: transformers.SegformerConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16, num_labels=n), dict(size={"height": 64, "width": 64})),
    "segformer-wide": ("Segformer", "Segformer", lambda n: transformers.SegformerConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16, num_labels=n), dict(size={"height": 64, "width": 96}, resample=3)),
    "segformer-reduced": ("Segformer", "Segformer", lambda n: transformers.SegformerConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16, num_labels=n), dict(size={"height": 64, "width": 64}, do_reduce_labels=True)),
    "mobilevit": ("MobileViT", "MobileViT", lambda n: transformers.MobileViTConfig(image_size=64, hidden_sizes=[16, 20, 24], neck_hidden_sizes=[8, 8, 12, 16, 20, 24, 32], num_attention_heads=2, aspp_out_channels=16, num_labels=n), dict(size={"shortest_edge": 72}, crop_size=64)),
    "mobilenet": ("MobileNetV2", "MobileNetV2", lambda n: transformers.MobileNetV2Config(image_size=64, depth_multiplier=0.35, num_labels=n), dict(size={"shortest_edge": 64}, crop_size=64)),
    "beit": ("Beit", "Beit", lambda n: transformers.BeitConfig(image_size=64, patch_size=16, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32, out_indices=[1, 2, 3, 4], pool_scales=[1, 2], num_labels=n), dict(size=64)),
    "dpt": ("DPT", "DPT", lambda n: transformers.DPTConfig(image_size=64, patch_size=16, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8, is_hybrid=False, readout_type="project", num_labels=n), dict(size={"height": 64, "width": 64})),
}


def hub(out):
    for name, (architecture, processor, config, settings) in HUB.items():
        for count in (2, 6):
            try:
                hub_case(out, f"{name}-{count}", architecture, processor, config(count), settings, LABELS[:count])
            except Exception as error:  # noqa: BLE001 a family goes on without one of its members
                deep.leave_out(out, KIND, f"hub-{name}-{count}", error)


def hub_case(out, name, architecture, processor, config, settings, labels):
    seeded(name)
    model = getattr(transformers, f"{architecture}ForSemanticSegmentation")(config).eval()
    livelier(model)
    imager = getattr(transformers, f"{processor}ImageProcessorPil")(**settings)
    data, right, tensors = deep.files(KIND, name), [], []
    for one in data:
        image = deep.pillow(one)
        pixels = imager(images=image, return_tensors="pt")["pixel_values"]
        tensors.append((pixels,))
        with torch.no_grad():
            answer = model(pixels)
        mine = answer_of(answer.logits, image.size[::-1], labels)
        theirs = imager.post_process_semantic_segmentation(answer, target_sizes=[image.size[::-1]])[0]
        assert mine["masks"] == run_lengths(theirs.numpy(), labels)
        right.append(mine)
    version = deep.case(out, KIND, f"hub-{name}", yaml=None, inputs=[image_input(one) for one in data], right=right,
                        source=f"transformers {transformers.__version__}, {deep.torch_source()}")
    folder = deep.hub(version)
    imager.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"architectures": [f"{architecture}ForSemanticSegmentation"], "model_type": config.model_type,
                                                    "id2label": {str(i): label for i, label in enumerate(labels)}}))
    path = folder / "onnx" / "model.onnx"
    export(Field(model), (pixels,), path, inputs=["pixel_values"], outputs=["logits"], dynamic=None)
    deep.as_hub_data(path) if len(labels) == 2 else deep.inline(path)
    deep.check_graph(path, Field(model), tensors)


class Coarse(nn.Module):
    """Scores on a grid of every fourth pixel."""

    def __init__(self, labels, form):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 4, stride=4), nn.Conv2d(8, labels, 3, padding=1)
        self.form = form

    def logits(self, x):
        if self.form.startswith("uint8"):
            x = x.permute(0, 3, 1, 2).float() / 255
        return self.b(torch.sin(self.a(x) * 3)) * 3

    def forward(self, x):
        y = self.logits(x)
        if self.form == "softmax":
            return y.softmax(1)
        if self.form in ("nhwc", "uint8-nhwc"):
            return y.permute(0, 2, 3, 1)
        if self.form in ("classes", "uint8-classes"):
            return y.argmax(1)
        if self.form == "classes-int32":
            return y.argmax(1).int()
        if self.form == "full":
            return nn.functional.interpolate(y, scale_factor=4, mode="bilinear", align_corners=False)
        return y


def layouts(out):
    for form in ("logits", "softmax", "nhwc", "full", "classes", "classes-int32", "uint8-nhwc", "uint8-classes"):
        for letterboxed in (False, True):
            name = f"{form}{'-letterbox' if letterboxed else ''}"
            seeded("layout", name)
            model = Coarse(4, form).eval()
            image = {"fit": "letterbox", "pad": {"position": "corner", "color": 7}} if letterboxed else {}
            data, right, tensors = deep.files("layout", name), [], []
            size = (64, 48)
            for one in data:
                picture = deep.pillow(one)
                width, height = picture.size
                content = size
                if letterboxed:
                    scale = min(size[1] / height, size[0] / width)
                    content = (max(1, int(width * scale)), max(1, int(height * scale)))
                levels = np.full((size[1], size[0], 3), 7, np.uint8)
                levels[: content[1], : content[0]] = np.asarray(picture.resize(content, 2))
                tensor = torch.from_numpy(levels)[None] if form.startswith("uint8") else torch.from_numpy(levels.transpose(2, 0, 1).copy())[None].float() / 255
                tensors.append((tensor,))
                with torch.no_grad():
                    logits = model.logits(tensor)
                right.append(located(logits, form, content, size, (width, height), LABELS[:4]))
            version = deep.case(out, KIND, f"yaml-{name}", yaml={"task": "image-segmentation", "labels": LABELS[:4], "image": image},
                                inputs=[image_input(one) for one in data], right=right, source=deep.torch_source())
            export(model, (tensor.repeat(2, 1, 1, 1),), version / "model.onnx", inputs=["x"], outputs=["y"])
            deep.inline(version / "model.onnx")
            deep.check_graph(version / "model.onnx", model, tensors)


def located(logits, form, content, size, source, labels):
    """The classes of the pixels of the source: each is looked up at its place in the tensor."""
    width, height = source
    x = (torch.arange(width, dtype=torch.float64) + 0.5) * content[0] / width / size[0]
    y = (torch.arange(height, dtype=torch.float64) + 0.5) * content[1] / height / size[1]
    grid = torch.stack(torch.meshgrid(y * 2 - 1, x * 2 - 1, indexing="ij")[::-1], -1)[None]
    if "classes" in form:
        classes = logits.argmax(1, keepdim=True).double()
        column = (x * classes.shape[3]).floor().long().clamp(max=classes.shape[3] - 1)
        row = (y * classes.shape[2]).floor().long().clamp(max=classes.shape[2] - 1)
        best = classes[0, 0][row][:, column]
        return {"masks": run_lengths(best.numpy(), labels), "pixelsNearTie": 0}
    values = logits.double()
    if form == "softmax":
        values = values.softmax(1)
    if form == "full":
        values = nn.functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False).double()
    full = nn.functional.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
    best = full.topk(2, 0).values
    return {"masks": run_lengths(full.argmax(0).numpy(), labels), "pixelsNearTie": int(((best[0] - best[1]) < 1e-4 * best[0].abs().clamp(min=1)).sum())}


def torchvision_nets(out):
    from torchvision.models import segmentation

    for name in ("lraspp", "deeplab", "fcn"):
        try:
            seeded(name)
            labels = LABELS[:4]
            if name == "lraspp":
                model = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=4)
            else:
                backbone = nn.ModuleDict({"out": nn.Sequential(nn.Conv2d(3, 16, 4, stride=4), nn.Tanh())})

                class Backbone(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.layer = backbone["out"]

                    def forward(self, x):
                        return {"out": self.layer(x)}

                head = segmentation.deeplabv3.DeepLabHead(16, 4, atrous_rates=(2, 3, 4)) if name == "deeplab" else segmentation.fcn.FCNHead(16, 4)
                kind = segmentation.DeepLabV3 if name == "deeplab" else segmentation.FCN
                model = kind(Backbone(), head)
            model = Field(model.eval(), "out").eval()
            livelier(model, 3)
            mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
            data, right, tensors = deep.files(name), [], []
            for one in data:
                picture = deep.pillow(one)
                levels = np.asarray(picture.resize((64, 64), 2)) / 255
                tensor = torch.from_numpy(((levels - mean) / std).transpose(2, 0, 1).copy()).float()[None]
                tensors.append((tensor,))
                with torch.no_grad():
                    right.append(answer_of(model(tensor), picture.size[::-1], labels))
            version = deep.case(out, KIND, f"torchvision-{name}", yaml={"task": "image-segmentation", "labels": labels, "image": {"image_mean": mean, "image_std": std}},
                                inputs=[image_input(one) for one in data], right=right, source=f"torchvision {torchvision.__version__.split('+')[0]}")
            export(model, (tensor.repeat(2, 1, 1, 1),), version / "model.onnx", inputs=["input"], outputs=["out"])
            deep.check_graph(version / "model.onnx", model, tensors)
        except Exception as error:  # noqa: BLE001
            deep.leave_out(out, KIND, f"torchvision-{name}", error)


def build(out):
    layouts(out)
    hub(out)
    torchvision_nets(out)


if __name__ == "__main__":
    import sys
    from pathlib import Path

    build(Path(sys.argv[1]))
