"""Scores of a reward model: those that TRL takes of the same model."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from selfrl.data.tiny import tiny_problems
from selfrl.models import model_path
from selfrl.rewards import RewardModelReward

TEMPLATE = "{% for m in messages %}{{ m.role }} {{ m.content }}.{% endfor %}"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("classifier"), outputs=1)


def written(folder: Path, outputs: int, template: str | None = TEMPLATE) -> str:
    config = AutoConfig.from_pretrained(model_path("tiny"), num_labels=outputs)
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(model_path("tiny"))
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
def test_it_scores_as_trl_does(classifier: str, tmp_path: Path) -> None:
    ours, seen = RewardModelReward(classifier, batch_size=3), {}

    def beside(prompts: Any, completions: Any, **columns: Any) -> list[float | None]:
        seen["ours"] = ours(prompts, completions)
        return [0.0] * len(prompts)

    class Watched(trl.GRPOTrainer):  # type: ignore[misc]
        def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            seen["theirs"] = super()._calculate_rewards(*args, **kwargs)
            return seen["theirs"]

    config = trl.GRPOConfig(
        str(tmp_path),
        per_device_train_batch_size=8,
        num_generations=4,
        max_completion_length=8,
        max_steps=1,
        use_cpu=True,
        bf16=False,
        report_to="none",
        gradient_checkpointing=False,
    )
    data = tiny_problems("train", 8).select_columns(["prompt"])
    Watched(model_path("tiny"), [classifier, beside], config, data).train()
    assert len(set(seen["ours"])) > 1
    assert seen["theirs"][:, 0].tolist() == pytest.approx(seen["ours"], abs=1e-5)


def test_a_score_does_not_depend_on_its_neighbours(classifier: str) -> None:
    reward = RewardModelReward(classifier, batch_size=4)
    prompts, said = ["Add 3 and 4.\n"] * 4, ["7", "3 + 4 = 7 and so on.", "8", "7"]
    together = reward(prompts, said)
    assert together[0] == together[3] != together[1]
    assert together == pytest.approx([reward(["Add 3 and 4.\n"], [text])[0] for text in said], abs=1e-6)
    assert pickle.loads(pickle.dumps(reward))._opened is None


def test_conversations_are_written_by_its_template(classifier: str) -> None:
    reward = RewardModelReward(classifier)
    prompt = [{"role": "user", "content": "Add 3 and 4"}]
    talked = reward([prompt], [[{"role": "assistant", "content": "7"}]])
    assert talked == pytest.approx(reward([""], ["user Add 3 and 4.assistant 7."]), abs=1e-6)


def test_what_is_too_long_abstains_and_what_does_not_fit_is_refused(classifier: str, tmp_path: Path) -> None:
    reward, logged = RewardModelReward(classifier, max_tokens=8), {}
    found = reward(["Add 3 and 4.\n"] * 2, ["", "7" * 20], log_metric=logged.__setitem__)
    assert found[0] is not None
    assert found[1] is None
    assert logged["RewardModelReward/abstained"] == 0.5
    with pytest.raises(ValueError, match="2 outputs"):
        RewardModelReward(written(tmp_path / "two", outputs=2))(["a"], ["b"])
    silent = RewardModelReward(written(tmp_path / "silent", outputs=1, template=None))
    with pytest.raises(ValueError, match="no chat template"):
        silent([[{"role": "user", "content": "Add"}]], [[{"role": "assistant", "content": "7"}]])
    with pytest.raises(ValueError, match="batch_size"):
        RewardModelReward(classifier, batch_size=0)
