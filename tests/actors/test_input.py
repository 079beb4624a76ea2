#!/usr/bin/env python3
"""Datasets: formats, compression, pipes, bad lines, large and many rows, and what is said of inputs that cannot be used.

Usage: SDG=path/to/sdg test_input.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import gzip
import json
import os
import subprocess
import sys
import time

from harness import ECHO, PLAIN, Bench, Mock, check_echo, check_indexes, equal, has, main, summary

COPY = """
mabel: {version: "2.0"}
blocks:
  - {type: end, exec: 1, final: [{name: a, value: "{a}"}, {name: b, value: "{b}"}]}
"""


def zstd(data):
    return subprocess.run(["zstd", "-cq"], input=data, stdout=subprocess.PIPE, check=True).stdout


def by_index(b):
    return sorted(b.rows(), key=lambda r: r["_row_index"])


def test_every_format_gives_the_same_rows():
    jsonl = b'{"a": "1", "b": "x y"}\n{"a": "2", "b": "\xc3\xa4,\\"q\\"\\nline"}\n'
    csv = b'\xef\xbb\xbfa,b\r\n1,x y\r\n2,"\xc3\xa4,""q""\nline"\r\n'
    tsv = b'a\tb\n1\tx y\n2\t"\xc3\xa4,""q""\nline"\n'
    with Bench(pipeline=COPY) as b:
        for name, data in (("x.jsonl", jsonl), ("x.ndjson", jsonl), ("x.csv", csv), ("x.tsv", tsv)):
            for suffix, pack in (("", lambda d: d), (".gz", gzip.compress), (".zst", zstd)):
                b.run("--overwrite", input=b.write(name + suffix, pack(data)))
                equal(by_index(b), [{"_row_index": 0, "a": "1", "b": "x y"}, {"_row_index": 1, "a": "2", "b": 'ä,"q"\nline'}], name + suffix)


def test_stdin():
    with Mock() as mock, Bench(mock, 50) as b:
        for data in (open(b.input, "rb").read(), gzip.compress(open(b.input, "rb").read()), zstd(open(b.input, "rb").read())):
            stdin = open(b.write("stdin", data), "rb")
            b.run("--overwrite", input="-", stdin=stdin)
            b.check_echo()


def slow_pipe(*flags):
    """The first rows come out while the pipe is still open."""
    with Mock() as mock, Bench(mock, 0) as b, b.start(*flags, input="-", stdin=subprocess.PIPE) as p:
        for n in range(3):
            p.proc.stdin.write(b'{"n": %d}\n' % n)
            p.proc.stdin.flush()
            b.wait_lines(n + 1)
            assert p.proc.poll() is None
        p.proc.stdin.write(b'{"n": 3}')  # no newline at the end
        p.proc.stdin.close()
        p.ends(0)
        check_echo(b.rows(), 4)


def test_slow_pipe():
    slow_pipe()


def test_slow_pipe_ordered_and_with_processes():
    slow_pipe("--ordered")
    slow_pipe("--processes", 2)


def test_idle_pipe_can_be_stopped():
    with Mock() as mock, Bench(mock, 0) as b, b.start(input="-", stdin=subprocess.PIPE) as p:
        p.proc.stdin.write(b'{"n": 0}\n')
        p.proc.stdin.flush()
        b.wait_lines(1)
        p.signal(2)
        p.ends(5, 10)


def test_blank_broken_and_foreign_lines():
    lines = ['{"n": 0}', "", "   ", '{"n": 1', "[1, 2]", '"text"', '{"n": 4}', "\t", '{"n": "\\ud800"}', '{"n": 6} x', "nul\0", '{"n": 8}']
    with Mock() as mock, Bench(mock) as b:
        b.write("in.jsonl", "\n".join(lines) + "\n")
        err = b.run(code=1)
        rows = by_index(b)
        check_indexes(rows, 9)
        good = [r["_row_index"] for r in rows if "_error" not in r]
        assert {0, 4, 8} <= set(good) <= {0, 4, 5, 8}, good
        for index, line in ((1, 4), (2, 5), (3, 6), (6, 10), (7, 11)):
            has(rows[index]["_error"], "input line %d:" % line)
        equal(summary(err)["failed"], 9 - len(good))
        b.run("--overwrite", "--ordered", code=1)
        equal(b.rows(), rows)


def test_invalid_utf8_fails_its_row_only():
    with Mock() as mock, Bench(mock) as b:
        b.write("in.jsonl", b'{"n": 0}\n{"n": "\xff"}\n{"n": 2}\n')
        b.run(code=1)
        rows = by_index(b)
        has(rows[1]["_error"], "input line 2:")
        equal([("_error" in r) for r in rows], [False, True, False])


def test_csv_with_an_open_quote_and_missing_columns():
    with Bench(pipeline=COPY) as b:
        path = b.write("x.csv", 'a,b\n1,2\n3\n4,5,6\n7,"open\n8,9\n')
        b.run(input=path, code=1)
        rows = by_index(b)
        equal((rows[0]["a"], rows[0]["b"]), ("1", "2"))
        has(rows[-1]["_error"], "line 5", "quote")


def test_mapping():
    with Mock() as mock, Bench(mock) as b:
        b.write("in.jsonl", '{"number": 0, "other": 1}\n')
        b.run("--mapping", "number:n", "--mapping", "other:o")
        b.check_echo(count=1)


def test_max_inputs():
    with Mock() as mock, Bench(mock, 30) as b:
        for n in (0, 1, 7, 30, 100):
            b.run("--overwrite", "-n", n)
            check_echo(b.rows(), min(n, 30))


def test_empty_inputs():
    with Mock() as mock, Bench(mock) as b:
        for data in (b"", b"\n\n", b"\xef\xbb\xbf"):
            b.write("in.jsonl", data)
            err = b.run("--overwrite")
            equal((b.rows(), summary(err)["fine"]), ([], 0))
        b.run("--overwrite", input=b.write("x.csv", "n\n"))
        equal(b.rows(), [])


def test_inputs_that_cannot_be_used():
    with Mock() as mock, Bench(mock) as b:
        os.mkdir(b.path("folder.jsonl"))
        os.mkfifo(b.path("unused.fifo"))
        cases = [("missing.jsonl", None, "missing.jsonl"), ("folder.jsonl", None, "folder"), ("x.parquet", b"PAR1", ".jsonl"),
                 ("double.csv", b"a,a\n1,2\n", "a"), ("noname.csv", b"a,\n1,2\n", "column")]
        for name, data, word in cases:
            path = b.write(name, data) if data is not None else b.path(name)
            has(b.run(input=path, code=4), path, word)
            assert not os.path.exists(b.output), name


def test_damaged_compressed_inputs_end_the_run_in_words():
    text = "".join('{"n": %d}\n' % i for i in range(20000)).encode()
    with Bench(pipeline=PLAIN) as b:
        for name, data in (("x.jsonl.gz", gzip.compress(text)), ("x.jsonl.zst", zstd(text))):
            err = b.run("--overwrite", input=b.write(name, data[:len(data) // 2]), code=4)
            has(err, name)
            rows = b.rows()
            check_indexes(rows, len(rows))
            b.run("--force-resume", input=b.write(name, data))
            check_indexes(b.rows(), 20000)


def test_large_rows_among_small_ones():
    """5 MB rows; what is pending is bounded in bytes, too."""
    large = "x" * 5000000
    with Bench(pipeline=COPY) as b:
        with open(b.input, "w") as f:
            for i in range(60):
                f.write(json.dumps({"a": i, "b": large if i % 6 == 0 else "small"}) + "\n")
        for flags in ([], ["--processes", 2]):
            b.run("--overwrite", *flags)
            rows = by_index(b)
            check_indexes(rows, 60)
            for i, row in enumerate(rows):
                equal((row["a"], len(row["b"])), (str(i), len(large) if i % 6 == 0 else 5))


def test_large_rows_to_the_server():
    with Mock() as mock, Bench(mock) as b:
        b.write("in.jsonl", "".join('{"n": "%d %s"}\n' % (i, "y" * 3000000) for i in range(6)))
        b.write_pipeline(ECHO.replace('value: "{n}", type_hint: json', 'value: "{n}"'))
        b.run()
        for row in b.rows():
            assert row["a"] == "echo[m]: q " + row["n"] and len(row["n"]) > 3000000


def many_rows(count, *flags):
    with Bench(None, count, PLAIN) as b:
        began = time.monotonic()
        b.run(*flags)
        took = time.monotonic() - began
        for row in b.rows():
            equal(row["m"], row["_row_index"] + 1)
        check_quickly(b, count)
        return took


def check_quickly(b, count):
    seen = bytearray(count)
    for row in b.rows():
        seen[row["_row_index"]] += 1
    equal(seen, bytearray(b"\1" * count))


def test_100000_tiny_rows():
    took = many_rows(100000, "--max-concurrent", 64)
    assert took < 30, took


def test_20000_tiny_rows_in_every_way():
    for flags in (["--ordered"], ["--workers", 2], ["--processes", 2], ["--chunk-size", 1], ["--enable-scheduling", "--max-pending-tasks", 1]):
        many_rows(20000 if flags[0][2] not in "ce" else 2000, *flags)


def test_fifo_by_name():
    with Mock() as mock, Bench(mock, 0) as b:
        path = b.path("pipe.jsonl")
        os.mkfifo(path)
        with b.start(input=path) as p:
            with open(path, "w") as f:
                f.write('{"n": 0}\n{"n": 1}\n')
            p.ends(0)
        check_echo(b.rows(), 2)


if __name__ == "__main__":
    sys.exit(main(globals()))
