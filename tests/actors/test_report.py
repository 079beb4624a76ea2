#!/usr/bin/env python3
"""X.report.html of --report: one page that needs nothing else, without secrets, and never in the place of somebody's file.

Usage: SDG=path/to/sdg test_report.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import json
import os
import re
import sys

import browser
from harness import ECHO, Bench, Mock, Skip, equal, has, lacks, main, read_text, wait_for

SECRETS = """
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "@BASE@/v1", api_key: "sk-top-secret-1", headers: {X-Token: "Bearer top-secret-2"}}
blocks:
  - {type: ai, exec: 1, id: ask, model: m, prompts: ["</script><b>q {n}"], outputs: [{name: A, select: full}]}
  - {type: end, exec: 2, final: [{name: n, value: "{n}", type_hint: json}, {name: a, value: "{A}"}]}
"""


def numbers_of(path):
    """What the page has in it, as JSON."""
    text = read_text(path)
    found = re.findall(r'<script type="application/json" id="report">(.*?)</script>', text, re.S)
    equal(len(found), 1)
    return json.loads(found[0])


def test_the_page_has_the_numbers_of_the_run():
    with Mock() as mock, Bench(mock, 30) as b:
        said = b.run("--report")
        has(said, b.output + ".report.html")
        r = numbers_of(b.output + ".report.html")
        equal((r["stats"]["completed"], r["stats"]["failed"], r["stats"]["total"]), (30, 0, 30))
        assert len(r["series"]["points"]) >= 1, r["series"]
        has(r["stats"]["ended"]["summary"], "30 fine, 0 failed")
        has(r["command"], "--yaml " + b.yaml, "--report")
        has(r["pipeline"], "id: ask")


def test_no_report_without_the_flag():
    with Mock() as mock, Bench(mock, 3) as b:
        b.run()
        assert not os.path.exists(b.output + ".report.html")


def test_no_secrets_and_nothing_that_ends_the_script():
    with Mock() as mock, Bench(mock, 3, pipeline=SECRETS) as b:
        b.run("--report", "-q")
        lacks(read_text(b.output + ".report.html"), "top-secret-1", "top-secret-2", "</script><b>")
        has(numbers_of(b.output + ".report.html")["pipeline"], "</script><b>q", "***")


def test_a_file_of_somebody_else_stays():
    with Mock() as mock, Bench(mock, 3) as b:
        path = b.write("out.jsonl.report.html", "my thesis\n")
        has(b.run("--report", code=4), "is no report of sdg")
        equal((read_text(path), mock.stats()["requests"]), ("my thesis\n", 0))


def test_a_report_is_replaced_and_a_stopped_run_has_one():
    with Mock() as mock, Bench(mock, 20) as b:
        b.run("--report", "--max-inputs", 10)
        equal(numbers_of(b.output + ".report.html")["stats"]["completed"], 10)
        b.run("--report", "--overwrite")
        equal(numbers_of(b.output + ".report.html")["stats"]["completed"], 20)


def test_a_browser_shows_it():
    if not browser.find():
        raise Skip("no chromium")
    with Mock("--fail", "400=0.3") as mock, Bench(mock, 40, pipeline=ECHO) as b, browser.Browser() as page:
        b.run("--report", code=1)
        page.open("file://" + b.output + ".report.html")
        wait_for(lambda: page.js("document.readyState") == "complete", "the page")
        has(page.js("document.body.innerText"), "failed", "Command", "Pipeline", "id: ask", "HTTP 400")
        equal(page.js("document.body.classList.contains('stale')"), False)


if __name__ == "__main__":
    sys.exit(main(globals()))
