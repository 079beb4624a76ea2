#!/usr/bin/env python3
"""Ctrl-C: the first drains, the second ends at once, nothing is lost either way; also before there is a worker or a scheduler.

Usage: SDG=path/to/sdg test_stop.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import signal
import sys
import time

from harness import ECHO, Bench, Mock, Proc, Serve, alive, children_of, equal, has, lacks, main, summary, wait_for

SOON_S = 10   # "at once", on a busy machine


def drain_and_rerun(*flags, sig=signal.SIGINT):
    with Mock("--latency-ms", 100) as mock, Bench(mock, 200) as b:
        with b.start("--max-concurrent", 8, *flags) as p:
            b.wait_lines(20)
            p.signal(sig)
            err = p.ends(5)
        has(err, "stopping", "the same command continues")
        rows = b.rows()
        assert 20 <= len(rows) < 200, len(rows)
        equal(summary(err)["fine"], len(rows))
        equal(mock.stats()["requests"], len(rows), "rows in progress are finished")
        equal(mock.stats()["clients_gone"], 0)
        b.run("--max-concurrent", 64, *flags)
        b.check_echo()
        equal(mock.stats()["requests"], 200, "nothing is asked twice")


def test_sigint_drains():
    drain_and_rerun()


def test_sigterm_drains_too():
    drain_and_rerun(sig=signal.SIGTERM)


def test_sigint_with_processes():
    drain_and_rerun("--processes", 2)


def test_sigint_with_ordered():
    with Mock("--latency", "lognormal:50:1") as mock, Bench(mock, 200) as b:
        with b.start("--max-concurrent", 8, "--ordered") as p:
            b.wait_lines(20)
            p.signal(signal.SIGINT)
            p.ends(5)
        order = [r["_row_index"] for r in b.rows()]
        equal(order, sorted(order))
        b.run("--max-concurrent", 64, "--ordered")
        b.check_echo()


def second_ends_at_once(*flags):
    with Mock("--fail", "hang=0.2", "--seed", 3) as mock, Bench(mock, 100, timeout=600) as b:
        with b.start("--max-concurrent", 8, *flags) as p:
            wait_for(lambda: mock.stats()["in_flight"] == 8 and mock.stats()["injected"]["hang"] == 8, "eight hanging calls")
            children = children_of(p.pid)
            p.signal(signal.SIGINT)
            p.wait_says("again: stop at once")
            assert p.proc.poll() is None
            began = time.monotonic()
            p.signal(signal.SIGINT)
            err = p.ends(5)
            took = time.monotonic() - began
        assert took < SOON_S, took
        has(err, "stopped at once")
        assert not any(map(alive, children))
        finished = len(b.rows())
        equal(summary(err)["fine"], finished)
        with Mock() as healthy:
            b.mock = healthy
            b.write_pipeline(ECHO)
            b.run("--force-resume", *flags)
            b.check_echo()
            equal(healthy.stats()["requests"], 100 - finished)


def test_second_sigint_ends_at_once():
    second_ends_at_once()


def test_second_sigint_ends_at_once_with_processes():
    second_ends_at_once("--processes", 2)


def test_two_sigints_in_one_moment():
    with Mock("--latency-ms", 60000) as mock, Bench(mock, 50) as b, b.start() as p:
        mock.wait_in_flight(8)
        p.signal(signal.SIGINT)
        p.signal(signal.SIGTERM)
        p.ends(5, SOON_S)


def test_submit_without_workers():
    with Mock() as mock, Bench(mock, 50) as b, Serve(b.folder) as s:
        with b.submit(s) as p:
            wait_for(lambda: s.status()["jobs"] == 1, "the job")
            wait_for(lambda: s.status()["rows_queued"] == 50, "the rows")
            p.signal(signal.SIGINT)
            p.ends(5, SOON_S)
        equal(b.rows(), [])
        wait_for(lambda: s.status()["jobs"] == 0, "the end of the job")
        with s.worker(), b.submit(s) as p:
            p.ends(0)
        b.check_echo()


def test_submit_without_a_scheduler():
    with Bench(None, 5) as b, b.start("--connect", "ipc://%s/nobody" % b.folder, verb="submit") as p:
        p.wait_says("no word from the scheduler")
        p.signal(signal.SIGINT)
        p.ends(5, SOON_S)


def test_stop_does_not_wait_for_a_long_line():
    """All rows have begun and stand in line at a server that takes five a second: the stop waits for a few of them only."""
    with Mock("--rate", "5/s", "--burst", 2) as mock, Bench(mock, 300) as b:
        with b.start("--max-concurrent", 64) as p:
            b.wait_lines(5)
            begun = time.monotonic()
            p.signal(signal.SIGINT)
            err = p.ends(5)
            took = time.monotonic() - begun
        assert took < 15, took
        has(err, "the same command continues")
        assert summary(err)["failed"] == 0 and len(b.rows()) < 200, err


def test_submit_drains_and_continues():
    with Mock("--latency-ms", 100) as mock, Bench(mock, 100) as b, Serve(b.folder) as s, s.worker():
        with b.submit(s, "--max-concurrent", 8) as p:
            b.wait_lines(10)
            p.signal(signal.SIGINT)
            p.ends(5)
        equal(mock.stats()["requests"], len(b.rows()))
        with b.submit(s, "--max-concurrent", 32) as p:
            p.ends(0)
        b.check_echo()
        equal(mock.stats()["requests"], 100)


def test_submit_aborted_frees_the_workers():
    """After the second Ctrl-C of one client the fleet drops its calls and works for the next one."""
    with Mock("--fail", "hang=1") as slow, Mock() as mock, Bench(slow, 50, timeout=600) as hangs, Bench(mock, 50) as b, Serve(b.folder) as s, s.worker():
        with hangs.submit(s) as p:
            slow.wait_in_flight(8)
            p.signal(signal.SIGINT)
            p.signal(signal.SIGTERM)
            p.ends(5, SOON_S)
        wait_for(lambda: slow.stats()["in_flight"] == 0, "the calls of the aborted job are cancelled")
        with b.submit(s) as p:
            p.ends(0)
        b.check_echo()


def test_worker_that_drains_too_long_gives_its_rows_back():
    with Mock("--fail", "hang=1") as stuck, Bench(stuck, 4, timeout=600) as b, Serve(b.folder) as s:
        with s.worker("--drain-timeout", 1) as w, b.submit(s) as p:
            stuck.wait_in_flight(4)
            w.signal(signal.SIGTERM)
            w.wait(SOON_S)
            assert p.proc.poll() is None
            with s.worker():
                wait_for(lambda: stuck.stats()["requests"] == 8, "the rows are tried by the next worker")


def test_idle_serve_and_worker_end_at_once():
    with Bench() as b, Serve(b.folder) as s, s.worker() as w:
        wait_for(lambda: s.status()["workers"] == 1, "the worker")
        w.signal(signal.SIGINT)
        w.ends(0, SOON_S)
        wait_for(lambda: s.status()["workers"] == 0, "the worker has left")
        s.signal(signal.SIGINT)
        err = s.ends(0, SOON_S)
        lacks(err, "0 of its rows")


def test_worker_without_a_scheduler_can_be_stopped():
    with Bench() as b, Serve(b.folder) as s:
        endpoint = s.endpoint
    with Bench() as b:
        with Proc(["worker", "--connect", endpoint, "--verbose"]) as w:
            w.signal(signal.SIGTERM)
            w.wait(SOON_S)


if __name__ == "__main__":
    sys.exit(main(globals()))
