# Everything happens in a virtual environment of this clone, .venv, which is made on first use.
# What is finished is marked in .venv/.done, so that a second run starts at once.

SHELL := bash
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
DONE := .venv/.done
# pip must not write through the link of `jupyter-builder develop` into the built extension.
LINK := .venv/share/jupyter/labextensions/jupyter-aiqueue
INSTALL := if [ -L $(LINK) ]; then rm $(LINK); fi && $(BIN)/python -m pip install --quiet --disable-pip-version-check

# The labextension is built by a step of its own below: `make demo` needs no Node.js.
export SKIP_JUPYTER_BUILDER := 1
export PATH := $(BIN):$(PATH)
export PYTHON

# Most tests wait for something most of the time. Each of the two processes has a broker of its own,
# and whole files, whose tests share a server or a browser.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

LAB_SOURCES := $(shell find labextension/src labextension/style labextension/schema -type f 2>/dev/null)
LAB_SETTINGS := $(wildcard labextension/*.json labextension/*.mjs labextension/*.js)
NODE_MODULES := labextension/node_modules/.yarn-state.yml
BUILT := jupyter_aiqueue/labextension/package.json

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo lab test test-rabbitmq4 lint format dist clean

# Debian 13 with its RabbitMQ 4: outside of the clone, where no tool walks through it.
RABBITMQ4 ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/jupyter_aiqueue/rabbitmq4

help: ## this list
	@echo "make TARGET, with TARGET one of:"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DONE)/examples $(DONE)/rabbitmq ## submit, run and record experiments from a notebook, without a browser
	@$(BIN)/python -u scripts/demo.py

lab: $(DONE)/dev $(DONE)/rabbitmq $(DONE)/labextension ## the same in JupyterLab, with a worker; Ctrl-C ends all
	@$(BIN)/python -u scripts/lab.py $(LAB_ARGS)

test: lint $(DONE)/rabbitmq $(DONE)/chromium $(DONE)/libatomic $(DONE)/labextension ## lint and every test, on a real RabbitMQ
	cd labextension && jlpm test
	$(PYTEST)

# Without the tests of the browser and of packages: the front end talks to the Jupyter server only,
# whose own tests are among these.
test-rabbitmq4: $(DONE)/dev ## the tests on Debian 13's RabbitMQ 4.0 (Linux; builds it once, with root)
	@scripts/rabbitmq4.sh '$(RABBITMQ4)'
	AIQUEUE_RABBITMQ_SERVER='$(RABBITMQ4)/bin/rabbitmq-server' \
		$(PYTEST) --ignore tests/browser --ignore tests/test_packaging.py $(TEST_ARGS)

lint: $(DONE)/dev $(NODE_MODULES) ## what is said about style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	cd labextension && jlpm lint:check

format: $(DONE)/dev $(NODE_MODULES) ## repair what the linters can repair
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	cd labextension && jlpm lint

dist: $(DONE)/dev $(DONE)/labextension ## sdist and wheel in dist/
	SKIP_JUPYTER_BUILDER= $(BIN)/python -m build

clean: ## forget .venv, builds and the demo's data; recorded runs (*.jobs.jsonl) stay
	-@[ ! -d demo-output ] || [ ! -x $(BIN)/jupyter-aiqueue ] || $(BIN)/python -u scripts/playground.py down
	rm -rf .venv dist demo-output jupyter_aiqueue/labextension jupyter_aiqueue/_version.py
	cd labextension && rm -rf node_modules lib .yarn coverage junit.xml *.tsbuildinfo .eslintcache .stylelintcache
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(DONE)/venv:
	@scripts/install_system.sh python_venv
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Python 3.10 or newer is needed: make PYTHON=python3.12 ...")'
	@echo "==> Making the virtual environment .venv"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@mkdir -p $(DONE) && touch $@

$(DONE)/examples: $(DONE)/venv pyproject.toml labextension/package.json
	@echo "==> Installing the package and what the examples need (a minute or two the first time)"
	@$(INSTALL) --editable '.[examples]'
	@touch $@

$(DONE)/dev: $(DONE)/examples
	@echo "==> Installing what tests and builds need (a minute or two the first time)"
	@$(INSTALL) --editable '.[dev]'
	@touch $@

$(DONE)/rabbitmq $(DONE)/chromium $(DONE)/libatomic: $(DONE)/venv
	@scripts/install_system.sh $(@F)
	@touch $@

$(DONE)/node: $(DONE)/venv
	@scripts/find_node.sh
	@touch $@

$(NODE_MODULES): labextension/package.json labextension/yarn.lock | $(DONE)/dev $(DONE)/node
	@echo "==> Installing the JavaScript packages (a minute or two the first time)"
	cd labextension && jlpm install --immutable
	@touch $@

$(BUILT): $(NODE_MODULES) $(LAB_SOURCES) $(LAB_SETTINGS)
	@echo "==> Building the JupyterLab extension"
	cd labextension && jlpm build:prod
	@touch $@

$(DONE)/labextension: $(DONE)/dev $(BUILT)
	$(BIN)/jupyter-builder develop . --overwrite
	@touch $@
