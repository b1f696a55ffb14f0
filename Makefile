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
export PHOTOS OUT PRESETS PORTS OVERWRITE
# Tests start hundreds of programs. None is to compile what the one before has compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# Two installs into one environment would spoil it, also under `make -j`.
.NOTPARALLEL:

##@ Use
.PHONY: help demo up env clean

help: ## List the targets
	@awk -F':.*## ' '/^##@ /{print substr($$0, 5) ":"} /^[a-z-]+:.*## /{printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.runtime .venv-emulator/.ready ## Run the whole system once: upload PHOTOS=dir, follow to completion, save to OUT=dir
	@$(BIN)/safelight demo $${OUT:+--out "$$OUT"} $${PRESETS:+--presets "$$PRESETS"} $${OVERWRITE:+--overwrite} \
		-- "$${PHOTOS:-samples}"

up: .venv/.runtime .venv-emulator/.ready ## Keep the whole system running here until Ctrl-C; PORTS=8080 for fixed ports
	@$(BIN)/safelight up $${PRESETS:+--presets "$$PRESETS"} $${PORTS:+--ports "$$PORTS"}

env: ## Write .env for docker-compose.yml, with random keys; never replace one
	@$(PYTHON) ops/local/dotenv.py

clean: ## Remove what the other targets made
	rm -rf $(ENVIRONMENTS) $(ENVIRONMENTS:=.lock) safelight.egg-info build .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/browser/*/node_modules vendor/node_modules

##@ Test
.PHONY: unit test lint types tests slow faults soak mutate fuzz image-test browser-test compare-thumbor install-test

unit: .venv/.dev ## Run the tests that start no program: the inner loop
	$(BIN)/python -m pytest -n 2 -m 'not slow and not starts and not needs' tests/unit

test: lint types tests ## Lint, types and all tests but the slow ones: what CI runs

lint: .venv/.dev ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev ## Check types
	$(BIN)/mypy

tests: .venv/.dev .venv-emulator/.ready ## Run all tests but the slow ones
	$(BIN)/python -m pytest -n 3 --dist loadscope

slow: .venv/.dev .venv-emulator/.ready ## Run the slow tests: costs, doctor, dashboards, traces of a running system; any URL
	$(BIN)/python -m pytest -m slow tests/acceptance tests/contract tests/unit

faults: .venv/.dev .venv-emulator/.ready ## Injure a running Safelight in every way that docs/operate/faults.md lists
	SAFELIGHT_TEST_SCHEDULES=2000 $(BIN)/python -m pytest -n 4 --dist worksteal -m '' --timeout 600 --durations 15 tests/faults

soak: .venv/.dev .venv-emulator/.ready ## Process 10,000 mixed pictures while workers are killed; SOAK="--pictures 300" for less
	$(BIN)/python -m tools.soak $(SOAK)

mutate: .venv/.dev ## Render 100,000 randomly damaged pictures under the default limits
	$(BIN)/python -m tests.fuzz.mutate

fuzz: .venv/.fuzz ## Search for bytes that break probing or rendering, for FUZZ_SECONDS=600
	$(BIN)/python -m tests.fuzz.fuzz -max_total_time=$${FUZZ_SECONDS:-600}

image-test: .venv/.dev .venv/.image .venv-emulator/.ready ## Build the image and complete a picture in it (needs root, buildah, mmdebstrap)
	$(BIN)/python -m pytest -m '' --timeout 1800 tests/image

UPPIES := tests/browser/uppy-4 tests/browser/uppy-6
browser-test: .venv/.dev .venv-emulator/.ready $(UPPIES:=/node_modules/.ready) ## Compare what a browser shows, and does, with Safelight (needs chromium, npm)
	$(BIN)/python -m pytest -m '' tests/browser

compare-thumbor: .venv/.dev .venv-bench/.ready ## Compare 70 thumbor URLs with the pictures of thumbor itself
	$(BIN)/python -m pytest -m slow tests/golden/test_thumbor.py

tests/browser/%/node_modules/.ready: tests/browser/%/package-lock.json
	@echo "Installing $* for tests in a browser (once)"
	@npm ci --prefix $(<D) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

install-test: ## Install every lock into an empty environment, with the oldest pip and the locked one
	@./requirements/install-test.sh

##@ Measure
.PHONY: bench bench-memory bench-quality bench-delivery bench-api bench-streams load

bench: .venv/.runtime .venv-bench/.ready ## Compare a render with its peers: CPU, memory, bytes, SSIMULACRA 2
	$(BIN)/python -m bench.render

bench-memory: .venv/.runtime ## Compare predicted memory with the memory that children take
	$(BIN)/python -m bench.memory

bench-quality: .venv/.quality ## Measure the bytes that quality = "auto" saves at equal SSIMULACRA 2
	$(BIN)/python -m bench.quality

bench-delivery: .venv/.runtime .venv-emulator/.ready .venv-bench/.ready ## Compare delivery with thumbor: misses, stored hits, 304s
	@$(BIN)/python -m bench.delivery $(BENCH)

bench-api: .venv/.runtime .venv-emulator/.ready ## Measure POST /v1/uploads at 200 requests a second
	$(BIN)/python -m bench.api

bench-streams: .venv/.runtime .venv-emulator/.ready ## Measure POST /v1/uploads beside 2,000 idle streams; BENCH="--streams 200" for less
	$(BIN)/python -m bench.streams $(BENCH)

load: .venv/.runtime .venv-emulator/.ready ## Measure workers on a backlog; LOAD="--pictures 200 --workers 1" for a quick run
	@$(BIN)/python -m bench.load $(LOAD)

##@ Generate
.PHONY: format docs dashboards dashboard-picture screenshots lock vendor vendor-check

format: .venv/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.dev ## Write the reference pages from the declarations
	$(BIN)/python -m tools.reference

dashboards: .venv/.dev ## Write Grafana's dashboards from their declarations
	$(BIN)/python -m tools.dashboards

dashboard-picture: .venv/.dev .venv-emulator/.ready ## Draw docs/operate/dashboard.svg from a live Prometheus (Debian's prometheus)
	$(BIN)/python -m tools.dashboard_picture

screenshots: .venv/.dev .venv-emulator/.ready ## Draw docs/pictures-page.png and docs/playground.png (needs chromium)
	$(BIN)/python -m tools.screenshots

vendor: .venv/.dev ## Bundle the libraries of the pages as vendor/package-lock.json names them (needs node, npm)
	$(BIN)/python -m tools.vendor

vendor-check: .venv/.dev ## Check the bundles of the pages against what `make vendor` writes, and the types of our modules
	$(BIN)/python -m tools.vendor --check

lock: ## Resolve requirements/*.in again into hash-locked *.txt (needs uv)
	./requirements/lock.sh

# Each environment starts with the locked pip and the locked build backends. make starts it again
# from nothing if .tools is missing: requirements/install.sh removes it while it works.
$(ENVIRONMENTS:=/.tools): requirements/$(PIP_LOCK).txt requirements/build.txt
	@$(PYTHON) -c '$(CHECK_PYTHON)'
	@$(INSTALL) --new $(@D) $(PIP_LOCK) build

.venv/.runtime: .venv/.tools requirements/runtime.txt pyproject.toml
	@echo "Installing Safelight into .venv (once, about a minute)"
	@$(INSTALL) .venv runtime .
	@touch $@

.venv/.dev .venv/.otel .venv/.faces: .venv/.runtime
.venv/.quality .venv/.fuzz .venv/.image: .venv/.dev
.venv/.%: requirements/%.txt
	@echo "Installing requirements/$*.txt into .venv (once, up to a minute)"
	@$(INSTALL) .venv $*
	@touch $@

.venv-%/.ready: .venv-%/.tools requirements/%.txt
	@echo "Installing requirements/$*.txt into .venv-$* (once)"
	@$(INSTALL) .venv-$* $*
	@touch $@
