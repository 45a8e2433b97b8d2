"""
Small models as Hugging Face folders, and what the pipelines of transformers answer with them in PyTorch.

Needs Python 3.11 with requirements.txt (transformers 4.57 is the last line with a pipeline for question answering):

    OMP_NUM_THREADS=1 python test/importing/goldens/make-hugging-face.py [folder ...]

The weights are random, from a seed, and then spread so that answers are decisive. Everything in hugging-face/ is
written by the libraries themselves, but for the card and golden.json; graphs have the names and the dynamic axes that
optimum gives them. Places in golden.json are in UTF-16 units, as JavaScript counts, and words are as the text has
them; the rest is as the pipelines say.
"""
import base64
import inspect
import io
import json
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import sentencepiece
import torch
import transformers as hf
from onnxruntime.quantization import QuantType, quantize_dynamic
from PIL import Image
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import pipeline

from texts_for_hugging_face import CORPUS, LONG, MASKED, NAMES, QUESTIONS, SHORT, SIMILAR, ZERO_SHOT

HERE = Path(__file__).resolve().parent / "hugging-face"
SOURCE = f"transformers {hf.__version__}, torch {torch.__version__.split('+')[0]}"
TOLERANCE = 1e-4
OPSET = 17
#: The longest sequence of the text models, special tokens included.
MAX_TOKENS = 64
#: A question and two windows' common tokens (64 here) have to fit in.
MAX_TOKENS_OF_QUESTIONS = 128
SIZES = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, initializer_range=0.25)
ENTITIES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]

torch.set_num_threads(1)
warnings.filterwarnings("ignore")
hf.logging.set_verbosity_error()


# ── tokenizers ──

def learnt(words, alphabet, count):
    """The pairs of parts that byte-pair encoding joins, most frequent first; the trainers' ties are left to chance."""
    parts = {word: [one if i == 0 else alphabet(one) for i, one in enumerate(word)] for word in words}
    pairs = []
    for _ in range(count):
        found = Counter(pair for word, own in parts.items() for pair in zip(own, own[1:]) for _ in range(words[word]))
        best = max(sorted(found), key=found.get)
        pairs.append(best)
        for own in parts.values():
            at = 0
            while at + 1 < len(own):
                if (own[at], own[at + 1]) == best:
                    own[at:at + 2] = [best[0] + best[1].removeprefix("##")]
                at += 1
    return pairs


def words_of(tokenizer):
    cut = tokenizer.pre_tokenizer.pre_tokenize_str
    clean = tokenizer.normalizer.normalize_str if tokenizer.normalizer else str
    return Counter(word for line in CORPUS for word, _ in cut(clean(line)))


def word_pieces(special, unknown, lowercase, joined):
    tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    words = words_of(tokenizer)
    letters = sorted({one for word in words for one in word})
    pairs = learnt(words, "##{}".format, joined)
    tokens = [*special, *letters, *(f"##{one}" for one in letters), *(a + b.removeprefix("##") for a, b in pairs)]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    tokenizer.model = models.WordPiece(vocabulary, unk_token=unknown, max_input_chars_per_word=100)
    return tokenizer


def word_piece(kind=hf.BertTokenizerFast, lowercase=True, most=MAX_TOKENS):
    tokenizer = word_pieces(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "[UNK]", lowercase, 100)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return kind(tokenizer_object=tokenizer, do_lower_case=lowercase, model_max_length=most)


def mpnet_tokens():
    """Words as BERT's, special tokens and numbers as RoBERTa's."""
    tokenizer = word_pieces(["<s>", "<pad>", "</s>", "[UNK]", "<mask>"], "[UNK]", True, 100)
    tokenizer.post_processor = processors.RobertaProcessing(
        sep=("</s>", 2), cls=("<s>", 0), trim_offsets=False, add_prefix_space=False)
    return hf.MPNetTokenizerFast(tokenizer_object=tokenizer, model_max_length=MAX_TOKENS)


