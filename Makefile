# `make run` and `make test` need nothing but Python 3.11 or newer: they make .venv and install into it what the
# requirements name, and again only when these have changed.
PYTHON ?= python3
# Plain assignments: some shells export a HOST of their own. `make run HOST=0.0.0.0 PORT=8080` still wins.
HOST = 127.0.0.1
PORT = 7860
ARGS =

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test lint format space clean

help: ## show this list
	@echo "make TARGET [PYTHON=python3] [HOST=$(HOST)] [PORT=$(PORT)] [ARGS=…]"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## start the app on http://HOST:PORT
	GRADIO_SERVER_NAME=$(HOST) GRADIO_SERVER_PORT=$(PORT) $(BIN)/python app.py

# Files come in their order: those of the fewest tests are the slowest, and would leave one process waiting at the end.
test: $(VENV)/.installed-dev ## run the tests; ARGS goes to pytest
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.installed-dev ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@rm -f imgsynth/ui/*.pyi # stubs that Gradio once wrote there, and that mypy would believe
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## bring the code into its style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

space: $(VENV)/.installed ## upload what a Space needs to SPACE=owner/name; ARGS=--dry-run lists it
	@test -n "$(SPACE)" || { echo "Name the Space: make space SPACE=owner/name." >&2; exit 1; }
	$(BIN)/python -m imgsynth.space $(SPACE) $(ARGS)

clean: ## remove .venv and everything else that was made
	rm -rf $(VENV) build *.egg-info tests/artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing the tools for tests into $(VENV) …"
	@$(PIP) -r requirements-dev.txt
	@touch $@

$(VENV)/.installed: requirements.txt $(VENV)/pyvenv.cfg
	@echo "Installing imgsynth's requirements into $(VENV); with PyTorch this takes a few minutes the first time …"
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/pyvenv.cfg:
	@command -v $(PYTHON) > /dev/null || \
		{ echo "There is no $(PYTHON) here: install Python 3.11 or newer, or name it: make PYTHON=python3.12." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "imgsynth needs Python 3.11 or newer and this is $$($(PYTHON) --version); name another: make PYTHON=python3.12." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
		{ echo "This Python cannot make environments: install its venv module (on Debian: apt install python3-venv)." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@
