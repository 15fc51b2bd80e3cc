"""The control that rewards form alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from selfrl.answers.extract import boxed
from selfrl.rewards.contract import BaseReward, Batch, Scores

Style = Literal["boxed", "think_answer"]


class FormatReward(BaseReward):
    r"""1 if the completion has the form asked for, else 0: a control that shows what form alone gains.

    "boxed" wants a non-empty, balanced `\boxed{}`. "think_answer" wants exactly one `<think>…</think>` at the start,
    followed by one non-empty `<answer>…</answer>` at the end. Never abstains.

    Raises:
        ValueError: for another style.

    Example:
        >>> FormatReward()(["2+2?"] * 2, [r"\boxed{5}", "5"])
        [1.0, 0.0]
        >>> FormatReward("think_answer")(["2+2?"], ["<think>2, 2</think> <answer>4</answer>"])
        [1.0]
    """

    def __init__(self, style: Style = "boxed") -> None:
        forms: dict[str, Callable[[str], bool]] = {"boxed": is_boxed, "think_answer": is_think_answer}
        if style not in forms:
            raise ValueError(f"FormatReward has no style {style!r}: choose one of {', '.join(forms)}.")
        self.form = forms[style]

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        return Scores([float(self.form(text)) for text in batch.texts])


def is_boxed(text: str) -> bool:
    r"""Whether a non-empty `\boxed{}` stands in the text.

    >>> is_boxed(r"\boxed{4}"), is_boxed(r"\boxed{ }"), is_boxed(r"\boxed{4")
    (True, False, False)
    """
    return bool((boxed(text) or "").strip())


def is_think_answer(text: str) -> bool:
    """Whether the text is one thought and then one answer, in tags, and nothing around them.

    >>> is_think_answer("<think>a</think><answer>4</answer>"), is_think_answer("<answer>4</answer>")
    (True, False)
    """
    text = text.strip()
    tags = ("<think>", "</think>", "<answer>", "</answer>")
    if any(text.count(tag) != 1 for tag in tags) or not (text.startswith(tags[0]) and text.endswith(tags[3])):
        return False
    between, _, answer = text.partition(tags[1])[2].partition(tags[2])
    return not between.strip() and bool(answer.removesuffix(tags[3]).strip())
