#!/usr/bin/env python3
"""sdg doctor and --auto-tune with the real program: one line a finding, the right exit code, nothing changed, no key told, no crash."""
import contextlib
import fcntl
import http.server
import json
import os
import random
import re
import resource
import socket
import subprocess
import sys
import threading

from harness import ECHO, ENVIRONMENT, PLAIN, SDG, Bench, Mock, equal, has, lacks, main

KEY = "sk-this-is-a-secret-key-123456"


def doctor(b, *flags, code=0, env=None, preexec=None, output=True, **paths):
    """What it says; every line must have the documented form."""
    args = [SDG, "doctor", "--yaml", paths.get("yaml", b.yaml), "--input", paths.get("input", b.input)]
    args += ["--output", paths.get("output_path", b.output)] if output else []
    done = subprocess.run(args + [str(f) for f in flags], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={**ENVIRONMENT, **(env or {})}, preexec_fn=preexec)
    equal(done.returncode, code, done.stdout + done.stderr)
    lacks(done.stdout + done.stderr, KEY)
    equal(done.stderr, "")
    return done.stdout


def findings(b, *flags, **more):
    """The same as JSON: a list of (level, what, finding, advice)."""
    said = json.loads(doctor(b, "--json", *flags, **more))
    return [(c["level"], c["what"], c["finding"], c["advice"] or "") for c in said["checks"]]


def one(found, level, what, *words):
    """There is a finding like this."""
    for f in found:
        if f[0] == level and f[1] == what and all(w in f[2] + " -> " + f[3] for w in words):
            return f
    raise AssertionError("no %s %s with %r in:\n%s" % (level, what, words, "\n".join(map(str, found))))


class Fake:
    """An HTTP server that answers paths as told: {path: (status, type, body)}; else 404. Remembers what it was asked."""

    def __init__(self, answers):
        fake = self
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                fake.seen.append((self.path, self.headers.get("Authorization")))
                status, kind, body = answers.get(self.path, (404, "application/json", '{"detail": "Not Found"}'))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def do_POST(self):
                fake.seen.append((self.path, None))
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path not in answers:
                    self.send_error(500)
                    return
                status, kind, body = answers[self.path]
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


MODELS = {"/v1/models": (200, "application/json", '{"object": "list", "data": [{"id": "m"}]}')}


# ---- all is well -----------------------------------------------------------------------------------------------------

def test_a_run_that_can_begin():
    with Mock("--models", "m,other") as mock, Bench(mock, rows=1500) as b:
        said = doctor(b, "--max-concurrent", 64)
        for line in said.split("\nsuggested")[0].splitlines():
            assert re.match(r"(ok  |warn|FAIL)  [^:]+: \S", line) or not line, "not the form: %r" % line
        lacks(said, "FAIL  ", "warn  ")
        has(said, "2 blocks, 1 model", "1,500 rows", "the prompts use 1 of 1", "renders: model m, 1 message", "can be made", "answers in", "m is listed",
            "descriptors:", "memory:", "--max-pending-tasks 640", "0 failed, 0 warnings")
        equal(mock.stats()["requests"], 0, "no LLM call")
        equal(sorted(os.listdir(b.folder)), ["in.jsonl", "p.yaml"], "nothing is made")


def test_json_and_the_flags_of_run():
    with Mock("--models", "m") as mock, Bench(mock, rows=20000) as b:
        said = json.loads(doctor(b, "--json", "--max-concurrent", 8, "--chunk-size", 77, "--no-progress", "--ordered", "--processes", 2))
        equal((said["failed"], said["warnings"], said["exit_code"], said["rows"], said["rows_are_estimated"]), (0, 0, 0, 20000, False))
        has(said["suggested"], "--enable-scheduling --max-pending-tasks 500 --chunk-size 77", "--max-cache-size 1000", "--gc-interval 100")
        equal(json.loads(doctor(b, "--json", "-n", 10))["rows"], 10)


