"""world.py - what a bar needs around it: inputs, the pipeline, servers, runs of sdg and what they cost. Used by bars.py and bars_store.py."""
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ANSWER_BYTES = 600        # the whole response body of the zero-latency server
FLIGHT = 64
KEY = "key"


def die(text):
    print(f"bars.py: {text}", file=sys.stderr)
    sys.exit(2)


def median(values):
    return statistics.median(values)


# --- pipelines --------------------------------------------------------------------------------------------------------

PIPELINE = """
mabel: {version: "2.0", name: bench}
models:
  - {name: llm, api_model: bench, base_url: "BASE_URL", api_key: KEY, request_defaults: {temperature: 0.7, max_tokens: 256}}
blocks:
  - type: ai
    id: ask
    exec: 1
    model: llm
    system_prompt: You write one question about the subject you are given, in <question> tags.
    prompts: ["Subject: {topic}"]
    outputs:
      - {name: Answer, select: full}
      - {name: Question, select: tag, tag: question}
  - type: end
    exec: 2
    final:
      - {name: topic, value: "{topic}"}
      - {name: answer, value: "{Answer}"}
      - {name: question, value: "{Question}"}
"""

LOGIC_PIPELINE = """
mabel: {version: "2.0", name: interpreter}
globals: {const: {limit: 3}, vars: {seen: 0}}
blocks:
  - {type: logic, exec: 1, op: set, var: seen, value: {add: [{len: "{topic}"}, 1]}, outputs: [{name: Seen}]}
  - type: logic
    exec: 2
    op: for
    list: words
    var: word
    where: {ne: ["{word}", beta]}
    map: {upper: "{word}"}
    outputs:
      - {name: Words, from: join, join_with: ", "}
      - {name: Count, from: count}
  - type: logic
    exec: 3
    op: if
    cond: {and: [{ge: ["{Count}", "{limit}"]}, {contains: ["{Words}", ALPHA]}]}
    then: "many words of {topic}: {Words}"
    else: "few words of {topic}"
    outputs: [{name: Text, from: value}]
  - type: end
    exec: 4
    final:
      - {name: id, value: "{id}"}
      - {name: text, value: "{Text}"}
      - {name: seen, value: "{Seen}", type_hint: number}
"""


def completion():
    """A completion whose JSON is exactly ANSWER_BYTES long."""
    def body(filler):
        text = "<question>What is told to a visitor of that place?</question> " + "x" * filler
        return json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "bench",
                           "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                           "usage": {"prompt_tokens": 40, "completion_tokens": 60, "total_tokens": 100}})
    return body(ANSWER_BYTES - len(body(0)))


# --- what is started and must be stopped ------------------------------------------------------------------------------

