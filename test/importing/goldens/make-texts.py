"""
Small text models as model owners export them, and what the source frameworks answer with them.

Needs Python 3.12 with requirements-texts.txt:

    OMP_NUM_THREADS=1 python test/importing/goldens/make-texts.py [folder ...]

The weights are random, from a seed. The libraries write the files of texts/, but for the cards, golden.json and the graphs
of static embeddings, which are built as model2vec's export script and torch's EmbeddingBag build them.
"""
import importlib
import json
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import sentence_transformers as st
import skl2onnx
import sklearn
import torch
import transformers as hf
from onnx import TensorProto, helper, numpy_helper
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, StaticEmbedding, Transformer
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

HERE = Path(__file__).resolve().parent / "texts"
TOLERANCE = 1e-5
MAX_TOKENS = 32
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = "the movie was good bad great awful plot in new york with zoe cafe paris query document : passage".split()
TEXTS = [
    "The movie was GOOD",
    "bad",
    "a much longer text about the awful great plot in New York with Zoë: " + "the plot was good and the movie was bad, " * 8,
    "🏯 café",
    "Paris, PARIS!",
    "[MASK] is in new york",
]

COMPARED = [*TEXTS, "", " \n"]

torch.set_num_threads(1)
warnings.filterwarnings("ignore")
hf.logging.set_verbosity_error()


# ── parts ──

def tokenizer(lowercase=True, special=True):
    letters = [chr(i) for i in range(ord("a"), ord("z") + 1)] + list("ABCDEFGHIJKLMNOPQRSTUVWXYZ.,!?:")
    tokens = [*SPECIAL, *WORDS, *letters, *(f"##{one}" for one in letters)]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    one = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    one.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    one.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    one.add_special_tokens(SPECIAL)
    if special:
        one.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return one


def fast(one, types=False):
    """Without token types, the second text of a pair counts as a part of the first."""
    names = {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]} if types else {}
    return hf.PreTrainedTokenizerFast(
        **names,
        tokenizer_object=one, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=MAX_TOKENS)


def bert(kind, seed, **options):
    torch.manual_seed(seed)
    config = hf.BertConfig(
        vocab_size=tokenizer().get_vocab_size(), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64, initializer_range=0.5, **options)
    return kind(config).eval()


class Outputs(torch.nn.Module):
    """The model with the names and the order of inputs that optimum gives it."""

    def __init__(self, model, output):
        super().__init__()
        self.model, self.output = model, output

    def forward(self, input_ids, attention_mask, token_type_ids):
        found = self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return getattr(found, self.output)


def export(model, output, folder, axes={0: "batch"}):
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids = torch.ones((2, 7), dtype=torch.int64)
    # Not with dynamo=True: torch 2.15 traces the attention of transformers 5.24 wrongly, off by more than 1.
    with torch.no_grad():
        torch.onnx.export(
            Outputs(model, output).eval(), (ids, ids, torch.zeros_like(ids)), folder / "onnx/model.onnx", opset_version=17,
            input_names=names, output_names=[output], dynamo=False,
            dynamic_axes={**{name: {0: "batch", 1: "sequence"} for name in names}, output: axes})


def card(folder, tag=None, **front):
    lines = ["license: mit", *([f"pipeline_tag: {tag}"] if tag else []), *(f"{k}: {v}" for k, v in front.items())]
    (folder / "README.md").write_text("---\n" + "\n".join(lines) + "\n---\n\n# Tiny\n\nRandom weights.\n")


def golden(folder, source, cases, tolerance=TOLERANCE):
    text = json.dumps({"source": source, "tolerance": tolerance, "cases": cases}, ensure_ascii=False, indent=1)
    (folder / "golden.json").write_text(text + "\n")


def only(folder, *names):
    """Removes what the libraries write besides: weights, cards, Python's own files."""
    for file in [one for one in folder.rglob("*") if one.is_file()]:
        if not any(file.match(name) for name in names):
            file.unlink()


KEPT = ["*.json", "*.onnx", "model.yaml"]
TRANSFORMERS = f"transformers {hf.__version__}, torch {torch.__version__.split('+')[0]}"


# ── labels that transformers leaves out ──

def two_labels_text(folder):
    model, tokens = bert(hf.BertForSequenceClassification, 1), fast(tokenizer())
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    pipe = hf.pipeline("text-classification", model=model, tokenizer=tokens, top_k=None, truncation=True)
    cases = [classification({"text": text}, pipe([text])[0]) for text in TEXTS]
    export(model, "logits", folder)
    card(folder)
    golden(folder, TRANSFORMERS, cases)


