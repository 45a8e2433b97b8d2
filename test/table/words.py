"""Families of scikit-learn that read words: TF-IDF with locales and stop words, and string lookups. `build(out)` writes all."""
import warnings

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import skl2onnx
import sklearn
from onnx import TensorProto, helper
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, OrdinalEncoder

from text_parts import case, model_folder, yaml

SKLEARN = f"scikit-learn {sklearn.__version__}"
NEAR = 1e-5
warnings.filterwarnings("ignore")

FRENCH = [
    ("un éclair au chocolat", "dessert"), ("crème brûlée", "dessert"), ("le café crème", "dessert"), ("gâteau", "dessert"),
    ("le match de tennis", "sport"), ("une équipe gagne", "sport"), ("le but décisif", "sport"), ("été sportif", "sport"),
    ("les élections à venir", "politique"), ("le ministre à Genève", "politique"),
]
FRENCH_TEXTS = ["UN ÉCLAIR", "Éclair", "Crème Brûlée", "MATCH", "Café", "ÉQUIPE", "ÉTÉ", "GÂTEAU au CHOCOLAT", "Œuf", "ÇA", "ΣΑΣ", "élections À Genève",
                "le le le", "Straße GRÖSSE", "ÅNGSTRÖM"]
ENGLISH = [("the movie was great", "good"), ("a wonderful film", "good"), ("loved the actors", "good"), ("the plot was awful", "bad"),
           ("boring and bad", "bad"), ("hated the film", "bad"), ("nobody laughed", "bad"), ("great great fun", "good")]
ENGLISH_TEXTS = ["The MOVIE was GREAT", "awful", "Boring plot and awful film", "nobody", "the", "great, awful; fun!", "x", "loved it", "HATED", "Wonderful actors"]


def raw_differs(proto, name, texts, right, classes):
    """Whether ONNX Runtime, which runs the graph directly, differs from scikit-learn already. False where it cannot run it."""
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        found = session.run(None, {name: np.array([[text] for text in texts])})
    except Exception:
        return False
    if not np.array_equal(np.asarray(found[0]).astype(str).flatten(), np.array([one["label"] for one in right])):
        return True
    if "scores" not in right[0] or len(found) < 2:
        return False
    expected = np.array([[one["scores"][label] for label in classes] for one in right])
    return bool(np.abs(np.asarray(found[1], dtype=np.float64) - expected).max() > NEAR)


def words(name, why, vectorizer=TfidfVectorizer, model=None, locale="C.UTF-8", data="french", pattern=r"[^\s]+", kind=None, says=None, drop=False, **options):
    def make(out):
        folder, files = model_folder(out, "words", name)
        pairs, tried = (FRENCH, FRENCH_TEXTS) if data == "french" else (ENGLISH, ENGLISH_TEXTS)
        texts, labels = zip(*pairs)
        own = {} if pattern is None else {"token_pattern": pattern}
        found = make_pipeline(vectorizer(**own, **options), LogisticRegression(C=10) if model is None else model).fit(texts, labels)
        last = found.steps[-1][1]
        given = {vectorizer: {**({} if pattern is None else {"tokenexp": pattern}), **({} if locale is None else {"locale": locale})}}
        if hasattr(last, "predict_proba"):
            given[type(last)] = {"zipmap": False}
        proto = skl2onnx.to_onnx(found, initial_types=[("text", StringTensorType([None, 1]))], options=given, target_opset={"": 18, "ai.onnx.ml": 3})
        if drop:
            for node in proto.graph.node:
                for attribute in [one for one in node.attribute if one.name == "locale"]:
                    node.attribute.remove(attribute)
        (files / "1").mkdir(exist_ok=True)
        onnx.save(proto, files / "1/model.onnx")
        yaml(files, "task: text-classification")
        classes = [str(one) for one in found.classes_]
        right = []
        for text in tried:
            label = str(found.predict([text])[0])
            right.append({"label": label, "scores": dict(zip(classes, found.predict_proba([text])[0].tolist()))} if hasattr(last, "predict_proba") else {"label": label})
        differs = raw_differs(proto, "text", tried, right, classes) if locale in ("C.UTF-8",) else False
        case(folder, kind or ("scores" if hasattr(last, "predict_proba") else "label"), why, [{"text": text} for text in tried], right, NEAR, SKLEARN,
             differs, **({"says": says} if says else {}))
    return make


LOCALE = ["locale", "C.UTF-8", "export"]


