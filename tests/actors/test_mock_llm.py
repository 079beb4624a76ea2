#!/usr/bin/env python3
"""`sdg mock-llm` from outside: answers, rules, failures by seed, latency with 1,000 in flight, limits, pages, end.

Usage: SDG=path/to/sdg test_mock_llm.py. Standard library only. The last line is `N passed, M failed`.
"""
import asyncio
import http.client
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback

SDG = os.environ.get("SDG", os.path.join(os.path.dirname(__file__), "../../build/sdg"))


class Server:
    """One mock server for the length of a `with` block."""

    def __init__(self, *flags):
        self.proc = subprocess.Popen([SDG, "mock-llm", "--port", "0", *flags], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
        line = self.proc.stdout.readline().decode()
        if not line.startswith("listening on http://"):
            raise AssertionError("no announcement: %r %r" % (line, self.proc.communicate()))
        self.port = int(line.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.proc.poll() is None:
            self.end(signal.SIGTERM)

    def end(self, sig):
        self.proc.send_signal(sig)
        out, err = self.proc.communicate(timeout=20)
        assert self.proc.returncode == 0, (self.proc.returncode, err)
        return err.decode()

    def call(self, method, path, body=None, timeout=20):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            conn.request(method, path, body, {"X-Test": "yes"})
            answer = conn.getresponse()
            return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read()
        finally:
            conn.close()

    def chat(self, user, timeout=20, **more):
        body = {"model": "m", "messages": [{"role": "user", "content": user}], **more}
        return self.call("POST", "/v1/chat/completions", json.dumps(body).encode(), timeout)

    def content(self, user, **more):
        status, _, data = self.chat(user, **more)
        assert status == 200, (status, data)
        return json.loads(data)["choices"][0]["message"]["content"]

    def stats(self):
        return json.loads(self.call("GET", "/stats")[2])


def with_file(text, suffix=".json"):
    f = tempfile.NamedTemporaryFile("w", suffix=suffix, delete=False, encoding="utf-8")
    f.write(text)
    f.close()
    return f.name


def equal(got, want):
    assert got == want, "want %r, got %r" % (want, got)


def test_echo_is_the_default_answer():
    with Server() as s:
        status, headers, data = s.chat('héllo "you"\n')
        equal(status, 200)
        equal(headers["content-type"], "application/json")
        answer = json.loads(data)
        equal(answer["choices"][0]["message"], {"role": "assistant", "content": 'echo[m]: héllo "you"\n'})
        equal(answer["choices"][0]["finish_reason"], "stop")
        equal(answer["model"], "m")
        equal(answer["usage"], {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9})


def test_content_parts_and_last_message():
    with Server() as s:
        parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}},
                 {"type": "text", "text": "b"}]
        body = {"model": "m", "messages": [{"role": "user", "content": "first"}, {"role": "user", "content": parts},
                                           {"role": "assistant", "content": "no"}]}
        data = s.call("POST", "/v1/chat/completions", json.dumps(body).encode())[2]
        equal(json.loads(data)["choices"][0]["message"]["content"], "echo[m]: a\nb")


def test_fixed_answer_and_length():
    with Server("--answer", "yes {{model}} {{nope}}", "--answer-tokens", "50") as s:
        _, _, data = s.chat("q")
        answer = json.loads(data)
        assert answer["choices"][0]["message"]["content"].startswith("yes m {{nope}} tok tok"), data
        equal(answer["usage"]["completion_tokens"], 50)
    path = with_file("from a file\n", ".txt")
    with Server("--answer-file", path) as s:
        equal(s.content("q"), "from a file\n")


