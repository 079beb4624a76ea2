#!/usr/bin/env python3
"""Few descriptors, threads, processes, little memory: requests wait and no row fails; where there is too little for anything, each verb says so and ends with 6.

Whatever is short, and whenever it becomes so: the run is complete, or it ends with 6 in words; no row fails, nothing hangs, nothing aborts.
"""
import contextlib
import os
import random
import re
import resource
import sys
import time

from harness import Bench, Mock, Proc, Serve, Skip, children_of, equal, has, lacks, main, wait_for

ROWS = 120
ASKED = 100
PYTHON = """
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "@BASE@/v1", api_key: none}
blocks:
  - {type: python, exec: 1, id: f, entrypoint: f, inputs: {n: "{n}"}, outputs: [{name: N}], code: "def f(ctx, n):\\n    return {'N': n}\\n"}
  - {type: ai, exec: 2, id: ask, model: m, prompts: ["q {n}"], outputs: [{name: A, select: full}]}
  - {type: end, exec: 3, final: [{name: n, value: "{n}", type_hint: json}, {name: a, value: "{A}"}]}
"""


def files(n):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))


def least(text):
    """The number of files that the sentence asks for."""
    found = re.search(r"`ulimit -n \d+` allows too few open files: at least (\d+) are needed: raise it", text)
    assert found, text
    return int(found.group(1))


def test_concurrency_is_cut_to_what_the_limit_allows():
    with Mock("--latency-ms", 20) as mock, Bench(mock, ROWS) as b:
        text = b.run("--max-concurrent", ASKED, preexec=files(100))
        allowed = int(re.search(r"warn  run: `ulimit -n 100` allows (\d+) requests at a time instead of 100: raise it\n", text).group(1))
        assert 50 <= allowed < 100, allowed
        equal(text.count("ulimit"), 1, "said once")
        lacks(text, "Too many open files")
        equal(mock.stats()["in_flight_max"], allowed, "all that is allowed is used")
        equal(mock.stats()["requests"], ROWS, "nothing is asked twice")
        b.check_echo(count=ROWS)


def test_a_limit_that_suffices_is_not_spoken_of():
    with Mock() as mock, Bench(mock, 10) as b:
        lacks(b.run("--max-concurrent", 8, preexec=files(100)), "ulimit")


def check_least(b, *flags):
    """Below the number that is asked for nothing is begun; with it, and with a few more, the run is complete."""
    need = least(b.run("--max-concurrent", ASKED, *flags, preexec=files(20), code=6))
    for few in (8, 12, 30):
        least(b.run("--max-concurrent", ASKED, *flags, preexec=files(few), code=6))
    need = max(need, least_that_runs(b, need, *flags))
    for enough in (need, need + 1, need + 5):
        text = b.run("--max-concurrent", ASKED, "--overwrite", *flags, preexec=files(enough))
        lacks(text, "Too many open files")
        equal(text.count("ulimit"), 1, "said once")
        b.check_echo(count=ROWS)


def least_that_runs(b, need, *flags):
    """What Python takes is known only when the pipeline has been read."""
    with b.start("--max-concurrent", ASKED, "--overwrite", *flags, preexec=files(need)) as p:
        return need if p.wait() == 0 else least(p.err())


def test_the_least_number_of_files_runs():
    with Mock() as mock, Bench(mock, ROWS) as b:
        check_least(b)
        check_least(b, "--workers", 4)
        check_least(b, "--enable-memory-optimization")
        check_least(b, "--metrics-listen", "127.0.0.1:0", "--metrics-linger", 0)


def test_the_least_number_of_files_runs_with_processes():
    with Mock() as mock, Bench(mock, ROWS) as b:
        check_least(b, "--processes", 2)


def test_the_least_number_of_files_runs_with_python():
    with Mock() as mock, Bench(mock, ROWS, pipeline=PYTHON) as b:
        check_least(b)
        check_least(b, "--processes", 2)


