#!/usr/bin/env python3
"""Damages one file of a partly done run, gives the same command again, and judges from outside what became of the rows.

Usage: SDG=path/to/sdg flips.py [--count N] [--seed S] [--scene WORD]... [--keep]     (2000 flips in all; standard library only)

A scene is a kind of run that was killed when it was partly done: its output, X.sdg and journal are kept. A trial changes one of these files (a bit,
a byte, or what a bad disk or a copy that stopped does) and runs to the end. Allowed is:
  right       exit 0, each row once with its own text
  said        a line differs from what was written, was kept, and a warning names the file
  refused     an exit code of 2 to 6 with words; neither the output nor the damaged file was changed
  last second a line that was written behind the last sync differs: it has no checksum yet
All else is wrong: rows lost, twice, foreign, changed without a word, lines that are no JSON, a crash, a run that does not end, refused without words
or after a change, more than one call paid again for one byte of the journal. The last line is `N passed, M failed`.
"""
import argparse
import collections
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../actors"))
from harness import Bench, Mock, Proc, wait_for  # noqa: E402

ROWS = 24
END_S = 60  # a trial takes a tenth of a second
KILL_AT_S = 60

MODEL = """
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "@BASE@/v1", request_defaults: {timeout_sec: 30, retry: {max_attempts: 3, backoff: {base_ms: 1, factor: 1}}}}
"""
ONE = MODEL + """
blocks:
  - {type: ai, exec: 1, id: one, model: m, prompts: ["q1 {n} {pad}"], outputs: [{name: A, select: full}]}
  - {type: end, exec: 2, final: [{name: n, value: "{n}", type_hint: json}, {name: b, value: "{A}"}]}
"""
TWO = MODEL + """
blocks:
  - {type: ai, exec: 1, id: one, model: m, prompts: ["q1 {n} {pad}"], outputs: [{name: A, select: full}]}
  - {type: ai, exec: 2, id: two, model: m, prompts: ["q2 {n} after {A}"], outputs: [{name: B, select: full}]}
  - {type: end, exec: 3, final: [{name: n, value: "{n}", type_hint: json}, {name: b, value: "{B}"}]}
"""
# Every fourth row fails, behind a call that was paid for.
FAILING = MODEL + """
blocks:
  - {type: ai, exec: 1, id: one, model: m, prompts: ["q1 {n} {pad}"], outputs: [{name: A, select: full}]}
  - type: python
    exec: 2
    id: judge
    function_code: |
      def main(ctx, n, a):
          if n % 4 == 0:
              raise ValueError("not row %d" % n)
          return {"P": a}
    inputs: {n: "{n}", a: "{A}"}
    outputs: [P]
  - {type: end, exec: 3, final: [{name: n, value: "{n}", type_hint: json}, {name: b, value: "{P}"}]}
"""
CALL_AI = MODEL + """
blocks:
  - type: python
    exec: 1
    id: asks
    function_code: |
      def main(ctx, n, pad):
          a = ctx.call_ai("m", None, ["q1 %d %s" % (n, pad)])
          return {"B": ctx.call_ai("m", None, ["q2 %d after %s" % (n, a)])}
    inputs: {n: "{n}", pad: "{pad}"}
    outputs: [B]
  - {type: end, exec: 2, final: [{name: n, value: "{n}", type_hint: json}, {name: b, value: "{B}"}]}
"""
# name, pipeline, name of the output, flags
SCENES = [
    ("two calls", TWO, "out.jsonl", ()),
    ("one call", ONE, "out.jsonl", ("--journal",)),
    ("failing", FAILING, "out.jsonl", ()),
    ("call_ai", CALL_AI, "out.jsonl", ()),
    ("ordered", TWO, "out.jsonl", ("--ordered",)),
    ("processes", TWO, "out.jsonl", ("--processes", "2")),
    ("gz", TWO, "out.jsonl.gz", ()),
    ("zst", TWO, "out.jsonl.zst", ()),
]
ALLOWED = ("right", "said", "refused", "last second")
# How often each file of a scene is damaged.
WEIGHTS = {"": 5, ".sdg": 2, ".journal": 3}


# ---- damage

def flip_bit(data, rng):
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)


def change_byte(data, rng):
    at = rng.randrange(len(data))
    data[at] = (data[at] + rng.randrange(1, 256)) % 256


def lose_bytes(data, rng):
    at = rng.randrange(len(data))
    del data[at:at + rng.randrange(1, 40)]


def add_bytes(data, rng):
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.randrange(1, 40))


def zero_bytes(data, rng):
    at = rng.randrange(len(data))
    n = min(rng.randrange(1, 200), len(data) - at)
    data[at:at + n] = bytes(n)


def cut_end(data, rng):
    del data[rng.randrange(len(data)):]


def zeros_at_end(data, rng):
    data += bytes(rng.randrange(1, 600))


def garbage_at_end(data, rng):
    data += rng.randbytes(rng.randrange(1, 600))


