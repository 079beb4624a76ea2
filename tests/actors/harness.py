"""What the integration tests share: a mock LLM server, pipelines, datasets, `sdg` as a process, and what must be in an output.

A test waits for a condition (`wait_for`), never for a time. Everything a test starts ends with its `with` block. Standard library only.
"""
import contextlib
import gzip
import http.client
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

SDG = os.path.abspath(os.environ.get("SDG", os.path.join(os.path.dirname(__file__), "../../build/sdg")))
WAIT_S = 60   # no condition may take longer; all of them normally take well below a second
RUN_S = 90    # no run may take longer

# What the machine says of proxies, certificates and languages is not part of the tests.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k.lower() not in (
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "curl_ca_bundle", "ssl_cert_file", "ssl_cert_dir", "lang", "lc_all")}

ECHO = """
mabel: {version: "2.0"}
models:
  - {name: m, api_model: m, base_url: "@BASE@/v1", api_key: "@KEY@",
     request_defaults: {timeout_sec: @TIMEOUT@, retry: {max_attempts: @ATTEMPTS@, backoff: {base_ms: 1, factor: 1}}}}
blocks:
  - {type: ai, exec: 1, id: ask, model: m, prompts: ["q {n}"], outputs: [{name: A, select: full}]}
  - {type: end, exec: 2, final: [{name: n, value: "{n}", type_hint: json}, {name: a, value: "{A}"}]}
"""

# No LLM: what a row costs is the runtime's own.
PLAIN = """
mabel: {version: "2.0"}
blocks:
  - {type: logic, exec: 1, op: set, var: x, value: {add: ["{n}", 1]}, outputs: [{name: M}]}
  - {type: end, exec: 2, final: [{name: m, value: "{M}", type_hint: json}]}
"""


# ---- waiting -------------------------------------------------------------------------------------------------------

