#!/usr/bin/env python3
"""Signals at any moment: before anything stands, while it runs, while it ends, twice, and while whoever is to answer is held up.

Usage: SDG=path/to/sdg test_signals.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness import ECHO, RUN_S, Bench, Mock, Proc, Serve, Skip, alive, children_of, equal, has, lacks, main, read_rows, wait_for

SOON_S = 10     # "at once", on a busy machine
ENDS_S = 60     # whatever happens
ROUNDS = int(os.environ.get("ROUNDS", 40))
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NOBODY = "tcp://127.0.0.1:9"


@contextlib.contextmanager
def slow():
    """The path of slow_words.c as a shared object."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "slow_words.c")
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler:
        raise Skip("no C compiler")
    with tempfile.TemporaryDirectory(prefix="sdg-test-") as folder:
        path = os.path.join(folder, "slow.so")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", path, source, "-ldl"], check=True)
        yield path


def handles(pid, number):
    """Has the process a handler for it, or does it read it from a descriptor?"""
    try:
        with open("/proc/%d/status" % pid) as f:
            masks = dict(line.split(":\t") for line in f.read().splitlines() if line.startswith("Sig"))
    except OSError:
        return True
    return bool((int(masks["SigCgt"], 16) | int(masks["SigBlk"], 16)) >> (number - 1) & 1)


def wait_handles(p, number):
    """The loader needs some milliseconds before the program has its first word."""
    end = time.monotonic() + ENDS_S
    while p.proc.poll() is None and not handles(p.pid, number):
        assert time.monotonic() < end, p.err()


def verbs(b, serve):
    """Each verb, and the exit codes that a signal may give it."""
    return [(b.args(), (5,)), (b.args("--processes", "2"), (5,)), (b.args("--connect", serve.endpoint, verb="submit"), (5,)), (b.args(verb="test-run")[:-2], (5,)),
            (["serve", "--listen", "tcp://127.0.0.1:*"], (0, 5)), (["worker", "--connect", serve.endpoint], (0, 5)), (["mock-llm", "--port", "0"], (0, 5)),
            (["top", "--connect", "http://127.0.0.1:9"], (0, 5, 6)), (["doctor", *b.args()[1:]], (0, 5)), (["status", "--connect", NOBODY], (5,)),
            (["validate", b.yaml], (0, 5))]


def test_the_first_moment():
    """As soon as the program has its first word a signal ends it in words, and nothing has been touched."""
    with Mock("--fail", "hang=1") as mock, Bench(mock, 20) as b, Serve(b.folder) as s:
        for number in ENDING:
            for args, codes in verbs(b, s):
                with Proc(args) as p:
                    wait_handles(p, number)
                    p.signal(number)
                    code = p.wait(SOON_S)
                    assert code in codes, (args, number, code, p.err())
                    if code == 5:
                        has(p.err(), "stop")
                equal(b.rows() if os.path.exists(b.output) else [], [])



def test_before_rows_the_words_say_so():
    """The input is a pipe that nobody writes: the run waits to open it, and a signal ends that."""
    with Bench(rows=1) as b:
        pipe = b.path("pipe")
        os.mkfifo(pipe)
        for number in ENDING:
            with b.start(input=pipe) as p:
                wait_handles(p, number)
                time.sleep(0.2)
                p.signal(number)
                has(p.ends(5, SOON_S), "sdg run: stopped by %s before a row has begun; the same command begins again" % signal.Signals(number).name)
            assert not os.path.exists(b.output)


def test_a_test_run_leaves_nothing_behind():
    before = set(os.listdir("/tmp"))
    with Mock("--fail", "hang=1") as mock, Bench(mock, 3) as b:
        with Proc(b.args(verb="test-run")[:-2]) as p:
            mock.wait_in_flight(1)
            p.signal(signal.SIGINT)
            has(p.ends(5, SOON_S), "stopped on request")
        pipe = b.path("pipe")
        os.mkfifo(pipe)
        with Proc(b.args(verb="test-run", input=pipe)[:-2]) as p:
            wait_for(lambda: [n for n in set(os.listdir("/tmp")) - before if n.startswith("sdg-test-run-")], "the folder")
            p.signal(signal.SIGTERM)
            has(p.ends(5, SOON_S), "sdg test-run: stopped by SIGTERM")
    equal([n for n in set(os.listdir("/tmp")) - before if n.startswith("sdg-test-run-")], [])


# ---- words to somebody who is gone ------------------------------------------------------------------------------------

