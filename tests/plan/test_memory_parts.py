"""Memory by hand: an 8-billion model in the ways that it is trained, and what must hold of any."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig

from selfrl.plan.memory_parts import Kept, peak, phases, standing
from selfrl.plan.model_shape import ModelShape
from selfrl.plan.run_shape import RunShape

MODEL = ModelShape(8 * 10**9, 8 * 10**9, 36, 4096, 12288, 151936, 147456)
RUN = RunShape(8, 256, 8, 32, 1, 512, 3072, 4, 8, True, True, False, False, None, 0.0, True, 1)
KEPT = Kept(18e9, 7e9)


def test_full_training_in_float32_takes_sixteen_bytes_a_weight() -> None:
    assert standing(MODEL, RUN) == {"weights": 32e9, "optimizer": 64e9}
    found = phases(MODEL, RUN, KEPT, gpu=80e9)
    assert found["update: layers"]["gradients"] == 32e9
    # the tile of TRL's head in bfloat16, and the gradient of a head of its own
    assert found["update: output head"]["logits' tile"] == 4096 * 32768 * 2
    assert found["update: output head"]["the head's gradient"] == 151936 * 4096 * 4
    # keys and values in bfloat16, of whole rows
    assert found["rollouts"]["key-value cache"] == 256 * 3584 * 147456 * 2
    assert found["update: layers"]["a layer in work"] == 7e9 + 3 * 8 * 3584 * 12288 * 2


def test_a_teacher_and_a_reference_are_models_of_their_own() -> None:
    whole = standing(MODEL, replace(RUN, reference=True, shadow=True))
    assert whole == {"weights": 32e9, "reference": 32e9, "teacher": 32e9, "optimizer": 64e9}
    gradients = phases(MODEL, replace(RUN, reference=True, shadow=True), KEPT)["update: layers"]["gradients"]
    assert sum(whole.values()) + gradients == 192e9  # 24 bytes a weight


def test_an_adapter_alone_has_gradients_optimizer_and_teacher() -> None:
    small = replace(MODEL, trained=20 * 10**6)
    run = replace(RUN, adapter=LoraConfig(), weight_bytes=2, state_bytes=8, shadow=True)
    assert standing(small, run) == {"weights": 16e9 + 8e7, "teacher": 8e7, "optimizer": 1.6e8}
    found = phases(small, run, KEPT, gpu=80e9)
    assert found["update: layers"]["gradients"] == 8e7
    assert found["update: output head"]["the head's gradient"] == 0


@pytest.mark.parametrize(
    ("shard", "weights", "optimizer", "gradients"),
    [("none", 32e9, 64e9, 32e9), ("zero2", 32e9, 8e9, 4e9), ("zero3", 4e9, 8e9, 4e9)],
)
def test_what_eight_gpus_share(shard: str, weights: float, optimizer: float, gradients: float) -> None:
    run = replace(RUN, gpus=8, shard=shard)  # type: ignore[arg-type]
    assert standing(MODEL, run) == {"weights": weights, "optimizer": optimizer}
    layers = phases(MODEL, run, KEPT)["update: layers"]
    assert layers["gradients"] == gradients
    gathered = 2 * 8e9 / 36 * 4 if shard == "zero3" else 0
    assert layers["a layer in work"] == pytest.approx(7e9 + 3 * 8 * 3584 * 12288 * 2 + gathered)


def test_vllm_takes_its_share_and_gives_it_back_when_it_sleeps() -> None:
    run = replace(RUN, vllm_share=0.4)
    asleep, awake = (phases(MODEL, replace(run, vllm_sleeps=sleeps), KEPT, gpu=80e9) for sleeps in (True, False))
    assert asleep["rollouts"]["vLLM"] == awake["rollouts"]["vLLM"] == 32e9
    assert "key-value cache" not in asleep["rollouts"]
    assert "vLLM" not in asleep["update: layers"]
    assert awake["update: layers"]["vLLM"] == 32e9


def test_gradients_of_the_micro_batches_before_are_there_already() -> None:
    one, several = (phases(MODEL, replace(RUN, micro_batches=n), KEPT)["update: output head"] for n in (1, 2))
    assert "gradients" not in one
    assert several["gradients"] == 32e9


@given(
    rows=st.sampled_from([1, 2, 4, 8]),
    completion=st.integers(16, 4096),
    gpus=st.integers(1, 16),
    gpu=st.sampled_from([None, 80e9]),
)
def test_more_of_anything_needs_no_less(rows: int, completion: int, gpus: int, gpu: float | None) -> None:
    run = replace(RUN, rows=rows, completion=completion)
    before = peak(phases(MODEL, run, KEPT, gpu))
    assert peak(phases(MODEL, replace(run, rows=2 * rows), KEPT, gpu)) >= before
    assert peak(phases(MODEL, replace(run, completion=completion + 64), KEPT, gpu)) >= before
    assert peak(phases(MODEL, replace(run, reference=True), KEPT, gpu)) > before
    sharded = [peak(phases(MODEL, replace(run, gpus=gpus, shard=shard), KEPT, gpu)) for shard in ("none", "zero2")]
    assert sharded[1] <= sharded[0] == before
