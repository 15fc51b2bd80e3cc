"""The commands that mend, on real metadata: what pip itself writes down when it installs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from selfrl.installation import command, mend

ROOT = Path(__file__).parent.parent
SAY = "from selfrl.installation import mend; print(mend('eval')); print(mend())"


def pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def said(home: Path) -> list[str]:
    """What the installation in a folder says, far from any checkout."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(home)}
    done = subprocess.run([sys.executable, "-c", SAY], cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of this name with this module, small enough to be built in a second; its path has a blank."""
    folder = tmp_path_factory.mktemp("a clone") / "self rl"
    (folder / "selfrl").mkdir(parents=True)
    (folder / "selfrl" / "__init__.py").write_text("")
    (folder / "selfrl" / "installation.py").write_text((ROOT / "selfrl" / "installation.py").read_text())
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "selfrl"\nversion = "0.1.0"\n[tool.setuptools]\npackages = ["selfrl"]\n'
    )
    return folder


def installed(what: str, home: Path) -> None:
    pip("install", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(home), what)


@pytest.mark.slow
def test_a_folder_and_a_wheel_are_named_as_they_were_installed(project: Path, tmp_path: Path) -> None:
    installed(str(project), tmp_path / "folder")
    assert said(tmp_path / "folder") == [f"pip install '{project}[eval]'", f"pip install '{project}'"]
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(tmp_path), str(project))
    (wheel,) = tmp_path.glob("*.whl")
    installed(str(wheel), tmp_path / "wheel")
    assert said(tmp_path / "wheel") == [f"pip install '{wheel}[eval]'", f"pip install '{wheel}'"]
    # and such a command is one that pip takes
    words = said(tmp_path / "wheel")[0].removeprefix("pip install '").removesuffix("'")
    installed(words, tmp_path / "again")
    assert (tmp_path / "again" / "selfrl" / "installation.py").is_file()


def test_a_clone_is_named_by_its_path(project: Path) -> None:
    assert said(project) == [f"pip install -e '{project}[eval]'", f"pip install -e '{project}'"]
    assert mend("vllm") == f"pip install -e '{ROOT}[vllm]'"


def test_addresses_are_named_with_their_commit() -> None:
    site = Path("/env/site-packages")
    git = {"url": "https://host/selfrl.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    assert command(site, git, "eval") == "pip install 'selfrl[eval] @ git+https://host/selfrl.git@abc'"
    wheel = {"url": "https://host/selfrl-0.1.0-py3-none-any.whl", "archive_info": {}}
    assert command(site, wheel, None) == "pip install 'selfrl @ https://host/selfrl-0.1.0-py3-none-any.whl'"
    editable = {"url": "file:///my%20clone", "dir_info": {"editable": True}}
    assert command(site, editable, "eval") == "pip install -e '/my clone[eval]'"
    assert command(site, None, "eval") == "pip install 'selfrl[eval]'"
