#!/usr/bin/env python3
"""`sdg init`: what it writes runs as it says, and nothing that is there is touched.

Usage: SDG=path/to/sdg test_init.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import os
import subprocess
import sys

from harness import ENVIRONMENT, SDG, Bench, Mock, equal, has, main, read_rows, read_text

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FILES = ["questions.yaml", "rules.yaml", "topics.jsonl"]


def sdg(*args, cwd):
    done = subprocess.run([SDG, *args], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_what_it_writes_runs():
    with Bench() as b:
        code, out, err = sdg("init", "first", cwd=b.folder)
        equal((code, err), (0, ""))
        equal(sorted(os.listdir(b.path("first"))), FILES)
        for line in ("sdg mock-llm --port 8000 --rules rules.yaml", "sdg run --yaml questions.yaml --input topics.jsonl"):
            has(out, line)
        folder = b.path("first")
        code, out, err = sdg("validate", "questions.yaml", cwd=folder)
        equal((code, err), (0, ""))
        with Mock("--rules", os.path.join(folder, "rules.yaml")) as mock:
            text = read_text(os.path.join(folder, "questions.yaml")).replace("http://127.0.0.1:8000", mock.url)
            b.write("first/questions.yaml", text)
            code, _, err = sdg("run", "--yaml", "questions.yaml", "--input", "topics.jsonl", "--output", "questions.jsonl", cwd=folder)
        equal(code, 0, err)
        rows = {row["topic"]: row["question"] for row in read_rows(os.path.join(folder, "questions.jsonl"))}
        equal(len(rows), 5)
        equal(rows["tea"], "Which leaf is used for both green and black tea?")
        equal(rows["rain"], "Why do raindrops not fall faster and faster?")
        has(rows["night trains"], "night trains")


def test_nothing_that_is_there_is_touched():
    with Bench() as b:
        b.write("rules.yaml", "mine\n")
        code, out, err = sdg("init", cwd=b.folder)
        equal((code, out), (4, ""))
        has(err, "rules.yaml is there already; nothing was written")
        equal(read_text(b.path("rules.yaml")), "mine\n")
        assert not os.path.exists(b.path("questions.yaml"))


def test_a_template_that_is_not_there():
    with Bench() as b:
        code, _, err = sdg("init", "--template", "question", cwd=b.folder)
        equal(code, 2)
        has(err, "questions")


def test_the_readme_shows_what_it_writes():
    with open(os.path.join(ROOT, "README.md")) as readme, open(os.path.join(ROOT, "deploy/templates/questions/questions.yaml")) as template:
        has(readme.read(), template.read())


if __name__ == "__main__":
    sys.exit(main(globals()))