def test_no_network_asks_nobody():
    with Fake(MODELS) as server, Bench(rows=3) as b:
        b.write_pipeline(ECHO, base=server.url)
        one(findings(b, "--no-network"), "ok", "endpoints", "--no-network")
        equal(server.seen, [])
        one(findings(b), "ok", "model m", "listed")
        assert {path for path, _ in server.seen} == {"/v1/models", "/metrics", "/v1/loads"}, server.seen


# ---- the pipeline ----------------------------------------------------------------------------------------------------

def test_a_pipeline_with_errors_is_shown_as_validate_does_and_the_rest_is_checked():
    with Bench(rows=3) as b:
        b.write_pipeline(ECHO.replace("id: ask, model: m,", "id: ask, model: mm,"))
        said = doctor(b, code=3)
        has(said, "FAIL  pipeline:", "no model is called 'mm'", "^", "ok    input: ", "ok    output: ")
        has(doctor(b, code=3, yaml="/nowhere/p.yaml"), "FAIL  pipeline: cannot open /nowhere/p.yaml")
        b.write("p.yaml", bytes(range(256)))
        has(doctor(b, code=3), "FAIL  pipeline:")


def test_keys():
    with Fake(MODELS) as server, Bench(rows=3) as b:
        b.write_pipeline(ECHO, base=server.url, key="${ENV.DOCTOR_TEST_KEY}")
        found = findings(b)
        one(found, "warn", "key of m", "DOCTOR_TEST_KEY is not set", "this machine", "export")
        equal({auth for _, auth in server.seen}, {None}, "nothing is sent in its place")
        one(findings(b, env={"DOCTOR_TEST_KEY": KEY}), "ok", "key of m", "DOCTOR_TEST_KEY, which is set")
        has(server.seen[-1][1], "Bearer " + KEY)
        b.write_pipeline(ECHO, base="http://llm.example.invalid", key="${ENV.DOCTOR_TEST_KEY}")
        found = findings(b, "--no-network", code=3)
        one(found, "fail", "pipeline", "environment variables are not set")
        one(found, "fail", "key of m", "DOCTOR_TEST_KEY is not set")
        one(found, "ok", "first row", "renders")
        b.write_pipeline(ECHO, base="http://llm.example.invalid", key=KEY)
        one(findings(b, "--no-network"), "warn", "key of m", "stands in the pipeline file", "${ENV.NAME}")


def test_files_that_are_not_there():
    with Bench(rows=3) as b:
        b.write("p.yaml", "mabel: {version: '2.1'}\nimages: [{name: cat, path: cat.png}]\n" + PLAIN.split("\n", 2)[2])
        one(findings(b, code=3), "fail", "files", "cat.png")
        b.write("cat.png", "x")
        one(findings(b), "ok", "files", "1 named")


def test_python():
    code = "mabel: {version: '2.0'}\n%sblocks: [{type: python, exec: 1, function_code: 'def main(ctx): return 1', outputs: [X]}]\n"
    with Bench(rows=3) as b:
        b.write("p.yaml", code % "")
        found = findings(b)
        one(found, "ok", "python", "Python 3.")
        sandbox = [f for f in found if f[1] == "sandbox"]  # what holds is the machine's; here it is enough that it is said
        equal(len(sandbox), 1, found)
        has(sandbox[0][2], "system calls filtered", "no capabilities", "network closed", "each process 2048 MiB, 256 processes")
        b.write("p.yaml", code % "runtime: {python: {allow_network: true, limits: {memory_mb: 512}}}\n")
        has([f for f in findings(b) if f[1] == "sandbox"][0][2], "network allowed", "each process 512 MiB")
        one(found, "ok", "first row", "python block", "test-run")
        for interpreter, words in (("python-of-nowhere", "no program 'python-of-nowhere'"), ("/bin/true", "does not run as Python"),
                                   ("'python>=9'", "'python>=9' is asked for")):
            b.write("p.yaml", code % ("runtime: {python: {interpreter: %s}}\n" % interpreter))
            one(findings(b, code=3), "fail", "python", words)
        b.write("p.yaml", code % "runtime: {python: {venv: no-venv}}\n")
        one(findings(b), "warn", "python", "no virtual environment")
        b.write("p.yaml", code % "runtime: {python: {venv: no-venv, requirements: [x]}}\n")
        one(findings(b), "warn", "python", "1 requirements")