def held(word, b, so, *flags, verb="run", number=signal.SIGTERM, env=None):
    return b.start(*flags, verb=verb, env={"LD_PRELOAD": so, "SLOW_WORD": word, "SLOW_MS": "1500", **(env or {})})


def test_stop_to_a_client_that_ends_meanwhile():
    """The run is complete while main is held up before it says STOP: it ends, and with 0, because nothing is missing."""
    for flags in ((), ("--processes", 2), ("--journal",)):
        with slow() as so, Mock("--latency-ms", 400) as mock, Bench(mock, 8) as b:
            with held("STOP", b, so, *flags) as p:
                mock.wait_in_flight(4)  # the second process may come when the first has done its half
                p.signal(signal.SIGTERM)
                has(p.ends(0, ENDS_S), "stopping (SIGTERM)")
            b.check_echo()


def test_abort_to_a_client_that_ends_meanwhile():
    with slow() as so, Mock("--latency-ms", 400) as mock, Bench(mock, 8) as b:
        with held("ABORT", b, so) as p:
            mock.wait_in_flight(8)
            p.signal(signal.SIGTERM)
            p.wait_says("stopping (SIGTERM)")
            p.signal(signal.SIGINT)
            has(p.ends(5, ENDS_S), "stopping at once (SIGINT), exit code 5")
        b.run()
        b.check_echo()
        equal(mock.stats()["requests"], 8, "nothing is asked twice")


def test_drain_to_a_worker_that_ends_meanwhile():
    """The worker is refused, and ends, while main is held up before it says DRAIN."""
    with slow() as so, Bench() as b, Serve(b.folder) as s, Proc(["worker", "--connect", s.endpoint], env={"LD_PRELOAD": so, "SLOW_WORD": "DRAIN", "SLOW_MS": "1500"}) as w:
        wait_for(lambda: s.status()["workers"] == 1, "the worker")
        w.signal(signal.SIGTERM)
        w.signal(signal.SIGHUP)
        assert w.wait(ENDS_S) in (0, 5), w.err()


def test_lost_to_a_client_that_ends_meanwhile():
    """The journal cannot be written, and the client is stopped at the same time."""
    with slow() as so, Mock("--latency-ms", 300) as mock, Bench(mock, 40) as b:
        with held("LOST", b, so, "--journal", env={"SLOW_MS": "1000"}) as p:
            mock.wait_in_flight(8)
            p.signal(signal.SIGTERM)
            time.sleep(0.1)
            p.signal(signal.SIGTERM)
            p.ends(5, ENDS_S)


def test_words_of_a_child_that_dies_as_the_run_ends():
    with slow() as so, Mock("--latency-ms", 300) as mock, Bench(mock, 8) as b:
        with held("GONE", b, so, "--processes", 2) as p:
            mock.wait_in_flight(4)  # as above
            os.kill(children_of(p.pid)[0], signal.SIGKILL)
            p.signal(signal.SIGTERM)
            assert p.wait(ENDS_S) in (0, 5), p.err()
        b.run()
        b.check_echo()


def test_signals_while_actors_end():
    """Each actor closes its sockets late. One signal lets the end go on, and the code tells of the output; the second ends at once."""
    env = {"SLOW_CLOSE_MS": "400"}
    with slow() as so, Mock() as mock, Bench(mock, 8) as b:
        for signals, codes in ((1, (0,)), (2, (5,))):
            with b.start("--overwrite", env={"LD_PRELOAD": so, **env}) as p:
                b_lines = wait_for(lambda: b.lines() == 8 or p.proc.poll() is not None, "all rows")
                assert b_lines and p.proc.poll() is None
                time.sleep(0.3)   # the client has closed the output by now, and its socket is held open
                began = time.monotonic()
                for number in random.choices(ENDING[:2], k=signals):
                    p.signal(number)
                    time.sleep(0.02)
                assert p.wait(ENDS_S) in codes + (0,) * (signals == 1), p.err()
                took = time.monotonic() - began
                if signals == 2:
                    assert took < SOON_S, took
                    has(p.err(), "at once")
            b.check_echo()


def test_an_end_that_never_comes_is_ended():
    """After one signal the end may take half a minute, not more."""
    with slow() as so, Mock() as mock, Bench(mock, 4) as b:
        with b.start("--processes", 2, env={"LD_PRELOAD": so, "SLOW_CLOSE_MS": "600000", "XDG_RUNTIME_DIR": b.folder}) as p:
            b.wait_lines(4)
            children = children_of(p.pid)
            time.sleep(0.5)
            assert [n for n in os.listdir(b.folder) if n.startswith("sdg-")]
            p.signal(signal.SIGTERM)
            has(p.ends(5, ENDS_S), "the end has taken too long")
        b.check_echo()
        equal([n for n in os.listdir(b.folder) if n.startswith("sdg-")], [], "its sockets are gone")
        wait_for(lambda: not any(map(alive, children)), "its worker processes end")