def test_each_verb_says_that_there_are_too_few():
    with Bench(rows=1) as b:
        for verb in (["serve", "--listen", "tcp://127.0.0.1:*"], ["worker", "--connect", "tcp://127.0.0.1:9"], ["mock-llm", "--port", "0"],
                     b.args(verb="submit"), b.args(verb="test-run")[:-2], ["status", "--connect", "tcp://127.0.0.1:9"]):
            for few in (8, 12):
                with Proc(verb, preexec=files(few)) as p:
                    p.ends(6)
                    has(p.err(), "sdg %s: `ulimit -n %d`" % (verb[0], few))
                    least(p.err())


def test_a_fleet_works_with_the_least():
    with Mock() as mock, Bench(mock, ROWS) as b:
        with Proc(["serve", "--listen", "tcp://127.0.0.1:*"], preexec=files(20)) as p:
            p.ends(6)
            serve_files = least(p.err())
        with Proc(["worker", "--connect", "tcp://127.0.0.1:9"], preexec=files(20)) as p:
            p.ends(6)
            worker_files = least(p.err())
        with Serve(b.folder, preexec=files(serve_files)) as serve, serve.worker(preexec=files(worker_files)):
            with b.submit(serve, preexec=files(20)) as p:
                submit_files = least(p.ends(6))
            with b.submit(serve, "--max-concurrent", ASKED, preexec=files(submit_files)) as p:
                p.ends(0)
            b.check_echo(count=ROWS)


# ---- threads, processes, memory ---------------------------------------------------------------------------------------

SOMEBODY = 54321   # a user of whom nothing else runs: `ulimit -u` counts all of a user's processes, and does not bind root
MIB = 1 << 20
WAYS = [(), ("--processes", "2"), ("--journal",), ("--workers", "3"), ("--enable-memory-optimization",), ("--max-concurrent", "64")]
LIMITS = {"n": resource.RLIMIT_NOFILE, "u": resource.RLIMIT_NPROC, "v": resource.RLIMIT_AS}
ROUNDS = int(os.environ.get("ROUNDS", 25))
HANGS_S = 60


def somebody(**limits):
    """For `preexec`: another user, with these limits."""
    def apply():
        os.setgid(SOMEBODY)
        os.setgroups([])
        for letter, value in limits.items():
            resource.setrlimit(LIMITS[letter], (value, value))
        os.setuid(SOMEBODY)
    return apply


@contextlib.contextmanager
def benches(rows, **more):
    """A pipeline without and one with Python, in folders that somebody may use."""
    if os.geteuid() != 0:
        raise Skip("needs root, to run as a user of whom nothing else runs")
    with Mock("--latency-ms", 5) as mock, Bench(mock, rows, **more) as plain, Bench(mock, rows, pipeline=PYTHON, **more) as python:
        for b in (plain, python):
            os.chmod(b.folder, 0o777)
        yield (plain, python)


def clear(b):
    for name in os.listdir(b.folder):
        if name.startswith("out"):
            os.unlink(b.path(name))


def judge(b, p, about):
    """Complete, or 6 in words; no row has failed. Returns the code."""
    code = p.wait(HANGS_S)
    text = p.err()
    rows = b.rows() if os.path.exists(b.output) else []
    assert code in (0, 6), "%s: exit code %s\n%s" % (about, code, text)
    equal([r for r in rows if "_error" in r], [], about)
    if code == 0:
        equal(len(rows), b.count, about)
    else:
        assert re.search(r"ulimit|no [a-z ]+|cannot|giving up|gives up", text), "%s: no words\n%s" % (about, text)
    return code


def test_whatever_is_short_the_run_is_complete_or_says_so():
    table = [("n", n) for n in (20, 32, 40, 44, 48, 56, 64, 128)]
    table += [("u", n) for n in (3, 5, 8, 11, 14, 16, 18, 20, 22, 24, 28, 40)]
    table += [("v", n * MIB) for n in (40, 60, 80, 90, 100, 110, 117, 130, 150, 170, 195, 300, 390)]
    codes = {}
    with benches(40) as both:
        for letter, value in table:
            for b in both:
                for flags in WAYS[:3]:
                    clear(b)
                    with b.start(*flags, preexec=somebody(**{letter: value})) as p:
                        codes.setdefault(letter, set()).add(judge(b, p, (letter, value, flags, b is both[1])))
    for letter in LIMITS:
        equal(codes[letter], {0, 6}, "the table has both")


