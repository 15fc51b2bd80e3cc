"""TRL's own ways to call its trainers, with selfrl's in their place."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset, DatasetDict
from support.runs import OPTIONS, Script, tiny_config
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.chat_template_utils import qwen3_chat_template
from trl.trainer.base_config import _BaseConfig

from selfrl.data.tiny import tiny_problems
from selfrl.rewards import AccuracyReward
from selfrl.trainers import GRPOTrainer, RLOOTrainer

TRAINERS = [GRPOTrainer, RLOOTrainer]
TRLS: dict[type, tuple[Any, Any]] = {
    GRPOTrainer: (trl.GRPOTrainer, trl.GRPOConfig),
    RLOOTrainer: (trl.RLOOTrainer, trl.RLOOConfig),
}


def variety(completions: list[str], **columns: Any) -> list[float]:
    return [len(set(completion)) / 10 for completion in completions]


def brevity(completions: list[str], **columns: Any) -> list[float]:
    return [1 / (1 + len(completion)) for completion in completions]


def nothing(completions: list[str], **columns: Any) -> list[None]:
    return [None] * len(completions)


@pytest.fixture
def defaults_on_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TRL's default settings ask for bf16 on a GPU and write to the working directory."""
    inner = _BaseConfig.__post_init__

    def post_init(args: Any) -> None:
        args.use_cpu, args.bf16 = True, False
        inner(args)

    monkeypatch.setattr(_BaseConfig, "__post_init__", post_init)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def speaker(random_model: Path) -> Any:
    """The tiny tokenizer with a chat template that knows tools, as environments need it."""
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    tokenizer.chat_template = qwen3_chat_template
    return tokenizer


