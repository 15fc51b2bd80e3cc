"""The cache with the packaged model, through repeats, kills and failures."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from selfrl.data.tiny import tiny_problems
from selfrl.eval import generating
from selfrl.eval.cache import GenerationCache, model_identity, request_hash
from selfrl.eval.generating import generate_cached
from selfrl.generation import Generation, Generator, Prompt, Sampling
from selfrl.generation.hf import TransformersGenerator
from selfrl.models import TINY_MODEL

SAMPLING = Sampling(max_tokens=24, temperature=1.0, n=3, seed=5)
PROMPTS = tiny_problems("heldout", 10)["prompt"][:]


class Counting:
    """The packaged model, counting what it is asked for; `fails` gets nothing."""

    def __init__(self, fails: str = "") -> None:
        self.inner = TransformersGenerator.load(str(TINY_MODEL))
        self.asked: list[tuple[Prompt, int]] = []
        self.fails = fails

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        self.asked += [(prompt, sampling.n) for prompt in prompts]
        groups = self.inner.generate(prompts, sampling)
        return [[] if p == self.fails else g for p, g in zip(prompts, groups, strict=True)]

    def close(self) -> None:
        pass


def run(generator: Generator, path: Path, sampling: Sampling = SAMPLING, model: str = "m") -> list[list[Generation]]:
    cache = GenerationCache(path)
    try:
        return generate_cached(PROMPTS, sampling, lambda: generator, cache, model)
    finally:
        cache.close()


def test_nothing_is_generated_twice(tmp_path: Path) -> None:
    generator = Counting()
    first = run(generator, tmp_path / "c.sqlite")
    assert [len(group) for group in first] == [3] * 10
    assert sorted(generator.asked) == sorted((prompt, 3) for prompt in PROMPTS)  # type: ignore[type-var]
    generator.asked.clear()
    assert run(generator, tmp_path / "c.sqlite") == first
    assert generator.asked == []
    more = run(generator, tmp_path / "c.sqlite", replace(SAMPLING, n=5))
    assert {n for _, n in generator.asked} == {2}
    assert [group[:3] for group in more] == first
    assert any(group[3:] != group[:2] for group in more)
    generator.asked.clear()
    for other in (replace(SAMPLING, seed=6), replace(SAMPLING, max_tokens=9), replace(SAMPLING, stop=("x",))):
        run(generator, tmp_path / "c.sqlite", other)
    run(generator, tmp_path / "c.sqlite", model="other")
    assert len(generator.asked) == 40


def test_chunks_have_seeds_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []

    class Seeds(Counting):
        def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
            seeds.append(sampling.seed)
            return super().generate(prompts, sampling)

    monkeypatch.setattr(generating, "CHUNK", 9)
    run(Seeds(), tmp_path / "c.sqlite")
    assert len(set(seeds)) == len(seeds) == 4


def test_a_failed_request_is_tried_again(tmp_path: Path) -> None:
    failing = Counting(fails=PROMPTS[4])
    groups = run(failing, tmp_path / "c.sqlite")
    assert [i for i, group in enumerate(groups) if not group] == [4]
    generator = Counting()
    assert all(run(generator, tmp_path / "c.sqlite"))
    assert generator.asked == [(PROMPTS[4], 3)]


def test_equal_prompts_share_their_completions(tmp_path: Path) -> None:
    cache = GenerationCache(tmp_path / "c.sqlite")
    generator = Counting()
    groups = generate_cached([PROMPTS[0]] * 3, SAMPLING, lambda: generator, cache, "m")
    assert groups[0] == groups[1] == groups[2]
    assert len(generator.asked) == 1


def test_half_a_surrogate_pair_is_stored(tmp_path: Path) -> None:
    cache = GenerationCache(tmp_path / "c.sqlite")
    cache.add([("k", 0, [Generation("a\ud800b\x00c", "stop", 1, 2)])])
    assert cache.get("k", 1) == [Generation("a?b\x00c", "stop", 1, 2)]
    assert request_hash("m", "a\ud800", SAMPLING) != request_hash("m", "b", SAMPLING)


def test_a_changed_checkpoint_is_another_model(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_text("1")
    before = model_identity(str(tmp_path))
    assert before == model_identity(str(tmp_path))
    weights.write_text("22")
    assert model_identity(str(tmp_path)) != before


KILLED = """
import os, signal, sys
from pathlib import Path
from selfrl.eval import generating
from selfrl.eval.cache import GenerationCache
from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.generation import Sampling
from selfrl.generation.hf import TransformersGenerator
generating.CHUNK = 9
generator = TransformersGenerator.load(str(TINY_MODEL))
def kill(done):
    if done == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
generating.generate_cached(
    tiny_problems("heldout", 10)["prompt"][:], Sampling(max_tokens=24, temperature=1.0, n=3, seed=5),
    lambda: generator, GenerationCache(Path(sys.argv[1])), "m", kill,
)
"""


@pytest.mark.slow
def test_a_killed_run_gives_what_it_would_have_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generating, "CHUNK", 9)
    whole = run(Counting(), tmp_path / "whole.sqlite")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "killed.sqlite"), "6"],
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == -signal.SIGKILL
    generator = Counting()
    assert run(generator, tmp_path / "killed.sqlite") == whole
    assert len(generator.asked) == 4
