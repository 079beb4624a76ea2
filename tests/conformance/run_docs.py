#!/usr/bin/env python3
"""Runs the examples of the manuals, and compares the flags they name with what `sdg` takes.

A manual shows an example as fenced blocks that name it:

    ```yaml example=NAME [args="--seed 1"] [exit=3] [env="KEY=value"]     the pipeline
    ```jsonl input=NAME      (or csv) the dataset; without it one row, {}
    ```jsonl output=NAME     all rows of the result, in input order
    ```yaml rules=NAME       what the simulated server answers (sdg mock-llm --help); without it: an echo
    ```json request=NAME     must be contained in a request the server got (a list: each in another request)
    ```text stderr=NAME      each line must stand in what sdg says
    ```python file=NAME:path   a file beside the pipeline (any language)

A pipeline without `mabel:` gets version 2.1; one without `models:` gets one model, `writer`, at the simulated server; @BASE_URL@ is its
address. `_row_index` need not be shown. A text that holds … stands for any text there. Values are compared with their types.

Usage: SDG=build/sdg run_docs.py [NAME...]. Prints failures and, last, `N passed, M failed`.
"""
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.join(HERE, "..", "..", "docs")
SDG = os.path.abspath(os.environ.get("SDG", os.path.join(HERE, "..", "..", "build", "sdg")))
MODELS = 'models: [{name: writer, api_model: test-model, api_key: none, base_url: "@BASE_URL@"}]\n'
RUN_S = 60
FENCE = re.compile(r"^```(\w+) +(example|input|output|rules|request|stderr|file)=(\S+)(.*)\n((?:.*\n)*?)```$", re.M)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def examples_of(path):
    """Name -> {"example": text, "args": .., "input": (kind, text), ...} in the order of the page."""
    found = {}
    for kind, role, name, rest, text in FENCE.findall(read(path)):
        name, _, place = name.partition(":")
        parts = found.setdefault(name, {"files": {}})
        if role == "file":
            parts["files"][place] = text
            continue
        if role in parts:
            raise SystemExit(f"{path}: a second {role}={name}")
        parts[role] = text
        parts[role + "_kind"] = kind
        parts.update((k, v) for k, _, v in (w.partition("=") for w in shlex.split(rest)))
    for name, parts in found.items():
        if "example" not in parts:
            raise SystemExit(f"{path}: {name} has no pipeline")
    return found


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def same(want, got):
    """Equal with types (1, 1.0 and true differ); a text with … matches around it."""
    if isinstance(want, str) and isinstance(got, str) and "…" in want:
        return re.fullmatch(".*".join(map(re.escape, want.split("…"))), got, re.S) is not None
    if type(want) is not type(got):
        return False
    if isinstance(want, dict):
        return want.keys() == got.keys() and all(same(want[k], got[k]) for k in want)
    if isinstance(want, list):
        return len(want) == len(got) and all(map(same, want, got))
    return want == got


def contained(want, got):
    if isinstance(want, dict):
        return isinstance(got, dict) and all(k in got and contained(v, got[k]) for k, v in want.items())
    return same(want, got)


def row_problem(want, got, number):
    if "_row_index" not in want:
        got = {k: v for k, v in got.items() if k != "_row_index"}
    if same(want, got):
        return None
    return "row %d: the page says\n      %s\n    sdg gives\n      %s" % tuple(
        [number] + [json.dumps(v, ensure_ascii=False) for v in (want, got)])


def check_rows(parts, path, problems):
    want = json_lines(parts["output"])
    got = json_lines(read(path)) if os.path.exists(path) else []
    if len(want) != len(got):
        problems.append(f"the page shows {len(want)} rows, sdg gives {len(got)}")
    problems += filter(None, (row_problem(w, g, i) for i, (w, g) in enumerate(zip(want, got))))


def check_requests(parts, path, problems):
    want = json.loads(parts["request"])
    left = [r["body"] for r in json_lines(read(path))] if os.path.exists(path) else []
    for one in want if isinstance(want, list) else [want]:
        hit = next((body for body in left if contained(one, body)), None)
        if hit is None:
            problems.append("no request contains %s; sent: %s" % (json.dumps(one, ensure_ascii=False), json.dumps(left, ensure_ascii=False)[:1500]))
        else:
            left.remove(hit)


def start_server(folder, parts):
    command = [SDG, "mock-llm", "--port", "0", "--quiet", "--log", "requests.jsonl"]
    if "rules" in parts:
        with open(os.path.join(folder, "rules.yaml"), "w", encoding="utf-8") as f:
            f.write(parts["rules"])
        command += ["--rules", "rules.yaml"]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    if not line.startswith("listening on "):
        raise RuntimeError("the simulated server did not start")
    return server, line.split()[-1]


