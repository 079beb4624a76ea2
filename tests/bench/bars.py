#!/usr/bin/env python3
"""bars.py - measures the bars of docs/performance.md; started by run.sh, which builds first and explains the flags.

The machine, its kernel and its other load are part of every absolute figure, so each bar is a ratio of two things measured in this run, in
turns (A B A B ...), and the median of the turns counts. Times and memory of a program are those that bench_child saw from outside: process
start and end are inside. Each measure_* function below is one bar: it prints what it sees and returns rows for the table.
"""
import argparse
import http.client
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import bars_store
import bench_interpreter
import bucket
from world import FLIGHT, LOGIC_PIPELINE, Bench, Listener, die, median, remove_output, run_command, start_mock, start_nginx

# --- 1: zero latency --------------------------------------------------------------------------------------------------

def request_body(bench):
    """The body that sdg sends for a row, as a file: what the yardstick posts."""
    listener = Listener()
    yaml = bench.pipeline(listener.port, "capture.yaml")
    output = bench.path("capture.jsonl")
    process = bench.start(run_command(bench, yaml, bench.rows(1), output, 1) + ["--overwrite"])
    listener.serve()
    process.wait()
    bench.stop(process)
    listener.close()
    with open(bench.path("body.json"), "wb") as f:
        f.write(listener.body)
    return bench.path("body.json")


def bare_run(bench, port, body, count, flight):
    return bench.child([bench.program("bench_curl_bare"), "--url", f"http://127.0.0.1:{port}/v1/chat/completions", "--requests", str(count),
                        "--concurrency", str(flight), "--body", body])


def wrk_rate(bench, port, body):
    if shutil.which("wrk") is None:
        return None
    with open(body, encoding="utf-8") as f:
        script = f"wrk.method = 'POST'\nwrk.body = [==[{f.read()}]==]\nwrk.headers['Content-Type'] = 'application/json'\n"
    out = subprocess.run(["wrk", "-t", "1", "-c", str(FLIGHT), "-d", "3s", "-s", bench.write("post.lua", script),
                          f"http://127.0.0.1:{port}/v1/chat/completions"], capture_output=True, text=True, check=True).stdout
    return next(float(line.split()[1]) for line in out.splitlines() if line.startswith("Requests/sec"))


def measure_zero_latency(bench):
    count, turns = (5000, 2) if bench.options.quick else (150000, 5)
    port = start_nginx(bench)
    yaml, body = bench.pipeline(port), request_body(bench)
    ratios, rates, cpu = [], [], []
    for turn in range(turns):
        bare = bare_run(bench, port, body, count, FLIGHT)
        ours = bench.sdg_run(yaml, count)
        ratios.append(bare["s"] / ours["s"])
        rates.append((count / ours["s"], count / bare["s"]))
        cpu.append((ours["cpu_s"] / count * 1e6, bare["cpu_s"] / count * 1e6))
        print(f"  turn {turn + 1}: sdg {rates[-1][0]:,.0f} rows/s ({cpu[-1][0]:.1f} us CPU), "
              f"bare {rates[-1][1]:,.0f} requests/s ({cpu[-1][1]:.1f} us CPU), ratio {ratios[-1]:.2f}", flush=True)
    wrk = wrk_rate(bench, port, body)
    note = (f"{median([r[0] for r in rates]):,.0f} rows/s against {median([r[1] for r in rates]):,.0f} requests/s of the bare curl loop; "
            f"CPU {median([c[0] for c in cpu]):.1f} against {median([c[1] for c in cpu]):.1f} us each"
            + (f"; wrk: {wrk:,.0f} requests/s" if wrk else ""))
    return [("zero-latency server, rows/s against bare curl", f"{median(ratios):.2f}", ">= 0.75", median(ratios) >= 0.75, note)]


# --- 2: latency -------------------------------------------------------------------------------------------------------

