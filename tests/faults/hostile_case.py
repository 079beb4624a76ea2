"""One trial against something hostile, and what must be true of it whatever happened: test_hostile.py runs the trials.

A trial is a folder with a pipeline, one or more datasets and an output, and a list of commands. After each command:
  - no file that the run was given has changed: same bytes, same inode;
  - each row is in the output at most once; a fine row has the one right value; a failed row has a reason;
  - the exit code tells of the output: 0 all rows fine, 1 all rows there and some failed, 2 to 6 nothing is claimed of the rest.
What else must be so is said by the trial itself.
"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "actors"))
from harness import ENVIRONMENT, SDG  # noqa: E402

RUN_S = 100


class Wrong(Exception):
    """What is wrong, in a sentence."""


def require(condition, text, *values):
    if not condition:
        raise Wrong(text % values if values else text)


def fingerprint(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest(), os.stat(path).st_ino


running = threading.local()  # .trial: the one this thread plays


class Trial:
    """`right(i)`: the value of output column `a` of row i. `rows`: how many rows the dataset has, as its owner counts them."""

    def __init__(self, rows, right):
        self.folder = tempfile.mkdtemp(prefix="sdg-hostile-")
        self.rows, self.right = rows, right
        self.given = {}
        self.said, self.code, self.seconds, self.ended = "", None, 0.0, []
        self.output = self.path("out.jsonl")
        running.trial = self

    def path(self, name):
        return os.path.join(self.folder, name)

    def give(self, name, data):
        """A file that no run may change."""
        path = self.path(name)
        with open(path, "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        self.given[path] = fingerprint(path)
        return path

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *args, stdin=None, env=None, timeout=RUN_S):
        began = time.monotonic()
        try:
            done = subprocess.run([SDG, *map(str, args)], cwd=self.folder, env={**ENVIRONMENT, **(env or {})}, timeout=timeout,
                                  stdin=open(stdin, "rb") if stdin else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired:
            raise Wrong("did not end within %d s" % timeout)
        self.code, self.said = done.returncode, done.stdout.decode(errors="replace")
        self.seconds = time.monotonic() - began
        self.ended.append(self.code)
        self.check()
        return self

    def lines(self):
        if not os.path.exists(self.output):
            return []
        with open(self.output, "rb") as f:
            data = f.read()
        require(data == b"" or data.endswith(b"\n"), "the output ends in the middle of a line")
        return [json.loads(line) for line in data.decode().splitlines()]

    @property
    def fine(self):
        return sorted(row["_row_index"] for row in self.lines() if "_error" not in row)

    @property
    def failed(self):
        return {row["_row_index"]: row["_error"] for row in self.lines() if "_error" in row}

    def check(self):
        require(0 <= self.code <= 6, "exit code %d: %s", self.code, self.said[-300:])
        for path, was in self.given.items():
            require(os.path.exists(path) and fingerprint(path) == was, "%s was changed", os.path.basename(path))
        rows = self.lines()
        indexes = [row["_row_index"] for row in rows]
        require(len(indexes) == len(set(indexes)), "a row is there twice")
        require(all(0 <= i < self.rows for i in indexes), "a row that is not in the input")
        for row in rows:
            i = row["_row_index"]
            if "_error" in row:
                require(isinstance(row["_error"], str) and row["_error"].strip() != "", "row %d failed without a reason", i)
            else:
                require(row.get("a") == self.right(i), "row %d is silently wrong: %r, right is %r", i, row.get("a"), self.right(i))
        failed = sum("_error" in row for row in rows)
        if self.code == 0:
            require(len(rows) == self.rows and failed == 0, "exit 0 with %d of %d rows, %d failed", len(rows), self.rows, failed)
        if self.code == 1:
            require(len(rows) == self.rows and failed > 0, "exit 1 with %d of %d rows, %d failed", len(rows), self.rows, failed)

    def expect(self, code=None, fine=None, reason=None, says=None, seconds=None):
        """fine: set of rows, or how many; reason: in each failed row; says: on the screen."""
        if code is not None:
            require(self.code == code, "exit code %d, wanted %d: %s", self.code, code, self.said.strip()[-300:])
        if isinstance(fine, int):
            require(len(self.fine) == fine, "%d rows are fine, wanted %d: %s", len(self.fine), fine, list(self.failed.values())[:1])
        elif fine is not None:
            require(set(self.fine) == set(fine), "fine are %s, wanted %s", self.fine[:20], sorted(fine)[:20])
        for i, text in self.failed.items() if reason else ():
            require(re.search(reason, text), "row %d: %r does not say %r", i, text, reason)
        for word in [says] if isinstance(says, str) else says or ():
            require(re.search(word, self.said), "the screen does not say %r: %s", word, self.said.strip()[-400:])
        if seconds is not None:
            require(self.seconds <= seconds, "took %.1f s, wanted at most %.1f", self.seconds, seconds)
        return self
