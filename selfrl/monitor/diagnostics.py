"""What a batch's groups look like without labels, as pure functions: the figures that collapse moves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median, pstdev

from selfrl.group_record import GroupRecord
from selfrl.rewards.vote_rule import agreement, count_entropy

NGRAM = 4
_SAME = 1e-6


def quantile(values: Sequence[float], share: float) -> float:
    """Value below which a share of the values lies, between its neighbours by linear interpolation.

    >>> quantile([3.0, 1.0, 2.0], 0.5), quantile([0.0, 1.0], 0.1)
    (2.0, 0.1)
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """The mean over prompts, and beside it the quantiles, which show what a mean hides; nothing of no values.

    >>> spread("x", [0.0, 1.0])
    {'x': 0.5, 'x/p10': 0.1, 'x/p50': 0.5, 'x/p90': 0.9}
    """
    if not values:
        return {}
    return {name: fmean(values)} | {f"{name}/p{round(100 * s)}": quantile(values, s) for s in (0.1, 0.5, 0.9)}


def repetition(ids: Sequence[int], n: int = NGRAM) -> float:
    """1 − distinct n-grams / n-grams of a completion's tokens; 0 for one that is shorter than n.

    >>> repetition([5, 6, 5, 6, 5, 6], n=2), repetition([1, 2, 3])
    (0.6, 0.0)
    """
    grams = list(zip(*(ids[i:] for i in range(n)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def concentration(records: Iterable[GroupRecord]) -> float | None:
    """Share of the most common answer among all completions of a batch; None where nobody asked for a vote.

    >>> one = GroupRecord("a", 0, ("4", "0"), "4", None, (1.0, 0.0), (3, 3), (False, False))
    >>> two = GroupRecord("b", 0, ("0", None), "0", None, (1.0, 0.0), (3, 3), (False, False))
    >>> concentration([one, two])
    0.5
    """
    keys = [key for record in records for key in record.keys]
    return agreement(keys) if keys else None


def zero_spread(records: Sequence[GroupRecord]) -> float | None:
    """Share of the groups whose known rewards are all the same, so that they teach nothing; None without any.

    >>> same, other = ((1.0, 1.0), (1.0, 0.0))
    >>> zero_spread([GroupRecord("a", 0, (), None, None, r, (3, 3), (False, False)) for r in (same, other)])
    0.5
    """
    groups = [[reward for reward in record.rewards if reward is not None] for record in records]
    known = [rewards for rewards in groups if rewards]
    return fmean(max(rewards) - min(rewards) < _SAME for rewards in known) if known else None


def answer_entropy(record: GroupRecord) -> float:
    """−Σ p log p of a group's answers, in nats; 0 without any."""
    return count_entropy(record.votes.values())


def group_figures(records: Sequence[GroupRecord]) -> dict[str, float]:
    """Every figure of a batch's records, with quantiles over prompts beside the means; none of no records.

    `majority_ratio`, `distinct_answers` and `answer_entropy` are means over groups; `concentration`, `no_answer` and
    `truncated` shares of the batch's completions; `zero_spread` a share of its groups; `length` the mean over groups of
    their completions' mean length in tokens, `length_std` over the batch, `length_median` over the batch; `repetition`
    a mean, see [`repetition`]; and each token signal that a reward asked for, as a mean over groups.

    >>> record = GroupRecord("a", 0, ("4", "4", "5", None), "4", None, (1.0, 1.0, 0.0, 0.0), (3,) * 4, (False,) * 4)
    >>> figures = group_figures([record])
    >>> figures["majority_ratio"], figures["distinct_answers"], figures["no_answer"], figures["zero_spread"]
    (0.5, 2.0, 0.25, 0.0)
    """
    if not records:
        return {}
    voted = [record for record in records if record.keys]
    figures = spread("majority_ratio", [record.majority_ratio or 0.0 for record in voted])
    figures |= spread("distinct_answers", [float(len(record.votes)) for record in voted])
    figures |= spread("answer_entropy", [answer_entropy(record) for record in voted])
    shared = concentration(voted)
    if shared is not None:
        figures["concentration"] = shared
        figures["no_answer"] = fmean(key is None for record in voted for key in record.keys)
    lengths = [length for record in records for length in record.lengths]
    figures |= spread("length", [fmean(record.lengths) for record in records])
    figures |= {"length_std": pstdev(lengths), "length_median": median(lengths)}
    figures["truncated"] = fmean(cut for record in records for cut in record.cut_off)
    repeated = [fmean(record.repetition) for record in records if record.repetition]
    figures |= spread("repetition", repeated)
    dead = zero_spread(records)
    if dead is not None:
        figures["zero_spread"] = dead
    for signal in records[0].signals:
        means = [_mean_known(record.signals[signal]) for record in records]
        figures |= spread(signal, [mean for mean in means if mean is not None])
    return figures


def length_capped(figures: Mapping[str, float]) -> bool:
    """Whether the batch has run into the length limit: almost every completion is cut off.

    Then rewards are 0 and groups without spread for want of room, which looks like collapse and is none.

    >>> length_capped({"truncated": 1.0}), length_capped({"truncated": 0.6}), length_capped({})
    (True, False, False)
    """
    return figures.get("truncated", 0.0) >= 0.98


def _mean_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
