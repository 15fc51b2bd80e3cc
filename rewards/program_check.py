"""The data gate's check 7: a proposed program that can be run, and that says the same whenever it is."""

from __future__ import annotations

from collections.abc import Sequence

from selfrl.limited_program import LIMIT_S, Outcome, run_calls

LONGEST_OUTPUT = 1000  # characters: no longer answer is read
UNDECIDED = "could not be run"  # which says nothing about the program
# Sets of texts have another order under another seed, but two of two texts agree under half of all pairs of seeds.
SEEDS = (0, 1, 2, 3)


def program_reason(program: str, inputs: Sequence[str]) -> str | None:
    """7: one function `f` that reaches for nothing, gives a literal for each input, and the same one in every run.

    In the order of the checks: more than one function, a call of an earlier item's function (`g`, `g_0`, which are not
    offered here), a name that is not offered (imports, `open`, `id`, …), an output that is no literal or has more than
    1000 characters, an error, runs that differ, more than ten seconds of processor time. The first input that fails
    decides. What the child could not decide is refused too.

    Args:
        program: as a creator wrote it.
        inputs: each the arguments of one call, as literals.

    Example:
        >>> program_reason("def f(x):\\n    return x + 1", ["1"]), program_reason("import os", ["1"])
        (None, 'no function f')
        >>> program_reason("def f(x):\\n    return list({'a', 'b', 'c', x})", ["'d'"])
        'two runs differ'
    """
    if not inputs:
        return "no inputs"
    first: list[str | None] = []
    for outcome in run_calls(program, inputs, hash_seed=SEEDS[0]):
        why = _why(outcome)
        if why is not None:
            return why
        first.append(outcome.literal)
    for seed in SEEDS[1:]:
        again = run_calls(program, inputs, hash_seed=seed)
        for outcome, literal in zip(again, first, strict=True):
            if outcome.failure == "not decided":
                return UNDECIDED
            if outcome.literal != literal:
                return "two runs differ"
    return None


def _why(outcome: Outcome) -> str | None:
    if outcome.literal is not None:
        return None if len(outcome.literal) <= LONGEST_OUTPUT else "output not a canonical literal"
    match outcome.failure:
        case "refused":
            return outcome.detail
        case "arguments":
            return "an input is no literal"
        case "no literal" | "too long":
            return "output not a canonical literal"
        case "time":
            return f"more than {LIMIT_S:g} s"
        case "not decided":
            return UNDECIDED
    return f"error ({outcome.detail})"