def test_an_output_that_nobody_reads():
    """The client waits in a write for a reader of stdout who does not read: neither STOP nor ABORT can reach it."""
    with Mock() as mock, Bench(mock, 3000, extra=', "x": "%s"' % ("y" * 2000)) as b:
        b.write_pipeline(ECHO.replace('{name: a, value: "{A}"}', '{name: a, value: "{x}"}'))
        read, write = os.pipe()
        try:
            with b.start(output="-", stdout=write) as p:
                mock.wait_requests(30)
                time.sleep(0.5)
                p.signal(signal.SIGTERM)
                p.wait_says("stopping (SIGTERM)")
                p.signal(signal.SIGTERM)
                has(p.ends(5, SOON_S + 5), "exit code 5", "waits for its output")
        finally:
            os.close(read), os.close(write)


# ---- the drain has an end ---------------------------------------------------------------------------------------------

def check_overdue(start, b, stuck):
    """One row of ten hangs: the others are in the output, the run is over after the drain timeout, and the next does the one that is missing."""
    with start("--drain-timeout", 1) as p:
        b.wait_lines(9)
        p.signal(signal.SIGTERM)
        began = time.monotonic()
        err = p.ends(5, ENDS_S)
        took = time.monotonic() - began
    assert 0.9 <= took < SOON_S, took
    has(err, "within 1 s (--drain-timeout", "the time of --drain-timeout is over", "stay unwritten after 1 s", "the same command continues")
    equal(len(b.rows()), 9)
    with Mock() as healthy:
        b.mock = healthy
        b.write_pipeline(ECHO)
        with start("--force-resume") as p:
            p.ends(0)
        b.check_echo()
        equal(healthy.stats()["requests"], 1)


def test_a_drain_has_a_deadline():
    for flags in ((), ("--processes", 2), ("--journal",)):
        with Mock("--fail", "hang=0.1", "--seed", one_hangs()) as stuck, Bench(stuck, 10, timeout=600) as b:
            check_overdue(lambda *more: b.start(*flags, *more), b, stuck)


def test_a_drain_of_a_submitted_job_has_a_deadline():
    with Mock("--fail", "hang=0.1", "--seed", one_hangs()) as stuck, Bench(stuck, 10, timeout=600) as b, Serve(b.folder) as s, s.worker():
        check_overdue(lambda *more: b.submit(s, *more), b, stuck)


def one_hangs():
    """A seed with which exactly one of ten requests hangs."""
    for seed in range(200):
        with Mock("--fail", "hang=0.1", "--seed", seed) as mock, Bench(mock, 10, timeout=600) as b:
            with b.start("--max-concurrent", 10) as p:
                wait_for(lambda: mock.stats()["requests"] == 10, "ten requests")
                hangs = mock.stats()["injected"].get("hang", 0)
                p.kill()
            if hangs == 1:
                return seed
    raise AssertionError("no seed")


def test_a_drain_without_time():
    with Mock("--fail", "hang=1") as stuck, Bench(stuck, 10, timeout=600) as b, b.start("--drain-timeout", 0) as p:
        stuck.wait_in_flight(8)
        p.signal(signal.SIGHUP)
        has(p.ends(5, SOON_S), "stay unwritten")


def test_a_drain_whose_scheduler_is_gone():
    with Mock("--fail", "hang=1") as stuck, Bench(stuck, 4, timeout=600) as b, Serve(b.folder) as s, s.worker():
        with b.submit(s, "--drain-timeout", 2) as p:
            stuck.wait_in_flight(4)
            s.kill()
            p.signal(signal.SIGTERM)
            has(p.ends(5, ENDS_S), "stay unwritten after 2 s")


def test_a_worker_says_how_its_drain_went():
    with Mock("--fail", "hang=1") as stuck, Bench(stuck, 4, timeout=600) as b, Serve(b.folder) as s, b.submit(s):
        with s.worker("--drain-timeout", 1) as w:
            stuck.wait_in_flight(4)
            w.signal(signal.SIGHUP)
            has(w.ends(5, SOON_S), "draining: 4 rows open, for at most 1 s (--drain-timeout)", "the time of --drain-timeout is over: 4 rows go back")
        with s.worker() as w:
            stuck.wait_requests(8)
            w.signal(signal.SIGTERM)
            w.wait_says("draining")
            w.signal(signal.SIGTERM)
            has(w.ends(5, SOON_S), "stopping at once (SIGTERM), exit code 5")


