#!/usr/bin/env bash
# Runs the whole program under ThreadSanitizer with rows whose Python asks LLMs: 1,000 rows with 8 questions each at once, as coroutines and
# as threads, while processes are killed. SDG is the program (the tsan build); any report of TSan makes it exit non-zero. Last line: N passed,
# M failed.
set -uo pipefail
work=$(mktemp -d)
mock=
trap 'kill "$mock" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
passed=0 failed=0

verdict() { # NAME WANTED-CODE CODE
    if [ "$2" -eq "$3" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $1: exit code $3, wanted $2"; tail -n 40 "$work/log"; fi
}

cat >"$work/coroutines.yaml" <<'YAML'
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, api_key: k, base_url: "${ENV.BASE}", request_defaults: {retry: {backoff: {base_ms: 5}}}}
blocks:
  - type: python
    exec: 1
    inputs: {n: "{n}"}
    outputs: [R]
    function_code: |
      import asyncio
      async def main(ctx, n):
          return {"R": await asyncio.gather(*[ctx.acall_ai("m", None, "%d.%d" % (n, i)) for i in range(8)])}
  - {type: end, exec: 2, final: [{name: r, value: "{R}", type_hint: json}]}
YAML
cat >"$work/function.txt" <<'PYTHON'
      from concurrent.futures import ThreadPoolExecutor
      def main(ctx, n):
          with ThreadPoolExecutor(8) as pool:
              return {"R": list(pool.map(lambda i: ctx.call_ai("m", None, "%d.%d" % (n, i)), range(8)))}
PYTHON
sed -e "/import asyncio/r $work/function.txt" -e '/import asyncio/d; /async def/d; /asyncio.gather/d' "$work/coroutines.yaml" >"$work/threads.yaml"
rows() { for i in $(seq 0 $(($1 - 1))); do echo "{\"n\": $i}"; done; }
rows 1000 >"$work/in.jsonl"
rows 200 >"$work/few.jsonl"
cat >"$work/check.py" <<'PYTHON'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
good = {r["_row_index"] for r in rows if r.get("r") == ["echo[m]: %d.%d" % (r["_row_index"], i) for i in range(8)]}
sys.exit(not (len(rows) == len(good) == int(sys.argv[2])))
PYTHON

"$SDG" mock-llm --port 0 --port-file "$work/port" --quiet --latency-ms 20 --fail 500=0.02,429=0.02 --seed 7 >/dev/null 2>"$work/mock.log" &
mock=$!
for _ in $(seq 100); do [ -s "$work/port" ] && break; sleep 0.05; done
export BASE="http://127.0.0.1:$(cat "$work/port")"

ask() { # NAME PIPELINE INPUT ROWS FLAGS...
    local name=$1 yaml=$2 input=$3 count=$4
    shift 4
    "$SDG" run --yaml "$work/$yaml.yaml" --input "$work/$input.jsonl" --output "$work/out.jsonl" --overwrite "$@" >"$work/log" 2>&1
    verdict "$name" 0 $?
    python3 "$work/check.py" "$work/out.jsonl" "$count"
    verdict "$name: each row has its answers" 0 $?
}

# The Python hosts below the run in $1.
hosts() {
    local child
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
        grep -qs sdg-python-host "/proc/$child/cmdline" && echo "$child"
        hosts "$child"
    done
}

ask "coroutines" coroutines in 1000 --max-concurrent 64
ask "threads" threads few 200 --workers 2 --max-concurrent 64
ask "with a journal" coroutines few 200 --journal
ask "with a context store" coroutines few 200 --enable-memory-optimization --max-cache-size 4
ask "with a memory limit" threads few 200 --memory-limit 64M
ask "few units" coroutines few 200 --max-concurrent 3 --python-workers 1

# A process is killed now and then: its row begins once more.
"$SDG" run --yaml "$work/coroutines.yaml" --input "$work/in.jsonl" --output "$work/out.jsonl" --overwrite --journal --max-concurrent 64 >"$work/log" 2>&1 &
run=$!
while kill -0 "$run" 2>/dev/null; do
    sleep 0.5
    victim=$(hosts "$run" | shuf -n 1)
    [ -n "$victim" ] && kill -KILL "$victim" 2>/dev/null
done
wait "$run"
verdict "processes are killed" 0 $?
python3 "$work/check.py" "$work/out.jsonl" 1000
verdict "each row has its answers although processes were killed" 0 $?

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
