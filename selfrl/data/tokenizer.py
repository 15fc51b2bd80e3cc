"""Tokenizers of tiny models: whole words, single digits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from selfrl.data.problems import NAMES, THINGS, WORDINGS

SYMBOLS = (*"0123456789+-=", r"\boxed", "{", "}", ".", ",", "?", "\n")
SPECIAL = ("<pad>", "<eos>", "<unk>")
# A leading "▁" stands for the space before a token, so decoding restores the text exactly.
PIECE = r"▁?\\boxed|▁?[A-Za-z]+|▁?[^A-Za-z]|▁"


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The packaged model's tokenizer: the words of every wording of its problems.

    >>> tokenizer = build_tokenizer()
    >>> tokenizer.decode(tokenizer("Find the sum of 34 and 7.").input_ids)
    'Find the sum of 34 and 7.'
    """
    texts = [w.format(n=NAMES[0], t=THINGS[0], a="", b="", c="") for ws in WORDINGS.values() for w in ws]
    return word_tokenizer([*texts, *NAMES, *THINGS], SYMBOLS)


def word_tokenizer(texts: Iterable[str], symbols: Sequence[str]) -> PreTrainedTokenizerFast:
    """A word-level tokenizer over the words of `texts`, in the order of the alphabet, and over `symbols`, digits apart.

    >>> tokenizer = word_tokenizer(["so it goes"], ["."])
    >>> tokenizer.decode(tokenizer("it goes so.").input_ids)
    'it goes so.'
    """
    words = sorted({word for text in texts for word in re.findall(r"[A-Za-z]+", text)})
    pieces = [p + w for w in [*words, *symbols] for p in ("▁", "")] + ["▁"]
    tokenizer = Tokenizer(models.WordLevel({t: i for i, t in enumerate([*SPECIAL, *pieces])}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="never", split=False),
            pre_tokenizers.Split(Regex(PIECE), behavior="isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
