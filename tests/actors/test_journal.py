#!/usr/bin/env python3
"""The call journal: whatever is killed, an LLM call that was finished is not made again; counted at the server.

Usage: SDG=path/to/sdg [SEED=n] test_journal.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import json
import os
import random
import signal
import subprocess
import sys

from harness import ECHO, RUN_S, SDG, Bench, Mock, Serve, check_indexes, children_of, alive, equal, has, lacks, limit_file_size, main, summary, wait_for

ROWS = 300
AT_ONCE = 16
LATENCY = ("--latency", "lognormal:30:0.5")

HEAD = """
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "@BASE@/v1", api_key: "@KEY@",
     request_defaults: {timeout_sec: @TIMEOUT@, retry: {max_attempts: @ATTEMPTS@, backoff: {base_ms: 1, factor: 1}}}}
blocks:
"""
THREE = HEAD + """
  - {type: ai, exec: 1, id: one, model: m, prompts: ["one {n}"], outputs: [{name: A, select: full}]}
  - {type: ai, exec: 2, id: two, model: m, prompts: ["two {A}"], outputs: [{name: B, select: full}]}
  - {type: ai, exec: 3, id: three, model: m, prompts: ["three {B}"], outputs: [{name: C, select: full}]}
  - {type: end, exec: 4, final: [{name: n, value: "{n}", type_hint: json}, {name: c, value: "{C}"}]}
"""
SAME = HEAD + """
  - {type: ai, exec: 1, id: one, model: m, prompts: ["same {n}"], outputs: [{name: A, select: full}]}
  - {type: ai, exec: 2, id: two, model: m, prompts: ["same {n}"], outputs: [{name: B, select: full}]}
  - {type: ai, exec: 3, id: three, model: m, prompts: ["same {n}"], outputs: [{name: C, select: full}]}
  - {type: end, exec: 4, final: [{name: n, value: "{n}", type_hint: json}, {name: c, value: "{C}"}]}
"""
PYTHON = HEAD + """
  - type: python
    exec: 1
    entrypoint: ask
    inputs: {n: "{n}"}
    outputs: [C]
    function_code: |
      def ask(ctx, n):
          text = "one " + str(n)
          for word in ("two ", "three "):
              text = word + ctx.call_ai("m", prompts=[text])
          return {"C": ctx.call_ai("m", prompts=[text])}
  - {type: end, exec: 4, final: [{name: n, value: "{n}", type_hint: json}, {name: c, value: "{C}"}]}
"""
PICKY = HEAD + """
  - {type: ai, exec: 1, id: one, model: m, prompts: ["one {n}"], outputs: [{name: A, select: full}]}
  - {type: ai, exec: 2, id: two, model: m, prompts: ["two {A}"], outputs: [{name: B, select: full}]}
  - type: python
    exec: 3
    entrypoint: check
    ctx_access: [get]
    inputs: {n: "{n}", b: "{B}"}
    outputs: [C]
    function_code: |
      def check(ctx, n, b):
          if n % 8 == 0:
              raise ValueError("not this one")
          return {"C": b}
  - {type: end, exec: 4, final: [{name: n, value: "{n}", type_hint: json}, {name: c, value: "{C}"}]}
