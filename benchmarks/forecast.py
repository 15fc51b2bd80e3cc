"""Does a forecast name the sign of what training then does? Tiny starts with right and with wrong majorities.

    python -m benchmarks.forecast                # what docs/results/forecast.json lacks; minutes a setting on a core
    python -m benchmarks.forecast --only noisy   # the settings whose name holds that

Each setting is a start, its prompts and a reward. First `selfrl forecast` reads 16 answers to 200 training prompts,
then the start is trained 80 steps of 64 rollouts, and avg@8 on 250 held-out questions, with numbers that no training
saw, is measured before and after. A change within 1.5 points is none. The settings were chosen before any was run,
all stand in the file, and what is there is not run again. Controls with a random reward say what chance does.

The last line is JSON: signs right of all settings, and of those whose forecast is firm; beside it, of those with a
vote, what two simpler rules get right: the sign of maj@16 − avg@1 ("gap"), and that of J.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM

from selfrl.compare.result_text import result_text
from selfrl.data.finetune import Example
from selfrl.data.problems import draw_problems, solution
from selfrl.data.sum_chains import tiny_chains
from selfrl.data.tiny import tiny_problems
from selfrl.data.tokenizer import build_tokenizer
from selfrl.eval.probe import TaskProbe
from selfrl.eval.settings import Settings
from selfrl.eval.statistics import difference_interval
from selfrl.files import write_whole
from selfrl.forecast.forecasting import Request, forecast, load_asked
from selfrl.forecast.outlook import sign_of
from selfrl.generation import Sampling
from selfrl.models import model_path
from selfrl.recipe import plan_of
from selfrl.recipes.eva.tiny_start import example as chain_example
from selfrl.recipes.robust_votes.habits import WORDING_COUNT, Told, rows
from selfrl.recipes.two_stages import save_start
from selfrl.training import build_trainer

PROMPTS = 200
RESULTS = Path("docs/results/forecast.json")
TRAIN, HELDOUT = 256, 250
SEED = 7


@dataclass(frozen=True)
class Start:
    """A model to begin with, and its prompts.

    Args:
        draw: of a random state the next (prompt, solution) that the packaged model learns; None for itself.
        rows: of split and count the rows to train on and to measure by.
        steps: of learning.
    """

    draw: Callable[[random.Random], Example] | None
    rows: Callable[[Any, int], Dataset]
    steps: int = 300


def habitual(rng: random.Random, habit: float, kinds: tuple[str, ...] = ("misread", "carry")) -> Example:
    """As [`selfrl.recipes.robust_votes.habits.example`], for habits of another strength or kind."""
    told = Told(next(draw_problems("train", rng)), rng.randrange(WORDING_COUNT))
    by_habit = told.habit in kinds and rng.random() < habit
    return told.prompt(rng), told.wrong() if by_habit else solution(told.problem, rng, 0.10)


def noisy(rng: random.Random, noise: float) -> Example:
    """A problem whose sums go wrong by chance alone, each way rarely."""
    told = Told(next(draw_problems("train", rng)), rng.randrange(WORDING_COUNT))
    return told.prompt(rng), solution(told.problem, rng, noise)


def habit_rows(split: Any, count: int) -> Dataset:
    """Problems with a paraphrase each."""
    return Dataset.from_list([*rows(split, count, SEED)]).select_columns(["prompt", "paraphrase", "answer"])


def chain_rows(split: Any, count: int) -> Dataset:
    """Short chains, with other seeds for training and for measuring; none stands in both."""
    found = tiny_chains("train", TRAIN + HELDOUT, SEED).select_columns(["prompt", "answer"])
    return found.select(range(count) if split == "train" else range(TRAIN, TRAIN + count))


STARTS = {
    "packaged": Start(None, partial(tiny_problems, seed=SEED)),
    "packaged_chains": Start(None, chain_rows),
    "noisy": Start(partial(noisy, noise=0.45), habit_rows),
    "habit_40": Start(partial(habitual, habit=0.40), habit_rows),
    "habit_58": Start(partial(habitual, habit=0.58), habit_rows),
    "habit_75": Start(partial(habitual, habit=0.75), habit_rows),
    "carry_58": Start(partial(habitual, habit=0.58, kinds=("carry",)), habit_rows),
    "chains": Start(chain_example, chain_rows),
}
REWARDS = {
    "majority": "MajorityVoteReward",
    "contrastive": "ContrastiveAgreementReward",
    "self_certainty": "SelfCertaintyReward",
    "random": "RandomReward",
}
SETTINGS = [
    ("packaged", "majority"),
    ("habit_75", "majority"),
    ("habit_58", "majority"),
    ("habit_40", "majority"),
    ("habit_58", "contrastive"),
    ("noisy", "majority"),
    ("packaged_chains", "majority"),
    ("carry_58", "majority"),
    ("chains", "majority"),
    ("packaged", "self_certainty"),
    ("habit_75", "contrastive"),
    ("packaged", "contrastive"),
    ("noisy", "self_certainty"),
    ("habit_40", "contrastive"),
]
CONTROLS = [(name, "random") for name in ("carry_58", "packaged", "habit_58", "habit_75")]  # what chance does
TRAINING = {
    "num_generations": 8,
    "per_device_train_batch_size": 64,
    "learning_rate": 3e-5,
    "lr_scheduler_type": "constant_with_warmup",
    "warmup_steps": 5,
    "beta": 0.15,  # at 0.02, and twice the rate, a random reward loses 18 points in 90 steps
    "loss_type": "grpo",
    "max_steps": 80,
    "max_completion_length": 40,
    "gradient_checkpointing": False,
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "logging_steps": 5,
    "save_strategy": "no",
    "seed": 0,
}


def prepared(name: str, folder: Path) -> Path:
    """The folder of a start: `start/`, `train.jsonl` and `heldout.jsonl`, made where they are not there yet."""
    start, out = STARTS[name], folder / name
    out.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", TRAIN), ("heldout", HELDOUT)):
        start.rows(split, count).to_json(out / f"{split}.jsonl")
    if start.draw is not None and not (out / "start" / "tokenizer.json").exists():
        rng = random.Random(f"forecast/{name}")
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_pretrained(model_path("tiny"), dtype=torch.float32)
        save_start(out / "start", model, build_tokenizer(), partial(start.draw, rng), start.steps, lr=1e-3)
    return out


def model_of(name: str, out: Path) -> str:
    """The start's model."""
    return "tiny" if STARTS[name].draw is None else str(out / "start")


