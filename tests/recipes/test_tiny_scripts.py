"""The two-stage tiny recipes, a few steps of each stage for real, and the data made for them."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from selfrl.data.loading import load_rows
from selfrl.data.problems import draw_problems
from selfrl.data.tokenizer import word_tokenizer
from selfrl.models import TINY_MODEL
from selfrl.recipes.boundary.chains import SAYINGS, extended_model, with_confidence
from selfrl.recipes.shopping.sessions import SYMBOLS, WORDS, noisy_action, rows, sessions
from selfrl.rewards import ShopActionReward, ShopFormatReward
from selfrl.rewards.reasoning_steps import split_steps


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "figures"), [("shopping", {"exact", "type"}), ("boundary", {"ece", "accuracy", "expressed_steps"})]
)
def test_both_stages_run_and_end_in_json(name: str, figures: set[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", f"selfrl.recipes.{name}.tiny", "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--sft_steps", "60", "--max_steps", "1"], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result.keys() == {"before", "after"}
    assert result["before"].keys() == result["after"].keys() == figures


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tiny_seer_starts_at_chance_and_both_arms_end_in_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "selfrl.recipes.ssl4rl.tiny", "--out", str(tmp_path / "out"), "--max_steps", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result.keys() == {"task", "seed", "chance", "start", "pretext", "random", "minutes"}
    assert abs(result["start"] - 25) < 4
    held_out = load_rows(str(tmp_path / "out" / "data"), "heldout")
    assert not set(held_out["picture"]) & set(load_rows(str(tmp_path / "out" / "data"), "train")["picture"])
    assert (tmp_path / "out" / "start" / "model.safetensors").stat().st_size < 12 * 2**20


def test_sessions_are_written_in_the_tokenizers_words_and_read_back_as_their_action() -> None:
    tokenizer = word_tokenizer(WORDS, SYMBOLS)
    rng = random.Random(0)
    drawn = sessions(0, "train")
    wrong = 0
    for _ in range(200):
        session = next(drawn)
        slip = noisy_action(session, rng)
        for text in (session.prompt, session.reply(), session.reply(slip)):
            ids = tokenizer(text).input_ids
            assert tokenizer.unk_token_id not in ids
            assert tokenizer.decode(ids) == text
        assert ShopFormatReward()(["…"], [session.reply()]) == [0.5]
        (value,) = ShopActionReward()(["…"], [session.reply()], action=[session.action])
        assert value >= 0.3  # type: ignore[operator]
        wrong += slip != session.action
    assert wrong > 140


def test_splits_share_no_goal_and_seeds_repeat() -> None:
    goals = {split: {row["prompt"].split(".")[0] for row in rows(split, 300, 0)} for split in ("train", "heldout")}
    assert goals["train"].isdisjoint(goals["heldout"])
    assert rows("train", 5, 1) == rows("train", 5, 1) != rows("train", 5, 2)


def test_every_step_of_a_chain_carries_a_level_and_levels_mean_nothing_yet() -> None:
    rng = random.Random(0)
    problems = draw_problems("train", rng)
    levels = []
    for _ in range(300):
        problem = next(problems)
        steps = split_steps(with_confidence(problem, rng))
        assert len(steps) == len(problem.steps())
        levels += [step.level for step in steps]
    assert {levels.count(level) > 50 for level in range(5)} == {True}


def test_the_extended_model_says_what_the_packaged_one_says() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    old_model, old = AutoModelForCausalLM.from_pretrained(TINY_MODEL), AutoTokenizer.from_pretrained(TINY_MODEL)
    model, tokenizer = extended_model()
    prompt = "Add 34 and 7, then subtract 12.\n"
    outputs = []
    for m, t in ((old_model, old), (model, tokenizer)):
        ids = t(prompt, return_tensors="pt").input_ids
        new = m.generate(ids, max_new_tokens=20, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
        outputs.append(t.decode(new, skip_special_tokens=True))
    assert outputs[0] == outputs[1]
    assert tokenizer.unk_token_id not in tokenizer(" ".join(SAYINGS)).input_ids
