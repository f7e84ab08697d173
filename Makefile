# Sets itself up: needs Python 3.11-3.13 with pip, nothing else.

PYTHON ?= python3
JOBS ?= 2
DEMO_ARGS ?=

VENV := .venv
WITHOUT_TF := .venv-jax
BARE := .venv-bare
ENVIRONMENTS := $(VENV) $(WITHOUT_TF) $(BARE)

PROJECT := pyproject.toml setup.py
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
PYTEST := -m pytest -q
ON_ANY_BACKEND := tests/workflows/test_any_backend.py
ON_EVERY_BACKEND := tests/test_backend.py tests/laws tests/layers $(ON_ANY_BACKEND) \
  tests/workflows/test_full_rank_conversion.py tests/workflows/test_nasty_models.py
TORCH_PEERS := tensorly-torch tednet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test lint format package without-tensorflow jax torch suite venv clean

help:  ## Lists what make can do here.
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*##/\t/' | expand -t 24
	@echo "New environments are made with PYTHON, now $(PYTHON)."

demo: $(VENV)/.installed-demo  ## Compresses a network on MNIST (arguments: DEMO_ARGS).
	$(VENV)/bin/tensornet demo $(DEMO_ARGS)

test: lint package without-tensorflow jax torch suite  ## Everything CI checks.
	@[ -e $(VENV)/.installed-torch ] || .ci/say_no_torch

lint: $(VENV)/.installed-test  ## Style, format and import contracts.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache

format: $(VENV)/.installed-test  ## Rewrites the code in the project's format.
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

package: $(VENV)/.installed-test $(BARE)/bin/python  ## Wheel and sdist, built and tried.
	.ci/try_packages $(VENV)/bin/python $(BARE)/bin/python

without-tensorflow: $(WITHOUT_TF)/.installed  ## A run on JAX with no TensorFlow.
	! $(WITHOUT_TF)/bin/python -c 'import tensorflow' 2> /dev/null
	KERAS_BACKEND=jax $(WITHOUT_TF)/bin/python $(PYTEST) $(ON_ANY_BACKEND)

jax: $(VENV)/.installed-test  ## The laws and the layers' tests on JAX.
	KERAS_BACKEND=jax $(VENV)/bin/python $(PYTEST) -n $(JOBS) $(ON_EVERY_BACKEND)

# PyTorch is taken where a build for the CPU is at hand: the other builds bring
# gigabytes of drivers. Without one this leg is left out, but never in CI.
# The peers are compared with ours in size and value, here and in the suite.
torch: $(VENV)/.installed-test  ## The laws and the layers' tests on PyTorch.
	@{ [ $(VENV)/.installed-torch -nt .ci/constraints.txt ] \
	   && [ $(VENV)/.installed-torch -nt Makefile ]; } \
	|| { $(VENV)/bin/python $(PIP_INSTALL) -c .ci/constraints.txt \
	       -e '.[torch]' $(TORCH_PEERS) \
	     && touch $(VENV)/.installed-torch; } \
	|| { rm -f $(VENV)/.installed-torch; .ci/say_no_torch; }
	@[ ! -e $(VENV)/.installed-torch ] \
	|| KERAS_BACKEND=torch $(VENV)/bin/python $(PYTEST) -n $(JOBS) \
	  $(ON_EVERY_BACKEND) tests/experiments/test_peers.py

suite: $(VENV)/.installed-test  ## Every test, on TensorFlow.
	KERAS_BACKEND=tensorflow $(VENV)/bin/python $(PYTEST) -n $(JOBS)

venv: $(VENV)/bin/python  ## The environment alone, with nothing installed.

clean:  ## Removes environments, builds and caches.
	rm -rf $(ENVIRONMENTS) build dist *.egg-info demo_output
	rm -rf .hypothesis .import_linter_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments are made once and refreshed when the project's settings change.

$(ENVIRONMENTS:%=%/bin/python): %/bin/python:
	@$(PYTHON) .ci/check_python.py
	$(PYTHON) -m venv $* || { \
	  $(PYTHON) -m venv --clear --without-pip $* \
	  && $(PYTHON) -m pip --python $@ install --quiet pip; }

$(VENV)/.installed-demo: $(PROJECT) | $(VENV)/bin/python
	$(VENV)/bin/python $(PIP_INSTALL) -e '.[demo,litert,onnx]'
	@touch $@

$(VENV)/.installed-test: $(PROJECT) | $(VENV)/bin/python
	$(VENV)/bin/python $(PIP_INSTALL) -e '.[test]'
	@touch $@

$(WITHOUT_TF)/.installed: $(PROJECT) | $(WITHOUT_TF)/bin/python
	$(WITHOUT_TF)/bin/python .ci/dependencies.py --without tensorflow > $(WITHOUT_TF)/requirements.txt
	$(WITHOUT_TF)/bin/python $(PIP_INSTALL) -r $(WITHOUT_TF)/requirements.txt \
	  jax pytest pytest-timeout hypothesis
	$(WITHOUT_TF)/bin/python $(PIP_INSTALL) --no-deps -e .
	@touch $@
