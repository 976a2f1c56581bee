# Everything runs in .venv, which the first call makes. PYTHON chooses the interpreter: make PYTHON=python3.12 course
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
EXTRAS := pytorch,tensorflow,course,cluster

.DEFAULT_GOAL := help
.PHONY: help course lab test build bench clean

help:
	@echo "make course   install, fetch the data, execute every lesson in both tracks"
	@echo "make lab      open the course in JupyterLab"
	@echo "make test     install and run all the tests"
	@echo "make build    make the notebooks from lessons/"
	@echo "make bench    time the package against its peers (long; installs them)"
	@echo "make clean    remove what was built; keeps .venv and data/"

course: $(READY)
	@$(BIN)/advrec course

lab: $(READY)
	@$(BIN)/advrec lab

test: $(READY)
	@$(BIN)/python -m tests

build: $(READY)
	@$(BIN)/advrec build

bench: $(READY)
	@$(BIN)/python -m benchmarks

clean:
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Made anew when the pins change; an installation that fails leaves no mark, so the next call tries again.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "The course needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11 course" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ echo "No virtual environment could be made in .venv; on Debian and Ubuntu install the package python3-venv." >&2; exit 1; }
	@echo "Installing into .venv (a few minutes, about 5 GB) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]' 2> .venv/install.log || \
		{ tail -n 3 .venv/install.log >&2; echo "The installation failed; see .venv/install.log. Check the network and the space on the disk, then call make again." >&2; exit 1; }
	@touch $(READY)