DAMAGE = [flip_bit] * 12 + [change_byte] * 4 + [lose_bytes, add_bytes, zero_bytes, cut_end, zeros_at_end, garbage_at_end]


# ---- a scene

class Scene:
    """A partly done run in a folder; `files` are what it has left."""

    def __init__(self, name, pipeline, output, flags):
        self.name, self.flags = name, ["--max-concurrent", "4", *flags]
        self.slow = Mock("--latency-ms", "300")
        self.bench = Bench(self.slow, 0, pipeline)
        self.bench.output = self.bench.path(output)
        self.bench.write("in.jsonl", "".join('{"n": %d, "pad": "%s"}\n' % (i, "x" * (i % 7)) for i in range(ROWS)))
        self.files = self.partly()
        self.slow.__exit__()
        self.mock = Mock("--port", str(self.slow.port))
        self.wanted, self.paid = self.reference()
        self.fresh = set(self.files[""][self.summed:].split(b"\n")) if self.summed else set()

    def close(self):
        self.mock.__exit__()
        self.bench.__exit__()

    def path(self, ending):
        return self.bench.output + ending

    def size(self, ending):
        return os.path.getsize(self.path(ending)) if os.path.exists(self.path(ending)) else 0

    def wait_packed(self, p):
        """Packed rows reach the file once a second: up to a second member, if there is time for one."""
        wait_for(lambda: self.size("") > 100, "rows of " + self.name, KILL_AT_S)
        size = self.size("")
        wait_for(lambda: p.poll() is not None or self.size("") > size or self.slow.stats()["requests"] > 1.6 * ROWS, "a second member", KILL_AT_S)

    def wait_synced(self, p):
        """Up to some rows behind the first sync, when X.sdg gets checksums. `summed` bytes of the output have one by then."""
        wait_for(lambda: self.size("") > 0, "rows of " + self.name, KILL_AT_S)
        first = self.size(".sdg")
        while p.poll() is None and self.size(".sdg") == first:
            self.summed = self.size("")
            time.sleep(0.002)
        size = self.size("")
        wait_for(lambda: p.poll() is not None or self.size("") > size + 150, "further rows", KILL_AT_S)

    def partly(self):
        """Kills a run when rows are in the output and others have calls in the journal."""
        self.summed = 0
        with self.bench.start(*self.flags) as p:
            (self.wait_packed if self.bench.output.endswith(("gz", "zst")) else self.wait_synced)(p.proc)
            assert p.proc.poll() is None, "the run of %s ended before it was killed" % self.name
            p.kill()
        return {e: open(self.path(e), "rb").read() for e in WEIGHTS if os.path.exists(self.path(e))}

    def restore(self, files):
        for name in os.listdir(self.bench.folder):
            if name.startswith("out."):
                os.unlink(self.bench.path(name))
        for ending, data in files.items():
            with open(self.path(ending), "wb") as f:
                f.write(data)

    def requests(self):
        return self.mock.stats()["requests"]

    def reference(self):
        """The line of each row as an undamaged run leaves it, and the requests that the rest of it takes."""
        self.restore(self.files)
        before = self.requests()
        with self.bench.start(*self.flags) as p:
            p.proc.wait(END_S)
        lines = {json.loads(line)["_row_index"]: line for line in read_bytes(self.path("")).split(b"\n") if line}
        assert sorted(lines) == list(range(ROWS)), "the undamaged run of %s lacks rows" % self.name
        return lines, self.requests() - before


# ---- judging

def read_bytes(path):
    with open(path, "rb") as f:
        data = f.read()
    if path.endswith(".gz"):
        data = gzip.decompress(data)
    if path.endswith(".zst"):
        data = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
    return data


def judge_lines(scene, text):
    """What is wrong with the lines of a finished output, and the rows whose line differs from what was written."""
    wrong, seen, changed = collections.Counter(), collections.Counter(), set()
    if text and not text.endswith(b"\n"):
        wrong["no newline at the end"] += 1
    for line in text.split(b"\n"):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            index = row["_row_index"]
            seen[index] += 1
        except (ValueError, KeyError, TypeError):
            wrong["not a row"] += 1
            continue
        if index in scene.wanted and line != scene.wanted[index]:
            changed.add(index)
    wrong["lost"] = sum(i not in seen for i in range(ROWS))
    wrong["twice"] = sum(n - 1 for n in seen.values())
    wrong["foreign"] = sum(i not in scene.wanted for i in seen)
    return {k: n for k, n in wrong.items() if n}, changed


