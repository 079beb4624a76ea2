#!/usr/bin/env python3
"""--metrics-listen, the dashboard, sdg top, sdg status and --enable-memory-monitoring, with the real program."""
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys

import browser
from harness import SDG, Bench, Mock, Proc, Serve, equal, has, lacks, main, wait_for

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
    Returns {"name{labels}": value}. Debian's promtool has its say, too, when it is installed."""
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
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True)
        equal((done.returncode, done.stderr), (0, b""))
    else:
        print("     promtool is not installed (apt-get install prometheus): checked by our own parser only")
    return values


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
        for address, words in (("0.0.0.0:0", "--insecure"), ("127.0.0.1", "HOST:PORT"), ("127.0.0.1:x", "HOST:PORT"), (":1", "HOST:PORT"),
                               ("127.0.0.1:99999", "HOST:PORT"), ("127.0.0.1:%d" % taken.getsockname()[1], "in use")):
            has(b.run("--metrics-listen", address, code=2), words)
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
        has(done.stdout.decode(), "in flight of 8", "1 connected", "p99", " PSS in 1 processes")
        done = subprocess.run([SDG, "status", "--connect", url + "/", "--json"], capture_output=True, timeout=60)
        equal(json.loads(done.stdout)["mode"], "run")
        done = subprocess.run([SDG, "status", "--connect", url], capture_output=True, timeout=60)
        has(done.stdout.decode(), "SDG Nexus  run")
        p.ends(0)
        done = subprocess.run([SDG, "top", "--connect", url, "--count", "1"], capture_output=True, timeout=60)
        equal(done.returncode, 6)
        has(done.stdout.decode(), "no answer from " + url)
        equal(subprocess.run([SDG, "top", "--connect", "tcp://127.0.0.1:1"], capture_output=True).returncode, 2)


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


def test_the_dashboard_in_a_browser():
    if not browser.find():
        print("     skipped: no browser (apt-get install chromium)")
        return
    with Mock("--latency-ms", 20, "--fail", "429=0.1") as mock, Bench(mock, rows=100000) as b, browser.Browser() as page:
        with b.start(*LISTEN, "--max-concurrent", 32, "--no-progress") as p:
            port = metrics_port(p)
            page.open("http://127.0.0.1:%d/" % port)
            text = lambda selector: page.js("(document.querySelector(%s) || {}).textContent" % json.dumps(selector))
            wait_for(lambda: text("#state") == "running", "the page says running")
            wait_for(lambda: page.js("points.length") >= 3 and "rate limit" in text("#charts"), "charts with points")
            has(text("#progress"), "rows finished of about ", "pending")
            has(text("#tile-flight"), "calls in flight of 32")
            has(text("#charts"), "Throughput", "p99", "PSS", "limit")
            images = {}
            for scheme in ("light", "dark"):
                page.scheme(scheme)
                wait_for(lambda: page.js("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark"), scheme)
                images[scheme] = page.js("getComputedStyle(document.body).backgroundColor")
                drawn = page.js("CHARTS.map(c => { const d = c.canvas.getContext('2d').getImageData(0, 0, c.canvas.width, c.canvas.height).data;"
                                " let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i]) n++; return n; })")
                assert all(n > 500 for n in drawn), "empty charts: %r" % drawn
                if os.environ.get("SCREENSHOTS"):
                    page.screenshot(os.path.join(os.environ["SCREENSHOTS"], scheme + ".png"))
            assert images["light"] != images["dark"], images
            page.js("document.getElementById('whole').click()")
            wait_for(lambda: page.js("points.length && document.getElementById('whole').getAttribute('aria-pressed')") == "true", "the whole run")
            page.js("document.getElementById('recent').click()")
            p.kill()
        wait_for(lambda: "no answer" in text("#state"), "the page notices the end")
        with b.start("--metrics-listen", "127.0.0.1:%d" % port, "--max-concurrent", 32, "--no-progress") as p:
            metrics_port(p)
            wait_for(lambda: text("#state") == "running", "the page goes on with the new server")
            wait_for(lambda: page.js("points.length") >= 2, "its points")
            p.kill()
        page.ask("Runtime.evaluate", expression="0")
        equal(page.complaints(), [])
        foreign = [u for u in page.requested() if not u.startswith(("http://127.0.0.1:%d/" % port, "data:"))]
        equal(foreign, [])


if __name__ == "__main__":
    sys.exit(main(globals()))
