#!/usr/bin/env python3
"""The output file: order, resuming and refusing to, damaged and foreign files, full disks, compressed files, pipes.

Usage: SDG=path/to/sdg test_output.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import gzip
import json
import os
import random
import signal
import subprocess
import sys

from harness import (ECHO, RUN_S, SDG, Bench, Mock, check_echo, check_indexes, equal, has, limit_file_size, main, read_rows, summary, wait_for)


def test_completion_order_and_row_index():
    rules = [{"match": {"contains": "q 0"}, "delay_ms": 400}]
    with Bench() as b:
        with Mock("--rules", b.write("rules.json", json.dumps(rules))) as mock, Bench(mock, 30) as b2:
            b2.run("--max-concurrent", 4)
            order = b2.check_echo()
            assert order[0] != 0, order
        assert open(b.path("rules.json")).read()


def test_ordered_with_random_latencies():
    with Mock("--latency", "lognormal:10:1.5") as mock, Bench(mock, 300) as b:
        for flags in ([], ["--processes", 2], ["--enable-scheduling", "--max-pending-tasks", 20, "--chunk-size", 3]):
            b.run("--ordered", "--overwrite", "--max-concurrent", 32, *flags)
            equal(b.check_echo(), list(range(300)))


def test_ordered_waits_for_a_slow_first_row_within_its_window():
    """The reorder window bounds what is read: rows far behind the slow one are not asked before it is done."""
    rules = [{"match": {"regex": "^q 0$"}, "delay_ms": 1500}]
    with Bench() as r, Mock("--rules", r.write("rules.json", json.dumps(rules))) as mock, Bench(mock, 400) as b:
        with b.start("--ordered", "--max-concurrent", 8, "--enable-scheduling", "--max-pending-tasks", 50, "--chunk-size", 10) as p:
            mock.wait_requests(50)
            equal(b.lines(), 0)
            assert mock.stats()["requests"] <= 51, mock.stats()
            p.ends(0)
        equal(b.check_echo(), list(range(400)))


def failing(b, rows):
    """A server that refuses the questions of `rows` for good."""
    rules = [{"match": {"regex": "^q (%s)$" % "|".join(map(str, rows))}, "status": 400, "body": {"error": {"message": "not this one"}}}]
    return Mock("--rules", b.write("rules.json", json.dumps(rules)))


def test_failed_rows_are_kept_unless_retried():
    with Bench() as r, failing(r, [3, 7]) as bad, Mock() as good, Bench(bad, 20) as b:
        err = b.run(code=1)
        equal((summary(err)["fine"], summary(err)["failed"]), (18, 2))
        check_indexes(b.rows(), 20)
        b.mock = good
        before = open(b.output).read()
        has(b.run("--force-resume", code=1), "20 rows are finished already (2 failed)")
        equal(open(b.output).read(), before)
        b.write_pipeline(ECHO)
        has(b.run("--force-resume", "--retry-failed"), "2 failed rows are done again")
        b.check_echo()
        equal(good.stats()["requests"], 2)


def test_finished_run_started_again_does_nothing():
    with Mock() as mock, Bench(mock, 20) as b:
        b.run()
        before = open(b.output).read()
        b.run()
        equal(open(b.output).read(), before)
        equal(mock.stats()["requests"], 20)


def test_more_rows_with_a_larger_max_inputs():
    with Mock() as mock, Bench(mock, 50) as b:
        b.run("--max-inputs", 10)
        check_echo(b.rows(), 10)
        b.run("-n", 30)
        check_echo(b.rows(), 30)
        b.run()
        b.check_echo()
        equal(mock.stats()["requests"], 50)


def test_overwrite_starts_anew():
    with Mock() as mock, Bench(mock, 20) as b:
        b.run()
        b.run("--overwrite")
        b.check_echo()
        equal(mock.stats()["requests"], 40)


def refused(b, what, *flags):
    before = open(b.output).read()
    err = b.run(*flags, code=4)
    has(err, b.output, what, "--overwrite", "--force-resume")
    equal(open(b.output).read(), before)


def test_refused_when_something_differs():
    with Mock() as mock, Bench(mock, 20) as b:
        b.run("-n", 5)
        refused(b, "options", "--seed", 7)
        refused(b, "options", "--save-intermediate")
        refused(b, "options", "--mapping", "n:m")
        b.write_rows(20, ', "more": 1')
        refused(b, "input")
        b.write_rows(20)
        b.write_pipeline(ECHO.replace("q {n}", "Q {n}"))
        refused(b, "pipeline")
        refused(b, "another pipeline and other options", "--seed", 7)
        has(b.run("--force-resume"), "continuing as asked")
        equal(sorted(r["a"][:9] for r in b.rows()), ["echo[m]: "] * 20)
        equal(sum("Q" in r["a"] for r in b.rows()), 15)
        b.run("--overwrite")
        equal(sum("Q" in r["a"] for r in b.rows()), 20)


def test_speed_flags_are_no_other_run():
    with Mock() as mock, Bench(mock, 30) as b:
        b.run("-n", 5)
        b.run("-n", 10, "--max-concurrent", 3)
        b.run("-n", 20, "--workers", 2, "--ordered", "--quiet")
        b.run("--processes", 2, "--chunk-size", 5, "--no-progress")
        b.check_echo()


def test_output_without_its_record_is_adopted_with_a_warning():
    with Mock() as mock, Bench(mock, 20) as b:
        b.run("-n", 8)
        os.unlink(b.output + ".sdg")
        has(b.run(), "no record", "on trust")
        b.check_echo()
        equal(mock.stats()["requests"], 20)


def test_foreign_file_is_not_touched():
    with Mock() as mock, Bench(mock, 3) as b:
        for text in ("my notes\n", '{"a": 1}\n{"a": 2}\n', "[1]\n"):
            b.write("out.jsonl", text)
            has(b.run(code=4), b.output, "line 1", "nothing was changed")
            equal(open(b.output).read(), text)


def unchanged(b, path, said, *flags, **more):
    """A run that would write over this file of its own ends with 4, in words, and leaves it as it was."""
    before = open(path, "rb").read()
    has(b.run(*flags, code=4, **more), "same file" if said is None else said, "--output")
    equal(open(path, "rb").read(), before)


IMAGES = """
mabel: {version: "2.0"}
models: [{name: m, api_model: m, base_url: "@BASE@", api_key: "@KEY@"}]
images: [{name: cat, path: cat.png}]
blocks:
  - {type: python, exec: 1, function: f, code_path: code.py, outputs: [x]}
  - {type: end, exec: 2, final: [{name: x, value: "{x}"}]}
