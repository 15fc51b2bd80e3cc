"""Signals of completions against float64 references from the logits."""

import math

import pytest
import torch

from selfrl.data.tiny import tiny_problems
from selfrl.eval.calibration import SIGNALS, TOKEN_SIGNALS, calibration_rows, model_signals, vote_shares
from selfrl.eval.scoring import Sample
from selfrl.generation.hf import TransformersGenerator
from selfrl.models import TINY_MODEL


def sample(question: int, number: int, key: str | None, correct: bool | None) -> Sample:
    return Sample(question, number, "", "stop", 1, key, key, key, correct, correct)


GROUPS = [
    [sample(0, 0, "7", True), sample(0, 1, "7", True), sample(0, 2, "3", False), sample(0, 3, None, False)],
    [sample(1, 0, "1", False), sample(1, 1, "2", None), sample(1, 2, "1", False), sample(1, 3, "1", False)],
]


def test_vote_shares() -> None:
    assert vote_shares(GROUPS) == [0.5, 0.5, 0.25, 0.0, 0.75, 0.25, 0.75, 0.75]


def test_rows_leave_out_what_is_undecided_or_empty() -> None:
    values = [0.9, math.nan, 0.2, 0.1, 0.4, 0.99, 0.4, 0.4]
    vote, certainty = calibration_rows("t", GROUPS, {"vote_share": vote_shares(GROUPS), "self_certainty": values})
    assert (vote["completions"], certainty["completions"]) == (7, 6)
    assert vote["auroc"] == pytest.approx(4 / 10)  # two right at 0.5 against 0.25, 0, 0.75, 0.75, 0.75
    assert certainty["auroc"] == 1.0
    assert certainty["ece"] is None
    assert 0 < vote["ece"] < 1


def test_model_signals_are_means_over_the_completion() -> None:
    generator = TransformersGenerator.load(str(TINY_MODEL))
    model, tokenizer = generator.model, generator.tokenizer
    prompts = tiny_problems("heldout", 3)["prompt"][:]
    completions = [r"17 + 4 = 21. \boxed{21}", "", "no idea at all"]
    found = model_signals(model, tokenizer, prompts, completions, list(TOKEN_SIGNALS), batch_size=2)
    assert set(found) == set(SIGNALS) - {"vote_share"}
    assert all(math.isnan(values[1]) for values in found.values())
    for i in (0, 2):
        asked, said = tokenizer(prompts[i]).input_ids, tokenizer(completions[i], add_special_tokens=False).input_ids
        with torch.no_grad():
            logits = model(torch.tensor([asked + said])).logits[0, len(asked) - 1 : -1].double()
        log_p = logits.log_softmax(-1)
        p = log_p.exp()
        chosen = log_p[range(len(said)), said]
        top = p.topk(2).values
        expected = {
            "probability": chosen.mean().exp(),
            "entropy": (p * log_p).sum(-1).mean(),
            "self_certainty": (-log_p.mean(-1) - math.log(p.shape[-1])).mean(),
            "margin": (top[:, 0] - top[:, 1]).mean(),
        }
        for name, value in expected.items():
            assert found[name][i] == pytest.approx(value.item(), rel=1e-4, abs=1e-5), name