# ---- the data --------------------------------------------------------------------------------------------------------

def test_inputs():
    with Bench(rows=3, pipeline=PLAIN) as b:
        one(findings(b, input="/nowhere/in.jsonl", code=4), "fail", "input", "/nowhere/in.jsonl")
        one(findings(b, input=b.folder, code=4), "fail", "input", b.folder)
        one(findings(b, input="-"), "ok", "input", "stdin is a pipe")
        one(findings(b, input=b.write("e.jsonl", "")), "warn", "input", "0 rows", "nothing to do")
        one(findings(b, input=b.write("l.csv", "n,text\n1,%s\n2,b\n" % ("x" * 5000))), "ok", "input", "2 rows", "4.9 KiB", "line 2")
        found = findings(b, input=b.write("b.jsonl", '{"n": 1}\nnot JSON\n[1]\n{"n": 2}\n'))
        one(found, "ok", "input", "4 rows")
        one(found, "warn", "input", "2 of the first 4", "lines 2, 3", "JSON")
        one(findings(b, input=b.write("w.jsonl", "a,b\n1,2\n"), code=4), "fail", "input", "2 of the first 2")
        os.mkfifo(b.path("p.jsonl"))
        one(findings(b, input=b.path("p.jsonl")), "ok", "input", "is a pipe")


def test_columns():
    with Bench() as b:
        b.write_pipeline(ECHO.replace('"q {n}"', '"q {topic} {Topics[0]} {A}"').replace("{A}\"}]}", "{A}{nowhere}\"}]}"))
        b.write("in.jsonl", '{"n": 1, "tpoic": "x", "Topics": [1]}\n{"n": 2, "tpoic": "x"}\n')
        found = findings(b, "--no-network", code=4)
        one(found, "fail", "columns", "{topic} of 'ask'", "did you mean {tpoic}?", "--mapping")
        one(found, "warn", "columns", "{Topics[0]}", "1 of the first 2 rows")
        one(found, "warn", "columns", "{nowhere}")
        assert not any("{A}" in f[2] or "{n}" in f[2] for f in found), found
        found = findings(b, "--no-network", "--mapping", "tpoic:topic", "--mapping", "n:nowhere")
        assert not any("{topic}" in f[2] or "{nowhere}" in f[2] for f in found), found


def test_the_first_row():
    fails = PLAIN.replace('{add: ["{n}", 1]}', '{div: [1, 0]}')
    loops = PLAIN.replace("{type: logic, exec: 1, op: set, var: x, value: {add: [\"{n}\", 1]}, outputs: [{name: M}]}",
                          "{type: logic, exec: 1, op: while, cond: true, step: [{op: set, var: x, value: 1}], outputs: [{name: M, from: count}]}")
    with Bench(rows=3, pipeline=PLAIN) as b:
        one(findings(b), "ok", "first row", "without an LLM call")
        b.write_pipeline(fails)
        one(findings(b, code=4), "fail", "first row", "division by zero", "test-run")
        b.write_pipeline("budgets: {loops: {max_iters: 1000000000}}" + loops)
        one(findings(b), "warn", "first row", "computes for more than")


