#!/usr/bin/env python3
"""What goes wrong at the LLM server, through the whole program: retried and counted, or failed with its reason; limits are kept.

Usage: SDG=path/to/sdg test_failures.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys

from harness import ECHO, Bench, Mock, Serve, check_indexes, equal, has, lacks, main, summary, wait_for


def retried(fail, cause, rows=200, timeout=30, replayed=False, **more):
    """Failures at some rate: all rows end fine, and the summary counts as many retries as the server made failures. `replayed`: some
    are not seen as failures, because libcurl itself asks again when a connection that was used before turns out to be closed."""
    mock_flags = [str(w) for key, value in more.items() for w in ("--" + key.replace("_", "-"), value)]
    with Mock("--fail", fail, "--seed", 5, *mock_flags) as mock, Bench(mock, rows, timeout=timeout) as b:
        s = summary(b.run("--max-concurrent", 32))
        b.check_echo()
        stats = mock.stats()
        injected = sum(stats["injected"].values())
        assert injected > 0, stats
        equal((s["fine"], s["failed"]), (rows, 0))
        equal(set(s["retries"]), {cause})
        counted = s["retries"][cause]
        assert counted == injected or replayed and counted < injected, (counted, injected)
        equal((s["calls"], s["requests"]), (rows, rows + counted))
        equal(stats["requests"], rows + injected)


def test_429():
    retried("429=0.1", "rate limit", retry_after=0)


def test_429_with_a_retry_after_of_a_second():
    retried("429=0.05", "rate limit", rows=60, retry_after=1)


def test_500():
    retried("500=0.1", "server error")


def test_503():
    retried("503=0.1", "overload", retry_after=0)


def test_reset():
    retried("reset=0.1", "connection", replayed=True)


def test_hang_and_timeout():
    retried("hang=0.03", "timeout", rows=100, timeout=1)


def test_slow_body_is_not_a_failure():
    with Mock("--fail", "slow=0.2", "--slow-ms", 300) as mock, Bench(mock, 100) as b:
        s = summary(b.run("--max-concurrent", 32))
        b.check_echo()
        equal(s["retries"], {})


def test_malformed():
    retried("malformed=0.1", "malformed answer")


def test_empty():
    """An empty answer is asked for again, at most three requests in all; the third is taken as it is. Which rows meet it depends on the order in
    which requests arrive, so the counts are compared: each injected failure is a retry, or the answer of a row."""
    with Mock("--fail", "empty=0.1", "--seed", 5) as mock, Bench(mock, 200) as b:
        s = summary(b.run("--max-concurrent", 32))
        rows, stats = b.rows(), mock.stats()
        check_indexes(rows, 200)
        empty = [r for r in rows if r["a"] == ""]
        for row in rows:
            assert row["a"] in ("", "echo[m]: q %d" % row["_row_index"]), row
        counted = s["retries"]["empty answer"]
        equal(stats["injected"], {"empty": counted + len(empty)})
        assert counted >= 2 * len(empty), (counted, empty)
        equal((s["fine"], s["failed"], s["calls"], s["requests"], stats["requests"]), (200, 0, 200, 200 + counted, 200 + counted))


def test_everything_at_once_in_every_way():
    fail = "429=0.05,500=0.05,503=0.05,reset=0.05,malformed=0.03,hang=0.01,slow=0.05"
    for way in (["--workers", 2], ["--processes", 2]):
        with Mock("--fail", fail, "--seed", 11, "--retry-after", 0, "--slow-ms", 50) as mock, Bench(mock, 200, timeout=1) as b:
            s = summary(b.run("--max-concurrent", 32, *way))
            b.check_echo()
            injected = mock.stats()["injected"]
            failures = sum(injected.values()) - injected["slow"]
            assert failures - injected["reset"] <= sum(s["retries"].values()) <= failures, (s, injected)


def test_no_retry_on_empty():
    with Mock("--fail", "empty=1") as mock, Bench(mock, 5) as b:
        b.run("--no-retry-on-empty")
        equal([r["a"] for r in b.rows()], [""] * 5)
        equal(mock.stats()["requests"], 5)
        b.run("--overwrite")
        equal([r["a"] for r in b.rows()], [""] * 5)
        equal(mock.stats()["requests"], 20)


def permanent(code, fail=None, rules=None, attempts=2, timeout=30, requests=None):
    """Rows that fail for good carry the reason, and so does the summary."""
    with Bench() as r:
        flags = ["--fail", fail, "--retry-after", "0"] if fail else ["--rules", r.write("rules.json", json.dumps(rules))]
        with Mock(*flags) as mock, Bench(mock, 10, attempts=attempts, timeout=timeout) as b:
            err = b.run("--max-concurrent", 4, code=code)
            rows = b.rows()
            check_indexes(rows, 10)
            s = summary(err)
            equal((s["fine"], s["failed"]), (0, 10))
            assert re.search(r"^  failed +10 \S", err, re.M), err
            for row in rows:
                has(row["_error"], "ask")
                equal(set(row), {"_row_index", "_error"})
            if requests:
                equal(mock.stats()["requests"], requests)
            return rows[0]["_error"], err


def test_rows_fail_when_attempts_are_used_up():
    for fail, word in (("500=1", "500"), ("malformed=1", "JSON")):
        error, _ = permanent(1, fail, requests=20)
        has(error, word)
    permanent(1, "reset=1", requests=20)
    error, _ = permanent(1, "hang=1", timeout=1, requests=20)
    has(error, "time")


def test_a_server_that_is_busy_for_ever_fails_nobody():
    for fail in ("429=1", "503=1"):
        with Mock("--fail", fail, "--retry-after", 2) as mock, Bench(mock, 10, attempts=2) as b:
            has(b.run("--max-concurrent", 4, "--give-up-after", 5, code=5, timeout=60), "--give-up-after is 5.0 s", "same command continues")
            equal(b.lines(), 0)


def test_a_server_that_refuses_everything_ends_the_run():
    html = {"status": 404, "raw_body": "<html>bad thing</html>", "headers": {"Content-Type": "text/html"}}
    for rule in ({"status": 401, "body": {"error": {"message": "bad thing"}}}, {"status": 404, "body": {"detail": "bad thing"}}, html,
                 {"status": 429, "body": {"error": {"message": "bad thing", "code": "insufficient_quota"}}}):
        with Bench() as r, Mock("--rules", r.write("rules.json", json.dumps([rule]))) as mock, Bench(mock, 10) as b:
            has(b.run("--max-concurrent", 4, code=6), str(rule["status"]), "bad thing", "run the same command again")
            equal(b.lines(), 0)
            equal(mock.stats()["requests"], 10)


def test_errors_that_are_not_retried():
    for status, body in ((400, {"error": {"message": "bad thing"}}), (422, {"detail": [{"msg": "bad thing"}]})):
        error, _ = permanent(1, rules=[{"status": status, "body": body}], attempts=5, requests=10)
        has(error, str(status), "bad thing")


def test_server_that_is_not_there():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with Bench(None, 5, attempts=2) as b:
        b.write_pipeline(ECHO, attempts=2, base="http://127.0.0.1:%d" % port)
        b.run(code=1)
        for row in b.rows():
            has(row["_error"], "ask", "127.0.0.1")


def test_some_rows_fail_others_do_not():
    rules = [{"match": {"regex": "^q \\d*[37]$"}, "status": 400, "body": {"error": {"message": "no threes, no sevens"}}}]
    with Bench() as r, Mock("--rules", r.write("rules.json", json.dumps(rules))) as mock, Bench(mock, 100) as b:
        for way in ([], ["--processes", 2]):
            err = b.run("--overwrite", *way, code=1)
            check_indexes(b.rows(), 100)
            for row in b.rows():
                equal("_error" in row, row["_row_index"] % 10 in (3, 7))
            equal(summary(err)["failed"], 20)
            has(err, "20 ")


def in_flight(most, *flags, rows=150):
    with Mock("--latency", "lognormal:20:0.5") as mock, Bench(mock, rows) as b:
        b.run("--max-concurrent", most, *flags)
        got = mock.stats()["in_flight_max"]
        assert got <= most, "%d calls in flight, allowed %d" % (got, most)
        assert got >= most * 0.6, "only %d calls in flight, allowed %d" % (got, most)


def test_calls_in_flight_are_bounded_in_every_way():
    for most in (1, 8, 40):
        in_flight(most)
    in_flight(8, "--workers", 3)
    in_flight(8, "--processes", 3)
    in_flight(1, "--processes", 2, rows=40)


def test_calls_in_flight_are_bounded_in_a_fleet():
    with Mock("--latency", "lognormal:20:0.5") as mock, Bench(mock, 300) as b, Serve(b.folder) as s, s.worker(), s.worker():
        wait_for(lambda: s.status()["workers"] == 2, "two workers")
        with b.submit(s, "--max-concurrent", 8) as p:
            with s.worker():
                p.ends(0)
        assert 4 <= mock.stats()["in_flight_max"] <= 8, mock.stats()


def test_calls_in_flight_are_bounded_when_a_worker_joins():
    """The first worker has all calls in flight when the second one comes: that one has to wait for its share."""
    with Mock("--latency-ms", 1000) as mock, Bench(mock, 32) as b, Serve(b.folder) as s, s.worker():
        with b.submit(s, "--max-concurrent", 8) as p:
            mock.wait_in_flight(8)
            with s.worker():
                p.ends(0)
        b.check_echo()
        assert mock.stats()["in_flight_max"] <= 8, mock.stats()


def test_overloaded_server_with_a_queue():
    with Mock("--latency-ms", 20, "--max-running", 8, "--max-queue", 8, "--retry-after", 0) as mock, Bench(mock, 300) as b:
        b.write_pipeline(ECHO.replace("base_ms: 1, factor: 1", "base_ms: 20, factor: 2"))
        s = summary(b.run("--max-concurrent", 32))
        b.check_echo()
        equal(set(s["retries"]) - {"overload"}, set())


class Nginx:
    """nginx with our own configuration: a fixed completion over HTTP, HTTPS (HTTP/2) and as a forward proxy."""

    def __init__(self, b):
        self.folder = b.folder
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", b.path("key.pem"), "-out", b.path("cert.pem")],
                       check=True, capture_output=True)
        self.http, self.https = free_port(), free_port()
        answer = json.dumps({"choices": [{"message": {"role": "assistant", "content": "fixed"}, "finish_reason": "stop"}], "usage": {}})
        b.write("nginx.conf", """
