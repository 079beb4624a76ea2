#!/usr/bin/env python3
"""ctx.call_ai and ctx.acall_ai from start to end: many questions of one row at once, and every way in which user code ends while it asks.

Usage: SDG=path/to/sdg [SEED=n] test_call_ai.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
import textwrap
import time

from harness import Bench, Mock, alive, children_of, equal, has, main, wait_for

HEAD = """
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "@BASE@/v1", api_key: "@KEY@", request_defaults: {timeout_sec: @TIMEOUT@, retry: {max_attempts: @ATTEMPTS@, backoff: {base_ms: 5}}}}
blocks:
"""


def pipeline(code, block="", after="", final="{R}"):
    """A Python block with this code, which gives R for the column t."""
    return HEAD + """
  - type: python
    exec: 1
    id: p
    inputs: {t: "{t}"}
    outputs: [R]
    %s
    function_code: |
%s
%s
  - {type: end, exec: 9, final: [{name: r, value: "%s"}]}
""" % (block, textwrap.indent(textwrap.dedent(code).strip("\n"), "      "), after, final)


class Rows(Bench):
    """A dataset with a column t."""

    def __init__(self, mock, text, words):
        super().__init__(mock, 0, text)
        self.words = words
        self.write("in.jsonl", "".join(json.dumps({"t": word}) + "\n" for word in words))

    def results(self):
        """For each row what it gave, or its error."""
        found = {row["_row_index"]: row.get("_error", row.get("r")) for row in self.rows()}
        equal(sorted(found), list(range(len(self.words))))
        return [(word, found[i]) for i, word in enumerate(self.words)]


# Each kind of user code, its answer or error where the model answers at once ("quick") and where it never does ("never"). Each writes down when
# the cause of its row's end comes.
KINDS_CODE = """
    import os, sys, time, threading, signal
    def later(s, f):
        threading.Thread(target=lambda: (time.sleep(s), f()), daemon=True).start()
    def main(ctx, t):
        ask = lambda x="x": ctx.call_ai("m", None, [x])
        def many(n):
            threads = [threading.Thread(target=ask, args=("x%d" % i,), daemon=True) for i in range(n)]
            for thread in threads: thread.start()
        def cause(after=0):
            with open("CAUSES/" + t, "w") as f: f.write(repr(time.time() + after))
        def ends(f, *args): cause(); f(*args)
        cause(1.5)
        if t == "timeout": ask(); time.sleep(99)
        if t == "timeout of 2": many(2); time.sleep(99)
        if t == "timeout of 20": many(20); time.sleep(99)
        if t == "exit": later(.1, lambda: ends(os._exit, 1)); ask(); time.sleep(99)
        if t == "exit of 3": many(3); time.sleep(.1); ends(os._exit, 1)
        if t == "exit at once": many(3); time.sleep(.005); ends(os._exit, 1)
        if t == "kill": later(.1, lambda: ends(os.kill, os.getpid(), 9)); ask(); time.sleep(99)
        if t == "return while asking": many(2); time.sleep(.05); cause(); return {"R": "returned"}
        if t == "return at once": many(2); cause(); return {"R": "returned"}
        if t == "raise while asking": many(2); time.sleep(.02); cause(); raise ValueError("boom")
        if t == "sys.exit": many(2); time.sleep(.02); ends(sys.exit, 3)
        if t == "a thread stays": later(.1, lambda: ask()); cause(); return {"R": "left a thread"}
        if t == "join of 9":
            out = []
            threads = [threading.Thread(target=lambda i=i: out.append(ask("y%d" % i))) for i in range(9)]
            [k.start() for k in threads]; [k.join() for k in threads]; cause(); return {"R": sorted(out)}
        if t == "no such model": ends(ctx.call_ai, "nobody", None, ["x"])
        return {"R": "fine"}
