"""Real vLLM rollouts inside the trainer, in a process of their own: vLLM takes the process over."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from selfrl.data.tiny import TINY_MODEL

SCRIPT = Path(__file__).parent / "vllm_training.py"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed")
def test_vllm_rolls_out_with_the_weights_that_were_just_trained(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(TINY_MODEL), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["before_sync"] > 0.05  # else stale weights would agree as well
    assert result["after_sync"] < 1e-4
    # both views of a pair met in every vLLM generation batch
    assert result["views"] == [[0] * 4 + [1] * 4] * 3
    assert max(result["sampling_difference"]) < 1e-4
    # the teacher's own weights spoke through vLLM, then the policy's again, and signals are the policy's
    assert result["policy_boxes"] > 0.5
    assert result["teacher_boxes"] < 0.1
    assert result["signal_difference"] < 1e-4
