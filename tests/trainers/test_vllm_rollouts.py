"""Real vLLM rollouts inside the trainer, in a process of their own: vLLM takes the process over."""

import importlib.util
from pathlib import Path

import pytest
import vllm_nft
import vllm_training
from support.processes import in_a_process

from selfrl.models import TINY_MODEL

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed"),
]


def test_vllm_rolls_out_with_the_weights_that_were_just_trained(tmp_path: Path) -> None:
    result = in_a_process(vllm_training.train, TINY_MODEL, tmp_path, timeout=580)
    assert result["before_sync"] > 0.05  # else stale weights would agree as well
    assert result["after_sync"] < 1e-4
    # both views of a pair met in every vLLM generation batch
    assert result["views"] == [[0] * 4 + [1] * 4] * 3
    assert max(result["sampling_difference"]) < 1e-4
    # the teacher's own weights spoke through vLLM, then the policy's again, and signals are the policy's
    assert result["policy_boxes"] > 0.5
    assert result["teacher_boxes"] < 0.1
    # and so it is with further voters
    assert result["further_boxes"]["policy"] > 0.5 > 0.1 > result["further_boxes"]["teacher"]
    assert result["signal_difference"] < 1e-4


def test_nft_corrects_for_vllms_probabilities_and_replaces_prompts(tmp_path: Path) -> None:
    result = in_a_process(vllm_nft.train, TINY_MODEL, tmp_path, timeout=580)
    assert result["rates"] == [[0.5] * 16] * 2
    assert len(result["draws"]) > 2  # prompts were replaced
    assert result["ratio"] == pytest.approx([1, 1], abs=1e-3)
    # twice the ratio is twice the loss, in updates where there is one
    assert any(abs(loss) > 1e-5 for loss, _ in result["losses"])
    for loss, doubled in result["losses"]:
        assert doubled == pytest.approx(2 * loss, rel=1e-5, abs=1e-9)
