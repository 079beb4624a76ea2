#!/usr/bin/env python3
"""Whoever stands still or lies: a run ends all the same, with what honest workers say, and in words about the others.

Usage: SDG=path/to/sdg test_patience.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import os
import signal
import sys
import time

from harness import PLAIN, Bench, Mock, Serve, children_of, check_indexes, equal, has, lacks, main, summary, wait_for
from stranger import CLIENT, WORKER, Stranger
from test_kill import TWICE

CHILD_PATIENCE_S = 15  # WORKER_PATIENCE_MAX_MS
CUT_S = 2              # RECONNECT_NS


# ---- worker processes that stand still -----------------------------------------------------------------------------

def stop_one(pid):
    child = children_of(pid)[0]
    os.kill(child, signal.SIGSTOP)
    return child


def test_stopped_child_is_killed_and_replaced():
    with Mock("--latency-ms", 20) as mock, Bench(mock, 300) as b, b.start("--processes", 3, "--max-concurrent", 9) as p:
        b.wait_lines(30)
        child = stop_one(p.pid)
        err = p.ends(0, CHILD_PATIENCE_S + 30)
        has(err, "(pid %d)" % child, "silent for", "it is stopped", "it is killed")
        lacks(err, "(pid %d) was killed by signal 9" % child)
        equal(summary(err)["fine"], 300)
        b.check_echo()


def test_all_children_stopped():
    with Mock("--latency-ms", 20) as mock, Bench(mock, 100) as b, b.start("--processes", 2, "--max-concurrent", 4) as p:
        b.wait_lines(10)
        for child in children_of(p.pid):
            os.kill(child, signal.SIGSTOP)
        p.ends(0, CHILD_PATIENCE_S + 30)
        b.check_echo()


def test_child_that_goes_on_after_it_was_given_up_is_none_of_the_run():
    """SIGCONT comes as it is killed, or after: nothing is written twice."""
    with Mock("--latency-ms", 20) as mock, Bench(mock, 200) as b, b.start("--processes", 2, "--max-concurrent", 4) as p:
        b.wait_lines(10)
        child = stop_one(p.pid)
        time.sleep(CHILD_PATIENCE_S - 1)
        os.kill(child, signal.SIGCONT)  # in time: it is not killed
        err = p.ends(0)
        lacks(err, "it is killed")
        b.check_echo()


def test_child_stopped_before_it_says_hello():
    """The only one: without it nothing is done."""
    with Mock() as mock, Bench(mock, 20) as b:
        stopped = None
        while not stopped:  # some have said HELLO before they can be stopped
            with b.start("--overwrite", "--processes", 1) as p:
                wait_for(lambda: children_of(p.pid) or p.proc.poll() is not None, "a child")
                try:
                    stopped = stop_one(p.pid)
                    err = p.ends(0, 60)
                except (IndexError, ProcessLookupError):
                    continue
                has(err, "(pid %d)" % stopped, "it is stopped", "it is killed")
                b.check_echo()


def test_drain_ends_with_a_stopped_child():
    with Mock("--latency-ms", 50) as mock, Bench(mock, 2000) as b, b.start("--processes", 2, "--max-concurrent", 4) as p:
        b.wait_lines(20)
        stop_one(p.pid)
        p.signal(signal.SIGINT)
        p.ends(5, CHILD_PATIENCE_S + 20)
        with b.start("--processes", 2, "--max-concurrent", 64) as again:
            again.ends(0)
        b.check_echo()


def test_second_interrupt_ends_at_once_with_a_stopped_child():
    with Mock("--latency-ms", 50) as mock, Bench(mock, 2000) as b, b.start("--processes", 2, "--max-concurrent", 4) as p:
        b.wait_lines(20)
        stop_one(p.pid)
        p.signal(signal.SIGINT)
        p.wait_says("stopping")
        p.signal(signal.SIGINT)
        p.ends(5, 10)


# ---- fleets --------------------------------------------------------------------------------------------------------

def take_leases(serve, claim):
    s = Stranger(serve.port, WORKER, patience_ms=claim)
    s.credit()
    return s


def silent_stranger(claim, closes, within):
    """A worker takes rows and is not heard again; an honest one comes and does them."""
    with Mock("--latency-ms", 5) as mock, Bench(mock, 100) as b, Serve(b.folder) as s, take_leases(s, claim) as stranger, b.submit(s, "--max-concurrent", 8) as p:
        stranger.wait("LEASE")
        with s.worker("--name", "honest"):
            began = time.monotonic()
            if closes:
                stranger.close()
            p.ends(0, within + 30)
            took = time.monotonic() - began
        b.check_echo()
        has(s.err(), "worker stranger is gone")
        return took


def test_claims_of_patience_are_capped():
    for claim in (0, 1 << 40, (1 << 64) - 1):
        took = silent_stranger(claim, False, CHILD_PATIENCE_S)
        assert took > CHILD_PATIENCE_S - 3, took


def test_connection_that_is_gone_is_a_death():
    for claim in (0, 60000):
        took = silent_stranger(claim, True, CUT_S)
        assert took < CUT_S + 8, took


def test_worker_on_a_new_connection_keeps_its_rows():
    """Its connection breaks; it says HELLO on another, and answers there."""
    with Bench(rows=5, pipeline=PLAIN) as b, Serve(b.folder) as s, take_leases(s, 5000) as one, b.submit(s) as p:
        lease = one.wait("LEASE")
        one.close()
        time.sleep(1)
        with Stranger(s.port, WORKER, instance=one.instance) as two:
            two.credit()
            equal(two.wait("LEASE"), lease, "the same rows of the same lease")
            result = lambda i: (0, b'{"_row_index": %d, "m": %d}' % (i, i + 1), b"")
            two.say("ROW_RESULTS", 1, lease[1], [[row[0], *result(row[0])] for row in lease[3]])
            two.work(lambda: p.proc.poll() is not None, result)
        p.ends(0)
        lacks(s.err(), "is gone")
        check_indexes(b.rows(), 5)


def test_killed_submit_is_in_nobodys_way():
    """Its rows stand at the workers and wait for its store; another job is not held up by them."""
    with Mock("--latency-ms", 20) as mock, Bench(mock, 2000, TWICE) as victim, Bench(mock, 300, TWICE) as other, Serve(victim.folder) as s, s.worker("--name", "one") as w:
        with victim.submit(s, "--max-concurrent", 16) as v, other.submit(s, "--max-concurrent", 16) as p:
            victim.wait_lines(50)
            other.wait_lines(20)
            w.kill()  # what it held are suspects
            with s.worker("--name", "two"):
                v.kill()
                p.ends(0, 30)
                wait_for(lambda: s.status()["jobs"] <= 1, "the end of the victim's job", 10)
        other.check_echo()


def test_stopped_submit_is_in_nobodys_way():
    with Mock("--latency-ms", 20) as mock, Bench(mock, 2000) as victim, Bench(mock, 300) as other, Serve(victim.folder) as s, s.worker("--name", "one"):
        with victim.submit(s, "--max-concurrent", 16) as v, other.submit(s, "--max-concurrent", 16) as p:
            victim.wait_lines(50)
            v.signal(signal.SIGSTOP)
            p.ends(0, 30)
            v.signal(signal.SIGCONT)
            v.ends(0)
        other.check_echo()
        victim.check_echo()


# ---- workers that lie ----------------------------------------------------------------------------------------------

LIES = {
    "a line break": (lambda i: (0, b'{"_row_index": %d,\n "m": 1}' % i, b""), "more than one line"),
    "nothing": (lambda i: (0, b"", b""), "it is empty"),
    "parked": (lambda i: (2, b"", b""), "another pass"),
    "no JSON": (lambda i: (0, b"hello", b""), "no JSON object"),
    "another row": (lambda i: (0, b'{"_row_index": %d}' % (i + 1), b""), "_row_index"),
    "two lines in one": (lambda i: (0, b'{"_row_index": %d}{"_row_index": 7}' % i, b""), "JSON: "),
    "failed without words": (lambda i: (1, b'{"_row_index": %d}' % i, b""), "_error"),
    "no UTF-8": (lambda i: (0, b'{"_row_index": %d, "m": "\xff"}' % i, b""), "UTF-8"),
}


def test_results_that_are_none_fail_their_rows_in_words():
    for about, (result, words) in LIES.items():
        with Bench(rows=20, pipeline=PLAIN) as b, Serve(b.folder) as s, take_leases(s, 5000) as liar, b.submit(s) as p:
            liar.work(lambda: p.proc.poll() is not None, lambda i: result(i) if i % 2 else (0, b'{"_row_index": %d, "m": %d}' % (i, i + 1), b""))
            err = p.ends(1)
            rows = b.rows()
            check_indexes(rows, 20)
            for row in rows:
                if row["_row_index"] % 2:
                    has(row["_error"], "worker stranger", words)
                else:
                    equal(row["m"], row["_row_index"] + 1)
            has(err, "worker stranger sent a result of row", words)
            assert err.count("sent a result of row") == 1, "the log is bounded:\n" + err


def test_results_of_other_rows_and_odd_records_are_harmless():
    """Rows that were never there, rows twice, usage that is none, rows of the future."""
    good = lambda i: [i, 0, b'{"_row_index": %d, "m": %d}' % (i, i + 1), b"\xff" * 200]
    with Bench(rows=20, pipeline=PLAIN) as b, Serve(b.folder) as s, take_leases(s, 5000) as liar, b.submit(s) as p:
        batch = 0
        while p.proc.poll() is None:
            heard = liar.hear(0.1)
            liar.beat()
            if heard and heard[0] == "LEASE":
                batch += 1
                rows = [good(row[0]) for row in heard[1][3]]
                foreign = [good(n) for n in (4242, (1 << 63) - 1, (1 << 64) - 1)]
                liar.say("ROW_RESULTS", batch, heard[1][1], foreign + rows + rows)
            if heard and heard[0] == "PERMITS":
                liar.say("PERMITS_HELD", heard[1][0], heard[1][1], 0, 0)
        p.ends(0)
        check_indexes(b.rows(), 20)


def test_numbers_beyond_all_bounds_break_nothing():
    """Counts, credits, permits, row numbers and job ids of a worker that are as large as they can be; an honest worker does the job."""
    huge = (1 << 64) - 1
    with Mock("--latency-ms", 5) as mock, Bench(mock, 200) as b, Serve(b.folder) as s, Stranger(s.port, WORKER, patience_ms=huge) as liar, s.worker():
        with b.submit(s, "--max-concurrent", 8) as p:
            job = liar.wait("PERMITS")[0]
            for value in (huge, 1 << 63, 0):
                liar.say("BEAT", value, value, value, value, value)
                liar.say("PERMITS_HELD", job, value, value, value)
                liar.say("ENDPOINT_HELD", value, value, value)
                liar.say("LEASE_RETURN", value, job, [value, 1, 2])
                liar.say("ROW_RESULTS", value, job, [[value, 1, b"", b""]])
                liar.say("JOB_GET", value)
                liar.say("DRAINED", value)
                liar.say("ENDPOINT_REPORT", job, b"\xc1" * 50)
                liar.say("STATS", 2, [value] * 40, [value] * 40, b"{" * 40)
                liar.say("ROW_CREDIT", value or 1, value)
            liar.close()
            p.ends(0)
        b.check_echo()


# ---- clients that lie ----------------------------------------------------------------------------------------------

OPTIONS = (
    '{"stop_before": 1}',
    '{"stop_before": 1, "store": {"endpoint": "tcp://127.0.0.1:9"}}',
    '{"stop_before": 1, "store": {"endpoint": "tcp://127.0.0.1:9", "batch": false, "contexts": true}}',
    '{"store": {"batch": true}}',
    '{"stop_before": 4294967295, "gc_rows": 1, "memory_bytes": 1, "seed": "-1", "mapping": [["a"], [1, 2], ["a", "b"]]}',
    '{"store": {"endpoint": "ftp://x", "batch": true}}',
    '[]',
    'null',
    '',
)


def open_job(client, job, yaml, options, window=1000, needs=0, endpoints=()):
    client.say("JOB_OPEN", job, "x.yaml", "/", yaml.encode(), options.encode(), window, window, window, 0, 10, needs, list(endpoints))
    return client.wait("JOB_ACCEPTED", "REFUSED")


def test_options_of_a_job_break_no_worker():
    with Bench(rows=50, pipeline=PLAIN) as b, Serve(b.folder) as s, s.worker("--name", "honest") as w:
        for number, options in enumerate(OPTIONS):
            with Stranger(s.port, CLIENT) as liar:
                open_job(liar, number + 1, PLAIN, options)
                liar.say("RESULT_CREDIT", number + 1, 1000, 1 << 30)
                liar.say("ROWS", number + 1, 0, [[0, 1, b'{"n": 1}'], [1, 2, b""], [2, 3, b"\xff"], [(1 << 64) - 1, 0, b"[" * 1000]])
                liar.say("ROWS_END", number + 1, 1)
                liar.wait("RESULTS", "JOB_DONE")
                assert w.proc.poll() is None, "options %s:\n%s" % (options, w.err())
        b.submit(s).ends(0)
        check_indexes(b.rows(), 50)


def test_claims_of_windows_are_cut():
    with Bench() as b, Serve(b.folder) as s, Stranger(s.port, CLIENT) as liar:
        liar.say("JOB_OPEN", 7, "x", "/", PLAIN.encode(), b"{}", (1 << 64) - 1, (1 << 64) - 1, (1 << 64) - 1, 0, 10, 0, [])
        _, _, rows, size = liar.wait("INGEST_CREDIT")
        assert rows <= 1 << 20 and size <= 1 << 30, (rows, size)


def test_a_job_is_its_clients_alone():
    """Somebody who knows its number (every worker does) says that its results have arrived, stops it, lowers its limit, opens it once more."""
    with Mock("--latency-ms", 10) as mock, Bench(mock, 300) as b, Serve(b.folder) as s, Stranger(s.port, WORKER, patience_ms=5000) as spy, s.worker():
        with b.submit(s, "--max-concurrent", 4) as p, Stranger(s.port, CLIENT) as liar:
            job = spy.wait("PERMITS")[0]
            spy.close()
            b.wait_lines(5)
            for message in (["RESULTS_ACK", job, 1 << 62], ["JOB_STOP", job, 2], ["JOB_LIMIT", job, 1], ["RESULT_CREDIT", job, 0, 0], ["ROWS_END", job, 0], ["ROWS", job, 0, []]):
                liar.say(*message)
                equal(liar.wait("REFUSED")[2], b"the job is another client's", message[0])
            equal(open_job(liar, job, PLAIN, "{}")[1:], [job, b"the job is another client's"])
            p.ends(0)
        b.check_echo()


def test_a_connection_is_one_peer():
    with Bench(rows=20, pipeline=PLAIN) as b, Serve(b.folder) as s, Stranger(s.port) as liar:
        for instance in range(1, 5001):
            liar.say("HELLO", WORKER, instance, "w", 1, 0)
        wait_for(lambda: liar.hear()[0] == "WELCOME" and s.status()["workers"] == 1, "one worker")
        liar.close()
        with s.worker():
            b.submit(s).ends(0)
        check_indexes(b.rows(), 20)


if __name__ == "__main__":
    sys.exit(main(globals()))
