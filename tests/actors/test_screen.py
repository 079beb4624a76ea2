#!/usr/bin/env python3
"""What a person sees: progress lines, the redrawn line of a terminal, quiet and verbose runs, the summary; and no key anywhere.

Usage: SDG=path/to/sdg test_screen.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import fcntl
import gzip
import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import termios
import time
import unicodedata

from harness import ECHO, ENVIRONMENT, PLAIN, RUN_S, SDG, Bench, Mock, Serve, equal, has, lacks, main, wait_for

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


def test_summary_says_what_to_do_and_the_command_does_it():
    rules = [{"match": {"regex": "^q 1$"}, "times": 1, "status": 400, "body": {"error": {"message": "never, says the server"}}}]
    with Bench() as r, Mock("--rules", r.write("rules.json", json.dumps(rules))) as mock, Bench(mock, 5) as b:
        err = b.run(code=1)
        assert re.search(r"^  output +" + re.escape(b.output) + "$", err, re.M), err
        assert re.search(r"^ +e\.g\. ask: .*400.*never, says the server", err, re.M), err
        command = re.search(r"^  next +ask the failed rows again: (.*)$", err, re.M).group(1)
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=RUN_S, env=ENVIRONMENT)
        equal(done.returncode, 0, done.stderr)
        lacks(done.stderr, "  next ", "  failed ")
        b.check_echo()


def test_quiet_with_failed_rows_says_one_line():
    rules = [{"match": {"regex": "^q [12]$"}, "status": 400, "body": {"error": {"message": "never"}}}]
    with Bench() as r, Mock("--rules", r.write("rules.json", json.dumps(rules))) as mock, Bench(mock, 5) as b:
        err = b.run("--quiet", code=1)
        equal(err.count("\n"), 1, err)
        has(err, "2 of 5 rows failed", "never", b.output, "--retry-failed")
        equal(b.run("--quiet", code=1).count("\n"), 1, "they are still in the output")
    with Mock() as mock, Bench(mock, 5) as b:
        equal(b.run("--quiet"), "")


def test_outputs_that_found_nothing_are_said():
    tagged = ECHO.replace("outputs: [{name: A, select: full}]", "outputs: [{name: A, select: full}, {name: Question, select: tag, tag: question}]")
    with Mock() as mock, Bench(mock, 3, tagged) as b:
        has(b.run(), "Question: nothing in 3 of 3 rows")


# ---- what goes wrong, while it does ---------------------------------------------------------------------------------

REDRAW = re.compile(r"\r\x1b\[K([^\r\n\x1b]*)")


def columns_of(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class Screen:
    """A run on a terminal of so many columns. `lines` are the progress lines as they were drawn, with their time."""

    def __init__(self, bench, columns, *flags):
        self.master, slave = pty.openpty()
        self.resize(columns)
        self.began = time.monotonic()
        self.proc = subprocess.Popen([SDG, *map(str, bench.args(*flags))], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env=ENVIRONMENT)
        os.close(slave)
        self.seen, self.lines = "", []

    def resize(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def look(self, seconds):
        """Reads for so long, or to the end; returns the progress lines of that time."""
        until, before = time.monotonic() + seconds, len(self.lines)
        while time.monotonic() < until:
            if not select.select([self.master], [], [], max(0, until - time.monotonic()))[0]:
                break
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            if not data:
                break
            self.seen += data.decode(errors="replace")
            found = REDRAW.findall(self.seen)
            self.lines += [(time.monotonic() - self.began, line) for line in found[len(self.lines):]]
        return [line for _, line in self.lines[before:] if line]

    def wait_line(self, pattern, seconds):
        """When the first line with this was drawn, in seconds since the start."""
        while True:
            for at, line in self.lines:
                if re.search(pattern, line):
                    return at
            if time.monotonic() - self.began > seconds:
                raise AssertionError("%r was not said within %g s:\n%s" % (pattern, seconds, "\n".join(line for _, line in self.lines[-5:])))
            self.look(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()
        os.close(self.master)


def test_one_line_at_any_width():
    with Mock("--latency-ms", 100, "--fail", "429=0.3,500=0.1") as mock, Bench(mock, 5000) as b:
        for locale in ("en", "ja"):
            for columns in (40, 60, 80):
                with Screen(b, columns, "--overwrite", "--ui-locale", locale) as s:
                    lines = s.look(2.5)
                    assert len(lines) >= 3, s.seen
                    for line in lines:
                        assert columns_of(line) < columns, (columns, columns_of(line), line)
                        assert re.match(r"\d+ (rows?|行) \([\d.]+ %\)", line), line


def test_a_resized_terminal_is_filled_anew():
    with Mock("--latency-ms", 100) as mock, Bench(mock, 5000) as b, Screen(b, 120) as s:
        assert any(columns_of(line) > 60 for line in s.look(2.5)), s.seen
        s.resize(40)
        s.look(0.5)
        lines = s.look(1.5)
        assert lines and all(columns_of(line) < 40 for line in lines), lines


PATIENT = ECHO.replace("base_ms: 1,", "base_ms: 500,")


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def troubles(mock_429, mock_hang, mock_plain):
    """What can be wrong with a server: its address, the words that say it, and within how many seconds, of a hang after the first request."""
    port = closed_port()
    return [
        (mock_429.url, r"429 from .*127\.0\.0\.1:%d" % mock_429.port, 3),
        ("http://127.0.0.1:%d" % port, r"no connection to .*127\.0\.0\.1:%d" % port, 3),
        ("https://127.0.0.1:%d" % mock_plain.port, r"127\.0\.0\.1:%d" % mock_plain.port, 3),
        (mock_hang.url, r"no answer yet.* .*127\.0\.0\.1:%d" % mock_hang.port, 6),
    ]


def test_trouble_is_on_the_line_within_three_seconds():
    with Mock("--fail", "429=1") as a, Mock("--fail", "hang=1") as hang, Mock() as plain:
        for url, words, seconds in troubles(a, hang, plain):
            for columns in (60, 80):
                with Bench(rows=64) as b:
                    b.write_pipeline(PATIENT, base=url, attempts=100, timeout=60)
                    asked = hang.stats()["requests"]
                    with Screen(b, columns, "--max-concurrent", 64) as s:
                        if url == hang.url:
                            hang.wait_requests(asked + 1)
                        if url.startswith("https"): # the run ends at once, and the words are in what it says then
                            equal(s.proc.wait(seconds), 6)
                            s.look(1)
                            assert re.search("ended early: .*" + words, s.seen), s.seen
                        else:
                            s.wait_line(words, seconds)


def test_a_test_run_says_it_too():
    with Bench(rows=1) as b:
        b.write_pipeline(PATIENT, base="http://127.0.0.1:%d" % closed_port(), attempts=3)
        done = subprocess.run([SDG, "test-run", "--yaml", b.yaml, "--input", b.input], capture_output=True, text=True, timeout=RUN_S, env=ENVIRONMENT)
        has(done.stderr, "endpoint: ", "no connection to http://127.0.0.1:")


def test_a_closed_endpoint_says_until_when():
    with Mock("--fail", "429=1", "--retry-after", 300) as mock, Bench(mock, 64) as b:
        with Screen(b, 120, "--max-concurrent", 64) as s:
            s.wait_line(r"0/64 in flight, 64 wait, closed until \d\d:\d\d:\d\d: 429 from http://127\.0\.0\.1:%d" % mock.port, 3)
        with Screen(b, 60, "--overwrite", "--ui-locale", "ja") as s:
            s.wait_line(r"\d\d:\d\d:\d\d まで閉鎖: 127\.0\.0\.1:%d から 429|127\.0\.0\.1:%d から 429" % (mock.port, mock.port), 3)


def test_retries_are_counted_while_they_happen():
    with Bench(rows=64) as b:
        b.write_pipeline(PATIENT, base="http://127.0.0.1:%d" % closed_port(), attempts=100)
        with Screen(b, 150, "--max-concurrent", 64) as s:
            s.wait_line(r"\d+ retries", 6)
            lacks(s.seen, "failed")


def test_new_trouble_is_a_plain_line_at_once_and_not_again():
    with Mock("--fail", "429=1") as a, Mock("--fail", "hang=1") as hang, Mock() as plain:
        for url, words, seconds in troubles(a, hang, plain):
            with Bench(rows=8) as b:
                b.write_pipeline(PATIENT, base=url, attempts=100, timeout=60)
                asked = hang.stats()["requests"]
                with b.start() as p:
                    if url == hang.url:
                        hang.wait_requests(asked + 1)
                    began = time.monotonic()
                    wait_for(lambda: re.search("(endpoint|error client): .*" + words, p.err()), words)
                    assert time.monotonic() - began <= seconds, time.monotonic() - began
                    if "429" in words:
                        time.sleep(6)
                        kinds = [line for line in p.err().splitlines() if "endpoint: " in line and "closed" not in line]
                        assert len(kinds) <= 2, p.err()


TWO_CALLS = ECHO.replace("  - {type: end, exec: 2,", """  - {type: ai, exec: 2, id: again, model: m, prompts: ["again {A}"], outputs: [{name: B, select: full}]}
  - {type: end, exec: 3,""")


def test_a_batch_run_shows_its_pass():
    with Mock("--latency-ms", 150) as mock, Bench(mock, 60, TWO_CALLS) as b, Screen(b, 100, "--batch-mode", "--max-batch", 8) as s:
        s.wait_line(r"pass 1 of 2 \(\d+ rows? through it\)", RUN_S)
        s.wait_line(r"pass 2 of 2", RUN_S)


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
            err = b.run(*flags, env={"SDG_TEST_KEY": SECRET}, code=6)
            keyless(b, err)
            has(err, "HTTP 401: Incorrect API key provided: ***", "3 refused in a row: 401 from " + mock.url)
            equal(b.rows(), [], "rows that have met only this are not written")


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
