# `make demo` and `make test` do all their own set-up; it is repeated only when the pins or pyproject.toml change.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTEST := -m pytest -n 2 --dist worksteal
SET_UP_NEEDS := pyproject.toml constraints-uv.txt tools/set_up.sh

.PHONY: help demo test test-pages test-slices golden check format test-all-pythons test-floors conformance prove bench bench-envs constraints clean
.PHONY: bytecode check-style check-types check-layers check-pages check-house
.PRECIOUS: .venv-3.%/.ready-to-develop

help: ## list the targets
	@sed -nE 's/^([a-z.%-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 20

# --- environments -------------------------------------------------------------------------------------------------

$(VENV)/.ready-to-run: constraints.txt $(SET_UP_NEEDS)
	@tools/set_up.sh $(VENV) constraints.txt
	@touch $@

$(VENV)/.ready-to-develop: constraints-dev.txt $(SET_UP_NEEDS)
	@tools/set_up.sh $(VENV) constraints-dev.txt
	@touch $@ $(VENV)/.ready-to-run

.venv-3.%/.ready-to-develop: constraints-dev.txt $(SET_UP_NEEDS)
	@tools/set_up.sh .venv-3.$* constraints-dev.txt 3.$*
	@touch $@

.venv-floors/.ready-to-develop: constraints-floors.txt $(SET_UP_NEEDS)
	@tools/set_up.sh .venv-floors constraints-floors.txt 3.11
	@touch $@

# The environment may forbid Python to write bytecode, so that an edited module would be compiled at every start.
bytecode: | $(VENV)/.ready-to-run
	@$(BIN)/python -m compileall -q src

constraints: $(VENV)/.ready-to-develop ## resolve the pins again (UPGRADE=1: to the newest releases)
	tools/make_constraints.sh $(if $(UPGRADE),--upgrade)

# --- the main job -------------------------------------------------------------------------------------------------

CUSTOMERS := examples/churn/data/customers.csv

$(CUSTOMERS): examples/churn/churn/generate.py | $(VENV)/.ready-to-run
	@echo "demo: making up $@" >&2
	@cd examples/churn && ../../$(BIN)/python -m churn.generate

demo: $(VENV)/.ready-to-run bytecode $(CUSTOMERS) ## run the example pipeline: raw customer data in, a packaged model and its report out
	@$(BIN)/headrace run examples/churn/churn/pipeline.py:churn

# --- tests --------------------------------------------------------------------------------------------------------

test: $(VENV)/.ready-to-develop bytecode ## the tests (minutes)
	@$(BIN)/python $(PYTEST) --ignore=tests/prove

test-slices: $(VENV)/.ready-to-develop bytecode ## seeded slices of the long tests: kills, mutations, streams
	@$(BIN)/python $(PYTEST) tests/prove

test-pages: $(VENV)/.ready-to-develop bytecode ## the code of the docs' pages
	@$(BIN)/python $(PYTEST) -m pages tests/test_docs.py

golden: $(VENV)/.ready-to-develop ## write the backends' golden files again, to be looked at
	@GOLDEN=1 $(BIN)/python -m pytest -q tests/backends -k golden

test-3.%: .venv-3.%/.ready-to-develop
	@.venv-3.$*/bin/python $(PYTEST) $(TESTS)

test-all-pythons: test-3.11 test-3.12 test-3.13 ## the tests on each supported Python, each in an environment of its own

test-floors: .venv-floors/.ready-to-develop ## the tests with the oldest dependencies that pyproject.toml admits
	@.venv-floors/bin/python $(PYTEST)

conformance: $(VENV)/.ready-to-develop bytecode ## the cases on the real orchestrators (HEADRACE_ENGINES=airflow,prefect: on these)
	@$(BIN)/python -m pytest -m conformance -p no:randomly tests/conformance tests/backends

# A case of each kind, on each engine, within minutes: a chain, a skip and a rejection, a failure, a map.
SLICE := test_chain or says_no or skips_what_hangs or permanent_failure or (test_map and not over)

conformance-slice: $(VENV)/.ready-to-develop bytecode ## some of these cases, within minutes
	@HEADRACE_ENGINES=$${HEADRACE_ENGINES:-airflow,dagster,kubeflow,prefect} \
	    $(BIN)/python -m pytest -m conformance -p no:randomly tests/conformance/test_cases.py -k '$(SLICE)'

prove: $(VENV)/.ready-to-develop bytecode ## the long tests: mutation corpus, kills, buckets, sweeps, same bytes, Great Expectations
	@$(BIN)/python -m pytest -m prove

# --- checks -------------------------------------------------------------------------------------------------------

check: check-style check-types check-layers check-pages check-house ## style, types, layers, links, house rules

check-style: $(VENV)/.ready-to-develop
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/ruff format --check --quiet .

check-types: $(VENV)/.ready-to-develop
	@$(BIN)/mypy src tools benchmarks/*.py
	@cd examples/churn && ../../$(BIN)/mypy --config-file ../../pyproject.toml .
	@$(BIN)/python tools/docs_code.py types

check-layers: $(VENV)/.ready-to-develop
	@$(BIN)/lint-imports --no-logo

check-pages: $(VENV)/.ready-to-develop
	@$(BIN)/python tools/check_links.py
	@$(BIN)/python tools/backends_page.py --check
	@$(BIN)/python tools/great_expectations_page.py --check

check-house: $(VENV)/.ready-to-develop
	@$(BIN)/python tools/check_house.py

format: $(VENV)/.ready-to-develop ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# --- benchmarks ---------------------------------------------------------------------------------------------------

bench-envs: $(VENV)/.ready-to-develop ## one environment for each peer, under benchmarks/.envs
	@$(BIN)/python benchmarks/environments.py

bench: bench-envs bytecode $(CUSTOMERS) ## measure Headrace beside its peers; writes benchmarks/RESULTS.md
	@$(BIN)/python benchmarks/run.py

clean: ## remove what make made (environments, caches, the example's store)
	rm -rf .venv .venv-* .engines benchmarks/.envs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache examples/*/.headrace $(CUSTOMERS)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
