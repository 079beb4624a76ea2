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

from harness import ECHO, PLAIN, SDG, Bench, Mock, check_echo, check_indexes, equal, has, lacks, main, summary

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
    csv2 = b'a;b\n1;x y\n2;"\xc3\xa4,""q""\nline"\n'
    with Bench(pipeline=COPY) as b:
        for name, data in (("x.jsonl", jsonl), ("x.ndjson", jsonl), ("x.csv", csv), ("y.csv", csv2)):
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
        has(rows[3]["_error"], "line 5", "quote")
        equal((len(rows), rows[4]["a"], rows[4]["b"]), (5, "8", "9"))


def test_stray_quotes_in_many_rows_swallow_none():
    """1,000 rows, of which every tenth has a stray quote: the others are as they are."""
    lines = ['%d,%s' % (i, ('"no end %d' if i % 20 else '%d" tall, "x') % i if i % 10 == 0 else '"text %d"' % i) for i in range(1000)]
    for end in ("\n", "\r\n", "\r"):
        for suffix, pack in (("", lambda d: d), (".gz", gzip.compress)):
            with Bench(pipeline=COPY) as b:
                data = end.join(["a,b", *lines, ""]).encode()
                b.run(input=b.write("x.csv" + suffix, pack(data)), code=1)
                rows = by_index(b)
                check_indexes(rows, 1000)
                for i, row in enumerate(rows):
                    if i % 10:
                        equal((row["a"], row["b"]), (str(i), "text %d" % i))
                    else:
                        has(row["_error"], "line %d:" % (i + 2))


def test_tsv_has_no_quoting():
    with Bench(pipeline=COPY) as b:
        b.run(input=b.write("x.tsv", 'a\tb\n1\t"open\n2\t5" wide\n"3"\t""\r\n4\tend'))
        equal([(r["a"], r["b"]) for r in by_index(b)], [("1", '"open'), ("2", '5" wide'), ('"3"', '""'), ("4", "end")])


def test_columns_without_a_name_or_with_an_equal_one_are_taken_with_a_warning():
    with Bench(pipeline=COPY.replace("{b}", "{column_1}")) as b:
        err = b.run(input=b.write("x.csv", ",a,a\n0,Ann,Bea\n1,Bob\n"))
        has(err, "warn", "column 1 of the header has no name: it is called column_1", 'columns 2 and 3 of the header have the same name "a"')
        equal([(r["a"], r["b"]) for r in by_index(b)], [("Bea", "0"), ("", "1")])
        equal(err.count("column_1"), 1)


def test_separators_and_formats():
    rows = [("1", "x, y"), ("2", "z")]
    with Bench(pipeline=COPY) as b:
        for name, text, flags in (("x.csv", 'a;b\n1;x, y\n2;z\n', []), ("x.txt", 'a|b\n1|"x, y"\n2|z\n', ["--delimiter", "|"]),
                                  ("x.csv", 'a\tb\n1\tx, y\n2\tz\n', ["--delimiter", "tab"]), ("x.txt", 'a,b\r1,"x, y"\r2,z', ["--format", "csv"]),
                                  ("x.csv", 'a\tb\n1\tx, y\n2\tz\n', ["--format", "tsv"]),
                                  ("x.csv", '{"a": 1, "b": "x, y"}\n{"a": 2, "b": "z"}\n', ["--format", "jsonl"])):
            path = b.write(name, text)
            b.run("--overwrite", *flags, input=path)
            equal([(r["a"], r["b"]) for r in by_index(b)], rows, name)
            if "jsonl" not in flags and name != "x.csv":
                b.run("--overwrite", *flags, input="-", stdin=open(path, "rb"))
                equal([(r["a"], r["b"]) for r in by_index(b)], rows, name)
            shown = subprocess.run([SDG, "test-run", "--yaml", b.yaml, "--input", path, *flags], capture_output=True, text=True)
            has(shown.stdout, "x, y")
            equal(shown.returncode, 0)
        b.run("--overwrite", input="-", stdin=open(b.write("s", "a;b\n1;x, y\n2;z\n"), "rb"), *["--format", "csv"])
        equal([(r["a"], r["b"]) for r in by_index(b)], rows)
        for flags, word in ((["--delimiter", "ab"], "one character"), (["--delimiter", ""], "one character"), (["--delimiter", '"'], "one character"),
                            (["--format", "xlsx"], "jsonl, csv or tsv")):
            has(b.run(*flags, code=2), word)
        has(b.run("--overwrite", "--delimiter", ";", code=4), "--format csv")


