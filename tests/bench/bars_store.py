"""bars_store.py - the bars of the context store: memory with it and under --memory-limit, what it costs, the call journal, its parts alone.

Like bars.py, which calls them: each measure_* function prints what it sees and returns rows for the table.
"""
import json
import os
import random
import re
import subprocess
import time
import urllib.request

from world import die, median, remove_output, run_command, start_mock, start_nginx

MIB = 1 << 20
STORE = ("--enable-scheduling", "--enable-memory-optimization")

HEAD = """
mabel: {version: "2.0", name: store}
models:
  - {name: m, api_model: bench, base_url: "http://127.0.0.1:PORT/v1", api_key: none}
blocks:
"""
FOUR = HEAD + """
  - {type: logic, exec: 1, op: set, var: n, value: {add: [{len: "{topic}"}, 1]}, outputs: [{name: N}]}
  - {type: ai, exec: 2, id: one, model: m, prompts: ["one {topic}"], outputs: [{name: A, select: full}]}
  - {type: logic, exec: 3, op: if, cond: {gt: ["{N}", 10]}, then: "long {A}", else: "short {A}", outputs: [{name: T, from: value}]}
  - {type: ai, exec: 4, id: two, model: m, prompts: ["two {T}"], outputs: [{name: B, select: full}]}
  - {type: end, exec: 5, final: [{name: topic, value: "{topic}"}, {name: b, value: "{B}"}]}
"""
ONE = HEAD + """
  - {type: ai, exec: 1, id: one, model: m, prompts: ["one {topic}"], outputs: [{name: A, select: full}]}
  - {type: end, exec: 2, final: [{name: topic, value: "{topic}"}, {name: a, value: "{A}"}]}
"""
THREE = HEAD + """
  - {type: ai, exec: 1, id: one, model: m, prompts: ["one {topic}"], outputs: [{name: A, select: full}]}
  - {type: ai, exec: 2, id: two, model: m, prompts: ["two {A}"], outputs: [{name: B, select: full}]}
  - {type: ai, exec: 3, id: three, model: m, prompts: ["three {B}"], outputs: [{name: C, select: full}]}
  - {type: end, exec: 4, final: [{name: topic, value: "{topic}"}, {name: c, value: "{C}"}]}
"""
LARGE = HEAD + """
  - {type: ai, exec: 1, id: one, model: m, prompts: ["one {n}"], outputs: [{name: A, select: full}]}
  - {type: ai, exec: 2, id: two, model: m, prompts: ["two {n} {A}"], outputs: [{name: B, select: full}]}
  - {type: end, exec: 3, final: [{name: n, value: "{n}", type_hint: json}, {name: text, value: "{text}"}, {name: b, value: "{B}"}]}
"""


def pipeline(bench, text, port, name):
    return bench.write(name, text.replace("PORT", str(port)))


# --- memory with a million rows ---------------------------------------------------------------------------------------