class Bench:
    """The temporary folder, the programs, and everything that was started."""

    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="sdg-bench-")
        self.started = []
        self.sdg = self.program("sdg")
        self.rows_made = {}
        self.server = None

    def program(self, name):
        path = os.path.abspath(os.path.join(self.options.build, name))
        if not os.access(path, os.X_OK):
            die(f"{path} is not there: build it, or leave SDG_BUILD out")
        return path

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def start(self, command, **more):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **more)
        self.started.append(process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.started.remove(process)

    def close(self):
        for process in list(self.started):
            self.stop(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def rows(self, count):
        """An input file with so many rows; made once."""
        if count not in self.rows_made:
            path = self.path(f"rows-{count}.jsonl")
            subprocess.run([sys.executable, os.path.join(HERE, "make_rows.py"), str(count), path], check=True)
            self.rows_made[count] = path
        return self.rows_made[count]

    def drop_rows(self, count):
        os.unlink(self.rows_made.pop(count))

    def pipeline(self, port, name="pipeline.yaml"):
        return self.write(name, PIPELINE.replace("BASE_URL", f"http://127.0.0.1:{port}/v1").replace("KEY", KEY))

    def child(self, command):
        """Runs a command under bench_child; its cost, or death."""
        report = self.path("report.json")
        log = self.path("child.log")
        with open(log, "wb") as out:
            process = self.start([self.program("bench_child"), report] + command, stdout=out, stderr=out)
            process.wait()
        self.started.remove(process)
        if process.returncode != 0:
            with open(log, encoding="utf-8", errors="replace") as f:
                die(f"{' '.join(command)}: exit code {process.returncode}\n{f.read()[-2000:]}")
        with open(report, encoding="utf-8") as f:
            cost = json.load(f)
        cost["s"] = cost["wall_ns"] / 1e9
        cost["cpu_s"] = (cost["user_us"] + cost["system_us"]) / 1e6
        return cost

    def sdg_run(self, yaml, count, flight=FLIGHT, more=(), output="out.jsonl"):
        """One run over `count` fresh rows; checks that the output has them all."""
        path = self.path(output)
        cost = self.child(run_command(self, yaml, self.rows(count), path, flight) + ["--overwrite"] + list(more))
        with open(path, "rb") as f:
            lines = sum(block.count(b"\n") for block in iter(lambda: f.read(1 << 20), b""))
        if lines != count:
            die(f"{lines} lines of output for {count} rows")
        remove_output(path)
        return cost


def run_command(bench, yaml, rows, output, flight):
    return [bench.sdg, "run", "--yaml", yaml, "--input", rows, "--output", output, "--max-concurrent", str(flight), "--no-progress", "-q"]


def remove_output(path):
    for name in (path, path + ".sdg"):
        if os.path.exists(name):
            os.unlink(name)


# --- servers ----------------------------------------------------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(process, port):
    for _ in range(500):
        if process.poll() is not None:
            die(f"the server on port {port} ended at its start")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    die(f"nothing listens on port {port}")


NGINX = """
daemon off; master_process on; worker_processes 1; pid PREFIX/nginx.pid; error_log PREFIX/error.log crit; USER
events { worker_connections 16384; }
http {
  access_log off; default_type application/json; tcp_nodelay on;
  keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path PREFIX/body; proxy_temp_path PREFIX/proxy; fastcgi_temp_path PREFIX/fastcgi;
  uwsgi_temp_path PREFIX/uwsgi; scgi_temp_path PREFIX/scgi;
  server { listen 127.0.0.1:PORT backlog=4096; location / { return 200 'ANSWER'; } }
}
"""


def start_nginx(bench):
    """The zero-latency server; one for the whole run."""
    if bench.server is not None:
        return bench.server
    port = free_port()
    prefix = bench.path("nginx")
    os.mkdir(prefix)
    text = NGINX.replace("PREFIX", prefix).replace("PORT", str(port)).replace("USER", "user root;" if os.geteuid() == 0 else "")
    config = bench.write("nginx.conf", text.replace("ANSWER", completion()))
    process = bench.start(["nginx", "-p", prefix, "-c", config], stderr=subprocess.DEVNULL)
    wait_for_port(process, port)
    bench.server = port
    return port


def start_mock(bench, *flags):
    port_file = bench.path("mock.port")
    if os.path.exists(port_file):
        os.unlink(port_file)
    process = bench.start([bench.sdg, "mock-llm", "--port", "0", "--port-file", port_file, "--quiet"] + list(flags),
                          stdout=subprocess.DEVNULL)
    for _ in range(500):
        if os.path.exists(port_file) and os.path.getsize(port_file) > 0:
            with open(port_file, encoding="ascii") as f:
                port = int(f.read())
            wait_for_port(process, port)
            return process, port
        time.sleep(0.01)
    die("the simulated LLM server did not start")


class Listener:
    """Takes one connection, notes when its first byte came, keeps the request, and answers every request until the connection ends."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(64)
        self.socket.settimeout(20)
        self.port = self.socket.getsockname()[1]
        self.body = b""

    def serve(self):
        connection, _ = self.socket.accept()
        with connection:
            connection.settimeout(20)
            self.read(connection)
            first_ns = self.first_ns
            answer = completion().encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
            connection.recv(1)
        return first_ns

    def read(self, connection):
        data = connection.recv(65536)
        self.first_ns = time.monotonic_ns()
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, self.body = data.split(b"\r\n\r\n", 1)
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(self.body) < length:
            self.body += connection.recv(65536)

    def close(self):
        self.socket.close()
