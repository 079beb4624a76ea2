"""Hostile servers: one per kind of answer, error and address. A server is a function from a question to a reply; what must come of it
is said by the function below it. Everything runs on loopback."""
import gzip
import json
import re
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from hostile_case import Trial, require

ROWS = 40
CASES = []

PIPELINE = """mabel: {version: "2.0"}
models:
  - {name: m, api_model: "some-model", api_key: "sk-secret-0123456789", base_url: "@BASE@",
     request_defaults: {timeout_sec: 2, retry: {max_attempts: 3, backoff: {base_ms: 20, cap_ms: 100}}}}
blocks:
  - {type: ai, exec: 1, id: ask, model: m, prompts: ["row {n} end"], outputs: [@OUTPUT@]@MORE@}
  - {type: end, exec: 2, final: [{name: a, value: "{A}"}]}
"""
WHOLE = "{name: A, select: full}"


def case(text):
    """A server with its name in the table; the function plays the trial."""
    def keep(function):
        CASES.append(("server", text, function))
        return function
    return keep


# ---- the server

class Question:
    def __init__(self, handler, number, server):
        length = int(handler.headers.get("Content-Length") or 0)
        self.raw = handler.rfile.read(length)
        self.body = json.loads(self.raw or b"{}")
        self.path, self.headers, self.number, self.server = handler.path, handler.headers, number, server
        found = re.search(r"row (\d+) end", json.dumps(self.body))
        self.row = int(found.group(1)) if found else -1


