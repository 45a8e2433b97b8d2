"""
Small text models as model owners export them, and what the source frameworks answer with them.

Needs Python 3.12 with requirements-texts.txt:

    OMP_NUM_THREADS=1 python test/importing/goldens/make-texts.py [folder ...]

The weights are random, from a seed. The libraries write the files of texts/, but for the cards, golden.json and the graphs
of static embeddings, which are built as model2vec's export script and torch's EmbeddingBag build them.
"""
import json
import shutil
import sys
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


def fast(one):
    return hf.PreTrainedTokenizerFast(
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


def sentences(seed, prompts=None, default=None, pooling="mean", include=True, lowercase=False, cased=False, normalize=False):
    def make(folder):
        raw = folder / "raw"
        bert(hf.BertModel, seed).save_pretrained(raw)
        fast(tokenizer(lowercase=not cased)).save_pretrained(raw)
        words = Transformer(str(raw), max_seq_length=24, do_lower_case=lowercase)
        modules = [words, Pooling(8, pooling_mode=pooling, include_prompt=include)]
        model = st.SentenceTransformer(
            modules=[*modules, *([Normalize()] if normalize else [])], prompts=prompts,
            default_prompt_name=default, device="cpu").eval()
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
            scores = st.util.cos_sim(encode(TEXTS[:1], one), encode(TEXTS, others))[0].tolist()
            chosen = {} if one is None else {"sourcePrompt": one, "sentencesPrompt": others}
            cases.append({"input": {"similarity": {"source": TEXTS[0], "sentences": TEXTS, **chosen}},
                          "expect": {"similarities": scores}})
        export(bert(hf.BertModel, seed), "last_hidden_state", folder, {0: "batch", 1: "sequence"})
        card(folder, "sentence-similarity")
        golden(folder, SENTENCES, cases)
    return make


FOLDERS = {
    "prompts-default": sentences(3, PROMPTS, "query"),
    "prompts-by-name": sentences(4, PROMPTS, None, pooling="cls", normalize=True),
    "prompts-not-pooled": sentences(5, PROMPTS, "query", include=False),
    "prompts-not-pooled-cls": sentences(6, PROMPTS, "passage", include=False, pooling="cls"),
    "prompts-not-pooled-max": sentences(7, PROMPTS, "passage", include=False, pooling="max"),
    "prompts-not-pooled-last": sentences(8, PROMPTS, "query", include=False, pooling="lasttoken"),
    "lower-case": sentences(9, cased=True, lowercase=True),
    "cased": sentences(9, cased=True),
    "lower-case-prompts": sentences(10, {"query": "QUERY: "}, "query", cased=True, lowercase=True),
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