def byte_level(most=MAX_TOKENS):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    pairs = learnt(words_of(tokenizer), str, 80)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, pairs)]
    tokenizer.model = models.BPE({token: i for i, token in enumerate([*dict.fromkeys(tokens), "<mask>"])}, pairs)
    tokenizer.post_processor = processors.RobertaProcessing(sep=("</s>", 2), cls=("<s>", 0), add_prefix_space=False)
    return hf.RobertaTokenizerFast(tokenizer_object=tokenizer, model_max_length=most)


def sentence_piece(kind, size=300, **options):
    """Without a table of normal forms, which alone has 300 kB."""
    with tempfile.TemporaryDirectory() as folder:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS), model_prefix=f"{folder}/spiece", vocab_size=size, model_type="unigram",
            normalization_rule_name="identity", hard_vocab_limit=False, minloglevel=2, num_threads=1, **options)
        return kind(vocab_file=f"{folder}/spiece.model", model_max_length=MAX_TOKENS)


# ── weights ──

def build(kind, config, seed):
    torch.manual_seed(seed)
    model = kind(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # What begins as zeros or ones, such as biases and the queries of a detector, would stay alike.
            if parameter.std() == 0 or parameter.dim() == 1:
                parameter.add_((0.1 if parameter.dim() == 1 else 0.5) * torch.randn_like(parameter))
    return model


@torch.no_grad()
def spread(model, layer, batches, pick, wanted=3.0):
    """Scales a last layer so that its outputs over all batches have this deviation, and each of them the mean 0."""
    found = torch.cat([pick(model(**batch)).reshape(-1, layer.weight.shape[0]) for batch in batches])
    factor = wanted / found.std()
    layer.weight.mul_(factor)
    layer.bias.copy_((layer.bias - found.mean(0)) * factor)


def tokenized(tokenizer, texts=SHORT + CORPUS):
    return [tokenizer(text, return_tensors="pt", truncation=True) for text in texts]


# ── files ──

def export(folder, model, batch, inputs, outputs, axes, name="model"):
    """As optimum does: by tracing, with these names and these axes left open."""
    (folder / "onnx").mkdir(exist_ok=True)
    given = {key: batch[key] for key in inputs}
    order = [key for key in inspect.signature(model.forward).parameters if key in given]
    file = folder / "onnx" / f"{name}.onnx"

    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *values):
            answered = self.model(**dict(zip(order, values)), return_dict=True)
            return tuple(answered[key] for key in outputs)

    torch.onnx.export(
        Named().eval(), tuple(given[key] for key in order), str(file), input_names=order, output_names=outputs,
        dynamic_axes=axes, opset_version=OPSET, do_constant_folding=True, dynamo=False)
    onnx.checker.check_model(str(file))
    return file


TEXT_AXES = {0: "batch_size", 1: "sequence_length"}


def export_text(folder, model, tokenizer, outputs):
    """`outputs` by their names, each with its open axes."""
    batch = tokenizer(["Paris is great.", "The film, too."], return_tensors="pt", padding=True)
    inputs = list(tokenizer.model_input_names)
    return export(folder, model, batch, inputs, list(outputs), {key: TEXT_AXES for key in inputs} | outputs)


LOGITS_OF_TEXT = {"logits": {0: "batch_size"}}
LOGITS_OF_TOKENS = {"logits": TEXT_AXES}
PIXELS = {0: "batch_size", 1: "num_channels", 2: "height", 3: "width"}


def export_image(folder, model, processor, outputs, more=None):
    pictures = [PICTURES["square"]] * 2
    batch = dict(processor(images=pictures, return_tensors="pt")) | (more or {})
    inputs = ["pixel_values", *(more or {})]
    axes = {"pixel_values": PIXELS, "pixel_mask": {0: "batch_size"}}
    return export(folder, model, batch, inputs, outputs, {key: axes[key] for key in inputs} | {
        key: {0: "batch_size"} for key in outputs})


