# What there is to do here; `make help` lists it. Every tool comes from .venv, which `make setup` makes.
.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-unit test-lab test-e2e lint format lock messages bench clean
MAKEFLAGS += --no-print-directory

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with everything pinned; at once when nothing changed
	@.ci/setup

run: setup ## Dockrev on this machine's Docker engine; the sandbox where there is none
	@.ci/serve

demo: setup ## always the sandbox: an engine, a registry and four stacks of its own
	@.ci/serve --sandbox

test: setup ## the whole suite; brings up lab and Chromium itself
	@.venv/bin/python -m tests.suite unit lab e2e

test-unit: setup ## what needs neither engine nor browser
	@.venv/bin/python -m tests.suite unit

test-lab: setup ## the tests on a real engine, registry and Compose
	@.venv/bin/python -m tests.suite lab

test-e2e: setup ## the journeys in Chromium
	@.venv/bin/python -m tests.suite e2e

lint: setup ## ruff, mypy --strict, import-linter, djlint
	@.ci/lint

format: setup ## let ruff put the Python files into shape
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format .

lock: setup ## renew the lock files from pyproject.toml
	@.ci/lock

messages: setup ## renew the catalogues in app/languages from the texts, and tell what is not translated
	@.venv/bin/python .ci/messages

bench: setup ## measure, and write the figures into the README
	@.venv/bin/python -m tests.bench

clean: ## remove .venv, caches and the lab's packages; never data/
	rm -rf .venv .lab build e2e/output .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
