#!/usr/bin/env python3
"""The context store through the whole program: rows that wait in it, batch mode, --memory-limit.

Usage: SDG=path/to/sdg [SEED=n] test_contexts.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import json
import os
import random
import re
import signal
import sys

from harness import Bench, Mock, Serve, check_indexes, children_of, equal, has, lacks, limit_file_size, main, summary

ROWS = 200
HEAD = """
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "@BASE@/v1", api_key: "@KEY@",
     request_defaults: {timeout_sec: @TIMEOUT@, retry: {max_attempts: @ATTEMPTS@, backoff: {base_ms: 1, factor: 1}}}}
globals: {const: {limit: 7}, vars: {seen: 0, text: "-"}}
blocks:
"""
# Everything a row can carry from one block to the next: outputs, variables, connections, random numbers, intermediates.
WIDE = HEAD + """
  - {type: logic, exec: 1, op: set, var: seen, value: {add: ["{n}", 1]}, outputs: [{name: S}]}
  - {type: ai, exec: 2, id: one, model: m, prompts: ["one {n} {S}"], outputs: [{name: A, select: full}], save_to: {vars: {text: A}}}
  - {type: logic, exec: 3, op: set, var: pick, value: {randint: {min: 1, max: 1000000}}, outputs: [{name: R}]}
  - {type: ai, exec: 4, id: two, model: m, run_if: {ne: [{mod: ["{n}", 3]}, 0]}, prompts: ["two {A} {R}"], outputs: [{name: B, select: full}]}
  - {type: end, exec: 5, run_if: {eq: [{mod: ["{n}", 5]}, 0]}, final: [{name: n, value: "{n}", type_hint: json}, {name: early, value: "{B}{R}"}]}
  - {type: ai, exec: 6, id: three, model: m, prompts: ["three {in} {text} {seen} {limit}"], outputs: [{name: C, select: full}]}
  - {type: end, exec: 7, final: [{name: n, value: "{n}", type_hint: json}, {name: c, value: "{C}|{B}|{R}"}], include_vars: [seen, text]}
connections: [{from: one, output: A, to: three, input: in}]
"""
SAME = HEAD + """
  - {type: ai, exec: 1, id: one, model: m, prompts: ["same {n}"], outputs: [{name: A, select: full}]}
  - {type: ai, exec: 2, id: two, model: m, prompts: ["same {n}"], outputs: [{name: B, select: full}]}
  - {type: ai, exec: 3, id: three, model: m, prompts: ["same {n}"], outputs: [{name: C, select: full}]}
  - {type: end, exec: 4, final: [{name: n, value: "{n}", type_hint: json}, {name: c, value: "{C}"}]}
"""
PYTHON = HEAD + """
  - {type: ai, exec: 1, id: one, model: m, prompts: ["one {n}"], outputs: [{name: A, select: full}]}
  - type: python
    exec: 2
    entrypoint: double
    inputs: {n: "{n}"}
    outputs: [D]
    function_code: |
      def double(ctx, n):
          ctx.set("seen", n * 2)
          return {"D": [n * 2, ctx.call_ai("m", prompts=["inner " + str(n)])]}
  - {type: ai, exec: 3, id: three, model: m, prompts: ["three {D}"], outputs: [{name: C, select: full}]}
  - {type: end, exec: 4, final: [{name: n, value: "{n}", type_hint: json}, {name: d, value: "{D}", type_hint: json}, {name: c, value: "{C}"}], include_vars: [seen]}
"""
BIG = HEAD + """
  - {type: logic, exec: 1, op: set, var: big, value: {join: [{map: {list: {range: [0, "{size}"]}, fn: "0123456789abcdef"}}, ""]}, outputs: [{name: B}]}
  - {type: ai, exec: 2, id: one, model: m, prompts: ["one {n}"], outputs: [{name: A, select: full}]}
  - {type: ai, exec: 3, id: two, model: m, prompts: ["two {n}"], outputs: [{name: C, select: full}]}
  - {type: end, exec: 4, final: [{name: n, value: "{n}", type_hint: json}, {name: len, value: {len: "{B}"}}, {name: c, value: "{A} {C}"}]}
