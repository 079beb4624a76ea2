#!/usr/bin/env python3
"""What a person sees: progress lines, the redrawn line of a terminal, quiet and verbose runs, the summary; and no key anywhere.

Usage: SDG=path/to/sdg test_screen.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import gzip
import json
import os
import pty
import re
import subprocess
import sys

from harness import ECHO, ENVIRONMENT, PLAIN, RUN_S, SDG, Bench, Mock, Serve, equal, has, lacks, main

SECRET = "sk-very-secret-0123456789"


def test_plain_lines_every_few_seconds():
    with Mock("--latency-ms", 200) as mock, Bench(mock, 300) as b:
        err = b.run("--max-concurrent", 8)
        lines = re.findall(r"^.*progress: (.*)$", err, re.M)
        assert 1 <= len(lines) <= 3, err
        for line in lines:
            assert re.match(r"[\d,]+ rows \([\d.]+ %\)  [\d.]+ rows/s  \d+ calls in flight  [\d.k]+ tok/s  ETA [\d.]+ \w+  \d+ MiB", line), line
        lacks(err, "\r", "\033")


def on_a_terminal(b, *flags, env=None):
    """Everything that a run writes to a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen([SDG, *map(str, b.args(*flags))], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env={**ENVIRONMENT, **(env or {})}) as p:
        os.close(slave)
        seen = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
        equal(p.wait(RUN_S), 0, seen.decode())
    os.close(master)
    return seen.decode()


def test_terminal_line_is_redrawn_and_removed():
    with Mock("--latency-ms", 200) as mock, Bench(mock, 60) as b:
        seen = on_a_terminal(b, "--max-concurrent", 8)
        window, _, rest = seen.partition("\n")
        has(window, "window: 1,000 rows (concurrency 8, rows of about 8 B), 64 MiB, chunks of 100")
        before, _, after = rest.partition("done")
        assert before.count("rows/s") >= 4, seen
        has(before, "\r", "calls in flight")
        assert "\n" not in before.strip("\r\n"), "the line is redrawn in place: %r" % before
        has(after, "60 fine, 0 failed")
        lacks(after, "calls in flight")


def test_no_progress_and_quiet():
    with Mock("--latency-ms", 200) as mock, Bench(mock, 40) as b:
        seen = on_a_terminal(b, "--no-progress")
        lacks(seen, "calls in flight")
        has(seen, "40 fine")
        equal(on_a_terminal(b, "--overwrite", "--quiet"), "")


def test_the_window_knows_compressed_rows_and_not_those_of_a_pipe():
    with Bench(None, 300, PLAIN, extra=', "x": "%s"' % ("y" * 2000)) as b:
        zipped = b.write("in.jsonl.gz", gzip.compress(open(b.input, "rb").read()))
        has(b.run(input=zipped), "rows of about 2.0 KiB")
        with open(b.input, "rb") as rows:
            piped = subprocess.Popen(["cat"], stdin=rows, stdout=subprocess.PIPE)
            with b.start("--overwrite", input="-", stdin=piped.stdout) as p:
                has(p.ends(0), "window: 1,000 rows (concurrency 8), 64 MiB")
            piped.wait()
            piped.stdout.close()
        has(b.run("--overwrite", "--enable-scheduling", "--max-concurrent", 900), "window: 1,000 rows (concurrency 900", "chunks of 100")


def test_japanese():
    with Mock("--latency-ms", 100) as mock, Bench(mock, 40) as b:
        has(on_a_terminal(b, "--ui-locale", "ja"), "行", "完了", "40 成功")
        has(on_a_terminal(b, "--overwrite", env={"LANG": "ja_JP.UTF-8"}), "完了")


def test_summary():
    rules = [{"match": {"regex": "^q [12]$"}, "status": 400, "body": {"error": {"message": "never"}}},
             {"match": {"regex": "^q 3$"}, "status": 422, "body": {"error": {"message": "not so"}}},
             {"match": {"regex": "^q 4$"}, "times": 2, "status": 500, "body": {}}]
    with Bench() as r, Mock("--rules", r.write("rules.json", json.dumps(rules)), "--latency-ms", 10) as mock, Bench(mock, 20) as b:
        err = b.run(code=1)
        has(err, "17 fine, 3 failed", "LLM calls", "tokens", "latency", "p50", "p90", "p99", "max", "2 server error", "peak memory")
        assert re.search(r"^  failed +2 \S.*400", err, re.M) and re.search(r"^ +1 \S.*422", err, re.M), err