def classification(value, found):
    return {"input": value, "expect": {
        "label": max(found, key=lambda one: one["score"])["label"], "scores": {one["label"]: one["score"] for one in found}}}


def two_labels_tokens(folder):
    model, tokens = bert(hf.BertForTokenClassification, 2), fast(tokenizer())
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    pipe = hf.pipeline("token-classification", model=model, tokenizer=tokens, aggregation_strategy="none", ignore_labels=[])
    cases = []
    for text in ["the movie was good", "paris, new york"]:
        spans = [{"label": one["entity"], "score": float(one["score"]), "start": one["start"], "end": one["end"]}
                 for one in pipe(text)]
        cases.append({"input": {"text": text}, "expect": {"tokens": spans, "aggregation": "NONE"}})
    export(model, "logits", folder, {0: "batch", 1: "sequence"})
    card(folder)
    golden(folder, TRANSFORMERS, cases)


# ── locales ──

FRENCH = [
    ("un éclair au chocolat", "dessert"), ("crème brûlée", "dessert"), ("le café crème", "dessert"), ("gâteau", "dessert"),
    ("le match de tennis", "sport"), ("une équipe gagne", "sport"), ("le but décisif", "sport"), ("été sportif", "sport"),
]
FRENCH_TEXTS = [
    "UN ÉCLAIR", "Éclair", "Crème Brûlée", "MATCH", "Café", "ÉQUIPE", "ÉTÉ", "GÂTEAU au CHOCOLAT", "Œuf", "ÇA", "ΣΑΣ", "",
]


def french(vectorizer, locale):
    def make(folder):
        texts, labels = zip(*FRENCH)
        model = make_pipeline(vectorizer(token_pattern=r"[^\s]+"), LogisticRegression(C=10)).fit(texts, labels)
        # The exporter reads \s as the letter; the tokenizer of ONNX Runtime reads it as white space.
        options = {vectorizer: {"tokenexp": r"[^\s]+", **({} if locale is None else {"locale": locale})},
                   LogisticRegression: {"zipmap": False}}
        proto = skl2onnx.to_onnx(model, initial_types=[("text", StringTensorType([None, 1]))], options=options,
                                 target_opset={"": 18, "ai.onnx.ml": 3})
        if locale is None:
            for node in proto.graph.node:
                for attribute in [one for one in node.attribute if one.name == "locale"]:
                    node.attribute.remove(attribute)
        (folder / "1").mkdir(parents=True)
        onnx.save(proto, folder / "1/model.onnx")
        (folder / "model.yaml").write_text("task: text-classification\nlabels: [dessert, sport]\n")
        cases = []
        for text in filter(None, FRENCH_TEXTS):
            scores = model.predict_proba([text])[0]
            cases.append({"input": {"text": text}, "expect": {
                "label": str(model.predict([text])[0]), "scores": dict(zip(model.classes_, scores.tolist()))}})
        card(folder)
        golden(folder / "1", f"scikit-learn {sklearn.__version__}", cases)
    return make


# ── sentence-transformers ──

SENTENCES = f"sentence-transformers {st.__version__}, {TRANSFORMERS}"
PROMPTS = {"query": "query: ", "document": "", "passage": "[MASK] Paris, the passage :"}


def sentences(seed, prompts=None, default=None, pooling="mean", include=True, lowercase=False, cased=False, normalize=False,
              similarity="cosine", dimensions=None):
    def make(folder):
        raw = folder / "raw"
        bert(hf.BertModel, seed).save_pretrained(raw)
        fast(tokenizer(lowercase=not cased)).save_pretrained(raw)
        words = Transformer(str(raw), max_seq_length=24, do_lower_case=lowercase)
        modules = [words, Pooling(8, pooling_mode=pooling, include_prompt=include)]
        model = st.SentenceTransformer(
            modules=[*modules, *([Normalize()] if normalize else [])], prompts=prompts,
            default_prompt_name=default, similarity_fn_name=similarity, truncate_dim=dimensions,
            device="cpu").eval()
        model.save(str(folder))
        shutil.rmtree(raw)
        if lowercase:  # as releases before 6 write it
            file = folder / "sentence_bert_config.json"
            file.write_text(json.dumps({"max_seq_length": 24, "do_lower_case": True}))
            model = st.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
            assert model[0].do_lower_case
        encode = lambda texts, name=None: model.encode(texts, prompt_name=name, convert_to_numpy=True)
        cases = [{"input": {"text": text}, "expect": {"vector": encode([text])[0].tolist()}} for text in TEXTS]
        for name in prompts or {}:
            for text in TEXTS[:3]:
                vector = encode([text], name)[0].tolist()
                cases.append({"input": {"promptedText": {"text": text, "prompt": name}}, "expect": {"vector": vector}})
        for one, others in [(None, None), ("query", "document")] if prompts else [(None, None)]:
            scores = model.similarity(encode(TEXTS[:1], one), encode(COMPARED, others))[0].tolist()
            chosen = {} if one is None else {"sourcePrompt": one, "sentencesPrompt": others}
            cases.append({"input": {"similarity": {"source": TEXTS[0], "sentences": COMPARED, **chosen}},
                          "expect": {"similarities": scores}})
        export(bert(hf.BertModel, seed), "last_hidden_state", folder, {0: "batch", 1: "sequence"})
        card(folder, "sentence-similarity")
        golden(folder, SENTENCES, cases)
    return make


