"""Families of sentence-transformers and model2vec: embeddings by pooling mode, prompts, modules, static tables, cross-encoders."""
import json
import shutil

import numpy as np
import onnx
import sentence_transformers as st
import torch
import transformers as hf
from onnx import TensorProto, helper, numpy_helper
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, StaticEmbedding, Transformer

from text_parts import (MAX_TOKENS, SOURCE, TEXTS, card, case, change_json, export, model, model_folder, save, tokenizer, yaml)

SENTENCES = f"sentence-transformers {st.__version__}, {SOURCE}"
NEAR = 1e-4
PROMPTS = {"query": "query: ", "document": "", "passage": "passage: "}
ASKED = [text for text in TEXTS if text.strip()]
HIDDEN = 16

LEGACY = {"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens", "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
          "weightedmean": "weightedmean_tokens", "lasttoken": "lasttoken"}


def as_release_2(files):
    """1_Pooling/config.json with a flag for each mode, as releases before 6 wrote it."""
    file = files / "1_Pooling/config.json"
    found = json.loads(file.read_text())
    modes = found.pop("pooling_mode")
    modes = [modes] if isinstance(modes, str) else modes
    found["word_embedding_dimension"] = found.pop("embedding_dimension", HIDDEN)
    file.write_text(json.dumps({**found, **{f"pooling_mode_{key}": mode in modes for mode, key in LEGACY.items()}}, indent=1))


