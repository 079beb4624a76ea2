#!/usr/bin/env python3
"""ctx.call_ai from start to end: several threads of the user's code ask at once, and Python ends while it asks.

Usage: SDG=path/to/sdg [SEED=n] test_call_ai.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import sys
import time

from harness import Bench, Mock, equal, main

HEAD = """
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "@BASE@/v1", api_key: "@KEY@", request_defaults: {timeout_sec: @TIMEOUT@, retry: {max_attempts: @ATTEMPTS@}}}
blocks:
"""
THREADS = HEAD + """
  - type: python
    exec: 1
    entrypoint: ask
    inputs: {n: "{n}"}
    outputs: [C]
    function_code: |
      import threading
      def ask(ctx, n):
          got = [None] * 4
          def one(i):
              for turn in range(2):
                  got[i] = ctx.call_ai("m", prompts=["%s %s %s" % (n, i, turn)])
          threads = [threading.Thread(target=one, args=(i,)) for i in range(len(got))]
          [t.start() for t in threads]
          [t.join() for t in threads]
          return {"C": ", ".join(got)}
  - {type: end, exec: 4, final: [{name: c, value: "{C}"}]}
"""
CUT_OFF = HEAD + """
  - type: python
    exec: 1
    entrypoint: ask
    timeout_ms: 300
    inputs: {n: "{n}"}
    outputs: [C]
    on_error: continue
    function_code: |
      def ask(ctx, n):
          return {"C": ctx.call_ai("m", prompts=["slow"])}
  - {type: ai, exec: 2, id: quick, model: m, prompts: ["quick {n}"], outputs: [{name: D, select: full}]}
  - {type: end, exec: 4, final: [{name: d, value: "{D}"}]}
"""


def test_threads_of_one_call_ask_at_once():
    with Mock("--latency", "lognormal:15:0.5") as mock, Bench(mock, 20, THREADS) as b:
        b.run("--max-concurrent", 8)
        for row in b.rows():
            n = row["_row_index"]
            equal(row["c"], ", ".join("echo[m]: %d %d 1" % (n, i) for i in range(4)))
        equal(len(b.rows()), 20)


def test_python_is_cut_off_while_it_asks():
    """The LLM call it waits for is given up, and its answer is not taken for that of the next block."""
    with Mock("--latency-ms", 900) as mock, Bench(mock, 6, CUT_OFF) as b:
        begun = time.monotonic()
        err = b.run("--max-concurrent", 6)
        assert time.monotonic() - begun < 60, err
        equal(sorted(row["d"] for row in b.rows()), ["echo[m]: quick %d" % n for n in range(6)])


if __name__ == "__main__":
    sys.exit(main(globals()))
