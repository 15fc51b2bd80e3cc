"""One real run of the packaged model, and a browser, for all tests of the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.runs import RECIPE

from selfrl.recipe import plan_of
from selfrl.training import build_trainer

KEYS: dict[str, Any] = {
    **RECIPE,
    "dataset_split": "train[:8]",
    "rewards": {"MajorityVoteReward": {}},
    "prompts_per_step": 4,
    "per_device_train_batch_size": 16,
    "learning_rate": 1e-3,
    "max_steps": 5,
    "save_strategy": "no",
    "log_completions": True,
    "num_completions_to_print": 0,
    "probe": {"task": "tiny_problems", "every": 2, "questions": 6, "n": 2, "temperature": 1.0, "max_tokens": 40},
}
# nothing of the browser's own may ask for the network
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="session")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run of five steps: to be read, not written to."""
    folder = tmp_path_factory.mktemp("real") / "run"
    build_trainer(plan_of({**KEYS, "output_dir": str(folder)}, "here")).train()
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield started
        started.close()
