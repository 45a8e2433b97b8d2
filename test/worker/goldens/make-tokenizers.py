"""
Small tokenizers of every family, and what the Rust library makes of many texts.

    python -m venv .venv && .venv/bin/pip install tokenizers==0.23.3 sentencepiece==0.2.3 protobuf==7.36.2
    .venv/bin/python test/worker/goldens/make-tokenizers.py

They are trained on Python's own help texts (pydoc_data.topics, PSF licence) and on the texts themselves. The charsmaps
are those that sentencepiece (Apache-2.0) writes into every model. Places are in UTF-16 units, as JavaScript counts.
Written next to this file: tokenizers/texts.json.gz, and one file a tokenizer with the spec and the expected tokens.
"""
import gzip
import io
import json
import pathlib
import sys

import sentencepiece
import tokenizers
from pydoc_data.topics import topics
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from texts_for_tokenizers import texts

TEXTS = texts()
CORPUS = [line for topic in topics.values() for line in topic.split("\n") if line.strip()][:6000] + TEXTS * 2
# Few enough characters for a small vocabulary.
SENTENCES_ONLY = CORPUS[:4000] + TEXTS[:24] * 3
PAIR = ("The first text, isn't it?", "und ein zweiter: größer!")
FOLDER = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "tokenizers"
MASK = AddedToken("<mask>", lstrip=True, special=True)
GPT2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = GPT2.replace(r"\p{N}{1,3}", r"\p{N}")
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
])
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", "|".join([
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+""", "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+", " ?[\\p{P}\\p{S}]+[\r\n]*",
    "\\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])]
BYTE_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())


def sentencepiece_model(rule, kind="unigram", **options):
    written = io.BytesIO()
    settings = dict(vocab_size=1200, character_coverage=0.9995, hard_vocab_limit=False, minloglevel=2) | options
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES_ONLY), model_writer=written, model_type=kind,
        normalization_rule_name=rule, **settings)
    model = proto.ModelProto()
    model.ParseFromString(written.getvalue())
    return model


def charsmap(model):
    return normalizers.Precompiled(bytes(model.normalizer_spec.precompiled_charsmap))


def unigram(model, specials, **options):
    pieces = [(piece.piece, piece.score) for piece in model.pieces if piece.type not in (2, 3)]
    vocab = [(token, 0.0) for token in specials] + [pair for pair in pieces if pair[0] not in specials]
    return Tokenizer(models.Unigram(vocab, specials.index("<unk>"), **options))


def trained(tokenizer, trainer, corpus=CORPUS):
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def template(tokenizer, single, pair, names):
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=[(name, tokenizer.token_to_id(name)) for name in names])


def bert_uncased():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trained(t, trainers.WordPieceTrainer(vocab_size=1500, limit_alphabet=400, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    t.post_processor = template(t, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ["[CLS]", "[SEP]"])
    t.decoder = decoders.WordPiece()
    return t


def bert_cased():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=40))
    t.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False, handle_chinese_chars=False)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trained(t, trainers.WordPieceTrainer(vocab_size=1500, limit_alphabet=700, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    t.decoder = decoders.WordPiece(cleanup=False)
    return t


def bert_with_added_tokens():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(strip_accents=True, lowercase=True, clean_text=False)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trained(t, trainers.WordPieceTrainer(vocab_size=1000, limit_alphabet=300, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False))
    t.add_special_tokens([AddedToken("[MASK]", lstrip=True, rstrip=True)])
    t.add_tokens(["NEWTOKEN", "ÑEW", AddedToken("Lefty", lstrip=True), AddedToken("righty", rstrip=True, normalized=False), AddedToken("solo", single_word=True)])
    return t


def byte_level(add_prefix_space, trim_offsets):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, trim_offsets=trim_offsets)
    t.decoder = decoders.ByteLevel()
    return t


def byte_trainer(specials, vocab_size=1400):
    return trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=BYTE_ALPHABET, special_tokens=specials, show_progress=False)


def gpt2():
    t = trained(byte_level(False, True), byte_trainer(["<|endoftext|>"]))
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    return t


def gpt2_trimmed():
    t = trained(byte_level(True, True), byte_trainer(["<|endoftext|>"]))
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    return t


def roberta():
    t = trained(byte_level(True, True), byte_trainer(["<s>", "<pad>", "</s>", "<unk>"]))
    t.add_special_tokens([MASK])
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=True)
    return t


def roberta_without_prefix_space():
    t = trained(byte_level(False, True), byte_trainer(["<s>", "<pad>", "</s>", "<unk>"]))
    t.add_special_tokens([MASK])
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return t


def with_expression(expressions, normalizer, ignore_merges):
    t = byte_level(False, True)
    t.normalizer = normalizer
    t.pre_tokenizer = pre_tokenizers.Sequence([
        *(pre_tokenizers.Split(Regex(one), "isolated") for one in expressions), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trained(t, byte_trainer(["<|endoftext|>"]))
    spec = json.loads(t.to_str())
    spec["model"]["ignore_merges"] = ignore_merges
    return Tokenizer.from_str(json.dumps(spec))


def llama3():
    t = with_expression([GPT2], None, True)
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False), template(t, "<|endoftext|> $A", "<|endoftext|> $A <|endoftext|>:1 $B:1", ["<|endoftext|>"])])
    return t


def qwen():
    return with_expression([QWEN], normalizers.NFC(), False)


def gpt4o():
    return with_expression([O200K], None, False)


def clip():
    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(CLIP), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    trained(t, trainers.BpeTrainer(vocab_size=1500, initial_alphabet=BYTE_ALPHABET, end_of_word_suffix="</w>", special_tokens=["<|startoftext|>", "<|endoftext|>"], show_progress=False))
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0), trim_offsets=False, add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    return t


def llama2():
    model = sentencepiece_model("identity", "bpe", byte_fallback=True, remove_extra_whitespaces=False, vocab_size=1400)
    return bpe_of(model, normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None)


def mistral():
    model = sentencepiece_model("identity", "bpe", byte_fallback=True, remove_extra_whitespaces=False, vocab_size=1400)
    return bpe_of(model, None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False))


def gemma():
    model = sentencepiece_model("identity", "bpe", byte_fallback=True, remove_extra_whitespaces=False, vocab_size=1400)
    return bpe_of(model, normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"))


def bpe_of(model, normalizer, pre_tokenizer):
    vocab = {piece.piece: i for i, piece in enumerate(model.pieces)}
    scored = {piece.piece: piece.score for piece in model.pieces if piece.type == 1}
    merges = []
    for token in scored:
        pairs = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in scored and token[i:] in scored]
        merges += [(scored[token], pair) for pair in sorted(pairs, key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))]
    merges = [pair for _, pair in sorted(merges, key=lambda entry: -entry[0])]
    t = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizer or t.normalizer
    t.pre_tokenizer = pre_tokenizer or t.pre_tokenizer
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = template(t, "<s> $A", "<s> $A <s>:1 $B:1", ["<s>"])
    return t


def metaspace_bpe():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    t.normalizer = normalizers.NFKC()
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    trained(t, trainers.BpeTrainer(vocab_size=1200, limit_alphabet=250, special_tokens=["<unk>"], show_progress=False))
    t.decoder = decoders.Metaspace()
    return t


def bpe_without_unknown():
    t = Tokenizer(models.BPE(continuing_subword_prefix="##"))
    t.normalizer = normalizers.NFKD()
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    return trained(t, trainers.BpeTrainer(vocab_size=800, limit_alphabet=120, continuing_subword_prefix="##", special_tokens=["[CLS]"], show_progress=False))


def t5():
    model = sentencepiece_model("nmt_nfkc")
    t = unigram(model, ["<pad>", "</s>", "<unk>"])
    t.normalizer = normalizers.Sequence([charsmap(model), normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    t.add_special_tokens(["<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_1>"])
    t.post_processor = template(t, "$A </s>", "$A </s> $B </s>", ["</s>"])
    return t


def xlm_roberta():
    model = sentencepiece_model("nmt_nfkc", vocab_size=1500)
    t = unigram(model, ["<s>", "<pad>", "</s>", "<unk>"])
    t.normalizer = normalizers.Sequence([charsmap(model), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.decoder = decoders.Metaspace()
    t.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", MASK])
    t.post_processor = template(t, "<s> $A </s>", "<s> $A </s> </s> $B </s>", ["<s>", "</s>"])
    return t


def albert():
    model = sentencepiece_model("nmt_nfkc_cf")
    t = unigram(model, ["<pad>", "<unk>", "[CLS]", "[SEP]"])
    t.normalizer = normalizers.Sequence([
        normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(),
        charsmap(model), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    t.add_special_tokens(["<pad>", "<unk>", "[CLS]", "[SEP]", AddedToken("[MASK]", lstrip=True)])
    t.post_processor = template(t, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ["[CLS]", "[SEP]"])
    return t


def unigram_with_bytes():
    model = sentencepiece_model("identity", byte_fallback=True, remove_extra_whitespaces=False, vocab_size=1400)
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    t = Tokenizer(models.Unigram(pieces, 0, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    return t


def trained_unigram():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    trained(t, trainers.UnigramTrainer(vocab_size=900, unk_token="<unk>", special_tokens=["<unk>", "<mask>"], show_progress=False), SENTENCES_ONLY)
    t.decoder = decoders.Metaspace(prepend_scheme="never")
    return t


def word_level():
    t = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip()])
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    trained(t, trainers.WordLevelTrainer(vocab_size=1000, special_tokens=["[UNK]", "[MASK]"], show_progress=False))
    return t


def splits(*all_of, normalizer=None):
    """A model that knows nothing shows what the pre-tokenizers do."""
    t = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, ".": 2}, unk_token="[UNK]"))
    t.normalizer = normalizer or t.normalizer
    t.pre_tokenizer = pre_tokenizers.Sequence(list(all_of))
    return t


FAMILIES = {
    "bert-uncased": bert_uncased, "bert-cased": bert_cased, "bert-with-added-tokens": bert_with_added_tokens,
    "gpt2": gpt2, "gpt2-trimmed": gpt2_trimmed, "roberta": roberta, "roberta-without-prefix-space": roberta_without_prefix_space,
    "llama3": llama3, "qwen": qwen, "gpt4o": gpt4o,
    "cl100k": lambda: with_expression([CL100K], None, False), "bloom": lambda: with_expression([BLOOM], None, False),
    "deepseek": lambda: with_expression(DEEPSEEK, None, False), "clip": clip, "llama2": llama2, "mistral": mistral, "gemma": gemma,
    "metaspace-bpe": metaspace_bpe, "bpe-without-unknown": bpe_without_unknown,
    "t5": t5, "xlm-roberta": xlm_roberta, "albert": albert, "unigram-with-bytes": unigram_with_bytes, "trained-unigram": trained_unigram,
    "word-level": word_level,
    "punctuation": lambda: splits(pre_tokenizers.Punctuation(), pre_tokenizers.Digits(individual_digits=True)),
    "contiguous": lambda: splits(pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Digits()),
    "merged": lambda: splits(pre_tokenizers.Split("a", "merged_with_previous"), pre_tokenizers.Split(Regex(r"\s"), "merged_with_next")),
    "removed": lambda: splits(pre_tokenizers.Split(Regex(r"\d+|\w"), "removed"), pre_tokenizers.FixedLength(3), normalizer=normalizers.Strip(right=False)),
    "punctuation-merged": lambda: splits(pre_tokenizers.Punctuation("merged_with_previous"), pre_tokenizers.Split(Regex(r"[\s.]+"), "contiguous"), normalizer=normalizers.Nmt()),
    "punctuation-removed": lambda: splits(pre_tokenizers.Punctuation("removed"), normalizer=normalizers.NFC()),
    "byte-normalizer": lambda: splits(pre_tokenizers.FixedLength(4), normalizer=normalizers.ByteLevel()),
}
# What needs fewer texts to be trusted: it shares nearly everything with a family that has them all.
SPARSE = {"qwen", "gpt2-trimmed", "roberta-without-prefix-space", "gpt4o", "cl100k", "bloom", "deepseek", "mistral", "gemma", "punctuation", "contiguous", "merged", "removed", "punctuation-merged", "punctuation-removed", "byte-normalizer"}


def units(text):
    """UTF-16 units before each character."""
    before = [0]
    for char in text:
        before.append(before[-1] + (2 if ord(char) > 0xFFFF else 1))
    return before


def expected(tokenizer, text):
    encoding = tokenizer.encode(text, add_special_tokens=False)
    place = units(text)
    starts = [place[start] for start, _ in encoding.offsets]
    return {
        "ids": encoding.ids,
        # Distances are small numbers, which pack better.
        "steps": [start - previous for start, previous in zip(starts, [0] + starts)],
        "lengths": [place[end] - place[start] for start, end in encoding.offsets],
        "words": encoding.word_ids,
        # 0 stands for the text itself.
        "decoded": 0 if (decoded := tokenizer.decode(encoding.ids, skip_special_tokens=True)) == text else decoded,
    }


def around(encoding):
    return [list(encoding.ids), list(encoding.type_ids)]


def without_charsmaps(value, found):
    """Charsmaps are large and shared: each is written once, and the spec holds its number."""
    if isinstance(value, dict):
        return {key: number(entry, found) if key == "precompiled_charsmap" else without_charsmaps(entry, found) for key, entry in value.items()}
    return [without_charsmaps(entry, found) for entry in value] if isinstance(value, list) else value


def number(charsmap, found):
    if charsmap not in found:
        found.append(charsmap)
    return found.index(charsmap)


def write(path, value):
    packed = gzip.compress(json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode(), 9, mtime=0)
    path.write_bytes(packed)
    return len(packed)


def main():
    FOLDER.mkdir(exist_ok=True)
    charsmaps = []
    total = 0
    for name, make in FAMILIES.items():
        tokenizer = make()
        indices = [i for i in range(len(TEXTS)) if name not in SPARSE or i % 5 == 0]
        results = [expected(tokenizer, TEXTS[i]) for i in indices]
        columns = {key: [result[key] for result in results] for key in results[0]}
        single, pair = around(tokenizer.encode(PAIR[0])), around(tokenizer.encode(*PAIR))
        size = write(FOLDER / f"{name}.json.gz", {
            "spec": without_charsmaps(json.loads(tokenizer.to_str()), charsmaps), "indices": indices, "pairTexts": PAIR, "single": single, "pair": pair, **columns,
        })
        total += size
        print(f"{name:30} {size:8} bytes, {len(indices)} texts, {tokenizer.get_vocab_size()} tokens")
    total += write(FOLDER / "texts.json.gz", {"tokenizers": tokenizers.__version__, "texts": TEXTS, "charsmaps": charsmaps})
    print(total, "bytes")


if __name__ == "__main__":
    main()
