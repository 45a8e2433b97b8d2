"""Families of transformers: classification of texts and tokens, questions, masks and zero-shot labels. `build(out)` writes all."""
import numpy as np
import torch
import transformers as hf

from text_parts import (ARCHITECTURES, SOURCE, TEXTS, card, case, change_json, export, model, model_folder, reload, save, tokenizer,
                        utf16, yaml)

FAR = 1e-4


# ── classification of texts ──

def scored(pipe, text):
    found = pipe([text], top_k=None, truncation=True)[0]
    return {"label": max(found, key=lambda one: one["score"])["label"], "scores": {one["label"]: one["score"] for one in found}}


def classifier(name, architecture, seed, why, labels=3, problem=None, last=None, dynamo=False, length=None, words=None, keep=None,
               extra=None, spread=3.0, exclude=(), kind="scores", more=None, classify=None, **options):
    def make(out):
        folder, files = model_folder(out, "text-classification", name)
        tokens = tokenizer(architecture, **options)
        named = {"id2label": {i: f"topic {i}" for i in range(labels)}} if words is None else words
        made = model(architecture, "ForSequenceClassification", tokens, seed, spread, num_labels=labels, problem_type=problem, **named)
        save(made, tokens, files)
        far = export(made, tokens, files, ["logits"], last=last, dynamo=dynamo, length=length, exclude=exclude)
        if keep:
            change_json(files / "config.json", keep)
        if extra:
            extra(files)
        pipe = hf.pipeline("text-classification", model=made, tokenizer=reload(files))
        answer = classify or (lambda text: scored(pipe, text))
        texts = [text for text in TEXTS if text.strip()]
        right = [] if kind == "refuse" else [answer(text) for text in texts]
        case(folder, kind, why, [{"text": text} for text in texts], right, FAR, differs=far > FAR, **(more or {}))
    make.case = name
    return make


def activated(kind):
    """What a graph that ends in an activation answers, whatever config.json says."""
    def make(made, tokens):
        def answer(text):
            with torch.no_grad():
                logits = made(**tokens([text], truncation=True, return_tensors="pt")).logits[0]
            scores = (logits.softmax(-1) if kind == "softmax" else logits.sigmoid()).tolist()
            labels = made.config.id2label
            return {"label": labels[int(np.argmax(scores))], "scores": {labels[i]: one for i, one in enumerate(scores)}}
        return answer
    return make


def ending(name, architecture, seed, kind, why, labels=3, problem=None, spread=3.0, dynamo=False):
    """A graph with its own Softmax or Sigmoid."""
    def make(out):
        folder, files = model_folder(out, "text-classification", name)
        tokens = tokenizer(architecture)
        made = model(architecture, "ForSequenceClassification", tokens, seed, spread, num_labels=labels, problem_type=problem,
                     id2label={i: f"topic {i}" for i in range(labels)})
        save(made, tokens, files)
        last = torch.nn.Softmax(-1) if kind == "softmax" else torch.nn.Sigmoid()
        far = export(made, tokens, files, ["logits"], last=last, dynamo=dynamo)
        answer = activated(kind)(made, reload(files))
        texts = [text for text in TEXTS if text.strip()]
        case(folder, "scores", why, [{"text": text} for text in texts], [answer(text) for text in texts], FAR, differs=far > FAR)
    make.case = name
    return make


def without_special(name, architecture, seed):
    def make(out):
        folder, files = model_folder(out, "text-classification", name)
        tokens = tokenizer(architecture)
        made = model(architecture, "ForSequenceClassification", tokens, seed, 3.0, num_labels=2)
        save(made, tokens, files)
        far = export(made, tokens, files, ["logits"])
        yaml(files, "tokens: { addSpecialTokens: false }")
        pipe = hf.pipeline("text-classification", model=made, tokenizer=reload(files))
        texts = [text for text in TEXTS if text.strip()]
        right = []
        for text in texts:
            found = pipe([text], top_k=None, truncation=True, add_special_tokens=False)[0]
            right.append({"label": max(found, key=lambda one: one["score"])["label"],
                          "scores": {one["label"]: one["score"] for one in found}})
        case(folder, "scores", "tokens.addSpecialTokens is false: sequences without [CLS] and [SEP]",
             [{"text": text} for text in texts], right, FAR, differs=far > FAR)
    make.case = name
    return make