"""


def chained(n):
    return "echo[m]: three echo[m]: two echo[m]: one %d" % n


def check(b, answer=chained):
    rows = b.rows()
    check_indexes(rows, b.count)
    for row in rows:
        equal(row, {"_row_index": row["_row_index"], "n": row["_row_index"], "c": answer(row["_row_index"])})


def journal(b):
    return b.output + ".journal"


def tool(*words, code=0):
    done = subprocess.run([SDG, "journal", *words], capture_output=True, timeout=RUN_S)
    equal(done.returncode, code, done.stderr.decode())
    return done.stdout.decode() if code == 0 else done.stderr.decode()


def run_and_kill(b, mock, goal, *flags, concurrent=AT_ONCE):
    """Starts a run and kills it when the server has had `goal` requests in all; True when it was killed in time."""
    with b.start("--max-concurrent", concurrent, *flags) as p:
        wait_for(lambda: p.proc.poll() is not None or mock.stats()["requests"] >= goal, "%d requests" % goal)
        children = children_of(p.pid)
        killed = p.proc.poll() is None
        p.kill()
        wait_for(lambda: not any(map(alive, children)), "the end of the killed run's children")
        return killed


def kill_and_rerun(times, *flags, pipeline=THREE, answer=chained):
    """Kills at random points, then runs to the end. Finished calls are not made again: only those in flight when it was killed."""
    with Mock(*LATENCY) as mock, Bench(mock, ROWS, pipeline) as b:
        calls, kills = ROWS * 3, 0
        for goal in sorted(random.sample(range(5, calls - 100), times)):
            kills += run_and_kill(b, mock, max(goal, mock.stats()["requests"] + 5), *flags)
        err = b.run("--max-concurrent", AT_ONCE, *flags)
        check(b, answer)
        allowed = calls * 1.01 + kills * AT_ONCE
        assert mock.stats()["requests"] <= allowed, "%d requests, %d allowed\n%s" % (mock.stats()["requests"], allowed, err)
        assert kills >= 1
        assert not os.path.exists(journal(b)), "the journal of a complete job is still there"


def test_run_killed_at_random_points():
    kill_and_rerun(8)


def test_a_submitted_job_whose_client_is_killed():
    """The journal lies with the client; the workers of the fleet reach it there, and stop at it when it is gone."""
    with Mock(*LATENCY) as mock, Bench(mock, ROWS, THREE) as b, Serve(b.folder) as serve, serve.worker("--name", "a"), serve.worker("--name", "b"):
        with b.submit(serve, "--max-concurrent", AT_ONCE) as p:
            mock.wait_requests(400)
            p.kill()
        with b.submit(serve, "--max-concurrent", AT_ONCE) as p:
            p.ends(0)
        check(b)
        assert mock.stats()["requests"] <= ROWS * 3 * 1.01 + 3 * AT_ONCE, mock.stats()["requests"]
        assert not os.path.exists(journal(b)), "the journal of a complete job is still there"


def test_one_row_after_the_other_the_bound_is_one_percent():
    """One call in flight and few kills: almost nothing may be paid twice."""
    rows, kills = 200, 4
    with Mock("--latency-ms", 1) as mock, Bench(mock, rows, THREE) as b:
        for goal in sorted(random.sample(range(5, rows * 3 - 100), kills)):
            run_and_kill(b, mock, goal, concurrent=1)
        b.run("--max-concurrent", 1)
        check(b)
        assert mock.stats()["requests"] <= rows * 3 * 1.01, mock.stats()["requests"]


def test_processes_killed_with_their_parent():
    kill_and_rerun(4, "--processes", 2)


def test_threads_and_every_policy():
    kill_and_rerun(2, "--workers", 2, "--fsync", "always")
    kill_and_rerun(2, "--fsync", "never")
    kill_and_rerun(2, "--ordered")


def test_the_same_question_several_times_in_a_row():
    kill_and_rerun(4, pipeline=SAME, answer=lambda n: "echo[m]: same %d" % n)


def test_calls_of_python_blocks():
    kill_and_rerun(2, pipeline=PYTHON)


def test_failed_calls_are_made_again_and_the_others_are_found():
    with Mock(*LATENCY, "--fail", "500=0.2") as mock, Bench(mock, 100, THREE) as b:
        run_and_kill(b, mock, 150)
        b.run("--max-concurrent", AT_ONCE)
        check(b)
        stats = mock.stats()
        assert stats["injected"]["500"] > 0
        assert stats["requests"] - stats["injected"]["500"] <= 300 + AT_ONCE, stats


def test_worker_processes_killed():
    """--processes: rows of a killed worker go on with the calls it has finished."""
    with Mock(*LATENCY) as mock, Bench(mock, ROWS, THREE) as b, b.start("--max-concurrent", AT_ONCE, "--processes", 2) as p:
        kills = 2  # at the third death in a row a row is given up
        for goal in sorted(random.sample(range(20, ROWS - 60), kills)):
            b.wait_lines(goal)
            victims = wait_for(lambda: children_of(p.pid), "worker processes")
            os.kill(random.choice(victims), signal.SIGKILL)
        has(p.ends(0), "killed by signal 9")
        check(b)
        assert mock.stats()["requests"] <= ROWS * 3 * 1.01 + kills * AT_ONCE, mock.stats()["requests"]


def test_found_answers_make_no_request_and_are_said():
    with Mock(*LATENCY) as mock, Bench(mock, ROWS, THREE) as b:
        run_and_kill(b, mock, 400)
        made = mock.stats()["requests"]
        err = b.run("--max-concurrent", AT_ONCE)
        has(err, "are in the journal and are not made again")
        numbers = summary(err)
        equal(numbers["requests"], mock.stats()["requests"] - made)
        assert numbers["calls"] > numbers["requests"], numbers


def test_a_changed_prompt_misses_and_the_others_are_found():
    with Mock(*LATENCY) as mock, Bench(mock, 100, THREE) as b:
        run_and_kill(b, mock, 150)
        wait_for(lambda: mock.stats()["in_flight"] == 0, "quiet")
        done = {row["_row_index"] for row in b.rows()}
        kept = [c for c in map(json.loads, tool("export", journal(b)).splitlines()) if c["row"] not in done and " three " not in c["answer"]]
        made = mock.stats()["requests"]
        assert done and kept
        b.write_pipeline(THREE.replace("three {B}", "last {B}"))
        b.run("--max-concurrent", AT_ONCE, code=4)
        b.run("--max-concurrent", AT_ONCE, "--force-resume")
        check(b, lambda n: chained(n).replace("three", "three" if n in done else "last"))
        equal(mock.stats()["requests"] - made, 3 * (100 - len(done)) - len(kept))


def test_overwrite_starts_without_old_answers():
    with Mock(*LATENCY) as mock, Bench(mock, 50, THREE) as b:
        run_and_kill(b, mock, 60)
        wait_for(lambda: mock.stats()["in_flight"] == 0, "quiet")
        made = mock.stats()["requests"]
        b.run("--max-concurrent", AT_ONCE, "--overwrite")
        equal(mock.stats()["requests"] - made, 150)
        run_and_kill(b, mock, mock.stats()["requests"] + 60, "--overwrite")
        assert os.path.exists(journal(b))
        b.run("--max-concurrent", AT_ONCE, "--overwrite", "--no-journal")
        assert not os.path.exists(journal(b)), "answers of a run that was thrown away"


def test_a_torn_record_is_cut():
    with Mock(*LATENCY) as mock, Bench(mock, 100, THREE) as b:
        run_and_kill(b, mock, 100)
        with open(journal(b), "r+b") as f:
            f.truncate(os.path.getsize(journal(b)) - 3)
        has(b.run("--max-concurrent", AT_ONCE), "middle of a record")
        check(b)


def test_one_call_per_row_has_no_journal():
    with Mock(*LATENCY) as mock, Bench(mock, 100, ECHO) as b:
        run_and_kill(b, mock, 50)
        assert not os.path.exists(journal(b))
        run_and_kill(b, mock, mock.stats()["requests"] + 20, "--journal")
        assert os.path.exists(journal(b))
        b.run("--journal")
        b.check_echo()
        assert not os.path.exists(journal(b))


def test_no_journal():
    with Mock(*LATENCY) as mock, Bench(mock, 50, THREE) as b:
        run_and_kill(b, mock, 60, "--no-journal")
        assert not os.path.exists(journal(b))
        b.run("--no-journal")
        check(b)


def test_a_full_disk_ends_the_run_cleanly():
    with Mock("--latency-ms", 5) as mock, Bench(mock, ROWS, THREE, extra=', "pad": "x"') as b:
        err = b.run("--max-concurrent", AT_ONCE, code=4, preexec=limit_file_size(30000))
        has(err, "out.jsonl.journal", "make room and run again")
        made, lines = mock.stats()["requests"], b.lines()
        assert 0 < lines < ROWS
        b.run("--max-concurrent", AT_ONCE)
        check(b)
        assert mock.stats()["requests"] <= ROWS * 3 + 4 * AT_ONCE, (made, mock.stats()["requests"])


def test_a_stopped_run_keeps_its_journal():
    with Mock(*LATENCY) as mock, Bench(mock, ROWS, THREE) as b:
        with b.start("--max-concurrent", AT_ONCE) as p:
            mock.wait_requests(200)
            p.signal(signal.SIGINT)
            p.ends(5)
        assert os.path.exists(journal(b))
        b.run("--max-concurrent", AT_ONCE)
        check(b)
        equal(mock.stats()["requests"], ROWS * 3)


def fails(b):
    """Rows of the output that have failed."""
    return sorted(row["_row_index"] for row in b.rows() if "_error" in row)


def test_calls_of_failed_rows_outlive_further_runs():
    """The third block's type_hint is wrong: a later run that does nothing keeps the journal, a corrected one asks nothing."""
    with Mock("--latency-ms", 1) as mock, Bench(mock, 40, THREE.replace("name: C,", "name: C, type_hint: json,")) as b:
        b.run("--max-concurrent", AT_ONCE, code=1)
        equal(fails(b), list(range(40)))
        equal(mock.stats()["requests"], 120)
        stats = json.loads(tool("stats", journal(b)))
        equal((stats["calls"], stats["rows"]), (120, 40))
        b.run("--max-concurrent", AT_ONCE, code=1)
        equal(mock.stats()["requests"], 120)
        equal(json.loads(tool("stats", journal(b)))["calls"], 120)
        b.write_pipeline(THREE)
        err = b.run("--max-concurrent", AT_ONCE, "--retry-failed", "--force-resume")
        has(err, "120 LLM calls of 40 unfinished rows are in the journal and are not made again")
        equal(mock.stats()["requests"], 120)
        check(b)
        assert not os.path.exists(journal(b)), "no row is failed any more"


