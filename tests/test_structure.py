"""The design's levels: imports run one way, names explain themselves, files stay small."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOPS = ("rewards", "eval", "recipes")  # linked into selfrl/

# Each may import itself and what stands before it, so there is no cycle between folders. "ground" are the modules that
# lie in selfrl/ itself, save those named in ABOVE.
LEVELS = (
    "ground",
    *("answers", "signals"),
    *("generation", "data"),
    *("preferences", "rewards", "monitor", "shaping"),
    *("trainers", "prompting", "eval", "pretext", "selfplay"),
    *("recipe", "compare", "report", "evolve", "forecast", "plan", "recipes"),
    "cli",
)
ABOVE = dict.fromkeys(("recipe_keys", "recipe", "training", "guarded_training"), "recipe") | dict.fromkeys(
    ("quickstart", "doctor", "control_runs", "cli"), "cli"
)
REPEATED = {"__init__", "command", "tiny"}  # one in each folder that needs it
MOST_LINES = 300


def modules() -> Iterator[tuple[str, Path]]:
    """(dotted name, file) of everything that is installed."""
    for top in ("selfrl", *TOPS):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if top != "selfrl":
                yield ".".join(("selfrl", *parts)), path
            elif len(parts) < 2 or parts[1] not in TOPS:  # in case links are followed
                yield ".".join(parts), path


def level(module: str) -> str:
    """The level of a dotted name: its folder, or what a module in selfrl/ itself counts to.

    >>> level("selfrl.data.tiny"), level("selfrl.files"), level("selfrl.training")
    ('data', 'ground', 'recipe')
    """
    first = [*module.split("."), "__init__"][1]
    return ABOVE.get(first, first if (ROOT / "selfrl" / first).is_dir() else "ground")


def imported(path: Path) -> Iterator[str]:
    """Dotted names of ours that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            if node.module == "selfrl":
                yield from (f"selfrl.{alias.name}" for alias in node.names)
            elif node.module is not None:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_imports_run_one_way() -> None:
    upward = [
        f"{name} imports {other}"
        for name, path in modules()
        for other in imported(path)
        if other.split(".")[0] == "selfrl" and LEVELS.index(level(other)) > LEVELS.index(level(name))
    ]
    assert not upward, "\n".join(upward)


def test_a_modules_name_occurs_once() -> None:
    count = Counter(path.stem for _, path in modules())
    assert not {stem: n for stem, n in count.items() if n > 1 and stem not in REPEATED}


def test_files_stay_small() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for _, path in modules()}
    assert len(lines) > 150
    assert not {name: n for name, n in lines.items() if n > MOST_LINES}