def write_files(folder, parts, url):
    text = parts["example"]
    if not re.search(r"^models:", text, re.M):
        text = MODELS + text
    if not re.search(r"^mabel:", text, re.M):
        text = 'mabel: {version: "2.1"}\n' + text
    files = dict(parts["files"])
    files["pipeline.yaml"] = text.replace("@BASE_URL@", url)
    kind = parts.get("input_kind", "jsonl")
    files["input." + kind] = parts.get("input", "{}\n")
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(content)
    return "input." + kind


def run_example(parts):
    problems, folder = [], tempfile.mkdtemp(prefix="sdg-docs-")
    server, url = start_server(folder, parts)
    try:
        source = write_files(folder, parts, url)
        env = dict(os.environ, LANG="C.UTF-8", **dict(w.split("=", 1) for w in shlex.split(parts.get("env", ""))))
        command = [SDG, "run", "--yaml", "pipeline.yaml", "--input", source, "--output", "out.jsonl", "--ordered", "--no-progress"]
        done = subprocess.run(command + shlex.split(parts.get("args", "")), cwd=folder, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=RUN_S)
        failing = "_error" in parts.get("output", "")
        want = int(parts.get("exit", 1 if failing else 0))
        if done.returncode != want:
            problems.append(f"exit code {done.returncode}, not {want}: {done.stderr.strip()[-1500:]}")
        if "output" in parts:
            check_rows(parts, os.path.join(folder, "out.jsonl"), problems)
        if "request" in parts:
            check_requests(parts, os.path.join(folder, "requests.jsonl"), problems)
        problems += [f"sdg does not say: {line}\n    it says: {done.stderr.strip()}" for line in parts.get("stderr", "").splitlines()
                     if line.strip() not in done.stderr]
        if not {"output", "request", "stderr"} & parts.keys():
            problems.append("nothing is checked: no output=, request= or stderr=")
    except subprocess.TimeoutExpired:
        problems.append(f"still running after {RUN_S} s")
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return problems


# ---- flags --------------------------------------------------------------------------------------------------------

def flags_in(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*(?:\.ja)?", text))


def flags_taken():
    """Verb -> flags its help names."""
    verbs = ["init", "run", "submit", "test-run", "validate", "doctor", "serve", "worker", "status", "top", "journal", "mock-llm", "config", "completion", "help"]
    return {v: flags_in(subprocess.run([SDG, v, "--help"], stdout=subprocess.PIPE, text=True).stdout) for v in verbs}


def is_taken(flag):
    """Flags that help does not show (other spellings) are tried: an unknown one is named in the complaint."""
    for verb in ("run", "test-run"):
        said = subprocess.run([SDG, verb, flag, "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        if "unknown option" not in said:
            return True
    return False


def check_flags(page):
    """Every flag the page writes in `sdg` commands or tables exists, and every flag of every help stands on the page."""
    text, taken = read(os.path.join(DOCS, page)), flags_taken()
    known = set().union(*taken.values())
    foreign = flags_in("\n".join(re.findall(r"^ *(?:cmake|curl|pip|vllm|truncate|cc|\./).*$", text, re.M)))
    problems = [f"{flag}: sdg has no such flag" for flag in sorted(flags_in(text) - known - foreign - {"--version"}) if not is_taken(flag)]
    return problems + [f"{flag} of `sdg {verb}` is not on the page" for verb, flags in taken.items() for flag in sorted(flags - flags_in(text))]


# ---- all ----------------------------------------------------------------------------------------------------------

def guarded(check, *args):
    try:
        return check(*args)
    except Exception as e:  # a broken example, or a program that cannot be started
        return [f"{type(e).__name__}: {e}"]


def main():
    wanted, jobs = sys.argv[1:], []
    for page in ("mabel.md", "usage.md"):
        for name, parts in examples_of(os.path.join(DOCS, page)).items():
            jobs.append((f"{page}: {name}", run_example, parts))
    for page in ("usage.md", "usage.ja.md"):
        jobs.append((f"{page}: flags", check_flags, page))
    jobs = [j for j in jobs if not wanted or any(w in j[0] for w in wanted)]
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        results = [(name, pool.submit(guarded, check, arg)) for name, check, arg in jobs]
        for name, result in results:
            problems = result.result()
            passed, failed = passed + (not problems), failed + bool(problems)
            if problems:
                print(f"FAIL {name}: " + "\n    also: ".join(problems))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