def vocabularies():
    made = [words(f"{kind.__name__.lower()}-{(locale or 'none').lower().replace('.', '-').replace('_', '-')}", f"locale {locale}", kind, locale=locale)
            for kind in [TfidfVectorizer, CountVectorizer] for locale in ["C", "POSIX", "C.UTF-8", "en_US.UTF-8", "en_US", "en-US", "en_US.utf8"]]
    made += [words(f"no-locale-{kind.__name__.lower()}", "the node names no locale", kind, locale=None, drop=True) for kind in [TfidfVectorizer, CountVectorizer]]
    made += [words(f"locale-{locale.lower().replace('.', '-').replace('_', '-')}", f"locale {locale}, which may not be installed: answered, or refused with what to use",
                   locale=locale, kind="answerOrRefuse", says=LOCALE) for locale in ["de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "sv_SE.UTF-8"]]
    made += [
        words("turkish", "Turkish has a case of its own for i: refused where it is not installed", locale="tr_TR.UTF-8", kind="answerOrRefuse", says=LOCALE),
        words("stop-words", "stop words", stop_words=["le", "la", "un", "une", "à", "été"]),
        words("stop-words-c", "stop words, locale C", locale="C", stop_words=["le", "été"]),
        words("stop-words-english", "the list of scikit-learn", data="english", stop_words="english"),
        words("keeps-case", "lowercase: False", lowercase=False),
        words("keeps-case-c", "lowercase: False, locale C", lowercase=False, locale="C"),
        words("bigrams", "ngram_range 1 to 2", ngram_range=(1, 2)),
        words("only-bigrams", "ngram_range 2 to 2", ngram_range=(2, 2), data="english"),
        words("binary", "binary counts", CountVectorizer, binary=True),
        words("sublinear", "sublinear_tf", sublinear_tf=True),
        words("no-idf", "use_idf: False", use_idf=False),
        words("norm-l1", "norm l1", norm="l1"),
        words("limited", "max_features 5", max_features=5),
        words("bayes", "naive Bayes", CountVectorizer, MultinomialNB()),
        words("perceptron", "a Perceptron: a label and no probabilities", model=Perceptron(random_state=0), kind="label"),
        words("sgd", "a logistic SGDClassifier", model=SGDClassifier(loss="log_loss", random_state=0)),
        words("forest", "a random forest", CountVectorizer, RandomForestClassifier(n_estimators=5, random_state=0)),
        words("default-pattern", "the default token pattern, English", data="english", pattern=None),
        words("default-pattern-french", "the default token pattern, accents: skl2onnx splits words at them", pattern=None),
    ]
    return made


# ── string lookups ──

def lookup(name, why, keys, values, inputs, right, given, kind="tensors", default=None, task=None, shape=("N",)):
    """A LabelEncoder by itself."""
    def make(out):
        folder, files = model_folder(out, "string-lookups", name)
        types = {str: ("strings", TensorProto.STRING), int: ("int64s", TensorProto.INT64), float: ("floats", TensorProto.FLOAT)}
        (from_name, from_type), (to_name, to_type) = types[type(keys[0])], types[type(values[0])]
        attributes = {f"keys_{from_name}": keys, f"values_{to_name}": values}
        if default is not None:
            attributes[f"default_{ {'strings': 'string', 'int64s': 'int64', 'floats': 'float'}[to_name]}"] = default
        node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", **attributes)
        info = helper.make_tensor_value_info
        graph = helper.make_graph([node], "lookup", [info("x", from_type, list(shape))], [info("y", to_type, list(shape))])
        (files / "1").mkdir(exist_ok=True)
        onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]), files / "1/model.onnx")
        if given:
            yaml(files, given)
        case(folder, kind, why, inputs, right, NEAR, f"Python (the table), numpy {np.__version__}")
    return make


def table_case(name, why, keys, values, tried, default, given=None):
    """The table as tensors: what Python's dictionary answers."""
    mapping = dict(zip(keys, values))
    found = [mapping.get(one, default) for one in tried]
    datatype = {str: "BYTES", int: "INT64", float: "FP32"}[type(keys[0])]
    as_data = lambda one: str(one) if isinstance(one, int) and abs(one) > 2**53 else one
    inputs = [{"tensors": [{"name": "x", "datatype": datatype, "shape": [len(tried)], "data": [as_data(one) for one in tried]}]}]
    return lookup(name, why, keys, values, inputs, [{"tensors": {"y": [as_data(one) for one in found]}}], given, default=default)


CITIES = ["paris", "Zürich", "東京", "new york", "São Paulo", ""]