def test_outputs():
    with Bench(rows=3, pipeline=PLAIN) as b:
        one(findings(b, output=False), "ok", "output", "not named")
        one(findings(b, output_path="-"), "ok", "output", "stdout")
        one(findings(b, output_path=b.folder, code=4), "fail", "output", "is a folder")
        one(findings(b, output_path=b.path("in.jsonl/x/out.jsonl"), code=4), "fail", "output", "is not a folder")
        one(findings(b, output_path="/proc/out.jsonl", code=4), "fail", "output", "/proc") if os.getuid() else None
        found = findings(b, output_path=b.path("a/b/c/out.jsonl"))
        one(found, "ok", "output", "can be made")
        one(found, "ok", "disk", "free in " + b.folder)
        b.run()
        one(findings(b), "ok", "output", "continues it")
        one(findings(b, "--overwrite"), "warn", "output", "throws")
        b.write_rows(4)
        one(findings(b, code=4), "fail", "output", "other input", "--overwrite")
        one(findings(b, "--force-resume"), "ok", "output", "continues it")
        with open(b.output) as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            one(findings(b, code=4), "fail", "output", "another run")
        os.remove(b.output + ".sdg")
        one(findings(b), "warn", "output", "on trust")


# ---- servers ---------------------------------------------------------------------------------------------------------

def test_what_servers_answer():
    page = ("text/html", "<html>hello</html>")
    for answers, level, what, words, code in (
            ({"/v1/models": (401, "application/json", '{"error": {"message": "bad key %s"}}' % KEY)}, "fail", "endpoint m", ["HTTP 401", "refused"], 6),
            ({"/v1/models": (403, *page)}, "fail", "endpoint m", ["HTTP 403", "refused"], 6),
            ({}, "warn", "endpoint m", ["HTTP 404", "base_url"], 0),
            ({"/v1/models": (500, *page)}, "warn", "endpoint m", ["HTTP 500"], 0),
            ({"/v1/models": (307, *page)}, "warn", "endpoint m", ["HTTP 307", "redirects"], 0),
            ({"/v1/models": (200, *page)}, "warn", "endpoint m", ["not with a list of models"], 0),
            ({"/v1/models": (200, "application/json", '{"data": []}')}, "warn", "model m", ["not among the 0 models"], 0),
            ({"/v1/models": (200, "application/json", '{"data": [{"id": "quite another"}]}')}, "warn", "model m", ["listed are quite another"], 0)):
        with Fake(answers) as server, Bench(rows=3) as b:
            b.write_pipeline(ECHO, base=server.url, key="${ENV.DOCTOR_TEST_KEY}")
            one(findings(b, env={"DOCTOR_TEST_KEY": KEY}, code=code), level, what, *words)
            if code == 6 and "401" in words[0]:
                one(findings(b, code=6), "fail", what, "it wants a key")


def test_a_model_that_looks_like_a_listed_one_is_a_typing_error():
    with Mock("--models", "llama-3.1-8b,qwen") as mock, Bench(mock, rows=3) as b:
        b.write_pipeline(ECHO.replace("api_model: m,", "api_model: lama-3.1-8b,"))
        one(findings(b, code=6), "fail", "model m", "did you mean llama-3.1-8b?")


def test_words_of_others_stay_on_one_line_and_bring_no_escapes():
    evil = {"/v1/models": (200, "application/json", json.dumps({"data": [{"id": "\x1b[2Jmodel\nFAIL  x: y"}]}))}
    with Fake(evil) as server, Bench() as b:
        b.write_pipeline(ECHO, base=server.url)
        b.write("in.jsonl", '{"n": 1, "\\u001b[31mred\\nline": 1}\n')
        said = doctor(b)
        lacks(said, "\x1b", "\nFAIL")
        has(said, "listed are  [2Jmodel FAIL  x: y")


def test_doctor_and_run_hide_the_same_keys():
    """A server that says the key back: as the name of a model, and as the reason why it refuses a call."""
    for key, hidden in (("nokey", False), ("sixsix", True), ("sevense", True), ("eight-by", True), (KEY, True)):
        answers = {"/v1/models": (200, "application/json", json.dumps({"data": [{"id": "for " + key}]})),
                   "/v1/chat/completions": (401, "application/json", json.dumps({"error": {"message": "wrong key " + key}}))}
        with Fake(answers) as server, Bench(rows=1) as b:
            b.write_pipeline(ECHO, base=server.url, key=key)
            word = "***" if hidden else key
            one(findings(b), "warn", "model m", "listed are for " + word)
            said = b.run(code=1)
            equal([row["_error"].count("wrong key " + word) for row in b.rows()], [1])
            if hidden:
                lacks(said + json.dumps(b.rows()) + doctor(b), key)


