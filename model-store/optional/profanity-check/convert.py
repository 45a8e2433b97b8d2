"""
Converts the classifier of the package alt-profanity-check, and writes golden cases from the package itself.

    python convert.py <empty folder>

Needs Python 3.11 or later with requirements.txt. From the repository root `npm run models:add -- profanity-check` does it
all. The package's files are pickles of scikit-learn: words weighted by TF-IDF, five linear support vector machines with a
sigmoid each, and the mean of the five. Here this is an ONNX graph, written node by node.
"""
import importlib.util
import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
VERSION = "1.9.1"
PACKAGE = "profanity_check"
DIGESTS = {
    "model.joblib": "aeafc04849d4d93db4721cf30a86ebf22085595294b8a07d51918e7fa98f538b",
    "vectorizer.joblib": "19c5200dc6a41f026e0558e2f164f5fe8d8f58e502b46b37e4385037fcfa4831",
}
LABELS = ["clean", "profane"]
TOLERANCE = 1e-5
# Words as scikit-learn finds them, `\w\w+` of Python: letters, numbers and the underscore of all alphabets.
WORD = r"[\p{L}\p{N}_][\p{L}\p{N}_]+"
SETTINGS = {
    "analyzer": "word", "lowercase": True, "ngram_range": (1, 1), "norm": "l2", "preprocessor": None, "strip_accents": None,
    "sublinear_tf": False, "token_pattern": r"(?u)\b\w\w+\b", "tokenizer": None, "use_idf": True, "binary": False,
}
TEXTS = [
    "Hello, how are you?",
    "You stupid idiot, go away!",
    "You are a fucking idiot.",
    "You suck at this game, go to hell!",
    "The weather is lovely today, let us go for a walk along the river.",
    "What the hell is going on here",
    "This is total bullshit, you stupid moron",
    "I think the committee should discuss the second proposal again.",
    "go die in a fire",
    "shut up",
    "You are dumb",
    "Please find the report attached. Kind regards, Ann",
    "She lives in Scunthorpe and studies assassins in medieval literature.",
    "THE CAPITALS ARE NOT SHOUTING",
    "YOU STUPID IDIOT",
    "damn, that was close",
    "kill yourself",
    "crap",
    "a b c",
    "...",
    "12345 67890",
    "the and of to",
    "idiot " * 200,
    "Thank you very much for your help with the article about the history of trains. " * 20,
    "naïve café ÀÉÎ straße",
    "Ты идиот",
    "你是白痴",
    "😀 you are an idiot 😀",
    "you_are_an_idiot",
    "don't be a jerk",
    "f u c k",
    "bitch!!!",
    "He said \"screw you\" and left",
    "new\nline\tand\ttab idiot",
    "pussy cat, where have you been",
    "The cock crowed at dawn.",
    "I hate you",
    "I love you",
    "loser",
    "wtf is this shit?",
    "Go away you ugly pig",
]


def packaged(name):
    return Path(importlib.util.find_spec(PACKAGE).submodule_search_locations[0]) / "data" / name


def check_digests():
    """Before the pickles are loaded, because loading one can run code."""
    for name, expected in DIGESTS.items():
        found = hashlib.sha256(packaged(name).read_bytes()).hexdigest()
        if found != expected:
            sys.exit(f"{name} is not the file this recipe was written for: sha256 {found} instead of {expected}.")


def weights(classifier):
    """
    Of all five as one matrix: a sigmoid of (a · decision + b), negated, is one of weights and bias multiplied by −a. In
    double precision, because some decisions cancel out.
    """
    columns, biases = [], []
    for one in classifier.calibrated_classifiers_:
        (calibrator,) = one.calibrators
        columns.append(-calibrator.a_ * one.estimator.coef_[0])
        biases.append(-calibrator.a_ * one.estimator.intercept_[0] - calibrator.b_)
    return np.array(columns).T, np.array(biases)


def graph_nodes(vectorizer):
    words = [str(word) for word in vectorizer.get_feature_names_out()]
    node = helper.make_node
    return [
        node("Reshape", ["text", "flat"], ["texts"]),
        node("StringNormalizer", ["texts"], ["lowered"], case_change_action="LOWER", locale="C.UTF-8"),
        node("Tokenizer", ["lowered"], ["tokens"], domain="com.microsoft", mark=0, mincharnum=1, pad_value="#", tokenexp=WORD),
        node(
            "TfIdfVectorizer", ["tokens"], ["weighted"], mode="TFIDF", min_gram_length=1, max_gram_length=1, max_skip_count=0,
            ngram_counts=[0], ngram_indexes=list(range(len(words))), pool_strings=words, weights=vectorizer.idf_.tolist(),
        ),
        node("LpNormalization", ["weighted"], ["features"], axis=-1, p=2),
        node("MatMul", ["features", "weights"], ["product"]),
        node("Add", ["product", "bias"], ["logits"]),
        node("Sigmoid", ["logits"], ["votes"]),
        node("ReduceMean", ["votes"], ["profane"], axes=[1], keepdims=1),
        node("Sub", ["one", "profane"], ["clean"]),
        node("Concat", ["clean", "profane"], ["probabilities"], axis=1),
    ]


def build(vectorizer, classifier):
    matrix, bias = weights(classifier)
    constants = {
        "flat": np.array([-1], np.int64),
        "weights": matrix.astype(np.float32),
        "bias": bias.astype(np.float32),
        "one": np.ones((1, 1), np.float32),
    }
    graph = helper.make_graph(
        graph_nodes(vectorizer),
        "profanity-check",
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["batch", 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    operators = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=operators, ir_version=8, producer_name="modelgraph-recipe")


def main(target):
    check_digests()
    import profanity_check.profanity_check as package

    settings = package.vectorizer.get_params()
    if any(settings[key] != value for key, value in SETTINGS.items()) or list(package.model.classes_) != [0, 1]:
        sys.exit("The classifier has other settings than this recipe was written for.")
    for name in ("README.md", "LICENSE"):
        shutil.copyfile(HERE / name, target / name)
    (target / "model.yaml").write_text(
        f"task: text-classification\nowner: Modelgraph\nframework: scikit-learn 1.9.1\nlabels: {json.dumps(LABELS)}\n"
        "output: { scores: probabilities, activation: none }\nexample: { text: \"You stupid idiot, go away!\" }\n"
    )
    (target / "1").mkdir()
    onnx.save(build(package.vectorizer, package.model), target / "1" / "model.onnx")
    cases = []
    for text, label, score in zip(TEXTS, package.predict(TEXTS), package.predict_prob(TEXTS)):
        scores = {LABELS[0]: 1 - float(score), LABELS[1]: float(score)}
        cases.append({"input": {"text": text}, "expect": {"label": LABELS[int(label)], "scores": scores}})
    golden = {"source": f"alt-profanity-check {VERSION}", "tolerance": TOLERANCE, "cases": cases}
    (target / "1" / "golden.json").write_text(json.dumps(golden))
    print(f"{len(cases)} golden cases from alt-profanity-check {VERSION}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
