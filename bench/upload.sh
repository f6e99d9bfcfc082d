#!/usr/bin/env bash
# Measures an upload of MEGABYTES of noise to a Cloud Storage emulator against curl sending the same file to the same
# server over the same protocol, in turn, in one run. Prints a table: whole processes, best and median.
#
#   bench/upload.sh [MEGABYTES]        ROUNDS=5 by default; needs curl and /usr/bin/time
set -euo pipefail
cd "$(dirname "$0")/.."

megabytes=${1:-500}
rounds=${ROUNDS:-5}
work=$(mktemp -d "${TMPDIR:-/tmp}/jitney-upload.XXXXXX")
[ -n "${JITNEY:-}" ] || make release >&2
jitney=${JITNEY:-${CARGO_TARGET_DIR:-target}/release/jitney}
trap 'tests/emulators/run stop "$work/emulators"; rm -rf "$work"' EXIT

eval "$(tests/emulators/run start "$work/emulators" | sed 's/^/export /')"
objects="$STORAGE_EMULATOR_HOST/storage/v1/b/bench/o"
curl -sf -o "$work/answer" "$STORAGE_EMULATOR_HOST/storage/v1/b?project=bench" -H 'Content-Type: application/json' -d '{"name": "bench"}'
head -c "$((megabytes * 1000 * 1000))" /dev/urandom >"$work/file"
cat >"$work/flow.yaml" <<'FLOW'
id: upload
namespace: bench
tasks:
  - id: upload
    type: gcs.upload
    from: file
    to: gs://bench/file
FLOW

# Runs a command; adds its seconds and peak MB to a file.
measure() {
  local name=$1
  shift
  curl -s -o "$work/answer" -X DELETE "$objects/file"
  /usr/bin/time -f '%e %M' -o "$work/time" "$@"
  tail -n 1 "$work/time" >>"$work/$name"
}

# A session, then all bytes in one request, as Google documents it.
with_curl() {
  local session
  session=$(curl -sf -o "$work/answer" -D - -X POST "$STORAGE_EMULATOR_HOST/upload/storage/v1/b/bench/o?uploadType=resumable&name=file" |
    awk 'tolower($1) == "location:" { sub(/\r/, "", $2); print $2 }')
  curl -sf -o "$work/answer" -T "$work/file" "$session"
}
export -f with_curl
export STORAGE_EMULATOR_HOST work

for _ in $(seq "$rounds"); do
  measure curl bash -c with_curl
  measure jitney "$jitney" --home "$work/home" run "$work/flow.yaml" --json >"$work/result.json" 2>"$work/log"
  grep -q '"uploaded":1' "$work/result.json" || { cat "$work/log" >&2; exit 1; }
done

row() {
  sort -n "$work/$1" | awk -v name="$1" -v mb="$megabytes" '
    { seconds[NR] = $1; if ($2 > peak) peak = $2 }
    END { printf "%-8s %8.2f %8.2f %9.0f %9.0f\n", name, seconds[1], seconds[int((NR + 1) / 2)], mb / seconds[int((NR + 1) / 2)], peak / 1024 }'
}
printf '%-8s %8s %8s %9s %9s\n' "$megabytes MB" best median MB/s "peak MB"
row curl
row jitney
