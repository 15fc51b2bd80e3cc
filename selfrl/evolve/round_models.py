"""Models of a `selfrl evolve` run: they answer and write in this process, and are trained in others."""

from __future__ import annotations

import ctypes
import gc
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from selfrl.evolve.evolve_recipe import EvolveRecipe
from selfrl.evolve.train_round import MERGED
from selfrl.files import write_whole
from selfrl.generation import Generator, Sampling
from selfrl.generation.load import load_generator
from selfrl.selfplay.creator import Parent, TrainedCreator
from selfrl.selfplay.offline_scores import Answers, OfflineScorer
from selfrl.selfplay.row_form import Row
from selfrl.selfplay.stage_files import once, write_lines

PR_SET_PDEATHSIG = 1


class RoundModels:
    """See [`selfrl.selfplay.loop.Models`].

    One model at a time is open here, and none while another process trains.

    Args:
        recipe: of the run.
    """

    def __init__(self, recipe: EvolveRecipe) -> None:
        self.recipe = recipe
        self.scorer = OfflineScorer(recipe.rewards, getattr(recipe.plan.config, "reward_weights", None))
        self._open: tuple[str, Generator] | None = None
        self._proposer = self.start

    @property
    def start(self) -> str:
        """Where the solver starts."""
        return str(self.recipe.plan.model.model_name_or_path)

    @property
    def pairs(self) -> bool:
        """Whether the solver is trained by DPO."""
        return self.recipe.pairs

    def answer(self, model: str, ids: Sequence[str], rows: Sequence[Row], seed: int) -> list[Answers]:
        """A solver's answers, scored."""
        settings = self.recipe.settings
        sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, settings.samples, seed)
        return self.scorer.answer(ids, rows, self.writer(model), sampling)

    def writer(self, model: str) -> Generator:
        """A model, opened; the one that was open before is closed."""
        if self._open is None or self._open[0] != model:
            self.close()
            self._open = model, load_generator(self.recipe.backend, model)
            self.scorer.check(self._open[1])
        return self._open[1]

    def close(self) -> None:
        """Give memory back."""
        if self._open is not None:
            self._open[1].close()
            self._open = None
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def proposer(self, folder: Path, solver: str, parents: Sequence[Parent], seed: int) -> str:
        """The solver itself; or the proposer, trained further against it as the recipe's `proposer` says."""
        creator, keys = self.recipe.creator, self.recipe.proposer
        if keys is None or not isinstance(creator, TrainedCreator):
            return solver
        file = folder / "requests.jsonl"
        if not file.exists():
            write_lines(file, [{"prompt": prompt} for prompt in creator.requests(parents)])
        rewards = {name: {**(options or {}), "solver": solver} for name, options in keys["rewards"].items()}
        training = {**self.recipe.shared_by_proposer, **keys, "rewards": rewards}
        self._proposer = self._trained(folder / "train", training, self._proposer, file, seed)
        return self._proposer

    def train(self, folder: Path, solver: str, rows: Path, seed: int) -> str:
        """The solver, trained; as it was if there is nothing to train on."""
        if not rows.stat().st_size:
            return solver
        return self._trained(folder, self.recipe.training, solver, rows, seed)

    def _trained(self, folder: Path, keys: Mapping[str, Any], model: str, rows: Path, seed: int) -> str:
        def train() -> dict[str, Any]:
            self.close()
            own = {"model_name_or_path": model, "dataset": str(rows), "output_dir": str(folder), "seed": seed}
            recipe = folder / "recipe.yaml"
            write_whole(recipe, yaml.safe_dump({**keys, **own, "resume_from_checkpoint": "latest"}, sort_keys=False))
            command = shlex.split(self.recipe.launch) if self.recipe.launch else [sys.executable]
            _run([*command, "-m", "selfrl.evolve.train_round", str(recipe)], folder / "log.txt")
            merged = folder / MERGED
            return {"model": str(merged if merged.exists() else folder)}

        folder.mkdir(parents=True, exist_ok=True)
        return str(once(folder / "trained.json", train)["model"])


def _run(command: Sequence[str], log: Path) -> None:
    """Run a training that ends with this process, whatever ends it.

    Raises:
        ValueError: if it fails, with the last line of its log.
    """
    with log.open("ab") as file:
        status = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, preexec_fn=_end_with_parent).returncode
    if status != 0:
        lines = [line for line in log.read_text(errors="replace").split("\n") if line.strip()]
        raise ValueError(f"The training ended with {status} ({(lines or ['no word'])[-1].strip()}): its log is {log}.")


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
