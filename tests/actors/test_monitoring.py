#!/usr/bin/env python3
"""--metrics-listen, the dashboard, sdg top, sdg status and --enable-memory-monitoring, with the real program."""
import http.client
import http.server
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import browser
from harness import ECHO, SDG, Bench, Mock, Proc, Serve, Skip, equal, has, lacks, main, summary, wait_for

LISTEN = ("--metrics-listen", "127.0.0.1:0")


class ServeWithMetrics(Serve):
    """`sdg serve --metrics-listen 127.0.0.1:0` on any port."""

    def __init__(self, folder):
        port_file = os.path.join(folder, "serve-port")
        Proc.__init__(self, ["serve", "--listen", "tcp://127.0.0.1:*", "--port-file", port_file, *LISTEN])
        wait_for(lambda: self.proc.poll() is not None or (os.path.exists(port_file) and open(port_file).read().endswith("\n")), "the port")
        self.endpoint = "tcp://127.0.0.1:%d" % int(open(port_file).read())


def metrics_port(proc):
    """The port a process says its dashboard has."""
    wait_for(lambda: "dashboard at" in proc.err() or proc.proc.poll() is not None, "the dashboard's address")
    return int(re.search(r"dashboard at http://[^ ]*:(\d+)/", proc.err()).group(1))


def get(port, path, method="GET", **headers):
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        conn.request(method, path, headers=headers)
        answer = conn.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        conn.close()


def stats(port):
    status, headers, body = get(port, "/stats.json")
    equal((status, headers["Content-Type"]), (200, "application/json"))
    return json.loads(body)


def check_prometheus(text):
    """The text format, strictly: HELP and TYPE before the samples of each family, unique samples, counters end in _total, histograms add up.
    Returns {"name{labels}": value}. What promtool says: test_promtool_finds_nothing."""
    values, kinds, family = {}, {}, None
    assert text.endswith("\n")
    for line in text.splitlines():
        m = re.fullmatch(r"# HELP ([a-z_]+) (\S.*)", line)
        if m:
            family = m.group(1)
            assert family not in kinds, line
            continue
        m = re.fullmatch(r"# TYPE ([a-z_]+) (counter|gauge|histogram)", line)
        if m:
            equal(m.group(1), family, line)
            kinds[family] = m.group(2)
            equal(family.endswith("_total"), m.group(2) == "counter", line)
            continue
        m = re.fullmatch(r'([a-z_]+)(\{[a-z_]+="(?:[^"\\]|\\[\\n"])*"(?:,[a-z_]+="(?:[^"\\]|\\[\\n"])*")*\})? (\S+)', line)
        assert m, "not the format: %r" % line
        base = re.sub("_(bucket|sum|count)$", "", m.group(1)) if kinds.get(family) == "histogram" else m.group(1)
        equal(base, family, line)
        key = m.group(1) + (m.group(2) or "")
        assert key not in values, "twice: " + key
        values[key] = float(m.group(3))
    for name in (n for n, kind in kinds.items() if kind == "histogram"):
        counts = [v for k, v in values.items() if k.startswith(name + "_bucket")]
        equal(counts, sorted(counts))
        equal(counts[-1], values[name + "_count"])
    return values


def test_promtool_finds_nothing():
    if not shutil.which("promtool"):
        raise Skip("no promtool: deploy/install-deps.sh monitor")
    with Mock("--latency-ms", 20, "--fail", "429=0.1,500=0.1") as mock, Bench(mock, rows=2000, attempts=2) as b, b.start(*LISTEN) as p:
        port = metrics_port(p)
        wait_for(lambda: stats(port)["failed"] > 0, "failures with their reasons")
        text = get(port, "/metrics")[2]
        check_prometheus(text)
        done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True)
        equal((done.returncode, done.stdout, done.stderr), (0, b"", b""))


MANUAL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/monitoring.md")


def test_the_manual_names_every_metric_and_no_other():
    with open(MANUAL, encoding="utf-8") as f:
        page = set(re.findall(r"\bsdg_[a-z_]+", f.read()))
    with Mock("--latency-ms", 50) as mock, Bench(mock, rows=400) as b, b.start(*LISTEN) as p:
        told = set(re.findall(r"^# HELP (\S+)", get(metrics_port(p), "/metrics")[2], re.M))
    equal(told - page, set(), "not in the manual")
    equal({re.sub("_bucket$", "", name) for name in page} - told - {"sdg_"}, set(), "only in the manual")