def measure_latency(bench):
    """Steady state without guessing where it begins: a long run minus a short one; both have the same beginning and end."""
    flight, short, long, turns = (256, 2, 4, 1) if bench.options.quick else (4096, 4, 14, 3)
    mock, port = start_mock(bench, "--latency-ms", "500")
    yaml = bench.pipeline(port)
    ideal = flight / 0.5
    ratios, cores, whole = [], [], []
    for turn in range(turns):
        a, b = bench.sdg_run(yaml, flight * short, flight), bench.sdg_run(yaml, flight * long, flight)
        rate = flight * (long - short) / (b["s"] - a["s"])
        ratios.append(rate / ideal)
        cores.append((b["cpu_s"] - a["cpu_s"]) / (b["s"] - a["s"]))
        whole.append(flight * long / b["s"] / ideal)
        print(f"  turn {turn + 1}: {rate:,.0f} rows/s of {ideal:,.0f}, ratio {ratios[-1]:.3f}, {cores[-1]:.2f} cores; "
              f"with start and end: {whole[-1]:.3f}", flush=True)
    body = request_body(bench)
    a, b = bare_run(bench, port, body, flight * short, flight), bare_run(bench, port, body, flight * long, flight)
    bare = flight * (long - short) / (b["s"] - a["s"]) / ideal
    bench.stop(mock)
    note = (f"{flight:,} in flight: {median(ratios) * ideal:,.0f} rows/s of {ideal:,.0f}; the bare curl loop gets {bare:.3f} from this server; "
            f"with start and end, {flight * long:,} rows: {median(whole):.3f}")
    return [("500 ms latency, rows/s against concurrency / latency", f"{median(ratios):.3f}", ">= 0.95", median(ratios) >= 0.95, note),
            ("... CPU of sdg meanwhile, cores", f"{median(cores):.2f}", "< 1", median(cores) < 1, "")]


# --- 3: retries -------------------------------------------------------------------------------------------------------

RETRIES_WINDOW = 1000  # rows that --max-concurrent 64 reads ahead: with fewer left, nobody is there to take the place of one that waits

RETRIES_PIPELINE = """
mabel: {version: "2.0", name: retries}
models:
  - {name: m, api_model: bench, base_url: "http://127.0.0.1:PORT/v1", api_key: none, request_defaults: {retry: {max_attempts: 50}}}
blocks:
  - {type: ai, exec: 1, model: m, prompts: ["{topic}"], outputs: [{name: A, select: full}]}
"""


def watch_in_flight(process, port, count):
    """Requests in flight as the server counts them, every 20 ms from 0.5 s after the start until fewer rows than a window are left."""
    server = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    seen, start = [], time.monotonic()
    while process.poll() is None:
        server.request("GET", "/stats")
        stats = json.loads(server.getresponse().read())
        if count - stats["by_status"].get("200", 0) < RETRIES_WINDOW:
            break
        if time.monotonic() - start >= 0.5:
            seen.append(stats["in_flight"])
        time.sleep(0.02)
    server.close()
    return seen


def measure_retries(bench):
    """Rows that wait for a retry keep no others from calling: the server has as many requests as --max-concurrent allows."""
    count = 2500 if bench.options.quick else 8000
    rows = []
    for retry_after in (1, 5):
        mock, port = start_mock(bench, "--latency-ms", "200", "--fail", "429=0.3,500=0.05", "--retry-after", str(retry_after))
        yaml, output = bench.write("retries.yaml", RETRIES_PIPELINE.replace("PORT", str(port))), bench.path("retries.jsonl")
        process = bench.start(run_command(bench, yaml, bench.rows(count), output, FLIGHT) + ["--overwrite"])
        seen = watch_in_flight(process, port, count)
        bench.stop(process)
        bench.stop(mock)
        remove_output(output)
        if not seen:
            die("retries: the run ended before it could be watched")
        mean = statistics.fmean(seen)
        print(f"  Retry-After {retry_after}: {mean:.1f} of {FLIGHT} in flight on average, {min(seen)} to {max(seen)} in {len(seen)} looks", flush=True)
        rows.append((f"30 % of 429 and 5 % of 500, Retry-After {retry_after}: mean in flight of {FLIGHT}", f"{mean:.1f}", ">= 60", mean >= 60,
                     f"the server's own count, {len(seen)} looks from {min(seen)} to {max(seen)}; 200 ms latency, {count:,} rows"))
    return rows


