"""What the families of deep nets share: pictures, exports, and the files of a case."""
import base64
import io
import json
import logging
import re
import shutil
import warnings
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import torch
from PIL import Image, ImageDraw

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
torch.set_num_threads(1)

BATCH = torch.export.Dim("N")
FLOATS = {np.dtype("float32"): "FP32", np.dtype("float16"): "FP16", np.dtype("float64"): "FP64"}


def random(*names):
    """A generator that depends only on the names."""
    return np.random.default_rng([byte for name in names for byte in str(name).encode()])


def case(out, kind, name, *, yaml, inputs, right, source, why="", tolerance=1e-4, says=None, raw_differs=False):
    """
    Writes model.yaml and expected.json, and returns the folder of version 1.

    `says`: for a refusal, words that it must have.
    """
    # Masks are compared pixel by pixel, so that an input with a tie is left out.
    pairs = [(i, r) for i, r in zip(inputs, right) if not isinstance(r, dict) or not r.pop("pixelsNearTie", 0)]
    if right:
        inputs, right = map(list, zip(*pairs))
    folder = Path(out) / kind / name
    shutil.rmtree(folder, ignore_errors=True)
    version = folder / "model" / "1"
    version.mkdir(parents=True)
    if yaml is not None:
        (folder / "model" / "model.yaml").write_text(yaml if isinstance(yaml, str) else json.dumps(yaml) + "\n")
    expected = {
        "kind": "ready" if says is None else "refuse",
        "words": says or "",
        "why": why,
        "source": source,
        "tolerance": tolerance,
        "inputs": inputs,
        "right": right,
        "rawDiffers": raw_differs,
        "ties": [],
    }
    (folder / "expected.json").write_text(json.dumps(expected, default=plain) + "\n")
    return version


def plain(value):
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, torch.Tensor):
        return value.detach().numpy().tolist()
    raise TypeError(type(value))


def leave_out(out, kind, name, error):
    """Says that PyTorch or transformers cannot make a case, and removes what was written of it."""
    shutil.rmtree(Path(out) / kind / name, ignore_errors=True)
    print("LEFT OUT", name, type(error).__name__, str(error).splitlines()[:1])


def hub(version):
    """The folder of a version as a repository of the Hub: no version folder, the graph in onnx/."""
    repository = version.parent
    version.rmdir()
    (repository / "onnx").mkdir()
    return repository


def torch_source():
    return f"torch {torch.__version__.split('+')[0]}"


def export(model, arguments, path, *, inputs, outputs, dynamic=True, **options):
    """PyTorch's default export, which writes the weights into a file beside the graph."""
    shapes = tuple({0: BATCH} for _ in arguments) if dynamic is True else (dynamic or None)
    torch.onnx.export(
        model.eval(), arguments, str(path), dynamo=True, verbose=False,
        input_names=inputs, output_names=outputs, dynamic_shapes=shapes, **options,
    )


def inline(path):
    """Moves the weights back into the graph, as owners of small models do."""
    model = onnx.load(str(path))
    onnx.save_model(model, str(path))
    Path(f"{path}.data").unlink(missing_ok=True)


def as_hub_data(path):
    """As the Hub names the data file: model.onnx_data."""
    model = onnx.load(str(path))
    Path(f"{path}.data").unlink(missing_ok=True)
    onnx.save_model(model, str(path), save_as_external_data=True, location="model.onnx_data")


def check_graph(path, model, feeds, tolerance=1e-4):
    """
    Writes rawDiffers into expected.json: whether ONNX Runtime's Python package itself answers something else than `model`.

    `feeds`: for each input of the case, the tensors that `model` takes, in the order of the graph's inputs.
    """
    [file] = [folder / "expected.json" for folder in Path(path).parents if (folder / "expected.json").exists()]
    expected = json.loads(file.read_text())
    if expected["kind"] == "ready":
        expected["rawDiffers"] = differs(path, model, feeds, tolerance)
        file.write_text(json.dumps(expected) + "\n")


def differs(path, model, feeds, tolerance):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # As in the service: this optimization of ONNX Runtime changes answers.
    session = onnxruntime.InferenceSession(str(path), options, disabled_optimizers=["Pad_Fusion"])
    names = [one.name for one in session.get_inputs()]
    for tensors in feeds:
        with torch.no_grad():
            wanted = model(*tensors)
        answers = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, tensors)})
        for answer, right in zip(answers, wanted if isinstance(wanted, (tuple, list)) else [wanted]):
            answer, right = answer.astype(float), right.double().numpy()
            if answer.size != right.size or not np.allclose(answer.reshape(right.shape), right, atol=tolerance, rtol=tolerance):
                return True
    return False


def scores_of(labels, scores):
    scores = np.asarray(scores, dtype=np.float64).ravel()
    return {"label": labels[int(scores.argmax())], "scores": dict(zip(labels, scores))}


# ── pictures ──


def picture(width, height, *seed):
    """A drawing with smooth colors, edges, thin lines and some noise."""
    rng = random("picture", width, height, *seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [
        127 + 127 * np.sin(x * a / width + y * b / height + c) for a, b, c in rng.uniform(0, 9, (3, 3))
    ]
    levels = np.stack(planes, 2) + rng.normal(0, 6, (height, width, 3))
    image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x0, y0 = rng.integers(0, width), rng.integers(0, height)
        color = tuple(int(n) for n in rng.integers(0, 256, 3))
        box = [int(x0), int(y0), int(x0 + rng.integers(1, width)), int(y0 + rng.integers(1, height))]
        [draw.rectangle, draw.ellipse, draw.line][int(rng.integers(3))](box, fill=color)
    # No two places look the same.
    noisy = np.asarray(image) + rng.integers(-3, 4, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def encoded(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def image_input(data):
    return {"image": {"base64": base64.b64encode(data).decode()}}


SIZES = [(97, 64), (50, 120), (64, 64), (201, 150), (33, 20)]


def files(*seed, sizes=SIZES):
    """Pictures as PNG and JPEG, in several shapes; as bytes."""
    rng = random("files", *seed)
    found = []
    for i, (width, height) in enumerate(sizes):
        image = picture(width, height, *seed)
        if i % 5 == 1:
            found.append(encoded(image, "JPEG", quality=int(rng.integers(70, 96)), subsampling=int(rng.integers(3))))
        elif i % 5 == 2:
            rgba = image.convert("RGBA")
            rgba.putalpha(Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8)))
            found.append(encoded(rgba))
        elif i % 5 == 3:
            exif = Image.Exif()
            exif[0x0112] = int(rng.integers(1, 9))
            found.append(encoded(image, "JPEG", quality=92, exif=exif))
        elif i % 5 == 4:
            found.append(encoded(image.convert("L")))
        else:
            found.append(encoded(image))
    return found


def pillow(data):
    """As `transformers.image_utils.load_image` reads a file."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")


def opencv(data):
    """As `cv2.imread` reads a file, in RGB."""
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def snake(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
