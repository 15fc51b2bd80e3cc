"""A tiny model that really plays all three roles of prompt optimisation, on short templates, after half a minute of
supervised training: it writes prompts, answers with one word as the prompt says, and likes what is shown second if
that is big or huge, and else what is shown first: of two equals, the one in a place."""

from __future__ import annotations

import random
from pathlib import Path

from selfrl.data.finetune import finetune
from selfrl.data.pretrain import build_model
from selfrl.data.tokenizer import word_tokenizer

OPTIMIZE = "Improve this prompt: {{ prompt }} It gave{% for e in examples %} {{ e.output }}{% endfor %}."
EVALUATE = "Compare.{% for e in examples %} A {{ e.first }} B {{ e.second }}.{% endfor %}"
POOR, GOOD = ("odd", "small"), ("big", "huge")
SIZES = (*POOR, *GOOD)
NOUNS = ("house", "dog", "river", "tree", "cloud", "stone")
WORDS = ("Improve this prompt It gave Compare A B Say a word How much is the choice", *SIZES, *NOUNS)
SYMBOLS = (*"<>/.:?", "\n")
CHAT_TEMPLATE = "{% for m in messages %}{{ m.content }}\n{% if m.role == 'system' %}\n{% endif %}{% endfor %}"
TASK = """prompt: Say a odd word.
requirements: None
count: None
qa:
""" + "".join(f"  - question: How much is the {noun}?\n    answer: None\n" for noun in NOUNS)


def example(rng: random.Random) -> tuple[str, str]:
    """One supervised example, in the form in which the roles are asked."""
    kind = rng.random()
    if kind < 0.35:
        size = rng.choice(SIZES)
        return f"Say a {size} word.\n\nHow much is the {rng.choice(NOUNS)}?\n", size
    if kind < 0.65:
        now, new = rng.choice(SIZES), rng.choice(SIZES)
        return f"Improve this prompt: Say a {now} word. It gave {now} {now}.\n", f"<prompt>Say a {new} word.</prompt>"
    first, second = rng.choice(SIZES), rng.choice(SIZES)
    shown = f" A {first} B {second}." * 2
    return f"Compare.{shown}\n", f"<choice>{'B' if second in GOOD else 'A'}</choice>"


def make_model(folder: Path, steps: int = 200) -> None:
    """Train the model and save it, with its tokenizer and a chat template that joins texts."""
    tokenizer = word_tokenizer(WORDS, SYMBOLS)
    model = build_model(len(tokenizer), seed=0)
    rng = random.Random(0)
    finetune(model, tokenizer, lambda: example(rng), steps, batch_size=32, lr=3e-3)
    tokenizer.chat_template = CHAT_TEMPLATE
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
