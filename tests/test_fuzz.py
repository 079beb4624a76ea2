#!/usr/bin/env python3
"""Each fuzz target is in the list of docs/contributing.md and has seeds, which are small; and the list names no other target."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEED_BYTES_MAX = 64 << 10     # a longer one slows each mutation of it
CORPUS_BYTES_MAX = 256 << 10  # of one target, all of which run before each search

problems = []


def targets():
    return {path.stem.removeprefix("fuzz_") for path in (ROOT / "tests/fuzz").glob("fuzz_*.c")}


def listed():
    """The names in the first column of the table."""
    section = (ROOT / "docs/contributing.md").read_text().split("## Fuzz", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    return {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}


def check_seeds(name):
    seeds = [path for path in (ROOT / "tests/fuzz/corpus" / name).glob("*") if path.is_file()]
    if not seeds:
        problems.append(f"tests/fuzz/corpus/{name} has no seed")
    sizes = [path.stat().st_size for path in seeds]
    if sizes and (max(sizes) > SEED_BYTES_MAX or sum(sizes) > CORPUS_BYTES_MAX):
        problems.append(f"tests/fuzz/corpus/{name}: {max(sizes)} bytes in one seed, {sum(sizes)} in all")


for name in sorted(targets() - listed()):
    problems.append(f"fuzz_{name} is not in the list of docs/contributing.md")
for name in sorted(listed() - targets()):
    problems.append(f"docs/contributing.md names {name}, and there is no tests/fuzz/fuzz_{name}.c")
for name in sorted(targets()):
    check_seeds(name)
for problem in problems:
    print(problem)
print(f"{len(targets())} targets, {len(problems)} problems")
sys.exit(bool(problems))