# --- 4: memory --------------------------------------------------------------------------------------------------------

def measure_memory(bench):
    counts = (1000, 10000) if bench.options.quick else (10000, 100000, 1000000)
    yaml = bench.pipeline(start_nginx(bench))
    peaks = []
    for count in counts:
        cost = bench.sdg_run(yaml, count)
        peaks.append(cost["rss_kib"] / 1024)
        print(f"  {count:,} rows: peak {peaks[-1]:.1f} MiB, {count / cost['s']:,.0f} rows/s", flush=True)
        bench.drop_rows(count)
    note = ", ".join(f"{count:,} rows: {peak:.1f} MiB" for count, peak in zip(counts, peaks))
    return [(f"peak memory, {counts[-1]:,} rows against {counts[0]:,}", f"{peaks[-1] / peaks[0]:.2f}", "<= 1.1", peaks[-1] <= 1.1 * peaks[0], note),
            ("... and in MiB", f"{peaks[-1]:.1f}", "< 64", peaks[-1] < 64, "")]


# --- 5: start-up ------------------------------------------------------------------------------------------------------

WHOLE_RUN_MS = 40  # half of all runs, and nine of ten: a wait that some runs have does not show in the median


def first_request_ms(bench):
    listener = Listener()
    yaml = bench.pipeline(listener.port, "startup.yaml")
    report, output = bench.path("startup.json"), bench.path("startup.jsonl")
    process = bench.start([bench.program("bench_child"), report] + run_command(bench, yaml, bench.rows(1), output, FLIGHT) + ["--overwrite"])
    first_ns = listener.serve()
    process.wait()
    bench.stop(process)
    listener.close()
    with open(report, encoding="utf-8") as f:
        return (first_ns - json.load(f)["start_ns"]) / 1e6


def first_row_ms(bench, yaml, count):
    """From the start of the process to the first complete line in the output file; the rest of the run is not waited for."""
    rows, output = bench.rows(count), bench.path("first.jsonl")
    remove_output(output)
    start_ns = time.monotonic_ns()
    process = bench.start(run_command(bench, yaml, rows, output, FLIGHT))
    while not os.path.exists(output) or os.path.getsize(output) == 0:
        if time.monotonic_ns() - start_ns > 20e9:
            die("no output row within 20 s")
        time.sleep(0.0003)
    ms = (time.monotonic_ns() - start_ns) / 1e6
    process.kill()
    process.wait()
    bench.stop(process)
    remove_output(output)
    return ms


def whole_run_ms(bench, yaml):
    """Start, one row, exit."""
    command = run_command(bench, yaml, bench.rows(1), bench.path("whole.jsonl"), FLIGHT) + ["--overwrite"]
    return bench.child(command)["s"] * 1e3


def measure_start_up(bench):
    small, large, turns = (100, 10000, 3) if bench.options.quick else (100, 1000000, 21)
    requests = [first_request_ms(bench) for _ in range(turns)]
    print(f"  first byte of the first request: median {median(requests):.1f} ms, {min(requests):.1f} to {max(requests):.1f}", flush=True)
    yaml = bench.pipeline(start_nginx(bench))
    bench.rows(large)
    wholes = [whole_run_ms(bench, yaml) for _ in range(20 if bench.options.quick else 100)]
    slow = sum(ms > WHOLE_RUN_MS for ms in wholes)
    whole = f"{slow} of {len(wholes)} took longer than {WHOLE_RUN_MS} ms, {min(wholes):.1f} to {max(wholes):.1f} ms"
    print(f"  start, one row, exit: median {median(wholes):.1f} ms; {whole}", flush=True)
    pairs = [(first_row_ms(bench, yaml, small), first_row_ms(bench, yaml, large)) for _ in range(turns)]
    few, many = median([p[0] for p in pairs]), median([p[1] for p in pairs])
    bench.drop_rows(large)
    noise = statistics.stdev([p[0] for p in pairs])
    print(f"  first output row: {few:.1f} ms with {small:,} rows (standard deviation {noise:.1f}), {many:.1f} ms with {large:,}", flush=True)
    note = f"median of {turns}, {min(requests):.1f} to {max(requests):.1f} ms"
    first = f"{few:.1f} ms with {small:,} rows (standard deviation {noise:.1f} ms), {many:.1f} ms with {large:,}; medians of {turns}"
    return [("process start to first byte of the first request, ms", f"{median(requests):.1f}", "<= 30", median(requests) <= 30, note),
            ("process start, one row, process exit, ms", f"{median(wholes):.1f}", f"<= {WHOLE_RUN_MS}",
             median(wholes) <= WHOLE_RUN_MS and slow <= len(wholes) / 10, whole),
            (f"time to the first output row, {large:,} rows against {small:,}", f"{many / few:.2f}", "1 within noise",
             abs(many - few) <= max(2 * noise, 0.1 * few), first)]


