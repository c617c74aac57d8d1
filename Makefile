# Every target does its own set-up: it needs Python ≥ 3.11 with venv, git, and either a network or Go.
# `make` alone lists the targets.

SHELL := /bin/sh
.SUFFIXES:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
IMAGE ?= troth:dev
CLUSTER ?= troth
# How many test processes; each starts a control plane of its own.
JOBS ?= 2
# The same for the tests on a node. They share it, and mostly wait for Pods, so there are more than processors.
NODE_JOBS ?= 4
# How long `make fuzz` tries each reader.
SECONDS ?= 60
# More arguments for pytest, such as TESTS="tests/unit -k layout".
TESTS ?= tests
# The Python that .venv is made from: the first new enough one, unless you name another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
UV_VERSION := 0.13.9
# More arguments for the lock, such as LOCK=--upgrade or LOCK="--upgrade-package kopf".
LOCK ?=

.PHONY: help
help: ## List the targets
	@echo "To begin with: make demo, then make dev. All of them:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(READY) ## Watch requests become manifests in Git, in a minute
	@$(BIN)/troth demo $(ARGS)

.PHONY: test
test: lint programs ## Lint, then every test, in about half an hour; the last lines are the summary of pytest
	@$(BIN)/python -P -m pytest -q -n $(JOBS) --dist worksteal $(TESTS)

.PHONY: test-node
test-node: $(READY) ## Tests on a real node, where Pods run: Linux, root, and four minutes; twelve more the first time
	@$(BIN)/python -m tests.node prepare
	@$(BIN)/python -P -m pytest -q -n $(NODE_JOBS) -m 'not chain' tests/node

.PHONY: test-chain
test-chain: $(READY) programs ## From a request to a database that takes a connection: 20 minutes the first time
	@$(BIN)/python -P -m pytest -q -m chain tests/node

.PHONY: check
check: lint ## Lint and the quick unit tests, in a minute and a half: the loop while you write
	@$(BIN)/python -P -m pytest -q -n $(JOBS) --dist worksteal -m 'not slow' --durations=10 --durations-min=0.5 tests/unit

.PHONY: unit
unit: $(READY) ## All unit tests, which need nothing but Python: some minutes
	@$(BIN)/python -P -m pytest -q -n $(JOBS) --dist worksteal tests/unit

.PHONY: properties
properties: $(READY) programs ## The property tests in full (make test runs a short form): an hour
	@TROTH_KEEPER_PAIRS=300 TROTH_WORLD_WALKS=40 TROTH_YAML_TEXTS=200 TROTH_STARTS=100 \
		$(BIN)/python -P -m pytest -q -n $(JOBS) --dist worksteal \
		-o timeout=7200 tests/integration/test_keepers.py tests/integration/test_conditions_follow_the_world.py \
		tests/integration/test_yaml_against_kubectl.py tests/unit/authoring/starting

.PHONY: fuzz
fuzz: $(READY) ## Try each reader of foreign bytes for SECONDS=60; what is found is kept in tests/data/corpus
	@TROTH_FUZZ_SECONDS=$(SECONDS) $(BIN)/python -P -m pytest -q -n $(JOBS) --dist worksteal -o timeout=86400 tests/hostile/fuzz

.PHONY: lint
lint: $(READY) ## ruff and mypy on all the Python here, tests included, and the direction of the imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --python-version $$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
	@$(BIN)/lint-imports --no-cache --no-logo 2>&1

.PHONY: format
format: $(READY) ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

.PHONY: docs
docs: $(READY) ## Write the pages of reference that come from --help and the schemas
	@$(BIN)/python docs/generate.py

.PHONY: dev
dev: $(READY) ## A control plane with the operator in it, until Ctrl-C
	@$(BIN)/troth dev --data dev $(ARGS)

.PHONY: bench
bench: $(READY) programs ## Measure this machine against the targets
	@$(BIN)/python -m tests.bench $(ARGS)

.PHONY: bench-node
bench-node: $(READY) ## Measure container pipelines on a real node against bare Jobs: Linux and root, in some minutes
	@$(BIN)/python -m tests.bench.on_node $(ARGS)

.PHONY: image
image: $(READY) ## The container image, as an archive in dist/: with Docker or buildah, or on Debian and Ubuntu without
	@$(BIN)/python -m image build --reference $(IMAGE) $(ARGS)

.PHONY: kind
kind: image $(READY) ## A kind cluster with the chart installed (needs Docker and kind)
	@command -v kind >/dev/null || { echo "make kind needs kind: https://kind.sigs.k8s.io" >&2; exit 1; }
	@kind get clusters 2>/dev/null | grep -qx '$(CLUSTER)' || kind create cluster --name $(CLUSTER) --config kind-config.yaml
	kind load docker-image $(IMAGE) --name $(CLUSTER)
	helm=$$($(BIN)/python -P -m troth.dev helm) && \
	"$$helm" upgrade --install troth charts/troth --kube-context kind-$(CLUSTER) \
		--namespace kratix-platform-system --create-namespace --wait --timeout 3m \
		--set image.repository=$(firstword $(subst :, ,$(IMAGE))) --set image.tag=$(lastword $(subst :, ,$(IMAGE)))

.PHONY: programs
programs: $(READY) ## Find, download or build etcd, kube-apiserver, kubectl and helm
	@$(BIN)/python -P -m troth.dev control-plane helm >/dev/null

.PHONY: lock
lock: $(READY) ## Refresh requirements/*.txt from pyproject.toml
	@$(BIN)/python -I -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		$(LOCK) --output-file requirements/runtime.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		$(LOCK) --output-file requirements/dev.txt --extra dev pyproject.toml requirements/tools.in
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		$(LOCK) --output-file requirements/sdk.txt requirements/sdk.in

.PHONY: clean
clean: ## Remove what the other targets made in this folder
	rm -rf $(VENV) .venv-* .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The virtual environment: made once, brought up to date when the lock or the package's metadata change.
$(READY): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Troth needs Python 3.11 or newer, and $$(python3 --version 2>&1 || echo none) is what there is." \
		"Install one, or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@command -v git >/dev/null || { echo "Troth needs git." >&2; exit 1; }
	@test -x $(BIN)/python || { echo "make: creating $(VENV) with $(PYTHON)"; $(PYTHON) -I -m venv $(VENV); } || \
		{ rm -rf $(VENV); echo "$(PYTHON) lacks the module venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "make: installing the locked dependencies into $(VENV)"
	@$(BIN)/python -I -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		--requirement requirements/dev.txt
	@$(BIN)/python -I -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
