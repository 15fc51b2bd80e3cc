"""FSDP2 on CPU processes, which accelerate keeps for GPUs."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor

FSDP: dict[str, Any] = {
    "ddp_backend": "gloo",
    "fsdp": "full_shard auto_wrap",
    "fsdp_config": {
        "version": 2,
        "transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"],
        "reshard_after_forward": True,
    },
}


def allow_fsdp_on_cpu() -> None:
    """Let accelerate take this process for one with a GPU where it decides whether FSDP may be used."""
    begin = PartialState.__init__

    def begun(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = begun  # type: ignore[method-assign]


def whole_weights(model: Any) -> torch.Tensor:
    """All weights of a sharded model, in one row."""
    parts = list(model.parameters())
    assert all(isinstance(part, DTensor) for part in parts)
    return torch.cat([part.full_tensor().detach().flatten() for part in parts])
