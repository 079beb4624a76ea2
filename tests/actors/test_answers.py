#!/usr/bin/env python3
"""What servers answer, through the whole program: what is used, what fails with its reason, how often is asked, and what the journal keeps.

Usage: SDG=path/to/sdg test_answers.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import Bench, equal, has, lacks, main

MODEL = """
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "@BASE@", api_key: "@KEY@",
     request_defaults: {timeout_sec: 20, retry: {max_attempts: @ATTEMPTS@, backoff: {base_ms: 1, factor: 1}}}}
blocks:
"""


def completion(content, finish="stop", **message):
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 5}}


class Server:
    """Answers each request as `behave(prompt, number)` says: a completion, or (status, headers, body)."""

    def __init__(self, behave):
        self.asked, self.lock = [], threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                prompt = body["messages"][-1]["content"]
                with outer.lock:
                    outer.asked.append({"path": self.path, "prompt": prompt, "body": body, "headers": dict(self.headers)})
                    number = sum(q["prompt"] == prompt for q in outer.asked)
                reply = behave(prompt, number)
                status, headers, text = reply if isinstance(reply, tuple) else (200, {}, reply)
                data = text if isinstance(text, bytes) else (text if isinstance(text, str) else json.dumps(text)).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

        class Listener(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

        self.http = Listener(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.http.server_port
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def rows_of(behave, blocks, rows=1, attempts=4, code=0, flags=(), base="", **more):
    """Runs the blocks against the server; the results without their numbers, and what was asked."""
    with Server(behave) as server, Bench(server, rows, pipeline=MODEL.replace("@BASE@", "@BASE@" + base) + blocks, attempts=attempts) as b:
        b.run("--ordered", *flags, code=code, **more)
        return [{k: v for k, v in row.items() if k != "_row_index"} for row in b.rows()], server.asked


def ask(fields):
    return '  - {type: ai, exec: 1, id: ask, model: m, prompts: ["q {n}"], %s}\n' % fields


def test_answers_of_no_use_take_one_request():
    replies = {"q 0": completion(None, refusal="No."), "q 1": completion("", "content_filter"), "q 2": completion("", "length"),
               "q 3": completion(None, "tool_calls", tool_calls=[{"function": {"name": "save", "arguments": "{}"}}])}
    rows, asked = rows_of(lambda prompt, _: replies[prompt], ask("outputs: [{name: A}]"), rows=4, code=1)
    words = ("refused: No.", "content filter", "the answer was cut before it began: raise max_tokens", "the answer is a tool call (save)")
    for row, word in zip(rows, words):
        has(row["_error"], "ask: " + word)
    equal(len(asked), 4)


def test_reasoning_alone_is_an_answer_where_an_output_selects_it():
    behave = lambda *_: completion(None, reasoning_content="so")
    rows, asked = rows_of(behave, ask("outputs: [{name: A}, {name: R, select: reasoning}]"))
    equal((rows, len(asked)), ([{"A": "", "R": "so"}], 1))
    rows, asked = rows_of(behave, ask("outputs: [{name: A}]"))
    equal((rows, len(asked)), ([{"A": ""}], 3))


def test_empty_answers_are_asked_for_by_their_own_number():
    rows, asked = rows_of(lambda *_: completion(""), ask("outputs: [{name: A}]"), attempts=1)
    equal((rows, len(asked)), ([{"A": ""}], 3))
    rows, asked = rows_of(lambda *_: completion(""), ask("params: {retry: {max_attempts: 9, max_empty_retries: 5, backoff: {base_ms: 1}}}, outputs: [{name: A}]"))
    equal(len(asked), 5)


def test_an_event_stream_is_read_and_not_asked_for_twice():
    def behave(prompt, _):
        event = lambda delta, finish=None: "data: %s\r\n\r\n" % json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        return 200, {"Content-Type": "text/event-stream"}, ": hi\r\n\r\n" + event({"content": prompt}) + event({}, "stop") + "data: [DONE]\r\n\r\n"
    rows, asked = rows_of(behave, ask("outputs: [{name: A}]"), rows=30, flags=("--max-concurrent", 1))
    equal(rows, [{"A": "q %d" % i} for i in range(30)])
    equal([q["body"].get("stream") for q in asked], [None] + [False] * 29)


def test_an_encoding_that_is_none_costs_one_request():
    behave = lambda prompt, _: (200, {"Content-Encoding": "UTF-8"}, completion(prompt))
    rows, asked = rows_of(behave, ask("outputs: [{name: A}]"), rows=5, flags=("--max-concurrent", 1))
    equal((rows, len(asked)), ([{"A": "q %d" % i} for i in range(5)], 6))


def test_a_stream_that_the_user_asks_for_is_read():
    def behave(prompt, _):
        return 200, {"Content-Type": "text/event-stream"}, 'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'
    rows, asked = rows_of(behave, ask("params: {stream: true}, outputs: [{name: A}]"), rows=2)
    equal((rows, [q["body"]["stream"] for q in asked]), ([{"A": "x"}] * 2, [True] * 2))


def test_a_cut_answer_is_asked_for_once_more():
    behave = lambda prompt, number: completion("half", "length") if prompt == "q 1" or number == 1 else completion("whole")
    rows, asked = rows_of(behave, ask("on_truncated: retry, outputs: [{name: A}]"), rows=2, code=1)
    equal(rows, [{"A": "whole"}, {"_error": "ask: the answer was cut twice (finish_reason length): raise max_tokens"}])
    equal(len(asked), 4)


def test_a_blocks_retry_replaces_the_models():
    down = lambda *_: (500, {}, {"error": {"message": "down"}})
    rows, asked = rows_of(down, ask("retry: {max_attempts: 2, backoff: {base_ms: 1}}, outputs: [{name: A}]"), attempts=7, code=1)
    equal((len(asked), rows), (2, [{"_error": "ask: HTTP 500: down (after 2 attempts)"}]))
    rows, asked = rows_of(down, ask("on_error: retry, retry: {max_attempts: 3, backoff: {base_ms: 1}}, outputs: [{name: A}]"), attempts=7, code=1)
    equal(len(asked), 3)
    behave = lambda _, number: completion("seven") if number != 2 else (500, {}, "")
    rows, asked = rows_of(behave, ask("on_error: retry, retry: {max_attempts: 4, backoff: {base_ms: 1}}, outputs: [{name: N, type_hint: number}]"), code=1)
    equal(len(asked), 4)
    has(rows[0]["_error"], "'seven' is not a number")


def test_the_journal_keeps_what_outputs_take():
    """The second block fails; after that is repaired the first one is not asked again, and its outputs are the same."""
    blocks = ask("outputs: [{name: A}, {name: R, select: reasoning}, {name: F, select: finish_reason}]") + \
        '  - {type: ai, exec: 2, id: more, model: m, prompts: ["more {A}"], outputs: [{name: B}]}\n'
    healed = threading.Event()

    def behave(prompt, _):
        if not prompt.startswith("more"):
            return completion("a " + prompt, "length", reasoning_content="r " + prompt)
        return completion("b") if healed.is_set() else (400, {}, {"error": {"message": "no"}})
    with Server(behave) as server, Bench(server, 5, pipeline=MODEL + blocks) as b:
        b.run("--ordered", "--save-intermediate", code=1)
        equal(len(server.asked), 10)
        healed.set()
        b.run("--ordered", "--save-intermediate", "--retry-failed")
        equal([q["prompt"] for q in server.asked[10:] if not q["prompt"].startswith("more")], [])
        for row in sorted(b.rows(), key=lambda row: row["_row_index"]):
            q = "q %d" % row["_row_index"]
            equal((row["A"], row["R"], row["F"], row["B"]), ("a " + q, "r " + q, "length", "b"))


def test_addresses():
    for base, path in (("", "/v1/chat/completions"), ("/v1/", "/v1/chat/completions"), ("/api/paas/v4", "/api/paas/v4/chat/completions"),
                       ("/openai/deployments/d?api-version=1", "/openai/deployments/d/chat/completions?api-version=1"),
                       ("/v1/chat/completions#x", "/v1/chat/completions")):
        rows, asked = rows_of(lambda *_: completion("ok"), ask("outputs: [{name: A}]"), base=base)
        equal((rows, [q["path"] for q in asked]), ([{"A": "ok"}], [path]), base)
        has(asked[0]["headers"]["User-Agent"], "sdg/")


def test_a_redirect_is_not_followed_with_the_key():
    with Server(lambda *_: completion("stolen")) as other:
        rows, asked = rows_of(lambda *_: (307, {"Location": other.url + "/v1/?token=abc"}, ""), ask("outputs: [{name: A}]"), code=1)
        equal((rows, other.asked), ([{"_error": "ask: HTTP 307 to %s/v1/?token=***: correct base_url" % other.url}], []))


def test_keys_are_trimmed_and_one_line():
    for key, code in (("sk-0123456789\n", 0), ("sk-01234\n56789", 3)):
        with Server(lambda *_: completion("ok")) as server, Bench(server, 1, pipeline=MODEL + ask("outputs: [{name: A}]")) as b:
            b.write_pipeline(MODEL + ask("outputs: [{name: A}]"), key="${ENV.THE_KEY}")
            err = b.run(code=code, env={"THE_KEY": key})
            equal([q["headers"]["Authorization"] for q in server.asked], ["Bearer sk-0123456789"] if code == 0 else [])
            lacks(err, "56789")
            if code:
                has(err, "line break")


def test_a_dead_proxy_is_called_a_proxy():
    rows, asked = rows_of(lambda *_: completion("ok"), ask("outputs: [{name: A}]"), attempts=1, code=1,
                          env={"http_proxy": "http://user:secret@127.0.0.1:1", "no_proxy": ""})
    equal((rows, asked), ([{"_error": "ask: connection failed: proxy http://127.0.0.1:1 does not answer (http_proxy)"}], []))


main(globals())