def test_the_queries_of_the_manual_are_promql():
    if not shutil.which("promtool"):
        raise Skip("no promtool: deploy/install-deps.sh monitor")
    with open(MANUAL, encoding="utf-8") as f:
        queries = re.findall(r"^\| [^|`]+ \| `(.*sdg_.*)` \|$", f.read(), re.M)
    assert len(queries) >= 10, queries
    with Bench() as b:
        rules = "".join("  - {record: 'q:%d', expr: '%s'}\n" % (i, q) for i, q in enumerate(queries))
        path = b.write("rules.yaml", "groups:\n- name: manual\n  rules:\n" + rules)
        done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True)
        equal(done.returncode, 0, done.stdout + done.stderr)
        has(done.stdout, "%d rules found" % len(queries))


def test_a_run_tells_its_numbers_and_is_not_changed_by_it():
    with Mock("--latency-ms", 10, "--fail", "429=0.1") as mock, Bench(mock, rows=6000) as b:
        with b.start(*LISTEN, "--max-concurrent", 16) as p:
            port = metrics_port(p)
            equal(get(port, "/healthz")[2], "ok\n")
            s = wait_for(lambda: (lambda s: s["completed"] > 100 and s["sample"]["p50_ms"] and s)(stats(port)), "numbers")
            assert s["completed"] + s["pending"] <= 6000 and s["pending"] <= s["rows"]["window"] == 1000, s
            equal((s["mode"], s["state"], s["calls"]["limit"], s["workers"]["connected"], s["failed"]), ("run", "running", 16, 1, 0))
            assert s["calls"]["in_flight"] <= 16 and s["latency_ms_all"]["count"] >= s["completed"], s
            assert s["latency_ms_all"]["p50"] >= 10 and 0 < s["progress_percent"] < 100 and s["retries"]["rate_limit"] > 0, s
            assert s["memory"]["rss_bytes"] > 1 << 20 and s["memory"]["pss_bytes"] > 0 and s["memory"]["window_bytes"] == 64 << 20, s["memory"]
            equal([k for k in s["credits"]], ["ingest", "row", "permit", "result"])
            v = check_prometheus(get(port, "/metrics")[2])
            assert v['sdg_rows_completed_total{result="ok"}'] >= s["completed"] and v['sdg_llm_retries_total{cause="rate_limit"}'] > 0
            assert v["sdg_llm_request_duration_seconds_count"] == v["sdg_llm_requests_total"], v
            series = json.loads(get(port, "/series.json")[2])
            assert series["points"] and all(len(point) == len(series["columns"]) for point in series["points"])
            equal(json.loads(get(port, "/series-whole.json")[2])["columns"], series["columns"])
            p.ends(0)
        b.check_echo()


def test_a_number_of_rows_is_exact_or_called_an_estimate():
    """Large rows come first, so that what is read ahead says little of the rest."""
    count = 12240
    with Mock("--latency-ms", 20) as mock, Bench(mock) as b:
        with open(b.input, "w") as f:
            for i in range(count):
                f.write('{"n": %d, "t": "%s"}\n' % (i, "x" * (400 if i < 4000 else 10)))
        for flags, total in (([], count), (["-n", "6000"], 6000)):
            seen = []
            with b.start("--overwrite", "--max-concurrent", 64, "--metrics-listen", "127.0.0.1:0", *flags) as p:
                port = metrics_port(p)
                while p.proc.poll() is None and len(seen) < 30:
                    try:
                        seen.append(stats(port))
                    except OSError:
                        break
                    time.sleep(0.1)
                p.ends(0)
            said = [s for s in seen if s["total"] is not None]
            assert said, seen
            for s in said:
                assert s["total_is_estimate"] or s["total"] == total, s["total"]
            assert any(s["total_is_estimate"] for s in said)


