"""
Writes the images in pictures/, and the results of Pillow and the image processors of transformers for them to
images.json and images.bin.gz.

Needs Python 3.11 with pillow 13.0.0, numpy 2.4.6 and transformers 5.24.0 (no torch):

    python test/worker/goldens/make-images.py && npm run fix

images.json lists the cases. `at` is the offset of a case in images.bin (levels are uint8, values are float32).
"""
import gzip
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps
from transformers.image_transforms import center_crop, get_resize_output_image_size, get_size_with_aspect_ratio
from transformers.image_utils import get_image_size_for_max_height_width
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "pictures"
WIDTH, HEIGHT = 45, 31
FILTERS = {"nearest": 0, "bilinear": 2, "bicubic": 3, "lanczos": 1}
random = np.random.default_rng(7)
blob = bytearray()


def keep(array):
    """Appends the bytes of an array and returns their offset."""
    at = len(blob)
    blob.extend(np.ascontiguousarray(array).tobytes())
    return at


def photo(width, height):
    """Gradients, hard edges in every direction and a little noise, so that all four corners differ."""
    y, x = np.mgrid[0:height, 0:width]
    u, v = x / width, y / height
    disc = ((u - 0.35) ** 2 + (v - 0.6) ** 2 < 0.06) * 90
    stripes = ((x + 2 * y) // 7 % 2) * 60 * (u > 0.6)
    planes = [250 * u - disc, 250 * v - stripes, 125 * (2 - u - v) + disc + stripes]
    levels = np.stack(planes, -1) + random.normal(0, 3, (height, width, 3))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def png(width, height, depth, color, rows, extra=b"", interlaced=False):
    """PNG variants that Pillow cannot write: 16 bits per channel, 2-bit and 4-bit grayscale, interlaced."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    body = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def packed(levels, depth):
    """Packs rows of gray levels, several per byte."""
    bits = ((levels[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(levels.shape[0], -1)
    return [row.tobytes() for row in np.packbits(bits.astype(np.uint8), axis=1)]


def adam7(pixels):
    for x, y, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
        yield from (row.tobytes() for row in pixels[y::dy, x::dx])


def foreign_profile():
    """sRGB with red and blue swapped: a decoder that applies the profile changes every pixel."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"tmp!", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tmp!", b"bXYZ", 1)


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def write_pictures():
    rgb = photo(WIDTH, HEIGHT)
    grey = rgb.convert("L")
    levels = np.asarray(grey).astype(int)
    ramp = np.broadcast_to(np.linspace(30, 220, WIDTH).astype(np.uint8), (HEIGHT, WIDTH))
    rgba = Image.merge("RGBA", [*rgb.split(), Image.fromarray(np.where(ramp < 90, 0, ramp).astype(np.uint8))])
    palette = rgb.quantize(32)
    deep = (np.asarray(rgb).astype(int) * 257 - 100).clip(0, 65535).astype(">u2")
    deep_grey = (levels * 256 + 200).astype(">u2")

    def save(name, picture, **options):
        picture.save(PICTURES / name, **options)

    save("baseline.jpg", rgb, quality=90)
    save("progressive.jpg", rgb, quality=80, progressive=True)
    save("grey.jpg", grey, quality=90)
    save("cmyk.jpg", cmyk_of(rgb), quality=95)
    save("profile.jpg", rgb, quality=90, icc_profile=foreign_profile())
    save("profile.png", rgb, icc_profile=foreign_profile())
    save("rgb.png", rgb)
    save("grey.png", grey)
    save("grey-alpha.png", Image.merge("LA", [grey, rgba.getchannel("A")]))
    save("alpha.png", rgba)
    save("palette.png", palette)
    save("palette-2-bit.png", rgb.quantize(4))
    save("palette-transparent.png", palette, transparency=bytes(range(0, 256, 8)))
    save("color-key.png", rgb, transparency=rgb.getpixel((3, 3)))
    save("1-bit.png", grey.convert("1"))
    for depth in (2, 4):
        (PICTURES / f"{depth}-bit.png").write_bytes(png(WIDTH, HEIGHT, depth, 0, packed(levels >> (8 - depth), depth)))
    (PICTURES / "16-bit-grey.png").write_bytes(png(WIDTH, HEIGHT, 16, 0, [row.tobytes() for row in deep_grey]))
    (PICTURES / "16-bit.png").write_bytes(png(WIDTH, HEIGHT, 16, 2, [row.tobytes() for row in deep]))
    deep_alpha = np.concatenate([deep, deep[..., :1]], -1)
    (PICTURES / "16-bit-alpha.png").write_bytes(png(WIDTH, HEIGHT, 16, 6, [row.tobytes() for row in deep_alpha]))
    (PICTURES / "interlaced.png").write_bytes(png(WIDTH, HEIGHT, 8, 2, adam7(np.asarray(rgb)), interlaced=True))
    save("lossy.webp", rgb, quality=80)
    save("lossless.webp", rgb, lossless=True)
    save("alpha.webp", rgba, lossless=True, exact=True)
    save("alpha-lossy.webp", rgba, quality=80)
    save("animated.webp", rgb, save_all=True, append_images=[ImageOps.invert(rgb)], lossless=True)
    for orientation in range(1, 9):
        save(f"orientation-{orientation}.jpg", rgb, quality=90, exif=exif(orientation))
    save("orientation-6.png", rgb, exif=exif(6))
    save("orientation-8.webp", rgb, lossless=True, exif=exif(8))
    save("large.png", photo(150, 101), optimize=True)


