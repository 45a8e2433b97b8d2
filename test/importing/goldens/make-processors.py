"""
Writes processors.json: one picture as transformers' image processors see it, with files that leave out keys.

Needs Python 3.12 with transformers 5.24.0, torch 2.15.0 and pillow 13.0.0:

    python test/importing/goldens/make-processors.py
"""
import base64
import io
import json
from pathlib import Path

import numpy as np
import transformers
from PIL import Image

random = np.random.default_rng(4)
y, x = np.mgrid[0:41, 0:67]
levels = np.stack([x * 3, y * 6, (x * y) % 256], 2) + random.integers(0, 20, (41, 67, 3))
picture = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
file = io.BytesIO()
picture.save(file, "PNG")

EDGE = {"height": 24, "width": 24}
SHORT = {"shortest_edge": 24}
FILES = {
    "Beit": [{"size": EDGE}, {"size": 24, "do_center_crop": True, "crop_size": 20}, {}],
    "Bit": [{"size": SHORT, "crop_size": EDGE}, {}],
    "Blip": [{"size": EDGE}],
    "ChineseCLIP": [{"size": SHORT, "crop_size": 24}],
    "CLIP": [{"size": 24, "crop_size": 20}, {"size": SHORT, "do_center_crop": False, "do_normalize": False}, {"do_resize": False, "crop_size": {"height": 60, "width": 30}}],
    "ConditionalDetr": [{"size": {"shortest_edge": 24, "longest_edge": 30}}],
    "ConvNext": [{"size": SHORT}, {"size": 24, "crop_pct": 0.6}, {}],
    "DeformableDetr": [{"size": EDGE}],
    "DeiT": [{"size": 28, "crop_size": 24}, {"size": EDGE, "crop_size": EDGE, "image_mean": [0.1, 0.2, 0.3]}],
    "Detr": [{"size": SHORT | {"longest_edge": 90}}, {"size": 24, "max_size": 30}, {"size": SHORT | {"longest_edge": 36}, "pad_size": {"height": 40, "width": 40}}],
    "DPT": [{"size": EDGE}],
    "EfficientNet": [{"size": EDGE}, {"size": EDGE, "include_top": False}, {"size": EDGE, "rescale_offset": True, "rescale_factor": 1 / 127.5}, {"size": EDGE, "do_normalize": False, "resample": 0}],
    "Levit": [{"size": SHORT, "crop_size": EDGE}, {"size": 24, "crop_size": 20}, {"size": EDGE, "crop_size": 20}],
    "MobileNetV1": [{"size": SHORT, "crop_size": 20}],
    "MobileNetV2": [{"size": 24, "crop_size": 20, "do_pad": True, "pad_size": EDGE}],
    "MobileViT": [{"size": SHORT, "crop_size": 20}, {"size": 24, "crop_size": 20, "do_normalize": None, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}, {"size": 24, "crop_size": 20, "do_flip_channel_order": False}],
    "PoolFormer": [{"size": SHORT, "crop_size": 20}, {"size": EDGE, "crop_size": 20, "crop_pct": 0.5}, {"size": 24, "crop_size": 24, "crop_pct": None}],
    "Pvt": [{"size": 24}],
    "RTDetr": [{"size": EDGE}, {"size": EDGE, "do_normalize": True}],
    "Segformer": [{"size": 24}, {"size": 24, "do_center_crop": True, "crop_size": 20}, {"size": {"height": 20, "width": 30}, "do_pad": True, "pad_size": {"height": 40, "width": 40}}],
    "Siglip": [{"size": EDGE}, {"size": 24, "do_center_crop": True, "crop_size": 24}],
    "ViT": [{"size": EDGE, "do_normalize": None, "do_rescale": None}, {"size": EDGE, "do_resize": None}, {"size": 24}, {"size": EDGE, "do_rescale": False}, {"size": {"shortest_edge": 20, "longest_edge": 30}, "do_pad": True, "pad_size": {"height": 30, "width": 32}}, {}],
    "Yolos": [{"size": {"shortest_edge": 32, "longest_edge": 90}}],
}


def case(name, file, named):
    processor = getattr(transformers, f"{name}ImageProcessorPil").from_dict(dict(file))
    values = processor(images=picture, return_tensors="np")["pixel_values"][0].astype(np.float64)
    flat = values.ravel()
    places = random.integers(0, flat.size, 12)
    model = named if named in MODEL_TYPES else None
    full = dict(file) if model else {"image_processor_type": f"{name}ImageProcessor", **file}
    return {
        "name": f"{name} with {json.dumps(file)}" + (f" of {model}" if model else ""), "file": full, "modelType": model,
        "shape": values.shape[1:], "means": values.mean((1, 2)).round(6).tolist(), "squares": (values**2).mean((1, 2)).round(6).tolist(),
        "samples": [[int(i), round(float(flat[i]), 6)] for i in places],
    }


MODEL_TYPES = {"swin": "ViT", "resnet": "ConvNext", "dinov2": "Bit"}
cases = [case(name, one, None) for name, files in FILES.items() for one in files]
cases += [case(name, {"size": SHORT if name != "ViT" else EDGE}, model) for model, name in MODEL_TYPES.items()]
text = json.dumps({"png": base64.b64encode(file.getvalue()).decode(), "cases": cases}).replace('}, {"name"', '},\n{"name"')
(Path(__file__).parent / "processors.json").write_text(text + "\n")
