"""The wheel, built from a copy of the tree and used where no checkout is in reach."""

import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("selfrl", "rewards", "eval", "recipes")
NEW = "rewards/family/member.py"

# `home` is the unpacked wheel; the checkout is installed in this environment, so where things come from is checked
USE = """
import importlib, sys
from pathlib import Path
home = Path(sys.argv[1])
import selfrl, selfrl.eval, selfrl.recipes, selfrl.rewards, selfrl.cli, selfrl.rewards.family.member
from transformers import AutoModelForCausalLM, AutoTokenizer
from selfrl.eval.task import load_tasks
from selfrl.models import TINY_MODEL
from selfrl.recipe import parse_recipe
assert parse_recipe(["recipes/co_rewarding/tiny.yaml"]).config.max_steps == 80
assert parse_recipe(["recipes/ours/gsm8k_pairs_qwen3_8b.yaml", "--dry_run"]).paired
assert load_tasks("tiny_problems")[0].name == "tiny_problems"
assert AutoModelForCausalLM.from_pretrained(TINY_MODEL).num_parameters() < 1e6
assert len(AutoTokenizer.from_pretrained(TINY_MODEL)("Add 3 to 4.").input_ids) > 3
assert selfrl.rewards.family.member.NAME == "found"
ours = [module for name, module in sys.modules.items() if name.split(".")[0] == "selfrl" and module.__file__]
assert len(ours) > 50
assert all(Path(module.__file__).is_relative_to(home) for module in ours), [m.__file__ for m in ours]
"""


def build(what: str, source: Path, out: Path) -> Path:
    """The wheel or the source distribution of a tree, built by what pyproject.toml names."""
    code = f"from setuptools import build_meta; print(build_meta.build_{what}({str(out)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return out / done.stdout.splitlines()[-1]


def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packaged, with a new folder among the rewards."""
    copy = tmp_path_factory.mktemp("copy") / "tree"
    copy.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in OURS:
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=ignore)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    (copy / NEW).parent.mkdir()
    (copy / NEW).write_text('NAME = "found"\n')
    return copy


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tree, tmp_path_factory.mktemp("wheel"))


@pytest.mark.slow
def test_every_file_of_the_packages_reaches_the_wheel(tree: Path, wheel: Path) -> None:
    here = {path.relative_to(tree) for top in OURS for path in (tree / top).rglob("*") if path.is_file()}
    here = {path for path in here if not {"build", "__pycache__"} & set(path.parts)}
    expected = {path.as_posix() if path.parts[0] == "selfrl" else f"selfrl/{path.as_posix()}" for path in here}
    assert f"selfrl/{NEW}" in expected
    assert expected == {name for name in names(wheel) if ".dist-info/" not in name}


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    home, empty = tmp_path / "home", tmp_path / "empty"
    empty.mkdir()
    zipfile.ZipFile(wheel).extractall(home)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(home), "HF_HUB_OFFLINE": "1", "HOME": str(empty)}
    command = [sys.executable, "-c", USE, str(home)]
    done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_the_wheel_names_its_licence_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        (metadata,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        folder = metadata.removesuffix("METADATA")
        head = Parser().parsestr(file.read(metadata).decode())
        assert head["License-Expression"] == "Apache-2.0"
        assert file.read(f"{folder}licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
        assert "selfrl = selfrl.cli:main" in file.read(f"{folder}entry_points.txt").decode()


@pytest.mark.slow
def test_a_source_distribution_gives_the_same_wheel(tree: Path, wheel: Path, tmp_path: Path) -> None:
    archive = build("sdist", tree, tmp_path)
    shutil.unpack_archive(archive, tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert names(build("wheel", source, tmp_path / "again")) == names(wheel)
