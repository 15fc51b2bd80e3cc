"""Replacement prompts: the pure parts, then real trainings on one and two processes."""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from support.processes import in_a_process, on_two_processes
from support.runs import ByPrompt, Kill, nft, scored

from selfrl.conversation import prompt_id
from selfrl.data.pairs import expand_pairs
from selfrl.data.tiny import tiny_problems
from selfrl.trainers.dynamic_sampling import fill_batch
from selfrl.trainers.prompt_source import draw_prompts


def test_prompts_are_drawn_once_without_those_seen_and_by_the_seed_alone() -> None:
    data = Dataset.from_dict({"prompt": [str(i) for i in range(20)]})
    seen = {prompt_id("3"), prompt_id("7")}

    def draw(*seed: int) -> list[str]:
        return [row["prompt"] for rows in draw_prompts(data, seen, seed) for row in rows]

    assert sorted(draw(0, 1), key=int) == [str(i) for i in range(20) if i not in (3, 7)]
    assert draw(0, 1) == draw(0, 1) != draw(0, 2)
    assert draw(0, 1) != draw(1, 1)


def test_a_prompt_that_stands_twice_is_drawn_once() -> None:
    data = Dataset.from_dict({"prompt": ["a", "a", "b", "b", "c"]})
    seen = {prompt_id("c")}
    assert sorted(rows[0]["prompt"] for rows in draw_prompts(data, seen, [0])) == ["a", "b"]
    assert seen == {prompt_id("c")}


def test_pairs_are_drawn_whole() -> None:
    pairs = expand_pairs(tiny_problems("train", 8))
    drawn = list(draw_prompts(pairs, {prompt_id(pairs[3]["prompt"])}, [0]))
    assert len(drawn) == 7
    assert all([row["view"] for row in rows] == [0, 1] and rows[0]["pair_id"] == rows[1]["pair_id"] for rows in drawn)
    assert pairs[2]["pair_id"] not in {rows[0]["pair_id"] for rows in drawn}


def numbered(first: int, rates: list[float], width: int) -> dict[str, torch.Tensor]:
    """A batch of groups of two, whose tokens are the row's number."""
    rows = len(rates) * 2
    ids = torch.arange(first, first + rows).unsqueeze(1).expand(rows, width).clone()
    return {
        "prompt_ids": ids,
        "prompt_mask": torch.ones_like(ids),
        "completion_ids": ids,
        "completion_mask": torch.ones_like(ids),
        "old_per_token_logps": -ids.float(),
        "teaches": torch.tensor([0 < rate < 1 for rate in rates]).repeat_interleave(2),
        "num_items_in_batch": torch.tensor(7),
    }


def fill(rounds: int, *fresh: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], list[int]]:
    asked: list[int] = []
    waiting = iter(fresh)

    def draw(groups: int) -> dict[str, torch.Tensor] | None:
        asked.append(groups)
        return next(waiting, None)

    batch = numbered(0, [0.0, 0.5, 1.0], width=2)
    return fill_batch(batch, draw, group_size=2, rounds=rounds, pad_id=99), asked


def test_a_batch_is_filled_group_by_group() -> None:
    filled, asked = fill(5, numbered(10, [0.0, 0.5], 3), numbered(20, [0.5, 0.5], 1))
    assert asked == [2, 1]
    assert filled["completion_ids"].tolist() == [[2, 2, 99]] + [[3, 3, 99]] + [[n] * 3 for n in (12, 13)] + [
        [20, 99, 99],
        [21, 99, 99],
    ]
    assert filled["prompt_ids"][0].tolist() == [99, 2, 2]
    assert filled["prompt_mask"][0].tolist() == [0, 1, 1]
    assert filled["completion_mask"][4].tolist() == [1, 0, 0]
    assert filled["old_per_token_logps"][4].tolist() == [-20, 0, 0]
    assert "num_items_in_batch" not in filled


@pytest.mark.parametrize(("rounds", "fresh", "calls"), [(0, 1, 0), (1, 3, 1), (9, 0, 1)])
def test_the_rest_stays_when_the_bound_is_reached_or_prompts_run_out(rounds: int, fresh: int, calls: int) -> None:
    filled, asked = fill(rounds, *[numbered(10, [0.0, 1.0], 2)] * fresh)
    assert len(asked) == calls
    assert filled["completion_ids"][:, 0].tolist() == [2, 3, 0, 1, 4, 5]


def test_a_batch_becomes_full_of_prompts_that_teach(random_model: Path, tmp_path: Path) -> None:
    rows = tiny_problems("train", 32)
    reward = ByPrompt(set(rows["prompt"][::2]))
    trainer = nft(random_model, tmp_path, reward, rows, steps_per_generation=4, dynamic_sampling_rounds=8)
    batches = scored(trainer)
    trainer.train()
    (batch,) = batches
    assert batch["rates"].tolist() == [0.5] * 32
    first, *drawn = [list(dict.fromkeys(prompts)) for prompts in reward.prompts]
    missing = 8 - sum(prompt in reward.mixed for prompt in first)
    assert missing > 0
    assert len(drawn[0]) == missing
    replacements = [prompt for prompts in drawn for prompt in prompts]
    assert len(set(replacements)) == len(replacements)
    assert not set(replacements) & set(first)
    tokenizer = trainer.processing_class
    trained = tokenizer.batch_decode(batch["prompt_ids"], skip_special_tokens=True)
    assert trained[::4] == [prompt for prompt in [*first, *replacements] if prompt in reward.mixed][:8]
    assert all(len(set(trained[i : i + 4])) == 1 for i in range(0, 32, 4))
    assert batch["num_items_in_batch"] == batch["completion_mask"].sum()
    logged = trainer.state.log_history[0]
    assert logged["nft/filled"] == 1
    asked = first + replacements
    assert logged["nft/kept_groups"] == pytest.approx(sum(p in reward.mixed for p in asked) / len(asked))
    assert logged["reward"] == pytest.approx(sum(p in reward.mixed for p in first) / len(first) / 2)