def test_only_the_calls_of_failed_rows_stay():
    with Mock("--latency-ms", 1) as mock, Bench(mock, 40, PICKY) as b:
        b.run("--max-concurrent", AT_ONCE, code=1)
        equal(fails(b), list(range(0, 40, 8)))
        equal(json.loads(tool("stats", journal(b)))["rows"], 5)
        made = mock.stats()["requests"]
        b.write_pipeline(PICKY.replace("n % 8 == 0", "False"))
        b.run("--max-concurrent", AT_ONCE, "--retry-failed", "--force-resume")
        equal(mock.stats()["requests"], made)
        equal(fails(b), [])
        check_indexes(b.rows(), 40)
        assert not os.path.exists(journal(b))


def once(output, more=""):
    """A pipeline whose rows make one call, with these outputs and blocks behind it."""
    return HEAD + """
  - {type: ai, exec: 1, id: one, model: m, prompts: ["one {n}"], outputs: [{name: A, %s}]}%s
  - {type: end, exec: 9, final: [{name: n, value: "{n}", type_hint: json}, {name: c, value: "{A}"}]}
""" % (output, more)


def corrected(bad, good, *flags, verb="run", rows=20, **start):
    """All rows of a run fail behind their one call; the corrected pipeline with --retry-failed --force-resume makes no request."""
    with Mock("--latency-ms", 1) as mock, Bench(mock, rows, bad) as b, Serve(b.folder) if verb == "submit" else Nothing() as serve:
        with serve.worker("--name", "a") if serve else Nothing():
            def go(code, *more):
                with b.submit(serve, *more, *flags) if serve else b.start(*more, *flags) as p:
                    p.ends(code)
            go(1)
            equal(len(fails(b)), rows)
            equal(mock.stats()["requests"], rows)
            equal(json.loads(tool("stats", journal(b)))["calls"], rows)
            b.write_pipeline(good)
            go(0, "--retry-failed", "--force-resume")
            equal(mock.stats()["requests"], rows, "answers that were paid for are asked for again")
            check_indexes(b.rows(), rows)
            equal(fails(b), [])
            assert not os.path.exists(journal(b))