RULES = [
    {"match": {"contains": "twice"}, "times": 2, "status": 429, "headers": {"Retry-After": 0, "X-A": "b"},
     "body": {"error": {"message": "slow", "n": 1.5}}},
    {"match": {"contains": ["a1", "b2"]}, "reply": "both"},
    {"match": {"regex": "^n\\d+$"}, "reply": "number {{last_user}} hit {{nth}}"},
    {"match": {"system_contains": "pirate"}, "reply": "arr {{system}}"},
    {"match": {"model": "big"}, "reply": {"k": [1, None, "é"]}, "finish_reason": "length", "usage": {"x": 1}},
    {"match": {"contains": "raw"}, "status": 503, "raw_body": "<p>{{model}}</p>",
     "headers": {"Content-Type": "text/html"}},
    {"match": {"contains": "null"}, "content_null": True},
    {"match": {"contains": "cut"}, "reset": True},
    {"match": {"contains": "late"}, "delay_ms": 120, "reply": "at last"},
    {"match": {"contains": "dig"}, "reply": "{{json:messages.0.role}}|{{json:temperature}}|{{json:a.-1.b}}|{{json:x}}"},
]


def check_rules(path):
    with Server("--rules", path) as s:
        for _ in range(2):
            status, headers, data = s.chat("twice")
            equal((status, headers["retry-after"], headers["x-a"]), (429, "0", "b"))
            equal(json.loads(data), {"error": {"message": "slow", "n": 1.5}})
        equal(s.content("twice"), "echo[m]: twice")
        equal(s.content("b2 and a1"), "both")
        equal(s.content("a1"), "echo[m]: a1")
        equal([s.content("n1"), s.content("n22")], ["number n1 hit 1", "number n22 hit 2"])
        body = {"model": "m", "messages": [{"role": "system", "content": "a pirate"}, {"role": "user", "content": "x"}]}
        data = s.call("POST", "/v1/chat/completions", json.dumps(body).encode())[2]
        equal(json.loads(data)["choices"][0]["message"]["content"], "arr a pirate")
        answer = json.loads(s.chat("x", model="big")[2])
        equal(answer["choices"][0]["message"]["content"], '{"k": [1, null, "é"]}')
        equal((answer["choices"][0]["finish_reason"], answer["usage"]), ("length", {"x": 1}))
        status, headers, data = s.chat("raw")
        equal((status, headers["content-type"], data), (503, "text/html", b"<p>m</p>"))
        equal(s.content("null"), None)
        try:
            s.chat("cut")
            raise AssertionError("the reset did not reset")
        except ConnectionError:
            pass
        began = time.monotonic()
        equal(s.content("late"), "at last")
        assert time.monotonic() - began >= 0.12
        equal(s.content("dig", temperature=0.5, a=[{"b": {"c": 1}}]), 'user|0.5|{"c": 1}|null')


def test_rules_json():
    check_rules(with_file(json.dumps(RULES)))


def test_rules_yaml():
    text = "# scripted\n" + "".join("- %s\n" % json.dumps(rule, ensure_ascii=False) for rule in RULES)
    check_rules(with_file(text, ".yaml"))


def test_bad_rules_are_refused_with_a_reason():
    for rules, word in (('[{"mach": {}}]', "mach"), ('[{"match": {"regex": "("}}]', "regex"), ("{}", "list"),
                        ('[{"status": 99}]', "status"), ("[", "json"), ("a: [", "line")):
        path = with_file(rules)
        done = subprocess.run([SDG, "mock-llm", "--rules", path], capture_output=True, text=True, timeout=20)
        equal(done.returncode, 2)
        assert word.lower() in done.stderr.replace(path, "").lower() or word == "json", done.stderr


def fates(seed, count=300):
    """What happens to `count` requests, in order."""
    spec = "429=0.1,500=0.05,503=0.05,reset=0.05,malformed=0.05,empty=0.05"
    seen = []
    with Server("--fail", spec, "--retry-after", "7", "--seed", str(seed)) as s:
        for _ in range(count):
            try:
                status, headers, data = s.chat("x")
            except ConnectionError:
                seen.append("reset")
                continue
            if status in (429, 503):
                equal(headers["retry-after"], "7")
            if status != 200:
                assert json.loads(data)["error"]["message"]
                seen.append(str(status))
                continue
            try:
                content = json.loads(data)["choices"][0]["message"]["content"]
                seen.append("ok" if content else "empty")
            except ValueError:
                seen.append("malformed")
        counted = s.stats()["injected"]
    for name in counted:
        equal(counted[name], seen.count(name))
    return seen