@pytest.fixture
def play(random_model: Path, speaker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Builds GRPO with environments under TRL's own configuration."""
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")

    def build(environments: Any, reward_funcs: Any = None, data: Any = None, **options: Any) -> GRPOTrainer:
        args = trl.GRPOConfig(str(tmp_path), **{**OPTIONS, "per_device_train_batch_size": 4, **options})
        return GRPOTrainer(
            str(random_model),
            reward_funcs,
            args,
            data,
            processing_class=speaker,
            environment_factory=environments,
        )

    return build


class Silent:
    """An environment that asks; somebody else rewards."""

    def reset(self, **row: Any) -> str:
        self.row = row
        return "Find the sum of 3 and 4."

    def add(self, a: int, b: int) -> int:
        """
        Add.

        Args:
            a: The one.
            b: The other.

        Returns:
            The sum.
        """
        return a + b


class Game(Silent):
    """An environment that rewards its own rollouts: 0, 1, 2, ... in the order of their instances."""

    count = 0

    def __init__(self) -> None:
        self.number = Game.count
        Game.count += 1

    def get_reward(self) -> float:
        return float(self.number)


@pytest.fixture(autouse=True)
def new_games(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Game, "count", 0)


def weights(trainer: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


# Arguments


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_a_run_without_args_is_set_up_as_in_trl(
    trainer_class: Any, loaded: bool, random_model: Path, defaults_on_cpu: None
) -> None:
    made = []
    for kind in (trainer_class, TRLS[trainer_class][0]):
        model = AutoModelForCausalLM.from_pretrained(random_model) if loaded else str(random_model)
        made.append(kind(model=model, reward_funcs=variety, train_dataset=tiny_problems("train", 8)))
    ours, trls = (trainer.args.to_dict() for trainer in made)
    assert Path(ours["output_dir"]).name == f"{random_model.name}-{trainer_class.__name__[:4]}"
    assert isinstance(made[0].args, trainer_class.config_class)
    assert {name: ours[name] for name in trls} == trls


@pytest.mark.parametrize("trims", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_trls_configuration_leads_to_trls_weights(
    trainer_class: Any, streamed: bool, trims: bool, random_model: Path, tmp_path: Path
) -> None:
    """A plain function, and neither teacher nor votes: nothing of ours may change the run.

    To the bit, but for what is summed in another order where padding is not computed.
    """
    data: Any = tiny_problems("train", 16)
    data = data.to_iterable_dataset() if streamed else data
    ended = []
    trls_class, config_class = TRLS[trainer_class]
    for kind in (trainer_class, trls_class):
        args = config_class(
            str(tmp_path), beta=0.05, max_steps=3, **{k: v for k, v in OPTIONS.items() if k != "max_steps"}
        )
        trainer = kind(str(random_model), variety, args, data)
        if kind is trainer_class:
            trainer._trims = trainer._reorders = trims
        start = weights(trainer).clone()
        trainer.train()
        ended.append(weights(trainer))
        assert not torch.equal(start, ended[-1])
    torch.testing.assert_close(*ended, rtol=0, atol=2e-5 if trims else 0)


@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_rewards_come_alone_in_a_list_or_in_a_tuple(trainer_class: Any, random_model: Path, tmp_path: Path) -> None:
    args = tiny_config(trainer_class, tmp_path)
    data = tiny_problems("train", 4)
    both = [variety, brevity]
    for given, names in {variety: ["variety"], tuple(both): ["variety", "brevity"]}.items():
        assert trainer_class(str(random_model), given, args, data).reward_func_names == names
    trainer = trainer_class(str(random_model), both, args, data)
    assert trainer.reward_funcs == both


@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_a_function_is_handed_the_columns_of_its_rows(trainer_class: Any, random_model: Path, tmp_path: Path) -> None:
    data = tiny_problems("train", 8).select_columns(["prompt"]).add_column("place", list(range(8)))
    seen: list[tuple[str, int]] = []

    def near(completions: list[str], prompts: list[str], place: list[int], **columns: Any) -> list[float]:
        seen.extend(zip(prompts, place, strict=True))
        columns["log_metric"]("heard", 2.0)
        columns["log_extra"]("doubled", [2 * p for p in place])
        return [float(columns["trainer_state"].global_step + p) for p in place]

    trainer = trainer_class(str(random_model), near, tiny_config(trainer_class, tmp_path, max_steps=1), data)
    trainer.train()
    assert len(seen) == 8
    assert all(data["prompt"][place] == prompt for prompt, place in seen)
    assert trainer.state.log_history[0]["heard"] == 2.0
    assert list(trainer._logs["extra"]["doubled"]) == [2 * place for _, place in seen]


@pytest.mark.parametrize("form", [dict, DatasetDict])
@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_several_evaluation_sets(trainer_class: Any, form: Any, random_model: Path, tmp_path: Path) -> None:
    args = tiny_config(trainer_class, tmp_path, per_device_eval_batch_size=4)
    data = tiny_problems("heldout", 4)
    sets = form({"easy": data.select([0]), "hard": data.select([1])})
    trainer = trainer_class(str(random_model), variety, args, data, sets)
    metrics = trainer.evaluate()
    assert {"eval_easy_loss", "eval_hard_loss"} <= set(metrics)
    lacking = form({"easy": data, "hard": data.rename_column("answer", "gold")})
    with pytest.raises(ValueError, match="'answer', which hard lacks"):
        trainer_class("no such model", AccuracyReward(), args, data, lacking)


def test_a_rollout_function_may_hand_fields_to_rewards(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")

    def rollouts(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        rows = range(len(prompts))
        return {
            "prompt_ids": [trainer.processing_class(prompt).input_ids for prompt in prompts],
            "completion_ids": [[5 + i, 6, trainer.processing_class.eos_token_id] for i in rows],
            "logprobs": [[-1.0, -1.0, -1.0] for _ in rows],
            "luck": [float(i) for i in rows],
        }

    def lucky(completions: list[str], luck: list[float], **columns: Any) -> list[float]:
        return luck

    args = trl.GRPOConfig(str(tmp_path), **{**OPTIONS, "max_steps": 1})
    trainer = GRPOTrainer(str(random_model), lucky, args, tiny_problems("train", 8), rollout_func=rollouts)
    trainer.train()
    assert trainer.state.log_history[0]["rewards/lucky/mean"] == pytest.approx(3.5)
    assert trainer.state.log_history[0]["completions/mean_length"] == 3


# Abstentions


@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_trl_warns_of_a_function_that_scores_nobody_unless_it_says_that_it_abstains(
    trainer_class: Any,
    random_model: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("trl"), "propagate", True)
    by_design = Script([None])
    by_design.abstains = True  # type: ignore[attr-defined]  # as any reward may declare

    def warned(rewards: Any) -> bool:
        caplog.clear()
        args = TRLS[trainer_class][1](str(tmp_path), **{**OPTIONS, "max_steps": 1, "per_device_train_batch_size": 4})
        with caplog.at_level("WARNING"):
            trainer_class(str(random_model), rewards, args, tiny_problems("train", 4)).train()
        return "All reward functions returned None for the following kwargs:" in caplog.text

    assert warned(nothing)
    assert not warned(by_design)
    assert warned([by_design, nothing])


# Where rewards and data come from


@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_a_reward_and_data_must_come_from_somewhere(trainer_class: Any, tmp_path: Path) -> None:
    args = TRLS[trainer_class][1](str(tmp_path), **OPTIONS)
    with pytest.raises(ValueError, match="No reward source provided"):
        trainer_class("no such model", args=args, train_dataset=tiny_problems("train", 4))


@pytest.mark.parametrize("trainer_class", TRAINERS)
def test_data_are_required_without_an_environment(trainer_class: Any, random_model: Path, tmp_path: Path) -> None:
    args = TRLS[trainer_class][1](str(tmp_path), **OPTIONS)
    with pytest.raises(ValueError, match="`train_dataset` is required"):
        trainer_class(str(random_model), variety, args)
    with pytest.raises(ValueError, match="train_dataset has no `prompt` column"):
        trainer_class("no such model", variety, args, Dataset.from_dict({"question": ["2+2"]}))


def test_an_environment_needs_a_reward_a_length_and_a_way_to_be_chosen(play: Any) -> None:
    with pytest.raises(ValueError, match="No reward source provided"):
        play(Silent)
    with pytest.raises(ValueError, match="max_steps"):
        play(Game, max_steps=-1)
    with pytest.raises(ValueError, match="requires a `train_dataset`"):
        play({"a": Game, "b": Silent})
    data = Dataset.from_dict({"question": ["2+2?"] * 4})
    args = tiny_config(GRPOTrainer, Path("unused"), dynamic_sampling_rounds=1)
    with pytest.raises(ValueError, match="Dynamic sampling needs the column `prompt`"):
        GRPOTrainer("no such model", None, args, data, environment_factory=Game)
    unknown = Dataset.from_dict({"environment": ["c"] * 4})
    with pytest.raises(ValueError, match="not among the environments"):
        play({"a": Game}, data=unknown).train()


def test_an_environment_alone_gives_prompts_and_rewards(play: Any) -> None:
    trainer = play(Game)
    assert trainer.reward_func_names == ["Game"]
    assert trainer.reward_weights.tolist() == [1.0]
    assert [tool.__name__ for tool in trainer.tools] == ["add"]
    start = weights(trainer).clone()
    trainer.train()
    assert [row["rewards/Game/mean"] for row in trainer.state.log_history[:2]] == [1.5, 1.5]
    assert all(prompt[-1]["content"] == "Find the sum of 3 and 4." for prompt in trainer._logs["prompt"])
    assert not torch.equal(start, weights(trainer))


def test_an_environments_reward_stands_beside_others(play: Any) -> None:
    def half(completions: list[Any], environments: list[Any], **columns: Any) -> list[float]:
        return [environment.number / 2 for environment in environments]

    rewards = [half]
    trainer = play(Game, rewards, reward_weights=[4.0], max_steps=1)
    assert rewards == [half]  # the caller's list stays as it was
    assert trainer.reward_func_names == ["half", "Game"]
    assert trainer.reward_weights.tolist() == [4.0, 1.0]
    trainer.train()
    row = trainer.state.log_history[0]
    assert row["rewards/half/mean"] == 0.75
    assert row["rewards/Game/mean"] == 1.5
    assert row["reward"] == pytest.approx(4 * 0.75 + 1.5)


def test_rows_without_prompts_choose_among_environments(play: Any) -> None:
    data = Dataset.from_dict({"environment": ["game", "silent"], "answer": ["7", "7"]})
    options = {"per_device_train_batch_size": 8, "shuffle_dataset": False, "max_steps": 1}
    trainer = play({"game": Game, "again": Game, "silent": Silent}, variety_of_last, data, **options)
    assert trainer.reward_func_names == ["variety_of_last", "Game"]
    trainer.train()
    games, silent = trainer.environments[:4], trainer.environments[4:]
    assert [type(environment) for environment in trainer.environments] == [Game] * 4 + [Silent] * 4
    assert silent[0].row == {"answer": "7"}
    # those that do not reward themselves are left out
    mean = sum(game.number for game in games) / 4
    assert trainer.state.log_history[0]["rewards/Game/mean"] == pytest.approx(mean)
    assert trainer.reward_funcs[-1](environments=[games[0], silent[0]]) == [games[0].number, None]


class Asker(Silent):
    """An environment that makes the prompt of a row's question."""

    def reset(self, question: str, **row: Any) -> str:
        return question


def test_what_an_environment_asks_tells_groups_apart(play: Any) -> None:
    """Under TRL's trainer a vote's groups are those of equal prompts; rows without prompts must not be one group."""
    ids: list[str] = []
    asked: list[str] = []

    def listen(prompts: list[Any], batch_records: list[Any], **columns: Any) -> list[float]:
        ids.extend(batch_records[0].prompt_ids)
        asked.extend(prompt[-1]["content"] for prompt in prompts)
        return [1.0] * len(prompts)

    data = Dataset.from_dict({"question": ["Find the sum of 3 and 4.", "Subtract 17 from 52."]})
    trainer = play(Asker, listen, data, per_device_train_batch_size=8, max_steps=1)
    trainer.train()
    assert len(set(asked)) == 2
    assert [ids.index(name) for name in ids] == [asked.index(text) for text in asked]
    assert len(trainer.history.state()["last"]) == 2


def test_selfrls_rewards_work_in_an_environment(play: Any) -> None:
    data = Dataset.from_dict({"answer": ["7", "7"]})
    trainer = play(Silent, AccuracyReward(), data, max_steps=1)
    trainer.train()
    assert trainer.state.log_history[0]["rewards/AccuracyReward/mean"] == 0


def variety_of_last(completions: list[Any], **columns: Any) -> list[float]:
    return variety([completion[-1]["content"] for completion in completions])
