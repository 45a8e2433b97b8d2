"""What the families of texts share: tiny tokenizers and transformers with random weights, their export, and files of a case."""
import json
import warnings

import numpy as np
import onnxruntime
import torch
import transformers as hf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

SOURCE = f"transformers {hf.__version__}"
MAX_TOKENS = 48
CORPUS = [
    "The movie was great, and the actors were wonderful. The film was awful; nobody laughed.",
    "Paris is the capital of France. Berlin is the capital of Germany. Rome is the capital of Italy.",
    "Marie Curie was born in Warsaw and worked in Paris. She won two Nobel prizes.",
    "I would like to return my order, because the parcel never arrived.",
    "Die Größe der Straße überraschte den Müller. Le café près de l'église était fermé.",
    "query: What is the capital? passage: This example is food. This text is about travel.",
]
TEXTS = [
    "The movie was GREAT",
    "bad",
    "Paris is the capital of France. " * 6,
    "🙂 café, ÉGLISE près de 東京",
    "Marie Curie was born in Warsaw",
    "  two  spaces,\tand tabs ",
]

torch.set_num_threads(1)
warnings.filterwarnings("ignore")
hf.logging.set_verbosity_error()


# ── files ──

def case(folder, kind, why, inputs, right, tolerance=1e-4, source=SOURCE, differs=False, says=None):
    """Writes expected.json beside model/, as `write_case` does. `says`: what a refusal says."""
    near = lambda one: sorted(one["scores"].values())[-2:] if len(one.get("scores") or {}) > 1 else [0, 1]
    ties = [i for i, one in enumerate(right) if isinstance(one, dict) and near(one)[1] - near(one)[0] <= 1e-5]
    expected = {"kind": "refuse" if kind == "refuse" else "ready", "words": says or [], "why": why, "tolerance": tolerance, "inputs": inputs,
                "right": right, "source": source, "rawDiffers": bool(differs), "ties": ties}
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def model_folder(out, family, name):
    folder = out / family / name
    (folder / "model").mkdir(parents=True, exist_ok=True)
    return folder, folder / "model"


def yaml(folder, text):
    (folder / "model.yaml").write_text(text + "\n")


def card(folder, tag=None):
    (folder / "README.md").write_text("---\nlicense: mit\n" + (f"pipeline_tag: {tag}\n" if tag else "") + "---\n\n# Tiny\n")


def change_json(file, change):
    found = json.loads(file.read_text())
    file.write_text(json.dumps(change(found), indent=1))


def utf16(text, at):
    return len(text[:at].encode("utf-16-le")) // 2


# ── tokenizers ──

SPECIAL_BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SPECIAL_ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def wordpiece_vocabulary(lowercase=True):
    one = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    one.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    one.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    one.train_from_iterator(CORPUS, trainers.WordPieceTrainer(
        vocab_size=180, special_tokens=SPECIAL_BERT, show_progress=False, continuing_subword_prefix="##"))
    return one.get_vocab()


def byte_level():
    one = Tokenizer(models.BPE())
    one.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    one.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=330, special_tokens=SPECIAL_ROBERTA, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    found = json.loads(one.to_str())["model"]
    return found["vocab"], [tuple(merge) for merge in found["merges"]]


def unigram(special, unknown):
    one = Tokenizer(models.Unigram())
    one.pre_tokenizer = pre_tokenizers.Metaspace()
    one.train_from_iterator(CORPUS, trainers.UnigramTrainer(
        vocab_size=180, special_tokens=special, unk_token=unknown, show_progress=False))
    return [(token, float(score)) for token, score in json.loads(one.to_str())["model"]["vocab"]]


def tokenizer(architecture, **options):
    options = {"model_max_length": MAX_TOKENS, **options}
    if architecture in ("bert", "electra", "mobilebert", "convbert", "nystromformer"):
        return hf.BertTokenizer(vocab=wordpiece_vocabulary(options.get("do_lower_case", True)), **options)
    if architecture == "distilbert":
        return hf.DistilBertTokenizer(vocab=wordpiece_vocabulary(), **options)
    if architecture == "mpnet":
        vocabulary = wordpiece_vocabulary()
        names = {"[PAD]": "<pad>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
        return hf.MPNetTokenizer(vocab={names.get(token, token): i for token, i in vocabulary.items()}, **options)
    if architecture == "roberta":
        vocabulary, merges = byte_level()
        return hf.RobertaTokenizer(vocab=vocabulary, merges=merges, **options)
    if architecture == "xlm-roberta":
        return hf.XLMRobertaTokenizer(vocab=unigram(SPECIAL_ROBERTA, "<unk>"), **options)
    if architecture == "albert":
        return hf.AlbertTokenizer(vocab=unigram(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], "<unk>"), **options)
    if architecture == "deberta-v2":
        return hf.DebertaV2Tokenizer(vocab=unigram(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "[UNK]"), **options)
    raise ValueError(architecture)