def test_failures_repeat_with_the_seed():
    one = fates(1)
    equal(one, fates(1))
    assert one != fates(2)
    equal(set(one), {"ok", "429", "500", "503", "reset", "malformed", "empty"})
    assert 170 <= one.count("ok") <= 230, one.count("ok")


def test_hang_lasts_until_the_client_leaves():
    with Server("--fail", "hang=1") as s:
        try:
            s.chat("x", timeout=0.3)
            raise AssertionError("a hanging request was answered")
        except TimeoutError:
            pass
        while s.stats()["in_flight"]:
            time.sleep(0.02)
        equal(s.stats()["clients_gone"], 1)


def test_slow_body_arrives_whole():
    with Server("--fail", "slow=1", "--slow-ms", "200") as s:
        began = time.monotonic()
        equal(s.content("x" * 4000), "echo[m]: " + "x" * 4000)
        assert time.monotonic() - began >= 0.15


async def flood(port, count):
    """`count` requests at once, one connection each; returns the statuses."""
    body = b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body)
        data = await reader.read()
        writer.close()
        return int(data.split()[1])

    return await asyncio.gather(*(one() for _ in range(count)))


def test_latency_with_1000_in_flight():
    with Server("--latency-ms", "1000") as s:
        began = time.monotonic()
        equal(asyncio.run(flood(s.port, 1000)), [200] * 1000)
        took = time.monotonic() - began
        assert took >= 1.0, took
        stats = s.stats()
        assert stats["in_flight_max"] >= 500, stats
        equal((stats["requests"], stats["in_flight"]), (1000, 0))


def test_lognormal_latency_varies():
    with Server("--latency", "lognormal:20:0.5") as s:
        took = []
        for _ in range(30):
            began = time.monotonic()
            s.chat("x")
            took.append(time.monotonic() - began)
        assert max(took) > 1.2 * min(took), took


def test_full_server_queues_then_refuses():
    with Server("--latency-ms", "200", "--max-running", "10", "--max-queue", "20") as s:
        statuses = asyncio.run(flood(s.port, 50))
        equal((statuses.count(200), statuses.count(503)), (30, 20))
        equal(s.stats()["running"], 0)


def statuses(s, n):
    answers = [s.chat("x") for _ in range(n)]
    return [status for status, _, _ in answers], [headers.get("retry-after") for _, headers, _ in answers]


def test_a_bucket_passes_its_burst_and_then_refuses():
    with Server("--rate", "1/m", "--burst", "3") as s:
        equal(statuses(s, 5), ([200, 200, 200, 429, 429], [None] * 5))
        equal(json.loads(s.call("GET", "/stats")[2])["by_status"], {"200": 3, "429": 2})


def test_a_bucket_says_when_it_has_a_token_again():
    with Server("--rate", "1/m", "--burst", "1", "--retry-after", "auto") as s:
        codes, after = statuses(s, 2)
        equal(codes, [200, 429])
        assert 55 <= int(after[1]) <= 60, after
    with Server("--rate", "1/m", "--burst", "1", "--retry-after", "7") as s:
        equal(statuses(s, 2), ([200, 429], [None, "7"]))


def test_a_bucket_fills_again():
    with Server("--rate", "20/s", "--burst", "2") as s:
        equal(statuses(s, 2)[0], [200, 200])
        began = time.monotonic()
        while s.chat("x")[0] == 429:
            assert time.monotonic() - began < 10
    with Server("--rate", "20/s") as s: # tokens of a fifth of a second
        equal(statuses(s, 4)[0], [200] * 4)


