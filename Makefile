# `make demo` and `make test` do all their own set-up from nothing; see `make help`.
# Needs Python 3.11 or newer. uv is used where it is installed, else venv and pip.

.DEFAULT_GOAL := help
.PHONY: help demo test chaos bench check docs format schemas asyncapi fuzz lock sbom audit clean

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,\
	$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(name))))
UV := $(shell uv --version >/dev/null 2>&1 && echo uv)
# Processes that run tests: more than cores, for many tests wait. ARGS="-n 0" runs them in this one, with pytest's -s and --pdb.
JOBS ?= 3
SOURCES := $(wildcard schemas streams agents tests benchmarks examples)

help: ## show this
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' $(MAKEFILE_LIST) | while read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done

demo: $(VENV)/.demo ## run the whole loop on a real model: drift, retraining, recovery (ARGS="--json" to pass options)
	@$(BIN)/visutility demo $(ARGS)

test: $(VENV)/.dev ## run the tests (ARGS="-k name" to choose; VISUTILITY_REQUIRE_KAFKA=1: no real Kafka is a failure)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

chaos: $(VENV)/.dev ## break workers and a Kafka of its own while records stream, and verify (ARGS="--seed 2 --kills 30")
	$(BIN)/python -m tests.chaos $(ARGS)

bench: $(VENV)/.dev ## measure on a real Kafka, beside other stream processors (more than an hour; ARGS="all --share 0.02 --rounds 1": 10 minutes)
	$(BIN)/python -m benchmarks $(or $(ARGS),all)

check: $(VENV)/.dev ## lint, format, types, layers of imports
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy --strict $(SOURCES)
	$(BIN)/lint-imports

docs: $(VENV)/.dev ## build the documentation as a site in build/site; a warning fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(VENV)/.dev ## format the code and mend what the linter can
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

schemas: $(VENV)/.dev ## write docs/schemas of this version anew, after a change of the messages
	$(BIN)/visutility schemas export docs/schemas/$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

asyncapi: ## hold docs/schemas to AsyncAPI's official parser, which this fetches (needs Node.js and npm)
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(VENV)/asyncapi @asyncapi/parser@3.6.3
	for file in docs/schemas/*/asyncapi.json; do \
		node tests/schemas/asyncapi_parser.mjs $(abspath $(VENV))/asyncapi/node_modules/@asyncapi/parser "$$file" || exit 1; done

fuzz: $(VENV)/.dev ## give everything that decodes values near valid ones (ARGS="--inputs 10000000 --seed 2")
	$(BIN)/python -m tests.fuzz $(ARGS)

lock: ## after a change of dependencies: write uv.lock and requirements/ anew (needs uv)
	uv lock
	uv export -q --frozen --no-header --no-annotate --no-emit-project --no-default-groups --extra demo --extra dashboard -o requirements/demo.txt
	uv export -q --frozen --no-header --no-annotate --no-emit-project --no-default-groups --extra dashboard -o requirements/worker.txt
	uv export -q --frozen --no-header --no-annotate --no-emit-project --all-groups --all-extras -o requirements/dev.txt

sbom: ## what the image holds, with licences, as CycloneDX: build/sbom.cdx.json (needs uv; SET=worker: the smaller image)
	rm -rf build/sbom && uv venv -q --python '>=3.11' build/sbom
	uv pip install -q --python build/sbom/bin/python --require-hashes -r requirements/$(or $(SET),demo).txt
	uvx -q --from cyclonedx-bom==7.5.0 cyclonedx-py environment build/sbom/bin/python --pyproject pyproject.toml \
		--mc-type application --output-reproducible -o build/sbom.cdx.json

audit: ## known vulnerabilities of all that is locked (needs uv, and the network; ARGS="--vulnerability-service osv")
	uvx -q --from pip-audit==2.10.1 pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements/dev.txt $(ARGS)

clean: ## remove the environment, caches and what the demo left
	rm -rf $(VENV) .visutility build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
ifeq ($(UV),uv)
	@uv venv --quiet --allow-existing --python '>=3.11' $(VENV)
else ifeq ($(PYTHON),)
	@echo "VisuTility Streams needs Python 3.11 or newer; found: $$(python3 --version 2>&1 || true)" >&2
	@echo "Install one (Debian, Ubuntu: apt install python3.11 python3.11-venv), or uv, or name one: make PYTHON=/path/to/python3.11" >&2
	@exit 1
else
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "VisuTility Streams needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: its venv module is a package of its own here" >&2; \
		echo "Install it (Debian, Ubuntu: apt install python3-venv), or install uv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
endif

# The locked set by hash, then this checkout, editable. The stamp is as new as the lock file it was made from.
$(VENV)/.%: requirements/%.txt pyproject.toml | $(BIN)/python
	@echo "Installing what requirements/$*.txt locks into $(VENV); this takes a minute, once" >&2
ifeq ($(UV),uv)
	@uv pip install --quiet --python $(BIN)/python --require-hashes -r $<
	@uv pip install --quiet --python $(BIN)/python --no-deps -e .
else
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
endif
	@touch $@
