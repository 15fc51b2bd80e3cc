"""A tiny random model and its tokenizer, for tests that train."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfrl.data.pretrain import build_model
from selfrl.data.tokenizer import build_tokenizer


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an untrained tiny Llama with the packaged model's tokenizer."""
    folder = tmp_path_factory.mktemp("random_model")
    tokenizer = build_tokenizer()
    build_model(len(tokenizer), seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
