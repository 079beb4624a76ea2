#!/usr/bin/env python3
"""kill -9 of whatever runs, at random points: in the end every row is in the output exactly once, with its own answer.

Usage: SDG=path/to/sdg [SEED=n] test_kill.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import os
import random
import signal
import sys

from harness import ECHO, RUN_S, Bench, Mock, Serve, alive, children_of, equal, has, lacks, main, summary, wait_for

ROWS = 400
# Two calls a row, so that there is a call journal.
TWICE = ECHO.replace("  - {type: end", '  - {type: ai, exec: 2, id: again, model: m, prompts: ["again"], outputs: [{name: B, select: full}]}\n  - {type: end').replace("exec: 2, final", "exec: 3, final")


def kill_and_rerun(times, *flags, output=None):
    """A slow-ish run killed at random points, then run to the end."""
    with Mock("--latency", "lognormal:15:0.8") as mock, Bench(mock, ROWS) as b:
        output = b.path(output or "out.jsonl")
        for _ in range(times):
            started = mock.stats()["requests"]
            with b.start("--max-concurrent", 16, *flags, output=output) as p:
                goal = started + random.randrange(1, 120)
                wait_for(lambda: p.proc.poll() is not None or mock.stats()["requests"] >= goal, "requests")
                children = children_of(p.pid)
                p.kill()
                wait_for(lambda: not any(map(alive, children)), "the end of the killed run's children")
        b.run("--max-concurrent", 16, *flags, output=output)
        return b.check_echo(output), mock.stats()["requests"]


def test_run_killed_and_started_again():
    _, requests = kill_and_rerun(6)
    assert requests <= ROWS + 6 * 32, requests


def test_ordered_run_killed():
    order, _ = kill_and_rerun(4, "--ordered")
    equal(order, list(range(ROWS)))


def test_run_with_processes_killed_takes_its_children_along():
    kill_and_rerun(4, "--processes", 2)


def test_compressed_outputs_survive():
    kill_and_rerun(3, output="out.jsonl.gz")
    kill_and_rerun(3, output="out.jsonl.zst")


def test_torn_last_line_is_cut_and_said():
    with Mock() as mock, Bench(mock, 50) as b:
        b.run("-n", 20)
        whole = open(b.output, "rb").read()
        for cut in (1, len(whole.splitlines(True)[-1]) - 1, len(whole.splitlines(True)[-1]) // 2):
            b.write("out.jsonl", whole[:-cut])
            err = b.run()
            if cut > 1:
                has(err, "middle of a line")
            b.check_echo()
            b.write("out.jsonl", whole)


def test_worker_processes_killed():
    """--processes: a killed worker is replaced, its rows are done again."""
    with Mock("--latency", "lognormal:20:0.8") as mock, Bench(mock, ROWS) as b, b.start("--max-concurrent", 16, "--processes", 3) as p:
        for goal in sorted(random.sample(range(20, ROWS - 60), 2)):  # a row that is there at three deaths is given up
            b.wait_lines(goal)
            victims = wait_for(lambda: children_of(p.pid), "worker processes")
            os.kill(random.choice(victims), signal.SIGKILL)
        err = p.ends(0)
        has(err, "killed by signal 9")
        equal(summary(err)["fine"], ROWS)
        b.check_echo()


def test_all_worker_processes_killed_at_once():
    with Mock("--latency-ms", 20) as mock, Bench(mock, 200) as b, b.start("--max-concurrent", 8, "--processes", 2) as p:
        b.wait_lines(50)
        for pid in children_of(p.pid):
            os.kill(pid, signal.SIGKILL)
        p.ends(0)
        b.check_echo()


def test_fleet_workers_killed():
    with Mock("--latency", "lognormal:20:0.8") as mock, Bench(mock, ROWS) as b, Serve(b.folder) as s:
        workers = [s.worker("--name", "w%d" % i) for i in range(3)]
        try:
            with b.submit(s, "--max-concurrent", 16) as p:
                for i, goal in enumerate(sorted(random.sample(range(20, ROWS - 60), 3))):
                    b.wait_lines(goal)
                    workers.pop(random.randrange(len(workers))).kill()
                    workers.append(s.worker("--name", "new%d" % i))
                p.ends(0)
            b.check_echo()
        finally:
            for w in workers:
                w.kill()


def test_stopped_worker_is_taken_for_dead_and_comes_back():
    """A worker that is silent for longer than the scheduler waits, then goes on: its late results are not written twice."""
    with Mock("--latency-ms", 30) as mock, Bench(mock, 300) as b, Serve(b.folder) as s, s.worker("--name", "sleeper") as w, s.worker():
        wait_for(lambda: s.status()["workers"] == 2, "two workers")
        with b.submit(s, "--max-concurrent", 4) as p:
            b.wait_lines(20)
            w.signal(signal.SIGSTOP)
            wait_for(lambda: s.status()["workers_lost"] == 1, "the silent worker is given up")
            w.signal(signal.SIGCONT)
            p.ends(0)
        b.check_echo()


def test_worker_that_is_stopped_beyond_the_end_of_a_job_forgets_it():
    """Its row waits for a store that has gone with the client: the worker drops it, and drains without waiting for it."""
    with Mock("--latency-ms", 30) as mock, Bench(mock, 30, TWICE) as b, Serve(b.folder) as s, s.worker("--name", "sleeper") as w, s.worker():
        wait_for(lambda: s.status()["workers"] == 2, "two workers")
        with b.submit(s, "--max-concurrent", 4) as p:
            b.wait_lines(4)
            w.signal(signal.SIGSTOP)
            p.ends(0)
        b.check_echo()
        w.signal(signal.SIGCONT)
        wait_for(lambda: s.status()["workers"] == 2, "the sleeper is back")
        w.signal(signal.SIGTERM)
        equal(w.wait(20), 0)  # the time-out of a drain is 30 s
        has(w.err(), "draining")


def killer_of_whoever_works(mock, p, row_requests):
    """Kills the worker processes each time the poisonous row's question arrives once more."""
    for n in range(1, row_requests + 1):
        wait_for(lambda: p.proc.poll() is not None or mock.stats()["requests"] >= n, "question %d" % n)
        for pid in children_of(p.pid):
            os.kill(pid, signal.SIGKILL)