class Reply:
    def __init__(self, status=200, body=b"", kind="application/json", headers=(), act=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        self.status, self.body, self.kind, self.headers, self.act = status, body if isinstance(body, bytes) else body.encode(), kind, headers, act


def completion(content, finish="stop", choice=(), **message):
    return {"id": "c", "object": "chat.completion", "usage": {"prompt_tokens": 3, "completion_tokens": 5},
            "choices": [{"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish, **dict(choice)}]}


def good(q):
    return Reply(body=completion("answer %d" % q.row))


def error(status, message, code=None, headers=(), **more):
    return Reply(status, {"error": {"message": message, "type": "t", "code": code, **more}}, headers=headers)


class Server:
    """`behave(question)` answers; `healed` may be set to True in the middle of a trial."""

    def __init__(self, behave):
        self.behave, self.healed, self.questions, self.lock = behave, False, [], threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.send(Reply(404, {"detail": "Not Found"}))

            def do_POST(self):
                with outer.lock:
                    number = len(outer.questions)
                    outer.questions.append(None)
                question = Question(self, number, outer)
                outer.questions[number] = question
                self.send(good(question) if outer.healed else outer.behave(question))

            def send(self, reply):
                if reply.act == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    self.connection.close()
                    return
                if reply.act == "hang":
                    self.close_connection = True
                    while not outer.healed and not outer.closed:
                        time.sleep(0.05)
                    return
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.kind)
                self.send_header("Content-Length", str(len(reply.body) + (1000 if reply.act == "cut" else 0)))
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)
                self.close_connection |= reply.act == "cut"

        class Quiet(ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 512

            def handle_error(self, *_):
                pass

        self.closed = False
        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def asked(self):
        return len(self.questions)

    def close(self):
        self.closed = True
        self.http.shutdown()
        self.http.server_close()


class Against(Trial):
    """A trial with one server. `base`: the address as the user writes it, {url} in it is the server's."""

    def __init__(self, behave=good, rows=ROWS, base="{url}", output=WHOLE, more="", right=lambda i: "answer %d" % i):
        super().__init__(rows, right)
        self.server = Server(behave)
        text = PIPELINE.replace("@BASE@", base.replace("{url}", self.server.url)).replace("@OUTPUT@", output)
        self.yaml = self.give("p.yaml", text.replace("@MORE@", ", " + more if more else ""))
        self.input = self.give("in.jsonl", "".join('{"n": %d}\n' % i for i in range(rows)))

    def go(self, *flags, **more):
        return self.run("run", "--yaml", self.yaml, "--input", self.input, "--output", self.output, "--no-progress", "--max-concurrent", 8, *flags, **more)

    def close(self):
        self.server.close()
        super().close()

    def asked_at_most(self, n):
        require(self.server.asked <= n, "%d requests, wanted at most %d", self.server.asked, n)
        return self

    def heals(self):
        """The server is mended, the same command continues, and every row ends fine."""
        self.server.healed = True
        self.go().expect(code=0, fine=self.rows)


def refuses(status, message, code=None, raw=None, words=None):
    """A server that refuses everybody: the run stops with exit 6 and the server's words, nothing is written as failed, few requests are
    made, and the same command continues once it is mended."""
    t = Against(lambda q: raw or error(status, message, code))
    t.go().expect(code=6, fine=0, says=words or re.escape(message)).asked_at_most(16 + 8)
    require(not t.failed, "rows are written as failed: %s", t.failed)
    t.heals()
    return t


# ---- endpoints that refuse

@case("401: a wrong key")
def _():
    return refuses(401, "Incorrect API key provided", "invalid_api_key")


@case("401: the server repeats the key it refuses")
def _():
    t = refuses(401, "Incorrect API key provided: sk-secret-0123456789", words="Incorrect API key")
    require("sk-secret-0123456789" not in t.said, "the key is on the screen")
    return t


@case("402: no credit")
def _():
    return refuses(402, "Insufficient credits. Add more.")


@case("403: a region that is not served")
def _():
    return refuses(403, "Country, region, or territory not supported", "unsupported_country_region_territory")


@case("404: a model that is not there (vLLM)")
def _():
    return refuses(404, "The model `some-model` does not exist.", 404)


@case("404: a path that is not there (nginx)")
def _():
    return refuses(0, "", raw=Reply(404, "<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>", "text/html"),
                   words="404")


@case("429: insufficient_quota")
def _():
    return refuses(429, "You exceeded your current quota", "insufficient_quota")


@case("key revoked after 20 answers, on_error: continue")
def _():
    t = Against(lambda q: good(q) if q.number < 20 else error(401, "Key revoked", "invalid_api_key"), rows=80, more="on_error: continue",
                right=lambda i: "answer %d" % i)
    t.go().expect(code=6, says="Key revoked").asked_at_most(20 + 16 + 8 + 8)
    require(not t.failed, "rows are written as failed: %s", t.failed)
    t.heals()
    return t


@case("one server of two has a wrong key")
def _():
    t = Against(lambda q: error(401, "Incorrect API key provided"))
    other = Server(good)
    try:
        t.yaml = t.give("two.yaml", PIPELINE.replace('"@BASE@"', '["%s", "%s"]' % (t.server.url, other.url)).replace("@OUTPUT@", WHOLE).replace("@MORE@", ""))
        t.go().expect(code=0, fine=ROWS).asked_at_most(16 + 8)
    finally:
        other.close()
    return t


@case("TLS to a server that speaks none")
def _():
    t = Against(base="https://127.0.0.1:@PORT@")
    t.yaml = t.give("tls.yaml", open(t.yaml).read().replace("@PORT@", t.server.url.rsplit(":", 1)[1]))
    t.go().expect(code=6, fine=0, says="(?i)tls|ssl")
    require(not t.failed, "rows are written as failed: %s", t.failed)
    return t


@case("a host name that does not exist")
def _():
    t = Against(base="http://no-such-host.invalid:8000")
    t.go().expect(code=6, fine=0, says="no-such-host.invalid")
    require(not t.failed, "rows are written as failed: %s", t.failed)
    return t


# ---- rows that are refused

@case("400 and 422 of every fourth row")
def _():
    def behave(q):
        if q.row % 4 == 1:
            return error(400, "This model's maximum context length is 8192 tokens, some-model got 9000", "context_length_exceeded")
        return Reply(422, {"detail": [{"msg": "Input should be valid"}]}) if q.row % 4 == 3 else good(q)
    return Against(behave).go().expect(code=1, fine={i for i in range(ROWS) if i % 2 == 0}, reason="HTTP 4(00|22)").asked_at_most(ROWS)


@case("403 for what some rows say")
def _():
    return Against(lambda q: error(403, "Your input was flagged", "moderation") if q.row % 4 == 3 else good(q)).go().expect(
        code=1, fine={i for i in range(ROWS) if i % 4 != 3}, reason="flagged").asked_at_most(ROWS)


@case("key revoked when a few rows are left")
def _():
    t = Against(lambda q: good(q) if q.number < 34 else error(401, "Key revoked", "invalid_api_key"))
    t.go().expect(code=6, fine=34, says="Key revoked").asked_at_most(ROWS)
    require(not t.failed, "rows are written as failed: %s", t.failed)
    t.heals()
    return t


# ---- servers that are busy

class Bucket:
    def __init__(self, rate, burst):
        self.rate, self.burst, self.free, self.at, self.lock = rate, burst, burst, time.monotonic(), threading.Lock()

    def take(self):
        with self.lock:
            now = time.monotonic()
            self.free = min(self.burst, self.free + (now - self.at) * self.rate)
            self.at = now
            if self.free < 1:
                return False
            self.free -= 1
            return True


@case("429: a token bucket of 20 a second, no Retry-After")
def _():
    bucket = Bucket(20, 4)
    t = Against(lambda q: good(q) if bucket.take() else error(429, "Rate limit reached", "rate_limit_exceeded"), rows=120)
    return t.go("--max-concurrent", 64).expect(code=0, fine=120, seconds=1.15 * 120 / 20 + 2)


@case("429 with Retry-After: 1 for the first two seconds")
def _():
    began = []

    def behave(q):
        began.append(time.monotonic())
        return error(429, "slow down", headers=[("Retry-After", "1")]) if time.monotonic() - began[0] < 2 else good(q)
    return Against(behave).go().expect(code=0, fine=ROWS, seconds=12)


@case("429 with Retry-After: 300, and no time for that")
def _():
    t = Against(lambda q: error(429, "come back later", headers=[("Retry-After", "300")]))
    t.go("--give-up-after", "5s").expect(code=5, fine=0, says="come back later|300 s|5 min", seconds=8).asked_at_most(8)
    require(not t.failed, "rows are written as failed: %s", t.failed)
    t.heals()
    return t


@case("503: the queue is full for two seconds")
def _():
    began = []

    def behave(q):
        began.append(time.monotonic())
        return error(503, "The request queue is full.") if time.monotonic() - began[0] < 2 else good(q)
    return Against(behave).go().expect(code=0, fine=ROWS, seconds=20)


@case("500 now and then, a reset now and then")
def _():
    def behave(q):
        return error(500, "Internal error") if q.number % 9 == 1 else Reply(act="reset") if q.number % 9 == 5 else good(q)
    return Against(behave).go().expect(code=0, fine=ROWS)


@case("nobody listens")
def _():
    t = Against()
    t.server.http.socket.close()
    return t.go(timeout=60).expect(code=1, fine=0, reason="connection refused: http://127.0.0.1:")


@case("a hang of every eighth row")
def _():
    return Against(lambda q: Reply(act="hang") if q.row % 8 == 3 else good(q)).go().expect(
        code=1, fine={i for i in range(ROWS) if i % 8 != 3}, reason="timed out")


@case("bodies that end early")
def _():
    return Against(lambda q: Reply(body=json.dumps(completion("answer %d" % q.row))[:40], act="cut")).go().expect(code=1, fine=0)


# ---- answers

@case("an event stream although none was asked for")
def _():
    def behave(q):
        def event(delta, finish=None):
            return "data: %s\r\n\r\n" % json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        text = ": keep-alive\n\n" + event({"role": "assistant", "content": ""}) + event({"content": "answer "}) + event({"content": str(q.row)})
        return Reply(body=text + event({}, "stop") + "data: [DONE]\n\n", kind="text/event-stream")
    t = Against(behave)
    t.go().expect(code=0, fine=ROWS)
    require(t.server.questions[-1].body.get("stream") is False, "a server that streams unasked is not told stream: false")
    return t


@case("an event stream that stops in the middle")
def _():
    def behave(q):
        return Reply(body='data: {"choices": [{"index": 0, "delta": {"content": "ans"}, "finish_reason": null}]}\n\n', kind="text/event-stream")
    return Against(behave).go().expect(code=1, fine=0)


@case("Content-Encoding: gzip")
def _():
    def behave(q):
        return Reply(body=gzip.compress(json.dumps(completion("answer %d" % q.row)).encode()), headers=[("Content-Encoding", "gzip")])
    return Against(behave).go().expect(code=0, fine=ROWS)


@case("a login page with status 200")
def _():
    page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>Please log in to the portal</p></body></html>"
    return Against(lambda q: Reply(body=page, kind="text/html")).go().expect(fine=0, reason="Sign in")


@case("a redirect")
def _():
    t = Against(lambda q: Reply(307, "", headers=[("Location", "https://gw.example/v1/chat/completions")]))
    t.go().expect(fine=0)
    require("gw.example" in t.said or all("gw.example" in r for r in t.failed.values()), "the Location is not shown")
    return t


@case("a refusal")
def _():
    return Against(lambda q: Reply(body=completion(None, refusal="I can not help with that."))).go().expect(
        code=1, fine=0, reason="I can not help").asked_at_most(ROWS)


@case("a content filter")
def _():
    return Against(lambda q: Reply(body=completion("", "content_filter"))).go().expect(code=1, fine=0, reason="content.filter").asked_at_most(ROWS)


@case("only tool calls")
def _():
    call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    return Against(lambda q: Reply(body=completion(None, "tool_calls", tool_calls=[call]))).go().expect(
        code=1, fine=0, reason="tool call").asked_at_most(ROWS)


@case("empty and cut by length")
def _():
    return Against(lambda q: Reply(body=completion("", "length"))).go().expect(code=1, fine=0, reason="max_tokens").asked_at_most(ROWS)


@case("finish_reason: error, and an error in a choice")
def _():
    def behave(q):
        if q.row % 2:
            return Reply(body=completion("half an ans", "error"))
        return Reply(body=completion("half an ans", None, choice={"error": {"code": 502, "message": "Provider disconnected"}}))
    return Against(behave).go().expect(code=1, fine=0)


@case("an empty error beside a good message")
def _():
    return Against(lambda q: Reply(body={**completion("answer %d" % q.row), "error": [None, {}, ""][q.row % 3]})).go().expect(code=0, fine=ROWS)


@case("a draft in a think block")
def _():
    text = "<think>maybe <q>wrong</q>?</think>\n<q>answer %d</q>"
    return Against(lambda q: Reply(body=completion(text % q.row)), output="{name: A, select: tag, tag: q}").go().expect(code=0, fine=ROWS)


@case("no JSON under a required jsonpath")
def _():
    def behave(q):
        return Reply(body=completion("Sure! Here it is." if q.row % 2 else '{"v": "answer %d"}' % q.row))
    return Against(behave, output="{name: A, select: jsonpath, path: '$.v', required: true}").go().expect(
        code=1, fine={i for i in range(ROWS) if i % 2 == 0}, reason="JSON")


@case("answers cut by length under on_truncated: fail")
def _():
    t = Against(lambda q: Reply(body=completion("answer %d" % q.row, "length" if q.row % 2 else "stop")), more="on_truncated: fail")
    return t.go().expect(code=1, fine={i for i in range(ROWS) if i % 2 == 0}, reason="cut|truncated").asked_at_most(ROWS)


@case("a blank answer, then a good one")
def _():
    seen = set()

    def behave(q):
        first = q.row not in seen
        seen.add(q.row)
        return Reply(body=completion(" \n")) if first else good(q)
    return Against(behave).go().expect(code=0, fine=ROWS)


# ---- addresses

def address(text, base, path):
    @case("the address " + text)
    def _():
        t = Against(lambda q: good(q) if q.path == path else error(404, "no route " + q.path), base=base)
        return t.go().expect(code=0, fine=ROWS)


address("of Azure", "{url}/openai/deployments/d?api-version=2024-06-01", "/openai/deployments/d/chat/completions?api-version=2024-06-01")
address("of Gemini", "{url}/v1beta/openai/", "/v1beta/openai/chat/completions")
address("of Z.ai", "{url}/api/paas/v4", "/api/paas/v4/chat/completions")
address("written to its end", "{url}/v1/chat/completions", "/v1/chat/completions")
address("with a fragment", "{url}/#models", "/v1/chat/completions")


@case("a proxy that does not answer")
def _():
    t = Against(base="http://llm.example:8000")
    t.go(env={"http_proxy": "http://127.0.0.1:1"}, timeout=60).expect(fine=0)
    require(re.search("(?i)proxy", t.said + " ".join(t.failed.values())), "nobody says that it is the proxy: %s", t.said[-300:])
    return t
