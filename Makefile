# make demo      train on real data and write demo_output/report.html
# make demo-plant  simulate a water plant, attack it, detect; writes demo_output/plant.html
# make test      the test suite (under 15 minutes, two processes of one thread each)
# make test-all  with the slow statistical and real-data tests
# make lint      ruff, formatting and types
# Everything is installed into .venv first; PYTHON chooses the interpreter (3.11 or later).

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

export OMP_NUM_THREADS = 1
export MKL_NUM_THREADS = 1

.PHONY: demo demo-plant test test-all lint clean

demo: $(INSTALLED)
	$(BIN)/python -W ignore benchmarks/demo.py

demo-plant: $(INSTALLED)
	$(BIN)/python -W ignore benchmarks/demo_plant.py

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-all: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# torch comes first and alone: asked for by a range, or by another package, pip takes a newer build with CUDA
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tsgen needs Python 3.11 or later: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev,plant]'
	touch $@

clean:
	rm -rf .venv demo_output .pytest_cache .mypy_cache .ruff_cache