# ── static embeddings ──

class Bag(torch.nn.Module):
    """As the export script of model2vec has it."""

    def __init__(self, table, normalize):
        super().__init__()
        self.bag = torch.nn.EmbeddingBag.from_pretrained(torch.tensor(table), mode="mean", freeze=True)
        self.normalize = normalize

    def forward(self, input_ids, offsets):
        embeddings = self.bag(input_ids, offsets)
        return torch.nn.functional.normalize(embeddings, p=2, dim=1) if self.normalize else embeddings


def export_bag(table, folder, normalize):
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    inputs = (torch.tensor([5, 6, 7], dtype=torch.int64), torch.tensor([0, 2], dtype=torch.int64))
    torch.onnx.export(
        Bag(table, normalize), inputs, folder / "onnx/model.onnx", opset_version=17, input_names=["input_ids", "offsets"],
        output_names=["embeddings"], dynamo=False,
        dynamic_axes={"input_ids": {0: "num_tokens"}, "offsets": {0: "batch"}, "embeddings": {0: "batch"}})


def graph(nodes, inputs, outputs, table, folder, **constants):
    """A graph of single operators, for exports that are not made by torch."""
    info = lambda name, shape, kind: helper.make_tensor_value_info(name, kind, shape)
    weights = [numpy_helper.from_array(table, "table"), *(numpy_helper.from_array(np.array(v), k) for k, v in constants.items())]
    made = helper.make_graph(
        [helper.make_node(op, i, o, **attributes) for op, i, o, attributes in nodes], "graph",
        [info(name, shape, TensorProto.INT64) for name, shape in inputs.items()],
        [info(name, shape, TensorProto.FLOAT) for name, shape in outputs.items()], weights)
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(made, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), folder / "onnx/model.onnx")


def export_one_text(table, folder, normalize):
    """Answers the mean of all tokens for each offset: right for one text, so that a run must have one."""
    graph([("Gather", ["table", "input_ids"], ["found"], {}), ("ReduceMean", ["found"], ["mean"], {"axes": [0]}),
           ("Cast", ["offsets"], ["starts"], {"to": 1}), ("Mul", ["starts", "zero"], ["zeros"], {}),
           ("Unsqueeze", ["zeros", "one"], ["rows"], {}), ("Add", ["mean", "rows"], ["embeddings"], {})],
          {"input_ids": ["n"], "offsets": ["b"]}, {"embeddings": ["b", table.shape[1]]}, table, folder,
          zero=np.float32([0]), one=np.array([1]))


def export_masked(table, folder, normalize):
    graph([("Gather", ["table", "input_ids"], ["found"], {}), ("Cast", ["attention_mask"], ["mask"], {"to": 1}),
           ("Unsqueeze", ["mask", "two"], ["mask2"], {}), ("Mul", ["found", "mask2"], ["kept"], {}),
           ("ReduceSum", ["kept", "one"], ["sum"], {"keepdims": 0}), ("ReduceSum", ["mask", "one"], ["count"], {}),
           ("Div", ["sum", "count"], ["embeddings"], {})],
          {"input_ids": ["batch", "sequence"], "attention_mask": ["batch", "sequence"]}, {"embeddings": ["batch", table.shape[1]]},
          table, folder, one=np.array([1]), two=np.array([2]))


STATIC_TEXTS = [*TEXTS, "🏯", "x" * 3000, "good " * 700, "good 🏯 " * 300 + "bad " * 300]


def static_table(seed):
    return np.random.default_rng(seed).normal(size=(tokenizer().get_vocab_size(), 8)).astype(np.float32)


