"""Gold answers as data hold them, and whether a label is one."""

import math
from typing import Any

import pytest

from selfrl.answers.gold import gold_key, right_label


@pytest.mark.parametrize(
    ("gold", "key"),
    [
        ("72", "72"),
        ("She sold 48/2 = 24, so 48 + 24 = 72.\n#### 72", "72"),
        (r"Adding gives $\boxed{\frac{1}{2}}$, as claimed.", "1/2"),
        (0.5, "1/2"),
        (7, "7"),
        ("", None),
        ("9^{9^9}", None),
        (None, None),
        (math.nan, None),
        (["7"], None),
        ({"value": 7}, None),
        (b"7", None),
    ],
    ids=str,
)
def test_the_key_of_a_gold_answer(gold: Any, key: str | None) -> None:
    assert gold_key(gold) == key


@pytest.mark.parametrize(
    ("label", "gold", "right"),
    [
        ("72", "so 72.\n#### 72", True),
        ("71", "so 72.\n#### 72", False),
        ("1/2", "the answer is \\boxed{0.5}, as claimed", True),
        (r"\sqrt{3}/2", r"\frac{\sqrt{3}}{2}", True),
        (r"\sqrt{3}/4", r"\frac{\sqrt{3}}{2}", False),
        ("cat", "7", False),
        (None, "7", None),
        ("7", None, None),
        ("7", math.nan, None),
        ("7", ["7"], None),
        (r"\exp(\exp(\exp(\exp(99))))", r"\frac{\sqrt{3}}{2}", False),
    ],
    ids=str,
)
def test_a_label_is_right_by_meaning(label: str | None, gold: Any, right: bool | None) -> None:
    assert right_label(label, gold) is right