def measure_store_memory(bench):
    counts = (1000, 10000) if bench.options.quick else (10000, 100000, 1000000)
    yaml = pipeline(bench, FOUR, start_nginx(bench), "four.yaml")
    peaks = []
    for count in counts:
        # The run the others are compared with is short, and its peak varies by 5 %: the median of three counts.
        turns = 3 if count == counts[0] else 1
        costs = sorted((bench.sdg_run(yaml, count, 1000, STORE) for _ in range(turns)), key=lambda cost: cost["rss_kib"])
        cost = costs[turns // 2]
        peaks.append(cost["rss_kib"] / 1024)
        print(f"  {count:,} rows: peak {peaks[-1]:.1f} MiB, {count / cost['s']:,.0f} rows/s", flush=True)
        bench.drop_rows(count)
    note = "four blocks, 1,000 in flight: " + ", ".join(f"{count:,} rows: {peak:.1f} MiB" for count, peak in zip(counts, peaks))
    return [(f"scheduling and store on: peak memory, {counts[-1]:,} rows against {counts[0]:,}", f"{peaks[-1] / peaks[0]:.2f}", "<= 1.1",
             peaks[-1] <= 1.1 * peaks[0], note)]


# --- memory under a limit ---------------------------------------------------------------------------------------------

def status_of(pid, key):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            return next((int(line.split()[1]) * 1024 for line in f if line.startswith(key)), 0)
    except OSError:
        return 0


def rss_of(pid):
    return status_of(pid, "VmRSS:")


def peak_of(pid):
    """The most this process has had resident so far, as the kernel noted it."""
    return status_of(pid, "VmHWM:")


def children_of(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                found += [int(word) for word in f.read().split()]
    except OSError:
        pass
    return found


def peak_of_all(bench, command):
    """Runs a command; the sum of the peaks of it and its children, which is at least the peak of the sum."""
    log, peaks = bench.path("limit.log"), {}
    with open(log, "wb") as out:
        process = bench.start(command, stdout=out, stderr=out)
        while process.poll() is None:
            for pid in [process.pid] + children_of(process.pid):
                peaks[pid] = max(peaks.get(pid, 0), peak_of(pid))
            time.sleep(0.02)
    bench.stop(process)
    if process.returncode != 0:
        with open(log, encoding="utf-8", errors="replace") as f:
            die(f"{' '.join(command)}: exit code {process.returncode}\n{f.read()[-2000:]}")
    return sum(peaks.values())


def large_text(n, size):
    word = f"{n}."
    return (word * (size // len(word) + 1))[:size]


MIXED = (100, 2000, 50000, MIB, 100, 300, 5 * MIB, 100, 20000, 700000)


def write_large(path, count, size_of):
    with open(path, "w", encoding="utf-8") as f:
        for n in range(count):
            f.write(json.dumps({"n": n, "text": large_text(n, size_of(n))}) + "\n")


def check_large(path, count, size_of):
    seen = set()
    with open(path, encoding="utf-8") as f:
        for line in f:
            row = json.loads(line)
            if row.get("n") != row["_row_index"] or row.get("text") != large_text(row["n"], size_of(row["n"])):
                die(f"row {row['_row_index']} is not what it should be")
            seen.add(row["n"])
    if len(seen) != count:
        die(f"{len(seen)} rows of {count}")


def limited_run(bench, yaml, rows, limit, name, *flags):
    output = bench.path("large-out.jsonl")
    began = time.monotonic()
    peak = peak_of_all(bench, run_command(bench, yaml, rows[0], output, 1000) + ["--overwrite", "--memory-limit", f"{limit}M", *flags]) / MIB
    check_large(output, rows[1], rows[2])
    print(f"  {name}: peak {peak:.0f} MiB, {time.monotonic() - began:.0f} s", flush=True)
    remove_output(output)
    return f"{name}: {peak:.0f} MiB", peak


def measure_memory_limit(bench):
    count = 100 if bench.options.quick else 2000
    limit, slack = 256, 48
    mock, port = start_mock(bench, "--latency-ms", "20")
    yaml = pipeline(bench, LARGE, port, "large.yaml")
    large = (bench.path("large.jsonl"), count, lambda n: MIB)
    mixed = (bench.path("mixed.jsonl"), count, lambda n: MIXED[n % len(MIXED)])
    for path, rows, size_of in (large, mixed):
        write_large(path, rows, size_of)
    runs = [limited_run(bench, yaml, large, limit, "one process"), limited_run(bench, yaml, large, limit, "two worker processes", "--processes", "2"),
            limited_run(bench, yaml, large, limit, "--batch-mode", "--batch-mode"),
            limited_run(bench, yaml, mixed, limit, "rows of 100 B to 5 MB, mixed")]
    bench.stop(mock)
    os.unlink(large[0])
    os.unlink(mixed[0])
    worst = max(peak for _, peak in runs)
    return [(f"--memory-limit {limit}M: peak memory of all processes, MiB", f"{worst:.0f}", f"<= {limit + slack}", worst <= limit + slack,
             f"{count:,} rows of 1 MB, 1,000 in flight wanted, all rows complete and compared; " + ", ".join(text for text, _ in runs))]


# --- housekeeping -----------------------------------------------------------------------------------------------------

def mean_rss(bench, command):
    """Mean resident MiB of a run, looked at five times a second."""
    seen, process = [], bench.start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        seen.append(rss_of(process.pid) / MIB)
        time.sleep(0.2)
    bench.stop(process)
    return sum(seen) / len(seen)


def measure_housekeeping(bench):
    large, small = (20, 5000) if bench.options.quick else (150, 60000)
    mock, port = start_mock(bench)
    yaml, rows, output = pipeline(bench, LARGE, port, "large.yaml"), bench.path("first-large.jsonl"), bench.path("first-large-out.jsonl")
    write_large(rows, large + small, lambda n: MIB if n < large else 1)
    means = []
    for interval in (100, 10**9):
        means.append(mean_rss(bench, run_command(bench, yaml, rows, output, 256) + ["--overwrite", "--no-journal", "--gc-interval", str(interval)]))
        remove_output(output)
    bench.stop(mock)
    print(f"  --gc-interval 100: {means[0]:.0f} MiB on average, without: {means[1]:.0f} MiB", flush=True)
    return [("--gc-interval 100: mean resident memory against none, large rows first, MiB", f"{means[0]:.0f}, {means[1]:.0f}", "printed", True,
             f"{large:,} rows of 1 MB, then {small:,} small ones")]


# --- what the store costs ---------------------------------------------------------------------------------------------

def steady_rate(bench, yaml, flight, short, long, more):
    a, b = bench.sdg_run(yaml, flight * short, flight, more), bench.sdg_run(yaml, flight * long, flight, more)
    return flight * (long - short) / (b["s"] - a["s"])


def on_and_off(bench, yaml, flight, short, long, turns, on, off):
    """Rows/s in the steady state, with and without, in turns: the median of the ratios, and the rates."""
    ratios, rates = [], []
    for turn in range(turns):
        without, with_it = steady_rate(bench, yaml, flight, short, long, off), steady_rate(bench, yaml, flight, short, long, on)
        ratios.append(with_it / without)
        rates.append((with_it, without))
        print(f"  turn {turn + 1}: on {with_it:,.0f} rows/s, off {without:,.0f}, ratio {ratios[-1]:.3f}", flush=True)
    return median(ratios), median([r[0] for r in rates]), median([r[1] for r in rates])


def measure_store(bench):
    flight, short, long, turns = (200, 2, 4, 1) if bench.options.quick else (1000, 4, 14, 3)
    mock, port = start_mock(bench, "--latency-ms", "500")
    ratio, with_it, without = on_and_off(bench, pipeline(bench, ONE, port, "one.yaml"), flight, short, long, turns, STORE, ())
    bench.stop(mock)
    count, turns = (5000, 1) if bench.options.quick else (100000, 3)
    yaml = pipeline(bench, ONE, start_nginx(bench), "one.yaml")
    costs = []
    for _ in range(turns):
        off, on = bench.sdg_run(yaml, count), bench.sdg_run(yaml, count, more=STORE)
        costs.append(((on["cpu_s"] - off["cpu_s"]) / count * 1e6, (on["s"] - off["s"]) / count * 1e6))
    cpu, clock = median([c[0] for c in costs]), median([c[1] for c in costs])
    print(f"  zero-latency server: {cpu:.1f} us of CPU and {clock:.1f} us by the clock more per row", flush=True)
    return [("scheduling and store on against off, 500 ms latency, 1,000 in flight, rows/s", f"{ratio:.3f}", ">= 0.98", ratio >= 0.98,
             f"{with_it:,.0f} against {without:,.0f} rows/s in the steady state"),
            ("... what they cost with a zero-latency server, us per row", f"{cpu:.1f}", "printed", True,
             f"CPU time, one LLM call per row, 64 in flight; {clock:.1f} us by the clock")]


# --- the journal ------------------------------------------------------------------------------------------------------

def requests_of(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=30) as answer:
        return json.load(answer)["requests"]


def kill_and_finish(bench, yaml, count, port, seconds):
    """Kills a run after so many seconds and runs it to the end; LLM calls it took in all, None if it was over before."""
    output = bench.path("journal.jsonl")
    remove_output(output)
    before = requests_of(port)
    command = run_command(bench, yaml, bench.rows(count), output, 64)
    process = bench.start(command)
    time.sleep(seconds)
    process.kill()
    process.wait()
    bench.stop(process)
    if process.returncode == 0:
        return None
    bench.child(command)
    with open(output, "rb") as f:
        lines = f.read().count(b"\n")
    if lines != count:
        die(f"{lines} lines of output for {count} rows")
    return requests_of(port) - before


def measure_journal(bench):
    count, rounds = (1000, 2) if bench.options.quick else (10000, 20)
    rounds = bench.options.rounds or rounds
    seed = bench.options.seed if bench.options.seed is not None else random.SystemRandom().randrange(1 << 32)
    chance = random.Random(seed)
    mock, port = start_mock(bench, "--latency", "lognormal:4:0.5")
    yaml = pipeline(bench, THREE, port, "three.yaml")
    whole, calls = bench.sdg_run(yaml, count)["s"], []
    while len(calls) < rounds:
        made = kill_and_finish(bench, yaml, count, port, chance.uniform(0, whole))
        if made is not None:
            calls.append(made)
    worst = max(calls) / (3 * count)
    print(f"  {rounds} kills of {count:,} rows with three calls: {min(calls):,} to {max(calls):,} calls, seed {seed}", flush=True)
    bench.stop(mock)
    flight, short, long, turns = (100, 2, 4, 1) if bench.options.quick else (400, 3, 13, 3)
    mock, port = start_mock(bench, "--latency-ms", "200")
    ratio, with_it, without = on_and_off(bench, pipeline(bench, THREE, port, "three.yaml"), flight, short, long, turns, (), ("--no-journal",))
    bench.stop(mock)
    return [(f"kill -9 at {rounds} points and rerun: LLM calls against rows x 3", f"{worst:.4f}", "<= 1.01", worst <= 1.01,
             f"{count:,} rows, three calls each, 64 in flight; the worst round; counted at the server; seed {seed}"),
            ("call journal on against off, 200 ms latency, rows/s", f"{ratio:.3f}", ">= 0.98", ratio >= 0.98,
             f"three calls per row, {flight} in flight: {with_it:,.0f} against {without:,.0f} rows/s in the steady state")]


# --- its parts alone --------------------------------------------------------------------------------------------------

def figure(bench, pattern, *command):
    out = subprocess.run([bench.program(command[0]), *command[1:]], check=True, capture_output=True, text=True).stdout
    return float(re.search(pattern, out).group(1))


def measure_store_core(bench):
    turns = 1 if bench.options.quick else 5
    lru = median([figure(bench, r"([0-9.]+) million operations/s", "bench_lru", "100000", "2000000" if bench.options.quick else "50000000")
                  for _ in range(turns)])
    actor = median([figure(bench, r": ([0-9.]+) per second", "bench_store", "200000" if bench.options.quick else "2000000") for _ in range(turns)])
    print(f"  LRU {lru:.1f} million get/put per second, store actor {actor:,.0f} get+put round trips per second", flush=True)
    return [("LRU core, million get/put per second at 100,000 entries", f"{lru:.1f}", ">= 10", lru >= 10, "one core, median of rounds, random keys, half of them hits"),
            ("store actor, get+put round trips per second", f"{actor:,.0f}", ">= 300,000", actor >= 300000,
             "inproc, contexts of 1 KB, 64 in a message, 16 messages under way")]


BARS = {
    "store-memory": measure_store_memory,
    "memory-limit": measure_memory_limit,
    "housekeeping": measure_housekeeping,
    "store": measure_store,
    "store-core": measure_store_core,
    "journal": measure_journal,
}