"""
TIMEOUT = "TimeoutError: the call took longer than 1500 ms"
KINDS = {
    "timeout": TIMEOUT, "timeout of 2": TIMEOUT, "timeout of 20": TIMEOUT,
    "exit": "exited with status 1 during this call", "exit of 3": "exited with status 1 during this call",
    "exit at once": "exited with status 1 during this call",
    "kill": r"killed by signal 9 \(SIGKILL; it had \d+ MiB\) three times",
    "return while asking": "returned", "return at once": "returned",
    "raise while asking": "ValueError: boom", "sys.exit": "SystemExit: 3", "a thread stays": "left a thread",
    "join of 9": "y0.*y1.*y8", "no such model": "call_ai: no model is called nobody",
}
WAYS = ([], ["--journal"], ["--enable-memory-optimization", "--max-cache-size", 1], ["--journal", "--memory-limit", "64M"])
BOUND_S = 2  # a row ends so long after its cause at most, and not when its answers come (a quiet machine: 0.02 s)
LOADED = 3   # a machine with many other processes, which start late there, may take so many times as long


def ends_of_rows(b, process):
    """When each row had its line in the output, by its number."""
    seen = {}
    while True:
        over = process.proc.poll() is not None
        with contextlib.suppress(FileNotFoundError), open(b.output, "rb") as f:
            for line in f.read().split(b"\n")[:-1]:
                seen.setdefault(json.loads(line)["_row_index"], time.time())
        if over:
            return seen
        time.sleep(0.01)


def check_kinds(mock, kinds, flags):
    """Each row ends as its code says, and soon after that."""
    words = ["ok", *kinds, "ok"]
    with tempfile.TemporaryDirectory() as causes, Rows(mock, pipeline(KINDS_CODE.replace("CAUSES", causes), "timeout_ms: 1500"), words) as b:
        with b.start("--python-workers", 4, "--max-concurrent", 64, *flags) as p:
            seen = ends_of_rows(b, p)
            p.ends(1)
        for i, (word, got) in enumerate(b.results()):
            assert re.search(kinds.get(word, "^fine$"), got), "%s with %s: %s" % (word, flags, got)
            if word in kinds:
                with open(os.path.join(causes, word)) as f:
                    took = seen[i] - float(f.read())
                assert took < BOUND_S * LOADED, "%s with %s: ended %.1f s after its cause" % (word, flags, took)


def test_each_kind_of_end_while_the_model_answers():
    with Mock("--latency-ms", 30) as mock:
        for flags in WAYS:
            check_kinds(mock, KINDS, flags)


def test_each_kind_of_end_while_the_model_does_not_answer():
    with Mock("--latency-ms", 120000) as mock:
        for flags in WAYS:
            check_kinds(mock, {**KINDS, "join of 9": TIMEOUT}, flags)


def test_threads_of_one_call_ask_at_once():
    code = """
        import threading
        def main(ctx, t):
            got = [None] * 4
            def one(i):
                for turn in range(2):
                    got[i] = ctx.call_ai("m", prompts=["%s %s %s" % (t, i, turn)])
            threads = [threading.Thread(target=one, args=(i,)) for i in range(len(got))]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            return {"R": ", ".join(got)}
    """
    with Mock("--latency", "lognormal:15:0.5") as mock, Rows(mock, pipeline(code), list(map(str, range(20)))) as b:
        b.run("--max-concurrent", 8)
        for word, got in b.results():
            equal(got, ", ".join("echo[m]: %s %d 1" % (word, i) for i in range(4)))


GATHER = """
    import asyncio
    async def main(ctx, t):
        return {"R": ", ".join(await asyncio.gather(*[ctx.acall_ai("m", None, "%s %d" % (t, i)) for i in range(8)]))}