def test_without_the_flag_nothing_listens():
    with Mock("--latency-ms", 200) as mock, Bench(mock, rows=4) as b:
        with b.start() as p:
            mock.wait_in_flight(1)
            inodes = {os.readlink("/proc/%d/fd/%s" % (p.pid, fd)) for fd in os.listdir("/proc/%d/fd" % p.pid)}
            with open("/proc/%d/net/tcp" % p.pid) as f:
                listening = ["socket:[%s]" % line.split()[9] for line in f.readlines()[1:] if line.split()[3] == "0A"]
            equal([i for i in listening if i in inodes], [])
            lacks(p.ends(0), "dashboard")


def test_addresses():
    with Mock() as mock, Bench(mock, rows=1) as b, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for address, words, code in (("0.0.0.0:0", "--insecure", 2), ("127.0.0.1", "HOST:PORT", 2), ("127.0.0.1:x", "HOST:PORT", 2),
                                     (":1", "HOST:PORT", 2), ("127.0.0.1:99999", "HOST:PORT", 2),
                                     ("127.0.0.1:%d" % taken.getsockname()[1], "in use", 6)):
            has(b.run("--metrics-listen", address, code=code), words)
            assert not os.path.exists(b.output), "nothing is touched"
        b.run("--metrics-listen", "0.0.0.0:0", "--insecure")
        b.run("--metrics-listen", "[::1]:0", "--overwrite") if os.path.exists("/proc/net/if_inet6") else None
        done = subprocess.run([SDG, "serve", "--metrics-listen", "0.0.0.0:0", "--listen", "tcp://127.0.0.1:*"], capture_output=True)
        equal(done.returncode, 2)
        has(done.stderr.decode(), "--insecure")


def test_only_get_only_known_pages_only_this_machine():
    with Mock("--latency-ms", 30) as mock, Bench(mock, rows=400) as b, b.start(*LISTEN) as p:
        port = metrics_port(p)
        equal(get(port, "/nothing")[0], 404)
        equal(get(port, "/metrics", method="POST")[0], 405)
        equal(get(port, "/metrics", Host="evil.example")[0], 403)
        equal(get(port, "/metrics", Host="127.0.0.1.evil.example")[0], 403)
        equal(get(port, "/metrics", Host="localhost:1234")[0], 200)
        equal(get(port, "/stats.json", method="HEAD")[2], "")
        status, headers, body = get(port, "/")
        equal(status, 200)
        has(headers["Content-Security-Policy"], "default-src 'none'", "connect-src 'self'")
        lacks(body, "http://", "https://", "src=")
        p.ends(0)
        b.check_echo()


