"""
Asks sentence-transformers and writes golden.json; with --check it compares an added model with sentence-transformers.

Needs Python 3.11 with requirements-source.txt (PyTorch: several gigabytes). Run from the repository root:

    pip install -r model-store/optional/all-minilm-l6-v2/requirements-source.txt
    python model-store/optional/all-minilm-l6-v2/golden.py
    python model-store/optional/all-minilm-l6-v2/golden.py --check model-store/all-minilm-l6-v2

The check reads only the files of the added model: tokenizer.json with `tokenizers`, the graph with ONNX Runtime.
"""
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np

os.environ["HF_HUB_OFFLINE"] = "1"
import sentence_transformers
from sentence_transformers import SentenceTransformer

from convert import check_digests, packaged_files

HERE = Path(__file__).resolve().parent
SEED = 7
TOLERANCE = 1e-4
MAX_TOKENS = 256

LONG = (
    "The lighthouse keeper wrote down the wind, the height of the waves and the ships that passed, every three hours, "
    "for thirty-one years. "
)
TEXTS = [
    "A man is playing a guitar on the stage.",
    "How do I return a parcel that arrived broken?",
    "Yes",
    "...",
    "Version 2.10.3 (beta): $1,299.00 — 50% off, isn't it?! #sale @noon <b>now</b> C:\\temp\\a_b",
    "She said: “Don’t!” … and left.",
    "SHOUTING and WhIsPeRiNg are the same to this model.",
    "Über den Flüssen fährt der Großvater täglich nach Łódź, São Paulo und Reykjavík.",
    "Cafe\u0301 and Café are one; so are naïve and naive.",
    "Tiếng Việt có nhiều dấu: những chữ này có hai dấu.",
    "ΟΔΥΣΣΕΥΣ και ΙΣΤΑΝΒΟΥΛ; İstanbul, ISPARTA, DŽUNGLA, ẞ",
    "我喜欢在雨天读书。東京は夜の七時です。",
    "서울의 봄은 벚꽃이 예쁘다. ガラスのように、ぱりん。",
    "Где находится ближайшая аптека? أين أقرب صيدلية؟ איפה בית המרקחת? दवा की दुकान कहाँ है?",
    "Great job 🎉👩‍👩‍👧 👍🏽 ☕️ €5 ½ ² ﬁ Ｆｕｌｌ　ｗｉｄｔｈ",
    "no\u00a0break, zero\u200bwidth, soft\u00adhyphen, tab\there, line\r\nend, control\u0007bell, replaced\ufffdone",
    "x" * 101 + " " + "y" * 100,
    "The words [SEP] and [MASK] may stand in a text.",
    "unaffordable antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    # As many tokens as fit, [CLS] and [SEP] among them; then one more; then many more.
    "tree " * (MAX_TOKENS - 2),
    "tree " * (MAX_TOKENS - 2) + "house",
    LONG * 20,
]
SIMILARITIES = [
    ("That is a happy person.", ["That is a happy dog.", "That is a very happy person.", "Today is a sunny day."]),
    (
        "How can I change my password?",
        [
            "Resetting the secret you log in with",
            "Where do I see my invoices?",
            "How can I change my password?",
            "My parrot sings in the morning.",
        ],
    ),
    ("The bank raised its interest rates.", ["Loans have become dearer.", "We sat on the bank of the river."]),
    ("The film was not good at all.", ["The film was very good.", "I was bored by this movie."]),
    ("Ein Hund läuft über die Wiese.", ["A dog runs across the meadow.", "Eine Katze schläft auf dem Sofa."]),
    (LONG * 20, [LONG, "A cookbook for beginners"]),
]


def source_model():
    check_digests(packaged_files())
    return SentenceTransformer(str(packaged_files()), device="cpu")


def vectors_of(model, texts):
    """Each text alone, so that no answer depends on its neighbours' padding."""
    return model.encode(texts, batch_size=1, show_progress_bar=False).astype(np.float64)


def rounded(values):
    return [round(float(value), 7) for value in values]


def golden_cases(model):
    cases = [
        {"input": {"text": text}, "expect": {"vector": rounded(vector)}}
        for text, vector in zip(TEXTS, vectors_of(model, TEXTS))
    ]
    for source, sentences in SIMILARITIES:
        first, *others = vectors_of(model, [source, *sentences])
        similarities = [first @ other / np.linalg.norm(first) / np.linalg.norm(other) for other in others]
        asked = {"source": source, "sentences": sentences}
        cases.append({"input": {"similarity": asked}, "expect": {"similarities": rounded(similarities)}})
    return cases


def write_golden():
    source = f"sentence-transformers {sentence_transformers.__version__}"
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in golden_cases(source_model()))
    path = HERE / "golden.json"
    path.write_text(f'{{"source":{json.dumps(source)},"tolerance":{TOLERANCE},"cases":[\n{lines}\n]}}\n')
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.stat().st_size:,}  golden.json")


class Added:
    """The model as a service runs it: from the files of its folder alone."""

    def __init__(self, folder):
        import onnxruntime
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        limit = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
        self.tokenizer.enable_truncation(limit)
        self.tokenizer.enable_padding()
        self.session = onnxruntime.InferenceSession(str(folder / "onnx" / "model.onnx"))

    def encode(self, texts):
        encodings = self.tokenizer.encode_batch(texts)
        feeds = {
            "input_ids": [encoding.ids for encoding in encodings],
            "attention_mask": [encoding.attention_mask for encoding in encodings],
            "token_type_ids": [encoding.type_ids for encoding in encodings],
        }
        feeds = {name: np.array(value, np.int64) for name, value in feeds.items()}
        (hidden,) = self.session.run(["last_hidden_state"], feeds)
        kept = feeds["attention_mask"][..., None]
        mean = (hidden * kept).sum(axis=1) / kept.sum(axis=1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def random_texts(count):
    """Words, and between them any character of the first two planes of Unicode but the surrogates."""
    random = np.random.default_rng(SEED)
    words = LONG.split()
    texts = []
    for _ in range(count):
        kinds = random.random(random.integers(1, 300)) < 0.8
        drawn = [*random.choice(words, len(kinds))]
        strange = [chr(c if c < 0xD800 else c + 0x800) for c in random.integers(1, 0x20000 - 0x800, len(kinds))]
        texts.append(" ".join(str(w) if is_word else c for is_word, w, c in zip(kinds, drawn, strange)))
    return texts


def check(folder):
    source, added = source_model(), Added(folder)
    good = True
    for name, texts in {"golden texts": TEXTS, "random texts": random_texts(300)}.items():
        wanted = vectors_of(source, texts)
        for size in (1, 16):
            found = np.concatenate([added.encode(texts[i : i + size]) for i in range(0, len(texts), size)])
            difference = float(np.abs(found - wanted).max())
            good = good and difference < 1e-5
            print(f"{difference:.2e}  largest difference in a vector: {len(texts)} {name} in batches of {size}")
    worst = 0.0
    for case in json.loads((HERE / "golden.json").read_text())["cases"]:
        if "text" in case["input"]:
            found, wanted = added.encode([case["input"]["text"]])[0], case["expect"]["vector"]
        else:
            asked = case["input"]["similarity"]
            first, *others = added.encode([asked["source"], *asked["sentences"]])
            found, wanted = np.array(others) @ first, case["expect"]["similarities"]
        worst = max(worst, float(np.abs(found - np.array(wanted)).max()))
    print(f"{worst:.2e}  largest difference from golden.json")
    return 0 if good and worst < 1e-5 else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        sys.exit(check(Path(sys.argv[2])))
    write_golden()