# ---- other signals ----------------------------------------------------------------------------------------------------

def test_hangup_drains():
    for flags in ((), ("--processes", 2)):
        with Mock("--latency-ms", 100) as mock, Bench(mock, 200) as b:
            with b.start(*flags) as p:
                b.wait_lines(20)
                p.signal(signal.SIGHUP)
                p.signal(signal.SIGHUP)   # the kernel and the shell say it both
                p.wait_says("stopping (SIGHUP)")
                p.signal(signal.SIGHUP)
                has(p.ends(5), "stopped after")
            equal(mock.stats()["requests"], len(b.rows()), "rows in progress are finished")


def test_nohup_is_respected():
    with Mock("--latency-ms", 20) as mock, Bench(mock, 100) as b:
        with b.start(preexec=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as p:
            b.wait_lines(10)
            p.signal(signal.SIGHUP)
            p.ends(0)
        b.check_echo()


def test_harmless_signals():
    for flags in ((), ("--processes", 2)):
        with Mock("--latency-ms", 50) as mock, Bench(mock, 200) as b:
            with b.start(*flags) as p:
                wait_handles(p, signal.SIGTERM)
                p.signal(signal.SIGPIPE)
                b.wait_lines(20)
                for number in (signal.SIGPIPE, signal.SIGWINCH, signal.SIGCONT, signal.SIGTSTP):
                    p.signal(number)
                time.sleep(1.5)
                assert p.proc.poll() is None
                p.signal(signal.SIGCONT)
                p.ends(0)
            b.check_echo()
            equal(mock.stats()["requests"], 200, "nothing is asked twice")


SLEEPS = """
mabel: {version: "2.0"}
blocks:
  - {type: python, exec: 1, id: f, entrypoint: f, inputs: {n: "{n}"}, outputs: [{name: N}], code: "import time\\ndef f(ctx, n):\\n    time.sleep(0.2)\\n    return {'N': n}\\n"}
  - {type: end, exec: 2, final: [{name: n, value: "{N}", type_hint: json}]}
"""


def tree_of(pid):
    return [pid] + [p for child in children_of(pid) for p in tree_of(child)]


def test_a_signal_to_every_process():
    """Ctrl-C reaches a process group, a supervisor's SIGTERM each process: Python blocks and worker processes, too. No row fails."""
    for flags in ((), ("--processes", 2)):
        for number in ENDING:
            for group in (True, False):
                with Bench(rows=40, pipeline=SLEEPS) as b:
                    with b.start(*flags, preexec=os.setsid) as p:
                        b.wait_lines(4)
                        for pid in [-p.pid] if group else tree_of(p.pid):
                            with contextlib.suppress(OSError):
                                os.kill(pid, number)
                        p.ends(5)
                    rows = b.rows()
                    equal([r for r in rows if "_error" in r], [], (flags, number, group))
                    assert 4 <= len(rows) < 40, len(rows)


# ---- at any moment ----------------------------------------------------------------------------------------------------

def test_signals_at_any_moment():
    """ROUNDS runs of some 50 ms, each with one or two signals at a random moment: each ends at once, with all its rows or with words."""
    with Mock("--latency-ms", 3) as mock, Bench(mock, 12) as b:
        for _ in range(ROUNDS):
            flags = random.choice([(), ("--processes", 2), ("--journal",), ("--workers", 2)])
            for name in os.listdir(b.folder):
                if name.startswith("out"):
                    os.unlink(b.path(name))
            with b.start(*flags) as p:
                wait_handles(p, signal.SIGTERM)
                time.sleep(random.uniform(0, 0.15 if flags else 0.08))
                for number in random.choices(ENDING, k=random.choice((1, 1, 1, 2))):
                    p.signal(number)
                    time.sleep(random.choice((0, 0, 0.005)))
                code = p.wait(SOON_S * 2)
                assert code in (0, 5), (flags, code, p.err())
                if code == 5:
                    has(p.err(), "stop")
                else:
                    equal(len(b.rows()), 12)
            if os.path.exists(b.output):
                read_rows(b.output)
            b.run(*flags)
            b.check_echo()


if __name__ == "__main__":
    sys.exit(main(globals()))
