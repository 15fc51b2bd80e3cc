"""Make vLLM in this process exact, and its weights replaceable, on a machine without a GPU."""

from __future__ import annotations

import os

import torch


def prepare_vllm_on_cpu() -> None:
    """Let vLLM's CPU engine take new weights, and compute in fp32. Call before the engine is built.

    Two defaults of vLLM 0.31 stand in the way of training on a CPU:

    - It packs linear weights into oneDNN handles when they are first loaded and drops or ignores the originals, so
      a later weight sync fails, or for tied heads silently changes nothing. Without oneDNN it reads the live weight.
    - It turns a float32 model into bfloat16, which is emulated on most CPUs, and TRL passes no dtype.
    """
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    try:
        import vllm._custom_ops
        from vllm.platforms.cpu import CpuPlatform
    except ImportError:
        return  # whoever builds the engine says that it is missing

    vllm._custom_ops._supports_onednn = False
    CpuPlatform.supported_dtypes = property(lambda self: [torch.float32])