def frame(name, why, encoder, model, classes=True):
    """A column of words and a number, encoded by scikit-learn and exported by skl2onnx."""
    def make(out):
        folder, files = model_folder(out, "string-lookups", name)
        random = np.random.default_rng(len(name))
        cities = np.array(["paris", "Zürich", "東京", "rome"])
        data = pd.DataFrame({"city": cities[random.integers(0, 4, 60)], "size": random.normal(size=60).astype(np.float32)})
        score = (data["city"].map({"paris": 0, "Zürich": 1, "東京": 2, "rome": -1}) + data["size"]).to_numpy()
        target = np.where(score > 0.5, "big", "small") if classes else score
        found = make_pipeline(ColumnTransformer([("words", encoder, ["city"])], remainder="passthrough"), model).fit(data, target)
        types = [("city", StringTensorType([None, 1])), ("size", FloatTensorType([None, 1]))]
        options = {type(model): {"zipmap": False}} if classes else None
        proto = skl2onnx.to_onnx(found, initial_types=types, options=options, target_opset={"": 18, "ai.onnx.ml": 3})
        (files / "1").mkdir(exist_ok=True)
        onnx.save(proto, files / "1/model.onnx")
        columns = "columns: [{ name: city, type: category, categories: [paris, Zürich, 東京, rome] }, { name: size, type: number }]"
        yaml(files, f"task: tabular-{'classification' if classes else 'regression'}\n{columns}")
        rows = data.drop_duplicates("city").to_dict("records") + data.head(8).to_dict("records")
        inputs, right = [], []
        for row in rows:
            row = {"city": str(row["city"]), "size": float(row["size"])}
            one = pd.DataFrame([row])
            inputs.append({"row": row})
            right.append({"label": str(found.predict(one)[0]), "scores": dict(zip(map(str, found.classes_), found.predict_proba(one)[0].tolist()))}
                         if classes else float(found.predict(one)[0]))
        case(folder, "scores" if classes else "value", why, inputs, right, NEAR, SKLEARN)
    return make


def label_encoder(name, why, labels):
    """LabelEncoder of scikit-learn by itself."""
    def make(out):
        folder, files = model_folder(out, "string-lookups", name)
        found = LabelEncoder().fit(labels)
        proto = skl2onnx.to_onnx(found, initial_types=[("x", StringTensorType([None, 1]))], target_opset={"": 18, "ai.onnx.ml": 3})
        (files / "1").mkdir(exist_ok=True)
        onnx.save(proto, files / "1/model.onnx")
        tried = list(found.classes_)
        output = proto.graph.output[0].name
        case(folder, "tensors", why, [{"tensors": [{"name": "x", "datatype": "BYTES", "shape": [len(tried), 1], "data": tried}]}],
             [{"tensors": {output: found.transform(tried).tolist()}}], NEAR, SKLEARN)
    return make


def lookups():
    ids = list(range(10, 16))
    made = [
        table_case("words-to-ids", "words become numbers; -1 for others", CITIES, ids, [*CITIES, "oslo", "PARIS"], -1),
        table_case("words-to-large-ids", "64-bit numbers beyond 2^53 are answered as strings", CITIES, [2**53 + i for i in range(1, 7)], [*CITIES, "oslo"], -(2**62) - 1),
        table_case("words-to-numbers", "words become floating-point numbers", CITIES, [0.5, -1.25, 1e10, 0.0, 3.5, 7.0], [*CITIES, "oslo"], -0.5),
        table_case("words-to-words", "words become words", CITIES, ["fr", "ch", "jp", "us", "br", "–"], [*CITIES, "oslo"], "unknown"),
        table_case("ids-to-words", "numbers become words", ids, CITIES, [*ids, 99], "none"),
        table_case("large-ids-to-words", "64-bit ids as strings in the request", [2**60 + i for i in range(6)], CITIES, [2**60, 2**60 + 5, 2**60 + 6], "none"),
        table_case("ids-to-ids", "numbers become numbers", ids, [3, 2, 1, 0, -1, -2], [*ids, 0], -9),
        table_case("numbers-to-words", "floating-point keys", [0.5, 1.5, 2.5, -0.5, 10.0, 100.0], CITIES, [0.5, 100.0, 3.0], "none"),
        table_case("one-word", "a table of one word", ["a"], [7], ["a", "b"], 0),
        table_case("emoji", "keys outside the basic plane", ["🏯", "👩‍👩‍👧", "é", "e\u0301"], [1, 2, 3, 4], ["🏯", "👩‍👩‍👧", "é", "e\u0301", "e"], 0),
    ]
    made += [label_encoder(f"label-encoder-{name}", "LabelEncoder of scikit-learn", labels) for name, labels in
             [("cities", CITIES[:5]), ("cases", ["a", "A", "b", "B"]), ("numbers", ["10", "9", "1"])]]
    made += [frame(f"{name}-{model}", f"{name} and {model}", encoder(), made_model(), model != "linear")
             for name, encoder in [("ordinal", lambda: OrdinalEncoder(categories=[["paris", "Zürich", "東京", "rome"]])),
                                   ("one-hot", lambda: OneHotEncoder(categories=[["paris", "Zürich", "東京", "rome"]])),
                                   ("one-hot-first-dropped", lambda: OneHotEncoder(drop="first")),
                                   ("one-hot-unknown", lambda: OneHotEncoder(handle_unknown="ignore"))]
             for model, made_model in [("logistic", lambda: LogisticRegression()), ("forest", lambda: RandomForestClassifier(n_estimators=5, random_state=0)),
                                       ("linear", lambda: LinearRegression())]]
    return made


def build(out):
    for make in [*vocabularies(), *lookups()]:
        make(out)
