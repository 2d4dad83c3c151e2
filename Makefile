# From a fresh clone with Python 3.11: `make book` and `make test`, each complete in itself.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: book test lint clean

book: .venv/installed  ## Execute the chapters and build _build/html/index.html
	$(BIN)/jupyter-book build . --all -W --keep-going

test: .venv/installed  ## Run every test
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv _build

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	touch $@
