# One documented command per target; `make` alone lists them. Variables, given after `make` and never taken
# from the environment, where a PYTHON may stand for something else:
#   PYTHON=/path/to/python   use that existing environment (a vendor's) instead of .venv
#   SUITE=name               another suite for `make bench` and `make bench-pytest`
#   ARGS="..."               anything more for the command behind the target

PYTHON :=
SUITE :=
ARGS :=

# python3 first: in a vendor's active environment it is the one that has the vendor's torch or jax.
BOOTSTRAP = $(or $(PYTHON),$(shell for python in python3 python python3.13 python3.12 python3.11; do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done),\
	  $(error No Python 3.11 or newer on PATH: install one, or name one with PYTHON=/path/to/python))
SETUP = "$(BOOTSTRAP)" bench/setup_env.py $(if $(PYTHON),--python "$(PYTHON)") --extras

# The environment's own tools lead PATH, as in an activated one: neuronx-cc, for one, is searched for there.
ENV_PYTHON = $(or $(PYTHON),$(CURDIR)/.venv/bin/python)
IN_ENV = PATH="$$(dirname "$$(command -v "$(ENV_PYTHON)")"):$$PATH"
RUN = $(IN_ENV) "$(ENV_PYTHON)" -m

BENCH_EXTRAS := torch,jax,report
TEST_EXTRAS := torch,jax,report,test,lint

# torch-xla needs an older torch than ours, so its tests have an environment of their own.
XLA_ENV := .cache/torch-xla
XLA_REST := absl-py fsspec jinja2 networkx pytest pytest-timeout pyyaml requests setuptools sympy
XLA_BOOTSTRAP = $(or $(shell for python in python3.13 python3.12 python3.11 python3; do \
	  $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done),\
	  $(error torch-xla 2.9 has packages for Python 3.11 to 3.13 only, and none of them is on PATH))

# The trainers that ours are held against, on top of .venv.
PEERS_ENV := .cache/peers

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup bench smoke bench-pytest compare report published prices doctor probe gpu peers test test-xla test-stand-in test-placeholders scale reliability lint clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1	/p' Makefile
	@echo 'Variables: PYTHON=/path/to/vendor/python  SUITE=name  ARGS="more arguments"'

setup: ## make or refresh .venv (every other command does so by itself)
	@$(SETUP) $(BENCH_EXTRAS)

bench: ## measure on this machine: every backend that it has, one suite
	@$(SETUP) $(BENCH_EXTRAS)
	@$(RUN) bench bench $(if $(SUITE),--suite $(SUITE)) $(ARGS)

smoke: ## the smallest suite: does everything run, and is it valid?
	@$(SETUP) $(BENCH_EXTRAS)
	@$(RUN) bench bench --suite smoke --strict --again $(ARGS)

bench-pytest: ## the same as pytest-benchmark's benchmarks: make bench-pytest SUITE=cpu ARGS="--benchmark-autosave"
	@$(SETUP) $(BENCH_EXTRAS),test
	@$(RUN) pytest bench $(if $(SUITE),--suite $(SUITE)) $(ARGS)

compare: ## compare records: make compare ARGS="A B"
	@$(SETUP) report
	@$(RUN) bench compare $(ARGS)

report: ## print the comparison of the newest records again
	@$(SETUP) report
	@$(RUN) bench report $(ARGS)

published: ## write the page of the records below results/published/ anew, in HTML and Markdown
	@$(SETUP) report
	@$(RUN) results.publishing $(ARGS)

prices: ## list the price book: make prices ARGS=p5.48xlarge
	@$(SETUP) report
	@$(RUN) bench prices $(ARGS)

doctor: ## say what this machine can run, and for the rest why not
	@$(SETUP) $(BENCH_EXTRAS)
	@$(RUN) bench doctor $(ARGS)

probe: ## measure what the devices reach in matrix products and copies alone
	@$(SETUP) $(BENCH_EXTRAS)
	@$(RUN) bench probe $(ARGS)

gpu: ## on a machine with an Nvidia GPU: all that waits for one, in one call
	@$(SETUP) $(TEST_EXTRAS)
	@$(RUN) bench.on_gpu $(ARGS)

