"""Memory of one process, phase by phase and part by part, in bytes."""

from __future__ import annotations

from dataclasses import dataclass

from selfrl.plan.model_shape import ModelShape
from selfrl.plan.run_shape import RunShape

# TRL never has the logits as a whole: its output head goes through tiles of so many tokens and entries.
TILE_ROWS, TILE_COLUMNS = 4096, 32768
# Without Triton, so many float32 tensors of a tile's size are there at once while its gradient is taken.
TILE_COPIES = 8.25
SAMPLING_COPIES = 4  # of the logits of one token a row: scaled, sorted, as probabilities, cumulated

Parts = dict[str, float]


@dataclass(frozen=True)
class Kept:
    """What a forward pass of a micro-batch keeps for the backward one, in bytes.

    Args:
        all: as the run has it, with or without checkpointing.
        layer: of one layer, if it is computed again while its gradients are; else 0.
    """

    all: float
    layer: float


def standing(model: ModelShape, run: RunShape) -> Parts:
    """What is there all the time: weights, reference, teacher, optimizer.

    Example:
        >>> model = ModelShape(8_000_000_000, 8_000_000_000, 36, 4096, 12288, 151936, 147456)
        >>> run = RunShape(8, 256, 8, 32, 1, 512, 3072, 4, 8, True, True, True, True, None, 0.0, True, 1)
        >>> {name: size / 1e9 for name, size in standing(model, run).items()}
        {'weights': 32.0, 'reference': 32.0, 'teacher': 32.0, 'optimizer': 64.0}
    """
    whole = run.gpus if run.shard == "zero3" else 1
    shared = run.gpus if run.shard != "none" else 1
    weights = model.parameters * run.weight_bytes / whole
    parts = {
        "weights": weights + (model.trained * 4 / whole if run.adapter is not None else 0),  # adapters are in float32
        "reference": weights if run.reference else 0.0,
        "teacher": model.trained * 4 / whole if run.shadow else 0.0,
        "optimizer": model.trained * run.state_bytes / shared,
    }
    return {name: size for name, size in parts.items() if size}


def phases(model: ModelShape, run: RunShape, kept: Kept, gpu: float | None = None) -> dict[str, Parts]:
    """What is there while rollouts are generated, while an output head's gradient is taken, and a layer's.

    Args:
        model: its sizes.
        run: its sizes.
        kept: see [`Kept`].
        gpu: bytes of a GPU; None for a CPU, where TRL's head has no kernel of its own and goes through every token.

    Example:
        One float32 model of 135 million weights, eight rows of 100 + 40 tokens:

        >>> model = ModelShape(134_515_008, 134_515_008, 30, 576, 1536, 49152, 11520)
        >>> run = RunShape(8, 8, 8, 1, 1, 100, 40, 4, 8, False, True, False, False, None, 0.0, True, 0)
        >>> round(peak(phases(model, run, Kept(85e6, 51e6))) / 1e9, 1)
        3.0
    """
    always = standing(model, run)
    shared = run.gpus if run.shard != "none" else 1
    gradients = model.trained * (4 if run.adapter is not None else run.weight_bytes) / shared
    # of a sharded model one layer is gathered whole, and the next one while it is computed
    gathered = 2 * model.parameters / model.layers * run.weight_bytes if run.shard == "zero3" else 0.0
    vllm = {"vLLM": run.vllm_share * gpu} if run.vllm_share and gpu else {}
    product = 2 if run.half else run.weight_bytes
    generation = vllm or {
        "key-value cache": float(run.rollouts * run.length * model.kv_values * product),
        "logits": 4.0 * SAMPLING_COPIES * run.rollouts * model.vocabulary,
    }
    beside = {} if run.vllm_sleeps else vllm
    before = {"gradients": gradients} if run.micro_batches > 1 else {}  # of the micro-batches before
    activations = {"activations": kept.all}
    # of a gated feed-forward layer, the gradients of its three products are there at once
    work = kept.layer + gathered + 3.0 * run.rows * run.length * model.inner * product
    return {
        "rollouts": always | generation,
        "update: output head": always | beside | before | activations | _head(model, run, gpu is not None, product),
        "update: layers": always | beside | {"gradients": gradients} | activations | {"a layer in work": work},
    }


def _head(model: ModelShape, run: RunShape, kernel: bool, product: int) -> Parts:
    tokens = min(run.rows * (run.completion if kernel else run.length - 1), TILE_ROWS)
    trained = 0.0 if run.adapter is not None else 4.0 * model.vocabulary * model.width
    if kernel:
        tile = float(tokens * TILE_COLUMNS * product)
    else:
        tile = 4 * TILE_COPIES * tokens * min(model.vocabulary, TILE_COLUMNS)
    return {"logits' tile": tile, "the head's gradient": trained}


def peak(found: dict[str, Parts]) -> float:
    """The largest sum of a phase."""
    return max(sum(parts.values()) for parts in found.values())