"""
STORE = ("--enable-memory-optimization", "--max-cache-size", 3)


def plain(b, *flags, **more):
    """The rows of an ordinary run, in input order."""
    out = b.path("plain.jsonl")
    b.run("--max-concurrent", 32, "--ordered", "--seed", 5, *flags, output=out, **more)
    return b.rows(out)


def asked(log):
    """First words of the questions, in the order in which they came."""
    with open(log) as f:
        return [json.loads(line)["body"]["messages"][-1]["content"].split()[0] for line in f]


def kept(err):
    """What the store says at its end (--verbose): {"created": 3, ...}."""
    line = re.search(r"contexts: (.*)", err)
    assert line, err
    return {name: int(n) for n, name in re.findall(r"(\d+) ([a-z]+)", line.group(1))}


# ---- rows that wait in the store ----------------------------------------------------------------------------------

def test_the_same_results_in_every_way():
    for pipeline in (WIDE, PYTHON):
        with Mock() as mock, Bench(mock, ROWS, pipeline) as b:
            want = plain(b)
            check_indexes(want, ROWS)
            for way in ((), ("--workers", 2), ("--processes", 2)):
                b.run("--max-concurrent", 32, "--ordered", "--seed", 5, "--overwrite", *STORE, *way)
                equal(b.rows(), want, str(way))


def test_save_intermediate():
    with Mock() as mock, Bench(mock, 50, WIDE) as b:
        want = plain(b, "--save-intermediate")
        b.run("--max-concurrent", 16, "--ordered", "--seed", 5, "--save-intermediate", *STORE)
        equal(b.rows(), want)


def test_contexts_go_to_disk_and_come_back():
    with Mock("--latency-ms", 50) as mock, Bench(mock, ROWS, WIDE) as b:
        got = kept(b.run("--max-concurrent", 64, "--verbose", *STORE))
        check_indexes(b.rows(), ROWS)
        assert got["evictions"] > ROWS and got["loads"] > ROWS, got
        equal((got["cached"], got["spilled"], got["pinned"]), (0, 0, 0), str(got))
        equal([f for f in os.listdir(b.folder) if "contexts" in f], [], "files are left")


def test_off_by_default():
    with Mock() as mock, Bench(mock, 20, SAME) as b:
        lacks(b.run("--verbose"), "contexts:")


def test_a_worker_process_that_dies():
    for flags in (STORE, ("--batch-mode", "--max-batch", 32)):
        with Mock("--latency-ms", 30) as mock, Bench(mock, ROWS, WIDE) as b:
            want = plain(b)
            mock_before = mock.stats()["requests"]
            with b.start("--max-concurrent", 32, "--ordered", "--seed", 5, "--processes", 2, *flags) as p:
                mock.wait_requests(mock_before + 100)
                victim = random.choice(children_of(p.pid))
                os.kill(victim, signal.SIGKILL)
                p.ends(0)
            equal(b.rows(), want)
            # A call is made again only if it was under way when its worker died.
            most = len(want) * 3 + 32
            assert mock.stats()["requests"] - mock_before <= most, (mock.stats(), mock_before)


def test_no_file_is_left_by_a_kill():
    with Mock("--latency-ms", 100) as mock, Bench(mock, ROWS, BIG, extra=', "size": 1000') as b:
        with b.start("--max-concurrent", 64, *STORE) as p:
            mock.wait_requests(100)
            p.kill()
        equal(sorted(f for f in os.listdir(b.folder) if "contexts" in f), [])
        b.run("--max-concurrent", 64, *STORE)
        check_indexes(b.rows(), ROWS)


def test_a_full_disk_under_the_store():
    with Mock("--latency-ms", 20) as mock, Bench(mock, ROWS, BIG, extra=', "size": 20000') as b:
        err = b.run("--max-concurrent", 64, *STORE, code=4, preexec=limit_file_size(8 << 20))
        has(err, "no room", "--spill-dir")
        b.run("--max-concurrent", 64, *STORE)
        check_indexes(b.rows(), ROWS)


def test_a_wrong_spill_folder():
    with Mock() as mock, Bench(mock, 3, SAME) as b:
        has(b.run("--spill-dir", b.path("nowhere"), *STORE, code=4), "--spill-dir", "nowhere")
        b.run("--spill-dir", "/tmp", *STORE)


def test_calls_are_not_made_again():
    """Equal questions of one row keep their own answers: the journal counts them, wherever the row waits."""
    for flags in (STORE, ("--batch-mode",)):
        with Mock("--latency-ms", 20, "--answer", "{{nth}}") as mock, Bench(mock, ROWS, SAME) as b:
            for goal in (ROWS, 2 * ROWS, 3 * ROWS - 50):
                with b.start("--max-concurrent", 32, *flags) as p:
                    mock.wait_requests(goal)
                    p.kill()
            b.run("--max-concurrent", 32, *flags)
            check_indexes(b.rows(), ROWS)
            assert mock.stats()["requests"] <= 3 * ROWS + 3 * 64, mock.stats()


# ---- batch mode ---------------------------------------------------------------------------------------------------

def test_batch_mode_goes_block_by_block():
    for way in ((), ("--workers", 2), ("--processes", 2), ("--enable-memory-optimization", "--max-cache-size", 5)):
        with Bench() as folder:
            log = folder.path("log.jsonl")
            with Mock("--log", log) as mock, Bench(mock, ROWS, WIDE) as b:
                want = plain(b)
                count = len(asked(log))
                err = b.run("--batch-mode", "--max-batch", 16, "--seed", 5, *way)
                equal(b.rows(), want, "the results, in input order")
                order = asked(log)[count:]
                equal(order, sorted(order, key=["one", "two", "three"].index), "one block after the other")
                s = summary(err)
                equal((s["fine"], s["calls"], s["requests"]), (ROWS, len(order), len(order)))


def test_batch_mode_with_python():
    with Mock() as mock, Bench(mock, ROWS, PYTHON) as b:
        want = plain(b)
        for way in ((), ("--processes", 2)):
            b.run("--batch-mode", "--seed", 5, "--overwrite", *way)
            equal(b.rows(), want)


def test_batch_mode_without_calls():
    with Bench(rows=50, pipeline=HEAD + '  - {type: end, exec: 1, final: [{name: n, value: "{n}"}]}\n') as b:
        b.run("--batch-mode")
        equal([r["_row_index"] for r in b.rows()], list(range(50)))


def test_batch_mode_in_a_fleet():
    with Mock() as mock, Bench(mock, ROWS, WIDE) as b, Serve(b.folder) as serve:
        want = plain(b)
        with serve.worker("--name", "a"), serve.worker("--name", "b"), b.submit(serve, "--batch-mode", "--seed", 5) as job:
            job.ends(0)
        equal(b.rows(), want)


def test_batch_mode_keeps_bad_lines_in_their_place():
    with Mock() as mock, Bench(mock, 6, WIDE) as b:
        b.write("in.jsonl", '{"n": 0}\nnot json\n\n{"n": 2}\n[1]\n{"n": 4}\n{"n": 5\n')
        b.run("--batch-mode", "--seed", 5, code=1)
        rows = b.rows()
        equal([r["_row_index"] for r in rows], list(range(6)))
        equal(["_error" in r for r in rows], [False, True, False, True, False, True])
        has(rows[1]["_error"], "input line 2")
        has(rows[3]["_error"], "input line 5")


def test_batch_mode_with_failed_rows():
    rules = [{"match": {"contains": "two"}, "status": 400, "body": {"error": {"message": "no"}}}]
    with Bench() as r, Mock("--rules", r.write("rules.json", json.dumps(rules))) as mock, Bench(mock, 30, WIDE) as b:
        s = summary(b.run("--batch-mode", "--seed", 5, code=1))
        rows = b.rows()
        equal([row["_row_index"] for row in rows], list(range(30)))
        equal([row["_row_index"] for row in rows if "_error" in row], [n for n in range(30) if n % 3])
        equal((s["fine"], s["failed"]), (10, 20))


def test_batch_mode_stopped_and_continued():
    with Mock("--latency-ms", 20) as mock, Bench(mock, ROWS, SAME) as b:
        with b.start("--batch-mode", "--max-batch", 16) as p:
            mock.wait_requests(ROWS + 50)
            p.signal(signal.SIGINT)
            p.ends(5)
        equal(b.lines(), 0, "no row has come to its end")
        made = mock.stats()["requests"]
        s = summary(b.run("--batch-mode", "--max-batch", 16))
        equal((s["fine"], s["failed"]), (ROWS, 0))
        equal([r["_row_index"] for r in b.rows()], list(range(ROWS)))
        equal(mock.stats()["requests"], 3 * ROWS, "%d were made before" % made)


def test_batch_mode_lowers_its_concurrency_when_the_server_is_slow():
    with Mock("--latency-ms", 60) as mock, Bench(mock, 70, SAME) as b:
        err = b.run("--batch-mode", "--max-batch", 12, "--min-batch", 2, "--target-latency-ms", 30, "--verbose")
        sizes = [int(n) for n in re.findall(r"batch mode: (\d+) units instead of", err)]
        assert sizes and sizes == sorted(sizes, reverse=True) and sizes[-1] == 2, sizes
        most = mock.stats()["in_flight_max"]
        assert most <= 12, most


# ---- the limit ----------------------------------------------------------------------------------------------------

def test_memory_limit_with_rows_of_all_sizes():
    with Mock("--latency-ms", 5) as mock, Bench(mock, 0, HEAD + """
  - {type: ai, exec: 1, id: one, model: m, prompts: ["one {n}"], outputs: [{name: A, select: full}]}
  - {type: ai, exec: 2, id: two, model: m, prompts: ["two {n}"], outputs: [{name: C, select: full}]}
  - {type: end, exec: 3, final: [{name: n, value: "{n}", type_hint: json}, {name: text, value: "{text}"}]}
