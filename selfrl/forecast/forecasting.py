"""A forecast from beginning to end: prompts, answers, signals, figures, outlooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from selfrl.data.loading import PACKAGED, load_rows, to_prompts
from selfrl.eval.calibration import TOKEN_SIGNALS, model_signals
from selfrl.eval.evaluation import Model
from selfrl.eval.settings import Settings
from selfrl.forecast.agreement_figures import agreement_of, cost
from selfrl.forecast.answered_prompts import Wording, answered
from selfrl.forecast.asked_prompts import Asked, draw_prompts
from selfrl.forecast.outlook import confidence_sign, contrastive_outlook, majority_outlook
from selfrl.forecast.reward_choice import choice, lead
from selfrl.forecast.truth_figures import signal_aurocs, truth_of, vote_shares_of
from selfrl.generation import Sampling
from selfrl.generation.hf import TransformersGenerator
from selfrl.generation.processors import load_processor
from selfrl.generation.tokens import check_system_role
from selfrl.models import model_path

PACKAGED_ROWS = 512  # of which prompts are drawn
ROLLOUTS_A_PROMPT = 8  # of the training whose cost is told


@dataclass(frozen=True)
class Request:
    """What to forecast, with everything loaded and checked but the model.

    Args:
        model: folder, hub name or "tiny"; for an endpoint the name it knows the model by.
        data: name of the data set.
        asked: prompts drawn from it.
        sampling: how each is answered.
        settings: back end, batch size, cache, endpoint.
        steps: of the training whose cost is told.
        rollouts: completions of each of its steps.
    """

    model: str
    data: str
    asked: Sequence[Asked]
    sampling: Sampling
    settings: Settings
    steps: int = 100
    rollouts: int = 128


def load_asked(
    data: str,
    split: str,
    config: str | None,
    prompt_column: str,
    system_prompt: str | None,
    count: int,
    seed: int,
) -> list[Asked]:
    """Prompts of a data set as a recipe's `dataset`, `dataset_split`, `dataset_config` and `prompt_column` name it.

    The split of packaged problems may go without a count.

    Raises:
        ValueError: for data that cannot be read, or fewer than one prompt.

    Example:
        >>> asked = load_asked("tiny", "train", None, "prompt", None, count=3, seed=0)
        >>> len(asked), asked[0].paraphrase is None
        (3, False)
    """
    if count < 1:
        raise ValueError(f"--prompts is {count}: ask 1 or more.")
    if data in PACKAGED and "[" not in split:
        split = f"{split}[:{max(count, PACKAGED_ROWS)}]"
    return draw_prompts(to_prompts(load_rows(data, split, config), prompt_column, system_prompt), count, seed)


def check_model(model: str, settings: Settings) -> None:
    """Refuse a model that is not there, or whose chat template would drop a system prompt.

    Raises:
        ValueError: naming the model.
        OSError: for a model that is not there.
    """
    if settings.backend != "endpoint":
        processor = load_processor(model_path(model))
        if settings.system_prompt is not None:
            check_system_role(processor, model)


def sample(request: Request, on_done: Callable[[int], None] = lambda done: None) -> tuple[list[list[Wording]], int]:
    """The answered wordings of each prompt, and how many prompts the back end failed on.

    Completions come from the cache where they are there: what was killed goes on.
    """
    model = Model(request.model, request.settings)
    wordings = [wording for asked in request.asked for wording in asked.wordings]
    try:
        rest = iter(model.generate(wordings, request.sampling, on_done))
    finally:
        model.close()
    groups = [[next(rest) for _ in asked.wordings] for asked in request.asked]
    whole = [all(len(group) == request.sampling.n for group in several) for several in groups]
    found = [answered(asked, g) for asked, g, ok in zip(request.asked, groups, whole, strict=True) if ok]
    return found, whole.count(False)


def signals_of(request: Request, wordings: Sequence[Wording]) -> dict[str, list[float]]:
    """Every signal that the back end can give, one value a completion: more is more confident, or longer.

    An endpoint gives vote share and length alone, the latter in characters: it counts the tokens of a group together.
    """
    found = {"vote_share": vote_shares_of(wordings)}
    said = [(wording.prompt, generation) for wording in wordings for generation in wording.generations]
    if request.settings.backend == "endpoint":
        return found | {"length": [float(len(generation.text)) for _, generation in said]}
    found["length"] = [float(generation.completion_tokens) for _, generation in said]
    loaded = TransformersGenerator.load(model_path(request.model))
    prompts, texts = [prompt for prompt, _ in said], [generation.text for _, generation in said]
    size = request.settings.batch_size
    return found | model_signals(loaded.model, loaded.tokenizer, prompts, texts, list(TOKEN_SIGNALS), size)


def forecast(request: Request, on_done: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
    """Everything that a forecast tells, as JSON can hold it; what needs labels is None without any.

    Args:
        request: see [`Request`].
        on_done: told how many prompts are answered.

    Raises:
        ValueError: if the back end answered no prompt.
    """
    pairs, failed = sample(request, on_done)
    seed = request.settings.seed
    first = [wordings[0] for wordings in pairs]
    agreement = agreement_of(first, failed)
    truth = truth_of(pairs, seed)
    majority, contrastive = majority_outlook(pairs, seed), contrastive_outlook(pairs, seed)
    labelled = [wording for wording in first if wording.labelled]
    aurocs = signal_aurocs(labelled, signals_of(request, labelled)) if labelled else []
    completions = sum(len(wording.keys) for wordings in pairs for wording in wordings)
    outlooks = {"MajorityVoteReward": majority, "ContrastiveAgreementReward": contrastive}
    within = {row["signal"]: row["within"] for row in aurocs}
    return {
        "model": request.model,
        "data": request.data,
        "sampling": asdict(request.sampling),
        "labelled": len(labelled),
        "agreement": asdict(agreement),
        "truth": None if truth is None else asdict(truth),
        "pairs": _pairs(pairs),
        "signals": aurocs,
        "outlooks": {name: asdict(found) for name, found in outlooks.items() if found is not None},
        "confidence": {name: confidence_sign(within[name]) for name in TOKEN_SIGNALS if within.get(name) is not None},
        "leads": [lead(name, found) for name, found in outlooks.items() if found is not None],
        "advice": choice(agreement, truth, majority, contrastive, within),
        "cost": {
            "forecast": asdict(cost(agreement, completions, request.sampling.n)),
            "training": {
                "steps": request.steps,
                **asdict(cost(agreement, request.steps * request.rollouts, ROLLOUTS_A_PROMPT)),
            },
        },
    }


def _pairs(pairs: Sequence[Sequence[Wording]]) -> dict[str, float] | None:
    """How often two wordings elect the same label, of the prompts where both elect one; None without such."""
    both = [pair for pair in pairs if len(pair) > 1 and all(wording.label is not None for wording in pair)]
    return {"pairs": len(both), "agree": fmean(a.label == b.label for a, b in both)} if both else None
