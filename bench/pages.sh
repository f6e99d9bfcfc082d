#!/usr/bin/env bash
# Measures the server's pages with much behind them: 100,000 executions, 10,000 partitions, a log of 1,000,000 lines. Starts
# a server on a free port with a home of its own, and prints a table. Everything is removed afterwards.
#
#   bench/pages.sh      needs Python 3 (its standard library alone) and Linux
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d "${TMPDIR:-/tmp}/jitney-pages.XXXXXX")
trap 'rm -rf "$work"' EXIT
[ -n "${JITNEY:-}" ] || make release >&2
jitney=$(realpath "${JITNEY:-${CARGO_TARGET_DIR:-target}/release/jitney}")

python3 bench/pages.py "$jitney" "$work"