daemon off; worker_processes 1; pid %(folder)s/nginx.pid; error_log %(folder)s/error.log;
events { worker_connections 256; }
http {
  log_format how "$server_protocol $ssl_protocol $host $request_method $request_uri $http_authorization";
  access_log %(folder)s/access.log how;
  client_body_temp_path %(folder)s; proxy_temp_path %(folder)s; fastcgi_temp_path %(folder)s; uwsgi_temp_path %(folder)s; scgi_temp_path %(folder)s;
  server { listen 127.0.0.1:%(http)d; location / { default_type application/json; return 200 '%(answer)s'; } }
  server { listen 127.0.0.1:%(https)d ssl http2; ssl_certificate cert.pem; ssl_certificate_key key.pem;
           location / { default_type application/json; return 200 '%(answer)s'; } }
}
""" % {"folder": b.folder, "http": self.http, "https": self.https, "answer": answer})
        self.proc = subprocess.Popen(["nginx", "-p", b.folder, "-c", "nginx.conf", "-e", b.path("error.log")], stderr=subprocess.DEVNULL)
        wait_for(lambda: is_open(self.http) and is_open(self.https), "nginx")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.terminate()
        self.proc.wait()

    def log(self):
        return open(os.path.join(self.folder, "access.log")).read()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def fixed_answers(b, count):
    check_indexes(b.rows(), count)
    equal({r["a"] for r in b.rows()}, {"fixed"})


def test_nginx():
    if not shutil.which("nginx"):
        print("     nginx is not installed: not tested")
        return
    with Bench(None, 200) as b, Nginx(b) as server:
        b.write_pipeline(ECHO, base="http://127.0.0.1:%d" % server.http)
        for way in ([], ["--workers", 2], ["--processes", 2]):
            b.run("--overwrite", "--max-concurrent", 32, *way)
            fixed_answers(b, 200)
        equal(server.log().count("POST /v1/chat/completions Bearer none"), 600)


def test_tls_certificates_and_http2():
    if not shutil.which("nginx"):
        print("     nginx is not installed: not tested")
        return
    with Bench(None, 40) as b, Nginx(b) as server:
        b.write_pipeline(ECHO, base="https://localhost:%d" % server.https, attempts=2)
        b.run("-n", 1, code=1)
        has(b.rows()[0]["_error"].lower(), "certificate")
        for variable in ("CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            b.run("--overwrite", env={variable: b.path("cert.pem")})
            fixed_answers(b, 40)
        log = server.log()
        equal(log.count("HTTP/1.1 TLSv1"), 80)
        lacks(log, "HTTP/2")
        b.run("--overwrite", "--http2", env={"CURL_CA_BUNDLE": b.path("cert.pem")})
        fixed_answers(b, 40)
        equal(server.log().count("HTTP/2.0 TLSv1"), 40)


def test_proxy_from_the_environment():
    if not shutil.which("nginx"):
        print("     nginx is not installed: not tested")
        return
    with Bench(None, 10) as b, Nginx(b) as server:
        b.write_pipeline(ECHO, base="http://llm.example", key="k")
        b.run(env={"http_proxy": "http://127.0.0.1:%d" % server.http})
        fixed_answers(b, 10)
        equal(server.log().count("llm.example POST"), 10)


if __name__ == "__main__":
    sys.exit(main(globals()))