def drop(*keys):
    return lambda found: {key: value for key, value in found.items() if key not in keys}


def set_config(**values):
    return lambda files: change_json(files / "tokenizer_config.json", lambda found: {**found, **values})


def classifiers():
    made = [classifier(f"single-{one}", one, 10 + i, f"{one}: one of three labels, Softmax applied", dynamo=one in ("bert", "distilbert"))
            for i, one in enumerate(ARCHITECTURES)]
    made += [classifier(f"multi-{one}", one, 30 + i, f"{one}: several labels may apply, Sigmoid applied", labels=4,
                        problem="multi_label_classification") for i, one in enumerate(["bert", "distilbert", "roberta", "albert", "deberta-v2"])]
    made += [classifier(f"two-labels-{one}", one, 40 + i, "config.json of two labels has no id2label: LABEL_0, LABEL_1", labels=2, words={})
             for i, one in enumerate(["bert", "roberta", "xlm-roberta"])]
    made += [
        classifier("one-label", "bert", 50, "one label: transformers applies a Sigmoid", labels=1),
        classifier("num-labels", "bert", 51, "config.json has num_labels in place of id2label", labels=4, words={},
                   keep=lambda found: {**drop("id2label", "label2id")(found), "num_labels": 4}),
        classifier("fixed-length", "distilbert", 52, "the graph has a fixed sequence length of 24", length=24,
                   classify=None, model_max_length=24),
        classifier("cased", "bert", 53, "do_lower_case is false", do_lower_case=False),
        classifier("config-lowercases", "bert", 54, "tokenizer_config.json has do_lower_case, tokenizer.json does not: transformers follows the former",
                   do_lower_case=False, extra=set_config(do_lower_case=True)),
        classifier("config-keeps-case", "bert", 55, "tokenizer.json lower-cases, but tokenizer_config.json says do_lower_case: false",
                   extra=set_config(do_lower_case=False)),
        classifier("config-keeps-accents", "bert", 56, "tokenizer_config.json has strip_accents: false, which tokenizer.json does not have",
                   extra=set_config(strip_accents=False)),
        classifier("truncated-left", "bert", 57, "truncation_side is left: the end of a long text is read", truncation_side="left"),
        classifier("prefix-space", "roberta", 58, "tokenizer_config.json has add_prefix_space: true, tokenizer.json does not",
                   extra=set_config(add_prefix_space=True)),
        classifier("prefix-space-both", "roberta", 59, "add_prefix_space is true in both files", add_prefix_space=True),
        classifier("no-token-types", "bert", 60, "the graph has no token_type_ids", exclude=("token_type_ids",)),
        classifier("regression", "bert", 61, "problem_type regression: a number and no class; there is no task for it",
                   labels=1, problem="regression", kind="refuse", more={"says": ["not a probability", "model.yaml"]}),
        ending("softmax-multi", "bert", 62, "softmax", "ends in Softmax; config.json says multi-label",
               problem="multi_label_classification"),
        ending("softmax-single", "distilbert", 63, "softmax", "ends in Softmax; config.json implies another"),
        ending("sigmoid-single", "roberta", 64, "sigmoid", "ends in Sigmoid; config.json says one of several labels",
               problem="single_label_classification"),
        ending("sigmoid-multi", "bert", 65, "sigmoid", "ends in Sigmoid, as config.json says", problem="multi_label_classification"),
        ending("sigmoid-one", "bert", 66, "sigmoid", "one label and a Sigmoid", labels=1),
        ending("softmax-regression", "bert", 67, "softmax", "ends in Softmax; config.json says regression", problem="regression"),
        without_special("no-special-tokens", "bert", 68),
        without_special("no-special-tokens-bpe", "roberta", 69),
    ]
    return made


# ── classification of tokens ──

