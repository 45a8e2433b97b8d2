"""Classifiers of images: architectures and image processors of transformers, and graphs described by model.yaml."""
import json
import re

import cv2
import numpy as np
import torch
import transformers
from PIL import Image
from torch import nn

import deep
from deep import BATCH, export, image_input

KIND = "image-classification"
LABELS = ["ant", "bee", "cat", "dog", "elk"]
SOURCE = f"transformers {transformers.__version__}, {deep.torch_source()}, Pillow {Image.__version__}"


class Logits(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, pixel_values):
        return self.inner(pixel_values).logits


class TinyNet(nn.Module):
    """Sees every pixel, and any size."""

    def __init__(self, channels=3, outputs=4):
        super().__init__()
        self.first = nn.Conv2d(channels, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.out = nn.Linear(16, outputs)

    def forward(self, pixel_values):
        y = torch.tanh(self.second(torch.tanh(self.first(pixel_values) * 2)) * 2)
        top = y.amax((2, 3))
        return self.out(torch.cat([y.mean((2, 3)), top], 1)) * 4


def seeded(*names):
    torch.manual_seed(int(deep.random(*names).integers(2**31)))


def spread(model, pixels, target=2.0):
    """Scales the last layer, so that the classes of a net with random weights differ."""
    with torch.no_grad():
        logits = model(pixels)
    return float(target / max(1e-6, (logits - logits.mean(1, keepdim=True)).abs().max()))


class Scaled(nn.Module):
    def __init__(self, inner, factor):
        super().__init__()
        self.inner, self.factor = inner, factor

    def forward(self, pixel_values):
        return self.inner(pixel_values) * self.factor


def repository(out, name, model, processor, *, config, processor_file=None, sizes=None, hub_data=False, open_sizes=False, why="", tolerance=1e-4):
    """A folder as of the Hub, and what the image processor and the model of transformers answer."""
    labels = LABELS[: config.get("classes", 4)]
    data = deep.files(KIND, name, **({"sizes": sizes} if sizes else {}))
    pixels = [processor(images=deep.pillow(one), return_tensors="pt")["pixel_values"] for one in data]
    model = Scaled(model.eval(), spread(model.eval(), pixels[0])).eval()
    with torch.no_grad():
        right = [deep.scores_of(labels, model(one).softmax(-1).numpy()) for one in pixels]
    version = deep.case(out, KIND, name, yaml=None, inputs=[image_input(one) for one in data], right=right,
                        source=SOURCE, why=why, tolerance=tolerance)
    folder = deep.hub(version)
    (folder / "config.json").write_text(json.dumps({
        "architectures": [config["architecture"]], "model_type": config["model_type"],
        "id2label": {str(i): label for i, label in enumerate(labels)}, "label2id": {label: i for i, label in enumerate(labels)},
    }))
    if processor_file is None:
        processor.save_pretrained(folder)
    else:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor_file))
    path = folder / "onnx" / "model.onnx"
    example = pixels[0].repeat(2, 1, 1, 1)
    sides = {2: torch.export.Dim("height"), 3: torch.export.Dim("width")} if open_sizes else {}
    export(model, (example,), path, inputs=["pixel_values"], outputs=["logits"], dynamic=({0: BATCH, **sides},))
    if hub_data:
        deep.as_hub_data(path)
    else:
        deep.inline(path)
    deep.check_graph(path, model, [(one,) for one in pixels])


# ── architectures ──

SMALL = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
STAGES = dict(hidden_sizes=[8, 16], depths=[1, 1])

