# make run · make test · make check · make screens · make bench · make faults · make lock · make clean
SHELL := /bin/sh
.SHELLFLAGS := -eu -c
PORT ?= 8000
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet --require-hashes --only-binary :all: --no-deps --no-compile
# On all cores, where pip would use one. Some packages carry files that are no Python; those are told and left.
COMPILE := $(PY) -m compileall -q -j 0 .venv/lib >/dev/null || :
CHROMIUM ?= $(firstword $(wildcard /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome /snap/bin/chromium "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"))
# Settings for the checks that need none of the servers: nobody listens at these addresses.
CHECK_ENV := DATABASE_URL=postgresql://agentdesk_app:x@127.0.0.1:1/agentdesk DATABASE_OWNER_URL=postgresql://agentdesk_owner:x@127.0.0.1:1/agentdesk \
	REDIS_URL=redis://127.0.0.1:1/0 SECRET_KEY=only-for-checks-Pq7Rw2Zt9Yk4Lm6Nc8Vb3Xs5Dg1Hj0Fa-Tz AGENTDESK_STATE_DIR=$(CURDIR)/.agentdesk/check

.PHONY: run test screens check lint types imports migrations templates messages deploy audit bench faults lock clean venv dev bench-packages browser

run: venv
	@PORT='$(PORT)' exec $(PY) -m agentdesk.embedded

test: dev browser
	@CHROMIUM='$(CHROMIUM)' $(PY) -m pytest

# Take the pictures of the design system and the main pages anew, which the tests compare with. Look at them before you commit them.
screens: dev browser
	@SCREENS=renew CHROMIUM='$(CHROMIUM)' $(PY) -m pytest -n 1 -q tests/screens/test_screens.py

check: lint types imports migrations templates deploy audit

lint: dev
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

types: dev
	@$(CHECK_ENV) $(PY) -m mypy

imports: dev
	@$(CHECK_ENV) .venv/bin/lint-imports

migrations: dev
	@$(PY) -m tests.services $(PY) manage.py makemigrations --check --dry-run

templates: dev
	@$(PY) -m djlint --lint --quiet templates

# Brings the catalogues of translations up to date and compiles them; needs GNU gettext (Debian: apt-get install gettext).
messages: dev
	@$(CHECK_ENV) $(PY) -m tests.language.catalogue

# The system checks as a production installation meets them.
deploy: dev
	@$(CHECK_ENV) AGENTDESK_URL=https://desk.example.org BEHIND_PROXY=1 $(PY) manage.py check --deploy --fail-level WARNING

audit: dev
	@$(PY) .ci/audit.py

bench: dev bench-packages
	@$(PY) -m benchmarks

# All that may go wrong, at FAULTS_SCALE of its full size (1: about an hour); one line alone: make faults FAULTS=broker
faults: dev
	@FAULTS_SCALE='$(FAULTS_SCALE)' $(PY) -m tests.faults $(FAULTS)

browser:
	@if [ -z '$(CHROMIUM)' ] || [ ! -x '$(CHROMIUM)' ]; then \
	echo "make test needs Chromium for the browser tests: install it (Debian: apt-get install chromium), or set CHROMIUM=/path/to/it." >&2; exit 1; fi

# The virtual environment, with what requirements.lock says and nothing older. The copy of the lock in it says what it holds.
venv:
	@python=; \
	for name in $${PYTHON:-python3.13 python3.14 python3.12 python3}; do \
	  if "$$name" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info[:2] < (3, 15))' >/dev/null 2>&1; then python=$$name; break; fi; \
	done; \
	if ! $(PY) -c 'import sys; sys.exit(not (3, 12) <= sys.version_info[:2] < (3, 15))' >/dev/null 2>&1; then \
	  if [ -z "$$python" ]; then \
	    echo "AgentDesk needs Python 3.12, 3.13 or 3.14, and none was found: install one, or set PYTHON=/path/to/python3." >&2; exit 1; fi; \
	  if ! "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	    version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	    echo "$$python cannot make virtual environments: install that part (Debian, Ubuntu: apt-get install python$$version-venv)." >&2; exit 1; fi; \
	  echo "making .venv with $$python"; \
	  "$$python" -m venv --clear .venv || { echo "could not make .venv here: is the disk full or read-only?" >&2; exit 1; }; \
	fi
	@cmp -s requirements.lock .venv/requirements.lock || { \
	  echo "installing the packages of requirements.lock"; $(PIP) -r requirements.lock; $(COMPILE); cp requirements.lock .venv/; }

dev: venv
	@cmp -s requirements-dev.lock .venv/requirements-dev.lock || { \
	  echo "installing the packages of requirements-dev.lock"; $(PIP) -r requirements-dev.lock; $(COMPILE); cp requirements-dev.lock .venv/; }

# What only benchmarks import, in a folder of its own, which nothing else looks into: see benchmarks/agents/tau2_retail.py.
bench-packages: venv
	@cmp -s requirements-bench.lock .venv-bench/requirements-bench.lock || { \
	  echo "installing the packages of requirements-bench.lock into .venv-bench"; rm -rf .venv-bench; \
	  $(PIP) --target .venv-bench -r requirements-bench.lock; cp requirements-bench.lock .venv-bench/; }

# Writes the locks anew: the same pins for Linux and macOS and every Python we support. Addresses of package indexes stay out.
# Pins that still fit are kept; `make lock LOCK_OPTIONS=--upgrade` takes the newest. The benchmarks' lock holds what its .in names
# and nothing that those ask for themselves.
# The marker that all lines share says only that; it is cut to keep the lock readable.
lock:
	@tool=$$(mktemp -d); trap 'rm -rf "$$tool"' EXIT; \
	python3 -m venv "$$tool" && "$$tool/bin/python" -m pip --disable-pip-version-check install --quiet uv; \
	for name in requirements requirements-dev requirements-bench; do \
	  cp $$name.lock $$name.full; \
	  case $$name in requirements-bench) alone=--no-deps;; *) alone=;; esac; \
	  "$$tool/bin/uv" pip compile --quiet $(LOCK_OPTIONS) $$alone --universal --python-version 3.12 --generate-hashes --no-annotate --no-header \
	    --no-emit-index-url --no-emit-find-links -o $$name.full $$name.in; \
	  sed -E -e "s/ ; python_full_version < '3.15' and (implementation_name != '[Pp]y[Pp]y' and )?platform_python_implementation == 'CPython' and \(sys_platform == 'darwin' or sys_platform == 'linux'\)//" \
	    -e "s/ ; python_full_version < '3.15' and platform_python_implementation == 'CPython' and (sys_platform == '[a-z]+')/ ; \1/" $$name.full > $$name.lock; \
	  rm $$name.full; \
	done

# Everything that is made again by itself. The desk's data stay: remove .agentdesk (as root: /var/lib/agentdesk) by hand.
clean:
	@rm -rf .venv .venv-bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache test-results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