ENTITIES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
SENTENCES = ["Marie Curie was born in Warsaw and worked in Paris.", "🙂 Die Größe der Straße", "Berlin", "unbelievably wonderful actors, Rome-Paris"]


def spans(found, text, group):
    return [{"label": one["entity_group" if group else "entity"], "score": float(one["score"]), "start": utf16(text, int(one["start"])),
             "end": utf16(text, int(one["end"]))} for one in found]


def entity_model(name, architecture, seed, why, labels=ENTITIES, last=None, dynamo=False, given=None, kind="tokens", more=None, spread=3.0,
                 texts=SENTENCES):
    def make(out):
        folder, files = model_folder(out, "token-classification", name)
        tokens = tokenizer(architecture)
        named = {} if labels is None else {"id2label": dict(enumerate(labels)), "num_labels": len(labels)}
        made = model(architecture, "ForTokenClassification", tokens, seed, spread, **named)
        save(made, tokens, files)
        far = export(made, tokens, files, ["logits"], {0: "batch", 1: "sequence"}, last=last, dynamo=dynamo)
        if given:
            yaml(files, given)
        read = reload(files)
        inputs, right = [], []
        for strategy in ["none", "simple", "first", "average", "max"]:
            pipe = hf.pipeline("token-classification", model=made, tokenizer=read, aggregation_strategy=strategy)
            for text in texts:
                inputs.append({"text": text})
                found = pipe(text)
                right.append({"tokens": spans(found, text, strategy != "none"), "aggregation": strategy.upper()})
        if kind == "refuse":
            inputs, right = inputs[:1], []
        case(folder, kind, why, inputs, right, FAR, differs=far > FAR, **(more or {}))
    make.case = name
    return make


def entities():
    made = [entity_model(f"bio-{one}", one, 100 + i, f"{one}: entities by B and I", dynamo=one == "distilbert") for i, one in enumerate(ARCHITECTURES)]
    made += [entity_model(f"plain-{one}", one, 120 + i, "labels without B and I", ["O", "PER", "LOC"])
             for i, one in enumerate(["bert", "roberta", "albert", "xlm-roberta"])]
    made += [entity_model(f"two-labels-{one}", one, 130 + i, "labels that transformers leaves out", None) for i, one in enumerate(["bert", "electra"])]
    made += [entity_model(f"no-outside-{one}", one, 140 + i, "no label O, labels with hyphens", ["B-a-b", "I-a-b", "c-d"])
             for i, one in enumerate(["bert", "roberta", "deberta-v2"])]
    made += [entity_model(f"softmax-{one}", one, 150 + i, "the graph ends in Softmax: its scores are the answer", last=torch.nn.Softmax(-1))
             for i, one in enumerate(["bert", "roberta", "distilbert"])]
    made += [entity_model(f"labels-in-yaml-{one}", one, 160 + i, "model.yaml names the labels", given="labels: [O, B-PER, I-PER, B-LOC, I-LOC]")
             for i, one in enumerate(["bert", "albert"])]
    made += [entity_model(f"line-breaks-{one}", one, 170 + i, "only a space separates words", ["O", "PER", "LOC"],
                          texts=["Marie\nCurie\tin Paris", "two  spaces,\tand tabs \n"])
             for i, one in enumerate(["roberta", "xlm-roberta", "albert", "deberta-v2"])]
    return made


# ── questions ──

#: So long that each question fits with its context: the reference has no windows.
LONG = 128
QUESTIONS = [
    ("What is the capital of France?", "Paris is the capital of France. Berlin is the capital of Germany."),
    ("Where was Marie Curie born?", "Marie Curie was born in Warsaw and worked in Paris."),
    ("Who?", "Nobody laughed."),
    ("Was?", "Die Größe der Straße überraschte den Müller 🙂."),
]


