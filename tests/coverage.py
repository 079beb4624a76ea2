#!/usr/bin/env python3
"""Prints which share of the lines of each room has run in the `coverage` build so far, as gcov counted; with --below PERCENT
also the sources of which less has run.

    cmake --preset coverage && cmake --build --preset coverage
    ctest --test-dir build-coverage -j2       # and any other use of the programs in it
    python3 tests/coverage.py --below 80
"""
import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES = re.compile(r"File '([^']+)'\nLines executed:([\d.]+)% of (\d+)")


def lines_of(build):
    """{source: (lines run, lines)} of the sources of all rooms."""
    notes = [str(path) for path in build.glob("CMakeFiles/sdg*.dir/**/*.gcno")]
    if not notes:
        sys.exit(f"coverage.py: {build} is no coverage build: see the top of this file")
    out = subprocess.run(["gcov", "--no-output", "--relative-only", "--source-prefix", str(ROOT), *notes],
                         check=True, capture_output=True, text=True, cwd=build).stdout
    found = {}
    for source, percent, count in LINES.findall(out):
        if source.startswith(("core/", "proto/", "actors/")) and not source.endswith(".h"):
            found[source] = (round(float(percent) * int(count) / 100), int(count))
    return found


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build-coverage")
parser.add_argument("--below", type=float, default=0, metavar="PERCENT")
options = parser.parse_args()
sources = lines_of(options.build.resolve())
rooms = collections.defaultdict(lambda: [0, 0])
for source, (run, count) in sources.items():
    for room in (os.path.dirname(source), "all"):
        rooms[room][0] += run
        rooms[room][1] += count
for room, (run, count) in sorted(rooms.items(), key=lambda item: (item[0] == "all", item[0])):
    print(f"{room:24} {100 * run / count:5.1f} % of {count:6} lines")
for source, (run, count) in sorted(sources.items(), key=lambda item: item[1][0] / item[1][1]):
    if 100 * run / count < options.below:
        print(f"  {source:40} {100 * run / count:5.1f} % of {count:5} lines")
