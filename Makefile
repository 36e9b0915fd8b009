# Thin: every target is one or two commands that also work by hand inside .venv.
PYTHON ?= python3
VENV ?= .venv
CORES ?= all
CONFIG ?= config/config.yaml
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint envs/lock.txt
WORKFLOW := $(BIN)/snakemake --cores $(CORES) --configfile $(CONFIG)
RESULTS := results/$(shell sed -n 's/^experiment: *//p' $(CONFIG))
REPORT := $(RESULTS)/report.html

.PHONY: help setup setup-dev demo report test lint format docs gallery lock

help: ## What each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.installed ## Create .venv with the pinned requirements

setup-dev: $(VENV)/.installed-dev ## The same, with what tests and lint need

$(VENV)/.installed: envs/requirements.txt envs/lock.txt | $(BIN)/python
	@echo "installing the packages (two to three minutes the first time)"
	$(INSTALL) --requirement envs/requirements.txt
	@touch $@

$(VENV)/.installed-dev: envs/requirements-dev.txt $(VENV)/.installed
	$(INSTALL) --requirement envs/requirements-dev.txt
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

demo: setup ## The whole study on the embedded model, with report and summary
	@$(WORKFLOW)
	@$(MAKE) --no-print-directory report
	@cat $(RESULTS)/summary.md
	@echo; echo "report: $(REPORT)"

report: setup $(REPORT) ## One HTML file with every figure and table of CONFIG's results

$(REPORT): $(wildcard $(RESULTS)/*.csv $(RESULTS)/summary.md $(RESULTS)/figures/*/*/*.png)
	@$(WORKFLOW) --report $@

test: setup-dev ## Unit, parity and workflow tests
	$(BIN)/python -m pytest

lint: setup-dev ## Every static check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

format: setup-dev ## Rewrite the sources in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

docs: setup ## Rewrite what is generated: schema, configuration reference, conda environment
	$(BIN)/python docs/generate.py

gallery: setup ## Put the demo's figure and numbers into the README
	$(BIN)/python docs/gallery.py

lock: setup-dev ## Rewrite envs/lock.txt from what is installed
	@(echo "# Everything that requirements-dev.txt pulls, made by \`make lock\`; used as constraints."; \
	$(BIN)/python -m pip freeze --exclude torch) > envs/lock.txt