def test_pages():
    with Server("--models", "a,b") as s:
        equal([m["id"] for m in json.loads(s.call("GET", "/v1/models")[2])["data"]], ["a", "b"])
        equal(s.call("GET", "/health")[0], 200)
        equal(s.call("GET", "/nothing")[0], 404)
        equal(s.call("GET", "/v1/chat/completions")[0], 404)
        equal(s.call("POST", "/v1/chat/completions", b"not json")[0], 400)
        equal(s.call("POST", "/v1/chat/completions", b"[1]")[0], 400)
        equal(s.chat("x", stream=True)[0], 400)
        equal(s.chat("x")[0], 200)
        stats = s.stats()
        equal((stats["requests"], stats["by_status"]["400"], stats["by_status"]["404"]), (4, 3, 2))


def test_large_request():
    with Server() as s:
        text = "ä" * 1500000
        equal(s.content(text), "echo[m]: " + text)


def test_log_of_requests():
    path = with_file("")
    with Server("--log", path) as s:
        body = json.dumps({"model": "m", "messages": []}).encode()
        s.call("POST", "/v1/chat/completions?a=b", body)
        s.call("POST", "/v1/chat/completions", b"no json")
        with open(path, encoding="utf-8") as f:
            one, two = (json.loads(line) for line in f)
    equal(one, {"n": 1, "path": "/v1/chat/completions?a=b", "headers": {"x-test": "yes"}, "body": json.loads(body)})
    equal((two["n"], two["body"], two["raw"]), (2, None, "no json"))


def test_end_with_requests_waiting():
    for sig in (signal.SIGTERM, signal.SIGINT):
        with Server("--latency-ms", "60000", "--max-running", "1") as s:
            conns = []
            for _ in range(3):
                conn = http.client.HTTPConnection("127.0.0.1", s.port, timeout=20)
                conn.request("POST", "/v1/chat/completions", b'{"model": "m", "messages": []}')
                conns.append(conn)
            while s.stats()["requests"] < 3:
                time.sleep(0.01)
            summary = s.end(sig)
            assert '"requests": 3' in summary, summary
            for conn in conns:
                conn.close()


def test_port_file_and_taken_port():
    path = with_file("")
    with Server("--port-file", path) as s:
        with open(path) as f:
            equal(int(f.read()), s.port)
        done = subprocess.run([SDG, "mock-llm", "--port", str(s.port)], capture_output=True, text=True, timeout=20)
        equal(done.returncode, 6)
        assert "--port" in done.stderr, done.stderr


def test_help_and_wrong_flags():
    english = subprocess.run([SDG, "mock-llm", "--help"], capture_output=True, text=True, timeout=20)
    japanese = subprocess.run([SDG, "mock-llm", "--help.ja"], capture_output=True, text=True, timeout=20)
    equal((english.returncode, japanese.returncode), (0, 0))
    flags = [word.strip(",") for word in english.stdout.split() if word.startswith("--")]
    assert "--rules" in flags
    for flag in flags:
        assert flag in japanese.stdout, flag
    for wrong in (["--nope"], ["--fail", "x=1"], ["--fail", "500=0.6,503=0.6"], ["--latency", "lognormal:1"],
                  ["--port", "70000"], ["--rules", "/nowhere"], ["extra"]):
        equal(subprocess.run([SDG, "mock-llm", *wrong], capture_output=True, timeout=20).returncode, 2)


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    tests = [(n, f) for n, f in list(globals().items()) if n.startswith("test_")]
    if len(sys.argv) > 1:
        tests = [t for t in tests if sys.argv[1] in t[0]]
    failed = 0
    for name, test in tests:
        try:
            test()
            print("ok   %s" % name, flush=True)
        except Exception:
            failed += 1
            print("FAIL %s\n%s" % (name, traceback.format_exc()), flush=True)
    print("%d passed, %d failed" % (len(tests) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