"""


def check_gathered(b):
    for word, got in b.results():
        equal(got, ", ".join("echo[m]: %s %d" % (word, i) for i in range(8)))


def test_coroutines_ask_in_parallel():
    """8 questions of 500 ms each take one row hardly longer than one of them."""
    with Mock("--latency-ms", 500) as mock, Rows(mock, pipeline(GATHER), ["a"]) as b:
        b.run("--max-concurrent", 8)
        check_gathered(b)
        equal(mock.stats()["in_flight_max"], 8)


def test_one_unit_is_enough():
    """--max-concurrent counts each question, and a row that only waits for its answers stands in nobody's way."""
    for flags in ("--max-concurrent", 1), ("--max-concurrent", 3, "--python-workers", 1):
        with Mock("--latency-ms", 5, "--fail", "500=0.05") as mock, Rows(mock, pipeline(GATHER), list(map(str, range(30)))) as b:
            b.run(*flags)
            check_gathered(b)
            assert mock.stats()["in_flight_max"] <= flags[1], mock.stats()


def test_more_rows_than_processes_while_all_of_these_ask():
    with Mock("--latency-ms", 10, "--fail", "500=0.02,429=0.02") as mock, Rows(mock, pipeline(GATHER), list(map(str, range(150)))) as b:
        b.run("--max-concurrent", 40, "--python-workers", 1)
        check_gathered(b)


def test_asyncio_in_all_its_ways():
    code = """
        import asyncio, threading
        async def one(ctx, q): return await ctx.acall_ai("m", None, q)
        async def late(ctx):
            slow = asyncio.ensure_future(one(ctx, "cancelled"))
            await asyncio.sleep(0)
            slow.cancel()
            try: await slow
            except asyncio.CancelledError: pass
            try: await asyncio.wait_for(one(ctx, "out of time"), 0.001)
            except asyncio.TimeoutError: pass
            return await one(ctx, "after")
        async def mixed(ctx):
            loop = asyncio.get_running_loop()
            thread = loop.run_in_executor(None, lambda: ctx.call_ai("m", None, "thread"))
            return ", ".join([await one(ctx, "task"), await thread])
        async def group(ctx):
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(one(ctx, "g%d" % i)) for i in range(3)]
            return ", ".join(task.result() for task in asked)
        async def fails(ctx):
            said = await asyncio.gather(ctx.acall_ai("nobody"), one(ctx, "fine"), return_exceptions=True)
            return ", ".join(map(str, said))
        def main(ctx, t):
            if t == "twice": return {"R": ", ".join(asyncio.run(one(ctx, q)) for q in ("a", "b"))}
            if t == "a loop of its own":
                loop = asyncio.new_event_loop()
                try: return {"R": loop.run_until_complete(one(ctx, "own"))}
                finally: loop.close()
            if t == "in a thread":
                got = []
                thread = threading.Thread(target=lambda: got.append(asyncio.run(one(ctx, "t"))))
                thread.start(); thread.join()
                return {"R": got[0]}
            if t == "group" and not hasattr(asyncio, "TaskGroup"): return {"R": "echo[m]: g0, echo[m]: g1, echo[m]: g2"}
            return {"R": asyncio.run(globals()[t](ctx))}
    """
    want = {"late": "echo[m]: after", "mixed": "echo[m]: task, echo[m]: thread", "group": "echo[m]: g0, echo[m]: g1, echo[m]: g2",
            "fails": "call_ai: no model is called nobody, echo[m]: fine", "twice": "echo[m]: a, echo[m]: b",
            "a loop of its own": "echo[m]: own", "in a thread": "echo[m]: t"}
    with Mock("--latency-ms", 20) as mock, Rows(mock, pipeline(code), [*want] * 2) as b:
        b.run("--max-concurrent", 8, "--python-workers", 1)
        for word, got in b.results():
            equal(got, want[word], word)