def test_replaced_rows_keep_their_own_old_log_probabilities(random_model: Path, tmp_path: Path) -> None:
    """Left- and right-padding of rows from different draws changes nothing of what the policy says about them."""
    rows = tiny_problems("train", 32)
    reward = ByPrompt(set(rows["prompt"][::2]))
    trainer = nft(random_model, tmp_path, reward, rows, steps_per_generation=4, dynamic_sampling_rounds=8)
    trainer.model.train()
    batch_rows = [row for row in rows.select(range(8)) for _ in range(4)]
    with torch.no_grad():
        batch = trainer._generate_and_score_completions(batch_rows)
        logps, _, _ = trainer._forward(trainer.model, batch)
    mask = batch["completion_mask"].bool()
    torch.testing.assert_close(logps[mask], batch["old_per_token_logps"][mask], rtol=1e-4, atol=1e-4)


def test_an_exhausted_data_set_leaves_places_empty(random_model: Path, tmp_path: Path) -> None:
    rows = tiny_problems("train", 6)
    trainer = nft(random_model, tmp_path, ByPrompt({rows["prompt"][0]}), rows, dynamic_sampling_rounds=8)
    batches = scored(trainer)
    trainer.train()
    assert len(batches[0]["rates"]) == 16
    assert trainer.state.log_history[0]["nft/filled"] == 0.25


def test_replacement_pairs_have_both_views(random_model: Path, tmp_path: Path) -> None:
    pairs = expand_pairs(tiny_problems("train", 32))
    reward = ByPrompt(set(pairs["prompt"][::4]))
    trainer = nft(random_model, tmp_path, reward, pairs, dynamic_sampling_rounds=3, num_generations_train=2)
    batches = scored(trainer)
    trainer.train()
    assert len(reward.prompts) > 1
    for prompts in reward.prompts:
        views = dict(zip(pairs["prompt"], pairs["view"], strict=True))
        assert [views[prompt] for prompt in prompts[::4]] == [0, 1] * (len(prompts) // 8)
    assert len(batches[0]["rates"]) == 8


def test_what_cannot_be_drawn_again_is_refused(tmp_path: Path) -> None:
    rows = tiny_problems("train", 8)
    options = {"steps_per_generation": 2, "dynamic_sampling_rounds": 1}
    with pytest.raises(ValueError, match="cannot draw from a stream"):
        nft("no/such/model", tmp_path, ByPrompt(set()), rows.to_iterable_dataset(), **options)
    with pytest.raises(ValueError, match="dynamic_sampling_rounds is -1: it must be 0 or more"):
        nft("no/such/model", tmp_path, ByPrompt(set()), rows, dynamic_sampling_rounds=-1)


def train(model: Path, out: Path, options: dict[str, Any], kill_after: int = -1, resume: Path | None = None) -> Any:
    """What one process of a training saw."""
    rows = tiny_problems("train", 64)
    reward = ByPrompt(set(rows["prompt"][::3]))
    trainer = nft(model, out, reward, rows, callbacks=[Kill(kill_after)], **options)
    batches = scored(trainer)
    trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    return {
        "weights": [float(p.double().sum()) for p in trainer.model.parameters()],
        "rates": [batch["rates"].tolist() for batch in batches],
        "tokens": [int(batch["num_items_in_batch"]) for batch in batches],
        "own_tokens": [int(batch["completion_mask"].sum()) for batch in batches],
        "widths": [batch["completion_ids"].shape[1] for batch in batches],
        "prompts": [trainer.processing_class.batch_decode(b["prompt_ids"], skip_special_tokens=True) for b in batches],
        "mixed": reward.mixed,
    }


@pytest.mark.slow
def test_two_processes_fill_one_batch(random_model: Path, tmp_path: Path) -> None:
    # groups of 4 on two processes of 6 rows: the middle group of the first draw crosses the border
    options = {"per_device_train_batch_size": 3, "dynamic_sampling_rounds": 9, "max_steps": 4, "ddp_backend": "gloo"}
    one, two = on_two_processes(train, random_model, tmp_path, options)
    assert one["weights"] == two["weights"]
    assert one["tokens"] == two["tokens"]
    assert len(one["rates"]) == 2
    for batch in range(2):
        assert one["rates"][batch] + two["rates"][batch] == [0.5] * 12
        prompts = one["prompts"][batch] + two["prompts"][batch]
        assert all(len(set(prompts[i : i + 4])) == 1 for i in range(0, 12, 4))
        assert set(prompts) <= one["mixed"]
        assert one["own_tokens"][batch] + two["own_tokens"][batch] == one["tokens"][batch]
        assert one["widths"][batch] == two["widths"][batch]


@pytest.mark.slow
def test_a_killed_run_draws_what_it_would_have_drawn(random_model: Path, tmp_path: Path) -> None:
    options = {"dynamic_sampling_rounds": 2, "max_steps": 6, "save_strategy": "steps", "save_steps": 2}
    straight, killed = tmp_path / "whole", tmp_path / "killed"
    expected = in_a_process(train, random_model, straight, options)
    in_a_process(train, random_model, killed, options, 5, returncode=-signal.SIGKILL)
    shutil.rmtree(killed / "checkpoint-4")
    found = in_a_process(train, random_model, killed, options, -1, killed / "checkpoint-2")
    whole, resumed = (load_file(out / "checkpoint-6/model.safetensors") for out in (straight, killed))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert expected["prompts"][-2:] == found["prompts"][-2:]