# --- 6: interpreter ---------------------------------------------------------------------------------------------------

def profile_top(bench, command, count):
    """The functions that take most of the time: (per cent, where, name), or why there are none."""
    if shutil.which("perf") is None:
        return None, "perf is not installed"
    data = bench.path("perf.data")
    record = subprocess.run(["perf", "record", "-q", "-F", "1999", "-o", data, "--"] + command, capture_output=True, text=True)
    if record.returncode != 0 or not os.path.exists(data):
        return None, "perf is not permitted here: " + (record.stderr.strip().splitlines() or ["no reason given"])[-1]
    out = subprocess.run(["perf", "report", "-i", data, "--stdio", "--no-children", "--sort", "dso,symbol", "-t", "\t"],
                         capture_output=True, text=True).stdout
    lines = [[part.strip() for part in line.split("\t")] for line in out.splitlines() if not line.startswith("#")]
    return [(t[0], t[1], t[2].split("]", 1)[-1].strip()) for t in lines if len(t) >= 3][:count], None


def measure_interpreter(bench):
    count, turns = (5000, 2) if bench.options.quick else (300000, 5)
    yaml = bench.write("interpreter.yaml", LOGIC_PIPELINE)
    costs = [bench.sdg_run(yaml, count) for _ in range(turns)]
    wall, core = median([count / c["s"] for c in costs]), median([count / c["cpu_s"] for c in costs])
    print(f"  {wall:,.0f} rows/s with one worker, {core:,.0f} rows per second of CPU time", flush=True)
    output = bench.path("profile.jsonl")
    top, why = profile_top(bench, run_command(bench, yaml, bench.rows(count), output, FLIGHT) + ["--overwrite"], 5)
    remove_output(output)
    for line in top or []:
        print(f"  {line[0]:>7}  {line[2]} ({line[1]})")
    if top is None:
        print(f"  no profile: {why}")
    note = f"{wall:,.0f} rows/s by the clock with one worker; " + (
        "most time: " + ", ".join(f"{name} {share}" for share, _, name in top) if top else f"no profile: {why}")
    return [("set, for, if, end without calls, rows/s per core", f"{core:,.0f}", "printed", True, note)]


# --- 7: the language against plain Python -----------------------------------------------------------------------------

def measure_language(bench):
    row_count, ms, turns = (100, 100, 1) if bench.options.quick else (1000, 1000, 5)
    program = bench.program("bench_interpreter")
    ours, python, operations = bench_interpreter.measure(os.path.dirname(program), row_count, ms, turns)
    print(f"  20 logic blocks, {operations:.0f} operations per row: {ours:,.0f} rows/s per core, plain Python {python:,.0f}, "
          f"ratio {ours / python:.1f}", flush=True)
    note = (f"20 logic blocks with {operations:.0f} operators called per row, one core, CPU time: {1e6 / ours:.1f} us per row, "
            f"{1e9 / ours / operations:.0f} ns per operation; plain Python {1e6 / python:,.0f} us per row; results compared byte by byte")
    return [("logic blocks and MEX, rows/s per core", f"{ours:,.0f}", ">= 30,000", ours >= bench_interpreter.ROWS_WANTED, note),
            ("the same against a plain Python interpreter", f"{ours / python:.1f}", ">= 50", ours / python >= bench_interpreter.RATIO_WANTED,
             f"{python:,.0f} rows/s of the evaluator of the property test")]