# Whole files in parallel; one thread for torch in each: their models are tiny, and threads that wait spin.
test: lint ## lint, then run the tests
	@OMP_NUM_THREADS=1 $(RUN) pytest -n logical --maxprocesses 4 --dist loadfile $(ARGS)

test-xla: $(XLA_ENV)/ready ## test torch-xla on the CPU; its environment, once, takes about 7 GB and some minutes
	@PJRT_DEVICE=CPU $(XLA_ENV)/bin/python -m pytest tests/xla $(ARGS)

$(XLA_ENV)/ready: requirements/torch-xla-cpu.txt
	@echo 'Making $(XLA_ENV) with torch 2.9 and torch-xla: about 7 GB and some minutes, once.'
	@rm -rf $(XLA_ENV)
	@"$(XLA_BOOTSTRAP)" -m venv $(XLA_ENV)
	@$(XLA_ENV)/bin/python -m pip install --quiet --no-deps -r requirements/torch-xla-cpu.txt
	@$(XLA_ENV)/bin/python -m pip install --quiet -e . $(XLA_REST)
	@touch $@

peers: $(PEERS_ENV)/ready ## other trainers of the same model against ours, interleaved; their environment, once, takes some minutes
	@"$(PEERS_ENV)/bin/python" -P -m bench.peers $(ARGS)

# It sees the torch and jax of .venv, so that all run on the same ones.
$(PEERS_ENV)/ready: requirements/peers.txt
	@$(SETUP) $(BENCH_EXTRAS)
	@echo 'Making $(PEERS_ENV) with transformers, torchtitan and flax.'
	@rm -rf $(PEERS_ENV)
	@"$(ENV_PYTHON)" -m venv $(PEERS_ENV)
	@"$(ENV_PYTHON)" -c 'import sysconfig as c; print("import site; site.addsitedir(%r)" % c.get_path("purelib"))' \
	  >"$$("$(PEERS_ENV)/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/fairchip.pth"
	@"$(PEERS_ENV)/bin/python" -m pip install --quiet -r requirements/peers.txt
	@touch $@

scale: ## time a comparison of ten thousand made-up records: make scale ARGS=10000
	@$(SETUP) $(TEST_EXTRAS)
	@PYTHONPATH=tests $(RUN) scale $(ARGS)

reliability: ## inject every fault a hundred times, fuzz longer, and write docs/reliability.md
	@$(SETUP) $(TEST_EXTRAS)
	@FAIRCHIP_FAULTS=100 FAIRCHIP_FUZZ=2000 FAIRCHIP_RELIABILITY_PAGE=1 $(RUN) pytest -o timeout=3600 tests/reliability tests/fuzz

test-stand-in: ## test the device that stands in for a NeuronCore, the backends on it and compiled shards (some minutes)
	@$(SETUP) $(TEST_EXTRAS)
	@FAIRCHIP_STAND_IN=1 $(RUN) pytest tests/backends/test_neuron_stand_in.py tests/e2e/test_simulated_trainium.py \
	  tests/parity/test_several_devices.py

test-placeholders: ## fetch AWS's placeholder packages of the public index, and check that none is taken for the real one
	@$(SETUP) $(TEST_EXTRAS)
	@rm -rf .cache/placeholders
	@$(RUN) pip install --quiet --no-deps --target .cache/placeholders -r requirements/placeholders.txt
	@FAIRCHIP_PLACEHOLDERS="$(CURDIR)/.cache/placeholders" $(RUN) pytest tests/backends/test_neuron_placeholders.py

lint: ## check style, types and the arrows between the packages
	@$(SETUP) $(TEST_EXTRAS)
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy
	@$(IN_ENV) lint-imports

clean: ## remove .venv, caches and build products; results stay
	rm -rf .venv .cache build dist *.egg-info .benchmarks .hypothesis .import_linter_cache \
	  .mypy_cache .pytest_cache .ruff_cache
	find bench workloads backends results tests -type d -name __pycache__ -prune -exec rm -rf {} +