class Nothing:
    def __enter__(self):
        return None

    def __exit__(self, *_):
        return False


WRONG, RIGHT = once("type_hint: number"), once("select: full")
BROKEN_LATER = """
  - {type: python, exec: 2, entrypoint: f, ctx_access: [get], outputs: [B], function_code: "def f(ctx):\\n    return %s\\n"}"""


def test_one_call_per_row_a_corrected_conversion_costs_no_request():
    corrected(WRONG, RIGHT)
    corrected(WRONG, RIGHT, "--workers", 3)
    corrected(WRONG, RIGHT, "--processes", 2)
    corrected(WRONG, RIGHT, "--ordered")
    corrected(WRONG, RIGHT, "--batch-mode")
    corrected(WRONG, RIGHT, "--journal")
    corrected(WRONG, RIGHT, "--enable-memory-optimization")
    corrected(WRONG, RIGHT, "--memory-limit", "200M")
    corrected(WRONG, RIGHT, "--fsync", "always")


def test_one_call_per_row_of_a_submitted_job():
    corrected(WRONG, RIGHT, verb="submit")


def test_one_call_per_row_a_corrected_later_block_costs_no_request():
    corrected(once("select: full", BROKEN_LATER % "1 / 0"), once("select: full", BROKEN_LATER % "1"))
    corrected(once("select: full", BROKEN_LATER % "1 / 0"), once("select: full", BROKEN_LATER % "1"), "--batch-mode")