def model2vec_folder(seed, normalize, exported, **options):
    def make(folder):
        import model2vec
        table = static_table(seed)
        config = {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": normalize}
        model = model2vec.StaticModel(table, tokenizer(), config, normalize=normalize, **options)
        model.save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "model2vec"}, indent=1))
        if exported is not export_bag:  # without what is read of sentence-transformers
            (folder / "modules.json").unlink()
        exported(table, folder, normalize)
        cases = [{"input": {"text": text}, "expect": {"vector": model.encode([text])[0].tolist()}} for text in STATIC_TEXTS]
        card(folder, "feature-extraction", library_name="model2vec")
        golden(folder, f"model2vec {model2vec.__version__}", cases)
    return make


def static_sentences(seed, normalize, exported, prompts=None, default=None, truncated=None):
    def make(folder):
        table, tokens = static_table(seed), tokenizer()
        if truncated:
            tokens.enable_truncation(truncated)
        model = st.SentenceTransformer(
            modules=[StaticEmbedding(tokens, embedding_weights=table), *([Normalize()] if normalize else [])],
            prompts=prompts, default_prompt_name=default, device="cpu")
        model.save(str(folder))
        exported(table, folder, False)
        cases = [{"input": {"text": text}, "expect": {"vector": model.encode([text])[0].tolist()}} for text in STATIC_TEXTS]
        scores = st.util.cos_sim(model.encode(TEXTS[:1]), model.encode(TEXTS))[0].tolist()
        cases.append({"input": {"similarity": {"source": TEXTS[0], "sentences": TEXTS}}, "expect": {"similarities": scores}})
        card(folder)
        golden(folder, SENTENCES, cases)
    return make


def no_special_tokens(folder):
    model, tokens = bert(hf.BertModel, 11), fast(tokenizer())
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    cases = []
    for text in TEXTS:
        ids = tokens([text], add_special_tokens=False, truncation=True, return_tensors="pt")
        with torch.no_grad():
            vector = model(**ids).last_hidden_state[0].mean(0).tolist()
        cases.append({"input": {"text": text}, "expect": {"vector": vector}})
    export(model, "last_hidden_state", folder, {0: "batch", 1: "sequence"})
    (folder / "model.yaml").write_text("task: feature-extraction\ntokens: { addSpecialTokens: false }\n")
    card(folder)
    golden(folder, TRANSFORMERS, cases)


# ── cross-encoders ──

QUERIES = [("the movie", ["the movie was good", "bad plot", "paris", "🏯", "GREAT movie", "", " \n"]),
           ("what was " + "great and good in new york, " * 3, TEXTS),
           ("the plot " * 20, ["paris " * 20, "good " * 30, "bad"]),
           ("good " * 25, ["bad " * 31 + "good", "bad " * 25, "great " * 24])]


def ranker(seed, activation=None, prompts=None, default=None, legacy=None, plain=False, types=True):
    def make(folder):
        raw = folder / "raw"
        model, tokens = bert(hf.BertForSequenceClassification, seed, num_labels=1), fast(tokenizer(), types)
        if legacy:
            model.config.update(legacy)
        model.save_pretrained(raw)
        tokens.save_pretrained(raw)
        ranker = st.CrossEncoder(str(raw), activation_fn=activation, prompts=prompts, default_prompt_name=default,
                                 device="cpu", local_files_only=True)
        if legacy or plain:  # as transformers, or releases before 4, wrote it
            shutil.copytree(raw, folder, dirs_exist_ok=True)
        else:
            ranker.save_pretrained(str(folder))
        shutil.rmtree(raw)
        cases = []
        for name in [None, *(prompts or {})]:
            for query, documents in QUERIES:
                scores = ranker.predict([[query, one] for one in documents], prompt_name=name).tolist()
                chosen = {} if name is None else {"prompt": name}
                cases.append({"input": {"ranking": {"query": query, "documents": documents, **chosen}}, "expect": {"ranking": scores}})
        if plain:
            pipe = hf.pipeline("text-classification", model=model, tokenizer=tokens, top_k=None, truncation=True)
            cases += [classification({"text": text}, pipe([text])[0]) for text in TEXTS]
        export(bert(hf.BertForSequenceClassification, seed, num_labels=1), "logits", folder)
        card(folder, "text-ranking" if plain else None)
        golden(folder, SENTENCES, cases)
    return make


# ── cases of the table ──

