# SPDX-License-Identifier: BSD-2-Clause
# `make demo` and `make test` set up all they need in .venv; nothing is installed outside it.

PYTHON ?= python3
# The tested build of torch. On x86-64 Linux the plain index may offer a CUDA build of several GB:
#   make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu     CPU wheels from PyTorch's index
#   make setup TORCH=torch==2.13.0+cu126 TORCH_INDEX=...            a CUDA build
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

BIN := .venv/bin
STAMP := .venv/twincell-setup

.PHONY: setup demo test test-slow bench-reference bench-area bench-sweep bench-emulator bench-boards bench-learning lint clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt Makefile
	@sh tools/check-machine $(PYTHON)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[sim,fpga,dev]'
	$(BIN)/python -m twincell.warm
	@touch $@

demo: setup
	$(BIN)/twincell demo

test: setup
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow"

test-slow: setup
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: setup
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	sh tools/typecheck

bench-reference: setup
	$(BIN)/python benchmarks/reference.py --write

bench-sweep: setup
	$(BIN)/python benchmarks/sweep.py --write

bench-area: setup
	$(BIN)/python benchmarks/area.py --write

bench-emulator: setup
	$(BIN)/python benchmarks/emulator.py --write

bench-boards: setup
	$(BIN)/python benchmarks/boards.py --write

# Training on devices against plain Adam; needs MNIST below TWINCELL_DATA.
bench-learning: setup
	$(BIN)/python benchmarks/learning.py --write

# Fits the fast model of area: about 15 minutes of a core when build/estimate is empty.
bench-estimate-fit: setup
	$(BIN)/python benchmarks/estimate_calibration.py --write

# Three first layers side by side; needs Fashion-MNIST or MNIST below TWINCELL_DATA.
bench-estimate: setup
	$(BIN)/python benchmarks/estimate_first_layers.py --write

clean:
	rm -rf .venv build