# --- 8: python blocks -------------------------------------------------------------------------------------------------

PYTHON_PIPELINE = """
mabel: {version: "2.0", name: python}
blocks:
  - {type: python, exec: 1, entrypoint: main, function_code: "def main(ctx, x):\\n    return {'R': x}\\n", inputs: {x: "{topic}"}, outputs: [R]}
  - {type: end, exec: 2, final: [{name: r, value: "{R}"}]}
"""


def python_calls(bench, hosts, calls):
    out = subprocess.run([bench.program("bench_python"), str(hosts), str(calls)], check=True, capture_output=True, text=True).stdout
    return float(re.search(r": ([0-9.]+) calls/s", out).group(1))


def measure_python(bench):
    calls, turns = (5000, 1) if bench.options.quick else (200000, 5)
    yaml = bench.write("python.yaml", PYTHON_PIPELINE)
    rates = [(python_calls(bench, 2, calls), python_calls(bench, 1, calls), calls / bench.sdg_run(yaml, calls)["s"]) for _ in range(turns)]
    two, one, whole = map(median, zip(*rates))
    print(f"  two hosts {two:,.0f} calls/s, one host {one:,.0f}; sdg run with one python block {whole:,.0f} rows/s", flush=True)
    note = (f"a function that does nothing: {1e6 / two:.1f} us per call, with one host {one:,.0f} calls/s ({1e6 / one:.1f} us); "
            f"`sdg run` with one such block, process start and files included: {whole:,.0f} rows/s ({1e6 / whole:.1f} us per row)")
    return [("calls/s of a python block's function, two hosts", f"{two:,.0f}", ">= 20,000", two >= 20000, note)]


# --- 9: dispatch ------------------------------------------------------------------------------------------------------

def rows_per_s(bench, program, rows, what="rows/s"):
    out = subprocess.run([bench.program(program), str(rows)], check=True, capture_output=True, text=True).stdout
    return float(re.search(r"([0-9.]+) " + re.escape(what) + "[, ]", out).group(1))


def measure_dispatch(bench):
    rows, turns = (200000, 1) if bench.options.quick else (2000000, 7)
    pure = [rows_per_s(bench, "bench_dispatch", rows, "rows/s of CPU time") for _ in range(turns)]
    actor = [rows_per_s(bench, "bench_scheduler", rows) for _ in range(turns)]
    print(f"  dispatcher alone {median(pure):,.0f} rows per second of CPU time, {min(pure):,.0f} to {max(pure):,.0f}", flush=True)
    print(f"  scheduler actor with a client and two workers {median(actor):,.0f} rows/s, {min(actor):,.0f} to {max(actor):,.0f}", flush=True)
    note = "chunks of 100 rows of 200 bytes, two workers that answer at once; median of %d, %%s to %%s" % turns
    return [("the pure dispatcher, rows/s per core", f"{median(pure):,.0f}", ">= 2,000,000", median(pure) >= 2e6,
             note % (f"{min(pure):,.0f}", f"{max(pure):,.0f}")),
            ("the scheduler actor, no-op rows/s", f"{median(actor):,.0f}", ">= 500,000", median(actor) >= 5e5,
             note % (f"{min(actor):,.0f}", f"{max(actor):,.0f}") + "; client and workers are threads of the same process and have the same CPUs")]


# --- 10: kill ----------------------------------------------------------------------------------------------------------

def check_output(path, count):
    """(lost, twice, wrong) of an output that should have rows 0 to count - 1, each with its own topic."""
    seen, twice, wrong = set(), 0, 0
    with open(path, encoding="utf-8") as f:
        for line in f:
            row = json.loads(line)
            index = row["_row_index"]
            twice += index in seen
            seen.add(index)
            wrong += f"place {index:07d}," not in row.get("topic", "")
    return count - len(seen & set(range(count))), twice, wrong


