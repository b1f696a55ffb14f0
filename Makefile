# Everything here runs from a fresh clone with git, make and python3 (3.11 to 3.13) only.
PYTHON ?= python3
BIN := .venv/bin
ENVIRONMENTS := .venv .venv-emulator .venv-bench
# requirements/oldest-pip.txt in `make install-test`.
PIP_LOCK ?= pip
INSTALL := PYTHON="$(PYTHON)" requirements/install.sh
CHECK_PYTHON := import sys; here = sys.version_info[:2]; \
	here < (3, 11) and sys.exit("Safelight needs Python 3.11 or newer; set PYTHON="); \
	here > (3, 13) and sys.stderr.write("Python %d.%d is newer than Safelight is tested with\n" % here)
PHOTOS ?= samples
export PHOTOS OUT

.DEFAULT_GOAL := help
# Two installs into one environment would spoil it, also under `make -j`.
.NOTPARALLEL:
.PHONY: help demo up test lint types tests faults soak mutate format docs lock install-test clean bench bench-memory bench-api bench-delivery load

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/.runtime .venv-emulator/.ready ## Run the whole way once: upload PHOTOS=dir, follow to completion, save to OUT=dir
	@$(BIN)/safelight demo $${OUT:+--out "$$OUT"} -- "$${PHOTOS:-samples}"

up: .venv/.runtime .venv-emulator/.ready ## Keep the whole system running here until Ctrl-C
	@$(BIN)/safelight up

env: ## Write .env for docker-compose.yml, with random keys; never replaces one
	@$(PYTHON) ops/local/dotenv.py

.PHONY: env
test: lint types tests ## Lint, types and the tests: what CI runs

lint: .venv/.dev ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev ## Check types
	$(BIN)/mypy

tests: .venv/.dev .venv-emulator/.ready ## Run the tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup

faults: .venv/.dev .venv-emulator/.ready ## Hurt a running Safelight in every way that docs/operate/faults.md lists
	SAFELIGHT_TEST_SCHEDULES=2000 $(BIN)/python -m pytest -n 4 --dist worksteal -m 'not alone' --timeout 600 --durations 15 tests/faults
	$(BIN)/python -m pytest -m alone tests/faults

image-test: .venv/.dev .venv/.image .venv-emulator/.ready ## Build the image and put it to work (needs root, buildah, mmdebstrap)
	$(BIN)/python -m pytest -m '' --timeout 1800 tests/image

mutate: .venv/.dev ## Render 100,000 mutated pictures and look whether anything is hurt
	$(BIN)/python -m tests.fuzz.mutate

soak: .venv/.dev .venv-emulator/.ready ## 10,000 mixed pictures, workers killed at random: SOAK="--pictures 300" for less
	$(BIN)/python -m tools.soak $(SOAK)

fuzz: .venv/.fuzz ## Look for bytes that break probing or rendering, for FUZZ_SECONDS=600
	$(BIN)/python -m tests.fuzz.fuzz -max_total_time=$${FUZZ_SECONDS:-600}

bench-quality: .venv/.quality ## Measure what quality = "auto" saves at equal SSIMULACRA 2
	$(BIN)/python -m bench.quality

compare-thumbor: .venv/.dev .venv-bench/.ready ## Compare 70 thumbor URLs with what thumbor itself makes of them
	$(BIN)/python -m pytest -m slow tests/golden/test_thumbor.py

.PHONY: fuzz bench-quality image-test compare-thumbor
format: .venv/.dev ## Put the code into the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.dev ## Write the reference pages from the declarations
	$(BIN)/python -m tools.reference

dashboards: .venv/.dev ## Write Grafana's dashboards from their declarations
	$(BIN)/python -m tools.dashboards

dashboard-picture: .venv/.dev .venv-emulator/.ready ## Draw docs/operate/dashboard.svg from a live Prometheus (Debian's prometheus)
	$(BIN)/python -m tools.dashboard_picture

.PHONY: dashboards dashboard-picture
bench: .venv/.runtime .venv-bench/.ready ## Compare a render with its peers: CPU, memory, bytes, SSIMULACRA2
	$(BIN)/python -m bench.render

bench-memory: .venv/.runtime ## Compare the memory that is predicted with what children take
	$(BIN)/python -m bench.memory

bench-delivery: .venv/.runtime .venv-emulator/.ready .venv-bench/.ready ## Compare delivery with thumbor: misses, stored hits, 304s
	@$(BIN)/python -m bench.delivery $(DELIVERY)

bench-api: .venv/.runtime .venv-emulator/.ready ## Measure POST /v1/uploads at 200 requests a second
	$(BIN)/python -m bench.api

load: .venv/.runtime .venv-emulator/.ready ## Measure workers on a backlog; LOAD="--pictures 200 --workers 1" for a quick run
	@$(BIN)/python -m bench.load $(LOAD)

install-test: ## Install every lock into an empty environment, with the oldest pip and the locked one
	@./requirements/install-test.sh

lock: ## Resolve requirements/*.in again into hash-locked *.txt (needs uv)
	./requirements/lock.sh

clean: ## Remove what the other targets made
	rm -rf $(ENVIRONMENTS) $(ENVIRONMENTS:=.lock) safelight.egg-info build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Each environment starts with the locked pip and the locked build backends. make starts it again
# from nothing if .tools is missing: requirements/install.sh removes it while it works.
$(ENVIRONMENTS:=/.tools): requirements/$(PIP_LOCK).txt requirements/build.txt
	@$(PYTHON) -c '$(CHECK_PYTHON)'
	@$(INSTALL) --new $(@D) $(PIP_LOCK) build

.venv/.runtime: .venv/.tools requirements/runtime.txt pyproject.toml
	@echo "Installing Safelight into .venv (once, about a minute)"
	@$(INSTALL) .venv runtime .
	@touch $@

.venv/.dev .venv/.otel: .venv/.runtime
.venv/.quality .venv/.fuzz .venv/.image: .venv/.dev
.venv/.%: requirements/%.txt
	@echo "Installing requirements/$*.txt into .venv (once, up to a minute)"
	@$(INSTALL) .venv $*
	@touch $@

.venv-%/.ready: .venv-%/.tools requirements/%.txt
	@echo "Installing requirements/$*.txt into .venv-$* (once)"
	@$(INSTALL) .venv-$* $*
	@touch $@