def test_one_call_per_row_fine_rows_leave_no_journal():
    with Mock() as mock, Bench(mock, 50, RIGHT) as b:
        b.run()
        assert not os.path.exists(journal(b))
        equal(mock.stats()["requests"], 50)


def test_an_answer_that_fails_again_is_asked_for_anew():
    """In an unchanged pipeline a replayed answer fails as before: then one new request is right, and it is kept, too."""
    for flags in ((), ("--journal",)):
        with Mock("--latency-ms", 1) as mock, Bench(mock, 10, WRONG) as b:
            b.run(*flags, code=1)
            b.run("--retry-failed", *flags, code=1)
            equal(mock.stats()["requests"], 20)
            equal(json.loads(tool("stats", journal(b)))["calls"], 20)
            b.write_pipeline(RIGHT)
            b.run("--retry-failed", "--force-resume", *flags)
            equal(mock.stats()["requests"], 20)
            check_indexes(b.rows(), 10)


def test_answers_of_an_attempt_are_replayed_one_after_the_other():
    retrying = WRONG.replace("id: one,", "id: one, on_error: retry, retry: {max_attempts: 3, backoff: {type: fixed, base_ms: 1}},")
    with Mock("--latency-ms", 1) as mock, Bench(mock, 5, retrying) as b:
        b.run(code=1)
        equal(mock.stats()["requests"], 15)
        equal(json.loads(tool("stats", journal(b)))["calls"], 15)
        b.run("--retry-failed", code=1)  # three answers that fail again, then three new attempts
        equal(mock.stats()["requests"], 30)
        b.write_pipeline(RIGHT)
        b.run("--retry-failed", "--force-resume")
        equal(mock.stats()["requests"], 30)


def test_a_failed_run_without_a_journal_asks_again():
    with Mock() as mock, Bench(mock, 10, WRONG) as b:
        b.run("--no-journal", code=1)
        assert not os.path.exists(journal(b))
        b.write_pipeline(RIGHT)
        b.run("--no-journal", "--retry-failed", "--force-resume")
        equal(mock.stats()["requests"], 20)


def test_stats_and_export():
    with Mock(*LATENCY) as mock, Bench(mock, 100, THREE) as b:
        run_and_kill(b, mock, 120)
        stats = json.loads(tool("stats", journal(b)))
        calls = [json.loads(line) for line in tool("export", journal(b)).splitlines()]
        equal(stats["calls"], len(calls))
        equal(stats["rows"], len({c["row"] for c in calls}))
        assert stats["bytes"] == os.path.getsize(journal(b)) and stats["torn_bytes"] == 0, stats
        for call in calls:
            assert call["answer"].endswith("one %d" % call["row"]) and call["occurrence"] == 0 and len(call["question"]) == 32, call
        has(tool("stats", b.input, code=4), "is not a call journal")
        has(tool("stats", b.path("nothing"), code=4), "cannot be opened")
        lacks(tool("export", journal(b)), "api_key")


