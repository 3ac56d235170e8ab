# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_OUT ?= out/demo

.PHONY: demo test test-slow lint types format benchmark golden calibrate calibrate-shipped calibrate-own

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/pagewalk sweep sweeps/sram_demo.yaml --jobs 2 --out $(DEMO_OUT)
	$(BIN)/pagewalk report $(DEMO_OUT)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# How fast the simulator is, beside what is asked of it.
benchmark: $(STAMP)
	$(BIN)/python benchmarks/bench_run.py

# After a change of the model: show the drift, then keep the new results (say why in the commit).
golden: $(STAMP)
	$(BIN)/python tests/golden/update_golden.py

# Fit a machine to measured kernel times: make calibrate TRUTH=mine.csv HW=h100_sxm [PROFILE=fa3]
HW ?= h100_sxm
CALIBRATE_OUT ?= out/$(or $(PROFILE),$(HW))_calibrated.yaml
calibrate: $(STAMP)
	@test -n "$(TRUTH)" || { echo "TRUTH is not set: make calibrate TRUTH=mine.csv HW=h100_sxm"; exit 2; }
	$(BIN)/pagewalk calibrate $(TRUTH) --hw $(HW) $(if $(PROFILE),--profile $(PROFILE)) --out $(CALIBRATE_OUT)

# Fit all that is shipped as fitted to decode times (half an hour), and copy it into the shipped configs.
calibrate-shipped: $(STAMP)
	@test -n "$(TRUTH)" || { echo "TRUTH is not set: make calibrate-shipped TRUTH=measured.csv"; exit 2; }
	$(BIN)/pagewalk calibrate $(TRUTH) --recipe validation/recipe.yaml --blind --out out/calibration
	$(BIN)/python validation/ship_calibration.py out/calibration
	$(BIN)/pagewalk calibrate $(TRUTH) --recipe validation/prefill.yaml --blind --out out/calibration_prefill
	$(BIN)/python validation/ship_calibration.py out/calibration_prefill

# Fit the profiles of our own measurements to those of H100 (ten minutes), and copy the values into the shipped profiles.
OWN := validation/gpu/h100_sxm-2026-11-26/attention.csv
calibrate-own: $(STAMP)
	$(BIN)/pagewalk calibrate $(OWN) --recipe validation/own.yaml --out out/own
	$(BIN)/python validation/ship_calibration.py out/own
	$(BIN)/pagewalk calibrate $(OWN) --recipe validation/own_prefill.yaml --out out/own_prefill
	$(BIN)/python validation/ship_calibration.py out/own_prefill
