#!/usr/bin/env python3
"""Runs conformance cases: a folder with a pipeline, its input, and what must come out. Standard library only.

Usage: run.py --sdg PROGRAM [--suite FOLDER] [--case PART]... [-j N] [-v]

The LLM server of a case is the program's own `mock-llm` with the case's rules.json. What a case may hold is written in
README.md beside this file. The last line is `N passed, M failed`; a failure is one line `FAIL case: place: reason`.
"""
import argparse
import json
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
SECRET_FILES = {"case.json", "expected.jsonl", "expected_requests.json", "rules.json"}  # not shown to the program
KIND_NAMES = {bool: "boolean", int: "integer", float: "real", str: "string", list: "list", dict: "object",
              type(None): "null"}


# --- comparing -----------------------------------------------------------------------------------------------------

def brief(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 150 else text[:147] + "..."


def as_text(value):
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_list(value):
    return value if isinstance(value, list) else [value]


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


MATCHERS = {
    "$any": lambda want, got: True,
    "$contains": lambda want, got: all(part in as_text(got) for part in as_list(want)),
    "$not_contains": lambda want, got: not any(part in as_text(got) for part in as_list(want)),
    "$regex": lambda want, got: isinstance(got, str) and bool(re.search(want, got, re.DOTALL)),
    "$strip": lambda want, got: isinstance(got, str) and got.strip() == want,
    "$type": lambda want, got: KIND_NAMES[type(got)] == want,
    "$near": lambda want, got: is_number(got) and math.isclose(got, want, rel_tol=0, abs_tol=1e-9),
    "$one_of": lambda want, got: any(not list(differences(w, got, "", True, False)) for w in want),
}


def is_matcher(want):
    return isinstance(want, dict) and bool(want) and all(key.startswith("$") for key in want)


def scalars_equal(want, got, strict):
    if is_number(want) and is_number(got):
        return want == got and (not strict or type(want) is type(got))
    return type(want) is type(got) and want == got


def differences(want, got, place, strict, partial):
    """Yields a line for each place where `got` is not what is wanted. strict: 2 is not 2.0; partial: more keys are fine."""
    if is_matcher(want):
        for name, argument in want.items():
            if name not in MATCHERS:
                yield "%s: the case uses the unknown matcher %s" % (place, name)
            elif not MATCHERS[name](argument, got):
                yield "%s: want %s %s, got %s" % (place, name, brief(argument), brief(got))
    elif isinstance(want, dict) and isinstance(got, dict):
        for key in want:
            if key in got:
                yield from differences(want[key], got[key], "%s.%s" % (place, key), strict, partial)
            else:
                yield "%s.%s: missing, want %s" % (place, key, brief(want[key]))
        for key in () if partial else got.keys() - want.keys():
            yield "%s.%s: not expected, got %s" % (place, key, brief(got[key]))
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for i, pair in enumerate(zip(want, got)):
            yield from differences(*pair, "%s[%d]" % (place, i), strict, partial)
    elif isinstance(want, (dict, list)) or not scalars_equal(want, got, strict):
        yield "%s: want %s, got %s" % (place, brief(want), brief(got))


def row_differences(want, got):
    place = "row %s" % want["_row_index"]
    want, got = dict(want), dict(got)
    expected_error = want.get("_error")
    if isinstance(expected_error, dict) and "contains" in expected_error:
        del want["_error"]
        error = got.pop("_error", None)
        if not isinstance(error, str) or not error:
            yield "%s._error: want an error text, got %s" % (place, brief(error))
            return
        for part in expected_error["contains"]:
            if part.lower() not in error.lower():
                yield "%s._error: %s is not in %s" % (place, brief(part), brief(error))
    yield from differences(want, got, place, True, False)


def output_differences(expected, rows):
    found = {}
    for row in rows:
        index = row.get("_row_index") if isinstance(row, dict) else None
        if index in found:
            yield "row %s: written twice" % index
        found[index] = row
    for want in expected:
        if want["_row_index"] in found:
            yield from row_differences(want, found.pop(want["_row_index"]))
        else:
            yield "row %s: missing in the output" % want["_row_index"]
    for index, row in found.items():
        yield "row %s: not expected, got %s" % (index, brief(row))


# --- requests ------------------------------------------------------------------------------------------------------

def request_differences(want, request):
    for name in want.get("absent_headers", []):
        if name.lower() in request["headers"]:
            yield "request.headers.%s: should not be there" % name
    for key in want.get("absent", []):
        if key in (request["body"] or {}):
            yield "request.body.%s: should not be there" % key
    shape = {key: want[key] for key in ("path", "body") if key in want}
    shape["headers"] = {name.lower(): value for name, value in want.get("headers", {}).items()}
    yield from differences(shape, request, "request", False, True)


def assign(wanted, fits):
    """Each wanted request gets a logged one of its own, if that can be done; returns the wanted ones left over."""
    owner = {}

    def settle(i, tried):
        for j in fits[i] - tried:
            tried.add(j)
            if j not in owner or settle(owner[j], tried):
                owner[j] = i
                return True
        return False

    return [i for i in range(len(wanted)) if not settle(i, set())]


def log_differences(spec, log):
    if spec.get("count", len(log)) != len(log):
        yield "requests: want %d, got %d" % (spec["count"], len(log))
    wanted = spec.get("requests", [])
    fits = [{j for j, request in enumerate(log) if not any(request_differences(want, request))} for want in wanted]
    for i in assign(wanted, fits):
        reasons = [line for request in log for line in request_differences(wanted[i], request)]
        yield "requests[%d]: no request fits; %s" % (i, reasons[0] if reasons else "there is none left")


# --- running -------------------------------------------------------------------------------------------------------

def read_lines(path):
    """The JSON values of a JSON Lines file; none when it does not exist."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def read_json(path, otherwise):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else otherwise


class Mock:
    """The program's simulated LLM server for the length of a case."""

    def __init__(self, sdg, folder, work):
        self.log = work / "requests.jsonl"
        command = [sdg, "mock-llm", "--port", "0", "--quiet", "--log", str(self.log)]
        if (folder / "rules.json").exists():
            command += ["--rules", str(folder / "rules.json")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        line = self.process.stdout.readline()
        if " on " not in line:
            raise RuntimeError("mock-llm does not start: %s" % self.process.communicate()[1].strip())
        self.url = line.split(" on ")[1].strip()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=20)


class Case:
    def __init__(self, folder, sdg):
        self.folder, self.sdg = folder, sdg
        self.name = folder.name
        self.spec = read_json(folder / "case.json", {})
        self.problems, self.notes = [], []

    def fill(self, text):
        return text.replace("@BASE_URL@", self.url).replace("@CASE_DIR@", str(self.place))

    def lay_out(self):
        """A copy of the case in which the server's address is filled in."""
        shutil.copytree(self.folder, self.place, ignore=lambda _, names: SECRET_FILES & set(names))
        for name in ("pipeline.yaml", "input.jsonl", "input.csv"):
            path = self.place / name
            if path.exists():
                raw = path.read_bytes()
                for mark, text in (("@BASE_URL@", self.url), ("@CASE_DIR@", str(self.place))):
                    raw = raw.replace(mark.encode(), text.encode())
                path.write_bytes(raw)
        for name, content in self.spec.get("pre_files", {}).items():
            (self.place / name).write_bytes(self.fill(content).encode())

    def environment(self):
        env = {name: value for name, value in os.environ.items()
               if not name.lower().endswith("_proxy") and not name.startswith("OPENAI_")}
        for name, value in self.spec.get("env", {}).items():
            env.pop(name, None)
            if value is not None:
                env[name] = self.fill(value)
        return env

    def launch(self, more=()):
        source = "input.csv" if (self.place / "input.csv").exists() else "input.jsonl"
        command = [self.sdg, "run", "--yaml", "pipeline.yaml", "--input", source, "--output", "out.jsonl",
                   "--no-progress", *map(self.fill, self.spec.get("args", [])), *map(self.fill, more)]
        process = subprocess.Popen(command, cwd=self.place, env=self.environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                                   start_new_session=True)
        limit = self.spec.get("timeout_s", 30)
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            self.problems.append("still running after %s s" % limit)
        self.notes += ["$ " + " ".join(command), *out.splitlines()[-15:], *err.splitlines()[-15:]]
        return process.returncode, err

    def repeat(self):
        """A second run with other flags must give the same rows."""
        path = self.place / "out.jsonl"
        first = read_lines(path)
        path.unlink(missing_ok=True)
        result = self.launch(self.spec["repeat_args"])
        self.problems += ["second run: " + line for line in output_differences(first, read_lines(path))]
        return result

    def check_exit(self, code, err, expected):
        want = self.spec.get("exit")
        if want is None and expected is not None and not any("_error" in row for row in expected):
            want = 0
        if want is None or want == code or (want == "nonzero" and code != 0):
            return
        last = (err.strip().splitlines() or ["nothing on stderr"])[-1]
        self.problems.append("exit code: want %s, got %s (%s)" % (want, code, last[:200]))

    def check_texts(self, err):
        low = err.lower()
        for part in self.spec.get("stderr_contains", []):
            if part.lower() not in low:
                self.problems.append("stderr: %s is not there" % brief(part))
        for part in self.spec.get("stderr_not_contains", []):
            if part.lower() in low:
                self.problems.append("stderr: %s is there" % brief(part))
        for name, parts in self.spec.get("files_contain", {}).items():
            path = self.place / name
            text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
            self.problems += ["file %s: %s is not there" % (name, brief(part)) for part in parts if part not in text]

    def check(self, work):
        with Mock(self.sdg, self.folder, work) as mock:
            self.url, self.place = mock.url, work / "case"
            self.lay_out()
            code, err = self.launch()
            if "repeat_args" in self.spec and not self.problems:
                code, err = self.repeat()
            path = self.folder / "expected.jsonl"
            expected = read_lines(path) if path.exists() else None
            self.check_exit(code, err, expected)
            if expected is not None:
                self.problems += output_differences(expected, read_lines(self.place / "out.jsonl"))
            self.check_texts(err)
            requests = read_json(self.folder / "expected_requests.json", None)
            if requests is not None:
                self.problems += log_differences(requests, read_lines(mock.log))

    def run(self):
        with tempfile.TemporaryDirectory(prefix="case-", ignore_cleanup_errors=True) as work:
            try:
                self.check(pathlib.Path(work))
            except Exception as why:
                self.problems.append("%s: %s" % (type(why).__name__, why))
                self.notes += traceback.format_exc().splitlines()
        return self


def report(case, verbose):
    if not case.problems:
        if verbose:
            print("ok   %s" % case.name)
        return
    print("FAIL %s: %s" % (case.name, case.problems[0]))
    if verbose:
        print("\n".join("     " + line for line in case.problems[1:] + case.notes))
    elif len(case.problems) > 1:
        print("     and %d more, see -v" % (len(case.problems) - 1))


def main():
    parser = argparse.ArgumentParser(description="runs conformance cases", epilog="see README.md beside this file")
    parser.add_argument("--sdg", required=True, help="the program")
    parser.add_argument("--suite", type=pathlib.Path, default=HERE / "cases", help="folder of cases")
    parser.add_argument("--case", action="append", default=[], help="only cases with this in their name")
    parser.add_argument("-j", type=int, default=os.cpu_count() or 2, help="cases at a time")
    parser.add_argument("-v", action="store_true", help="say more")
    given = parser.parse_args()
    sdg = os.path.abspath(shutil.which(given.sdg) or given.sdg)
    folders = sorted(path.parent for path in given.suite.glob("*/case.json"))
    if given.case:
        folders = [f for f in folders if any(part in f.name for part in given.case)]
    failed = 0
    with ThreadPoolExecutor(given.j) as pool:
        for case in pool.map(lambda folder: Case(folder, sdg).run(), folders):
            report(case, given.v)
            failed += bool(case.problems)
    print("%d passed, %d failed" % (len(folders) - failed, failed))
    return 1 if failed or not folders else 0


if __name__ == "__main__":
    sys.exit(main())