def test_the_words_name_the_limit():
    with benches(5) as (b, _):
        for limit, words in (({"u": 3}, r"only \d+ of \d+ threads and processes can be started: raise `ulimit -u` \(3\)"),
                             ({"v": 60 * MIB}, r"`ulimit -v 61440` allows too little memory: \d+ MiB more than the program and its \d+ threads are needed: raise it"),
                             ({"n": 20}, r"`ulimit -n 20` allows too few open files: at least \d+ are needed: raise it")):
            for flags in ((), ("--processes", 2)):
                with b.start(*flags, preexec=somebody(**limit)) as p:
                    text = p.ends(6)
                    assert re.search(words, text), text
                assert not os.path.exists(b.output), "nothing is begun"


def test_each_verb_says_that_there_is_too_little():
    with benches(1) as (b, _):
        for limit in ({"u": 3}, {"v": 60 * MIB}):
            for verb in (["serve", "--listen", "tcp://127.0.0.1:*"], ["worker", "--connect", "tcp://127.0.0.1:9"], b.args(verb="submit"), b.args(verb="test-run")[:-2]):
                with Proc(verb, preexec=somebody(**limit)) as p:
                    has(p.ends(6), "sdg %s: " % verb[0], "ulimit")


def squeeze(pid, letter):
    """From now on the process gets no more of it (or little), by a process of the same user: root may not be allowed to."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setgid(SOMEBODY)
        os.setuid(SOMEBODY)
        with open("/proc/%d/status" % pid) as f:
            size = int(re.search(r"VmSize:\s*(\d+)", f.read()).group(1)) * 1024
        value = {"n": random.randint(18, 50), "u": 1, "v": size + random.choice((0, 0, MIB, 8 * MIB))}[letter]
        resource.prlimit(pid, LIMITS[letter], (value, value))
    except Exception:
        pass
    finally:
        os._exit(0)


def loaded(pid):
    """The loader of the system is done: what it says of a shortage is not ours."""
    with contextlib.suppress(OSError), open("/proc/%d/status" % pid) as f:
        return int(re.search(r"SigCgt:\s*(\w+)", f.read()).group(1), 16) >> 14 & 1
    return True


def test_a_shortage_that_comes_while_it_runs():
    """ROUNDS runs in which something runs out at a random moment, in the first process and in those it has started by then."""
    with benches(200, extra=', "x": "%s"' % ("y" * 20000)) as both:
        for _ in range(ROUNDS):
            b, flags, letter = random.choice(both), random.choice(WAYS), random.choice("nuv")
            clear(b)
            with b.start(*flags, preexec=somebody(v=4 << 30)) as p:
                wait_for(lambda: loaded(p.pid) or p.proc.poll() is not None, "the program")
                time.sleep(random.uniform(0.005, 0.3))
                before_output = not os.path.exists(b.output)
                for pid in [p.pid, *(c for c in children_of(p.pid) if loaded(c))]:
                    squeeze(pid, letter)
                if before_output and letter == "n":
                    p.wait(HANGS_S)   # an input that cannot be opened is 4
                    continue
                judge(b, p, (letter, flags, b is both[1]))


def test_python_hosts_that_cannot_be_started_end_the_run_and_no_row():
    with benches(40) as (_, b):
        clear(b)
        with b.start("--max-concurrent", 4, preexec=somebody(v=4 << 30)) as p:
            b.wait_lines(1)
            children = children_of(p.pid)
            squeeze(p.pid, "u")
            for pid in children:
                squeeze(pid, "u")
            judge(b, p, "hosts")
        b.run("--overwrite")


def test_a_worker_process_that_lacks_something_is_not_started_again():
    with Mock("--latency-ms", 200) as mock, Bench(mock, 60) as b:
        if os.geteuid() != 0:
            raise Skip("needs root")
        os.chmod(b.folder, 0o777)
        with b.start("--processes", 2, preexec=somebody(v=4 << 30)) as p:
            mock.wait_in_flight(8)
            first = children_of(p.pid)[0]
            squeeze(first, "v")
            code = judge(b, p, "one of two")
            if "ended with code 6" in p.err():
                has(p.err(), "it is not started again")
        equal(code, 0)
        b.check_echo()


if __name__ == "__main__":
    sys.exit(main(globals()))
