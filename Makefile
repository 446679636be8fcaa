# `make` alone prints this list. Every target first installs what the locks name, if it is not there yet.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
# The interpreter only starts the bootstrap, which looks for one that is new enough itself.
SYSTEM_PYTHON := $(or $(shell python3 -c 'print("python3")' 2>/dev/null),$(shell /usr/bin/python3 -c 'print("/usr/bin/python3")' 2>/dev/null))
BIN := $(VENV)/bin
PY := $(BIN)/python
FORGE := cd contracts && node_modules/.bin/forge
PYTEST_ARGS ?=
# A stack is ten Python processes and a test run starts dozens: none compiles anew what another one read.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: softhsm help setup run demo test verify drill analyse coverage lint lint-python lint-contracts format bench contracts reset shell lock

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "; print "make <target> [VARIABLE=value]\n"} /^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile
	@printf '\nrun takes PORT=, DATABASE_URL=, REDIS_URL=, CHAIN_RPC_URL= (each replaces the embedded part by a real one).\n'

setup: ## Install what the locks name into .venv, contracts/ and tests/clients/node_modules
	@if [ -z "$(SYSTEM_PYTHON)" ]; then echo "openvpp: Python 3 is missing: install Python 3.12 or newer, then run this again." >&2; exit 1; fi
	@$(SYSTEM_PYTHON) openvpp/stack/bootstrap.py

run: setup ## Start the whole stack on this machine; Ctrl-C stops it
	@exec $(PY) -m openvpp.stack run

demo: setup ## Play a customer's journey in the terminal (FEE=ovpp|stablecoin|utility, JOURNEY=bill|event)
	@exec $(PY) -m openvpp.stack demo

test: setup ## Every test: Solidity and Python
	@echo "forge test (compiles first) beside pytest; its report follows at the end"
	@log=$$(mktemp); trap 'trap - INT TERM; rm -f $$log; kill 0' INT TERM; \
	($(FORGE) test) >$$log 2>&1 & forge=$$!; \
	$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not drill" $(PYTEST_ARGS); python=$$?; \
	wait $$forge; solidity=$$?; cat $$log; rm -f $$log; \
	[ $$python -eq 0 ] && [ $$solidity -eq 0 ]

verify: setup ## Deep fuzzing, proofs and drills (PROFILE=ci for the short form)
	export FOUNDRY_PROFILE=$(or $(PROFILE),deep); $(FORGE) test
	PROPERTY_EXAMPLES=10000 $(PY) -m pytest $(if $(filter ci,$(PROFILE)),tests/chain/test_agreement.py tests/chain/test_decisions.py tests/chain/test_call_decisions.py,$$(grep -rl --include='test_*.py' PROPERTY_EXAMPLES tests))
	@if [ "$(PROFILE)" != "ci" ]; then $(MAKE) --no-print-directory softhsm || echo "hardware keys are not tested: SoftHSM cannot be fetched here" >&2; \
		PROPERTY_EXAMPLES=10000 $(PY) -m pytest -q tests/integration/custody/test_backends.py -rs; fi
	@if [ "$(PROFILE)" != "ci" ]; then $(PY) -m pytest -m drill $(PYTEST_ARGS) || [ $$? -eq 5 ]; fi
	@if [ "$(PROFILE)" != "ci" ]; then $(PY) -m tests.drills; fi

drill: setup ## Break the relayer's world one thing at a time and count what is lost: make drill [NAME=fee_spike]
	$(PY) -m tests.drills $(NAME)

analyse: setup ## Static analysis and proofs of the contracts (slither, halmos)
	@VENV=$(CURDIR)/.venv-analysis $(SYSTEM_PYTHON) openvpp/stack/bootstrap.py analysis
	$(PY) -m contracts.analysis

coverage: setup ## Lines and branches of the contracts that their tests reach
	@echo "compiles without the optimiser: tests that bound gas fail here, and only here" >&2
	$(FORGE) coverage --allow-failure --ir-minimum --report summary --no-match-coverage "test|node_modules" --skip "test/peers/*" --skip "test/proofs/*" --skip "test/invariants/*"

softhsm: ## Fetch SoftHSM into .softhsm for the tests of hardware keys (Debian's packages, no root)
	@mkdir -p .softhsm && cd .softhsm && apt-get download -qq libsofthsm2 softhsm2 && for deb in *.deb; do dpkg-deb -x "$$deb" . && rm "$$deb"; done

lint: setup ## Everything that reads the code without running it
	@$(MAKE) --no-print-directory --keep-going --jobs 2 --output-sync=line lint-contracts lint-python

lint-python:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	DJANGO_SETTINGS_MODULE=openvpp.settings.test $(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(PY) -m openvpp.stack openapi --check

lint-contracts:
	$(FORGE) fmt --check
	$(FORGE) build --quiet
	$(PY) -m contracts.abi --check
	$(PY) -m contracts.code --check
	$(PY) -m contracts.layout --check

format: setup ## Format Python and Solidity, write the OpenAPI file
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .
	$(FORGE) fmt
	$(PY) -m openvpp.stack openapi

bench: setup ## Run one benchmark against its peers: make bench NAME=gas
	@if [ -z "$(NAME)" ]; then echo "openvpp: say which: make bench NAME=..., one of: $$(ls benchmarks/*.py 2>/dev/null | xargs -rn1 basename -s .py | grep -v '^__' | tr '\n' ' ')" >&2; exit 1; fi
	$(PY) -m benchmarks.$(NAME)

contracts: setup ## Compile the contracts, export their ABIs and hashes
	$(FORGE) build
	$(PY) -m contracts.abi
	$(PY) -m contracts.code

reset: setup ## Drop the local stack's data, var/ (asks; YES=1 does not)
	@exec $(PY) -m openvpp.stack reset $(if $(YES),--yes)

shell: setup ## Django's shell against the running stack
	@exec $(PY) -m openvpp.stack exec -- manage.py shell

lock: setup ## Resolve pyproject.toml into requirements/*.txt, with hashes
	$(BIN)/uv --version >/dev/null 2>&1 || $(PY) -m pip install --quiet uv
	$(PY) -m openvpp.stack lock
