"""
Writes tokenizer-classes.json: the normalizers and pre-tokenizers that AutoTokenizer of transformers 5.24 builds for files and
settings of many kinds. Needs Python 3.12 with requirements-texts.txt:

    python test/importing/goldens/make-tokenizer-classes.py
"""
import json
import sys
import tempfile
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "table"))

import transformers as hf  # noqa: E402
from text_parts import SPECIAL_ROBERTA, byte_level, tokenizer, unigram, wordpiece_vocabulary  # noqa: E402

warnings.filterwarnings("ignore")
hf.logging.set_verbosity_error()

VOCABULARY, MERGES = byte_level()
PIECES = unigram(SPECIAL_ROBERTA, "<unk>")
XLNET = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]
SAVED = {
    **{name: (lambda name=name: tokenizer(name)) for name in ["bert", "distilbert", "mpnet", "roberta", "xlm-roberta", "albert", "deberta-v2"]},
    "gpt2": lambda: hf.GPT2Tokenizer(vocab=VOCABULARY, merges=MERGES),
    "deberta": lambda: hf.DebertaTokenizer(vocab=VOCABULARY, merges=MERGES),
    "bart": lambda: hf.BartTokenizer(vocab=VOCABULARY, merges=MERGES),
    "camembert": lambda: hf.CamembertTokenizer(vocab=PIECES),
    "t5": lambda: hf.T5Tokenizer(vocab=unigram(["<pad>", "</s>", "<unk>"], "<unk>")),
    "xlnet": lambda: hf.XLNetTokenizer(vocab=unigram(XLNET, "<unk>")),
    "qwen2": lambda: hf.Qwen2Tokenizer(vocab=VOCABULARY, merges=MERGES),
    "gpt-neox": lambda: hf.GPTNeoXTokenizer(vocab=VOCABULARY, merges=MERGES),
    "cohere": lambda: hf.CohereTokenizer(vocab=VOCABULARY, merges=MERGES),
    "llama": lambda: hf.LlamaTokenizer(vocab={"<unk>": 0, "<s>": 1, "</s>": 2, "▁": 3, "a": 4}, merges=[]),
    "gemma": lambda: hf.GemmaTokenizer(),
    "electra": lambda: hf.ElectraTokenizer(vocab=wordpiece_vocabulary()),
    "rembert": lambda: hf.RemBertTokenizer(vocab=unigram(["<pad>", "<s>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], "<unk>")),
    "herbert": lambda: hf.HerbertTokenizer(vocab={"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a</w>": 5}, merges=[]),
    "bigbird": lambda: hf.BigBirdTokenizer(vocab=PIECES),
    "mbart": lambda: hf.MBartTokenizer(vocab=PIECES),
    "mbart50": lambda: hf.MBart50Tokenizer(vocab=PIECES),
    "nllb": lambda: hf.NllbTokenizer(vocab={"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "▁a": 4}, merges=[]),
    "barthez": lambda: hf.BarthezTokenizer(vocab=PIECES),
    "xglm": lambda: hf.XGLMTokenizer(vocab=PIECES),
    "pegasus": lambda: hf.PegasusTokenizer(vocab=unigram(["<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk>"], "<unk>")),
    "splinter": lambda: hf.SplinterTokenizer(vocab=wordpiece_vocabulary()),
    "generic": lambda: hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer("roberta")._tokenizer),
}

#: What transformers 4 wrote, as in published repositories; the character map of SentencePiece is left out.
OLD_METASPACE = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True, "str_rep": "▁"}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
STRIP = [{"type": "Strip", "strip_left": False, "strip_right": True},
         {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]
SEQUENCE = lambda *parts: {"type": "Sequence", "normalizers": list(parts)}
PRE = lambda *parts: {"type": "Sequence", "pretokenizers": list(parts)}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
EARLIER = {
    "xlm-roberta": [{"normalizer": None, "pre_tokenizer": PRE({"type": "WhitespaceSplit"}, OLD_METASPACE)},
                    {"normalizer": SEQUENCE(*STRIP), "pre_tokenizer": METASPACE}],
    "camembert": [{"normalizer": SEQUENCE(*STRIP), "pre_tokenizer": METASPACE}],
    "t5": [{"normalizer": SEQUENCE(*STRIP), "pre_tokenizer": METASPACE}],
    "deberta-v2": [{"normalizer": SEQUENCE({"type": "Strip", "strip_left": True, "strip_right": True}, STRIP[1]),
                    "pre_tokenizer": PRE(METASPACE)}],
    "llama": [{"normalizer": SEQUENCE({"type": "Prepend", "prepend": "▁"},
                                      {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}), "pre_tokenizer": None}],
    "roberta": [{"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}}],
}
SETTINGS = {
    "bert": [{"do_lower_case": False}, {"strip_accents": True}, {"tokenizer_class": "ConvBertTokenizer", "do_lower_case": False},
             {"tokenizer_class": "HerbertTokenizer"}, {"tokenizer_class": "ElectraTokenizerFast", "do_lower_case": False},
             {"tokenizer_class": "UnknownTokenizer", "do_lower_case": False}, {"tokenizer_class": "DPRReaderTokenizer", "do_lower_case": False}],
    "herbert": [{"do_lower_case": True}],
    "rembert": [{"do_lower_case": True}, {"keep_accents": False}, {"add_prefix_space": False}],
    "bigbird": [{"add_prefix_space": False}],
    "barthez": [{"add_prefix_space": False}],
    "xglm": [{"add_prefix_space": False}],
    "albert": [{"do_lower_case": False}, {"keep_accents": True}],
    "deberta-v2": [{"do_lower_case": True}, {"split_by_punct": True}, {"add_prefix_space": False}],
    "xlnet": [{"do_lower_case": True}],
    "xlm-roberta": [{"add_prefix_space": False}],
    "roberta": [{"add_prefix_space": True}],
    "llama": [{"add_prefix_space": False}, {"legacy": True}],
}
#: Files of tokenizers that were trained with parts of their own and saved with one of these classes.
OWN = {
    "bert": [{"normalizer": SEQUENCE({"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"})},
             {"pre_tokenizer": {"type": "WhitespaceSplit"}}],
    "roberta": [{"normalizer": SEQUENCE({"type": "NFKC"}, {"type": "Lowercase"})}, {"normalizer": {"type": "Lowercase"}},
                {"pre_tokenizer": PRE({"type": "Digits", "individual_digits": True}, BYTES)}],
    "gpt2": [{"normalizer": {"type": "Lowercase"}}],
    "xlm-roberta": [{"normalizer": {"type": "NFKC"}}, {"normalizer": {"type": "Replace", "pattern": {"Regex": "\\d"}, "content": "0"}}],
    "albert": [{"normalizer": {"type": "NFKC"}}],
    "qwen2": [{"normalizer": {"type": "Lowercase"}}],
    "generic": [{"normalizer": {"type": "Lowercase"}}],
    "rembert": [{"normalizer": {"type": "NFKC"}}],
    "herbert": [{"normalizer": {"type": "Lowercase"}}, {"pre_tokenizer": {"type": "Whitespace"}}],
    "nllb": [{"normalizer": {"type": "NFKC"}}],
    "gemma": [{"normalizer": {"type": "NFKC"}}, {"pre_tokenizer": {"type": "WhitespaceSplit"}}],
}
#: Options of the model that its class has a value of its own for.
MODEL = {
    "bert": [{"max_input_chars_per_word": 20}, {"continuing_subword_prefix": "@@"}],
    "distilbert": [{"max_input_chars_per_word": 20}],
    "mpnet": [{"continuing_subword_prefix": ""}],
    "generic": [{"unk_token": "<pad>"}],
    "xlm-roberta": [{"unk_id": 0}, {"byte_fallback": True}],
    "albert": [{"unk_id": 0}],
    "t5": [{"unk_id": 0}],
    "rembert": [{"unk_id": 0}],
    "mbart": [{"unk_id": 0}],
}
OPTIONS = ["unk_id", "byte_fallback", "max_input_chars_per_word", "continuing_subword_prefix", "unk_token"]


def parts(one):
    model = {key: value for key, value in one["model"].items() if key in OPTIONS}
    return {**{key: one[key] for key in ("normalizer", "pre_tokenizer")}, "model": model}


def case(name, kind, file_changes, setting_changes, model_changes={}):
    with tempfile.TemporaryDirectory() as folder:
        SAVED[name]().save_pretrained(folder)
        files = [Path(folder) / one for one in ("tokenizer.json", "tokenizer_config.json")]
        file, settings = (json.loads(one.read_text()) for one in files)
        file.update(file_changes)
        file["model"].update(model_changes)
        settings.update(setting_changes)
        for target, content in zip(files, (file, settings)):
            target.write_text(json.dumps(content))
        built = json.loads(hf.AutoTokenizer.from_pretrained(folder)._tokenizer.to_str())
    settings = {key: value for key, value in settings.items() if isinstance(value, bool) or key == "tokenizer_class"}
    return {"name": name, "kind": kind, "file": parts(file), "settings": settings, "built": parts(built)}


cases = [case(name, "saved", {}, {}) for name in SAVED]
cases += [case(name, "earlier", change, {}) for name, changes in EARLIER.items() for change in changes]
cases += [case(name, "settings", {}, change) for name, changes in SETTINGS.items() for change in changes]
cases += [case(name, "own", change, {}) for name, changes in OWN.items() for change in changes]
cases += [case(name, "model", {}, {}, change) for name, changes in MODEL.items() for change in changes]
text = ",\n".join(json.dumps(one, ensure_ascii=False) for one in cases)
(HERE / "tokenizer-classes.json").write_text(f"[\n{text}\n]\n")