def write_card(folder, task, title, widget):
    rows = "".join(
        "- " + "\n  ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in one.items()) + "\n"
        for one in widget)
    matter = f"license: mit\nlibrary_name: transformers\npipeline_tag: {task}\n"
    (folder / "README.md").write_text(
        f"---\n{matter}{'widget:' + chr(10) + rows if rows else ''}---\n\n# {title}\n\n"
        "Random weights, from a seed: what it answers means nothing.\n", encoding="utf8")


def write_golden(folder, cases):
    rows = ",\n    ".join(json.dumps(case, ensure_ascii=False) for case in cases)
    text = f'{{\n  "source": "{SOURCE}",\n  "tolerance": {TOLERANCE},\n  "cases": [\n    {rows}\n  ]\n}}\n'
    (folder / "golden.json").write_text(text, encoding="utf8")


def case(expect, **given):
    return {"input": given, "expect": expect}


def rounded(value):
    return round(float(value), 7)


def utf16(text, place):
    """A place in code points as one in UTF-16 units."""
    return len(text[:place].encode("utf-16-le")) // 2


# ── cases ──

def class_cases(model, tokenizer, texts):
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer)
    cases = []
    for text in texts:
        found = classify(text, top_k=None, truncation=True)
        cases.append(case(
            {"label": found[0]["label"], "scores": {one["label"]: rounded(one["score"]) for one in found}}, text=text))
    return cases


def entity_cases(model, tokenizer, texts):
    cases = []
    for how in ["none", "simple", "first", "average", "max"]:
        find = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy=how)
        for text in texts:
            spans = [
                {"label": one.get("entity_group") or one["entity"], "score": rounded(one["score"]),
                 "word": text[one["start"]:one["end"]],
                 "start": utf16(text, one["start"]), "end": utf16(text, one["end"])}
                for one in find(text)
            ]
            cases.append(case({"tokens": spans, "aggregation": how.upper()}, text=text))
    return cases


def mask_cases(model, tokenizer, texts):
    fill = pipeline("fill-mask", model=model, tokenizer=tokenizer, tokenizer_kwargs={"truncation": True})
    cases = []
    for text in texts:
        masked = text.format(tokenizer.mask_token)
        fillings = [
            {"token": one["token"], "text": one["token_str"], "score": rounded(one["score"])}
            for one in fill(masked, top_k=8)
        ]
        cases.append(case({"fillings": fillings}, text=masked))
    return cases


def is_within_word(text, place):
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


def question_cases(model, tokenizer, questions):
    answer = pipeline("question-answering", model=model, tokenizer=tokenizer)
    cases = []
    for question, context in questions:
        # At the edge of a window the pipeline answers parts of words, and counts them apart; here words are whole.
        around = answer(question=question, context=context, top_k=20)
        if any(is_within_word(context, one["start"]) or is_within_word(context, one["end"]) for one in around):
            continue
        for may_be_none in [True, False]:
            found = answer(question=question, context=context, handle_impossible_answer=may_be_none)
            start, end = utf16(context, found["start"]), utf16(context, found["end"])
            span = {"text": found["answer"], "start": start, "end": end, "score": rounded(found["score"])}
            cases.append(case(
                {"answer": span if found["answer"] else None},
                question={"question": question, "context": context, "handleImpossibleAnswer": may_be_none}))
    return cases


def zero_shot_cases(model, tokenizer, asked):
    classify = pipeline("zero-shot-classification", model=model, tokenizer=tokenizer)
    cases = []
    for text, labels, several in asked:
        found = classify(text, labels, multi_label=several)
        scores = {label: rounded(score) for label, score in zip(found["labels"], found["scores"])}
        cases.append(case(
            {"label": found["labels"][0], "scores": scores},
            zeroShot={"text": text, "labels": labels, "multiLabel": several}))
    return cases


