# make run        the environment if it is not there, then the default run and its tables
# make test       the same environment, then the fast tests
# make test-slow  tests that run the real workflow, train for long or provoke real failures; every
#                 example of the properties, of which `make test` tries a tenth
# make test-slurm tests on a real Slurm that they start on this host (root; Debian's packages)
# make test-gpu   tests on the GPU of this machine
# make test-all   every test
# make check      format, lint, types, floors
# make bundle PYTHON_VERSION=3.12   wheels that a machine with torch alone lacks, in bundle/
# make lock       resolve the versions in the lock files anew
#
# make TORCH_INDEX=https://... PYTHON=python3.12   another build of torch, another interpreter

PYTHON ?= python3
TORCH_INDEX ?=
VENV ?= .venv
BIN := $(VENV)/bin
TORCH := $(shell grep '^torch==' requirements.lock)

.DEFAULT_GOAL := run
.PHONY: run test test-slow test-slurm test-gpu test-all check bundle lock

run: $(VENV)/.run
	@$(BIN)/python -m snakemake --profile profiles/local --quiet rules host

# A process a core; tests of one file stay in one process, in their order, and share its fixtures.
# Their many processes would each compile the code anew if none might keep what it compiled.
SIDE_BY_SIDE := -n auto --dist loadfile
unexport PYTHONDONTWRITEBYTECODE
test: $(VENV)/.dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

SLOW_TESTS ?= tests
# Properties are tried on every example here. Failures of memory, disk and time are provoked alone:
# neighbours would disturb them. Of the files that are chosen, one of the two may hold no test (5).
# Who leaves out the bare machine (--ignore=tests/gpu/test_bundle.py) needs no wheels for it.
test-slow: $(VENV)/.dev $(if $(findstring gpu/test_bundle,$(SLOW_TESTS)),,.wheels/.fetched)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --hypothesis-profile full \
	    -m "(slow or hypothesis) and not faults" $(SLOW_TESTS) || [ $$? = 5 ]
	$(BIN)/python -m pytest -m faults $(SLOW_TESTS) || [ $$? = 5 ]

SLURM_TESTS ?= tests/slurm
test-slurm: $(VENV)/.dev
	$(BIN)/python -m pytest -m slurm $(SLURM_TESTS)

test-gpu: $(VENV)/.dev
	$(BIN)/python -m pytest -m gpu tests/gpu

test-all: $(VENV)/.dev .wheels/.fetched
	$(BIN)/python -m pytest -m ""

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/lint-imports
	$(BIN)/python tests/lint_workflow.py

# What training needs beside what a machine with a GPU has (BARE below). No compiler, no network
# and no rights are needed where they are put on the path:
#   python3 -m pip install --no-index --no-deps --target .site bundle/*.whl
#   export PYTHONPATH=$$PWD/.site:$$PWD
BUNDLED := annotated-types et_xmlfile npTDMS openpyxl pydantic pydantic_core typing_extensions \
    typing-inspection
PYTHON_VERSION ?= 3.12
BUNDLE ?= bundle
pinned = $(foreach name,$(1),$(shell grep -i '^$(name)==' requirements.lock))
bundle: $(VENV)/.run
	rm -rf $(BUNDLE)
	$(BIN)/python -m pip download --quiet --no-deps --only-binary=:all: --dest $(BUNDLE) \
	    --implementation cp --python-version $(PYTHON_VERSION) \
	    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 $(call pinned,$(BUNDLED))

# Wheels for the test of a bare machine: what it has, for this interpreter, and bundles of all.
BARE := h5py matplotlib numpy nvidia-ml-py pandas psutil pyarrow pytorch-lightning rich safetensors \
    scikit-learn scipy torch
.wheels/.fetched: $(VENV)/.run requirements.lock
	$(BIN)/python -m pip download --quiet --only-binary=:all: --dest .wheels/bare \
	    --constraint requirements.lock $(call pinned,$(BARE))
	for version in 3.11 3.12 3.13; do \
	    $(MAKE) --no-print-directory bundle PYTHON_VERSION=$$version BUNDLE=.wheels/$$version; \
	done
	@touch $@

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
