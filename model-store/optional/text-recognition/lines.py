"""Lines of text as images, for the golden cases, with the font that Pillow brings."""
import base64
import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LINES = [
    "Hello, world!",
    "Invoice No. 2024-00317",
    "The quick brown fox jumps over the lazy dog",
    "Total: $1,299.00",
    "A",
    "OK",
    "ann@example.org",
    "https://example.org/a/b?c=1",
    "ALL CAPITAL LETTERS",
    "1234567890",
    "(a + b) * c = d / 2 - 5%",
    "A rather long line of text that is much wider than three hundred and twenty pixels at its height",
    "Café, naïve, Straße, señor",
    "mm ll oo 00 11 ttt",
    "Room 12B, 3rd floor",
    "",
]
# Height of the letters, of the image, and the angle in degrees.
SHAPES = [(32, 48, 0), (20, 28, 0), (64, 100, 0), (14, 18, 0), (30, 48, 2)]
COLORS = [("black", "white"), ("white", "navy"), ("#333", "#eed"), ("darkred", "lightgray")]


def line(text, shape, colors):
    size, height, angle = shape
    ink, paper = colors
    font = ImageFont.load_default(size)
    width = max(16, int(font.getlength(text)) + size)
    image = Image.new("RGB", (width, height), paper)
    ImageDraw.Draw(image).text((size // 2, height // 2), text, fill=ink, font=font, anchor="lm")
    return image.rotate(angle, resample=Image.Resampling.BILINEAR, fillcolor=paper)


def lines():
    """Each line in several sizes and colors, by turns."""
    for number, text in enumerate(LINES):
        for turn in range(3):
            shape = SHAPES[(number + 2 * turn) % len(SHAPES)]
            yield line(text, shape, COLORS[(number + turn) % len(COLORS)])


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def bgr(image):
    """As OpenCV reads images, and the package with it."""
    return np.asarray(image)[:, :, ::-1].copy()
