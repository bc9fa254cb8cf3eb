# make demo         set up and play a sample call (ONCE=1: end after it)
# make test         set up, check style and types, run the tests (REQUIRE_ALL=1: no test may be skipped;
#                   JOBS=1: one after the other)
# make bench        measure (docs/performance.md)
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 3
BIN := $(VENV)/bin

.PHONY: demo test style types bench clean

demo: $(VENV)/.demo
	$(BIN)/voicegw demo $(if $(ONCE),--once)

# Files of tests side by side, as many wait for calls in real time; behind them those that want the machine alone.
test: style types
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not alone"
	$(BIN)/python -m pytest -m alone

style: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/voicegw bench

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "voicegw needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "venv is missing: apt-get install python3-venv (Debian, Ubuntu)"; rm -rf $(VENV); exit 1; }

$(VENV)/.demo: $(BIN)/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded]'
	@touch $@

$(VENV)/.dev: $(BIN)/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,dev]'
	@touch $@ $(VENV)/.demo
