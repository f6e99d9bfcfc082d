#!/usr/bin/env bash
# Measures a load of ROWS generated yellow rows against the limit, the server's own COPY of the same final rows from a
# binary file, and against the course's SQL, all on one server, in one run, in turn. Prints a table.
#
# The server is a new one of the machine's own Postgres with its default settings (15 or newer, for MERGE).
#
#   bench/run.sh [ROWS]            ROUNDS=3 by default; needs Postgres's programs and /usr/bin/time
set -euo pipefail
cd "$(dirname "$0")/.."

rows=${1:-4000000}
rounds=${ROUNDS:-3}
work=$(mktemp -d "${TMPDIR:-/tmp}/jitney-bench.XXXXXX")
chmod 755 "$work"
home=$work/home
[ -n "${JITNEY:-}" ] || make release >&2
jitney=${JITNEY:-${CARGO_TARGET_DIR:-target}/release/jitney}
programs=$(dirname "$(readlink -f "$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb | tail -1)")")

# Postgres refuses to run as root.
as_server() { if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi; }
stop() { as_server "$programs/pg_ctl" -D "$work/server/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"; }
trap stop EXIT

mkdir -m 777 "$work/server"
as_server "$programs/initdb" -D "$work/server/data" -U bench --auth trust >/dev/null
as_server "$programs/pg_ctl" -D "$work/server/data" -w -l "$work/server/log" -o "-k $work/server -p 54329" start >/dev/null
url=postgres://bench@127.0.0.1:54329/postgres

say() { echo "$*" >&2; }
sql() { psql "$url" -X -q -v ON_ERROR_STOP=1 "$@"; }
milliseconds() { awk '/^Time:/ {print $2}'; }
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

# Runs the flow on a month of the mirror; prints the load's milliseconds, the program's CPU seconds and peak MB.
load() {
    /usr/bin/time -f '%U %S %M' -o "$work/time" "$jitney" --home "$home" run flows/postgres_taxi.yaml --postgres "$url" --json \
        -i taxi=yellow -i year=2020 -i "month=$1" -i "source=$work/mirror" >"$work/result.json" 2>"$work/log"
    local seconds
    seconds=$(grep -o '"seconds":[0-9.]*' "$work/result.json" | tail -1 | cut -d: -f2)
    awk -v s="$seconds" '{printf "%d %.1f %d\n", s * 1000, $1 + $2, $3 / 1024}' "$work/time"
}

say "Making $rows rows …"
mkdir -p "$work/mirror/yellow"
month=$work/mirror/yellow/yellow_tripdata_2020-04.csv.gz
"$jitney" demo month "$month" --rows "$rows" >&2
sql -f sql/postgres/yellow_tripdata.sql

unzip=$( { /usr/bin/time -f %e gunzip -c "$month" >"$work/month.csv"; } 2>&1 | awk '{print $1 * 1000}')
load 04 >/dev/null
mkdir -m 777 "$work/shared"
sql -c "COPY public.yellow_tripdata TO '$work/shared/final.bin' WITH (FORMAT binary)"

for round in $(seq "$rounds"); do
    say "Round $round of $rounds …"
    sql -c "TRUNCATE public.yellow_tripdata" -c CHECKPOINT
    sql -c '\timing on' -c "COPY public.yellow_tripdata FROM '$work/shared/final.bin' WITH (FORMAT binary)" | milliseconds >>"$work/limit"
    sql -c "TRUNCATE public.yellow_tripdata" -c CHECKPOINT
    load 04 >>"$work/loads"
    paste -d' ' <(tail -1 "$work/loads" | cut -d' ' -f1) <(tail -1 "$work/limit") | awk '{printf "%.3f\n", $1 / $2}' >>"$work/ratios"
done

say "The course's SQL …"
sql -c "TRUNCATE public.yellow_tripdata" -c CHECKPOINT
psql "$url" -X -q -v ON_ERROR_STOP=1 -v csv="$work/month.csv" -f bench/course.sql | awk '/^[A-Z]+$/ {step = $1} /^Time:/ && step {print step, $2}' >"$work/course"

say "Memory with a quarter and with four times the rows …"
for pair in "03 $((rows / 4))" "05 $((rows * 4))"; do
    read -r number count <<<"$pair"
    "$jitney" demo month "$work/mirror/yellow/yellow_tripdata_2020-$number.csv.gz" --rows "$count" --month "$((10#$number))" >/dev/null
    sql -c "TRUNCATE public.yellow_tripdata"
    load "$number" | awk -v n="$count" '{print n, $3}' >>"$work/memory"
done

limit=$(median <"$work/limit")
load=$(cut -d' ' -f1 "$work/loads" | median)
course=$(awk -v unzip="$unzip" '{sum += $2} END {print sum + unzip}' "$work/course")
step() { awk -v step="$1" '$1 == step {sum += $2} END {printf "%.1f", sum / 1000}' "$work/course"; }
in_seconds() { awk -v ms="$1" 'BEGIN {printf "%.1f", ms / 1000}'; }
over() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }

cat <<TABLE
$rows rows, $(du -m "$work/month.csv" | cut -f1) MB of CSV, $(nproc) cores ($(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs)), $("$programs/postgres" --version | xargs) with default settings

| step | seconds | relative to the limit |
| --- | --- | --- |
| limit: the server's COPY of the final rows from a binary file | $(in_seconds "$limit") | 1.00 |
| jitney: gunzip, parse, key, COPY, ledger, commit | $(in_seconds "$load") | $(median <"$work/ratios") |
| course: COPY into staging | $(step COPY) | |
| course: UPDATE with key and file name | $(step UPDATE) | |
| course: MERGE into the empty target | $(step MERGE) | |
| course: gunzip and all three | $(in_seconds "$course") | $(over "$course" "$limit") |

Medians of $rounds rounds. jitney is $(over "$course" "$load") times as fast as the course's steps; its own CPU time is $(cut -d' ' -f2 "$work/loads" | median) s.
Peak memory of jitney: $(awk '{printf "%s MB for %d rows, ", $2, $1}' "$work/memory")$(cut -d' ' -f3 "$work/loads" | median) MB for $rows rows.
TABLE
