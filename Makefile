# make run        the environment if it is not there, then the default run and its tables
# make test       the same environment, then the fast tests
# make test-slow  tests that run the real workflow or provoke real failures
# make test-slurm tests on a real Slurm that they start on this host (root; Debian's packages)
# make test-all   every test
# make check      format, lint, types, floors
# make lock       resolve the versions in the lock files anew
#
# make TORCH_INDEX=https://... PYTHON=python3.12   another build of torch, another interpreter

PYTHON ?= python3
TORCH_INDEX ?=
VENV ?= .venv
BIN := $(VENV)/bin
TORCH := $(shell grep '^torch==' requirements.lock)

.DEFAULT_GOAL := run
.PHONY: run test test-slow test-slurm test-all check lock

run: $(VENV)/.run
	@$(BIN)/python -m snakemake --profile profiles/local --quiet rules host

test: $(VENV)/.dev
	$(BIN)/python -m pytest

SLOW_TESTS ?= tests
test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m "slow or faults" $(SLOW_TESTS)

SLURM_TESTS ?= tests/slurm
test-slurm: $(VENV)/.dev
	$(BIN)/python -m pytest -m slurm $(SLURM_TESTS)

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -m ""

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/lint-imports
	$(BIN)/python tests/lint_workflow.py

lock:
	rm -rf .lock && $(PYTHON) -m venv .lock
	.lock/bin/python -m pip install --quiet --upgrade pip
	.lock/bin/python -m pip install --quiet $(TORCH) .
	.lock/bin/python -m pip freeze --exclude vibration-workflow | sed 's/+cpu$$//' > requirements.lock
	.lock/bin/python -m pip install --quiet $(TORCH) '.[dev]'
	.lock/bin/python -m pip freeze --exclude vibration-workflow | sed 's/+cpu$$//' \
	    | grep -vxFf requirements.lock > requirements-dev.lock
	rm -rf .lock

# Torch first, where it comes from an index of its own (a build for another CUDA).
$(VENV)/.run: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet --index-url $(TORCH_INDEX) $(TORCH))
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(BIN)/python -m pip install --quiet -r requirements-dev.lock
	@touch $@
