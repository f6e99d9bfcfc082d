#!/usr/bin/env bash
# Measures the server and the engine: starts a server on a free port with a home of its own, puts load on it, and prints
# a table of what it took. Everything runs on this machine and is removed afterwards.
#
#   bench/server.sh [PART ...]     all parts unless some are named: idle, schedules, flow, rate, history, loop, sweep
#                                  SECONDS_IDLE=60 by default; needs Python 3 (its standard library alone) and Linux
#
# CPU time is what the kernel counts for the process, so that it says the same on a busy machine; seconds of the clock do
# not. What else ran is printed next to them as the load average.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d "${TMPDIR:-/tmp}/jitney-server.XXXXXX")
trap 'rm -rf "$work"' EXIT
[ -n "${JITNEY:-}" ] || make release >&2
jitney=$(realpath "${JITNEY:-${CARGO_TARGET_DIR:-target}/release/jitney}")

python3 bench/server.py "$jitney" "$work" "$@"
