"""When a run with an internal reward collapses: the Model Collapse Step, and the step from which it falls."""

from __future__ import annotations

from collections.abc import Sequence

COLLAPSED = 0.01
WINDOW = 5


def collapse_step(steps: Sequence[int], accuracies: Sequence[float | None]) -> int | None:
    """MCS (2603.08660): the first step whose reward accuracy is below 1 %; None if there is none up to the last.

    A run without one is censored: its MCS is later than its last step. Steps without an accuracy are passed over.

    Args:
        steps: of the run, in order.
        accuracies: see [`selfrl.monitor.label_noise.reward_accuracy`], one a step.

    Example:
        >>> collapse_step([1, 2, 3, 4], [0.5, 0.01, 0.009, 0.2]), collapse_step([1, 2], [0.5, 0.4])
        (3, None)
    """
    known = zip(steps, accuracies, strict=True)
    return next((step for step, value in known if value is not None and value < COLLAPSED), None)


def peak_step(steps: Sequence[int], values: Sequence[float | None], window: int = WINDOW) -> int | None:
    """The step at which a curve turns from rise to fall: the last with its highest mean over the steps around it.

    None where it does not fall afterwards, or no value is known.

    Args:
        steps: of the run, in order.
        values: one a step; None is passed over.
        window: values in a mean, half before and half after; fewer at the ends.

    Raises:
        ValueError: for a window that is even or below 1.

    Example:
        >>> peak_step([1, 2, 3, 4, 5], [0.5, 0.9, 0.9, 0.4, 0.3], window=1), peak_step([1, 2], [0.5, 0.6], window=1)
        (3, None)
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"The window is {window}: it must be odd and 1 or more, to lie around a step.")
    known = [(step, value) for step, value in zip(steps, values, strict=True) if value is not None]
    if not known:
        return None
    half = window // 2
    parts = [[value for _, value in known[max(i - half, 0) : i + half + 1]] for i in range(len(known))]
    means = [sum(part) / len(part) for part in parts]
    best = max(range(len(means)), key=lambda i: (means[i], i))
    return known[best][0] if best < len(known) - 1 else None