def test_the_columns_are_looked_for_in_the_form_that_is_given():
    with Mock() as mock, Bench(mock) as b:
        b.write("x.txt", "n|other\n0|y\n1|z\n")
        lacks(b.run("--delimiter", "|", "--strict", input=b.path("x.txt")), "no column")
        check_indexes(b.rows(), 2)
        has(b.run("--overwrite", "--format", "csv", "--strict", input=b.path("x.txt"), code=3), "{n}")
        equal(len(b.rows()), 2)


def test_another_separator_is_another_input():
    with Bench(pipeline=COPY.replace("{b}", "")) as b:
        path = b.write("x.csv", "a;b\n1;2\n")
        b.run(input=path)
        b.run("--delimiter", ";", input=path)
        has(b.run("--delimiter", ",", input=path, code=4), "other input")
        has(b.run("--format", "tsv", input=path, code=4), "other input")
        b.run("--delimiter", ",", "--force-resume", input=path)


def test_other_forms_are_refused_before_the_first_row():
    array = b'[\n {"n": 0},\n {"n": 1}\n]\n'
    with Mock() as mock, Bench(mock) as b:
        for data, words in ((array, ["JSON array", "jq -c '.[]'"]), (b'[{"n": 0}, {"n": 1}]', ["JSON array", "jq -c '.[]'"]),
                            (b'{\n "n": 0\n}\n', ["over several lines", "jq -c ."]), ('{"n": 0}\n'.encode("utf-16"), ["UTF-16", "iconv -f UTF-16 -t UTF-8"]),
                            ('{"n": 0}\n'.encode("utf-16-le"), ["UTF-16", "iconv -f UTF-16LE -t UTF-8"]),
                            ('{"n": 0}\n'.encode("utf-16-be"), ["UTF-16", "iconv -f UTF-16BE -t UTF-8"])):
            for name in ("x.jsonl", "x.json", "x.csv", "x.tsv", "x.dat"):
                has(b.run(input=b.write(name, data), code=4), *words)
                has(b.run(input=b.write(name + ".gz", gzip.compress(data)), code=4), *words, "gzip -dc")
                has(b.run(input=b.write(name + ".zst", zstd(data)), code=4), *words, "zstd -dc")
            for flags in ([], ["--format", "csv"]):
                has(b.run(*flags, input="-", stdin=open(b.path("x.jsonl"), "rb"), code=4), *words)
                with b.start(*flags, input="-", stdin=subprocess.PIPE) as p:
                    p.proc.stdin.write(data)
                    p.proc.stdin.close()
                    has(p.ends(4), *words)
            equal(b.lines(), 0)
        equal(mock.stats()["requests"], 0)
        b.write("x.json", '{"n": 0}\n{"n": 1}\n')
        b.run("--overwrite", input=b.path("x.json"))
        b.check_echo(count=2)


def test_zstd_with_a_long_window():
    with Mock() as mock, Bench(mock, 3) as b:
        packed = b.path("long.jsonl.zst")
        subprocess.run(["zstd", "-q", "--long=30", "-o", packed, "-"], stdin=open(b.input, "rb"), check=True)
        b.run(input=packed)
        b.check_echo()


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
                 ("quote.csv", b'a,"b"c\n1,2\n', "quote"), ("open.csv", b'a,"b\n1,2\n', "quote")]
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
