# Everything a newcomer needs: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := guard watermark provenance generator policies service
# One thread per test process: they share the machine's cores without fighting over them. Compiled modules are
# kept, whatever the machine's setting: services and commands that tests start load in a fifth less time.
TEST_ENV := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 PYTHONDONTWRITEBYTECODE=
TESTS := $(TEST_ENV) $(BIN)/pytest -n 3 --dist loadgroup --no-loadscope-reorder

.PHONY: install lint types check coverage test demo bench wheel lock clean

install: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Assay needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip --disable-pip-version-check install --quiet --no-deps -r requirements.lock
	$(BIN)/pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation -e .
	@touch $@

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

check: install
	$(TESTS)

# The same tests, traced: a fifth longer.
coverage: install
	$(BIN)/coverage erase
	$(TESTS) --cov --cov-report=term

# Side by side: the checker of types runs on one processor, and tests wait in places.
test: install
	$(MAKE) --jobs=2 lint types check

demo: install
	$(BIN)/python -m demo

bench: install
	$(BIN)/python -m bench.watermark --quick --media demo/out --out bench/out

wheel: install
	$(BIN)/python -m hatchling build -t wheel

lock: install
	scripts/lock.sh --upgrade

clean:
	rm -rf build dist bench/out demo/out demo/report.html demo/report.json .coverage*
