# `make run` needs nothing but Python 3.11+ and make. Each target installs only when its requirements changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=

.PHONY: run test check properties fuzz bench faults simulate insync format picture clean

run: $(VENV)/.base
	$(BIN)/python -m live.run momentum $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What has to hold of any order, market or account, over examples that nobody has seen before.
properties: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 tests/property --hypothesis-profile=explore $(ARGS)

# Random strategies on every engine and stock Backtrader; ARGS="--strategies 500 --seed 1 --jobs 2".
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.parity.fuzz $(ARGS)

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(ARGS)

# Every fault that docs/reliability.md names, on both venues.
faults: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile $$(grep -o '`tests/[^`]*`' docs/reliability.md | tr -d '`' | sort -u) $(ARGS)

# The order path under seeded faults, on a clock that does not wait; a failing seed is named with the way to replay it.
SEEDS ?= 1000
simulate: $(VENV)/.dev
	$(BIN)/python -m brokers.simulation --seeds $(SEEDS) --jobs 2 $(ARGS)

# IBKR's tests on ib_insync, in an environment of its own: it cannot share one with ib_async.
INSYNC := .venv-insync
insync: $(INSYNC)/.dev
	$(INSYNC)/bin/python -m pytest -p no:cacheprovider tests/unit/brokers/test_ibkr_book.py \
	  tests/contract/test_venue_contract.py tests/integration/test_tws_simulator.py \
	  tests/integration/test_ibkr_faults.py tests/integration/test_ibkr_run.py \
	  tests/integration/test_live_ibkr.py tests/integration/test_feeds_ibkr.py $(ARGS)

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The pictures in the README and in docs/report.md, as a browser and a reader of PDF show them.
picture: $(VENV)/.dev
	PICTURES=docs $(BIN)/python -m pytest tests/browser/test_pictures.py

clean:
	rm -rf $(VENV) $(INSYNC) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Tradewright needs Python 3.11 to 3.13; name one with: make run PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.base: $(VENV)/.python pyproject.toml constraints.txt
	@echo "Installing Tradewright into $(VENV) (a few minutes, once)"
	@$(PIP) install -c constraints.txt -e .
	-@$(BIN)/python -m engine.precompile
	@touch $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml constraints.txt
	@echo "Installing Tradewright and its development tools into $(VENV) (a few minutes, once)"
	@$(PIP) install -c constraints.txt -e ".[dev]"
	-@$(BIN)/python -m engine.precompile
	@touch $@ $(VENV)/.base

$(INSYNC)/.dev: pyproject.toml constraints.txt
	@echo "Installing Tradewright with ib_insync into $(INSYNC) (a few minutes, once)"
	@$(PYTHON) -m venv $(INSYNC)
	@PYTHONWARNINGS=ignore $(INSYNC)/bin/pip --quiet install -c constraints.txt -e ".[ib-insync,dev]"
	@$(INSYNC)/bin/pip --quiet uninstall -y ib_async aeventkit
	@PYTHONWARNINGS=ignore $(INSYNC)/bin/pip --quiet install -c constraints.txt --force-reinstall --no-deps eventkit ib_insync
	@touch $@
