#!/usr/bin/env python3
"""Endpoints that refuse everything, are closed for a time, or answer late: what the run makes of it. Rows that met only that are not written.

Usage: SDG=path/to/sdg test_endpoints.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import http.server
import json
import signal
import sys
import threading
import time

from harness import ECHO, Bench, Serve, check_indexes, equal, has, lacks, main, read_rows, wait_for

CONTINUE = ECHO.replace("id: ask,", "id: ask, on_error: continue,")
TWO_MODELS = """
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "@BASE@/v1", api_key: "@KEY@"}
  - {name: other, api_model: other, base_url: "@BASE@/v1", api_key: "@KEY@"}
blocks:
  - {type: ai, exec: 1, id: ask, model: m, prompts: ["q {n}"], outputs: [{name: A, select: full}]}
  - {type: ai, exec: 2, id: more, model: other, prompts: ["more of {A}"], outputs: [{name: B, select: full}]}
  - {type: end, exec: 3, final: [{name: n, value: "{n}", type_hint: json}, {name: a, value: "{A}"}]}
"""
CALL_AI = """
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "@BASE@/v1", api_key: "@KEY@"}
blocks:
  - type: python
    exec: 1
    entrypoint: f
    function_code: |
      def f(ctx, n):
          return {"A": ctx.call_ai("m", prompts=["q %s" % n])}
    inputs: {n: "{n}"}
    outputs: [A]
  - {type: end, exec: 2, final: [{name: n, value: "{n}", type_hint: json}, {name: a, value: "{A}"}]}