def wait_for(condition, what, timeout=WAIT_S):
    """Returns the first true value of `condition`; polls every 5 ms."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %g s: %s" % (timeout, what))
        time.sleep(0.005)


def equal(got, want, about=""):
    assert got == want, "%swant %r, got %r" % (about and about + ": ", want, got)


def has(text, *words):
    for word in words:
        assert word in text, "%r is missing in:\n%s" % (word, text)


def lacks(text, *words):
    for word in words:
        assert word not in text, "%r must not be in:\n%s" % (word, text)


# ---- the LLM server ------------------------------------------------------------------------------------------------

class Mock:
    """`sdg mock-llm` for the length of a `with` block."""

    def __init__(self, *flags):
        self.proc = subprocess.Popen([SDG, "mock-llm", "--port", "0", "--quiet", *map(str, flags)], stdout=subprocess.PIPE)
        self.port = int(self.proc.stdout.readline().decode().rsplit(":", 1)[1])
        self.url = "http://127.0.0.1:%d" % self.port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.communicate()

    def stats(self):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            conn.request("GET", "/stats")
            return json.loads(conn.getresponse().read())
        finally:
            conn.close()

    def wait_requests(self, n):
        wait_for(lambda: self.stats()["requests"] >= n, "%d requests" % n)

    def wait_in_flight(self, n):
        wait_for(lambda: self.stats()["in_flight"] >= n, "%d requests in flight" % n)


# ---- sdg -----------------------------------------------------------------------------------------------------------

class Proc:
    """A started `sdg`, its standard error in a file so that it never blocks and can be read at any time."""

    def __init__(self, args, env=None, stdin=subprocess.DEVNULL, stdout=None, preexec=None, cwd=None):
        self.args = [str(a) for a in args]
        self.log = tempfile.TemporaryFile()
        self.proc = subprocess.Popen([SDG, *self.args], env={**ENVIRONMENT, **(env or {})}, stdin=stdin,
                                     stdout=stdout if stdout is not None else self.log, stderr=self.log, preexec_fn=preexec, cwd=cwd)
        self.pid = self.proc.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def err(self):
        return os.pread(self.log.fileno(), 1 << 26, 0).decode(errors="replace")

    def signal(self, number):
        self.proc.send_signal(number)

    def kill(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()

    def wait(self, timeout=RUN_S):
        """The exit code."""
        try:
            return self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("sdg %s did not end within %g s:\n%s" % (" ".join(self.args), timeout, self.err()))

    def ends(self, code, timeout=RUN_S):
        got = self.wait(timeout)
        assert got == code, "sdg %s: exit code %d, want %d:\n%s" % (" ".join(self.args), got, code, self.err())
        return self.err()

    def wait_says(self, word):
        wait_for(lambda: word in self.err() or self.proc.poll() is not None, "%r in the log" % word)
        has(self.err(), word)


def children_of(pid):
    """Process ids of living children, whatever thread started them."""
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir("/proc/%d/task" % pid):
            with contextlib.suppress(OSError), open("/proc/%d/task/%s/children" % (pid, task)) as f:
                found += [int(p) for p in f.read().split()]
    return found


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Serve(Proc):
    """`sdg serve` on any port (or on `endpoint`)."""

    def __init__(self, folder, endpoint="tcp://127.0.0.1:*", **more):
        port_file = os.path.join(folder, "port-%d" % random.getrandbits(48))
        super().__init__(["serve", "--listen", endpoint, "--port-file", port_file], **more)
        wait_for(lambda: self.proc.poll() is not None or (os.path.exists(port_file) and open(port_file).read().endswith("\n")), "the port")
        assert self.proc.poll() is None, self.err()
        self.port = int(open(port_file).read())
        self.endpoint = endpoint if endpoint.startswith("ipc") else "tcp://127.0.0.1:%d" % self.port

    def worker(self, *flags, **more):
        return Proc(["worker", "--connect", self.endpoint, *flags], **more)

    def status(self):
        done = subprocess.run([SDG, "status", "--connect", self.endpoint], capture_output=True, timeout=RUN_S)
        equal(done.returncode, 0, done.stderr.decode())
        return json.loads(done.stdout)


class Bench:
    """A folder with a pipeline, a dataset and an output, and the ways to run them."""

    def __init__(self, mock=None, rows=0, pipeline=ECHO, timeout=30, attempts=10, extra=""):
        self.folder = tempfile.mkdtemp(prefix="sdg-test-")
        self.yaml = self.path("p.yaml")
        self.input = self.path("in.jsonl")
        self.output = self.path("out.jsonl")
        self.mock = mock
        self.write_pipeline(pipeline, timeout, attempts)
        self.write_rows(rows, extra)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def write_pipeline(self, text, timeout=30, attempts=10, key="none", base=None):
        values = {"BASE": base or (self.mock.url if self.mock else "http://127.0.0.1:9"), "KEY": key, "TIMEOUT": timeout, "ATTEMPTS": attempts}
        self.write("p.yaml", re.sub("@([A-Z]+)@", lambda m: str(values[m.group(1)]), text))

    def write_rows(self, rows, extra=""):
        self.count = rows
        self.write("in.jsonl", "".join('{"n": %d%s}\n' % (i, extra) for i in range(rows)))

    def args(self, *flags, verb="run", yaml=None, input=None, output=None):
        return [verb, "--yaml", yaml or self.yaml, "--input", input or self.input, "--output", output or self.output, *flags]

    def start(self, *flags, verb="run", yaml=None, input=None, output=None, **more):
        return Proc(self.args(*flags, verb=verb, yaml=yaml, input=input, output=output), **more)

    def run(self, *flags, code=0, timeout=RUN_S, **more):
        """Runs to the end and returns what it said."""
        with self.start(*flags, **more) as p:
            return p.ends(code, timeout)

    def submit(self, serve, *flags, **more):
        return self.start("--connect", serve.endpoint, *flags, verb="submit", **more)

    def rows(self, output=None):
        return read_rows(output or self.output)

    def lines(self, output=None):
        try:
            with open(output or self.output, "rb") as f:
                return f.read().count(b"\n")
        except FileNotFoundError:
            return 0

    def wait_lines(self, n, output=None):
        wait_for(lambda: self.lines(output) >= n, "%d lines in the output" % n)

    def check_echo(self, output=None, count=None):
        """Every row exactly once, each with the answer to its own question. Returns the order."""
        return check_echo(self.rows(output), self.count if count is None else count)


def read_text(path):
    with open(path, "rb") as f:
        data = f.read()
    if path.endswith(".gz"):
        data = gzip.decompress(data)
    if path.endswith(".zst"):
        data = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
    return data.decode()


def read_rows(path):
    text = read_text(path)
    assert text == "" or text.endswith("\n"), "the last line is not whole: %r" % text[-80:]
    return [json.loads(line) for line in text.splitlines()]


def check_indexes(rows, count):
    order = [row["_row_index"] for row in rows]
    assert sorted(order) == list(range(count)), "lost %r, twice or foreign %r" % (
        sorted(set(range(count)) - set(order))[:10], sorted(i for i in set(order) if order.count(i) > 1 or i >= count)[:10])
    return order


def check_echo(rows, count):
    order = check_indexes(rows, count)
    for row in rows:
        equal(row, {"_row_index": row["_row_index"], "n": row["_row_index"], "a": "echo[m]: q %d" % row["_row_index"]})
    return order


def limit_file_size(size):
    """For `preexec`: no file may grow beyond `size` bytes, like a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def summary(text):
    """The numbers of a final summary: {"fine": 3, "failed": 0, "requests": 5, "retries": {"timeout": 2}}."""
    numbers = {"retries": {}}
    m = re.search(r"rows +([\d,]+) fine, ([\d,]+) failed", text)
    assert m, "no summary in:\n" + text
    numbers["fine"], numbers["failed"] = (int(g.replace(",", "")) for g in m.groups())
    m = re.search(r"LLM calls +([\d,]+) \(requests ([\d,]+)\)", text)
    if m:
        numbers["calls"], numbers["requests"] = (int(g.replace(",", "")) for g in m.groups())
    m = re.search(r"^  retries +(.*)$", text, re.M)
    for item in m.group(1).split(", ") if m else []:
        n, name = item.split(" ", 1)
        numbers["retries"][name] = int(n.replace(",", ""))
    return numbers


