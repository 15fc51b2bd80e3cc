"""Shapes of tensors whose names say them."""

from __future__ import annotations

import torch


def check_shapes(**tensors: torch.Tensor | None) -> None:
    """Refuse tensors whose shapes do not fit their names, in which each letter after the last underscore is an axis.

    A letter has one size: the one it has in the first tensor that names it. Where a (B, 1) tensor would broadcast
    against (B,) without a word, this is the word.

    Args:
        tensors: by name, as in `logps_BT` or `rates_B`; None is left out.

    Raises:
        ValueError: for the first tensor that has other axes, or another size of one.

    Example:
        >>> check_shapes(logps_BT=torch.zeros(6, 5), labels_B=torch.zeros(6), rates_B=None)
        >>> check_shapes(logps_BT=torch.zeros(6, 5), labels_B=torch.zeros(6, 1))
        Traceback (most recent call last):
        ValueError: labels_B has the shape (6, 1): it must be (B,) with B = 6.
    """
    sizes: dict[str, int] = {}
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        axes = name.rpartition("_")[2]
        known = [f"{axis} = {sizes[axis]}" for axis in axes if axis in sizes]
        fits = tensor.ndim == len(axes) and all(
            sizes.setdefault(axis, size) == size for axis, size in zip(axes, tensor.shape, strict=True)
        )
        if not fits:
            wanted = f"({', '.join(axes)}{',' * (len(axes) == 1)})" + (f" with {', '.join(known)}" if known else "")
            raise ValueError(f"{name} has the shape {tuple(tensor.shape)}: it must be {wanted}.")
