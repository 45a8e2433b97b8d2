"""
Short messages, which the corpus of emails lacks: everyday chat, and everyday and spam messages written for the recipes.

The chat is that of the Python package chitchat-dataset 0.9.0 (MIT license). Nobody who wrote a message of the training
part wrote one of the test part. The messages in short/ were written for these models (MIT license) and name nobody.
"""
import hashlib
import random
from pathlib import Path

import numpy as np
from chitchat_dataset import Dataset
from clean import mask_addresses

HERE = Path(__file__).resolve().parent
CHAT_WORDS = range(3, 41)
TRAINING_CHAT, TEST_CHAT = 2000, 698
SEED = 7


def training_messages(mask):
    """(chat, all of it ham; texts and labels of the written messages)"""
    texts, labels = written("train")
    return chat(mask, TRAINING_CHAT, is_test=False), texts, labels


def test_messages(mask):
    """(texts, labels): the written messages, then chat"""
    texts, labels = written("test")
    held_out = chat(mask, TEST_CHAT, is_test=True)
    return texts + held_out, np.array(labels + [0] * len(held_out))


def written(part):
    ham, spam = ((HERE / "short" / f"{kind}-{part}.txt").read_text().splitlines() for kind in ("ham", "spam"))
    return ham + spam, [0] * len(ham) + [1] * len(spam)


def chat(mask, count, is_test):
    """Turns of one person, masked like the emails."""
    turns = {}
    for _, conversation in sorted(Dataset().items()):
        for messages in conversation["messages"]:
            text = " ".join(message["text"].strip() for message in messages)
            if len(text.split()) in CHAT_WORDS:
                turns.setdefault(text, messages[0]["sender"])
    chosen = [text for text, sender in turns.items() if is_held_out(sender) == is_test]
    return [mask.mask(mask_addresses(text)) for text in random.Random(SEED).sample(chosen, count)]


def is_held_out(sender):
    """One sender in ten."""
    return int(hashlib.sha256(sender.encode()).hexdigest(), 16) % 10 == 0
