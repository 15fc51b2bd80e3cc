"""What a model answered: read, voted on and graded by the rules of the training rewards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from selfrl.answers import read_answer
from selfrl.answers.gold import right_label
from selfrl.answers.keys import ReadAnswer
from selfrl.answers.majority import Pairs
from selfrl.forecast.asked_prompts import Asked
from selfrl.generation import Generation, Prompt
from selfrl.rewards.ground_truth import grades
from selfrl.rewards.majority_vote import majority_rewards
from selfrl.rewards.vote_rule import VoteRule, settled


@dataclass(frozen=True)
class Wording:
    """A prompt in one wording, with its group of completions; lists are aligned with these.

    Args:
        prompt: as asked.
        generations: the completions.
        keys: merged answer keys; None for no usable answer.
        label: what the group elects; None without one.
        label_is_right: None without it or a gold answer, or if that could not be decided.
        own: reward of agreeing with that label, as `MajorityVoteReward` gives it; None abstains.
        crossed: reward of agreeing with the other wording's label, as `ContrastiveAgreementReward` gives it; None
            without another wording.
        other: that label.
        other_is_right: as `label_is_right`.
        truth: 1 for a right answer, 0 for a wrong one; None without a label of the data, or if undecided.
    """

    prompt: Prompt
    generations: tuple[Generation, ...]
    keys: tuple[str | None, ...]
    label: str | None
    label_is_right: bool | None
    own: tuple[float | None, ...]
    crossed: tuple[float | None, ...] | None
    other: str | None
    other_is_right: bool | None
    truth: tuple[float | None, ...]

    @property
    def votes(self) -> list[int]:
        """How many completions gave each answer, the most common first."""
        return [count for _, count in Counter(key for key in self.keys if key is not None).most_common()]

    @property
    def labelled(self) -> bool:
        """Whether it is known of any completion if it is right."""
        return any(verdict is not None for verdict in self.truth)


def answered(asked: Asked, groups: Sequence[Sequence[Generation]]) -> list[Wording]:
    r"""The wordings of one prompt with what was answered to each.

    Args:
        asked: the prompt.
        groups: completions of each wording, in order; none of them empty.

    Example:
        >>> said = [[Generation(rf"\boxed{{{n}}}", "stop", 3, 5) for n in group] for group in ("445", "555")]
        >>> first, second = answered(Asked("2+2?", "Add 2 to 2.", "4"), said)
        >>> first.label, first.own, first.crossed, first.truth
        ('4', (1.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 0.0))
    """
    rule = VoteRule()
    answers = [[read_answer(generation.text) for generation in group] for group in groups]
    keys, undecided = rule.merged(*answers)
    labels = [rule.label(group, undecided) for group in keys]
    others = labels[::-1] if len(labels) > 1 else [None]
    return [
        Wording(
            prompt=asked.wordings[i],
            generations=tuple(groups[i]),
            keys=tuple(keys[i]),
            label=labels[i],
            label_is_right=right_label(labels[i], asked.gold),
            own=_rewards(answers[i], keys[i], labels[i], undecided),
            crossed=_rewards(answers[i], keys[i], others[i], undecided) if len(labels) > 1 else None,
            other=others[i],
            other_is_right=right_label(others[i], asked.gold),
            truth=tuple(grades(answers[i], [asked.gold] * len(answers[i]))),
        )
        for i in range(len(groups))
    ]


def _rewards(
    answers: Sequence[ReadAnswer], keys: Sequence[str | None], label: str | None, undecided: Pairs
) -> tuple[float | None, ...]:
    return tuple(settled(majority_rewards(keys, label), answers, keys, label, undecided))
