"""The files of the package rapidocr-onnxruntime, from which two recipes take their graphs."""
import hashlib
import importlib.util
import sys
from pathlib import Path

VERSION = "1.4.4"


def packaged(name):
    return Path(importlib.util.find_spec("rapidocr_onnxruntime").submodule_search_locations[0]) / name


def checked_graph(name, sha256):
    path = packaged("models") / name
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        sys.exit(f"{name} is not the file this recipe was written for: sha256 {found} instead of {sha256}.")
    return path
