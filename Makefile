# Every target sets itself up: Python 3.11 or 3.12, make and pip are all it needs. `make` alone lists the targets.
# Another interpreter: make PYTHON=/path/to/python3.12 test

SHELL := /bin/sh
PYTHON ?=
BIN := .venv/bin
READY := .venv/.plantsync-ready

.DEFAULT_GOAL := help
.PHONY: help demo test torture fuzz check bench bench-peers format lock check-format check-lint check-types check-imports check-contracts check-streams check-dictionary check-docs

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Made anew when the lock, the project's metadata or the way it is set up changes.
$(READY): requirements.lock pyproject.toml bin/environment hatch_build.py $(wildcard canonical/decoders/*.[ch] dataflows/sources/*.c)
	@PYTHON='$(PYTHON)' bin/environment
	@touch $@

demo: $(READY) ## Simulate five plants, crash and restart the flows, show what reached the ERP and the store
	@$(BIN)/plantsync demo

test: $(READY) ## Run every test
	@echo "test: every test, with pytest"
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

torture: $(READY) ## A thousand kills, 50,000 simulated crash schedules, every broker and network fault: half an hour
	@echo "torture: simulated crashes, over the policies of the shipped plants"
	@$(BIN)/plantsync simulate --prove --seeds 50000 --jobs 2
	@echo "torture: processes killed with SIGKILL"
	@$(BIN)/python -m tests.torture --kills 1000 --kafka
	@echo "torture: brokers killed, networks spoilt"
	@PLANTSYNC_TORTURE=1 $(BIN)/python -m pytest -s tests/faults

fuzz: $(READY) ## A million mutated messages through every decoder and the whole path: some minutes
	@echo "fuzz: mutated messages"
	@$(BIN)/python -m tests.fuzz --messages 1000000 --jobs 2

check: check-format check-lint check-types check-imports check-contracts check-streams check-dictionary check-docs ## Run every check below
	@echo "check: all passed"

check-format: $(READY) ## Is the code formatted?
	@echo "check-format: the layout of the code, with ruff"
	@$(BIN)/ruff format --check --quiet .

check-lint: $(READY) ## Are the rules of pyproject.toml kept?
	@echo "check-lint: the rules in pyproject.toml, with ruff"
	@$(BIN)/ruff check --quiet .

check-types: $(READY) ## Do the types fit?
	@echo "check-types: the types of the packages and benchmarks, with mypy --strict"
	@$(BIN)/mypy --no-error-summary

check-imports: $(READY) ## Does each room import only what it may?
	@echo "check-imports: who may import whom, with import-linter"
	@$(BIN)/lint-imports --no-logo

check-contracts: $(READY) ## Do the committed schemas match the contracts, and has no contract lost a field?
	@echo "check-contracts: schemas against contracts"
	@$(BIN)/python -m canonical.schemas --check

check-streams: $(READY) ## Do docs/asyncapi.json and docs/streams.md say what the streams' terms say?
	@echo "check-streams: the streams' terms against docs/asyncapi.json and docs/streams.md"
	@$(BIN)/python -m dataflows.asyncapi --check

check-dictionary: $(READY) ## Has all in the analytics store a comment, and does the data dictionary say so?
	@echo "check-dictionary: the store's comments against docs/dictionary.md"
	@$(BIN)/python -m dataflows.dictionary --check

check-docs: $(READY) ## Are the commands, links and paths in the documentation true?
	@echo "check-docs: commands, links and paths in the documentation"
	@$(BIN)/python -m tests.architecture.documentation

bench: $(READY) ## Measure speed, Kafka, latency, scaling, parts, recovery, memory and the audit; append to the history, draw it: 15 minutes
	@echo "bench: measuring"
	@$(BIN)/python -m benchmarks speed kafka latency scaling micro recovery memory
	@$(BIN)/python -m benchmarks.audit
	@$(BIN)/python -m benchmarks.postings
	@echo "bench: drawing"
	@$(BIN)/python -m benchmarks.pictures

bench-peers: $(READY) ## Compare with Flink, Pathway, Bytewax, DuckDB, plain Python and C on the same events, in turn
	@echo "bench-peers: job J by plantsync and its peers; the first time fetches about 1.5 GB into the user's cache"
	@$(BIN)/python -m benchmarks.peers

format: $(READY) ## Format the code and mend what ruff can mend
	@echo "format: rewriting files with ruff"
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

lock: $(READY) ## Resolve pyproject.toml into requirements.lock, newest releases, with hashes
	@echo "lock: resolving into requirements.lock with uv"
	@command -v uv >/dev/null || PYTHON='$(PYTHON)' bin/environment uv
	@PATH="$$PATH:$(CURDIR)/$(BIN)" uv pip compile --quiet --upgrade --universal --python-version 3.11 --group dev --generate-hashes \
	  --no-emit-index-url --no-header --output-file requirements.lock pyproject.toml