def of_table(module, makers, name):
    """A case that `npm run models:table` generates, with the answers in golden.json."""
    def make(folder):
        sys.path.insert(0, str(HERE.parents[2] / "table"))
        cases = getattr(importlib.import_module(module), makers)()
        with tempfile.TemporaryDirectory() as temporary:
            next(case for case in cases if case.case == name)(Path(temporary))
            [expected] = Path(temporary).glob("*/*/expected.json")
            shutil.copytree(expected.parent / "model", folder, dirs_exist_ok=True)
            found = json.loads(expected.read_text())
        rights = [{"vector": one} if isinstance(one, list) else one for one in found["right"]]
        cases = [{"input": value, "expect": right} for value, right in zip(found["inputs"], rights)]
        golden(folder, found["source"], cases, found["tolerance"])
    return make


FOLDERS = {
    "tokens-softmax": of_table("text_tasks", "entities", "softmax-bert"),
    "tokens-hyphens": of_table("text_tasks", "entities", "no-outside-bert"),
    "tokens-line-breaks": of_table("text_tasks", "entities", "line-breaks-roberta"),
    "fillings-softmax": of_table("text_tasks", "masks", "softmax-bert"),
    "settings-lower-case": of_table("text_tasks", "classifiers", "config-lowercases"),
    "settings-cased": of_table("text_tasks", "classifiers", "config-keeps-case"),
    "settings-accents": of_table("text_tasks", "classifiers", "config-keeps-accents"),
    "settings-prefix-space": of_table("text_tasks", "classifiers", "prefix-space"),
    "truncated-left": of_table("text_tasks", "classifiers", "truncated-left"),
    "truncated-left-pairs": of_table("text_sentences", "rankers", "truncated-left"),
    "truncated-left-sentences": of_table("text_sentences", "embedders", "truncated-left"),
    "whole-dense": of_table("text_sentences", "embedders", "whole-normalized-dense"),
    "ranking": ranker(30, plain=True),
    "ranking-sigmoid": ranker(31, torch.nn.Sigmoid(), types=False),
    "ranking-logits": ranker(32, torch.nn.Identity()),
    "ranking-prompt": ranker(33, prompts={"query": "query: ", "other": "the plot: "}, default="query"),
    "ranking-release-3": ranker(34, legacy={"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}),
    "ranking-release-4": ranker(35, legacy={"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity", "version": "4.1.0"}}),
    "static-model2vec": model2vec_folder(20, True, export_bag),
    "static-model2vec-short": model2vec_folder(21, False, export_bag, max_length=9),
    "static-model2vec-whole": model2vec_folder(22, False, export_bag, max_length=None),
    "static-model2vec-one-text": model2vec_folder(23, True, export_one_text),
    "static-model2vec-masked": model2vec_folder(24, True, export_masked),
    "static-sentences": static_sentences(25, True, export_bag),
    "static-sentences-masked": static_sentences(26, False, export_masked),
    "static-sentences-prompt": static_sentences(27, False, export_bag, {"query": "query: "}, "query", truncated=40),
    "no-special-tokens": no_special_tokens,
    "prompts-default": sentences(3, PROMPTS, "query"),
    "prompts-by-name": sentences(4, PROMPTS, None, pooling="cls", normalize=True),
    "prompts-not-pooled": sentences(5, PROMPTS, "query", include=False),
    "prompts-not-pooled-cls": sentences(6, PROMPTS, "passage", include=False, pooling="cls"),
    "prompts-not-pooled-max": sentences(7, PROMPTS, "passage", include=False, pooling="max"),
    "prompts-not-pooled-last": sentences(8, PROMPTS, "query", include=False, pooling="lasttoken"),
    "lower-case": sentences(9, cased=True, lowercase=True),
    "cased": sentences(9, cased=True),
    "lower-case-prompts": sentences(10, {"query": "QUERY: "}, "query", cased=True, lowercase=True),
    "similarity-dot": sentences(11, similarity="dot"),
    "similarity-euclidean": sentences(12, similarity="euclidean"),
    "similarity-manhattan": sentences(13, PROMPTS, "query", similarity="manhattan"),
    "truncated-dimensions": sentences(14, dimensions=5),
    "truncated-dimensions-normalized": sentences(15, PROMPTS, "query", normalize=True, dimensions=3),
    "two-labels-text": two_labels_text,
    "two-labels-tokens": two_labels_tokens,
    "french-c": french(TfidfVectorizer, "C"),
    "french-en-us": french(TfidfVectorizer, "en_US.UTF-8"),
    "french-default": french(CountVectorizer, None),
    "french-utf-8": french(CountVectorizer, "C.UTF-8"),
}

for name in sys.argv[1:] or FOLDERS:
    target = HERE / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    FOLDERS[name](target)
    only(target, *KEPT, "README.md")
    print(name, sum(one.stat().st_size for one in target.rglob("*") if one.is_file()))
