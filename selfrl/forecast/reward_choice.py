"""Which reward fits what a forecast saw, with the figures that say so."""

from __future__ import annotations

from collections.abc import Mapping

from selfrl.forecast.agreement_figures import Agreement
from selfrl.forecast.outlook import Outlook
from selfrl.forecast.truth_figures import Truth
from selfrl.tables import percent

MOSTLY = 0.5
WELL_ABOVE = 0.7  # AUROC within prompts from which a confidence is worth more than a look
CONCENTRATED = 0.3
NAMES = {"gain": "a gain", "none": "no change", "loss": "a loss"}


def choice(
    agreement: Agreement,
    truth: Truth | None,
    majority: Outlook | None,
    contrastive: Outlook | None,
    within: Mapping[str, float | None],
) -> list[str]:
    """Sentences: what to take first, then what else a reader must know.

    Args:
        agreement: without labels.
        truth: with labels; None without any.
        majority: the outlook of majority vote; None without labels.
        contrastive: of contrastive agreement; None without labels or paraphrases.
        within: AUROC within prompts of each signal.
    """
    if truth is None or majority is None:
        return [*_unlabelled(agreement), *_warnings(agreement)]
    sentences = [_reward(agreement, majority, contrastive)]
    noise = truth.majority.youden_by_prompt
    if noise is not None and noise.stops:
        sentences.append(f"J is {noise.j:.2f}: the majority pays wrong answers more often than right ones.")
    elif noise is not None and noise.alarms:
        sentences.append(f"J is {noise.j:.2f} ± {noise.error:.2f}: so near 0 a policy drifts rather than learns.")
    sentences.append(_confidence(within))
    return [*sentences, *_warnings(agreement)]


def lead(name: str, found: Outlook) -> str:
    """One outlook in a sentence."""
    sure = "expected" if found.firm else "likelier than not, but open"
    reach = "" if found.worst == found.best else f" ({percent(found.worst)} to {percent(found.best)})"
    kinds = []
    for kind in found.kinds:
        if kind.balance is not None:
            where = "" if kind.name == "all" else f" where {kind.name}"
            kinds.append(
                f"{percent(kind.contested * kind.share)} % of the prompts are contested{where}, with balance "
                f"{kind.balance.value:+.2f} ({kind.balance.low:+.2f} to {kind.balance.high:+.2f})"
            )
    why = "; ".join(kinds) if kinds else "no prompt is contested"
    way = f"from {percent(found.start)} % towards {percent(found.end)} %{reach}"
    return f"{name}: {NAMES[found.sign]} {sure}, {way}: {why}."


def _reward(agreement: Agreement, majority: Outlook, contrastive: Outlook | None) -> str:
    if agreement.hopeless > MOSTLY:
        return _hopeless(agreement)
    if majority.sign == "gain" and majority.firm:
        also = " ContrastiveAgreementReward as well." if contrastive is not None and contrastive.sign == "gain" else ""
        return f"Take MajorityVoteReward: majorities are right where it counts.{also}"
    if contrastive is not None and contrastive.sign == "gain":
        firm = "" if contrastive.firm else ", watch a labelled probe, and stop at its first fall: it may end either way"
        return f"Take ContrastiveAgreementReward: the other wording mends what the majority of one gets wrong{firm}."
    if majority.sign == "none" and majority.firm:
        return (
            "Nothing to gain by agreement: the model already answers as its majority does. Take labels or new prompts."
        )
    if majority.sign != "loss":
        return "MajorityVoteReward may gain, but may lose: watch a labelled probe, and stop at its first fall."
    return (
        "Do not train on majorities here: where right and wrong answers compete, wrong ones win more. Take labels for "
        "some prompts, or paraphrases; else ConsistencyVolatilityReward, stopped early by a labelled probe."
    )


def _confidence(within: Mapping[str, float | None]) -> str:
    known = {
        name: value for name, value in within.items() if value is not None and name not in ("vote_share", "length")
    }
    if not known:
        return (
            "Confidence signals were not measured: this back end shows no probabilities, or no prompt has both kinds."
        )
    name = max(known, key=lambda signal: known[signal])
    told = f"the best confidence signal, {name}, has an AUROC of {known[name]:.2f} within prompts"
    if known[name] < WELL_ABOVE:
        return f"No confidence reward: {told}."
    return (
        f"Confidence only beside a vote, and under a guard: {told}, but a reward for it alone goes on past the truth."
    )


def _hopeless(agreement: Agreement) -> str:
    return (
        f"No label-free reward: on {percent(agreement.hopeless)} % of the prompts no answer is repeated, so there is "
        "nothing to agree on. Take labels, easier prompts, or a supervised start."
    )


def _unlabelled(agreement: Agreement) -> list[str]:
    if agreement.hopeless > MOSTLY:
        first = _hopeless(agreement)
    elif agreement.unanimous > 1 - MOSTLY / 2:
        first = f"Little to learn: on {percent(agreement.unanimous)} % of the prompts all completions agree already."
    else:
        moved, split = percent(1 - agreement.unanimous - agreement.hopeless), percent(agreement.split)
        first = (
            f"A vote has something to decide on {moved} % of the prompts; on {split} % a second answer has a quarter "
            "of the votes or more: there the sign is made."
        )
    return [
        first,
        "Without labels nobody can say if majorities are right, so there is no sign: the same agreement went with +14 "
        "points and with −9. Label some 100 of these prompts, the contested ones first to know more of them.",
    ]


def _warnings(agreement: Agreement) -> list[str]:
    found = []
    if agreement.concentration > CONCENTRATED:
        found.append(
            f"One answer is {percent(agreement.concentration)} % of all completions over all prompts: if they do not "
            "share it, the model has collapsed already."
        )
    if agreement.truncated > MOSTLY:
        found.append(f"{percent(agreement.truncated)} % of the completions are cut off: raise --max-tokens first.")
    return found