ARCHITECTURES = {
    "vit": ("ViT", dict(image_size=32, patch_size=8, **SMALL), ("ViT", dict(size=32))),
    "vit-do-normalize-false": ("ViT", dict(image_size=32, patch_size=8, **SMALL), ("ViT", dict(size=32, do_normalize=False))),
    "vit-do-rescale-false": ("ViT", dict(image_size=32, patch_size=8, **SMALL), ("ViT", dict(size=32, do_rescale=False, image_mean=[127.5] * 3, image_std=[127.5] * 3))),
    "vit-wide": ("ViT", dict(image_size=[24, 40], patch_size=8, **SMALL), ("ViT", dict(size={"height": 24, "width": 40}, resample=3))),
    "deit": ("DeiT", dict(image_size=32, patch_size=8, **SMALL), ("DeiT", dict(size=36, crop_size=32))),
    "deit-teacher": ("DeiTForImageClassificationWithTeacher", dict(image_size=32, patch_size=8, **SMALL), ("DeiT", dict(size=40, crop_size={"height": 32, "width": 32}))),
    "beit": ("Beit", dict(image_size=32, patch_size=8, **SMALL), ("Beit", dict(size=36, do_center_crop=True, crop_size=32))),
    "dinov2": ("Dinov2", dict(image_size=28, patch_size=7, hidden_size=16, num_hidden_layers=2, num_attention_heads=2), ("Bit", dict(size={"shortest_edge": 32}, crop_size=28, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]))),
    "clip": ("CLIP", dict(vision_config=dict(image_size=32, patch_size=8, **SMALL), projection_dim=16), ("CLIP", dict(size={"shortest_edge": 32}, crop_size=32))),
    "siglip": ("Siglip", dict(vision_config=dict(image_size=32, patch_size=8, **SMALL)), ("Siglip", dict(size={"height": 32, "width": 32}))),
    "convnext": ("ConvNext", dict(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_stages=4), ("ConvNext", dict(size={"shortest_edge": 48}, crop_pct=0.875))),
    "convnext-384": ("ConvNext", dict(hidden_sizes=[4, 4, 8, 8], depths=[1, 1, 1, 1], num_stages=4), ("ConvNext", dict(size={"shortest_edge": 384}))),
    "convnextv2": ("ConvNextV2", dict(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_stages=4), ("ConvNext", dict(size={"shortest_edge": 40}, crop_pct=0.95))),
    "resnet": ("ResNet", dict(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"), ("ConvNext", dict(size={"shortest_edge": 32}, crop_pct=0.9))),
    "regnet": ("RegNet", dict(embedding_size=8, groups_width=8, **STAGES), ("ConvNext", dict(size={"shortest_edge": 64}))),
    "bit": ("Bit", dict(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_groups=2, width_factor=1), ("Bit", dict(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}))),
    "swin": ("Swin", dict(image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4), ("ViT", dict(size=32, resample=3))),
    "mobilenet-v1": ("MobileNetV1", dict(image_size=32, depth_multiplier=0.25), ("MobileNetV1", dict(size={"shortest_edge": 36}, crop_size=32))),
    "mobilenet-v2": ("MobileNetV2", dict(image_size=32, depth_multiplier=0.35), ("MobileNetV2", dict(size={"shortest_edge": 40}, crop_size=32))),
    "mobilevit": ("MobileViT", dict(image_size=64, hidden_sizes=[16, 20, 24], neck_hidden_sizes=[8, 8, 12, 16, 20, 24, 32], num_attention_heads=2), ("MobileViT", dict(size={"shortest_edge": 72}, crop_size=64))),
    "levit": ("Levit", dict(image_size=32, hidden_sizes=[16, 24, 32], num_attention_heads=[1, 2, 2], depths=[1, 1, 1], key_dim=[8, 8, 8], drop_path_rate=0, mlp_ratio=[2, 2, 2], attention_ratio=[2, 2, 2]), ("Levit", dict(size={"shortest_edge": 32}, crop_size=32))),
    "pvt": ("Pvt", dict(image_size=32, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], sequence_reduction_ratios=[4, 2, 1, 1]), ("Pvt", dict(size=32))),
    "cvt": ("Cvt", dict(embed_dim=[8, 16, 16], num_heads=[1, 2, 2], depth=[1, 1, 1]), ("ConvNext", dict(size={"shortest_edge": 32}))),
    "segformer": ("Segformer", dict(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2]), ("Segformer", dict(size={"height": 48, "width": 64}))),
    "poolformer": ("PoolFormer", dict(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1]), ("PoolFormer", dict(size={"shortest_edge": 32}, crop_pct=None, crop_size=32))),
    "efficientnet": ("EfficientNet", dict(image_size=32, width_coefficient=0.25, depth_coefficient=0.25, hidden_dim=320), ("EfficientNet", dict(size=32, include_top=False))),
}