"""
KEY = (401, {}, {"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}})


def answer(body):
    text = "echo[%s]: %s" % (body["model"], body["messages"][-1]["content"])
    return 200, {}, {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}


class Server:
    """A server whose answers a function gives: reply(number of the request from 1, body) -> status, headers, body. It may be exchanged
    while it runs."""

    def __init__(self, reply):
        self.reply, self.requests, self.lock = reply, 0, threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.requests += 1
                    number = outer.requests
                status, headers, out = outer.reply(number, body)
                data = json.dumps(out).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, str(value))
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):
                pass

        self.server = Threads(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def good(_, body):
    return answer(body)


def refuse(_, __):
    return KEY


def from_request(first, then=KEY):
    return lambda number, body: then if number >= first else answer(body)


def written(bench):
    """What is in the output, or nothing when there is none."""
    try:
        return read_rows(bench.output)
    except FileNotFoundError:
        return []


def check_words(text, server):
    has(text, "Incorrect API key provided", server.url, "run the same command again", "continues")


def check_repaired(bench, server, *flags, **more):
    """The same command continues, and all rows are there."""
    server.reply = good
    bench.run(*flags, **more)
    bench.check_echo()


# ---- an endpoint that refuses everything ---------------------------------------------------------------------------

def test_a_wrong_key_ends_the_run():
    with Server(refuse) as server, Bench(server, 200) as b:
        flags = ["--max-concurrent", 8]
        text = b.run(*flags, code=6, timeout=20)
        check_words(text, server)
        assert 16 <= server.requests <= 16 + 8, server.requests
        equal(written(b), [])
        check_repaired(b, server, *flags)


def test_under_on_error_continue():
    with Server(refuse) as server, Bench(server, 200, pipeline=CONTINUE) as b:
        check_words(b.run("--max-concurrent", 8, code=6, timeout=20), server)
        assert server.requests <= 24, server.requests
        equal(written(b), [])
        check_repaired(b, server, "--max-concurrent", 8)


def revoked(*flags, rows=300, pipeline=ECHO, verb=None, most=64):
    """The key is revoked after 50 requests."""
    with Server(from_request(50)) as server, Bench(server, rows, pipeline=pipeline) as b:
        check_words(b.run(*flags, code=6, timeout=30), server)
        rows = written(b)
        assert len(rows) <= 49 and not any("_error" in row for row in rows), rows
        assert server.requests <= 50 + 16 + most, server.requests
        check_repaired(b, server, *flags)


def test_a_key_that_is_revoked_in_the_middle():
    with Server(from_request(50)) as server, Bench(server, 300) as b:
        check_words(b.run("--max-concurrent", 8, code=6, timeout=30), server)
        equal(len(written(b)), 49, "what was answered is written")
        check_repaired(b, server, "--max-concurrent", 8)


def test_revoked_under_on_error_continue():
    revoked("--max-concurrent", 8, pipeline=CONTINUE)


def test_revoked_with_few_rows_left():
    revoked("--max-concurrent", 4, rows=55)


def test_revoked_with_worker_threads():
    revoked("--max-concurrent", 16, "--workers", 4)


def test_revoked_with_worker_processes():
    revoked("--max-concurrent", 16, "--processes", 3)


def test_revoked_in_batch_mode():
    with Server(from_request(50)) as server, Bench(server, 120) as b:
        flags = ["--batch-mode", "--max-batch", "8"]
        check_words(b.run(*flags, code=6, timeout=30), server)
        check_repaired(b, server, *flags)


def test_revoked_with_contexts_in_the_store():
    revoked("--max-concurrent", 8, "--enable-memory-optimization", "--max-cache-size", 2)


def test_revoked_with_a_small_window():
    revoked("--max-concurrent", 4, "--enable-scheduling", "--max-pending-tasks", 5, "--chunk-size", 2, rows=80)


def test_revoked_for_python():
    revoked("--max-concurrent", 8, pipeline=CALL_AI, rows=120)


def test_revoked_for_a_submitted_job():
    with Server(from_request(50)) as server, Bench(server, 300) as b, Serve(b.folder) as serve, serve.worker(), serve.worker():
        with b.submit(serve, "--max-concurrent", 8) as p:
            check_words(p.ends(6, timeout=30), server)
        assert not any("_error" in row for row in written(b))
        server.reply = good
        with b.submit(serve, "--max-concurrent", 8) as p:
            p.ends(0)
        b.check_echo()


def test_a_second_model_that_is_refused():
    """Rows that wait for it are not written; their first answers are in the journal."""
    with Server(lambda _, body: KEY if body["model"] == "other" else answer(body)) as server, Bench(server, 60, pipeline=TWO_MODELS) as b:
        check_words(b.run("--max-concurrent", 8, code=6, timeout=30), server)
        equal(written(b), [])
        before = server.requests
        server.reply = good
        b.run("--max-concurrent", 8)
        b.check_echo()
        assert server.requests - before < 120, "the journal has the answers that were paid for"


def test_replicas_go_on():
    with Server(refuse) as bad, Server(good) as fine, Bench(fine, 100) as b:
        text = ECHO.replace('base_url: "@BASE@/v1"', 'base_url: ["%s/v1", "%s/v1"]' % (bad.url, fine.url))
        b.write_pipeline(text)
        b.run("--max-concurrent", 8)
        b.check_echo()
        assert bad.requests <= 24, bad.requests
        fine.reply = refuse
        text = b.run("--max-concurrent", 8, "--overwrite", code=6, timeout=30)
        assert fine.url in text or bad.url in text, text
        has(text, "Incorrect API key provided", "run the same command again")
        equal(written(b), [])


def test_a_short_input():
    with Server(refuse) as server, Bench(server, 3) as b:
        check_words(b.run(code=6, timeout=20), server)
        equal(server.requests, 3)
        equal(written(b), [])
        check_repaired(b, server)


def test_a_single_row_fails_with_the_reason():
    with Server(refuse) as server, Bench(server, 1) as b:
        b.run(code=1, timeout=20)
        has(written(b)[0]["_error"], "Incorrect API key provided")
        equal(server.requests, 1)


def test_a_row_that_alone_is_refused():
    """A server may say 403 about what is in one row."""
    def reply(_, body):
        if body["messages"][-1]["content"] == "q 7":
            return 403, {}, {"error": {"message": "this text is not allowed"}}
        return answer(body)
    with Server(reply) as server, Bench(server, 40) as b:
        b.run("--max-concurrent", 4, code=1, timeout=30)
        failed = [row for row in written(b) if "_error" in row]
        equal([row["_row_index"] for row in failed], [7])
        has(failed[0]["_error"], "this text is not allowed")


def test_a_host_that_is_not_found():
    with Bench(rows=20) as b:
        b.write_pipeline(ECHO, base="http://no-such-host.invalid")
        has(b.run(code=6, timeout=60), "no-such-host.invalid", "run the same command again")
        equal(written(b), [])


# ---- an endpoint that is closed ------------------------------------------------------------------------------------

PAUSE = (429, {"Retry-After": 300}, {"error": {"message": "quota of this minute is used up"}})


def test_an_announced_pause_that_is_too_long_ends_the_run_at_once():
    with Server(from_request(20, PAUSE)) as server, Bench(server, 200) as b:
        flags = ["--max-concurrent", 8, "--give-up-after", "60s"]
        text = b.run(*flags, code=5, timeout=30)
        has(text, "--give-up-after is 1m00s", "(in ", server.url, "quota of this minute", "same command continues")
        rows = written(b)
        equal(len(rows), 19)
        assert not any("_error" in row for row in rows)
        assert server.requests <= 20 + 16, server.requests
        check_repaired(b, server, *flags)


def closed_and_stopped(*flags, pipeline=ECHO):
    """Ctrl-C while the server is closed ends the run at once; nothing is lost."""
    with Server(from_request(20, PAUSE)) as server, Bench(server, 100, pipeline=pipeline) as b:
        with b.start(*flags) as p:
            wait_for(lambda: server.requests >= 20, "the server is closed")
            time.sleep(0.5)
            asked = time.monotonic()
            p.signal(signal.SIGINT)
            p.ends(5, timeout=20)
            assert time.monotonic() - asked < 5, "it ends at once"
        assert not any("_error" in row for row in written(b))
        assert server.requests <= 20 + 16, server.requests
        check_repaired(b, server, *flags)


def test_ctrl_c_while_closed():
    closed_and_stopped("--max-concurrent", 8)


def test_ctrl_c_while_closed_in_batch_mode():
    closed_and_stopped("--batch-mode", "--max-batch", "8")


def test_ctrl_c_while_closed_with_contexts_in_the_store():
    closed_and_stopped("--max-concurrent", 8, "--enable-memory-optimization", "--max-cache-size", 2)


def test_ctrl_c_while_closed_with_worker_processes():
    closed_and_stopped("--max-concurrent", 8, "--processes", 2)


def test_ctrl_c_while_closed_for_python():
    closed_and_stopped("--max-concurrent", 8, pipeline=CALL_AI)


def test_a_busy_server_fails_nobody():
    """A bucket of 40 answers a second; the wall time of a row is shorter than the wait."""
    tokens = [40.0, time.monotonic()]
    lock = threading.Lock()

    def bucket(_, body):
        with lock:
            now = time.monotonic()
            tokens[0] = min(40.0, tokens[0] + 40 * (now - tokens[1]))
            tokens[1] = now
            if tokens[0] < 1:
                return 429, {}, {"error": {"message": "slow down"}}
            tokens[0] -= 1
        return answer(body)

    with Server(bucket) as server, Bench(server, 160) as b:
        b.write_pipeline(ECHO.replace("blocks:", "budgets: {wall_time_ms: 900}\nblocks:", 1))
        began = time.monotonic()
        b.run("--max-concurrent", 64, timeout=60)
        b.check_echo()
        assert time.monotonic() - began < 15


# ---- limits, and what the exit code tells --------------------------------------------------------------------------

def fail_odd(_, body):
    n = int(body["messages"][-1]["content"].split()[1])
    return (400, {}, {"error": {"message": "row %d is wrong" % n}}) if n % 2 else answer(body)


def test_max_failures():
    with Server(fail_odd) as server, Bench(server, 400) as b:
        text = b.run("--max-concurrent", 4, "--max-failures", 5, code=5)
        has(text, "rows have failed (--max-failures 5)", "same command continues")
        failed = sum("_error" in row for row in written(b))
        assert 5 <= failed < 100, failed


def test_max_failure_rate():
    with Server(fail_odd) as server, Bench(server, 300) as b:
        b.run("--max-concurrent", 8, "--max-failure-rate", "0.6", code=1)
        check_indexes(written(b), 300)
        text = b.run("--max-concurrent", 8, "--max-failure-rate", "0.4", "--overwrite", code=5)
        has(text, "rows have failed (--max-failure-rate 0.4)")
        assert 100 <= len(written(b)) < 290, len(written(b))


def test_the_exit_code_tells_of_the_output():
    with Server(fail_odd) as server, Bench(server, 4) as b:
        b.run(code=1)
        requests = server.requests
        lacks(b.run(code=1), "error")
        equal(server.requests, requests, "there was nothing left to do")
        server.reply = good
        b.run("--retry-failed", code=0)
        b.check_echo()
        b.run(code=0)


if __name__ == "__main__":
    sys.exit(main(globals()))
