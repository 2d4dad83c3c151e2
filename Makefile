# From a fresh clone: `make book` and `make test`, each complete in itself.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin

.PHONY: book pdf test lint clean

book: .venv/installed  ## Execute the chapters and build _build/html/index.html
	$(BIN)/jupyter-book build . --all -W --keep-going

pdf: .venv/installed  ## The same as one PDF, _build/lnqbook.pdf
	$(BIN)/python -m lnqbook.book.pdf

test: .venv/installed  ## Run every test
	$(BIN)/python -m pytest -n auto --dist loadfile --durations 25

lint: .venv/installed  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv _build

.venv/installed: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python is missing; install Python 3.11, 3.12 or 3.13"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) has no venv module; install it: apt install python3-venv on Debian and Ubuntu"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	touch $@
