# Two commands do it all on a machine with Python 3.11 or later and make: `make demo` and `make test`.
PYTHON ?= python3
DATA ?= ../shared/data
BIN := .venv/bin
# More processes than two cores, for tests wait for servers and programs half of the time.
IN_PARALLEL := -n 3 --dist worksteal
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c deployments/constraints.txt

# Each runs us and the peers on the same data in one process; all of them in some 20 minutes on two cores.
CLAIMS_ON_DATA := rerank_speed embed_speed sparse_retrieval training_speed
CLAIMS := bm25_speed dense_speed search_cache memory_growth start_up

.PHONY: demo install test test-long test-all test-faults test-histories test-soak check lint docs bench bench-nights clean

demo: .venv/installed
	$(BIN)/nightrank demo
	@echo
	@echo "nightrank is in $(BIN); \`source $(BIN)/activate\` puts it on your path."

install: .venv/installed

test: .venv/installed-for-development
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(IN_PARALLEL) -m "not long and not slow and not gpu"

test-long: .venv/installed-for-development
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(IN_PARALLEL) -m "long and not slow and not gpu"

test-all: .venv/installed-for-development
	$(BIN)/python -m pytest

# Hours, on Linux: every file operation and store request of every command that writes fails once, in each way it can.
test-faults: .venv/installed-for-development
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults

# Hours: 300 histories of nights against rebuilds, table by table.
test-histories: .venv/installed-for-development
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(IN_PARALLEL) tests/end_to_end/test_histories.py --histories 300

# An hour: a night each minute while documents change, readers read, and Prefect's server and the worker are killed.
test-soak: .venv/installed-for-development
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak

lint: .venv/installed-for-development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test test-long

docs: .venv/installed-for-docs
	$(BIN)/zensical build --clean --strict

bench: .venv/installed-for-benchmarks
	-for claim in $(CLAIMS_ON_DATA); do $(BIN)/python -m benchmarks.$$claim --small --data $(DATA); done
	-for claim in $(CLAIMS); do $(BIN)/python -m benchmarks.$$claim --small; done
	$(BIN)/python -m benchmarks.results --date "$$(date -u +%Y-%m-%d)"

# Hours: what nights, rerankers, settings and filters come to on whole collections.
bench-nights: .venv/installed-for-development
	$(BIN)/python -m benchmarks.published_figures --data $(DATA)
	$(BIN)/python -m benchmarks.ladder --data $(DATA)
	$(BIN)/python -m benchmarks.reranking --data $(DATA)
	$(BIN)/python -m benchmarks.levers --data $(DATA)
	$(BIN)/python -m benchmarks.filters --data $(DATA)
	$(BIN)/python -m benchmarks.nights --data $(DATA)
	$(BIN)/python -m benchmarks.churn --data $(DATA)
	$(BIN)/python -m benchmarks.chunking_nights --data $(DATA)
	$(BIN)/python -m benchmarks.soak

.venv/installed: pyproject.toml deployments/constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'nightrank needs Python 3.11 or later; set PYTHON=')"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing (some 2 GB, about two minutes) ..."
	$(PIP_INSTALL) -e .
	touch $@

.venv/installed-for-development: .venv/installed
	$(PIP_INSTALL) -e ".[dev]"
	touch $@

.venv/installed-for-docs: .venv/installed
	$(PIP_INSTALL) -e ".[docs]"
	touch $@

.venv/installed-for-benchmarks: .venv/installed-for-development
	$(PIP_INSTALL) -e ".[peers,openvino,sparse]"
	touch $@

clean:
	rm -rf .venv .cache build dist site *.egg-info nightrank-demo
