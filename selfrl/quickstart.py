"""`selfrl quickstart`: Co-rewarding I beside two controls on the packaged tiny model, minutes on a CPU.

Three runs start from the same weights with the same data, steps and rollouts; only the reward differs: contrastive
agreement (no label), ground truth (what labels would give) and random (what the training alone gives). They are the
arms of the comparison recipes/compare/quickstart.yaml.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from selfrl.compare.command import run_comparison

RECIPE = "recipes/compare/quickstart.yaml"


def main(argv: Sequence[str]) -> int:
    """Run the three arms and write the report."""
    parser = argparse.ArgumentParser(prog="selfrl quickstart", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/quickstart"), help="folder of everything written")
    parser.add_argument("--seed", type=int, default=0, help="of data order, sampling and the random reward")
    args = parser.parse_args(argv)
    return run_comparison(RECIPE, args.out, f"selfrl quickstart --seed {args.seed}", seeds=[args.seed])