def best_answer(made, tokens, question, context, may_be_none, most=15):
    """The pipeline question-answering of transformers 4.57, for contexts that fit into one sequence: release 5 has none."""
    encoded = tokens(question, context, return_offsets_mapping=True, return_tensors="pt", truncation="only_second")
    offsets = encoded.pop("offset_mapping")[0].tolist()
    sequence, words = encoded.sequence_ids(0), encoded.word_ids(0)
    with torch.no_grad():
        found = made(**{key: value for key, value in encoded.items() if key in tokens.model_input_names})
    allowed = np.array([one == 1 for one in sequence])
    kept = allowed.copy()
    kept[0] = True

    def probabilities(logits):
        masked = np.where(kept, logits[0].numpy(), -10000.0)
        powers = np.exp(masked - masked.max())
        return powers / powers.sum()
    start, end = probabilities(found.start_logits), probabilities(found.end_logits)
    none = float(start[0] * end[0])
    start[0] = end[0] = 0.0
    scores = np.tril(np.triu(np.outer(start, end)), most - 1).flatten()
    best = np.argsort(-scores, kind="stable")[:12]
    answers = []
    for first, last in (np.unravel_index(one, (len(start), len(end))) for one in best):
        if not (allowed[first] and allowed[last]):
            continue
        # word_to_chars
        same = lambda at: [i for i, word in enumerate(words) if word == words[at] and sequence[i] == 1]
        begin, finish = offsets[same(first)[0]][0], offsets[same(last)[-1]][1]
        text, score = context[begin:finish], float(scores[first * len(end) + last])
        known = next((one for one in answers if one["text"].lower() == text.lower()), None)
        if known:
            known["score"] += score
        else:
            answers.append({"text": text, "start": utf16(context, begin), "end": utf16(context, finish), "score": score})
    if may_be_none:
        answers.append({"text": None, "score": none})
    top = max(answers, key=lambda one: one["score"])
    return None if top["text"] is None else {**top, "score": min(1.0, top["score"])}


def question_model(name, architecture, seed, why, last=None, dynamo=False, spread=2.0, length=None):
    def make(out):
        folder, files = model_folder(out, "question-answering", name)
        tokens = tokenizer(architecture, model_max_length=length or LONG)
        made = model(architecture, "ForQuestionAnswering", tokens, seed, spread, positions=LONG)
        save(made, tokens, files)
        far = export(made, tokens, files, ["start_logits", "end_logits"], {0: "batch", 1: "sequence"}, last=last, dynamo=dynamo, length=length)
        read = reload(files)
        inputs, right = [], []
        for question, context in QUESTIONS:
            for may_be_none in [True, False]:
                inputs.append({"question": {"question": question, "context": context, "handleImpossibleAnswer": may_be_none}})
                right.append({"answer": best_answer(made, read, question, context, may_be_none)})
        source = "transformers 4.57 (pipeline question-answering, which release 5 has not), with the weights of " + SOURCE
        if last is not None:
            case(folder, "answerOrRefuse", why, inputs, right, FAR, source, far > FAR, says=["Softmax", "export"])
        else:
            case(folder, "answer", why, inputs, right, FAR, source, far > FAR)
    make.case = name
    return make


def questions():
    made = [question_model(f"plain-{one}", one, 200 + i, one, dynamo=one == "distilbert") for i, one in enumerate(ARCHITECTURES)]
    made += [question_model(f"sharp-{one}", one, 220 + i, "decisive scores", spread=6.0) for i, one in enumerate(ARCHITECTURES)]
    made += [question_model(f"softmax-{one}", one, 240 + i, "the graph ends in Softmax", last=torch.nn.Softmax(-1))
             for i, one in enumerate(["bert", "distilbert"])]
    made += [question_model(f"fixed-length-{one}", one, 250 + i, "the graph has a fixed sequence length", length=LONG)
             for i, one in enumerate(["bert", "roberta"])]
    return made


# ── masks ──