def test_a_damaged_record_costs_one_call():
    """A byte in the middle of the file: the records behind it are used, and what is lost is said."""
    with Mock(*LATENCY) as mock, Bench(mock, 60, THREE) as b:
        run_and_kill(b, mock, 120)
        calls = json.loads(tool("stats", journal(b)))["calls"]
        data = bytearray(open(journal(b), "rb").read())
        data[len(data) // 2] ^= 0x10
        open(journal(b), "wb").write(data)
        stats = json.loads(tool("stats", journal(b)))
        equal([stats["calls"], stats["damaged"], stats["torn_bytes"]], [calls - 1, 1, 0])
        before = mock.stats()["requests"]
        err = b.run("--max-concurrent", AT_ONCE)
        has(err, "out.jsonl.journal is damaged: 1 record", "cannot be read", "Is the disk sound?")
        check(b)
        assert mock.stats()["requests"] - before <= 180 - calls + 1, (mock.stats()["requests"] - before, calls)


def test_a_journal_is_its_users_alone():
    """Mode 0600 whatever the umask; a symbolic link in its place is not followed."""
    old = os.umask(0)
    try:
        with Mock(*LATENCY) as mock, Bench(mock, 60, THREE) as b:
            run_and_kill(b, mock, 60)
            equal(os.stat(journal(b)).st_mode & 0o777, 0o600)
            os.rename(journal(b), b.path("elsewhere"))
            os.symlink(b.path("elsewhere"), journal(b))
            has(b.run(code=4), "out.jsonl.journal", "symbolic link")
            os.unlink(journal(b))
            os.mkfifo(journal(b))
            has(b.run("--overwrite", code=4), "out.jsonl.journal", "no ordinary file")
            os.unlink(journal(b))
            victim = b.write("victim", "somebody's")
            for name in ("out.jsonl.sdg.new", "out.jsonl.rewrite", "out.jsonl.journal.new"):
                os.symlink(victim, b.path(name))
            os.unlink(b.path("out.jsonl.sdg"))
            b.run()
            check(b)
            equal(open(victim).read(), "somebody's")
    finally:
        os.umask(old)


def test_a_file_that_is_no_journal_is_left_alone():
    with Mock() as mock, Bench(mock, 5, THREE) as b:
        b.write("out.jsonl.journal", "somebody's notes")
        has(b.run(code=4), "is not a call journal")
        equal(open(journal(b)).read(), "somebody's notes")
        equal(os.path.exists(b.output), False)
        b.run("--no-journal")
        check(b)


def test_a_journal_that_is_refused_leaves_the_output_alone():
    """The output lacks a row, has a bad line, and is not yet brought in order when the journal is read."""
    with Mock() as mock, Bench(mock, 5, THREE) as b:
        b.run("--no-journal")
        lines = open(b.output).read().splitlines(True)
        damaged = "".join(lines[:3]) + "no result\n" + lines[4][:20]
        for flags in ([], ["--overwrite"]):
            with open(b.output, "w") as f:
                f.write(damaged)
            sums = open(b.path("out.jsonl.sdg")).read()
            os.symlink(b.path("elsewhere"), journal(b))
            has(b.run(*flags, code=4), "symbolic link")
            os.unlink(journal(b))
            b.write("out.jsonl.journal", "x" * 300)
            has(b.run(*flags, code=4), "no call journal" if flags else "is not a call journal")
            os.unlink(journal(b))
            equal(open(b.output).read(), damaged)
            equal(open(b.path("out.jsonl.sdg")).read(), sums)
            equal(os.path.exists(b.path("out.jsonl.rejected")), False)
        b.run()
        check(b)


def test_flags():
    with Mock() as mock, Bench(mock, 5, THREE) as b:
        has(b.run("--journal", "--no-journal", code=2), "which one")
        has(b.run("--fsync", "sometimes", code=2), "never, batch or always")


if __name__ == "__main__":
    sys.exit(main(globals()))
