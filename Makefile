# Everything needed to run and test the project. Nothing is installed outside VENV.

# The first of these that is Python 3.11 or later is taken.
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11
VENV ?= .venv
PORT ?= 8000
GENERATORS ?= .generators
ARGS ?=
BENCHES ?= http growth cluster mixed_load

BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
SAY = @printf '== %s\n'

# What a deployment would set, for checks that must not depend on this machine.
PRODUCTION = DEBUG=0 HTTPS=1 ALLOWED_HOSTS=example.org DATABASE_URL=sqlite://:memory: \
	EMAIL_URL=smtp+tls://user:password@mail.example.org:587 EMAIL_FROM=chat@example.org \
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_hex(32))')

# The sign-in page offers the demo's people: the server listens to this machine only.
# With HTTPS or a database server the settings refuse to.
OFFER_DEMO = $(if $(filter 1,$(HTTPS))$(filter postgres%,$(DATABASE_URL)),,DEMO_PASSWORD=demo-pass-2026)

.DEFAULT_GOAL := help
.PHONY: help run demo test bench screenshots generators audit lint format check lock \
	setup clean

help: ## List these targets
	@echo 'Usage: make TARGET [PORT=8000] [VENV=.venv] [PYTHON=python3] [ARGS="pytest options"]'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

run: setup ## Start the server, with demo data the first time
	$(SAY) 'Updating the database'
	@$(BIN)/python manage.py migrate --verbosity 1
	$(SAY) 'Demo data'
	@$(BIN)/python manage.py seed_demo
	$(SAY) 'Starting the server on port $(PORT); Ctrl-C stops it'
	@$(OFFER_DEMO) $(BIN)/python manage.py welcome http://localhost:$(PORT)
	@$(OFFER_DEMO) exec $(BIN)/uvicorn messaging_app.asgi:application --port $(PORT) \
		--timeout-graceful-shutdown 8

demo: setup ## Try it: a server with demo data and a bot that answers (ARGS="--port 8001")
	@exec $(BIN)/python manage.py demo $(ARGS)

test: setup ## Run the test suite (ARGS="-k name" for part of it)
	$(SAY) 'Running the tests'
	@$(BIN)/python -m pytest $(ARGS)

bench: setup ## Write measurements to docs/performance.md (ARGS="--quick" for a rough idea)
	$(SAY) 'Measuring takes about an hour (a few minutes with --quick); exit 1: a goal is missed'
	@status=0; for name in $(BENCHES); do \
		printf '== bench.speed.%s\n' "$$name"; \
		$(BIN)/python -m "bench.speed.$$name" --write $(ARGS) || status=1; \
	done; exit $$status

screenshots: setup ## Take screenshots of the web client, into docs/img (needs chromium)
	$(SAY) 'Taking screenshots of the web client with demo data'
	@$(BIN)/python -m bench.lab.screenshots

generators: setup ## Install what docs/clients.md and docs/frontends.md build with, for tests (needs node)
	$(SAY) 'Installing the client generators into $(GENERATORS)'
	@$(BIN)/python -m venv --clear $(GENERATORS)/venv
	@$(GENERATORS)/venv/bin/python -m pip install --quiet --disable-pip-version-check \
		-r tests/support/clients/requirements.txt
	@cp tests/support/clients/package.json \
		tests/support/clients/package-lock.json $(GENERATORS)
	@npm ci --prefix $(GENERATORS) --ignore-scripts --no-audit --no-fund --silent

audit: setup ## Check the packages for known vulnerabilities (needs the network)
	$(SAY) 'Checking that the packages fit together'
	@$(BIN)/python -m pip --disable-pip-version-check check
	$(SAY) 'Checking the packages in constraints.txt for known vulnerabilities'
	@$(BIN)/python -m venv $(VENV)/audit
	@$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check \
		--retries 1 'pip-audit~=2.10' || true
	@$(BIN)/python .ci/audit.py $(VENV)/audit/bin/pip-audit

lint: setup ## Check style and formatting
	$(SAY) 'Checking style'
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup ## Format the code and fix what can be fixed automatically
	$(SAY) 'Formatting'
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

check: lint ## Check style, production settings and missing migrations
	$(SAY) 'Checking production settings'
	@$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(SAY) 'Checking for missing migrations'
	@$(PRODUCTION) $(BIN)/python manage.py makemigrations --check --dry-run

# The same versions for every Python from 3.11 on and every system, with the hashes of
# all their files: first those of a deployment, then the others. What is locked stays;
# ARGS="--upgrade" takes the newest allowed.
LOCK = $(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-header

lock: setup ## Write constraints.txt from requirements.txt (ARGS="--upgrade" for newer versions)
	$(SAY) 'Locking the packages of requirements.txt'
	@$(BIN)/python -m venv $(VENV)/lock
	@$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check 'uv~=0.13'
	@cp constraints.txt $(VENV)/lock/all.txt
	@$(LOCK) $(ARGS) requirements.txt --output-file $(VENV)/lock/all.txt
	@sed '/^# Tests/,$$d' requirements.txt | $(LOCK) - \
		--constraints $(VENV)/lock/all.txt --output-file $(VENV)/lock/runtime.txt
	@{ \
		echo '# Runtime, as `make lock` writes it from requirements.txt'; \
		cat $(VENV)/lock/runtime.txt; \
		echo '# Tests and development'; \
		awk 'NR == FNR { if (/^[a-z]/) seen[$$1] = 1; next } \
			/^[a-z]/ { keep = !($$1 in seen) } keep' \
			$(VENV)/lock/runtime.txt $(VENV)/lock/all.txt; \
	} > constraints.txt

setup: $(STAMP) ## Create the virtual environment and install the packages

# Made again whenever the list of packages changes; an environment that is whole
# (its pip answers) is kept and brought up to date.
$(STAMP): constraints.txt
	$(SAY) 'Installing the packages into $(VENV) (a minute or so the first time)'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		for python in $(PYTHON); do \
			"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
				2>/dev/null && break; \
			python=; \
		done; \
		[ -n "$$python" ] || { \
			echo 'Python 3.11 or later is needed; none of these is: $(PYTHON)' >&2; \
			exit 1; \
		}; \
		"$$python" -m venv --clear $(VENV); \
	}
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes -r constraints.txt
	@touch $@

clean: ## Remove the virtual environment and caches; the database stays
	$(SAY) 'Removing $(VENV), caches and test databases (db.sqlite3 stays)'
	@if [ -f $(VENV)/pyvenv.cfg ]; then rm -rf $(VENV); fi
	@if [ -d .generators/venv ]; then rm -rf .generators; fi
	@rm -rf .pytest_cache .ruff_cache .hypothesis staticfiles test.sqlite3*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
