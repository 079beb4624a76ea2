#!/usr/bin/env bash
# From a fresh Debian 12 to a first result: installs what is missing, builds, starts the bundled simulated LLM server and
# runs a pipeline of two AI blocks over 1,224 real rows. No key, no GPU, no cost. Run it again as often as you like.
#
# Usage: deploy/quickstart.sh [flags for `sdg run`]
# With your own server instead of the simulated one (this will make 2,448 calls; try `--max-inputs 10` first):
#   SDG_BASE_URL=https://my-server/v1 SDG_MODEL=name SDG_API_KEY=key deploy/quickstart.sh --max-inputs 10
set -euo pipefail
cd "$(dirname "$0")/.."

LOG=build/quickstart.log
OUT=out/quickstart.jsonl
SDG=build/sdg
mock=""
folder=""

step() { printf '\n== %s\n' "$*"; }

fail() {
    echo "quickstart: $*" >&2
    exit 1
}

# Runs a command with its output in the log; shows the end of the log when it fails.
logged() {
    "$@" >>"$LOG" 2>&1 && return
    tail -n 30 "$LOG" >&2
    fail "\"$*\" failed; the whole output is in $LOG"
}

finish() {
    if [ -n "$mock" ]; then
        kill "$mock" 2>/dev/null || true
        wait "$mock" 2>/dev/null || true
    fi
    if [ -n "$folder" ]; then rm -rf "$folder"; fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

build() {
    mkdir -p build out
    : >"$LOG"
    logged cmake --preset release
    logged cmake --build build --target sdg -j "$(nproc)"
}

# Starts the simulated server on a free port: answers take about 0.3 s, some longer, as with a real model.
start_mock() {
    folder=$(mktemp -d)
    "$SDG" mock-llm --port 0 --port-file "$folder/port" --latency lognormal:300:0.5 \
        --rules deploy/examples/quickstart-rules.yaml --quiet >"$folder/stdout" 2>>"$LOG" &
    mock=$!
    for _ in $(seq 100); do
        [ -s "$folder/stdout" ] && break
        kill -0 "$mock" 2>/dev/null || { mock=""; tail -n 5 "$LOG" >&2; fail "the simulated server did not start"; }
        sleep 0.1
    done
    [ -s "$folder/stdout" ] || fail "the simulated server did not start within 10 s"
    SDG_BASE_URL="http://127.0.0.1:$(cat "$folder/port")"
    echo "simulated LLM server: $SDG_BASE_URL (its answers are canned; only the timing is realistic)"
}

step "1/4 packages"
./deploy/install-deps.sh build || fail "packages are missing, see above"
echo "all there"

step "2/4 build (the first time takes a minute or two)"
build
echo "built $SDG"

step "3/4 run: deploy/examples/quickstart.yaml over deploy/examples/data/places.jsonl"
[ -n "${SDG_BASE_URL:-}" ] || start_mock
export SDG_BASE_URL SDG_MODEL="${SDG_MODEL:-mock}" SDG_API_KEY="${SDG_API_KEY:-none}"
status=0
"$SDG" run --yaml deploy/examples/quickstart.yaml --input deploy/examples/data/places.jsonl --output "$OUT" \
    --max-concurrent 64 --overwrite "$@" || status=$?

step "4/4 results"
[ -s "$OUT" ] || fail "nothing was written to $OUT (exit code $status of sdg run, see its messages above)"
head -n 3 "$OUT"
echo "..."
echo "$(wc -l <"$OUT") rows are in $(pwd)/$OUT"
[ "$status" -eq 0 ] || fail "sdg run ended with exit code $status, see its messages above"
cat <<EOF
Next: \`sdg\` is $(pwd)/$SDG; in this shell: export PATH="$(pwd)/build:\$PATH" (or for everybody: sudo cmake --install build).
Then \`sdg init my-first\` writes a small pipeline of your own. Or point SDG_BASE_URL, SDG_MODEL and SDG_API_KEY at a real server.
EOF