def cmyk_of(rgb):
    """Converts RGB to CMYK with partial black generation."""
    cmy = 255 - np.asarray(rgb).astype(int)
    black = cmy.min(-1) // 2
    light = 255 - black
    inks = (cmy - black[..., None]) * 255 // light[..., None]
    return Image.fromarray(np.concatenate([inks, black[..., None]], -1).clip(0, 255).astype(np.uint8), "CMYK")


def opened(name):
    """Opens an image like most training code. Pillow clips 16-bit gray to 8 bits; this keeps the upper 8, as for color."""
    picture = ImageOps.exif_transpose(Image.open(PICTURES / name))
    if picture.mode.startswith("I"):
        picture = Image.fromarray((np.asarray(picture).astype(int) >> 8).astype(np.uint8))
    return picture.convert("RGB")


def decoded():
    for file in sorted(PICTURES.iterdir()):
        picture = opened(file.name)
        yield {"picture": file.name, "width": picture.width, "height": picture.height, "at": keep(picture)}


def grey():
    yield {"picture": "rgb.png", "at": keep(opened("rgb.png").convert("L"))}


def resized():
    large, small = opened("large.png"), opened("rgb.png")
    sizes = {
        "large.png": [(24, 24), (37, 14), (75, 50), (160, 20)],
        "rgb.png": [(70, 50), (60, 31), (15, 45), (31, 22), (4, 3), (1, 1)],
    }
    for name, resample in ((name, resample) for name in sizes for resample in FILTERS):
        for width, height in sizes[name]:
            picture = {"large.png": large, "rgb.png": small}[name].resize((width, height), FILTERS[resample])
            yield {"picture": name, "resample": resample, "width": width, "height": height, "at": keep(picture)}


def sizes():
    for _ in range(150):
        width, height, edge = (int(n) for n in random.integers(1, 90, 3))
        longest = None if random.random() < 0.4 else int(random.integers(edge + 1, 3 * edge + 2))
        if longest is None:
            array = np.zeros((height, width, 3), np.uint8)
            result = get_resize_output_image_size(array, edge, False, input_data_format="channels_last")
        else:
            result = get_size_with_aspect_ratio((height, width), edge, longest)
        resize = {"kind": "shortest", "edge": edge, "longest": longest}
        yield sized(width, height, resize, result)
    for _ in range(100):
        width, height, max_width, max_height = (int(n) for n in random.integers(1, 90, 4))
        resize = {"kind": "inside", "width": max_width, "height": max_height}
        yield sized(width, height, resize, get_image_size_for_max_height_width((height, width), max_height, max_width))


def sized(width, height, resize, result):
    result = [max(1, int(n)) for n in reversed(result)]
    return {"source": [width, height], "resize": resize, "content": result}


def cropped():
    picture = np.asarray(opened("rgb.png"))
    for width, height in [(45, 31), (30, 20), (31, 22), (45, 14), (46, 32), (48, 30), (20, 36), (52, 41), (1, 1)]:
        levels = center_crop(picture, (height, width), input_data_format="channels_last")
        yield {"width": width, "height": height, "at": keep(levels)}


MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def processed():
    """Complete image processors, configured as by their preprocessor_config.json."""
    scale = {"image_mean": MEAN, "image_std": STD}
    vit = ViTImageProcessorPil(size={"height": 24, "width": 24}, **scale)
    clip = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 24, "width": 24}, **scale)
    detr = DetrImageProcessorPil(size={"shortest_edge": 28, "longest_edge": 37}, do_pad=False, **scale)
    specs = {
        "ViTImageProcessor": (vit, {"resize": {"kind": "exact", "width": 24, "height": 24}, "resample": "bilinear"}),
        "CLIPImageProcessor": (
            clip,
            {
                "resize": {"kind": "shortest", "edge": 28, "longest": None},
                "resample": "bicubic",
                "crop": {"width": 24, "height": 24},
            },
        ),
        "DetrImageProcessor": (
            detr,
            {"resize": {"kind": "shortest", "edge": 28, "longest": 37}, "resample": "bilinear"},
        ),
    }
    for name, (processor, spec) in specs.items():
        values = np.asarray(processor(opened("large.png"))["pixel_values"][0], np.float32)
        spec = spec | {"rescaleFactor": processor.rescale_factor, "mean": MEAN, "std": STD}
        yield {"processor": name, "spec": spec, "shape": list(values.shape), "at": keep(values)}


PICTURES.mkdir(exist_ok=True)
write_pictures()
# Floats come first, so that they are aligned.
cases = {"processed": list(processed())}
cases |= {make.__name__: list(make()) for make in (decoded, grey, resized, cropped, sizes)}
(HERE / "images.json").write_text("\n".join(json.dumps(cases).replace("}, {", "},\n{").splitlines()) + "\n")
(HERE / "images.bin.gz").write_bytes(gzip.compress(bytes(blob), 9, mtime=0))
