"""Rewards for simulated shoppers that answer in JSON: Shop-R1 (2507.17842).

A completion is `{"rationale": "…", "action": {"type": …, "name": …, "text": …}}`, alone or in a Markdown fence. Shop-R1
adds three terms, which are three rewards here, so that a trainer can weigh them:

    format (0.5) + v(action) + α · s(rationale), α = 0.005

v reaches 1000, so under one standard deviation it swamps the others: pass the three rewards with
`multi_objective_aggregation="normalize_then_sum"`. With TRL's plain sum and `reward_weights=[1, 1, 0.005]` they are
the paper's objective.
"""

from __future__ import annotations

import math
from typing import Any

from selfrl.rewards.contract import BaseReward, Batch, Scores
from selfrl.rewards.shopping_actions import Action, read_action, read_reply
from selfrl.rewards.spans import check_per_token, overlapping
from selfrl.text import rouge_l

TYPE, CLICK_NAME, TYPED_NAME, TYPED_TEXT = 0.3, 0.2, 0.1, 0.1


def action_value(said: Action, true: Action, dars: float = 1000.0, threshold: float = 0.75) -> float:
    """v(a): 0 for another type, else what the paper's table gives.

    | true type | type | attribute present | value similarity |
    | --- | --- | --- | --- |
    | terminate | 0.3 | – | – |
    | click | 0.3 | 0.2 (name) | dars · R(name) |
    | type_and_submit | 0.3 | 0.1 (name) + 0.1 (text) | 0.1 · R(name) + dars · R(text) |

    R is ROUGE-L, or 0 up to `threshold`.

    >>> action_value(Action("click", "buy"), Action("click", "buy red shoes"))
    0.5
    """
    if said.type != true.type:
        return 0.0

    def similarity(mine: str | None, theirs: str | None) -> float:
        score = rouge_l(mine or "", theirs or "")
        return score if score > threshold else 0.0

    value = TYPE
    if true.type == "click":
        value += CLICK_NAME * bool(said.name) + dars * similarity(said.name, true.name)
    elif true.type == "type_and_submit":
        value += TYPED_NAME * bool(said.name) + TYPED_TEXT * bool(said.text)
        value += 0.1 * similarity(said.name, true.name) + dars * similarity(said.text, true.text)
    return value


class ShopActionReward(BaseReward):
    r"""Hierarchical action reward with difficulty-aware scaling: v(a) of Shop-R1, see [`action_value`].

    Needs the column `action`, the shopper's true action, as a mapping or its JSON text.

    Abstains (None): a completion that is no such JSON object, too long, or says an unknown type of action. Give
    [`ShopFormatReward`] beside it: garbage then scores 0 there.

    Args:
        dars: difficulty-aware reward scaling, the factor of the hard part, which is to say the right thing.
        threshold: ROUGE-L counts only above it.

    Raises:
        ValueError: for bad options, without the column, or for a true action that cannot be read.

    Example:
        >>> reward = ShopActionReward()
        >>> said = '{"rationale": "I like it", "action": {"type": "click", "name": "buy now"}}'
        >>> reward(["…"] * 2, [said, "buy!"], action=[{"type": "click", "name": "buy now"}] * 2)
        [1000.5, None]
    """

    columns = ("action",)
    abstains = True

    def __init__(self, dars: float = 1000.0, threshold: float = 0.75) -> None:
        if dars <= 0 or not 0 <= threshold < 1:
            raise ValueError(f"dars = {dars}, threshold = {threshold}: dars must be above 0, threshold in [0, 1).")
        self.dars, self.threshold = dars, threshold

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        replies = [read_reply(text) for text in batch.texts]
        said = [None if reply is None else reply.action for reply in replies]
        truths = [_true_action(value) for value in batch.column("action")]
        pairs = list(zip(said, truths, strict=True))
        rewards = [
            None if mine is None else action_value(mine, true, self.dars, self.threshold) for mine, true in pairs
        ]
        if not pairs:
            return Scores(rewards)
        metrics = {
            "exact": sum(mine == true for mine, true in pairs) / len(pairs),
            "type": sum(mine is not None and mine.type == true.type for mine, true in pairs) / len(pairs),
            "unreadable": sum(mine is None for mine in said) / len(pairs),
        }
        return Scores(rewards, metrics)


class ShopFormatReward(BaseReward):
    r"""0.5 for valid JSON with both keys, `rationale` and `action`, else 0: the format term of Shop-R1.

    Never abstains.

    Example:
        >>> reward = ShopFormatReward()
        >>> reward(["…"] * 2, ['{"rationale": "why", "action": {"type": "terminate"}}', '{"rationale": "why"}'])
        [0.5, 0.0]
    """

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        return Scores([0.5 * (read_reply(text) is not None) for text in batch.texts])


class RationaleCertaintyReward(BaseReward):
    r"""Self-certainty of the rationale: s(r) = (1/(N·V)) Σ_j Σ_i p_ij log(p_ij / U_i) of Shop-R1.

    That is KL(p‖U) = log V − H(p), meant over the rationale's N tokens, with the paper's extra 1/V. (Intuitor's
    self-certainty, [`SelfCertaintyReward`], is KL(U‖p).)

    Abstains (None): a completion that is no such JSON object, has an empty rationale, or could not be scored.

    Raises:
        ValueError: under TRL's own trainers, which compute no signals.
    """

    signals = ("entropy", "token_texts", "vocab_size")

    abstains = True

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        rewards: list[float | None] = []
        for entropy, texts, size in zip(*map(batch.column, self.signals), strict=True):
            reply = read_reply("".join(texts))
            span = None if reply is None or reply.rationale_span is None else overlapping(texts, reply.rationale_span)
            if entropy is None or span is None:
                rewards.append(None)
            else:
                check_per_token("entropy", entropy, texts)
                rewards.append((math.log(size) - entropy[slice(*span)].double().mean().item()) / size)
        return Scores(rewards)


def _true_action(value: Any) -> Action:
    action = read_action(value)
    if action is None:
        raise ValueError(f"The true action {value!r:.200} cannot be read: it needs a type and its attributes.")
    return action