class Whole(torch.nn.Module):
    """All modules in the graph, as optimum exports sentence-transformers: token_embeddings and sentence_embedding."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            features["token_type_ids"] = token_type_ids
        for module in self.found:
            features = module(features)
        return features["token_embeddings"], features["sentence_embedding"]


def export_whole(found, tokens, files):
    (files / "onnx").mkdir(parents=True, exist_ok=True)
    names = [name for name in ["input_ids", "attention_mask", "token_type_ids"] if name in tokens.model_input_names]
    sample = tokens(TEXTS[:2], return_tensors="pt", padding=True, truncation=True)
    with torch.no_grad():
        torch.onnx.export(
            Whole(found).eval(), tuple(sample[name] for name in names), files / "onnx/model.onnx", dynamo=False, opset_version=17,
            input_names=names, output_names=["token_embeddings", "sentence_embedding"],
            dynamic_axes={**{name: {0: "batch", 1: "sequence"} for name in names}, "token_embeddings": {0: "batch", 1: "sequence"},
                          "sentence_embedding": {0: "batch"}})


def embedder(name, seed, why, architecture="bert", pooling="mean", modules=(), prompts=None, default=None, include=True, lowercase=False,
             cased=False, longest=None, legacy=False, whole=False, refused=None, edit=None, given=None, dynamo=False, side=None):
    def make(out):
        folder, files = model_folder(out, "sentence-embeddings", name)
        raw = folder / "raw"
        tokens = tokenizer(architecture, **({"do_lower_case": False} if cased else {}), **({"truncation_side": side} if side else {}))
        made = model(architecture, "Model", tokens, seed)
        made.save_pretrained(raw)
        tokens.save_pretrained(raw)
        words = Transformer(str(raw), **({"max_seq_length": longest} if longest else {}))
        width = HIDDEN * (1 if isinstance(pooling, str) else len(pooling))
        torch.manual_seed(seed)
        rest = {"normalize": lambda: Normalize(), "dense": lambda: Dense(width, 6)}
        found = st.SentenceTransformer(
            modules=[words, Pooling(HIDDEN, pooling_mode=pooling, include_prompt=include), *(rest[one]() for one in modules)],
            prompts=prompts, default_prompt_name=default, device="cpu").eval()
        found.save(str(files))
        if legacy:
            as_release_2(files)
        if lowercase:
            (files / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": longest or MAX_TOKENS, "do_lower_case": True}))
        if edit:
            edit(files)
        if lowercase or edit or legacy:
            found = st.SentenceTransformer(str(files), device="cpu", local_files_only=True).eval()
        inputs, right = [], []
        for chosen in [None, *(prompts or {})]:
            for text in ASKED if chosen is None else ASKED[:2]:
                inputs.append({"text": text} if chosen is None else {"promptedText": {"text": text, "prompt": chosen}})
                right.append(found.encode([text], prompt_name=chosen, convert_to_numpy=True)[0].tolist())
        if prompts and "query" in prompts and "document" in prompts:
            scores = st.util.cos_sim(found.encode(ASKED[:1], prompt_name="query"), found.encode(ASKED, prompt_name="document"))[0].tolist()
            inputs.append({"similarity": {"source": ASKED[0], "sentences": ASKED, "sourcePrompt": "query", "sentencesPrompt": "document"}})
            right.append({"similarities": scores})
        for file in [one for one in files.rglob("*") if one.suffix in (".safetensors", ".bin", ".md") or one.name.startswith(".")]:
            file.unlink()
        if whole:
            export_whole(found, tokens, files)
            far = 0
        else:
            far = export(made, tokens, files, ["last_hidden_state"], {0: "batch", 1: "sequence"}, dynamo=dynamo)
        card(files, "sentence-similarity")
        shutil.rmtree(raw)
        if given:
            yaml(files, given)
        if refused:
            case(folder, "refuse", why, inputs[:1], [], NEAR, SENTENCES, says=refused)
        else:
            case(folder, "vector", why, inputs, right, NEAR, SENTENCES, far > NEAR)
    make.case = name
    return make


#: In names of models, which have at most 64 characters.
SHORT = {"mean_sqrt_len_tokens": "sqrt", "weightedmean": "weighted"}
EXPORT = ["export", "sentence_embedding"]


def embedders():
    made = [embedder(f"mean-{one}", 500 + i, one, one, dynamo=one == "distilbert") for i, one in
            enumerate(["bert", "distilbert", "roberta", "xlm-roberta", "albert", "mpnet", "deberta-v2", "electra"])]
    made += [embedder(f"{SHORT.get(mode, mode)}{'-flags' if flags else ''}", 520 + i, f"pooling {mode}", pooling=mode, legacy=flags)
             for i, (mode, flags) in enumerate((mode, flags) for mode in ["cls", "max", "lasttoken"] for flags in [False, True])]
    made += [embedder(f"{SHORT.get(mode, mode)}{'-flags' if flags else ''}", 530 + i, f"pooling {mode}: answered or refused", pooling=mode, legacy=flags,
                      refused=["1_Pooling/config.json", mode, *EXPORT])
             for i, (mode, flags) in enumerate((mode, flags) for mode in ["weightedmean", "mean_sqrt_len_tokens"] for flags in [False, True])]
    several = [("mean", "max"), ("cls", "mean"), ("mean", "weightedmean"), ("mean", "mean_sqrt_len_tokens"), ("cls", "lasttoken")]
    made += [embedder(f"{'-'.join(SHORT.get(mode, mode) for mode in modes)}{'-flags' if flags else ''}", 540 + 2 * i + flags, "a concatenation: answered or refused", pooling=modes,
                      legacy=flags, refused=["1_Pooling/config.json", *EXPORT]) for i, modes in enumerate(several) for flags in [False, True]]
    made += [embedder(f"whole-{name}", 560 + i, "the graph does all of it", pooling=pooling, modules=modules, whole=True)
             for i, (name, pooling, modules) in enumerate([
                 ("mean", "mean", ()), ("normalized", "mean", ("normalize",)), ("weightedmean", "weightedmean", ()),
                 ("sqrt", "mean_sqrt_len_tokens", ()), ("two", ("mean", "max"), ("normalize",)), ("dense", "mean", ("dense",)),
                 ("dense-normalized", "cls", ("dense", "normalize")), ("normalized-dense", "mean", ("normalize", "dense")),
                 ("max-two-dense", "max", ("dense",))])]
    made += [
        embedder("normalized", 580, "a Normalize module", modules=("normalize",)),
        embedder("dense", 581, "a Dense module after the graph: refused", modules=("dense",), refused=["modules.json", "Dense", *EXPORT]),
        embedder("normalized-dense", 582, "Dense after Normalize: refused", modules=("normalize", "dense"), refused=["modules.json", "Dense", *EXPORT]),
        embedder("prompts", 583, "prompts by name", prompts=PROMPTS),
        embedder("prompts-default", 584, "a default prompt", prompts=PROMPTS, default="query"),
        embedder("prompts-left-out", 585, "include_prompt: false", prompts=PROMPTS, default="query", include=False),
        embedder("prompts-left-out-cls", 586, "include_prompt: false, and the first token", prompts=PROMPTS, default="passage", include=False, pooling="cls"),
        embedder("prompts-whole", 587, "prompts, and a graph that pools", prompts=PROMPTS, default="query", whole=True),
        embedder("prompts-roberta", 588, "a default prompt and byte-pair encoding", "roberta", prompts=PROMPTS, default="passage"),
        embedder("prompts-unigram", 589, "a default prompt and a unigram tokenizer", "xlm-roberta", prompts=PROMPTS, default="passage"),
        embedder("lower-case", 590, "do_lower_case of sentence-transformers", cased=True, lowercase=True),
        embedder("cased", 591, "texts keep their case", cased=True),
        embedder("max-length", 592, "max_seq_length 12", longest=12),
        embedder("max-length-lower-case", 593, "both", longest=10, lowercase=True, cased=True),
        embedder("truncated-left", 594, "truncation_side: left", longest=12, side="left"),
        embedder("pooling-in-yaml", 595, "output.pooling and normalize in model.yaml", pooling="max", modules=("normalize",),
                 given="task: feature-extraction\noutput: { pooling: max, normalize: true }"),
    ]
    return made


# ── static embeddings ──

def table(seed, count, width=8):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


class Bag(torch.nn.Module):
    """As the export script of model2vec has it."""

    def __init__(self, weights, normalize):
        super().__init__()
        self.bag = torch.nn.EmbeddingBag.from_pretrained(torch.tensor(weights), mode="mean", freeze=True)
        self.normalize = normalize

    def forward(self, input_ids, offsets):
        found = self.bag(input_ids, offsets)
        return torch.nn.functional.normalize(found, p=2, dim=1) if self.normalize else found


def export_bag(weights, files, normalize, dynamo=False):
    (files / "onnx").mkdir(parents=True, exist_ok=True)
    inputs = (torch.tensor([5, 6, 7], dtype=torch.int64), torch.tensor([0, 2], dtype=torch.int64))
    torch.onnx.export(
        Bag(weights, normalize), inputs, files / "onnx/model.onnx", opset_version=17, input_names=["input_ids", "offsets"],
        output_names=["embeddings"], dynamo=False,
        dynamic_axes={"input_ids": {0: "num_tokens"}, "offsets": {0: "batch"}, "embeddings": {0: "batch"}})


def export_masked(weights, files, normalize, name="embeddings"):
    """The mean over a mask, as WordLlama computes it."""
    nodes = [("Gather", ["table", "input_ids"], ["found"], {}), ("Cast", ["attention_mask"], ["mask"], {"to": 1}),
             ("Unsqueeze", ["mask", "two"], ["mask2"], {}), ("Mul", ["found", "mask2"], ["kept"], {}),
             ("ReduceSum", ["kept", "one"], ["sum"], {"keepdims": 0}), ("ReduceSum", ["mask", "one"], ["count"], {}),
             ("Div", ["sum", "count"], ["mean" if normalize else name], {})]
    if normalize:
        nodes.append(("LpNormalization", ["mean"], [name], {"axis": 1, "p": 2}))
    info = helper.make_tensor_value_info
    weights_of = [numpy_helper.from_array(weights, "table"), numpy_helper.from_array(np.array([1]), "one"), numpy_helper.from_array(np.array([2]), "two")]
    made = helper.make_graph(
        [helper.make_node(op, i, o, **attributes) for op, i, o, attributes in nodes], "graph",
        [info(one, TensorProto.INT64, ["batch", "sequence"]) for one in ["input_ids", "attention_mask"]],
        [info(name, TensorProto.FLOAT, ["batch", weights.shape[1]])], weights_of)
    (files / "onnx").mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(made, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), files / "onnx/model.onnx")


STATIC = [*ASKED, "🏯", "good " * 700, "x" * 3000]


def model2vec_model(name, seed, why, architecture="bert", normalize=True, masked=False, **options):
    def make(out):
        import model2vec
        folder, files = model_folder(out, "static-embeddings", name)
        tokens = tokenizer(architecture)._tokenizer
        tokens.no_truncation()
        weights = table(seed, tokens.get_vocab_size())
        found = model2vec.StaticModel(weights, tokens, {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": normalize},
                                      normalize=normalize, **options)
        found.save_pretrained(files)
        change_json(files / "config.json", lambda one: {**one, "model_type": "model2vec"})
        if masked:
            (files / "modules.json").unlink(missing_ok=True)
        (export_masked if masked else export_bag)(weights, files, normalize)
        (files / "model.safetensors").unlink(missing_ok=True)
        card(files, "feature-extraction")
        right = [found.encode([text])[0].tolist() for text in STATIC]
        case(folder, "vector", why, [{"text": text} for text in STATIC], right, 1e-5, f"model2vec {model2vec.__version__}")
    make.case = name
    return make


def static_model(name, seed, why, architecture="bert", normalize=False, masked=False, prompts=None, default=None, truncated=None):
    def make(out):
        folder, files = model_folder(out, "static-embeddings", name)
        tokens = tokenizer(architecture)._tokenizer
        tokens.no_truncation()
        if truncated:
            tokens.enable_truncation(truncated)
        weights = table(seed, tokens.get_vocab_size())
        found = st.SentenceTransformer(
            modules=[StaticEmbedding(tokens, embedding_weights=weights), *([Normalize()] if normalize else [])], prompts=prompts,
            default_prompt_name=default, device="cpu")
        found.save(str(files))
        for file in [one for one in files.rglob("*") if one.suffix in (".safetensors", ".md")]:
            file.unlink()
        (export_masked if masked else export_bag)(weights, files, False)
        card(files)
        inputs = [{"text": text} for text in ASKED]
        right = [found.encode([text])[0].tolist() for text in ASKED]
        inputs.append({"similarity": {"source": ASKED[0], "sentences": ASKED}})
        right.append({"similarities": st.util.cos_sim(found.encode(ASKED[:1]), found.encode(ASKED))[0].tolist()})
        case(folder, "vector", why, inputs, right, 1e-5, SENTENCES)
    make.case = name
    return make


def statics():
    made = [model2vec_model(f"model2vec-{one}{'-plain' if plain else ''}", 600 + 2 * i + plain, "model2vec with offsets", one, normalize=not plain)
            for i, one in enumerate(["bert", "roberta", "xlm-roberta", "albert"]) for plain in [False, True]]
    made += [model2vec_model(f"model2vec-masked-{one}", 620 + i, "model2vec with a mask, as WordLlama", one, masked=True, normalize=i % 2 == 0)
             for i, one in enumerate(["bert", "roberta", "xlm-roberta"])]
    made += [model2vec_model("model2vec-short", 630, "max_length 9", max_length=9), model2vec_model("model2vec-whole", 631, "no max_length", max_length=None)]
    made += [static_model(f"static-{one}{'-normalized' if normal else ''}", 640 + 2 * i + normal, "StaticEmbedding", one, normalize=normal)
             for i, one in enumerate(["bert", "roberta", "xlm-roberta", "albert"]) for normal in [False, True]]
    made += [static_model("static-masked", 660, "StaticEmbedding with a mask", masked=True),
             static_model("static-prompt", 661, "a default prompt", prompts=PROMPTS, default="query"),
             static_model("static-truncated", 662, "tokenizer.json truncates", truncated=10)]
    return made


# ── cross-encoders ──

RANKED = [("the movie", ["The movie was great", "bad plot", "Paris", "🏯", "GREAT movie"]),
          ("What is the capital of France? " * 3, [*ASKED, "Paris " * 40])]


def ranker(name, seed, why, architecture="bert", activation=None, prompts=None, default=None, legacy=None, plain=False, last=None, two=False,
           side=None, edit=None, dynamo=False, given=None, refused=None, spread=2.0):
    def make(out):
        folder, files = model_folder(out, "cross-encoders", name)
        raw = folder / "raw"
        tokens = tokenizer(architecture, **({"truncation_side": side} if side else {}))
        made = model(architecture, "ForSequenceClassification", tokens, seed, spread, num_labels=2 if two else 1)
        if legacy:
            made.config.update(legacy)
        made.save_pretrained(raw)
        tokens.save_pretrained(raw)
        found = st.CrossEncoder(str(raw), activation_fn=activation, prompts=prompts, default_prompt_name=default, device="cpu", local_files_only=True)
        if legacy or plain:
            shutil.copytree(raw, files, dirs_exist_ok=True)
        else:
            found.save_pretrained(str(files))
        for file in [one for one in files.rglob("*") if one.suffix in (".safetensors", ".md")]:
            file.unlink()
        inputs, right = [], []
        for chosen in [None, *(prompts or {})]:
            for query, documents in RANKED:
                inputs.append({"ranking": {"query": query, "documents": documents, **({} if chosen is None else {"prompt": chosen})}})
                pairs = [[query, one] for one in documents]
                right.append({"ranking": None if two else found.predict(pairs, prompt_name=chosen).tolist()})
        far = export(made, tokens, files, ["logits"], last=last, dynamo=dynamo)
        shutil.rmtree(raw)
        card(files, "text-ranking" if plain else None)
        if edit:
            edit(files)
        if given:
            yaml(files, given)
        if refused:
            case(folder, "refuse", why, inputs[:1], [], NEAR, SENTENCES, says=refused)
        elif two:
            pipe = hf.pipeline("text-classification", model=made, tokenizer=tokens, top_k=None, truncation=True)
            inputs, right = [{"text": text} for text in ASKED], []
            for text in ASKED:
                scores = {one["label"]: one["score"] for one in pipe([text])[0]}
                right.append({"label": max(scores, key=scores.get), "scores": scores})
            case(folder, "scores", why, inputs, right, NEAR, SOURCE, far > NEAR)
        else:
            case(folder, "ranking", why, inputs, right, NEAR, SENTENCES, far > NEAR)
    make.case = name
    return make


SIGMOID, IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"


def rankers():
    archs = ["bert", "distilbert", "roberta", "xlm-roberta", "albert", "electra", "deberta-v2"]
    made = [ranker(f"sigmoid-{one}", 700 + i, "one logit, Sigmoid by default", one, torch.nn.Sigmoid() if i % 2 else None, dynamo=one == "distilbert")
            for i, one in enumerate(archs)]
    made += [ranker(f"logits-{one}", 720 + i, "activation_fn is Identity", one, torch.nn.Identity()) for i, one in enumerate(archs)]
    made += [
        ranker("release-3", 740, "the key of releases before 4", legacy={"sbert_ce_default_activation_function": IDENTITY}),
        ranker("release-4-identity", 741, "sentence_transformers.activation_fn in config.json", legacy={"sentence_transformers": {"activation_fn": IDENTITY, "version": "4.1.0"}}),
        ranker("release-4-sigmoid", 742, "the same with Sigmoid", legacy={"sentence_transformers": {"activation_fn": SIGMOID, "version": "4.1.0"}}),
        ranker("plain-transformers", 743, "only pipeline_tag: text-ranking", plain=True),
        ranker("plain-roberta", 744, "only pipeline_tag: text-ranking", "roberta", plain=True),
        ranker("prompts", 745, "prompts of a cross-encoder", prompts={"query": "query: ", "other": "passage: "}, default="query"),
        ranker("truncated-left", 746, "truncation_side: left", side="left"),
        ranker("two-logits", 747, "two logits classify texts", two=True),
        ranker("two-logits-tag", 748, "two logits, but pipeline_tag: text-ranking: refused", two=True, plain=True, refused=["logits", "num_labels 1", "model.yaml"]),
        ranker("sigmoid-in-graph", 749, "the graph ends in Sigmoid: not applied again", last=torch.nn.Sigmoid()),
        ranker("tanh", 750, "activation_fn Tanh: refused", activation=torch.nn.Tanh(), refused=["activation_fn", "export", "model.yaml"]),
        ranker("identity-in-yaml", 751, "activation: none in model.yaml", activation=torch.nn.Identity(), plain=True, given="output: { activation: none }"),
    ]
    return made


def build(out):
    for make in [*embedders(), *statics(), *rankers()]:
        make(out)
