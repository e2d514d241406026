# make setup · demo · test · check · bench · run · clean — on a machine with Python 3.11, pip and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
ARGS ?=

# Tests begin hundreds of processes: each would compile every module anew (3 of 6 seconds) where a container says so.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test check bench run lock clean
.DEFAULT_GOAL := setup

setup: .venv/.installed

# pip brings uv (by hash), uv brings the rest (by hash); the project itself is installed editable, without a network.
.venv/.installed: pyproject.toml requirements/bootstrap.txt requirements/dev.txt
	@echo "Setting up .venv (half a minute the first time)" >&2
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/bdnews demo $(ARGS)

# Four files at a time: most of the time a test waits for a process, a lease, a browser.
test: setup
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup
	$(BIN)/ruff format --check src tests deploy
	$(BIN)/ruff check src tests deploy
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m tests.benchmarks $(ARGS)

run: setup
	$(BIN)/bdnews serve $(ARGS)

# Choose newer versions: no index address is written, only names, versions and hashes.
lock: setup
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --upgrade --no-header requirements/bootstrap.in -o requirements/bootstrap.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --upgrade --no-header pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --upgrade --no-header --extra traces --group dev pyproject.toml -o requirements/dev.txt

clean:
	rm -rf .venv var build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