def test_row_that_kills_its_worker_three_times_fails_with_that_reason():
    with Mock("--latency-ms", 60000) as mock, Bench(mock, 1) as b, b.start("--processes", 1) as p:
        killer_of_whoever_works(mock, p, 3)
        err = p.ends(1)
        row, = b.rows()
        equal(row["_row_index"], 0)
        has(row["_error"], "3", "worker")
        equal((summary(err)["fine"], summary(err)["failed"]), (0, 1))
        equal(mock.stats()["requests"], 3)


def test_workers_that_die_at_once_end_the_run_in_words():
    """When all workers die again and again the run gives up: code 6, a sentence, nothing lost."""
    with Mock("--latency-ms", 60000) as mock, Bench(mock, 200) as b, b.start("--processes", 2, "--max-concurrent", 2) as p:
        while p.proc.poll() is None:
            for pid in children_of(p.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        code = p.wait()
        has(p.err(), "giving up")
        equal(code, 6, p.err())


def test_scheduler_restart():
    with Mock("--latency-ms", 20) as mock, Bench(mock, ROWS) as b, Serve(b.folder) as s:
        with s.worker("--name", "w1"), s.worker("--name", "w2"), b.submit(s, "--max-concurrent", 8) as p:
            for goal in (40, 150):
                b.wait_lines(goal)
                s.kill()
                s = Serve(b.folder, endpoint=s.endpoint)
            try:
                err = p.ends(0)
            finally:
                s.kill()
            has(err, "the scheduler has restarted")
            b.check_echo()


def test_scheduler_restart_with_two_jobs_and_ordered():
    with Mock("--latency-ms", 20) as mock, Bench(mock, 200) as one, Bench(mock, 200) as two, Serve(one.folder) as s, s.worker(), s.worker():
        with one.submit(s, "--max-concurrent", 8, "--ordered") as p, two.submit(s, "--max-concurrent", 8) as q:
            one.wait_lines(30)
            two.wait_lines(30)
            s.kill()
            with Serve(one.folder, endpoint=s.endpoint):
                p.ends(0)
                q.ends(0)
        equal(one.check_echo(), list(range(200)))
        two.check_echo()


def test_submit_killed_and_started_again():
    """A client that vanished is not in the way of the same command."""
    with Mock("--latency-ms", 20) as mock, Bench(mock, 200) as b, Serve(b.folder) as s, s.worker():
        for goal in (20, 60):
            with b.submit(s, "--max-concurrent", 8) as p:
                b.wait_lines(goal)
                p.kill()
        with b.submit(s, "--max-concurrent", 8) as p:
            p.ends(0)
        b.check_echo()


if __name__ == "__main__":
    sys.exit(main(globals()))