def mask_model(name, architecture, seed, why, last=None, dynamo=False, length=None):
    def make(out):
        folder, files = model_folder(out, "fill-mask", name)
        tokens = tokenizer(architecture)
        made = model(architecture, "ForMaskedLM", tokens, seed)
        save(made, tokens, files)
        far = export(made, tokens, files, ["logits"], {0: "batch", 1: "sequence"}, last=last, dynamo=dynamo, length=length)
        read = reload(files)
        pipe = hf.pipeline("fill-mask", model=made, tokenizer=read)
        inputs, right = [], []
        for text in ["Paris is the {} of France.", "{} was born in Warsaw", "🙂 le {} de l'église"]:
            text = text.format(read.mask_token)
            inputs.append({"text": text})
            right.append({"fillings": [{"token": one["token"], "text": one["token_str"], "score": one["score"]} for one in pipe(text)]})
        case(folder, "fillings", why, inputs, right, FAR, differs=far > FAR)
    make.case = name
    return make


def masks():
    made = [mask_model(f"plain-{one}", one, 300 + i, one, dynamo=one == "bert") for i, one in enumerate(ARCHITECTURES)]
    made += [mask_model(f"other-{one}", one, 320 + i, one) for i, one in enumerate(ARCHITECTURES)]
    made += [mask_model(f"softmax-{one}", one, 340 + i, "the graph ends in Softmax: its scores are the answer", last=torch.nn.Softmax(-1))
             for i, one in enumerate(["bert", "roberta"])]
    made += [mask_model(f"fixed-length-{one}", one, 350 + i, "the graph has a fixed sequence length", length=32)
             for i, one in enumerate(["bert", "distilbert"])]
    return made


# ── zero-shot ──

NLI = [{0: "contradiction", 1: "neutral", 2: "entailment"}, {0: "ENTAILMENT", 1: "NEUTRAL", 2: "CONTRADICTION"},
       {0: "entailment", 1: "not_entailment"}]


def inference_model(name, architecture, seed, why, names=NLI[0], template=None, last=None, dynamo=False, spread=3.0):
    def make(out):
        folder, files = model_folder(out, "zero-shot-classification", name)
        tokens = tokenizer(architecture)
        made = model(architecture, "ForSequenceClassification", tokens, seed, spread, num_labels=len(names), id2label=names,
                     label2id={value: key for key, value in names.items()})
        save(made, tokens, files)
        far = export(made, tokens, files, ["logits"], last=last, dynamo=dynamo)
        card(files, "zero-shot-classification")
        if template:
            yaml(files, f'output: {{ hypothesisTemplate: "{template}" }}')
        pipe = hf.pipeline("zero-shot-classification", model=made, tokenizer=reload(files))
        inputs, right = [], []
        for text, labels in [("I would like to return my order", ["refund", "travel", "food"]), (TEXTS[2], ["film", "capital"]), ("🙂 café", ["food"])]:
            for several in [False, True]:
                inputs.append({"zeroShot": {"text": text, "labels": labels, "multiLabel": several}})
                found = pipe(text, labels, multi_label=several, **({"hypothesis_template": template} if template else {}))
                right.append({"label": found["labels"][0], "scores": dict(zip(found["labels"], found["scores"]))})
        if last is not None:
            case(folder, "refuse", why, inputs, [], FAR, says=["Softmax", "export"])
        else:
            case(folder, "scores", why, inputs, right, FAR, differs=far > FAR)
    make.case = name
    return make


def inferences():
    made = [inference_model(f"plain-{one}", one, 400 + i, one, dynamo=one == "bert") for i, one in enumerate(ARCHITECTURES)]
    made += [inference_model(f"reversed-{one}", one, 420 + i, "entailment comes first", NLI[1]) for i, one in enumerate(ARCHITECTURES[:6])]
    made += [inference_model(f"two-labels-{one}", one, 440 + i, "entailment and not_entailment", NLI[2]) for i, one in enumerate(["bert", "deberta-v2", "roberta"])]
    made += [inference_model(f"template-{one}", one, 450 + i, "a template in model.yaml", template="This text is about {}.")
             for i, one in enumerate(["bert", "xlm-roberta"])]
    made += [inference_model(f"softmax-{one}", one, 460 + i, "the graph ends in Softmax, from which the logits of labels cannot be known",
                             last=torch.nn.Softmax(-1)) for i, one in enumerate(["bert", "distilbert"])]
    return made


def build(out):
    for make in [*classifiers(), *entities(), *questions(), *masks(), *inferences()]:
        make(out)