def judge(scene, damaged, code, err):
    """(outcome, details); an outcome that is not right, said or refused is wrong."""
    if code is None:
        return "HANGS", ""
    if code < 0 or code > 100:
        return "CRASH", "exit code %d" % code
    words = [line for line in err.splitlines() if " warn " in line or " error " in line or line.startswith("sdg")]
    about = [line for line in words if "out.jsonl" in line]
    if code > 1:
        for ending, data in damaged.items():
            if ending == ".sdg" and data == scene.files[".sdg"]:
                continue  # its checksums follow the output
            if not os.path.exists(scene.path(ending)) or open(scene.path(ending), "rb").read() != data:
                return "CHANGED BUT REFUSED", "out%s; %s" % (ending, about[-1:])
        return ("refused", about[-1]) if about else ("REFUSED WITHOUT WORDS", err[-300:])
    try:
        text = read_bytes(scene.path(""))
    except Exception as why:  # whatever gzip and zstd say
        return "UNREADABLE", repr(why)[:200]
    wrong, changed = judge_lines(scene, text)
    if wrong:
        return " ".join("%s %d" % (k.upper(), n) for k, n in wrong.items()), " | ".join(about)[-300:]
    if changed and about:
        return "said", " | ".join(about)[-300:]
    if changed:
        return "last second" if all(scene.wanted[i] in scene.fresh for i in changed) else "CHANGED SILENTLY", repr(changed)
    return "right", ""


def trial(scene, ending, seed):
    """(outcome, what was done, requests made again)."""
    rng = random.Random(seed)
    data = bytearray(scene.files[ending])
    change = rng.choice(DAMAGE)
    while bytes(data) == scene.files[ending]:
        change(data, rng)
    damaged = {**scene.files, ending: bytes(data)}
    force = rng.random() < 0.3
    scene.restore(damaged)
    before = scene.requests()
    with Proc(scene.bench.args(*scene.flags, *(["--force-resume"] if force else []))) as p:
        try:
            code = p.proc.wait(END_S)
        except subprocess.TimeoutExpired:
            code = None
        outcome, details = judge(scene, damaged, code, p.err())
    again = scene.requests() - before - scene.paid
    if ending == ".journal" and change in (flip_bit, change_byte) and again > 1 and outcome in ALLOWED:
        outcome = "PAID AGAIN"
    return outcome, "%s%s: %s" % (change.__name__, " --force-resume" if force else "", details), again


# ---- the campaign

class Table:
    def __init__(self):
        self.lock = threading.Lock()
        self.count = collections.Counter()
        self.again = collections.Counter()
        self.wrong = []

    def add(self, scene, ending, seed, outcome, details, again):
        with self.lock:
            key = (scene.name, "X" + ending)
            self.count[key, outcome] += 1
            self.again[key] = max(self.again[key], again)
            if outcome not in ALLOWED:
                self.wrong.append("%s, X%s, seed %s: %s; %s" % (scene.name, ending, seed, outcome, details))

    def show(self):
        outcomes = [*ALLOWED, *sorted({o for _, o in self.count} - set(ALLOWED))]
        print("%-10s %-10s %6s  %s" % ("scene", "file", "flips", "  ".join("%8s" % o for o in outcomes + ["paid again at most"])))
        for key in sorted({k for k, _ in self.count}):
            numbers = [self.count[key, o] for o in outcomes]
            cells = ["%*s" % (max(8, len(o)), n or "-") for o, n in zip(outcomes, numbers)]
            print("%-10s %-10s %6d  %s  %d" % (*key, sum(numbers), "  ".join(cells), self.again[key]))


def play(scene_row, count, seed, table, failures, keep):
    try:
        scene = Scene(*scene_row)
    except Exception as why:
        failures.append("%s: %r" % (scene_row[0], why))
        return
    endings = [e for e in WEIGHTS if scene.files.get(e)]
    rng = random.Random("%s %s" % (seed, scene.name))
    for i in range(count):
        ending = rng.choices(endings, [WEIGHTS[e] for e in endings])[0]
        own = "%s/%s/%d" % (seed, scene.name, i)
        outcome, details, again = trial(scene, ending, own)
        table.add(scene, ending, own, outcome, details, again)
        if keep and outcome not in ALLOWED:
            shutil.copytree(scene.bench.folder, os.path.join(keep, own.replace("/", "-")), dirs_exist_ok=True)
    scene.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--scene", action="append")
    parser.add_argument("--keep", help="a folder for what wrong trials have left")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.getrandbits(32)
    scenes = [s for s in SCENES if not args.scene or any(word in s[0] for word in args.scene)]
    print("SEED=%d" % seed, flush=True)
    began, table, failures = time.monotonic(), Table(), []
    todo = [(s, args.count // len(scenes) + (i < args.count % len(scenes))) for i, s in enumerate(scenes)]
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if not todo:
                    return
                scene, count = todo.pop(0)
            play(scene, count, seed, table, failures, args.keep)

    threads = [threading.Thread(target=work) for _ in range(min(len(scenes), os.cpu_count() or 2))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    table.show()
    for line in table.wrong + failures:
        print("WRONG " + line)
    total = sum(table.count.values())
    print("%d flips in %d s" % (total, time.monotonic() - began))
    print("%d passed, %d failed" % (total - len(table.wrong), len(table.wrong) + len(failures)))
    return 1 if table.wrong or failures else 0


if __name__ == "__main__":
    sys.exit(main())
