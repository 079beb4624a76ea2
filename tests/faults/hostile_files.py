"""Hostile files: datasets and outputs as people have them. Each is read right, or refused at once with the way out; none is changed."""
import gzip
import json
import os
import subprocess

from hostile_case import Trial, require

CASES = []

PIPELINE = """mabel: {version: "2.0"}
blocks:
  - {type: end, exec: 1, final: [{name: a, value: "@VALUE@"}]}
"""


def case(text):
    def keep(function):
        CASES.append(("file", text, function))
        return function
    return keep


class With(Trial):
    """A trial with one dataset and no LLM. right: the values of column `a`, one for each row; None: no row may come out fine."""

    def __init__(self, name, data, right, value="{n}"):
        super().__init__(len(right), lambda i: right[i])
        self.yaml = self.give("p.yaml", PIPELINE.replace("@VALUE@", value))
        self.input = self.give(name, data)

    def go(self, *flags, input=None, output=None, **more):
        return self.run("run", "--yaml", self.yaml, "--input", input or self.input, "--output", output or self.output, "--no-progress", "--ordered",
                        *flags, **more)

    def reads(self, failed=(), says=None, flags=(), reason=None, **more):
        """All rows but those of `failed` come out fine."""
        self.go(*flags, **more)
        return self.expect(code=1 if failed else 0, fine=set(range(self.rows)) - set(failed), says=says, reason=reason)

    def refused(self, says, *flags, **more):
        """Exit 4 and the way out, before any row."""
        self.go(*flags, **more).expect(code=4, fine=0, says=says)
        require(not self.failed, "rows are written as failed: %s", self.failed)
        return self

    def reads_or_refuses(self, says, **more):
        """Both are right: all rows fine, or exit 4 and the way out."""
        self.go(**more)
        return self.expect(code=0) if self.code == 0 else self.expect(code=4, fine=0, says=says)


# ---- CSV and TSV

@case("CSV: text behind a closing quote")
def _():
    text = 'n,t\n0,x\n1,"a" b\n2,y\n3,z\n'
    return With("in.csv", text, ["0", "1", "2", "3"]).reads(failed={1}, reason="line 3")


@case("CSV: a quote that is never closed")
def _():
    rows = "".join("%d,x\n" % i for i in range(2, 50))
    t = With("in.csv", 'n,t\n0,x\n1,"open\n' + rows, [str(i) for i in range(50)])
    return t.reads(failed={1}, reason="line 3")


@case("CSV: lines that end in CR alone")
def _():
    return With("in.csv", "n,t\r0,x\r1,y\r", ["0", "1"]).reads()


@case("CSV: a column without a name (pandas)")
def _():
    return With("in.csv", ",n\n0,Ann\n1,Bob\n", ["Ann", "Bob"]).reads(says="column_1")


@case("CSV: two columns of one name")
def _():
    return With("in.csv", "n,n\nx,0\ny,1\n", ["0", "1"]).reads(says="(?i)warn")


@case("CSV: separated by semicolons")
def _():
    return With("in.csv", "n;t\n0;x\n1;y\n", ["0", "1"]).reads()


@case("CSV: on stdin")
def _():
    t = With("in.csv", "n,t\n0,x\n1,y\n", ["0", "1"])
    t.go("--format", "csv", input="-", stdin=t.input)
    return t.expect(code=0, fine=2)


@case("CSV: a byte order mark, CRLF, a line break in a field")
def _():
    return With("in.csv", '\ufeffn,t\r\n"0","a\r\nb"\r\n1,""\r\n', ["0", "1"]).reads()


@case("TSV: quotes are letters")
def _():
    return With("in.tsv", 'n\tt\n"0\tx\n1"\ty\n', ['"0', '1"']).reads()


@case("CSV: numbers with zeros in front stay texts")
def _():
    return With("in.csv", "n\n00123\n1e5\n", ["00123", "1e5"]).reads()


# ---- JSON

@case("JSON: one array in a .json")
def _():
    return With("in.json", json.dumps([{"n": 0}, {"n": 1}], indent=1), ["0", "1"]).reads_or_refuses("jq")


