#!/usr/bin/env bash
# The call journal on against off: a pipeline of three calls at 200 ms latency; the bar is 0.98 of rows/s. Needs a built sdg.
#
# Usage: tests/bench/bench_journal.sh [ROWS] [IN_FLIGHT] [ROUNDS]     (4000 400 3)
#        SDG=path/to/sdg (build/sdg)   LATENCY_MS=200   FSYNC=batch
#
# Each round runs off, then on, against the same server; the figure is the median of the rounds' ratios. Exit code 1: below the bar.
set -euo pipefail
cd "$(dirname "$0")/../.."
SDG=${SDG:-build/sdg}
ROWS=${1:-4000} IN_FLIGHT=${2:-400} ROUNDS=${3:-3} LATENCY_MS=${LATENCY_MS:-200} FSYNC=${FSYNC:-batch}

folder=$(mktemp -d)
"$SDG" mock-llm --port 0 --port-file "$folder/port" --latency-ms "$LATENCY_MS" --quiet >/dev/null &
server=$!
trap 'kill $server 2>/dev/null || true; rm -rf "$folder"' EXIT
until [ -s "$folder/port" ]; do sleep 0.05; done
port=$(tr -dc 0-9 <"$folder/port")

cat >"$folder/p.yaml" <<YAML
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "http://127.0.0.1:$port/v1", api_key: none}
blocks:
  - {type: ai, exec: 1, id: one, model: m, prompts: ["one {n}"], outputs: [{name: A, select: full}]}
  - {type: ai, exec: 2, id: two, model: m, prompts: ["two {A}"], outputs: [{name: B, select: full}]}
  - {type: ai, exec: 3, id: three, model: m, prompts: ["three {B}"], outputs: [{name: C, select: full}]}
  - {type: end, exec: 4, final: [{name: c, value: "{C}"}]}
YAML
seq -f '{"n": %.0f}' "$ROWS" >"$folder/in.jsonl"

# once FLAG...: seconds of one run.
once() {
    local began ended
    began=$(date +%s.%N)
    "$SDG" run --yaml "$folder/p.yaml" --input "$folder/in.jsonl" --output "$folder/out.jsonl" --overwrite --quiet \
        --max-concurrent "$IN_FLIGHT" "$@" >&2
    ended=$(date +%s.%N)
    [ "$(wc -l <"$folder/out.jsonl")" -eq "$ROWS" ] || { echo "bench_journal.sh: rows are missing" >&2; exit 2; }
    awk "BEGIN {print $ended - $began}"
}

once --no-journal >/dev/null # the server's first connections
for ((round = 0; round < ROUNDS; round++)); do
    off=$(once --no-journal)
    on=$(once --journal --fsync "$FSYNC")
    awk -v off="$off" -v on="$on" -v rows="$ROWS" \
        'BEGIN {printf "off %.0f rows/s, on %.0f rows/s, ratio %.4f\n", rows / off, rows / on, off / on}' | tee -a "$folder/rounds"
done
awk '{print $NF}' "$folder/rounds" | sort -n | awk '{r[NR] = $1} END {m = r[int((NR + 1) / 2)]; printf "median ratio %.4f, bar 0.98\n", m; exit m < 0.98}'
