# What there is to do:
#
#   make demo         build, then the main job end to end: needs no Postgres, no internet once built, no prompts
#   make demo-elt     the same, through Cloud Storage into BigQuery, on emulators of both
#   make test         all tests
#   make emulators    install Google Cloud's emulators for the tests, once (`make test` does it by itself)
#   make release      build the program as it is published, target/release/jitney: faster, and much longer to build
#   make wheel        build the release program into a Python package, dist/jitney-*.whl; needs Python and its venv
#   make archive      the same program as dist/jitney-*.tar.gz with its checksum
#   make image        a Docker image of that archive
#   make check        clippy and the formatter, warnings as errors
#   make assets       build the files that the server's pages load; needs Node
#   make bench        loads side by side with plain Postgres, measured
#   make clean-demo   delete the demo's files and, after a question, the private Postgres with all its data
#
# Only Rust, a C compiler (for SQLite) and make are needed. Demo and tests share one profile, so that dependencies
# are built once.

SHELL := bash
.DEFAULT_GOAL := build
.PHONY: archive assets build demo demo-elt test emulators check bench clean-demo image release tools wheel

export PATH := $(PATH):$(HOME)/.cargo/bin
TARGET := $(or $(CARGO_TARGET_DIR),target)
STATE := $(or $(JITNEY_HOME),$(or $(XDG_DATA_HOME),$(HOME)/.local/share)/jitney)

build: tools
	@[ -e $(TARGET)/jitney ] || echo "Building jitney, once: 10 to 15 minutes on two idle cores"
	@cargo build
	@ln -f $(TARGET)/debug/jitney $(TARGET)/jitney

demo: build
	@echo "To have \`jitney\` at hand in this shell:  export PATH=\"$(abspath $(TARGET)):\$$PATH\""
	@$(TARGET)/jitney demo
	@echo; echo "This build is not optimised; the program of \`make release\`, which takes far longer to build, loads about 4 times as fast."

demo-elt: build
	@folder="$(abspath $(TARGET))/tmp/emulators-demo"; trap 'tests/emulators/run stop "$$folder"' EXIT; \
	variables="$$(tests/emulators/run start "$$folder")" && env $$variables $(TARGET)/jitney demo --elt

# Ends with the sum of all test programs' results, whatever they were.
test: tools
	@set -o pipefail; log="$$(mktemp)"; code=0; \
	trap 'rm -f "$$log"; tests/emulators/run stop "$(abspath $(TARGET))/tmp/emulators"' EXIT; \
	cargo test --no-fail-fast 2>&1 | tee "$$log" || code=$$?; \
	awk '/^test result:/ { passed += $$4; failed += $$6 } \
	  END { printf "\n%d passed, %d failed\n", passed, failed }' "$$log"; \
	exit "$$code"

emulators:
	@tests/emulators/run install

check: tools
	@cargo clippy --all-targets -- -D warnings
	@cargo fmt --check

assets:
	@cd src/server/pages/assets && npm ci --no-audit --no-fund --silent && npm run build --silent

release: tools
	@cargo build --release

# On Linux, zig's linker makes the program run on any distribution with glibc 2.17 or newer (manylinux_2_17).
wheel: tools
	@packaging/wheel dist

archive: wheel
	@packaging/archive dist

image: archive
	@docker build --build-arg PROGRAM=archive --tag jitney .

bench: tools
	@bench/run.sh

clean-demo: build
	@$(TARGET)/jitney postgres destroy
	@rm -rf "$(STATE)/demo"

tools:
	@command -v cargo >/dev/null || { echo "Rust is missing: install it from https://rustup.rs and try again." >&2; exit 1; }
	@command -v cc >/dev/null || { echo "A C compiler is missing: install it and try again" \
	  "(Debian and Ubuntu: apt-get install build-essential; macOS: xcode-select --install)." >&2; exit 1; }
