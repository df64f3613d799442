# make run    the environment if it is not there, then the default run and its tables
# make test   the same environment, then the fast tests
# make check  format, lint, types, floors, schemas
#
# make TORCH_INDEX=https://... PYTHON=python3.12   another build of torch, another interpreter

PYTHON ?= python3
TORCH_INDEX ?=
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := run
.PHONY: run test test-all check env dev lock

run: env
	@$(BIN)/python -m snakemake --profile profiles/local --quiet rules

test: dev
	$(BIN)/python -m pytest

test-all: dev
	$(BIN)/python -m pytest -m ""

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check --quiet Snakefile rules
	$(BIN)/lint-imports
	$(BIN)/python tests/lint_workflow.py

env: $(VENV)/.run
dev: $(VENV)/.dev

$(VENV)/.run: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(BIN)/python -m pip install --quiet -r requirements-dev.lock
	@touch $@
