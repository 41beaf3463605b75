# Every target does its own set-up in .venv: nothing but Python 3.11+ and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-long check up bench docs lock clean

$(STAMP): requirements-dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Countersign needs Python 3.11 or later")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: $(STAMP)            ## the main job on a real PDF: make demo [PDF=file] [KEEP=folder]
	$(BIN)/countersign demo $(if $(PDF),--pdf "$(PDF)") $(if $(KEEP),--keep "$(KEEP)")

test: $(STAMP)            ## the short set, under ten minutes on two cores
	$(BIN)/python -m pytest -n 2

test-long: $(STAMP)       ## the long lists of kills, orders and random walks
	$(BIN)/python -m pytest -m "long or not long" -n 2

check: $(STAMP)           ## what CI runs before the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

up: $(STAMP)              ## everything running, with URLs, a key and three curl lines: make up [PORT=n]
	$(BIN)/countersign up $(if $(PORT),--port "$(PORT)")

bench: $(STAMP)           ## every benchmark, one JSON object each
	$(BIN)/python -m bench

docs: $(STAMP)            ## rewrite the lists in the documents
	$(BIN)/python -m tests.docs.lists

lock:                     ## rewrite the lock files after a change of dependencies
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra dev pyproject.toml build-requirements.in -o requirements-dev.lock

clean:
	rm -rf $(VENV) build dist .countersign