def test_load_of_vllm_and_sglang():
    vllm = {**MODELS, "/metrics": (200, "text/plain", 'vllm:num_requests_running{engine="0"} 3\nvllm:num_requests_waiting{engine="0"} 1\n')}
    sglang = {**MODELS, "/v1/loads": (200, "application/json", '{"loads": [{"num_running_reqs": 5, "num_waiting_reqs": 0}]}')}
    for answers, words in ((vllm, "vLLM: 3 running, 1 waiting"), (sglang, "SGLang: 5 running, 0 waiting"), (MODELS, "no numbers of its load")):
        with Fake(answers) as server, Bench(rows=3) as b:
            b.write_pipeline(ECHO, base=server.url)
            one(findings(b), "ok", "load of m", words)


def test_servers_that_cannot_be_reached():
    with socket.socket() as bound, socket.socket() as silent, Fake(MODELS) as server, Bench(rows=3) as b:
        bound.bind(("127.0.0.1", 0))
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        b.write_pipeline(ECHO, base="http://127.0.0.1:%d/v1/" % bound.getsockname()[1])
        one(findings(b, code=6), "fail", "endpoint m", "connection refused", "nothing listens there")
        b.write_pipeline(ECHO, base=server.url.replace("http:", "https:"))
        one(findings(b, code=6), "fail", "endpoint m", "TLS", "CURL_CA_BUNDLE")
        b.write_pipeline(ECHO, base="http://127.0.0.1:%d" % silent.getsockname()[1])
        one(findings(b, code=6), "fail", "endpoint m", "no answer in time", "5 s")
        b.write_pipeline(ECHO, base="http://user:%s@127.0.0.1:%d" % (KEY, bound.getsockname()[1]))
        one(findings(b, code=6), "fail", "endpoint m", "http://127.0.0.1:")
        b.write_pipeline(ECHO.replace('"@BASE@/v1"', '["%s", "http://127.0.0.1:%d"]' % (server.url, bound.getsockname()[1])))
        found = findings(b, code=6)
        one(found, "ok", "endpoint m", server.url)
        one(found, "fail", "endpoint m", "refused")


# ---- the machine -----------------------------------------------------------------------------------------------------

def test_limits_of_the_machine():
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    with Bench(rows=3, pipeline=PLAIN) as b:
        one(findings(b, "--max-concurrent", 1000, preexec=few, code=6), "fail", "descriptors", "256 allowed", "ulimit", "lower --max-concurrent to 128")
        one(findings(b, "--max-concurrent", 2 ** 63, code=6), "fail", "memory", "lower")


def test_everything_wrong_at_once_and_nonsense_of_all_kinds_ends_in_words():
    with Bench() as b:
        said = doctor(b, "--max-concurrent", 2 ** 64 - 1, "--max-pending-tasks", 2 ** 64 - 1, code=3, yaml="/nowhere", input="/nowhere", output_path="/nowhere/x/y")
        assert said.count("FAIL") >= 4, said
        rng = random.Random(random.getrandbits(32))
        good = ECHO.replace("@BASE@", "http://127.0.0.1:9").replace("@TIMEOUT@", "3").replace("@ATTEMPTS@", "1").encode()
        for _ in range(60):
            text = bytearray(good)
            for _ in range(rng.randint(1, 8)):
                at = rng.randrange(len(text))
                text[at:at + rng.randint(0, 5)] = bytes(rng.randrange(256) for _ in range(rng.randint(0, 3)))
            yaml, data = b.write("f.yaml", bytes(text)), b.write("f.jsonl", bytes(rng.randrange(256) for _ in range(rng.randint(0, 300))))
            done = subprocess.run([SDG, "doctor", "--no-network", "--yaml", yaml, "--input", data], capture_output=True, timeout=60, env=ENVIRONMENT)
            assert done.returncode in (0, 3, 4), (done.returncode, text, done.stderr)


