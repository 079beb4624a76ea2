#!/usr/bin/env python3
"""bucket.py - rows behind a token bucket: none may fail, and all together take no longer than 1.15 times what the bucket needs.

Usage: SDG=build/sdg tests/bench/bucket.py [ROWS]   (500 rows at 20 a second, with 8, 64 and 256 at a time, with and without Retry-After)
Exit code: 0 the bar holds, 1 it does not.
"""
import os
import subprocess
import sys
import tempfile
import time

RATE, BURST, FACTOR = 20, 4, 1.15
PIPELINE = """
mabel: {version: "2.0"}
models: [{name: m, api_model: m, api_key: none, base_url: "http://127.0.0.1:PORT"}]
blocks: [{type: ai, id: ask, exec: 1, model: m, prompts: ["hi {x}"], outputs: [{name: A}]}]
"""


def measure(sdg, folder, rows, at_a_time, retry_after):
    port_file = os.path.join(folder, "port")
    mock = subprocess.Popen([sdg, "mock-llm", "--port", "0", "--port-file", port_file, "--rate", f"{RATE}/s", "--burst", str(BURST),
                             "--retry-after", retry_after, "--quiet"], stdout=subprocess.DEVNULL)
    try:
        while not (os.path.exists(port_file) and open(port_file).read().strip()):
            time.sleep(0.05)
        paths = [os.path.join(folder, name) for name in ("p.yaml", "in.jsonl", "out.jsonl")]
        with open(paths[0], "w") as f:
            f.write(PIPELINE.replace("PORT", open(port_file).read().strip()))
        with open(paths[1], "w") as f:
            f.writelines(f'{{"x": {i}}}\n' for i in range(rows))
        began = time.monotonic()
        code = subprocess.run([sdg, "run", "--yaml", paths[0], "--input", paths[1], "--output", paths[2], "--max-concurrent", str(at_a_time),
                               "--no-progress", "-q"], timeout=20 * rows / RATE).returncode
        took = time.monotonic() - began
        failed = sum("_error" in line for line in open(paths[2]))
        return code, took, failed
    finally:
        mock.terminate()
        mock.wait()


def main():
    sdg, rows, good = os.environ.get("SDG", "build/sdg"), int(sys.argv[1]) if len(sys.argv) > 1 else 500, True
    print(f"{'at a time':>9}  {'Retry-After':>11}  {'s':>6}  {'of best':>7}  failed")
    for at_a_time in (8, 64, 256):
        for retry_after in ("none", "auto"):
            with tempfile.TemporaryDirectory() as folder:
                code, took, failed = measure(sdg, folder, rows, at_a_time, retry_after)
            good = good and code == 0 and failed == 0 and took <= FACTOR * rows / RATE
            print(f"{at_a_time:>9}  {retry_after:>11}  {took:6.1f}  {took * RATE / rows:7.2f}  {failed}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
