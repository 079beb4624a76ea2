#!/usr/bin/env python3
"""The same job in every way to run it gives the same rows: one process, threads, worker processes, and a fleet whose workers come and go.

Usage: SDG=path/to/sdg test_ways.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import signal
import sys

from harness import ECHO, Bench, Mock, Serve, equal, has, main, wait_for


def test_one_process():
    with Mock() as mock, Bench(mock, 300) as b:
        b.run("--max-concurrent", 32)
        b.check_echo()


def test_threads():
    with Mock("--latency-ms", 5) as mock, Bench(mock, 300) as b:
        b.run("--max-concurrent", 32, "--workers", 2)
        b.check_echo()


def test_processes():
    with Mock("--latency-ms", 5) as mock, Bench(mock, 300) as b:
        b.run("--max-concurrent", 32, "--processes", 3)
        b.check_echo()


def test_all_ways_write_the_same_lines():
    with Mock("--latency", "lognormal:5:1") as mock, Bench(mock, 200) as b, Serve(b.folder) as s, s.worker(), s.worker():
        ways = {"one": ["--ordered"], "threads": ["--ordered", "--workers", 2], "processes": ["--ordered", "--processes", 3]}
        for name, flags in ways.items():
            b.run("--max-concurrent", 16, *flags, output=b.path(name))
        with b.submit(s, "--max-concurrent", 16, "--ordered", output=b.path("fleet")) as p:
            p.ends(0)
        texts = {name: open(b.path(name)).read() for name in [*ways, "fleet"]}
        equal(len(set(texts.values())), 1, str({n: t[:200] for n, t in texts.items()}))
        equal(b.check_echo(b.path("one")), list(range(200)))


def fleet_runs(endpoint):
    with Mock("--latency-ms", 5) as mock, Bench(mock, 300) as b:
        with Serve(b.folder, endpoint.replace("FOLDER", b.folder)) as s, s.worker() as w, b.submit(s, "--max-concurrent", 32) as p:
            p.ends(0)
            b.check_echo()
            w.signal(signal.SIGTERM)
            w.ends(0)
            s.signal(signal.SIGTERM)
            s.ends(0)


def test_fleet_over_tcp():
    fleet_runs("tcp://127.0.0.1:*")


def test_fleet_over_ipc():
    fleet_runs("ipc://FOLDER/scheduler")


def test_worker_joins_late():
    with Mock("--latency-ms", 20) as mock, Bench(mock, 400) as b, Serve(b.folder) as s:
        with b.submit(s, "--max-concurrent", 8) as p:
            wait_for(lambda: s.status()["jobs"], "the job")
            equal(b.lines(), 0)
            with s.worker() as first:
                b.wait_lines(20)
                with s.worker("--name", "late") as late:
                    wait_for(lambda: s.status()["workers"] == 2, "two workers")
                    first.signal(signal.SIGTERM)
                    first.ends(0)
                    p.ends(0)
                    late.signal(signal.SIGTERM)
                    late.ends(0)
        b.check_echo()


def test_worker_that_leaves_drains():
    """SIGTERM: its rows in progress are finished by itself, so no question is asked twice."""
    with Mock("--latency-ms", 100) as mock, Bench(mock, 100) as b, Serve(b.folder) as s, s.worker() as leaves, s.worker():
        wait_for(lambda: s.status()["workers"] == 2, "two workers")
        with b.submit(s, "--max-concurrent", 16) as p:
            b.wait_lines(20)
            leaves.signal(signal.SIGTERM)
            leaves.ends(0)
            p.ends(0)
        b.check_echo()
        equal(mock.stats()["requests"], 100)


def test_all_workers_leave_and_another_comes():
    with Mock("--latency-ms", 30) as mock, Bench(mock, 200) as b, Serve(b.folder) as s:
        with b.submit(s, "--max-concurrent", 8) as p:
            for lines in (20, 60):
                with s.worker() as w:
                    b.wait_lines(lines)
                    w.signal(signal.SIGTERM)
                    w.ends(0)
            with s.worker():
                p.ends(0)
        b.check_echo()


def test_two_jobs_at_once():
    with Mock("--latency-ms", 10) as mock, Bench(mock, 300) as one, Bench(mock, 250) as two:
        with Serve(one.folder) as s, s.worker(), s.worker():
            with one.submit(s, "--max-concurrent", 16) as p, two.submit(s, "--max-concurrent", 16) as q:
                p.ends(0)
                q.ends(0)
        one.check_echo()
        two.check_echo()


def test_jobs_one_after_the_other_on_the_same_fleet():
    with Mock() as mock, Bench(mock, 100) as b, Serve(b.folder) as s, s.worker():
        for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
            with b.submit(s, output=b.path(name)) as p:
                p.ends(0)
            b.check_echo(b.path(name))
        wait_for(lambda: not s.status()["jobs"], "no job left")


def test_status_counts_jobs_and_workers():
    with Mock("--latency-ms", 100) as mock, Bench(mock, 100) as b, Serve(b.folder) as s, s.worker("--name", "blue"):
        s.wait_says("blue joined")
        with b.submit(s, "--max-concurrent", 4) as p:
            b.wait_lines(1)
            status = s.status()
            equal((status["jobs"], status["workers"]), (1, 1))
            assert 0 < status["rows_leased"] <= 100, status
            p.kill()


def test_pipeline_error_in_a_fleet_names_the_problem():
    """A key that only the client's environment has: refused in words, not silently retried."""
    with Mock() as mock, Bench(mock, 5) as b, Serve(b.folder) as s, s.worker():
        b.write_pipeline(ECHO, key="${ENV.SDG_TEST_KEY}", base="http://192.0.2.1")
        with b.submit(s, env={"SDG_TEST_KEY": "secret-1"}) as p:
            has(p.ends(3), "SDG_TEST_KEY")
            assert "secret-1" not in p.err() + s.err()


if __name__ == "__main__":
    sys.exit(main(globals()))