def trained(name: str, reward: str, out: Path) -> dict[str, Any]:
    """What a training from the start does to avg@8 on the held-out questions, in shares."""
    paired = "paraphrase" in STARTS[name].rows("train", 1).column_names
    probe = {"task": "tiny_problems", "data": str(out / "heldout.jsonl"), "every": 10**6, "questions": 50, "n": 1}
    probe |= {"temperature": 1.0, "top_p": 1.0, "batch_size": 512, "final": {"questions": HELDOUT, "n": 8}}
    keys = {
        **TRAINING,
        "model_name_or_path": model_of(name, out),
        "dataset": str(out / "train.jsonl"),
        "paired": paired,
        "prompts_per_step": 4 if paired else 8,  # pairs, or prompts
        "rewards": {REWARDS[reward]: {}},
        "probe": probe,
        "output_dir": str(out / reward),
    }
    trainer = build_trainer(plan_of(keys, f"the setting {name} {reward}"))
    (watch,) = (callback for callback in trainer.callback_handler.callbacks if isinstance(callback, TaskProbe))
    watch.starts = out / "measured"
    trainer.train()
    (_, before), (_, after) = watch.questions
    start, end = ([vote.right for vote in votes] for votes in (before, after))
    low, high = difference_interval(start, end)
    figures = {"start": fmean(start), "end": fmean(end), "change": fmean(end) - fmean(start), "low": low, "high": high}
    figures |= {f"maj_{when}": scores.maj for when, (_, scores) in zip(("start", "end"), watch.ends, strict=True)}
    return {key: round(value, 4) for key, value in figures.items()}