# ── pictures ──

def picture(width, height, seed, noise=0):
    """Gradients, a disc, stripes and some noise: no two corners alike."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    u, v = x / width, y / height
    disc = ((u - 0.35) ** 2 + (v - 0.6) ** 2 < 0.06) * random.uniform(-120, 120, 3)[:, None, None]
    stripes = ((x + 2 * y) // 7 % 2) * (u > 0.6) * random.uniform(-90, 90, 3)[:, None, None]
    slopes = random.uniform(-160, 160, (3, 2, 1, 1))
    levels = 128 + slopes[:, 0] * (u - 0.5) + slopes[:, 1] * (v - 0.5) + disc + stripes
    if noise:
        levels += random.normal(0, noise, levels.shape)
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


#: What the server resizes to the bit as Pillow does: larger, or to less than a quarter.
PICTURES = {
    "square": picture(32, 32, 1), "wide": picture(45, 28, 2), "tall": picture(17, 31, 3),
    "small": picture(20, 24, 4, noise=20), "turned": picture(30, 21, 5, noise=2),
    "large": picture(232, 200, 6).quantize(24).convert("RGB"),
    "shrunk a little": picture(65, 60, 11, noise=2), "by half": picture(100, 120, 13),
}
TURNED = 6  # EXIF: to be turned by a quarter to the right


def encoded(name):
    written = io.BytesIO()
    exif = Image.Exif()
    if name == "turned":
        exif[0x0112] = TURNED
    PICTURES[name].save(written, "png", exif=exif.tobytes() if name == "turned" else None, optimize=True)
    return written.getvalue()


def as_read(data):
    """As the pipelines read what they are given."""
    return hf.image_utils.load_image(base64.b64encode(data).decode())


def picture_case(answer, name):
    data = encoded(name)
    return case(answer(as_read(data)), image={"base64": base64.b64encode(data).decode()})


def write_picture_goldens(folder, answer):
    write_golden(folder, [picture_case(answer, name) for name in PICTURES])


def pixels_of(processor):
    return [processor(images=[as_read(encoded(name))], return_tensors="pt") for name in PICTURES]


def write_image_classes(folder, model, processor):
    classify = pipeline("image-classification", model=model, image_processor=processor)

    def answer(image):
        found = classify(image, top_k=model.config.num_labels)
        return {"label": found[0]["label"], "scores": {one["label"]: rounded(one["score"]) for one in found}}

    write_picture_goldens(folder, answer)


@torch.no_grad()
def write_boxes(folder, model, processor):
    """Not the pipeline itself, as that cuts off what stands behind the point."""
    edges = ["xmin", "ymin", "xmax", "ymax"]

    def answer(image):
        outputs = model(**processor(images=[image], return_tensors="pt"))
        size = [(image.height, image.width)]
        found = processor.post_process_object_detection(outputs, threshold=0.5, target_sizes=size)[0]
        boxes = [
            {"label": model.config.id2label[int(label)], "score": rounded(score),
             "box": dict(zip(edges, map(rounded, box)))}
            for score, label, box in zip(found["scores"], found["labels"], found["boxes"])
        ]
        return {"boxes": sorted(boxes, key=lambda one: -one["score"])}

    write_picture_goldens(folder, answer)


# ── models ──

def labelled(labels):
    return dict(id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)})


def bert_sizes(tokenizer):
    return dict(SIZES, vocab_size=len(tokenizer), max_position_embeddings=tokenizer.model_max_length, pad_token_id=0)


def roberta_sizes(tokenizer):
    return dict(SIZES, vocab_size=len(tokenizer), max_position_embeddings=tokenizer.model_max_length + 2,
                type_vocab_size=1, pad_token_id=tokenizer.pad_token_id, bos_token_id=0, eos_token_id=2)


def distil_sizes(tokenizer):
    return dict(vocab_size=len(tokenizer), max_position_embeddings=MAX_TOKENS, dim=16, n_layers=2, n_heads=2,
                hidden_dim=32, initializer_range=0.25)


def save(folder, *parts):
    for part in parts:
        part.save_pretrained(folder)
    (folder / "model.safetensors").unlink()


def text_classifier(kind, tokenizer, config, last, seed):
    def make(folder):
        model = build(kind, config, seed)
        spread(model, last(model), tokenized(tokenizer), lambda out: out.logits)
        save(folder, model, tokenizer)
        export_text(folder, model, tokenizer, LOGITS_OF_TEXT)
        write_golden(folder, class_cases(model, tokenizer, [*SHORT, LONG]))
        write_card(folder, "text-classification", f"{kind.__name__}, small and random", [{"text": SHORT[0]}])
        return model
    return make


def bert_sentiment(folder):
    tokenizer = word_piece()
    config = hf.BertConfig(**bert_sizes(tokenizer), **labelled(["NEGATIVE", "NEUTRAL", "POSITIVE"]))
    text_classifier(hf.BertForSequenceClassification, tokenizer, config, lambda m: m.classifier, 1)(folder)
    quantize_dynamic(
        folder / "onnx" / "model.onnx", folder / "onnx" / "model_quantized.onnx", weight_type=QuantType.QInt8)


def distilbert_topics(folder):
    tokenizer = word_piece(hf.DistilBertTokenizerFast)
    config = hf.DistilBertConfig(**distil_sizes(tokenizer), problem_type="multi_label_classification",
                                 **labelled(["film", "travel", "food", "science", "service"]))
    text_classifier(hf.DistilBertForSequenceClassification, tokenizer, config, lambda m: m.classifier, 2)(folder)


def roberta_emotions(folder):
    tokenizer = byte_level()
    config = hf.RobertaConfig(**roberta_sizes(tokenizer), **labelled(["joy", "anger", "fear", "surprise"]))
    text_classifier(hf.RobertaForSequenceClassification, tokenizer, config, lambda m: m.classifier.out_proj, 3)(folder)


def deberta_toxicity(folder):
    tokenizer = sentence_piece(hf.DebertaV2TokenizerFast, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1,
                               user_defined_symbols=["[CLS]", "[SEP]", "[MASK]"])
    config = hf.DebertaV2Config(
        **dict(SIZES, vocab_size=len(tokenizer), max_position_embeddings=MAX_TOKENS, type_vocab_size=0),
        relative_attention=True, position_buckets=16, norm_rel_ebd="layer_norm", share_att_key=True,
        pos_att_type=["p2c", "c2p"], position_biased_input=False, **labelled(["harmless", "toxic"]))
    text_classifier(hf.DebertaV2ForSequenceClassification, tokenizer, config, lambda m: m.classifier, 4)(folder)


def entity_model(kind, tokenizer, config, seed, folder, texts=NAMES):
    model = build(kind, config, seed)
    spread(model, model.classifier, tokenized(tokenizer), lambda out: out.logits)
    save(folder, model, tokenizer)
    export_text(folder, model, tokenizer, LOGITS_OF_TOKENS)
    write_golden(folder, entity_cases(model, tokenizer, texts))
    write_card(folder, "token-classification", f"{kind.__name__}, small and random", [{"text": NAMES[0]}])


def bert_entities(folder):
    tokenizer = word_piece()
    config = hf.BertConfig(**bert_sizes(tokenizer), **labelled(ENTITIES))
    entity_model(hf.BertForTokenClassification, tokenizer, config, 5, folder)


def roberta_entities(folder):
    tokenizer = byte_level()
    config = hf.RobertaConfig(**roberta_sizes(tokenizer), **labelled(ENTITIES))
    entity_model(hf.RobertaForTokenClassification, tokenizer, config, 6, folder)


def xlmr_entities(folder):
    tokenizer = sentence_piece(hf.XLMRobertaTokenizerFast)
    config = hf.XLMRobertaConfig(**roberta_sizes(tokenizer), **labelled(ENTITIES))
    entity_model(hf.XLMRobertaForTokenClassification, tokenizer, config, 7, folder)


def mask_model(kind, tokenizer, config, norm, seed, folder):
    model = build(kind, config, seed)
    with torch.no_grad():
        found = torch.cat([model(**batch).logits.flatten() for batch in tokenized(tokenizer)])
        norm(model).weight.mul_(3 / found.std())
        norm(model).bias.mul_(3 / found.std())
    save(folder, model, tokenizer)
    export_text(folder, model, tokenizer, LOGITS_OF_TOKENS)
    write_golden(folder, mask_cases(model, tokenizer, MASKED))
    widget = [{"text": MASKED[0].format(tokenizer.mask_token)}]
    write_card(folder, "fill-mask", f"{kind.__name__}, small and random", widget)


def bert_mask(folder):
    tokenizer = word_piece()
    config = hf.BertConfig(**bert_sizes(tokenizer))
    mask_model(hf.BertForMaskedLM, tokenizer, config, lambda m: m.cls.predictions.transform.LayerNorm, 8, folder)


def roberta_mask(folder):
    tokenizer = byte_level()
    config = hf.RobertaConfig(**roberta_sizes(tokenizer))
    mask_model(hf.RobertaForMaskedLM, tokenizer, config, lambda m: m.lm_head.layer_norm, 9, folder)


def question_model(kind, tokenizer, config, folder):
    """Of the first seed with which some questions have an answer and some have none."""
    batches = [
        tokenizer(question, context, return_tensors="pt", truncation="only_second") for question, context in QUESTIONS]
    for seed in range(1000):
        model = build(kind, config, seed)
        spread(model, model.qa_outputs, batches, lambda out: torch.stack([out.start_logits, out.end_logits], -1))
        cases = question_cases(model, tokenizer, QUESTIONS)
        if 3 <= sum(case["expect"]["answer"] is None for case in cases) <= 7:
            break
    save(folder, model, tokenizer)
    export_text(folder, model, tokenizer, {"start_logits": TEXT_AXES, "end_logits": TEXT_AXES})
    write_golden(folder, cases)
    question, context = QUESTIONS[0]
    write_card(folder, "question-answering", f"{kind.__name__}, small and random",
               [{"text": question, "context": context}])


def bert_answers(folder):
    tokenizer = word_piece(most=MAX_TOKENS_OF_QUESTIONS)
    question_model(hf.BertForQuestionAnswering, tokenizer, hf.BertConfig(**bert_sizes(tokenizer)), folder)


def roberta_answers(folder):
    tokenizer = byte_level(most=MAX_TOKENS_OF_QUESTIONS)
    question_model(hf.RobertaForQuestionAnswering, tokenizer, hf.RobertaConfig(**roberta_sizes(tokenizer)), folder)


def bert_zero_shot(folder):
    tokenizer = word_piece()
    config = hf.BertConfig(**bert_sizes(tokenizer), **labelled(["contradiction", "neutral", "entailment"]))
    model = build(hf.BertForSequenceClassification, config, 12)
    pairs = [
        tokenizer(text, f"This example is {label}.", return_tensors="pt", truncation="only_first")
        for text, labels, _ in ZERO_SHOT for label in labels]
    spread(model, model.classifier, pairs, lambda out: out.logits)
    save(folder, model, tokenizer)
    export_text(folder, model, tokenizer, LOGITS_OF_TEXT)
    write_golden(folder, zero_shot_cases(model, tokenizer, ZERO_SHOT))
    write_card(folder, "zero-shot-classification", "BertForSequenceClassification for inference, small and random",
               [{"text": ZERO_SHOT[0][0], "candidate_labels": "refund, password, travel"}])


def similarity_model(kind, tokenizer, config, seed, folder, mode, outputs):
    from sentence_transformers import SentenceTransformer, models as parts

    model = build(kind, config, seed)
    with tempfile.TemporaryDirectory() as plain:
        model.save_pretrained(plain)
        tokenizer.save_pretrained(plain)
        first = parts.Transformer(plain, max_seq_length=48)
    pooling = parts.Pooling(config.hidden_size, pooling_mode=mode)
    together = SentenceTransformer(modules=[first, pooling, parts.Normalize()], device="cpu")
    together.save_pretrained(str(folder))
    (folder / "model.safetensors").unlink()
    export_text(folder, together[0].auto_model, tokenizer, outputs)

    def vector(text):
        return [rounded(x) for x in together.encode(text)]

    cases = [case({"vector": vector(text)}, text=text) for text in [*SHORT[:6], LONG]]
    for source, sentences in SIMILAR:
        near = together.similarity(together.encode([source]), together.encode(sentences))[0]
        cases.append(case({"similarities": [rounded(x) for x in near]},
                          similarity={"source": source, "sentences": sentences}))
    write_golden(folder, cases)
    source, sentences = SIMILAR[0]
    write_card(folder, "sentence-similarity", f"{kind.__name__} of sentence-transformers, small and random",
               [{"source_sentence": source, "sentences": sentences}])


HIDDEN = {"last_hidden_state": TEXT_AXES}


def bert_sentences(folder):
    tokenizer = word_piece()
    config = hf.BertConfig(**bert_sizes(tokenizer))
    outputs = HIDDEN | {"pooler_output": {0: "batch_size"}}
    similarity_model(hf.BertModel, tokenizer, config, 13, folder, "mean", outputs)


def mpnet_sentences(folder):
    tokenizer = mpnet_tokens()
    config = hf.MPNetConfig(**roberta_sizes(tokenizer))
    similarity_model(hf.MPNetModel, tokenizer, config, 14, folder, "cls", HIDDEN)


def distilbert_features(folder):
    tokenizer = word_piece(hf.DistilBertTokenizerFast, lowercase=False)
    model = build(hf.DistilBertModel, hf.DistilBertConfig(**distil_sizes(tokenizer)), 15)
    save(folder, model, tokenizer)
    export_text(folder, model, tokenizer, HIDDEN)
    features = pipeline("feature-extraction", model=model, tokenizer=tokenizer)
    # The pipeline answers a vector for each token; here it is their mean.
    cases = [
        case({"vector": [rounded(x) for x in np.mean(features(text, tokenize_kwargs={"truncation": True})[0], axis=0)]},
             text=text)
        for text in [*SHORT, LONG]]
    write_golden(folder, cases)
    write_card(folder, "feature-extraction", "DistilBertModel, small and random", [{"text": SHORT[0]}])


def image_classifier(model, processor, last, folder, title):
    spread(model, last(model), pixels_of(processor), lambda out: out.logits)
    save(folder, model, processor)
    export_image(folder, model, processor, ["logits"])
    write_image_classes(folder, model, processor)
    write_card(folder, "image-classification", title, [])


def vit_colours(folder):
    config = hf.ViTConfig(**SIZES, image_size=32, patch_size=8, **labelled(["red", "green", "blue"]))
    processor = hf.ViTImageProcessor(size={"height": 32, "width": 32})
    model = build(hf.ViTForImageClassification, config, 16)
    image_classifier(model, processor, lambda m: m.classifier, folder, "ViTForImageClassification, small and random")


def convnext_shapes(folder):
    config = hf.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, initializer_range=0.3,
                               image_size=32, **labelled(["disc", "stripes", "slope", "noise"]))
    processor = hf.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875)
    model = build(hf.ConvNextForImageClassification, config, 17)
    image_classifier(
        model, processor, lambda m: m.classifier, folder, "ConvNextForImageClassification, small and random")


@torch.no_grad()
def image_vectors(model, processor, output, outputs, folder, title):
    def answer(image):
        return {"vector": [rounded(x) for x in model(**processor(images=[image], return_tensors="pt"))[output][0]]}

    save(folder, model, processor)
    export_image(folder, model, processor, outputs)
    write_picture_goldens(folder, answer)
    write_card(folder, "image-feature-extraction", title, [])


def clip_vectors(folder):
    config = hf.CLIPVisionConfig(**SIZES, image_size=32, patch_size=8, projection_dim=16)
    processor = hf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    model = build(hf.CLIPVisionModelWithProjection, config, 19)
    image_vectors(model, processor, "image_embeds", ["image_embeds", "last_hidden_state"], folder,
                  "CLIPVisionModelWithProjection, small and random")


def vit_vectors(folder):
    config = hf.ViTConfig(**SIZES, image_size=32, patch_size=8)
    processor = hf.ViTImageProcessor(size={"height": 32, "width": 32}, resample=3)
    model = build(hf.ViTModel, config, 20)
    image_vectors(model, processor, "pooler_output", ["last_hidden_state", "pooler_output"], folder,
                  "ViTModel, small and random")


def detector(model, processor, last, folder, title, more=None):
    spread(model, last(model), pixels_of(processor), lambda out: out.logits, 2.0)
    save(folder, model, processor)
    export_image(folder, model, processor, ["logits", "pred_boxes"], more)
    write_boxes(folder, model, processor)
    write_card(folder, "object-detection", title, [])


def detr_things(folder):
    backbone = hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic",
                               out_features=["stage2"])
    config = hf.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone_config=backbone, backbone=None, d_model=16,
        encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_ffn_dim=32, num_queries=8, init_std=0.3, init_xavier_std=1.0, **labelled(["cat", "remote", "couch"]))
    processor = hf.DetrImageProcessor(size={"shortest_edge": 48, "longest_edge": 80})
    model = build(hf.DetrForObjectDetection, config, 21)
    # Exports in the wild take a mask of this size, whatever that of the picture.
    mask = {"pixel_mask": torch.ones((2, 64, 64), dtype=torch.int64)}
    detector(model, processor, lambda m: m.class_labels_classifier, folder,
             "DetrForObjectDetection, small and random", mask)


def yolos_things(folder):
    config = hf.YolosConfig(**SIZES, image_size=[48, 80], patch_size=16, num_detection_tokens=8,
                            use_mid_position_embeddings=False, **labelled(["cat", "remote", "couch"]))
    processor = hf.YolosImageProcessor(size={"shortest_edge": 48, "longest_edge": 80})
    model = build(hf.YolosForObjectDetection, config, 22)
    detector(model, processor, lambda m: m.class_labels_classifier.layers[-1], folder,
             "YolosForObjectDetection, small and random")


MAKERS = {
    "bert-sentiment": bert_sentiment,
    "distilbert-topics": distilbert_topics,
    "roberta-emotions": roberta_emotions,
    "deberta-toxicity": deberta_toxicity,
    "bert-entities": bert_entities,
    "roberta-entities": roberta_entities,
    "xlmr-entities": xlmr_entities,
    "bert-mask": bert_mask,
    "roberta-mask": roberta_mask,
    "bert-answers": bert_answers,
    "roberta-answers": roberta_answers,
    "bert-zero-shot": bert_zero_shot,
    "bert-sentences": bert_sentences,
    "mpnet-sentences": mpnet_sentences,
    "distilbert-features": distilbert_features,
    "vit-colours": vit_colours,
    "convnext-shapes": convnext_shapes,
    "clip-vectors": clip_vectors,
    "vit-vectors": vit_vectors,
    "detr-things": detr_things,
    "yolos-things": yolos_things,
}


def main():
    for name in sys.argv[1:] or MAKERS:
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        MAKERS[name](folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{name}: {size // 1000} kB")


if __name__ == "__main__":
    main()