def test_usage():
    with Bench(rows=1, pipeline=PLAIN) as b:
        for words, said in ((["--nope"], "--nope"), (["--row", "1"], "--row"), (["extra"], "'extra'"), (["--max-concurrent", "x"], "'x'")):
            done = subprocess.run([SDG, "doctor", "--yaml", b.yaml, "--input", b.input, *words], capture_output=True, text=True)
            equal(done.returncode, 2)
            has(done.stderr, said, "sdg doctor --help")
        for verb in ("run", "submit", "test-run"):
            has(subprocess.run([SDG, verb, "--no-network"], capture_output=True, text=True).stderr, "unknown option --no-network")


# ---- --auto-tune -----------------------------------------------------------------------------------------------------

def runs_with(said, pending, chunk):
    """The log of the run names the window it really has."""
    assert re.search(r"(window: %d rows|%d pending)\b.*chunks of %d\b" % (pending, pending, chunk), said), said


def test_auto_tune_says_what_it_chose_and_why():
    with Bench(rows=1224, pipeline=PLAIN, extra=', "text": "%s"' % ("x" * 130)) as b:
        said = b.run("--auto-tune", "--max-concurrent", 64, "--verbose")
        has(said, "auto-tune: 1,224 rows (medium), about 152 B each, 64 at once:\n", "--enable-scheduling", "--max-pending-tasks 640", "--chunk-size 128",
            "--max-cache-size 500")
        runs_with(said, 640, 128)
        lacks(said, "--gc-interval")
        equal(len(b.rows()), 1224)
        said = b.run("--auto-tune", "--overwrite", "--max-pending-tasks", 40, "--ui-locale", "ja", "--verbose")
        has(said, "1,224 行（中規模）", "--max-pending-tasks 40", "指定どおり", "--chunk-size 20")
        runs_with(said, 40, 20)
        has(b.run("--auto-tune", "--overwrite", "-n", 10), "10 rows (small)", "the defaults are right")
        lacks(b.run("--auto-tune", "--overwrite", "--quiet"), "auto-tune")
        lacks(b.run("--overwrite"), "auto-tune")


def test_auto_tune_of_large_unknown_and_compressed_inputs():
    with Bench(rows=20000, pipeline=PLAIN) as b:
        said = b.run("--auto-tune")
        has(said, "20,000 rows (large)", "--enable-memory-monitoring", "--gc-interval 100")
        with open(b.input, "rb") as f:
            has(b.run("--auto-tune", "--overwrite", input="-", stdin=f), "rows unknown (as for a large input)", "--max-pending-tasks 500")
        subprocess.run(["gzip", "-k", b.input], check=True)
        has(b.run("--auto-tune", "--overwrite", input=b.input + ".gz"), "20,000 rows (large)")
        has(b.run("--auto-tune", input="/nowhere.jsonl", code=4), "no such file")


def test_output_that_a_run_refuses():
    with Mock() as mock, Bench(mock, 3) as b:
        os.link(b.input, b.path("hard.jsonl"))
        b.write("notes.txt", "my notes\n")
        before = open(b.input).read()
        one(findings(b, "--overwrite", output_path=b.path("hard.jsonl"), code=4), "fail", "output", "same file")
        one(findings(b, output_path=b.yaml, code=4), "fail", "output", "same file")
        one(findings(b, "--overwrite", output_path=b.path("notes.txt"), code=4), "fail", "output", "destroy")
        equal((open(b.input).read(), open(b.path("notes.txt")).read()), (before, "my notes\n"))


if __name__ == "__main__":
    sys.exit(main(globals()))