def forecast_of(name: str, out: Path) -> dict[str, Any]:
    """The forecast for a start's training prompts."""
    settings = Settings(batch_size=512, cache=out / "completions.sqlite")
    asked = load_asked(str(out / "train.jsonl"), "train", None, "prompt", None, PROMPTS, 0)
    sampling = Sampling(max_tokens=40, n=16, seed=0)
    return forecast(Request(model_of(name, out), name, asked, sampling, settings))


def told(found: dict[str, Any], reward: str) -> dict[str, Any]:
    """What a forecast says of a reward: its sign, whether it is firm, and what it follows from."""
    if reward == "self_certainty":
        within = next(row["within"] for row in found["signals"] if row["signal"] == reward)
        return {"sign": found["confidence"][reward], "firm": True, "within": round(within, 4)}
    outlook = found["outlooks"][REWARDS[reward]]
    figures = {key: round(outlook[key], 4) for key in ("start", "end", "worst", "best")}
    kinds = {
        kind["name"]: {**kind, "balance": kind["balance"] and _rounded(kind["balance"])} for kind in outlook["kinds"]
    }
    truth = found["truth"]
    noise = truth["majority" if reward == "majority" else "contrastive"]
    figures |= {"avg": round(truth["avg"]["value"], 4), "maj": round(truth["maj"]["value"], 4)}
    figures |= {"agreement": round(found["agreement"]["ratio"], 4), "j": round(noise["youden"]["j"], 4)}
    return {"sign": outlook["sign"], "firm": outlook["firm"], **figures, "kinds": kinds}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) for key, value in values.items()}


def naive_signs(found: dict[str, Any]) -> dict[str, str]:
    """What simpler rules say of majority vote: the gap maj − avg alone, and J alone."""
    return {"gap": sign_of(found["maj"] - found["avg"]), "j": "gain" if found["j"] > 0 else "loss"}


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """How many signs were right, of all settings and of those whose forecast was firm; beside it the simpler rules."""
    done = [entry for entry in found.values() if "outcome" in entry and "forecast" in entry]
    right = [entry["forecast"]["sign"] == sign_of(entry["outcome"]["change"]) for entry in done]
    firm = [ok for ok, entry in zip(right, done, strict=True) if entry["forecast"]["firm"]]
    voted = [entry for entry in done if "maj" in entry["forecast"]]
    simple = {
        f"signs_right_by_{rule}": sum(
            naive_signs(entry["forecast"])[rule] == sign_of(entry["outcome"]["change"]) for entry in voted
        )
        for rule in ("gap", "j")
    }
    counts = {"signs_right": sum(right), "settings": len(done), "firm_right": sum(firm), "firm": len(firm)}
    return {**counts, "voted": len(voted), **simple}


def main() -> None:
    """Run what is missing, and print how many signs were right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/forecast"), help="starts and runs")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--only", default="", help="part of a setting's name")
    args = parser.parse_args()
    found: dict[str, Any] = json.loads(args.results.read_text()) if args.results.exists() else {}
    for name, reward in SETTINGS + CONTROLS:
        setting = f"{name} {reward}"
        entry = found.get(setting, {})
        control = reward == "random"
        if args.only in setting and not ({"outcome"} if control else {"forecast", "outcome"}) <= entry.keys():
            out = prepared(name, args.out)
            if "forecast" not in entry and not control:
                entry["forecast"] = told(forecast_of(name, out), reward)
            if "outcome" not in entry:
                entry["outcome"] = trained(name, reward, out)
            found[setting] = entry
            write_whole(args.results, result_text(found))
        if setting in found:
            print(line(setting, found[setting]), flush=True)
    print(json.dumps(summary(found)))


def line(setting: str, entry: dict[str, Any]) -> str:
    """A setting in one line: what was forecast, and what came."""
    said, came = entry.get("forecast"), entry["outcome"]
    claim = "a control" if said is None else f"forecast {said['sign']}, {'firm' if said['firm'] else 'open'}"
    seen = f"{100 * came['change']:+.1f} ({100 * came['low']:+.1f} to {100 * came['high']:+.1f})"
    return f"{setting}: {claim}; came {sign_of(came['change'])}, {seen} points"


if __name__ == "__main__":
    main()
