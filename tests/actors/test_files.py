#!/usr/bin/env python3
"""Which files the rows of a dataset may name: pictures below the folders of pipeline and input, and below --allow-files.

Usage: SDG=path/to/sdg test_files.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import base64
import json
import os
import re
import sys
import tempfile

from harness import Bench, Mock, Serve, equal, has, lacks, main, wait_for

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
LOOK = """
mabel: {version: "2.1"}
models: [{name: m, api_model: m, base_url: "@BASE@/v1"}]
blocks:
  - {type: ai, exec: 1, model: m, prompts: ["look {pic.img}"], outputs: [{name: A, select: full}]}
  - {type: end, exec: 2, final: [{name: a, value: "{A}"}]}
"""


class Pictures:
    """A bench whose input and pipeline lie in a folder of their own, with pictures there and beside it; the server's log is read."""

    def __enter__(self):
        self.bench = Bench(None, 0, LOOK)
        self.log = self.bench.path("log")
        self.mock = Mock("--log", self.log)
        self.bench.mock = self.mock
        b = self.bench
        os.mkdir(b.path("own"))
        os.mkdir(b.path("else"))
        b.write_pipeline(LOOK)
        os.rename(b.yaml, b.path("own/p.yaml"))
        b.yaml, b.input = b.path("own/p.yaml"), b.path("own/in.jsonl")
        b.write("own/cat.png", PNG)
        b.write("else/dog.png", PNG)
        b.write("own/notes.txt", "these are private notes")
        os.symlink("../else/dog.png", b.path("own/link.png"))
        os.mkfifo(b.path("own/pipe.png"))
        return self

    def __exit__(self, *_):
        self.mock.__exit__()
        self.bench.__exit__()

    def rows(self, *pictures):
        self.bench.write("own/in.jsonl", "".join(json.dumps({"pic": {"_type": "image", **p}}) + "\n" for p in pictures))

    def results(self):
        return [r.get("_error", "fine") for r in sorted(self.bench.rows(), key=lambda r: r["_row_index"])]

    def sent(self):
        return open(self.log).read()


def test_a_row_names_pictures_beside_the_input():
    with Pictures() as t:
        t.rows({"path": "cat.png"}, {"path": t.bench.path("own/cat.png")}, {"path": "../own/cat.png", "media_type": "image/png"})
        t.bench.run()
        equal(t.results(), ["fine"] * 3)
        has(t.sent(), base64.b64encode(PNG).decode())


def test_what_a_row_may_not_name():
    """Each such row fails in words, and nothing of the file is sent. A pipe is not waited for."""
    with Pictures() as t:
        t.rows({"path": "/etc/passwd", "media_type": "image/png"}, {"path": "../else/dog.png"}, {"path": "link.png"}, {"path": "pipe.png"},
               {"path": "notes.txt", "media_type": "image/png"}, {"path": "cat.png", "media_type": "image/gif"}, {"path": "/dev/zero"}, {"path": "."},
               {"path": "/proc/self/environ"}, {"path": "gone.png"})
        for flags in (), ("--processes", "2"):
            t.bench.run("--overwrite", *flags, code=1)
            words = t.results()
            for i in (0, 1, 2, 6, 7, 8):
                has(words[i], "outside of the folders", "--allow-files DIR")
            has(words[3], "is not a file")
            has(words[4], "holds no picture")
            has(words[5], "is image/png, but its media_type says image/gif")
            has(words[9], "gone.png does not exist")
        lacks(t.sent() if os.path.exists(t.log) else "", base64.b64encode(b"root:").decode()[:6], base64.b64encode(PNG).decode())


def test_allow_files_opens_further_folders():
    with Pictures() as t:
        t.rows({"path": t.bench.path("else/dog.png")}, {"path": "dog.png"}, {"path": "link.png"}, {"path": "/etc/passwd"})
        for flags in (), ("--processes", "2"):
            t.bench.run("--overwrite", "--allow-files", t.bench.path("else"), *flags, code=1)
            equal(t.results()[:3], ["fine"] * 3)
            has(t.results()[3], "outside of the folders")
        has(t.bench.run("--allow-files", t.bench.path("nothing"), code=2), "takes a folder that is there")


def test_rows_of_a_fleet_name_no_files_unless_the_worker_allows_it():
    with Pictures() as t, Serve(t.bench.folder) as serve:
        t.rows({"path": t.bench.path("own/cat.png")}, {"path": "/etc/passwd"})
        with serve.worker("--name", "closed"):
            with t.bench.submit(serve) as p:
                p.ends(1)
            for words in t.results():
                has(words, "started without --allow-files DIR", "base64 or url")
        with serve.worker("--name", "open", "--allow-files", t.bench.path("own")):
            with t.bench.submit(serve, "--overwrite") as p:
                p.ends(1)
            equal(t.results()[0], "fine")
            has(t.results()[1], "--allow-files of this worker")


def folders(where):
    return {n for n in os.listdir(where) if re.fullmatch("sdg-(run|python|test-run)-.{6}", n)}


def test_folders_of_killed_runs_are_removed_by_the_next():
    """Sockets of --processes: after kill -9 the folder stays, and the next run takes it away; that of a run that goes on stays."""
    with Mock("--latency-ms", "300") as mock, Bench(mock, 200) as b, Bench(mock, 200) as other, tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as base:
        env = {"XDG_RUNTIME_DIR": base, "TMPDIR": base}
        with b.start("--processes", "2", env=env) as killed, other.start("--processes", "2", env=env) as goes_on:
            wait_for(lambda: len(folders(base)) == 2, "two folders")
            mock.wait_requests(3)
            killed.kill()
            third = Bench(mock, 1)
            third.run(env=env)
            third.__exit__()
            equal(len(folders(base)), 1)
            equal(goes_on.proc.poll(), None)
            goes_on.kill()
            kept = os.path.join(base, "sdg-run-abcdef")
            os.mkdir(kept, 0o755)
            third = Bench(mock, 1)
            third.run(env=env)
            third.__exit__()
            assert os.path.exists(kept), "a folder that is not made like ours"


if __name__ == "__main__":
    sys.exit(main(globals()))