# ── models ──

SIZES = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, initializer_range=0.4)
NAMES = {"bert": "Bert", "electra": "Electra", "distilbert": "DistilBert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta",
         "albert": "Albert", "deberta-v2": "DebertaV2", "mpnet": "MPNet"}
ARCHITECTURES = list(NAMES)


def config(architecture, tokens, positions=MAX_TOKENS, **options):
    sizes = dict(SIZES)
    if architecture == "distilbert":
        sizes = dict(dim=16, n_layers=2, n_heads=2, hidden_dim=24, initializer_range=0.4)
    if architecture in ("albert", "electra"):
        sizes["embedding_size"] = 8
    roberta = architecture in ("roberta", "xlm-roberta", "mpnet")
    positions += 2 if roberta else 0
    ids = {"pad_token_id": tokens.pad_token_id}
    if roberta:
        ids |= {"bos_token_id": tokens.bos_token_id, "eos_token_id": tokens.eos_token_id}
    return getattr(hf, NAMES[architecture] + "Config")(
        vocab_size=len(tokens), max_position_embeddings=positions, attn_implementation="eager", **ids, **sizes, **options)


def model(architecture, head, tokens, seed, spread=1.0, **options):
    torch.manual_seed(seed)
    made = getattr(hf, f"{NAMES[architecture]}{head}")(config(architecture, tokens, **options)).eval()
    # Random weights give scores that are nearly the same for all texts.
    for name, parameter in made.named_parameters():
        if "classifier" in name or "qa_outputs" in name:
            parameter.data *= spread
    return made


# ── export ──

class Outputs(torch.nn.Module):
    """The model with the inputs and outputs that optimum gives it, and what stands after them."""

    def __init__(self, model, names, outputs, last):
        super().__init__()
        self.model, self.names, self.outputs, self.last = model, names, outputs, last

    def forward(self, *values):
        found = self.model(**dict(zip(self.names, values)))
        tensors = [getattr(found, name) for name in self.outputs]
        return tuple(tensors if self.last is None else [self.last(one) for one in tensors])


def export(model, tokens, folder, outputs, axes=None, last=None, dynamo=False, file="onnx/model.onnx", names=None, length=None,
           exclude=()):
    """Writes the graph as optimum would, and returns how far ONNX Runtime is from torch on other texts."""
    names = names or [name for name in ["input_ids", "attention_mask", "token_type_ids"]
                      if name in tokens.model_input_names and name not in exclude]
    target = folder / file
    target.parent.mkdir(parents=True, exist_ok=True)
    kwargs = dict(padding="max_length", max_length=length, truncation=True) if length else dict(padding=True, truncation=True)
    sample = tokens(TEXTS[:2], return_tensors="pt", **kwargs)
    wrapped = Outputs(model, names, outputs, last).eval()
    values = tuple(sample[name] for name in names)
    with torch.no_grad():
        if dynamo:
            shape = {0: torch.export.Dim.DYNAMIC, **({} if length else {1: torch.export.Dim.DYNAMIC})}
            torch.onnx.export(wrapped, values, target, input_names=names, output_names=outputs, dynamo=True, external_data=False,
                              dynamic_shapes=(tuple(shape for _ in names),), verbose=False)
        else:
            two = {0: "batch"} if length else {0: "batch", 1: "sequence"}
            given = {name: two for name in names} | {name: axes or {0: "batch"} for name in outputs}
            torch.onnx.export(wrapped, values, target, input_names=names, output_names=outputs, dynamo=False,
                              opset_version=17, dynamic_axes=given)
    return difference(wrapped, target, tokens, names, kwargs)


def difference(wrapped, file, tokens, names, kwargs):
    """The largest difference between ONNX Runtime, which runs the graph directly, and torch."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    largest = 0.0
    for text in TEXTS:
        found = tokens([text], return_tensors="pt", **{**kwargs, **({} if "max_length" in kwargs else {"padding": False})})
        with torch.no_grad():
            right = wrapped(*[found[name] for name in names])
        answered = session.run(None, {one.name: found[one.name].numpy() for one in session.get_inputs()})
        for one, other in zip(right, answered):
            largest = max(largest, float(np.abs(one.numpy() - other).max()))
    return largest


def save(model, tokens, folder):
    """The files that the Hub has beside the graph; weights are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    tokens.save_pretrained(folder)


def reload(folder):
    """The tokenizer as transformers reads it from the files."""
    return hf.AutoTokenizer.from_pretrained(folder)