def kill_round(bench, yaml, count, seconds):
    """Kills a run after so many seconds and runs it to the end. Returns rows on disk after the kill, or None if the run was over by then."""
    output = bench.path("kill.jsonl")
    remove_output(output)
    command = run_command(bench, yaml, bench.rows(count), output, FLIGHT)
    process = bench.start(command)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    bench.stop(process)
    if process.returncode == 0:
        return None, (0, 0, 0)
    done = 0
    if os.path.exists(output):
        with open(output, "rb") as f:
            done = f.read().count(b"\n")
    bench.child(command)
    return done, check_output(output, count)


def measure_kill(bench):
    count, rounds = (2000, 3) if bench.options.quick else (20000, 50)
    rounds = bench.options.rounds or rounds
    seed = bench.options.seed if bench.options.seed is not None else random.SystemRandom().randrange(1 << 32)
    chance = random.Random(seed)
    mock, port = start_mock(bench, "--latency", "lognormal:4:0.5", "--answer", "<question>{{last_user}}?</question>")
    yaml = bench.pipeline(port)
    whole = bench.sdg_run(yaml, count)["s"]
    print(f"  seed {seed}; an undisturbed run takes {whole:.2f} s", flush=True)
    lost = twice = wrong = killed = 0
    done = []
    while killed < rounds:
        at, found = kill_round(bench, yaml, count, chance.uniform(0, whole))
        if at is None:
            continue
        killed += 1
        done.append(at)
        lost, twice, wrong = lost + found[0], twice + found[1], wrong + found[2]
        if any(found):
            print(f"  round {killed}: killed with {at:,} rows on disk: {found[0]} lost, {found[1]} twice, {found[2]} wrong", flush=True)
    bench.stop(mock)
    print(f"  {killed} kills with {min(done):,} to {max(done):,} rows on disk (median {median(done):,.0f}): {lost} lost, {twice} twice, "
          f"{wrong} wrong", flush=True)
    note = f"{killed} kills of a {count:,}-row run, {min(done):,} to {max(done):,} rows on disk; {wrong} rows with another row's content; seed {seed}"
    return [("kill -9 and rerun: rows lost, rows twice", f"{lost}, {twice}", "0, 0", lost == twice == wrong == 0, note)]


# --- a token bucket ---------------------------------------------------------------------------------------------------

def measure_bucket(bench):
    """Rows behind a server that takes 20 requests a second and rejects the others: none may fail, and the bucket may not run idle."""
    row_count, rows = 100 if bench.options.quick else 500, []
    best = row_count / bucket.RATE
    for at_a_time in (8, 64, 256):
        for retry_after in ("none", "auto"):
            with tempfile.TemporaryDirectory() as folder:
                code, s, failed = bucket.measure(bench.program("sdg"), folder, row_count, at_a_time, retry_after)
            print(f"  {at_a_time} at a time, Retry-After {retry_after}: {s:.1f} s, {failed} rows failed", flush=True)
            rows.append((f"token bucket of {bucket.RATE}/s, {at_a_time} at a time, Retry-After {retry_after}: time against rows / rate",
                         f"{s / best:.2f}", f"<= {bucket.FACTOR}", code == 0 and failed == 0 and s <= bucket.FACTOR * best,
                         f"{row_count} rows, {s:.1f} s; {failed} rows failed"))
    return rows


# --- is it worth its lines? -------------------------------------------------------------------------------------------

def measure_small_blocks(bench):
    """What core/base/small.c and names.c give beside jemalloc: one that gives less than 3 % is to be deleted. Instructions decide, because
    another load on the machine moves the CPU time by more than what names.c gives."""
    row_count, ms, turns = (100, 50, 2) if bench.options.quick else (1000, 400, 11)
    programs = ["bench_interpreter", "bench_interpreter_plain_malloc", "bench_interpreter_plain_names"]
    build = os.path.dirname(bench.program(programs[0]))
    us = bench_interpreter.measure_variants(build, programs, row_count, ms, turns)
    counted = shutil.which("valgrind") is not None
    cost = [bench_interpreter.instructions_per_row(os.path.join(build, name)) for name in programs] if counted else us
    print(f"  {us[0]:.2f} us of CPU per row, without small.c {us[1]:.2f}, without names.c {us[2]:.2f}", flush=True)
    rows = []
    for at, name in ((1, "small.c"), (2, "names.c")):
        note = f"CPU time, the least of {turns} turns: {us[at]:.2f} against {us[0]:.2f} us"
        if counted:
            note = f"{cost[at]:,.0f} against {cost[0]:,.0f} instructions; " + note
        ratio = cost[at] / cost[0]
        rows.append((f"language without {name} against with it, cost per row", f"{ratio:.3f}", ">= 1.03" if counted else "printed",
                     ratio >= 1.03 or not counted, note))
    return rows


