#!/usr/bin/env python3
"""The arrows of the house: what a room uses, in symbols of its archive and in includes of its sources, comes only from rooms
that CMakeLists.txt gives it (build/rooms.txt: folder, archive, rooms). No actor uses another, proto uses no actor, core
neither; the rooms form no circle. The headers of proto, and all that these include, lie in proto and core/base: who reads
a message needs nothing else."""
import collections
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("SDG_BUILD", ROOT / "build"))
ACTORS = {f"actors/{name}" for name in ("client", "scheduler", "worker", "store", "monitor")}
# Rooms that put the actors together; nobody else may know one.
ASSEMBLERS = {"actors/runtime", "actors/library"}

rooms, archives = {}, {}
for line in (BUILD / "rooms.txt").read_text().splitlines():
    folder, archive, *used = line.split()
    rooms[folder], archives[folder] = set(used), archive
problems = []


def symbols(archive, flags):
    out = subprocess.run(["nm", *flags, archive], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1] for line in out.splitlines() if line and not line.endswith(":")}


def check_symbols():
    owner, needs = {}, {}
    for folder, archive in archives.items():
        defined = symbols(archive, ["-g", "--defined-only"])
        needs[folder] = symbols(archive, ["-g", "--undefined-only"]) - defined
        for symbol in defined:
            if symbol in owner and not symbol.startswith(("_Z", "DW.ref")):
                problems.append(f"{symbol} is defined in {owner[symbol]} and in {folder}")
            owner[symbol] = folder
    for folder, wanted in needs.items():
        for symbol in sorted(wanted):
            of = owner.get(symbol)
            if of and of not in rooms[folder] and not symbol.startswith(("_Z", "DW.ref")):
                problems.append(f"{folder} uses {symbol} of {of}, which it does not name in CMakeLists.txt")
    return len(owner)


def room_of(path):
    """The innermost room a file lies in."""
    while path and path not in rooms:
        path = os.path.dirname(path)
    return path


def check_includes():
    count = 0
    for folder in rooms:
        for source in sorted((ROOT / folder).iterdir()):
            if source.suffix not in (".c", ".h", ".cc"):
                continue
            for included in re.findall(r'^#include "((?:core|proto|actors)/[^"]+)"', source.read_text(), re.M):
                count += 1
                if not (ROOT / included).is_file():
                    problems.append(f"{source.relative_to(ROOT)} includes {included}, which is not there")
                of = room_of(os.path.dirname(included))
                if of and of != folder and of not in rooms[folder]:
                    problems.append(f"{source.relative_to(ROOT)} includes {included} of {of}, which {folder} does not name")
    return count


def check_headers_of_proto():
    """Breadth first over includes, from each header below proto; each file is looked at once."""
    waiting = sorted(path.relative_to(ROOT) for path in (ROOT / "proto").rglob("*.h"))
    seen = set(waiting)
    while waiting:
        header = waiting.pop(0)
        for name in re.findall(r'^#include "([^"]+)"', (ROOT / header).read_text(), re.M):
            included = pathlib.Path(name)
            if included.parts[0] != "proto" and included.parts[:2] != ("core", "base"):
                problems.append(f"{header} includes {name}: headers of proto need proto and core/base only")
            elif included not in seen and (ROOT / included).is_file():
                seen.add(included)
                waiting.append(included)
    return len(seen)


def check_arrows():
    rank = {"core": 0, "proto": 1, "actors": 2}
    for folder, used in rooms.items():
        for other in used:
            if other not in rooms:
                problems.append(f"{folder} names {other}, which is no room")
            elif rank[other.split("/")[0]] > rank[folder.split("/")[0]]:
                problems.append(f"{folder} points up, to {other}")
            if other in ACTORS and folder not in ASSEMBLERS:
                problems.append(f"{folder} uses the actor {other}")
    # Kahn: what cannot be put in order is a circle.
    waiting = {folder: set(used) for folder, used in rooms.items()}
    while free := [folder for folder, used in waiting.items() if not used & waiting.keys()]:
        for folder in free:
            del waiting[folder]
    for folder in waiting:
        problems.append(f"{folder} is part of a circle")


def check_every_source_has_a_room():
    folders = collections.Counter()
    for top in ("core", "proto", "actors"):
        for source in (ROOT / top).rglob("*"):
            if source.suffix in (".c", ".cc", ".h"):
                folders[str(source.parent.relative_to(ROOT))] += 1
    for folder in folders:
        if folder not in rooms and folder != "actors":
            problems.append(f"{folder} has sources, but is no room")


symbol_count = check_symbols()
include_count = check_includes()
header_count = check_headers_of_proto()
check_arrows()
check_every_source_has_a_room()
if symbol_count < 500 or include_count < 500 or len(rooms) < 20 or header_count < 10:
    problems.append(f"only {symbol_count} symbols, {include_count} includes, {len(rooms)} rooms, "
                    f"{header_count} headers of proto were looked at: the test sees nothing")
for problem in problems:
    print(problem)
print(f"{len(rooms)} rooms, {symbol_count} symbols, {include_count} includes")
sys.exit(1 if problems else 0)
