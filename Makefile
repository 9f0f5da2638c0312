# Everything runs in .venv; PYTHON names the interpreter that makes it (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-minimum coverage lint bench bench-peers bench-countings clean

demo: .venv/.demo
	$(BIN)/eventsnn demo

test: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto
	$(UNCOMPILED)

# The kernels as plain Python, which is also how lines of theirs can be counted.
UNCOMPILED := NUMBA_DISABLE_JIT=1 $(BIN)/pytest -n auto -k uncompiled tests/test_kernels_python.py tests/test_transport_compiled.py
coverage: .venv/.test
	$(UNCOMPILED) --cov=eventsnn/engine/kernels --cov-report=term

# The lowest versions that pyproject.toml allows, in an environment of their own, on a quick part of the tests.
# Another Numba keeps its compiled kernels elsewhere: the two would throw each other's away.
QUICK := layout imports api lowest_versions network_file laws run cli convert_layers import_onnx docs
test-minimum: .venv-minimum/.installed
	NUMBA_CACHE_DIR=$(CURDIR)/.venv-minimum/compiled .venv-minimum/bin/pytest -n auto $(QUICK:%=tests/test_%.py)

.venv-minimum/.installed: pyproject.toml constraints-minimum.txt
	$(PYTHON) -m venv .venv-minimum
	.venv-minimum/bin/python -m pip install --quiet --upgrade pip
	.venv-minimum/bin/python -m pip install --quiet --editable '.[torch,onnx,report,images]' pytest pytest-xdist hypothesis --constraint constraints-minimum.txt
	touch $@

constraints-minimum.txt: pyproject.toml tests/lowest_versions.py
	$(PYTHON) tests/lowest_versions.py > $@

lint: .venv/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

# Needs EVENTSNN_DATA; rivals that are not installed are skipped with a reason. BENCH="--quick rivals" narrows it.
bench: .venv/.test
	$(BIN)/python benchmarks/run_all.py $(BENCH)

# The rivals have an environment of their own: some of them hold others' versions back.
bench-peers: .venv-peers/.installed

.venv-peers/.installed: benchmarks/rivals.txt constraints.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --requirement benchmarks/rivals.txt --constraint constraints.txt
	touch $@

# Packages that count operations: one of them wants old versions of what the rivals are.
bench-countings: .venv-countings/.installed

.venv-countings/.installed: benchmarks/countings.txt constraints.txt
	$(PYTHON) -m venv .venv-countings
	.venv-countings/bin/python -m pip install --quiet --requirement benchmarks/countings.txt --constraint constraints.txt
	touch $@

# A stamp per extra: installed again only when what is installed changes.
.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/.demo: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[report]'
	touch $@

.venv/.test: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --editable '.[test]' --constraint constraints.txt
	touch $@

clean:
	rm -rf .venv .venv-minimum .venv-peers .venv-countings benchmarks/cache results.h5 results-full.h5 report.html timeline.json