def test_no_workers_is_said():
    with Mock() as mock, Bench(mock, 5) as b, Serve(b.folder) as s, b.submit(s) as p:
        p.wait_says("waiting for workers")


def test_verbose_says_more():
    with Mock() as mock, Bench(mock, 5) as b:
        quiet, loud = b.run(), b.run("--overwrite", "--verbose")
        assert len(loud) > len(quiet) + 100
        has(loud, "debug")


def test_stdout_carries_rows_only():
    with Mock() as mock, Bench(mock, 5) as b:
        done = subprocess.run([SDG, *b.args("--verbose", output="-")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=RUN_S, env=ENVIRONMENT)
        equal([set(json.loads(line)) for line in done.stdout.splitlines()], [{"_row_index", "n", "a"}] * 5)


# ---- keys ----------------------------------------------------------------------------------------------------------

def keyless(b, err):
    lacks(err, SECRET)
    for name in os.listdir(b.folder):
        if os.path.isfile(b.path(name)) and name != "p.yaml":
            with open(b.path(name), errors="replace") as f:
                lacks(f.read(), SECRET)


def test_key_is_sent_to_the_server_and_nowhere_else():
    with Bench() as r:
        log = r.write("requests.log", "")
        with Mock("--log", log) as mock, Bench(mock, 5) as b:
            b.write_pipeline(ECHO, key="${ENV.SDG_TEST_KEY}")
            for flags in (["--verbose"], ["--verbose", "--overwrite", "--processes", 2], ["--verbose", "--overwrite", "--save-intermediate"]):
                keyless(b, b.run(*flags, env={"SDG_TEST_KEY": SECRET}))
            done = subprocess.run([SDG, "test-run", "--yaml", b.yaml, "--input", b.input, "--verbose", "--meta"], capture_output=True, text=True,
                                  timeout=RUN_S, env={**ENVIRONMENT, "SDG_TEST_KEY": SECRET})
            lacks(done.stdout + done.stderr, SECRET)
        with open(log) as f:
            sent = [json.loads(line)["headers"] for line in f]
        equal({h.get("authorization") for h in sent}, {"Bearer " + SECRET})
        equal(len(sent), 16)


def test_key_is_not_in_errors():
    """Also when the server repeats it in its error, as some do."""
    rules = [{"status": 401, "body": {"error": {"message": "Incorrect API key provided: " + SECRET}}}]
    with Bench() as r, Mock("--rules", r.write("rules.json", json.dumps(rules))) as mock, Bench(mock, 3) as b:
        b.write_pipeline(ECHO, key="${ENV.SDG_TEST_KEY}")
        for flags in (["--verbose"], ["--verbose", "--overwrite", "--processes", 2]):
            keyless(b, b.run(*flags, env={"SDG_TEST_KEY": SECRET}, code=1))
        has(b.rows()[0]["_error"], "401")


def test_key_is_not_on_a_command_line_or_in_the_scheduler():
    with Mock("--latency-ms", 500) as mock, Bench(mock, 30) as b:
        b.write_pipeline(ECHO, key="${ENV.SDG_TEST_KEY}")
        with Serve(b.folder) as s, s.worker("--verbose", env={"SDG_TEST_KEY": SECRET}) as w, b.submit(s, "--verbose") as p:
            mock.wait_in_flight(1)
            for pid in os.listdir("/proc"):
                if pid.isdigit():
                    try:
                        with open("/proc/%s/cmdline" % pid, "rb") as f:
                            assert SECRET.encode() not in f.read()
                    except OSError:
                        pass
            with open("/proc/%d/mem" % s.pid, "rb", 0) as memory, open("/proc/%d/maps" % s.pid) as maps:
                for line in maps:
                    found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw.*(heap|00:00 0)", line)
                    if found:
                        start, end = (int(g, 16) for g in found.groups()[:2])
                        try:
                            memory.seek(start)
                            assert SECRET.encode() not in memory.read(min(end - start, 64 << 20))
                        except (OSError, ValueError, OverflowError):
                            pass
            p.ends(0)
            lacks(p.err() + w.err() + s.err(), SECRET)


def test_password_of_a_url_is_not_shown():
    with Mock() as mock, Bench(mock, 2, attempts=1) as b:
        b.write_pipeline(ECHO, base="http://user:%s@127.0.0.1:9" % SECRET, attempts=1)
        keyless(b, b.run("--verbose", code=1))


if __name__ == "__main__":
    sys.exit(main(globals()))
