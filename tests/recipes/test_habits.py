"""The task whose majority is often wrong: what goes wrong by habit, how often, and the script that writes it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from selfrl.answers import answer_key
from selfrl.data.loading import load_rows
from selfrl.data.problems import Problem
from selfrl.recipes.robust_votes.habits import HABIT, MISREAD, WORDING_COUNT, Told, example, rows


def test_a_loss_is_misread_in_some_wordings_and_a_carry_forgotten_in_all() -> None:
    loss, carry, plain = Problem("sub_add", (52, 17, 20)), Problem("add_sub", (35, 27, 11)), Problem("add", (31, 27))
    for wording in range(WORDING_COUNT):
        assert Told(loss, wording).habit == ("misread" if wording in MISREAD else None)
        assert Told(carry, wording).habit == "carry"
        assert Told(plain, wording).habit is None
    assert Told(loss, 0).wrong() == r"52 + 17 = 69. 69 + 20 = 89. \boxed{89}"
    assert Told(carry, 0).wrong() == r"35 + 27 = 52. 52 - 11 = 41. \boxed{41}"


def test_a_habit_wins_about_as_often_as_it_says() -> None:
    rng = random.Random(0)
    examples = [example(rng) for _ in range(2000)]
    swapped = [text for prompt, text in examples if prompt.startswith("Subtract")]
    assert len(swapped) > 100
    assert not any(" + " in text.split(".")[0] for text in swapped)  # wording 2 is read rightly
    lost = [(prompt, text) for prompt, text in examples if " people get off. How many people stay" in prompt]
    misread = sum(" + " in text.split(".")[0] for _, text in lost) / len(lost)
    assert misread == pytest.approx(HABIT, abs=0.1)


def test_rows_are_distinct_and_splits_share_no_numbers() -> None:
    train, held = ([*rows(split, 200, seed=0)] for split in ("train", "heldout"))
    texts = {row["prompt"] for row in train}
    assert not texts & {row["prompt"] for row in held}
    habits = [row["habit"] for row in held]
    assert 0.4 < sum(habit is not None for habit in habits) / len(habits) < 0.7
    changed = [row for row in train if row["habit"] == "misread" and row["paraphrase_habit"] is None]
    assert 10 < len(changed) < 100  # a paraphrase may be read rightly
    assert all((row["habit"] == "carry") == (row["paraphrase_habit"] == "carry") for row in train)


@pytest.mark.slow
def test_the_script_writes_a_start_and_its_data(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "selfrl.recipes.robust_votes.tiny", "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--steps", "40", "--count", "4", "--heldout", "8"], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures.keys() == {"avg", "maj", "agreement", "wrong"}
    train = load_rows(str(tmp_path / "train.jsonl"))
    assert train["view"] == [0, 1] * 4
    assert all(0 < share <= 1 for share in train["reference_agreement"])
    assert all(answer_key(rf"\boxed{{{row['answer']}}}") == row["answer"] for row in train)
    assert (tmp_path / "start" / "model.safetensors").is_file()
