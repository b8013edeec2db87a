# Everything runs from .venv, which needs only python3 with venv, and make. `make` alone lists the verbs.
PYTHON ?= python3
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# Workers of `make test`: "auto" is one per core.
JOBS ?= auto
PYTEST_ARGS ?=
# Images of `make crash-points`; `make test` looks at 20,000.
IMAGES ?= 300000
# Seeds of `make simulate`.
SEEDS ?= 1000
# Two makes at once wait for each other where flock exists; the second then finds nothing left to do.
LOCK := $(if $(shell command -v flock 2>/dev/null),flock .make.lock,)
# uv does not read pip's settings: a machine whose pip asks a mirror must have uv ask it too.
INDEX = $$($(BIN)/pip config get global.index-url 2>/dev/null || true)
WITH_INDEX = index="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$(INDEX)}}"; [ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"

# As pip does, uv shall trust the certificates this machine trusts.
export UV_SYSTEM_CERTS := 1

.DEFAULT_GOAL := help
.PHONY: help venv demo test simulate check fmt crash-points bench docs backtest-page lock clean

help: ## list these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: venv ## margin the shipped book and show every account's standing
	@$(BIN)/crossmargin demo

test: venv ## run the tests (JOBS=4, PYTEST_ARGS="-k haircut")
	$(BIN)/python -m pytest -n $(JOBS) -rs $(PYTEST_ARGS)

simulate: venv ## run seeded houses under faults (SEEDS=10000, SECONDS_MAX=300 instead of a number)
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(if $(SECONDS_MAX),--seconds $(SECONDS_MAX))

check: venv ## formatting, lint, types and the floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: venv ## rewrite the files as `make check` wants them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

crash-points: venv ## crash journals after every I/O (IMAGES=300000) and flip every bit of one; minutes
	$(BIN)/python -m tests.storage.crash_points $(IMAGES)
	$(BIN)/python -m tests.storage.flips

bench: venv ## time every path of benchmarks/ on this machine
	$(BIN)/python -m benchmarks

docs: venv ## build the documentation into site/, offline
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

backtest-page: venv ## backtest the shipped defaults and write docs/explanation/backtest.md (needs the market data)
	$(BIN)/python -m tools.backtest_defaults

lock: $(UV) ## resolve pyproject.toml anew into requirements.lock
	@$(WITH_INDEX); $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --upgrade \
	    --custom-compile-command "make lock" --group dev --output-file requirements.lock pyproject.toml
	@! grep -n '://' requirements.lock

clean: ## remove the environment, caches and what was built
	rm -rf $(VENV) .make.lock .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis site dist build
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@$(LOCK) $(MAKE) --silent --no-print-directory $(VENV)/.installed

$(UV): Makefile
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV)/.synced: requirements.lock $(UV)
	@$(WITH_INDEX); $(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.synced
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
