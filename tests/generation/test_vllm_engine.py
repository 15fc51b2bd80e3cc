"""vLLM in a process of its own: it takes the process over."""

import importlib.util
import json
import subprocess
import sys

import pytest

from selfrl.data.tiny import tiny_problems
from selfrl.generation import Sampling
from selfrl.generation.hf import TransformersGenerator
from selfrl.generation.protocol import cut
from selfrl.models import TINY_MODEL

CODE = """
import json, os, sys
from selfrl.generation import Sampling, load_generator
prompts = json.loads(sys.argv[2])
engine = load_generator("vllm", sys.argv[1])
greedy = engine.generate(prompts, Sampling(max_tokens=40, temperature=0.0))
sampled = [engine.generate(prompts[:2], Sampling(max_tokens=40, n=3, seed=s)) for s in (1, 1, 2)]
stopped = engine.generate(prompts, Sampling(max_tokens=40, temperature=0.0, stop=("boxed",)))
texts = lambda groups: [[g.text for g in group] for group in groups]
reasons = [[g.finish_reason, g.prompt_tokens, g.completion_tokens] for group in greedy for g in group]
found = {"greedy": texts(greedy), "sampled": [texts(s) for s in sampled], "reasons": reasons, "stopped": texts(stopped)}
print(json.dumps(found), flush=True)
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed")
def test_vllm_gives_what_transformers_gives() -> None:
    prompts = tiny_problems("heldout", 6)["prompt"][:]
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(TINY_MODEL), json.dumps(prompts)],
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    expected = TransformersGenerator.load(str(TINY_MODEL)).generate(prompts, Sampling(max_tokens=40, temperature=0.0))
    assert result["greedy"] == [[g.text for g in group] for group in expected]
    assert result["reasons"] == [
        [g.finish_reason, g.prompt_tokens, g.completion_tokens] for group in expected for g in group
    ]
    assert result["stopped"] == [[cut(g.text, ("boxed",)) for g in group] for group in expected]
    first, again, other = result["sampled"]
    assert [len(group) for group in first] == [3, 3]
    assert first == again
    assert first != other