# --- an output is checked when it is continued ------------------------------------------------------------------------

def measure_output(bench):
    """What noticing damage costs a row of the zero-latency bar, and how long a million rows take to continue."""
    count, rows = (5000, 20000) if bench.options.quick else (150000, 1000000)
    yaml = bench.pipeline(start_nginx(bench))
    shares, took = [], []
    for turn in range(2 if bench.options.quick else 3):
        cost = json.loads(subprocess.run([bench.program("bench_output"), str(rows)], capture_output=True, text=True, check=True).stdout)
        row_us = bench.sdg_run(yaml, count)["cpu_s"] / count * 1e6
        shares.append(cost["sums_us"] / row_us)
        took.append([cost[key] * 1e6 / rows for key in ("resume_wall_s", "resume_s", "read_s")])
        print(f"  turn {turn + 1}: checksums {cost['sums_us']:.3f} us of {row_us:.1f} us CPU a row ({shares[-1]:.2%}), "
              f"continuing {took[-1][0]:.3f} us a row ({took[-1][1]:.3f} of CPU), bare reading {took[-1][2]:.3f}", flush=True)
    resume, cpu, read = (median(times) for times in zip(*took))
    return [("checksums of an output, part of a zero-latency row's CPU time", f"{median(shares):.2%}", "<= 2 %", median(shares) <= 0.02,
             f"{cost['text_bytes']} bytes of text a row, {cost['rows_per_flush']} rows a flush"),
            ("continuing an output of 1,000,000 rows", f"{resume:.2f} s", "<= 3 s", resume <= 3,
             f"wall time ({cpu:.2f} s of CPU); each line parsed, hashed twice; {cpu / read:.1f} times the CPU time of a bare reading")]


# --- the run ----------------------------------------------------------------------------------------------------------

BARS = {
    "zero-latency": measure_zero_latency,
    "latency": measure_latency,
    "retries": measure_retries,
    "bucket": measure_bucket,
    "memory": measure_memory,
    "start-up": measure_start_up,
    "interpreter": measure_interpreter,
    "language": measure_language,
    "python": measure_python,
    "dispatch": measure_dispatch,
    "kill": measure_kill,
    "small-blocks": measure_small_blocks,
    "output": measure_output,
    **bars_store.BARS,
}


def machine():
    model = "?"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
    return f"{os.cpu_count()} CPUs ({model}), Linux {os.uname().release.split('-')[0]}"


def table(rows):
    lines = ["| what | measured | wanted | holds | how |", "|---|---|---|---|---|"]
    for what, measured, wanted, holds, note in rows:
        lines.append(f"| {what} | {measured} | {wanted} | {'yes' if holds else 'NO'} | {note} |")
    return "\n".join(lines) + "\n"


def arguments():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("bars", nargs="*", choices=list(BARS) + [[]], metavar="BAR")
    parser.add_argument("--build", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--markdown")
    return parser.parse_args()


def interrupted(number, _frame):
    raise SystemExit(128 + number)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGINT, interrupted)
    bench = Bench(options)
    rows = []
    try:
        load = os.getloadavg()[0]
        print(f"{machine()}, load before: {load:.1f}")
        for name in options.bars or BARS:
            print(f"== {name}", flush=True)
            rows += BARS[name](bench)
    finally:
        bench.close()
    print()
    print(table(rows), end="")
    if options.markdown:
        with open(options.markdown, "w", encoding="utf-8") as f:
            f.write(f"{machine()}\n\n{table(rows)}")
    return 0 if all(row[3] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
