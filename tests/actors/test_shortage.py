#!/usr/bin/env python3
"""Few descriptors: requests wait for one and no row fails; where there are too few for anything, each verb says so and ends with 6."""
import re
import resource
import sys

from harness import Bench, Mock, Proc, Serve, equal, has, lacks, main

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


if __name__ == "__main__":
    sys.exit(main(globals()))