class Skip(Exception):
    """Raised by a test that cannot run here, with the reason. tests/run.sh shows these at its end, so that nothing is left out silently."""


# ---- running the tests of a file -----------------------------------------------------------------------------------

def main(tests):
    """Runs every test_* of a module; the last line is `N passed, M failed`. Words on the command line select by name."""
    if not os.access(SDG, os.X_OK):
        sys.exit("no program at %s: build it, or name it with SDG=" % SDG)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    chosen = [(n, f) for n, f in list(tests.items()) if n.startswith("test_") and callable(f)]
    if len(sys.argv) > 1:
        chosen = [t for t in chosen if any(word in t[0] for word in sys.argv[1:])]
    failed = skipped = 0
    seed = int(os.environ.get("SEED", random.getrandbits(32)))
    print("SEED=%d" % seed)
    for name, test in chosen:
        random.seed(seed)
        began = time.monotonic()
        try:
            test()
            print("ok   %-70s %5.1f s" % (name, time.monotonic() - began), flush=True)
        except Skip as why:
            skipped += 1
            print("SKIP %s: %s" % (name, why), flush=True)
        except Exception:
            failed += 1
            print("FAIL %s\n%s" % (name, traceback.format_exc()), flush=True)
    print("%d passed, %d failed" % (len(chosen) - failed - skipped, failed))
    return 1 if failed else 0