@case("JSON: one array in a .jsonl, over many lines")
def _():
    return With("in.jsonl", "[\n" + ",\n".join('{"n": %d}' % i for i in range(5)) + "\n]\n", [str(i) for i in range(5)]).reads_or_refuses("jq")


@case("JSON: integers of any size")
def _():
    numbers = ["9223372036854775808", "-9223372036854775809", "123456789012345678901234567890"]
    return With("in.jsonl", "".join('{"n": %s}\n' % n for n in numbers), numbers).reads()


@case("JSON: NaN and 1e400 are null")
def _():
    return With("in.jsonl", '{"n": NaN}\n{"n": 1e400}\n{"n": -Infinity}\n', ["None"] * 3).reads(says="null")


@case("JSON: a lone surrogate")
def _():
    return With("in.jsonl", '{"n": "a\\ud800b"}\n', ["a\ufffdb"]).reads()


@case("JSON: lines that are no objects")
def _():
    return With("in.jsonl", '{"n": 0}\n[1]\n{"n": 2\n"x"\n{"n": 4}\n', [str(i) for i in range(5)]).reads(failed={1, 2, 3}, reason="line [234]")


# ---- encodings and compression

@case("UTF-16 with a byte order mark")
def _():
    return With("in.jsonl", '{"n": "é"}\n{"n": "日"}\n'.encode("utf-16"), ["é", "日"]).reads_or_refuses("iconv")


@case("UTF-16 without one, on stdin")
def _():
    t = With("in.jsonl", '{"n": "0"}\n{"n": "1"}\n'.encode("utf-16-be"), ["0", "1"])
    return t.reads_or_refuses("iconv", input="-", stdin=t.input)


@case("zstd with a long window")
def _():
    text = "".join('{"n": %d}\n' % i for i in range(200)).encode()
    packed = subprocess.run(["zstd", "-q", "--ultra", "-20", "--long=31", "-c"], input=text, stdout=subprocess.PIPE, check=True).stdout
    return With("in.jsonl.zst", packed, [str(i) for i in range(200)]).reads()


@case("gzip that ends early")
def _():
    text = "".join('{"n": %d, "t": "%s"}\n' % (i, os.urandom(30).hex()) for i in range(2000)).encode()
    t = With("in.jsonl.gz", gzip.compress(text)[:-2000], [str(i) for i in range(2000)])
    t.go().expect(says="(?i)in.jsonl.gz")
    require(t.code == 4, "exit code %d", t.code)
    return t


# ---- outputs

def never(text, make, code=4):
    """An output that is something else: refused, whatever the flags."""
    @case(text)
    def _():
        t = With("in.jsonl", '{"n": 0}\n{"n": 1}\n', ["0", "1"])
        output = make(t)
        for flags in ([], ["--overwrite"], ["--force-resume"], ["--retry-failed"]):
            t.run("run", "--yaml", t.yaml, "--input", t.input, "--output", output, "--no-progress", *flags).expect(code=code)
        return t


def link(t, kind):
    path = t.path("other.jsonl")
    kind(t.input, path)
    return path


never("the output is the dataset", lambda t: t.input)
never("the output is a symlink to the dataset", lambda t: link(t, os.symlink))
never("the output is a hard link of the dataset", lambda t: link(t, os.link))
never("the output is the pipeline", lambda t: t.yaml)
never("the output is a file of somebody else", lambda t: t.give("thesis.txt", "a year of work\n"))


@case("the record of the output is the dataset")
def _():
    t = With("out.jsonl.sdg", '{"n": 0}\n', ["0"])
    return t.go("--overwrite").expect(code=4)


@case("an empty file and /dev/null are outputs")
def _():
    t = With("in.jsonl", '{"n": 0}\n', ["0"])
    open(t.output, "wb").close()
    t.go().expect(code=0, fine=1)
    t.run("run", "--yaml", t.yaml, "--input", t.input, "--output", "/dev/null", "--no-progress", "--overwrite").expect(code=0)
    return t
