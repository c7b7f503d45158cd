# `make demo` and `make test` work from a fresh clone: each makes .venv and installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml requirements.txt CMakeLists.txt README.md $(shell find csrc python -type f ! -name '*.pyc')

.PHONY: demo test bench check format clean

demo: $(VENV)/.installed
	$(BIN)/fastrenyi demo --out demo $(DEMO)

test: $(VENV)/.installed
	$(BIN)/python -m pytest $(TEST)

bench: $(VENV)/.installed
	$(BIN)/fastrenyi bench $(BENCH)

check: $(VENV)/.checkers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	git ls-files 'csrc/*.cpp' 'csrc/*.hpp' | xargs $(BIN)/clang-format --dry-run --Werror

format: $(VENV)/.checkers
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	git ls-files 'csrc/*.cpp' 'csrc/*.hpp' | xargs $(BIN)/clang-format -i

$(VENV)/.installed: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -r requirements.txt '.[test]'
	touch $@

$(VENV)/.checkers: $(VENV)/.installed
	$(BIN)/pip install --quiet '.[check]'
	touch $@

clean:
	rm -rf $(VENV) build dist
