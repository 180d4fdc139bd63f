# Each target works on a fresh clone with Python >= 3.11, make and git alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: help demo test check fuzz lint format report real docs bench peers notebooks trial dist sbom audit install install-dev clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

demo: $(VENV)/.installed  ## simulate a flood, map it, publish it under demo/events
	@$(BIN)/overbank demo --out demo

test: $(VENV)/.installed-dev  ## every test that needs no internet; the same order and the same examples each time
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

check: $(VENV)/.installed-dev  ## the fast tests alone
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow" $(PYTEST_ARGS)

SEEDS ?= 20
fuzz: $(VENV)/.installed-dev  ## the fast unit tests in SEEDS new orders with new examples (PYTEST_ARGS="-m hypothesis": the properties alone)
	@failed=; for seed in $$($(BIN)/python -c 'import random; print(*random.SystemRandom().sample(range(2**32), $(SEEDS)))'); do \
	  echo "seed $$seed"; \
	  $(BIN)/python -m pytest -n 2 --dist loadgroup -q -m "not slow" --hypothesis-profile fuzz \
	    --hypothesis-seed $$seed --randomly-seed $$seed tests/unit $(PYTEST_ARGS) || failed="$$failed $$seed"; \
	done; if [ -n "$$failed" ]; then echo "seeds that failed:$$failed" >&2; exit 1; fi

lint: $(VENV)/.installed-dev  ## format, style, layers, dead code, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/mypy

format: $(VENV)/.installed-dev  ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

report: $(VENV)/.installed-dev  ## every detector on every labelled set, side by side: docs/reference/comparison.html
	$(BIN)/python benchmarks/report.py --fresh --docs $(REPORT_ARGS)

real: $(VENV)/.installed-dev  ## the protocol on real radar: detectors and networks on events nothing was learned from (REAL_ARGS)
	$(BIN)/python benchmarks/real.py $(REAL_ARGS)

docs: $(VENV)/.installed-dev  ## the documentation as a site under site/; a broken link is an error
	PYTHONPATH=. $(BIN)/python docs/site/stage.py build/docs
	$(BIN)/zensical build --strict
	@echo "read it: $(BIN)/python -m http.server --directory site --bind 127.0.0.1 8001"

bench: $(VENV)/.installed-dev  ## every benchmark, one report: docs/benchmarks.md (BENCH_ARGS="--quick" or "--minutes 25 --resume")
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

peers:  ## the peers' detectors in an environment of their own, for bench and report
	@test -x build/peers/bin/python || $(PYTHON) -m venv build/peers
	build/peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers/requirements.txt
	build/peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers/requirements-peers.txt

notebooks: $(VENV)/.installed-dev  ## run the example notebooks anew; OVERBANK_REAL_DATA is the folder of real chips
	$(BIN)/python docs/site/notebooks.py execute

VERSIONS ?= pinned
trial:  ## the wheel in a clean environment with VERSIONS = pinned, newest or lowest declared
	.ci/trial $(VERSIONS)

dist: $(VENV)/.installed-dev  ## wheel and source distribution under dist/
	$(BIN)/python -m build --outdir dist .

sbom: $(VENV)/.installed  ## what is installed with the command, as CycloneDX, under dist/
	@mkdir -p dist
	@test -x build/sbom/bin/cyclonedx-py || $(PYTHON) -m venv build/sbom
	@build/sbom/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt cyclonedx-bom
	build/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o dist/overbank.cdx.json $(VENV)

audit: $(VENV)/.installed-dev  ## known vulnerabilities of the pinned versions; asks the advisory database, an error where it does not answer
	$(BIN)/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

install: $(VENV)/.installed  ## the command and what it needs, into .venv
install-dev: $(VENV)/.installed-dev  ## the same with the tools of development

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "installing into $(VENV) (some minutes, once)"
	@$(PYTHON) -c 'import sys; sys.exit("overbank needs Python >= 3.11, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) --upgrade pip
	@$(INSTALL) --editable '.[fast]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(INSTALL) --group dev
	@touch $@

clean:  ## remove what the targets made
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build site