"""


def test_no_file_of_the_run_is_an_output():
    with Mock() as mock, Bench(mock, 2) as b:
        os.symlink("in.jsonl", b.path("link.jsonl"))
        os.link(b.input, b.path("hard.jsonl"))
        for flags in ([], ["--overwrite"], ["--force-resume"], ["--retry-failed"]):
            for name in ("in.jsonl", "link.jsonl", "hard.jsonl", "../%s/in.jsonl" % os.path.basename(b.folder)):
                unchanged(b, b.input, None, *flags, output=b.path(name))
            unchanged(b, b.yaml, None, *flags, output=b.yaml)
            unchanged(b, b.input, None, *flags, output=b.input, verb="submit")
            unchanged(b, b.input, None, *flags, input="-", stdin=open(b.input, "rb"), output=b.input)
            unchanged(b, b.input, None, *flags, output="-", stdout=open(b.input, "ab"))
        b.write_pipeline(IMAGES)
        b.write("code.py", "def f():\n    return {'x': 1}\n")
        b.write("cat.png", b"\x89PNG")
        unchanged(b, b.path("code.py"), None, "--overwrite", output=b.path("code.py"))
        unchanged(b, b.path("cat.png"), None, "--overwrite", output=b.path("cat.png"))
        equal(sorted(os.listdir(b.folder)), ["cat.png", "code.py", "hard.jsonl", "in.jsonl", "link.jsonl", "p.yaml"])


def test_no_file_beside_the_output_is_one_of_the_run():
    with Mock() as mock, Bench(mock, 2) as b:
        for ending in (".sdg", ".journal", ".report.html", ".rewrite", ".rejected", ".sdg.new", ".journal.new"):
            path = b.path("o.jsonl" + ending)
            os.link(b.input, path)
            unchanged(b, b.input, "beside its output", "--overwrite", output=b.path("o.jsonl"))
            os.unlink(path)
            os.symlink(b.yaml, path)
            unchanged(b, b.yaml, "beside its output", output=b.path("o.jsonl"))
            os.unlink(path)
        journal = b.write("o.jsonl.journal", "a diary\n")
        unchanged(b, journal, "no call journal", "--overwrite", output=b.path("o.jsonl"))
        assert not os.path.exists(b.path("o.jsonl"))


def test_overwrite_takes_only_outputs_of_ours():
    with Mock() as mock, Bench(mock, 2) as b:
        for name, text in (("notes.txt", "my notes\n"), ("data.jsonl", '{"n": 1}\n'), ("page.html", "<html>"), ("x.bin", b"\0\1\2\n")):
            unchanged(b, b.write(name, text), "--overwrite would destroy it", "--overwrite", output=b.path(name))
        equal(mock.stats()["requests"], 0)
        for text in ("", '{"_row_index": 9, "other": 1}\n'):
            b.write("out.jsonl", text)
            b.run("--overwrite")
            b.check_echo()
        b.run("--overwrite", output="/dev/null")


def test_output_that_is_taken_away_ends_the_run():
    def remove(b):
        os.unlink(b.output)

    def replace(b):
        os.rename(b.write("other.jsonl", ""), b.output)

    def cut(b):
        os.truncate(b.output, 0)

    def grow(b):
        with open(b.output, "a") as f:
            f.write('{"_row_index": 399, "n": 399, "a": "not ours"}\n')

    for take, word in ((remove, "removed or renamed"), (replace, "replaced by another file"), (cut, "cut by another program"),
                       (grow, "written to by another program")):
        with Mock("--latency-ms", 100) as mock, Bench(mock, 400) as b, b.start("--max-concurrent", 4) as p:
            b.wait_lines(5)
            take(b)
            has(p.ends(4, 20), b.output, word)
            assert mock.stats()["requests"] < 200, mock.stats()


def test_packed_output_that_is_taken_away_ends_the_run():
    for name in ("out.jsonl.gz", "out.jsonl.zst"):
        with Mock("--latency-ms", 100) as mock, Bench(mock, 400) as b, b.start("--max-concurrent", 4, output=b.path(name)) as p:
            wait_for(lambda: os.path.exists(b.path(name)) and os.path.getsize(b.path(name)) > 0, "a member in " + name)
            with open(b.path(name), "ab") as f:
                f.write(b"more")
            has(p.ends(4, 20), name, "written to by another program")


def test_output_that_is_taken_away_as_the_run_ends():
    """The last look is behind the last row: no run ends with 0 and a file that is not there."""
    rules = [{"match": {"regex": "^q 9$"}, "delay_ms": 600}]
    with Bench() as r, Mock("--rules", r.write("rules.json", json.dumps(rules))) as mock, Bench(mock, 10) as b, b.start() as p:
        b.wait_lines(9)
        os.unlink(b.output)
        has(p.ends(4, 20), "removed or renamed")
        b.run()
        b.check_echo()


def test_record_of_the_output_that_is_taken_away_is_written_again():
    with Mock("--latency-ms", 100) as mock, Bench(mock, 60) as b, b.start("--max-concurrent", 4) as p:
        b.wait_lines(5)
        os.unlink(b.output + ".sdg")
        has(p.ends(0, 30), "out.jsonl.sdg was removed or renamed", "written again")
        b.check_echo()
        damage(b, 0, lambda line: line.replace(b"echo", b"Echo"))
        has(b.run(), "is not as it was written")


def test_call_journal_that_is_taken_away_is_written_again_and_one_that_is_changed_ends_the_run():
    def start(b):
        b.write_pipeline(ECHO.replace("blocks:", "blocks:\n  - {type: ai, exec: 0, model: m, prompts: [\"first {n}\"], outputs: [{name: F, select: full}]}"))
        return b.start("--max-concurrent", 4)

    with Mock("--latency-ms", 100) as mock, Bench(mock, 60) as b, start(b) as p:
        b.wait_lines(5)
        os.unlink(b.output + ".journal")
        has(p.ends(0, 60), "out.jsonl.journal was removed or renamed", "written again")
        b.check_echo()
        equal(mock.stats()["requests"], 120)
    with Mock("--latency-ms", 100) as mock, Bench(mock, 200) as b, start(b) as p:
        b.wait_lines(5)
        os.truncate(b.output + ".journal", 30)
        has(p.ends(4, 30), "out.jsonl.journal was", "another program")


def damage(b, at, change):
    """Replaces a line of the output by what `change` makes of it."""
    lines = open(b.output, "rb").read().splitlines(keepends=True)
    lines[at] = change(lines[at])
    open(b.output, "wb").write(b"".join(lines))


def rejected(b):
    with open(b.output + ".rejected", "rb") as f:
        return f.read().splitlines(keepends=True)


def test_lines_that_are_no_results_are_done_again():
    with Mock() as mock, Bench(mock, 20) as b:
        for change, said in ((lambda line: line[:-9] + b"\n", "not a JSON object"),
                             (lambda line: b"\0" * len(line), "not a JSON object"),
                             (lambda line: line.replace(b"echo", b"ech\xff"), "invalid UTF-8"),
                             (lambda line: line.replace(b"_row_index", b"_row_endex"), "no row number"),
                             (lambda line: line[:20] + b"\n" + line[20:], "not a JSON object"),
                             (lambda line: line.replace(b'": 5,', b'": 500,', 1), "a row number near here is not the one"),
                             (lambda line: line.replace(b'": 5,', b'": 6,', 1), "nothing tells which is right")):
            b.run("--overwrite", "--ordered")
            damage(b, 5, change)
            lines = open(b.output, "rb").read().splitlines(keepends=True)
            asked = mock.stats()["requests"]
            err = b.run("--ordered")
            has(err, said, "out.jsonl.rejected", "done again")
            b.check_echo()
            bad = rejected(b)
            assert lines[5] in bad and len(bad) <= 2, bad
            assert 1 <= mock.stats()["requests"] - asked <= 2
            os.unlink(b.output + ".rejected")
            assert "rejected" not in b.run("--ordered"), "a second run has nothing to say"


def test_packed_lines_that_are_no_results_are_done_again():
    with Mock() as mock, Bench(mock, 20) as b:
        path = b.path("out.jsonl.gz")
        b.run(output=path)
        lines = gzip.open(path).read().splitlines(keepends=True)
        lines[3] = b"{}\n"
        with gzip.open(path, "wb") as f:
            f.write(b"".join(lines))
        has(b.run(output=path), "line 4", "no row number", "out.jsonl.gz.rejected")
        b.check_echo(path)


def test_row_beyond_the_input_is_taken_out():
    with Mock() as mock, Bench(mock, 20) as b:
        b.run()
        os.unlink(b.output + ".sdg")
        line = b'{"_row_index": 77, "n": 77, "a": "of another input"}\n'
        with open(b.output, "ab") as f:
            f.write(line)
        has(b.run(), "row 77 is none of the input, which has 20 rows", "out.jsonl.rejected")
        b.check_echo()
        equal(rejected(b), [line])


def test_outputs_that_were_joined():
    """Rows that two files have alike count once; where they differ they are done again."""
    with Mock() as mock, Bench(mock, 20) as b:
        b.run("-n", 12)
        whole = open(b.output, "rb").read()
        with open(b.output, "ab") as f:
            f.write(whole)
        has(b.run(), "row 0 again, which line", "12 lines move to")
        b.check_echo()
        equal(mock.stats()["requests"], 20)


def test_changed_text_is_said_once_and_kept():
    with Mock() as mock, Bench(mock, 20) as b:
        b.run("--ordered")
        damage(b, 7, lambda line: line.replace(b"echo", b"better"))
        has(b.run(), "among lines 1 to 20 something is not as it was written")
        assert "better" in open(b.output).read()
        assert "as it was written" not in b.run()
        equal(mock.stats()["requests"], 20)


def test_lines_that_were_taken_out_are_said_and_done_again():
    with Mock() as mock, Bench(mock, 20) as b:
        b.run("--ordered")
        damage(b, 7, lambda line: b"")
        has(b.run(), "lines that were written are gone (1)")
        b.check_echo()


def test_damaged_record_is_told_from_another_run():
    with Mock() as mock, Bench(mock, 20) as b:
        b.run()
        text = open(b.output + ".sdg").read()
        head, sums = text.split("\n", 1)
        b.write("out.jsonl.sdg", head.replace('"input": "', '"input": "0', 1) + "\n" + sums)
        err = b.run(code=4)
        has(err, "out.jsonl.sdg is damaged", "--force-resume")
        assert "another input" not in err
        has(b.run("--force-resume"), "20 rows are finished already")
        b.write("out.jsonl.sdg", head + "\n" + sums.replace('"sum": "', '"sum": "f', 1))
        has(b.run(), "out.jsonl.sdg is damaged", "written anew")
        b.run()
        equal(open(b.output + ".sdg").read(), text)
        equal(mock.stats()["requests"], 20)


def test_rejected_lines_follow_no_link():
    with Mock() as mock, Bench(mock, 20) as b:
        b.run()
        damage(b, 3, lambda line: b"x\n")
        before = open(b.output, "rb").read()
        os.symlink(b.write("victim", "mine"), b.output + ".rejected")
        has(b.run(code=4), "out.jsonl.rejected", "nothing was changed")
        equal((open(b.path("victim")).read(), open(b.output, "rb").read()), ("mine", before))


def test_locked_by_another_run():
    with Mock("--latency-ms", 60000) as mock, Bench(mock, 5) as b:
        with b.start() as first:
            mock.wait_in_flight(5)
            has(b.run(code=4), b.output, "another")
            assert first.proc.poll() is None


def test_unwritable_outputs():
    with Mock() as mock, Bench(mock, 3) as b:
        os.mkdir(b.path("folder"))
        b.write("file", "x")
        for output in (b.path("folder"), b.path("file/below.jsonl"), "/proc/nothing/out.jsonl"):
            has(b.run(output=output, code=4), output.split("/below")[0])
        equal(mock.stats()["requests"], 0)


def test_missing_folders_are_made():
    with Mock() as mock, Bench(mock, 3) as b:
        b.run(output=b.path("a/b/out.jsonl"))
        b.check_echo(b.path("a/b/out.jsonl"))


def full_disk(name, *flags, rows=3000):
    """The limit is met in the middle of a run: it ends cleanly, and goes on with more room."""
    text = "x" * 200
    with Mock("--answer", text) as mock, Bench(mock, rows) as b:
        output = b.path(name)
        b.write_pipeline(ECHO.replace('value: "{A}"', 'value: "{A} {n}"'))
        with b.start("--max-concurrent", 64, *flags, output=output, preexec=limit_file_size(100000)) as p:
            err = p.ends(4)
        has(err, output, "the same command continues")
        assert "full" in err or "large" in err or "space" in err, err
        if name.endswith("jsonl"):
            kept = read_rows(output)
            assert 100 < len(kept) < rows, len(kept)
        b.run("--max-concurrent", 64, *flags, output=output)
        got = read_rows(output)
        check_indexes(got, rows)
        for row in got:
            equal(row["a"], "%s %d" % (text, row["n"]))


def test_disk_full():
    full_disk("out.jsonl")


def test_disk_full_ordered_and_with_processes():
    full_disk("out.jsonl", "--ordered")
    full_disk("out.jsonl", "--processes", 2)


def test_disk_full_with_compressed_outputs():
    """What is in the file is whole; rows held back for a better compression are done again."""
    for name in ("out.jsonl.gz", "out.jsonl.zst"):
        with Mock() as mock, Bench(mock, 2000) as b:
            with open(b.input, "w") as f:
                for i in range(2000):
                    f.write(json.dumps({"n": i, "t": random.randbytes(150).hex()}) + "\n")
            b.write_pipeline(ECHO.replace('value: "{A}"', 'value: "{t}"'))
            with b.start("--max-concurrent", 64, output=b.path(name), preexec=limit_file_size(200000)) as p:
                has(p.ends(4), name)
            assert 100 < len(read_rows(b.path(name))) < 2000
            b.run("--max-concurrent", 64, output=b.path(name))
            check_indexes(read_rows(b.path(name)), 2000)


def test_disk_full_from_the_beginning():
    with Mock() as mock, Bench(mock, 3) as b:
        done = subprocess.run([SDG, *b.args()], stderr=subprocess.PIPE, timeout=RUN_S, preexec_fn=limit_file_size(10))
        equal(done.returncode, 4)
        has(done.stderr.decode(), "out.jsonl.sdg: cannot be written")
        b.run()
        b.check_echo()


def test_compressed_outputs():
    with Mock() as mock, Bench(mock, 300) as b:
        for name in ("out.jsonl.gz", "out.jsonl.zst"):
            b.run("-n", 100, output=b.path(name))
            check_echo(b.rows(b.path(name)), 100)
            b.run(output=b.path(name))
            b.check_echo(b.path(name))


def test_stdout():
    with Mock() as mock, Bench(mock, 100) as b:
        with open(b.path("piped"), "wb") as f, b.start(output="-", stdout=f) as p:
            has(p.ends(0), "100 fine")
        b.check_echo(b.path("piped"))
        assert not os.path.exists("-.sdg")


def test_stdout_closed_early():
    """`sdg run --output - | head -1`: the run ends by itself, soon, in words."""
    with Mock("--latency-ms", 10) as mock, Bench(mock, 2000) as b:
        with b.start("--max-concurrent", 8, output="-", stdout=subprocess.PIPE) as p:
            json.loads(p.proc.stdout.readline())
            p.proc.stdout.close()
            err = p.ends(4)
        has(err, "standard output: cannot be written", "ended early")
        assert mock.stats()["requests"] < 1000


def test_rows_are_in_the_file_while_the_run_goes_on():
    with Mock("--latency-ms", 100) as mock, Bench(mock, 100) as b, b.start("--max-concurrent", 4) as p:
        b.wait_lines(4)
        assert p.proc.poll() is None
        p.signal(signal.SIGINT)
        p.ends(5)


def test_save_intermediate():
    with Mock() as mock, Bench(mock, 3) as b:
        b.run("--save-intermediate")
        for row in b.rows():
            equal(row["_1_A"], "echo[m]: q %d" % row["_row_index"])


if __name__ == "__main__":
    sys.exit(main(globals()))
