#!/usr/bin/env bash
# Measures CSV.gz to Parquet, ROWS generated yellow rows with typed columns: jitney's polars.transform against DuckDB
# doing the same, in turn, in one run. Prints a table: whole processes, medians.
#
#   bench/parquet.sh [ROWS]        ROUNDS=3 by default; needs Python (for DuckDB's package from PyPI) and /usr/bin/time
set -euo pipefail
cd "$(dirname "$0")/.."

rows=${1:-4000000}
rounds=${ROUNDS:-3}
work=$(mktemp -d "${TMPDIR:-/tmp}/jitney-parquet.XXXXXX")
trap 'rm -rf "$work"' EXIT
[ -n "${JITNEY:-}" ] || make release >&2
jitney=${JITNEY:-${CARGO_TARGET_DIR:-target}/release/jitney}

python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet duckdb >&2
"$jitney" demo month "$work/month.csv.gz" --rows "$rows" >&2

cat >"$work/flow.yaml" <<'FLOW'
id: parquet
namespace: bench
tasks:
  - id: convert
    type: polars.transform
    from: month.csv.gz
    to: month.parquet
    schema:
      tpep_pickup_datetime: timestamp
      tpep_dropoff_datetime: timestamp
      passenger_count: bigint
      payment_type: bigint
      trip_distance: float
      fare_amount: float
      extra: float
      mta_tax: float
      tip_amount: float
      tolls_amount: float
      improvement_surcharge: float
      total_amount: float
      congestion_surcharge: float
FLOW
cat >"$work/duck.py" <<'DUCK'
import sys

import duckdb

floats = "trip_distance fare_amount extra mta_tax tip_amount tolls_amount improvement_surcharge total_amount congestion_surcharge"
types = {"tpep_pickup_datetime": "TIMESTAMP", "tpep_dropoff_datetime": "TIMESTAMP", "passenger_count": "BIGINT",
         "payment_type": "BIGINT"} | {name: "DOUBLE" for name in floats.split()}
texts = "VendorID RatecodeID store_and_fwd_flag PULocationID DOLocationID"
types |= {name: "VARCHAR" for name in texts.split()}
source, target = sys.argv[1:]
duckdb.sql(f"COPY (SELECT * FROM read_csv('{source}', header = true, types = {types})) TO '{target}' "
           "(FORMAT parquet, COMPRESSION zstd)")
DUCK

measure() {
  local name=$1
  shift
  /usr/bin/time -f '%e %U %S %M' -o "$work/time" "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; exit 1; }
  tail -n 1 "$work/time" | awk '{printf "%s %.1f %d\n", $1, $2 + $3, $4 / 1024}' >>"$work/$name"
}

for _ in $(seq "$rounds"); do
  rm -rf "$work/home" "$work/duck.parquet"
  measure jitney "$jitney" --home "$work/home" run "$work/flow.yaml"
  measure duckdb "$work/venv/bin/python" "$work/duck.py" "$work/month.csv.gz" "$work/duck.parquet"
done

count() { "$work/venv/bin/python" -c "import duckdb, sys; print(duckdb.sql(f\"SELECT count(*), round(sum(total_amount) * 100) FROM '{sys.argv[1]}'\").fetchall()[0])" "$1"; }
ours=$(find "$work/home/storage" -name month.parquet)
held=$(count "$ours")
[ "$held" = "$(count "$work/duck.parquet")" ] || { echo "the two files differ" >&2; exit 1; }
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
column() { cut -d' ' -f"$2" "$work/$1" | median; }
size() { du -m "$1" | cut -f1; }

cat <<TABLE
$rows rows, $(size "$work/month.csv.gz") MB of CSV.gz, $(nproc) cores ($(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs))

| CSV.gz to Parquet | seconds | CPU seconds | peak MB | Parquet MB |
| --- | --- | --- | --- | --- |
| jitney (polars.transform) | $(column jitney 1) | $(column jitney 2) | $(column jitney 3) | $(size "$ours") |
| DuckDB $("$work/venv/bin/python" -c 'import duckdb; print(duckdb.__version__)') | $(column duckdb 1) | $(column duckdb 2) | $(column duckdb 3) | $(size "$work/duck.parquet") |

Medians of $rounds rounds. jitney takes $(awk -v a="$(column jitney 1)" -v b="$(column duckdb 1)" 'BEGIN {printf "%.2f", a / b}') times as long as DuckDB.
TABLE