""") as b:
        sizes = [100, 100, 2000, 100, 50000, 100, 1 << 20, 300, 5 << 20, 100] * 6
        with open(b.input, "w") as f:
            for n, size in enumerate(sizes):
                f.write('{"n": %d, "text": "%s"}\n' % (n, ("%d." % n) * (size // len("%d." % n))))
        for way in ((), ("--processes", 2), ("--batch-mode",)):
            s = summary(b.run("--max-concurrent", 32, "--memory-limit", "64M", "--overwrite", *way))
            equal((s["fine"], s["failed"]), (len(sizes), 0))
            rows = b.rows()
            check_indexes(rows, len(sizes))
            for row in rows:
                n, size = row["n"], sizes[row["n"]]
                equal(row["_row_index"], n)
                assert row["text"] == ("%d." % n) * (size // len("%d." % n)), n


def test_a_row_that_is_too_large_fails_alone():
    with Mock() as mock, Bench(mock, 0, BIG) as b:
        with open(b.input, "w") as f:
            f.write('{"n": 0, "size": 1}\n{"n": 1, "size": 1, "text": "%s"}\n{"n": 2, "size": 900000}\n{"n": 3, "size": 1}\n' % ("x" * (3 << 20)))
        b.run("--memory-limit", "16M", "--ordered", code=1)
        rows = b.rows()
        equal([r["_row_index"] for r in rows], [0, 1, 2, 3])
        equal(["_error" in r for r in rows], [False, True, True, False])
        has(rows[1]["_error"], "input line 2", "--memory-limit", "raise it")
        has(rows[2]["_error"], "--memory-limit", "raise it")


def test_a_limit_that_is_no_size():
    with Bench(rows=1) as b:
        for word in ("many", "12X", "-1", "1k"):
            has(b.run("--memory-limit", word, code=2), "--memory-limit")


if __name__ == "__main__":
    sys.exit(main(globals()))
