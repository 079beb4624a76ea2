#!/usr/bin/env bash
# Runs the whole program under ThreadSanitizer: several worker threads, retries, an ordered output, a drain in the middle and the run that
# continues it. SDG is the program (the tsan build); any report of TSan makes it exit non-zero. Last line: N passed, M failed.
set -uo pipefail
work=$(mktemp -d)
mock=
trap 'kill "$mock" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
passed=0 failed=0

verdict() { # NAME WANTED-CODE CODE
    if [ "$2" -eq "$3" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $1: exit code $3, wanted $2"; cat "$work/log"; fi
}

python3 - >"$work/in.jsonl" <<'PY'
for i in range(3000):
    print('{"q": "row %d"}' % i)
PY
cat >"$work/p.yaml" <<'YAML'
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, api_key: k, base_url: "${ENV.BASE}", request_defaults: {retry: {backoff: {base_ms: 5}}}}
blocks:
  - {type: ai, exec: 1, model: m, prompts: ["{q}"], outputs: [{name: A, select: full}]}
  - {type: logic, exec: 2, op: for, list: [1, 2, 3], map: "{item}{A}", outputs: [{name: L, from: list}]}
  - {type: end, exec: 3, final: [{name: a, value: "{L}"}]}
YAML
"$SDG" mock-llm --port 0 --port-file "$work/port" --quiet --latency-ms 20 --fail 500=0.05,empty=0.002 --seed 7 >/dev/null 2>"$work/mock.log" &
mock=$!
for _ in $(seq 100); do [ -s "$work/port" ] && break; sleep 0.05; done
export BASE="http://127.0.0.1:$(cat "$work/port")"

"$SDG" run --yaml "$work/p.yaml" --input "$work/in.jsonl" --output "$work/a.jsonl" --max-concurrent 64 --workers 3 >"$work/log" 2>&1
verdict "three worker threads" 0 $?
"$SDG" run --yaml "$work/p.yaml" --input "$work/in.jsonl" --output "$work/b.jsonl" --max-concurrent 64 --workers 2 --ordered >"$work/log" 2>&1
verdict "ordered" 0 $?

"$SDG" run --yaml "$work/p.yaml" --input "$work/in.jsonl" --output "$work/c.jsonl" --max-concurrent 16 --workers 2 >"$work/log" 2>&1 &
run=$!
for _ in $(seq 200); do [ "$(wc -l <"$work/c.jsonl" 2>/dev/null || echo 0)" -gt 50 ] && break; sleep 0.05; done
kill -INT "$run"
wait "$run"
verdict "a drain" 5 $?
"$SDG" run --yaml "$work/p.yaml" --input "$work/in.jsonl" --output "$work/c.jsonl" --max-concurrent 64 >"$work/log" 2>&1
verdict "the run that continues it" 0 $?
cmp -s <(sort "$work/a.jsonl") <(sort "$work/c.jsonl")
verdict "same rows" 0 $?

# Two calls per row: the call journal, its store and its syncer; a drain and the run that finds what was kept.
sed 's/exec: 3, final/exec: 4, final/; s/^  - {type: end/  - {type: ai, exec: 3, model: m, prompts: ["again {A}"], outputs: [{name: B, select: full}]}\n&/' "$work/p.yaml" >"$work/two.yaml"
head -n 600 "$work/in.jsonl" >"$work/few.jsonl"
"$SDG" run --yaml "$work/two.yaml" --input "$work/few.jsonl" --output "$work/d.jsonl" --max-concurrent 16 --workers 2 >"$work/log" 2>&1 &
run=$!
for _ in $(seq 200); do [ "$(wc -l <"$work/d.jsonl" 2>/dev/null || echo 0)" -gt 50 ] && break; sleep 0.05; done
kill -INT "$run" && kill -INT "$run"
wait "$run"
verdict "two calls, ended at once" 5 $?
"$SDG" run --yaml "$work/two.yaml" --input "$work/few.jsonl" --output "$work/d.jsonl" --max-concurrent 64 --workers 2 --fsync always >"$work/log" 2>&1
verdict "the run that finds them" 0 $?
[ ! -e "$work/d.jsonl.journal" ]
verdict "no journal is left" 0 $?

# Rows that wait in the context store, also on disk; batch mode; the scheduler and the store speak, too.
for flags in "--enable-memory-optimization --max-cache-size 4" "--batch-mode --max-batch 32" "--memory-limit 16M --batch-mode"; do
    # shellcheck disable=SC2086  # several words
    "$SDG" run --yaml "$work/two.yaml" --input "$work/few.jsonl" --output "$work/e.jsonl" --overwrite --max-concurrent 64 --workers 3 \
        --metrics-listen 127.0.0.1:0 $flags >"$work/log" 2>&1
    verdict "$flags" 0 $?
    cmp -s <(sort "$work/d.jsonl") <(sort "$work/e.jsonl")
    verdict "the same rows with $flags" 0 $?
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
