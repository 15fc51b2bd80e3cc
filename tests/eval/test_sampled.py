import math
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfrl.data.tiny import tiny_problems
from selfrl.eval import sample_completions, sampled_accuracy


def boxed(*answers: str) -> list[str]:
    return [rf"so \boxed{{{a}}}" for a in answers]


def test_accuracy_is_averaged_over_questions_and_unanswered_counts_as_wrong() -> None:
    result = sampled_accuracy([boxed("4", "4", "5", "4"), [*boxed("9"), "no", "no", "no"]], ["4", "9"])
    assert result.avg == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert result.maj == 1.0
    assert result.no_answer == pytest.approx(3 / 8)
    # the error is over the two questions, not the eight samples: std(.75, .25, ddof=1) / sqrt(2)
    assert result.stderr == pytest.approx(math.sqrt(0.125) / math.sqrt(2))
    assert (result.questions, result.n) == (2, 4)


def test_majority_may_be_wrong_where_one_sample_is_right() -> None:
    result = sampled_accuracy([boxed("7", "7", "4")], ["4"])
    assert (result.avg, result.maj) == (pytest.approx(1 / 3), 0.0)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="give one each"):
        sampled_accuracy([boxed("1")], [])
    with pytest.raises(ValueError, match="no canonical key"):
        sampled_accuracy([boxed("1")], [""])


def test_sampling_is_seeded_and_grouped(random_model: Path) -> None:
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(random_model),
        AutoTokenizer.from_pretrained(random_model),
    )
    prompts = tiny_problems("heldout", 5)["prompt"][:]
    first = sample_completions(model, tokenizer, prompts, 3, 6, seed=1)
    assert [len(group) for group in first] == [3] * 5
    assert first == sample_completions(model, tokenizer, prompts, 3, 6, seed=1)
    assert first != sample_completions(model, tokenizer, prompts, 3, 6, seed=2)