def architectures(out):
    for name, (architecture, config, (processor, settings)) in ARCHITECTURES.items():
        try:
            seeded(name)
            full = architecture if "ForImage" in architecture else f"{architecture}ForImageClassification"
            base = re.sub("ForImage.*", "", architecture)
            made = getattr(transformers, f"{base}Config")(**config, num_labels=4)
            model = getattr(transformers, full)(made).eval()
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.running_mean.normal_(0, 0.1)
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    nn.init.normal_(parameter, 0, 0.3 / parameter.shape[1] ** 0.5 * 2)
            imager = getattr(transformers, f"{processor}ImageProcessorPil")(**settings)
            repository(out, name, Logits(model), imager, config={"architecture": full, "model_type": made.model_type}, hub_data=len(name) % 2 == 0)
        except Exception as error:  # noqa: BLE001 a family goes on without one of its members
            deep.leave_out(out, KIND, name, error)


# ── image processors, with the keys that files of several releases have ──

FILES = {
    "vit-number": ("ViT", {"feature_extractor_type": "ViTFeatureExtractor", "do_resize": True, "do_normalize": True, "size": 40, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}),
    "vit-short": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": {"height": 40, "width": 40}}),
    "vit-fast": ("ViT", {"image_processor_type": "ViTImageProcessorFast", "size": {"height": 40, "width": 40}, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4], "do_normalize": True}),
    "vit-nearest": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": {"height": 31, "width": 50}, "resample": 0, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": True}),
    "vit-lanczos": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": {"height": 31, "width": 50}, "resample": 1, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": True}),
    "vit-box": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": {"height": 31, "width": 50}, "resample": 4, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": True}),
    "vit-hamming": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": {"height": 31, "width": 50}, "resample": 5, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": True}),
    "deit-number": ("DeiT", {"feature_extractor_type": "DeiTFeatureExtractor", "size": 44, "crop_size": 36, "do_center_crop": True, "resample": 3, "do_normalize": True, "do_resize": True, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
    "deit-short": ("DeiT", {"image_processor_type": "DeiTImageProcessor", "size": {"height": 44, "width": 44}, "crop_size": {"height": 36, "width": 36}}),
    "beit-no-crop": ("Beit", {"feature_extractor_type": "BeitFeatureExtractor", "size": 40, "crop_size": 40, "do_center_crop": False, "resample": 2, "do_normalize": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}),
    "beit-short": ("Beit", {"image_processor_type": "BeitImageProcessor", "size": {"height": 40, "width": 40}}),
    "clip-number": ("CLIP", {"feature_extractor_type": "CLIPFeatureExtractor", "size": 40, "crop_size": 40, "do_center_crop": True, "resample": 3, "do_normalize": True, "do_resize": True, "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}),
    "clip-short": ("CLIP", {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 40}, "crop_size": {"height": 40, "width": 40}}),
    "clip-large-crop": ("CLIP", {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "crop_size": {"height": 48, "width": 41}, "do_center_crop": True, "resample": 3, "do_normalize": True, "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}),
    "clip-no-resize": ("CLIP", {"image_processor_type": "CLIPImageProcessor", "do_resize": False, "size": {"shortest_edge": 32}, "crop_size": {"height": 40, "width": 40}, "do_center_crop": True, "do_normalize": True, "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}),
    "siglip-number": ("Siglip", {"image_processor_type": "SiglipImageProcessor", "size": 40, "do_center_crop": True, "crop_size": 40, "resample": 3, "do_normalize": True, "do_rescale": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}),
    "siglip-short": ("Siglip", {"image_processor_type": "SiglipImageProcessor", "size": {"height": 40, "width": 40}}),
    "mobilevit-number": ("MobileViT", {"feature_extractor_type": "MobileViTFeatureExtractor", "crop_size": 40, "do_center_crop": True, "do_flip_channel_order": True, "do_resize": True, "resample": 2, "size": 44}),
    "mobilevit-short": ("MobileViT", {"image_processor_type": "MobileViTImageProcessor", "size": {"shortest_edge": 44}, "crop_size": {"height": 40, "width": 40}}),
    "mobilevit-null": ("MobileViT", {"image_processor_type": "MobileViTImageProcessor", "size": {"shortest_edge": 44}, "crop_size": {"height": 40, "width": 40}, "do_normalize": None, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_flip_channel_order": True, "do_center_crop": True, "resample": 2}),
    "mobilenet-number": ("MobileNetV2", {"feature_extractor_type": "MobileNetV2FeatureExtractor", "crop_size": 40, "do_center_crop": True, "do_resize": True, "do_normalize": True, "resample": 2, "size": 44, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}),
    "mobilenet-short": ("MobileNetV1", {"image_processor_type": "MobileNetV1ImageProcessor", "size": {"shortest_edge": 44}, "crop_size": {"height": 40, "width": 40}}),
    "convnext-number": ("ConvNext", {"feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875, "do_resize": True, "do_normalize": True, "resample": 3, "size": 40, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
    "convnext-short": ("ConvNext", {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 40}}),
    "vit-null": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": {"height": 40, "width": 40}, "do_normalize": None}),
    "clip-null": ("CLIP", {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 40}, "do_center_crop": None, "resample": 1}),
    "convnext-384-number": ("ConvNext", {"feature_extractor_type": "ConvNextFeatureExtractor", "do_resize": True, "do_normalize": True, "resample": 3, "size": 384, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
    "levit-number": ("Levit", {"feature_extractor_type": "LevitFeatureExtractor", "do_center_crop": True, "do_resize": True, "do_normalize": True, "resample": 3, "size": 40, "crop_size": 40, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
    "levit-short": ("Levit", {"image_processor_type": "LevitImageProcessor", "size": {"shortest_edge": 40}, "crop_size": {"height": 40, "width": 40}}),
    "levit-exact": ("Levit", {"image_processor_type": "LevitImageProcessor", "size": {"height": 44, "width": 48}, "crop_size": {"height": 40, "width": 40}, "do_center_crop": True, "resample": 3, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}),
    "pvt-number": ("Pvt", {"image_processor_type": "PvtImageProcessor", "size": 40, "resample": 2, "do_normalize": True, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
    "bit-short": ("Bit", {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 44}, "crop_size": {"height": 40, "width": 40}}),
    "segformer-number": ("Segformer", {"feature_extractor_type": "SegformerFeatureExtractor", "size": 40, "resample": 2, "do_normalize": True, "do_resize": True, "reduce_labels": True, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
    "segformer-short": ("Segformer", {"image_processor_type": "SegformerImageProcessor", "size": {"height": 40, "width": 56}}),
    "textnet": ("TextNet", {"image_processor_type": "TextNetImageProcessor", "size": {"shortest_edge": 40}, "size_divisor": 32, "do_normalize": True, "resample": 2, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
    "efficientnet-short": ("EfficientNet", {"image_processor_type": "EfficientNetImageProcessor", "size": {"height": 40, "width": 40}, "include_top": False}),
    "dpt": ("DPT", {"image_processor_type": "DPTImageProcessor", "size": {"height": 40, "width": 40}, "resample": 3, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}),
    "dpt-ratio": ("DPT", {"image_processor_type": "DPTImageProcessor", "size": {"height": 40, "width": 40}, "keep_aspect_ratio": True, "ensure_multiple_of": 8, "resample": 3, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}),
    "rescale-offset": ("EfficientNet", {"image_processor_type": "EfficientNetImageProcessor", "size": {"height": 40, "width": 40}, "include_top": False, "rescale_offset": True, "rescale_factor": 1 / 127.5, "do_normalize": False, "resample": 0}),
    "pad": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": {"shortest_edge": 24, "longest_edge": 48}, "do_pad": True, "pad_size": {"height": 48, "width": 48}, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}),
    "shortest-and-longest": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": {"shortest_edge": 24, "longest_edge": 36}, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}),
    "max-sides": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": {"max_height": 24, "max_width": 36}, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}),
}
REFUSED_FILES = {"vit-box": "resample", "vit-hamming": "resample", "textnet": "size_divisor", "dpt-ratio": "keep_aspect_ratio"}


def processors(out):
    for name, (processor, file) in FILES.items():
        seeded("processor", name)
        try:
            imager = getattr(transformers, f"{processor}ImageProcessorPil").from_dict(dict(file))
            repository(out, f"processor-{name}", TinyNet(), imager, processor_file=file, open_sizes=True, sizes=[(97, 64), (50, 120), (64, 64), (201, 150), (33, 20), (121, 50)],
                       config={"architecture": "ViTForImageClassification", "model_type": "vit"})
            if name in REFUSED_FILES:
                path = out / KIND / f"processor-{name}" / "expected.json"
                expected = json.loads(path.read_text())
                path.write_text(json.dumps({**expected, "kind": "refuse", "right": [], "words": ["preprocessor_config.json", REFUSED_FILES[name]]}))
        except Exception as error:  # noqa: BLE001
            deep.leave_out(out, KIND, f"processor-{name}", error)


# ── graphs described by model.yaml ──


def resized(image, size, how):
    if how.startswith("opencv"):
        flag = getattr(cv2, "INTER_" + {"opencv-nearest": "NEAREST", "opencv-linear": "LINEAR", "opencv-area": "AREA", "opencv-cubic": "CUBIC", "opencv-lanczos4": "LANCZOS4"}[how])
        return cv2.resize(image, size, interpolation=flag)
    return np.asarray(Image.fromarray(image).resize(size, {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}[how]))


def described(out, name, image, *, size=(40, 32), how="bilinear", layout="NCHW", dtype=torch.float32, letterbox=None,
              color="rgb", mean=None, std=None, factor=1 / 255, shortest=None, crop=None, before=True, why="", says=None):
    """`letterbox`: (position, level), with the level added before or after normalization."""
    seeded("described", name)
    channels = 1 if color == "grey" else 3
    inner = TinyNet(channels)
    integer = not dtype.is_floating_point

    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            y = x.to(torch.float32)
            if integer:
                y = y / 255
            if layout == "NHWC":
                y = y.permute(0, 3, 1, 2)
            return torch.softmax(self.inner(y), -1)

    model = Graph().eval()
    tensors = []
    data = deep.files(KIND, name)
    for one in data:
        pixels = opencv_or_pillow(one, how)
        if color == "grey":
            pixels = np.asarray(Image.fromarray(pixels).convert("L"))
        height, width = pixels.shape[:2]
        target = size
        if letterbox:
            ratio = min(size[1] / height, size[0] / width)
            turn = round if letterbox[0] == "center" else int
            target = tuple(max(1, turn(n * ratio)) for n in (width, height))
        if shortest:
            ratio = shortest / min(width, height)
            target = tuple(shortest if n == min(width, height) else int(shortest * n / min(width, height)) for n in (width, height))
        levels = resized(pixels, target, how)
        levels = levels[..., None] if levels.ndim == 2 else levels
        if crop:
            left, top = (levels.shape[1] - crop[0]) // 2, (levels.shape[0] - crop[1]) // 2
            levels = levels[top : top + crop[1], left : left + crop[0]]
        values = levels.astype(np.float64)
        mask = None
        if letterbox and before:
            values = padded(values, size, letterbox)
        if color == "bgr":
            values = values[..., ::-1]
        values = values * factor
        if mean:
            values = (values - np.array(mean)) / np.array(std)
        if letterbox and not before:
            values = padded(values, size, letterbox)
        tensor = torch.from_numpy(values.copy()).to(dtype)[None]
        tensors.append(tensor if layout == "NHWC" else tensor.permute(0, 3, 1, 2).contiguous())
    factor_of_logits = spread(lambda t: model.inner((t.float() / 255 if integer else t.float()) if layout == "NCHW" else (t.float() / (255 if integer else 1)).permute(0, 3, 1, 2)), tensors[0])
    with torch.no_grad():
        inner.out.weight.mul_(factor_of_logits)
        inner.out.bias.mul_(factor_of_logits)
        right = [deep.scores_of(LABELS[:4], model(t).numpy()) for t in tensors]
    version = deep.case(out, KIND, f"yaml-{name}", yaml={"task": "image-classification", "labels": LABELS[:4], "image": image},
                        inputs=[image_input(one) for one in data], right=[] if says else right, why=why, says=says,
                        source=f"{deep.torch_source()}, {'OpenCV ' + cv2.__version__ if how.startswith('opencv') else 'Pillow ' + Image.__version__}")
    path = version / "model.onnx"
    open_sides = {} if not shortest or crop else {2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    export(model, (tensors[0].repeat(2, 1, 1, 1),), path, inputs=["image"], outputs=["probabilities"], dynamic=({0: BATCH, **open_sides},))
    deep.inline(path)
    deep.check_graph(path, model, [(one,) for one in tensors])


def opencv_or_pillow(data, how):
    return deep.opencv(data) if how.startswith("opencv") else np.asarray(deep.pillow(data))


def padded(values, size, letterbox):
    position, level = letterbox
    height, width = values.shape[:2]
    full = np.empty((size[1], size[0], values.shape[2]))
    full[:] = level
    left, top = (0, 0) if position == "corner" else (round((size[0] - width) / 2 - 0.1), round((size[1] - height) / 2 - 0.1))
    full[top : top + height, left : left + width] = values
    return full


def yaml_graphs(out):
    size = {"width": 40, "height": 32}
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    described(out, "plain", {"size": size})
    described(out, "size-of-graph", {"color": "rgb"})
    described(out, "normalized", {"image_mean": mean, "image_std": std}, mean=mean, std=std)
    described(out, "bgr", {"color": "bgr", "image_mean": mean, "image_std": std}, color="bgr", mean=mean, std=std)
    described(out, "grey", {"color": "grey"}, color="grey")
    described(out, "levels", {"rescale_factor": 1, "image_mean": [128, 128, 128], "image_std": [128, 128, 128]}, factor=1, mean=[128] * 3, std=[128] * 3)
    described(out, "nhwc", {"resample": "bicubic"}, layout="NHWC", how="bicubic")
    described(out, "uint8", {"size": size}, dtype=torch.uint8, factor=1)
    described(out, "uint8-nhwc", {"size": size}, dtype=torch.uint8, layout="NHWC", factor=1)
    described(out, "uint8-nhwc-bgr", {"color": "bgr"}, dtype=torch.uint8, layout="NHWC", factor=1, color="bgr")
    described(out, "int32", {"rescale_factor": 1}, dtype=torch.int32, factor=1)
    described(out, "half", {"image_mean": mean, "image_std": std}, dtype=torch.float16, mean=mean, std=std)
    described(out, "shortest-crop", {"size": {"shortest_edge": 44}, "crop_size": {"width": 40, "height": 36}}, shortest=44, crop=(40, 36))
    described(out, "shortest", {"size": {"shortest_edge": 44}}, shortest=44)
    for filter in ("nearest", "bicubic", "lanczos", "opencv-nearest", "opencv-linear", "opencv-area"):
        described(out, filter, {"resample": filter}, how=filter)
    for filter in ("opencv-cubic", "opencv-lanczos4"):
        described(out, filter, {"resample": filter}, how=filter, says=["model.yaml: image.resample", "opencv-area"],
                  why="OpenCV's fixed-point arithmetic differs between its builds")
    for position in ("corner", "center"):
        described(out, f"letterbox-{position}", {"fit": "letterbox", "pad": {"color": 114, "position": position}}, letterbox=(position, 114))
        described(out, f"letterbox-{position}-color", {"fit": "letterbox", "pad": {"color": [10, 200, 30], "position": position}, "image_mean": mean, "image_std": std}, letterbox=(position, [10, 200, 30]), mean=mean, std=std)
        described(out, f"letterbox-{position}-after", {"fit": "letterbox", "pad": {"value": 0, "position": position}, "image_mean": mean, "image_std": std}, letterbox=(position, 0), before=False, mean=mean, std=std)
        described(out, f"letterbox-{position}-opencv-uint8", {"fit": "letterbox", "resample": "opencv-linear", "pad": {"color": [1, 2, 3], "position": position}, "layout": "NHWC"}, how="opencv-linear", dtype=torch.uint8, layout="NHWC", factor=1, letterbox=(position, [1, 2, 3]))


def build(out):
    architectures(out)
    processors(out)
    yaml_graphs(out)


if __name__ == "__main__":
    import sys
    from pathlib import Path

    build(Path(sys.argv[1]))