def test_readers_that_do_not_read_stop_nobody():
    with Mock("--latency-ms", 20) as mock, Bench(mock, rows=2000) as b, b.start(*LISTEN) as p:
        port = metrics_port(p)
        held = []
        for i in range(100):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", port))
            s.sendall(b"GET /series.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20 if i % 2 else b"GET / HTTP/1.1\r\nHo")
            held.append(s)
        p.ends(0)
        b.check_echo()


def test_a_server_tells_what_all_its_workers_did():
    with Mock("--latency-ms", 30) as mock, Bench(mock, rows=3000) as b:
        with ServeWithMetrics(b.folder) as serve, serve.worker() as first, serve.worker() as second:
            port = metrics_port(serve)
            wait_for(lambda: stats(port)["workers"]["connected"] == 2, "two workers")
            with b.submit(serve, *LISTEN, "--max-concurrent", 32) as job:
                own = metrics_port(job)
                s = wait_for(lambda: (lambda s: s["completed"] > 0 and s)(stats(own)), "the job's own numbers")
                equal((s["mode"], s["state"]), ("submit", "running"))
                log = job.ends(0)
                lacks(log, "waiting for workers")
            s = wait_for(lambda: (lambda s: s["completed"] == 3000 and s)(stats(port)), "all rows in the server's numbers")
            equal((s["mode"], s["failed"], s["latency_ms_all"]["count"], s["calls"]["finished"]), ("serve", 0, 3000, 3000))
            wait_for(lambda: stats(port)["state"] == "idle", "the end of the job")
            s = wait_for(lambda: (lambda s: s["calls"]["in_flight"] == 0 and s)(stats(port)), "nothing in flight")
            equal((s["calls"]["requests"], s["trouble"], s["endpoints"][0]["in_flight"]), (3000, None, 0))
            check_prometheus(get(port, "/metrics")[2])
            first.kill()
            second.kill()
            wait_for(lambda: stats(port)["workers"]["lost"] == 2, "both workers lost")
            equal(stats(port)["completed"], 3000)
        b.check_echo()


def test_top_and_status_show_the_same():
    with Mock("--latency-ms", 20) as mock, Bench(mock, rows=2000) as b, b.start(*LISTEN) as p:
        url = "http://127.0.0.1:%d" % metrics_port(p)
        wait_for(lambda: stats(int(url.rsplit(":", 1)[1]))["completed"] > 0, "rows")
        done = subprocess.run([SDG, "top", "--connect", url, "--count", "2"], capture_output=True, timeout=60)
        equal((done.returncode, done.stderr), (0, b""))
        equal(done.stdout.decode().count("SDG Nexus  run  running"), 2)
        has(done.stdout.decode(), "in flight of 8", "1 connected", "p99", " PSS in 1 process;")
        done = subprocess.run([SDG, "status", "--connect", url + "/", "--json"], capture_output=True, timeout=60)
        equal(json.loads(done.stdout)["mode"], "run")
        done = subprocess.run([SDG, "status", "--connect", url], capture_output=True, timeout=60)
        has(done.stdout.decode(), "SDG Nexus  run")
        p.ends(0)
        done = subprocess.run([SDG, "top", "--connect", url, "--count", "1"], capture_output=True, timeout=60)
        equal(done.returncode, 6)
        has(done.stderr.decode(), "no answer from " + url)
        equal(subprocess.run([SDG, "top", "--connect", "tcp://127.0.0.1:1"], capture_output=True).returncode, 2)


# ---- what goes wrong at an endpoint, while it does ------------------------------------------------------------------

PATIENT = ECHO.replace("base_ms: 1,", "base_ms: 500,")


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def seconds_until(condition, what, began):
    wait_for(condition, what)
    return time.monotonic() - began


def first_seen(b, url, words, limit, hang=None):
    """Runs against a server that gives no answer; each screen has to have the words within `limit` seconds of the start, also when the run has
    given up by then. Of a server that hangs the time counts from its first request."""
    b.write_pipeline(PATIENT, base=url, attempts=100, timeout=60)
    with b.start(*LISTEN, "--max-concurrent", 64, "--overwrite", "--metrics-linger", 60) as p:
        port = metrics_port(p)
        if hang:
            hang.wait_requests(1)
        began = time.monotonic()
        screens = {
            "stats": lambda: re.search(words, stats(port)["trouble"] or ""),
            "metrics": lambda: any(re.search(words.replace(" yet.*", ""), line) for line in get(port, "/metrics")[2].splitlines() if line.startswith("sdg_endpoint_trouble{")),
            "log": lambda: re.search("(endpoint|error client): .*" + words, p.err()),
            "top": lambda: re.search(words, subprocess.run([SDG, "top", "--connect", "http://127.0.0.1:%d" % port, "--count", "1"],
                                                           capture_output=True, timeout=60).stdout.decode()),
        }
        taken = {name: seconds_until(condition, "%s in %s" % (words, name), began) for name, condition in screens.items()}
        assert max(taken.values()) <= limit, taken
        s = stats(port)
        check_prometheus(get(port, "/metrics")[2])
        return s, p.err()


def test_each_screen_says_what_is_wrong_within_three_seconds():
    with Mock("--fail", "429=1") as limited, Mock("--fail", "hang=1") as hang, Mock() as plain, Bench(rows=64) as b:
        refused = "http://127.0.0.1:%d" % closed_port()
        s, _ = first_seen(b, limited.url, r"429 from http://127\.0\.0\.1:%d" % limited.port, 3)
        e = s["endpoints"][0]
        equal((len(s["endpoints"]), e["answered"], e["answered_s"]), (1, 0, None))
        assert e["address"].startswith(limited.url) and e["waiting"] + e["in_flight"] <= 64 and s["calls"]["requests"] >= e["requests"] > 0, e
        s, _ = first_seen(b, refused, r"no connection to " + re.escape(refused), 3)
        assert s["retries"]["connection"] >= s["endpoints"][0]["retries"]["connection"] > 0 and s["completed"] == 0, s
        first_seen(b, "https://127.0.0.1:%d" % plain.port, r"https://127\.0\.0\.1:%d" % plain.port, 3)
        s, _ = first_seen(b, hang.url, r"no answer yet.* from http://127\.0\.0\.1:%d" % hang.port, 6, hang)
        equal((s["endpoints"][0]["trouble_kind"], s["endpoints"][0]["in_flight"]), ("hang", 64))


def test_the_dashboard_says_that_a_server_hangs():
    need_browser()
    with Mock("--fail", "hang=1") as mock, Bench(mock, rows=64) as b, browser.Browser(1440, 1500) as page:
        b.write_pipeline(PATIENT, attempts=100, timeout=60)
        with b.start(*LISTEN, "--max-concurrent", 64) as p:
            mock.wait_requests(1)
            began = time.monotonic()
            page.open("http://127.0.0.1:%d/" % metrics_port(p))
            taken = seconds_until(lambda: "no answer yet" in (text_of(page, "#trouble") or ""), "the words", began)
            assert taken <= 6, taken
            p.kill()


def test_the_dashboard_says_what_is_wrong():
    need_browser()
    with Mock("--fail", "429=1") as mock, Bench(mock, rows=64) as b, browser.Browser(1440, 1500) as page:
        b.write_pipeline(PATIENT, attempts=100)
        with b.start(*LISTEN, "--max-concurrent", 64) as p:
            port = metrics_port(p)
            began = time.monotonic()
            page.open("http://127.0.0.1:%d/" % port)
            taken = seconds_until(lambda: "429 from " + mock.url in (text_of(page, "#trouble") or ""), "the words", began)
            assert taken <= 3, taken
            has(text_of(page, "#endpoints"), mock.url, "rate limit", "429 from")
            check_quiet(page, port)
            p.kill()


def test_all_screens_agree_on_requests_and_retries():
    with Mock("--latency-ms", 30, "--fail", "500=0.2") as mock, Bench(mock, rows=600, attempts=20) as b:
        with b.start(*LISTEN, "--metrics-linger", 30, "--max-concurrent", 16) as p:
            port = metrics_port(p)
            s = wait_for(lambda: (lambda s: s["ended"] and s)(stats(port)), "the end")
            v = check_prometheus(get(port, "/metrics")[2])
            told = mock.stats()["requests"]
            equal((s["state"], s["ended"]["fine"], s["completed"], s["total"], s["total_is_estimate"], s["progress_percent"]),
                  ("done", True, 600, 600, False, 100))
            equal((s["calls"]["requests"], v["sdg_llm_requests_total"], s["endpoints"][0]["requests"]), (told, told, told))
            equal(s["retries"]["server"], told - 600)
            equal(v['sdg_llm_retries_total{cause="server"}'], told - 600)
            equal(v['sdg_endpoint_retries_total{endpoint="%s",cause="server"}' % s["endpoints"][0]["address"]], told - 600)
            numbers = summary(s["ended"]["summary"])
            equal((numbers["requests"], numbers["retries"]), (told, {"server error": told - 600}))
            equal(summary(p.err()), numbers)
            p.signal(signal.SIGINT)
            began = time.monotonic()
            p.ends(0)
            assert time.monotonic() - began < 5, "Ctrl-C ends the lingering"


def test_the_end_waits_for_open_pages_only():
    with Mock() as mock, Bench(mock, rows=20) as b:
        began = time.monotonic()
        b.run(*LISTEN)
        alone = time.monotonic() - began
        assert alone < 2, "nobody looks: no delay, %g s" % alone
        with b.start(*LISTEN, "--overwrite", "--metrics-linger", 3) as p:
            port = metrics_port(p)
            wait_for(lambda: stats(port)["state"] == "done", "the end on the page")
            time.sleep(1)
            equal(stats(port)["completed"], 20)
            began = time.monotonic()
            has(p.ends(0), "the dashboard stays for 3 s")
            assert 0.5 < time.monotonic() - began < 6


def test_top_ends_with_the_run_it_watches():
    with Mock("--latency-ms", 100) as mock, Bench(mock, rows=200) as b:
        with b.start(*LISTEN, "--max-concurrent", 8) as p:
            url = "http://127.0.0.1:%d" % metrics_port(p)
            with Proc(["top", "--connect", url]) as top:
                p.ends(0)
                has(top.ends(0, 30), "the run has ended: 200 rows finished, 0 failed")
        with b.start(*LISTEN, "--overwrite") as p:
            url = "http://127.0.0.1:%d" % metrics_port(p)
            with Proc(["top", "--connect", url]) as top:
                wait_for(lambda: "SDG Nexus" in top.err(), "a view")
                p.kill()
                has(top.ends(0, 30), url + " does not answer any more")
        done = subprocess.run([SDG, "top", "--connect", url], capture_output=True, timeout=60)
        equal(done.returncode, 6)
        has(done.stderr.decode(), "sdg top: no answer from", "nothing runs there")


def test_the_dashboard_shows_the_end():
    need_browser()
    rules = [{"match": {"regex": "^q 3$"}, "status": 400, "body": {"error": {"message": "never"}}}]
    with Bench() as r, Mock("--rules", r.write("rules.json", json.dumps(rules)), "--latency-ms", 50) as mock, Bench(mock, rows=200) as b:
        with browser.Browser(1440, 1500) as page:
            for wanted, cls, code in ((["done, 1 failed row"], "wait", 1), (["done"], "good", 0)):
                with b.start(*LISTEN, "--overwrite", *(("--max-inputs", 3) if code == 0 else ()), "--max-concurrent", 2) as p:
                    port = metrics_port(p)
                    page.open("http://127.0.0.1:%d/" % port)
                    p.ends(code)
                wait_for(lambda: text_of(page, "#state") == wanted[0], wanted[0])
                equal(page.js("document.getElementById('state').className"), "pill " + cls)
                has(text_of(page, "#summary"), "done\n", "output", b.output)
                time.sleep(3)
                equal(text_of(page, "#state"), wanted[0], "the page keeps the end when the server is gone")


def test_memory_monitoring_warns_with_what_holds_it():
    with Mock("--latency-ms", 20) as mock, Bench(mock, rows=600) as b:
        log = b.run("--enable-memory-monitoring", "--memory-threshold-mb", 1, "--processes", 2)
        lines = [line for line in log.splitlines() if "warn  memory:" in line]
        equal(len(lines), 1, "one warning in ten seconds:\n" + log)
        assert re.search(r"MiB in \d process(es)?: main .*; \d+ pending rows \(\d+ queued, \d+ at workers, \d+ to be written\) hold .*threshold is 1.0 MiB", lines[0]), lines[0]
        lacks(b.run("--overwrite", "--enable-memory-monitoring"), "warn  memory:")
        lacks(b.run("--overwrite", "--memory-threshold-mb", 1), "warn  memory:")
        has(b.run("--enable-memory-monitoring", "--memory-threshold-mb", 0, code=2), "at least 1")
        help_text = subprocess.run([SDG, "run", "--help"], capture_output=True).stdout.decode()
        for flag in ("--enable-memory-monitoring", "--memory-threshold-mb", "--metrics-listen"):
            line = [l for l in help_text.splitlines() if flag in l][0]
            lacks(line, "no effect")


# ---- the dashboard -------------------------------------------------------------------------------------------------

def need_browser():
    if not browser.find():
        raise Skip("no browser: deploy/install-deps.sh monitor")


# Of each visible chart: title, values drawn, and pixels in the colour of each line that has values.
DRAWN = """CHARTS.filter(c => c.card.style.display === '').map(c => {
  const d = c.canvas.getContext('2d').getImageData(0, 0, c.canvas.width, c.canvas.height).data, css = getComputedStyle(document.documentElement);
  const ink = c.lines.filter(l => points.some(p => valueOf(p, l[0]) != null && (!c.stacked || valueOf(p, l[0]) > 0))).map(l => {
    const [r, g, b] = css.getPropertyValue('--' + l[2]).match(/[0-9a-f]{2}/gi).map(h => parseInt(h, 16));
    let n = 0;
    for (let i = 0; i < d.length; i += 4)
      if (d[i + 3] > 90 && Math.abs(d[i] - r) + Math.abs(d[i + 1] - g) + Math.abs(d[i + 2] - b) < 40) n++;
    return [l[1], n];
  });
  return {title: c.title, drawn: c.drawn, ink};
})"""


def check_page(page, name):
    """Every chart draws its data, in light and in dark. Returns the titles."""
    backgrounds = set()
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        wait_for(lambda: page.js("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark"), scheme)
        page.js("drawAll()")
        charts = page.js(DRAWN)
        for c in charts:
            assert c["drawn"] > 0 and c["ink"] and all(n >= 4 for _, n in c["ink"]), "%s, %s: an empty chart: %r" % (name, scheme, c)
        backgrounds.add(page.js("getComputedStyle(document.body).backgroundColor"))
        if os.environ.get("SCREENSHOTS"):
            page.screenshot(os.path.join(os.environ["SCREENSHOTS"], "%s-%s.png" % (name, scheme)))
    equal(len(backgrounds), 2, "light and dark differ")
    return [c["title"] for c in charts]


def check_quiet(page, port):
    """No errors on the console, no request to anywhere else."""
    page.ask("Runtime.evaluate", expression="0")
    equal(page.complaints(), [])
    equal([u for u in page.requested() if not u.startswith(("http://127.0.0.1:%d/" % port, "data:"))], [])


def text_of(page, selector):
    return page.js("(document.querySelector(%s) || {}).textContent" % json.dumps(selector))


def test_the_dashboard_in_a_browser():
    need_browser()
    with Mock("--latency-ms", 20, "--fail", "429=0.1") as mock, Bench(mock, rows=100000) as b, browser.Browser(1440, 1500) as page:
        with b.start(*LISTEN, "--max-concurrent", 32, "--no-progress") as p:
            port = metrics_port(p)
            page.open("http://127.0.0.1:%d/" % port)
            wait_for(lambda: text_of(page, "#state") == "running", "the page says running")
            wait_for(lambda: page.js("points.length") >= 4 and "rate limit" in text_of(page, "#charts"), "charts with points")
            has(text_of(page, "#progress"), "rows finished of about ", "pending")
            has(text_of(page, "#tile-flight"), "calls in flight of 32")
            has(text_of(page, "#charts"), "Throughput", "p99", "PSS", "limit")
            titles = check_page(page, "run")
            assert len(titles) >= 9 and "Workers" in titles, titles
            page.js("document.getElementById('whole').click()")
            wait_for(lambda: page.js("points.length && document.getElementById('whole').getAttribute('aria-pressed')") == "true", "the whole run")
            page.js("document.getElementById('recent').click()")
            p.kill()
        wait_for(lambda: "no answer" in text_of(page, "#state"), "the page notices the end")
        with b.start("--metrics-listen", "127.0.0.1:%d" % port, "--max-concurrent", 32, "--no-progress") as p:
            metrics_port(p)
            wait_for(lambda: text_of(page, "#state") == "running", "the page goes on with the new server")
            wait_for(lambda: page.js("points.length") >= 2, "its points")
            p.kill()
        check_quiet(page, port)


class Stub:
    """Serves the dashboard with numbers as they may be when everything is in use: batch mode, a memory limit, a busy context store."""

    def __init__(self, html, stats_now, columns):
        self.html, self.columns, self.count = html, columns, 400
        self.began = int(time.time() * 1000) - self.count * 1000
        self.stats = {**stats_now, "state": "running", "started_unix_ms": self.began, "uptime_s": self.count, "progress_percent": 41.2, "eta_s": 570,
                      "total": 120000, "completed": 49440, "pending": 3200, "rows_per_s": 120.3, "workers": {"connected": 6, "lost": 1},
                      "batch": {"pass": 2, "passes": 3, "rows_parked": 81200, "progress_percent": 67.7}}
        self.stats["cache"] = {**stats_now["cache"], "size": 480, "max_size": 500, "hits": 9000, "misses": 1000, "hit_rate": 0.9, "evictions": 800}
        self.stats["memory"] = {**stats_now["memory"], "limit_bytes": 512 << 20,
                                "accounted": {"client": 60 << 20, "workers": 200 << 20, "store": 150 << 20, "total": 410 << 20}}
        self.stats["failures"] = {"ask: HTTP 400": 12, "score: budget": 3}
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body, kind = stub.page(self.path)
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def point(self, i):
        wave = lambda low, high, period: low + (high - low) * (0.5 + 0.5 * math.sin(i * 6.28 / period) * math.cos(i * 6.28 / (period * 3.7)))
        mib = 1 << 20
        values = {"rows_per_s": wave(95, 140, 60), "tokens_per_s": wave(30000, 52000, 60), "requests_per_s": wave(100, 150, 60),
                  "calls_in_flight": wave(180, 256, 80), "calls_waiting": wave(0, 40, 50), "calls_limit": 256 if i < 200 else 300,
                  "p50_ms": wave(800, 1100, 90), "p90_ms": wave(1500, 1900, 70), "p99_ms": wave(2400, 3600, 40), "failed_per_s": wave(0, 2, 30),
                  "rate_limit_per_s": wave(0, 9, 100), "overload_per_s": wave(0, 4, 45), "server_per_s": wave(0, 1, 25), "timeout_per_s": 0,
                  "connection_per_s": 0, "malformed_per_s": 0, "empty_per_s": 0, "rss_bytes": wave(700, 760, 200) * mib,
                  "pss_bytes": wave(480, 510, 200) * mib, "pending_bytes": 30 * mib, "window_bytes": 64 * mib, "rows_pending": wave(2800, 3200, 100),
                  "workers": 6 if i > 120 else 4, "client_bytes": wave(40, 60, 120) * mib, "worker_bytes": wave(150, 210, 90) * mib,
                  "store_bytes": min(150, i) * mib, "limit_bytes": 512 * mib, "contexts_cached": min(480, 4 * i), "contexts_cached_max": 500,
                  "contexts_spilled": max(0, 6 * i - 600), "cache_hit_percent": wave(82, 99, 75), "evictions_per_s": wave(0, 30, 65) if i > 100 else 0,
                  "loads_per_s": wave(0, 18, 55) if i > 110 else 0, "pass": 2, "passes": 3, "pass_percent": 67.7 * i / 400}
        return [self.began + i * 1000] + [values[c] for c in self.columns]

    def page(self, path):
        if path == "/":
            return self.html.encode(), "text/html; charset=utf-8"
        if path.startswith("/series"):
            points = [self.point(i) for i in range(self.count)]
            return json.dumps({"started_unix_ms": self.began, "step_s": 1, "columns": ["t"] + self.columns, "points": points}).encode(), "application/json"
        if path == "/stats.json":
            self.count += 1
            p = self.point(self.count)
            return json.dumps({**self.stats, "sample": dict(zip(["t"] + self.columns, p))}).encode(), "application/json"
        return b"", "text/plain"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_the_dashboard_with_everything_in_use():
    need_browser()
    with Mock("--latency-ms", 50) as mock, Bench(mock, rows=2000) as b, b.start(*LISTEN) as p:
        port = metrics_port(p)
        html, now = get(port, "/")[2], stats(port)
        columns = json.loads(get(port, "/series.json")[2])["columns"][1:]
        p.kill()
    with Stub(html, now, columns) as stub, browser.Browser(1440, 1640) as page:
        page.open("http://127.0.0.1:%d/" % stub.port)
        wait_for(lambda: text_of(page, "#state") == "running" and page.js("points.length") > 400, "the page")
        titles = check_page(page, "full")
        for word in ("What is held", "found in memory", "evicted", "Contexts", "Batch mode", "Workers", "Memory of all", "Rows pending"):
            assert any(word in t for t in titles), (word, titles)
        has(text_of(page, "#progress"), "pass 2 of 3, 81,200 rows through it")
        has(text_of(page, "#tile-memory"), "410 MiB held of 512 MiB")
        has(text_of(page, "#charts"), "hit rate", "context store", "on disk", "ask: HTTP 400")
        check_quiet(page, stub.port)


if __name__ == "__main__":
    sys.exit(main(globals()))