def test_python_is_cut_off_while_it_asks():
    """The LLM call it waits for is given up, and its answer is not taken for that of the next block."""
    code = """
        def main(ctx, t):
            return {"R": ctx.call_ai("m", prompts=["slow"])}
    """
    after = '  - {type: ai, exec: 2, id: quick, model: m, prompts: ["quick {t}"], outputs: [{name: D, select: full}]}'
    with Mock("--latency-ms", 900) as mock, \
            Rows(mock, pipeline(code, "timeout_ms: 300\n    on_error: continue", after, "{D}"), list("abcdef")) as b:
        begun = time.monotonic()
        err = b.run("--max-concurrent", 6)
        assert time.monotonic() - begun < 60, err
        for word, got in b.results():
            equal(got, "echo[m]: quick " + word)


# ---- processes that are killed -------------------------------------------------------------------------------------

def hosts_of(pid):
    """Process ids of the Python hosts below a process."""
    found, todo = [], [pid]
    while todo:
        for child in children_of(todo.pop()):
            todo.append(child)
            with contextlib.suppress(OSError), open("/proc/%d/cmdline" % child) as f:
                if "sdg-python-host" in f.read() and alive(child):
                    found.append(child)
    return found


def test_a_row_goes_on_when_somebody_kills_its_process():
    """What it has asked is asked again without a journal; with one each answered question was paid once."""
    code = """
        import time
        def main(ctx, t):
            first = ctx.call_ai("m", None, "first " + t)
            time.sleep(1)
            return {"R": first + ", " + ctx.call_ai("m", None, "second " + t)}
    """
    for flags, most in (([], 12), (["--journal"], 8)):
        with Mock() as mock, Rows(mock, pipeline(code), list("abcd")) as b:
            with b.start("--max-concurrent", 4, "--python-workers", 4, *flags) as p:
                mock.wait_requests(4)
                time.sleep(0.3)
                for host in hosts_of(p.pid):
                    with contextlib.suppress(OSError):
                        os.kill(host, signal.SIGKILL)
                err = p.ends(0)
            has(err, "was killed by signal 9 (SIGKILL")
            for word, got in b.results():
                equal(got, "echo[m]: first %s, echo[m]: second %s" % (word, word))
            assert 8 <= mock.stats()["requests"] <= most, mock.stats()


def test_a_kill_and_the_run_that_continues_it_pay_nothing_twice():
    """Equal questions at the same time are told apart in the journal."""
    code = """
        import asyncio
        async def main(ctx, t):
            first = await asyncio.gather(*[ctx.acall_ai("m", None, "same") for i in range(4)])
            return {"R": ", ".join(first + [await ctx.acall_ai("m", None, "last")])}
    """
    with Mock("--latency-ms", 300) as mock, Rows(mock, pipeline(code), list("abcdef")) as b:
        with b.start("--journal", "--max-concurrent", 8) as p:
            wait_for(lambda: mock.stats()["requests"] >= 20, "20 requests")
            time.sleep(0.2)
            p.signal(signal.SIGKILL)
            p.wait()
        before = mock.stats()["requests"]
        b.run("--journal", "--max-concurrent", 32)
        for word, got in b.results():
            equal(got, ", ".join(["echo[m]: same"] * 4 + ["echo[m]: last"]))
        assert mock.stats()["requests"] <= 30 + 8, (before, mock.stats())  # those in flight when it was killed


def test_the_budget_counts_questions():
    code = """
        import asyncio
        async def main(ctx, t):
            said = await asyncio.gather(*[ctx.acall_ai("m", None, str(i)) for i in range(5)], return_exceptions=True)
            return {"R": ", ".join(map(str, said))}
    """
    with Mock() as mock, Rows(mock, pipeline(code, "budget: {ai: {max_calls: 3}}"), ["a"]) as b:
        b.run()
        over = "the row has made its 3 LLM calls (budget ai.max_calls)"
        equal(b.results(), [("a", ", ".join(["echo[m]: %d" % i for i in range(3)] + [over] * 2))])


if __name__ == "__main__":
    sys.exit(main(globals()))
