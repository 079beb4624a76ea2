#!/usr/bin/env python3
"""The public face of libsdg, as sources (tests/actors/test_install.sh looks at the libraries): the public headers are those
listed in deploy/cmake/install.cmake (build/public.txt), include each other and the C library only, and name nothing without
sdg_ or SDG_. Each function they declare has a comment, is exported by deploy/cmake/libsdg.map, and no other is."""
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("SDG_BUILD", ROOT / "build"))
C_LIBRARY = {"stdbool.h", "stddef.h", "stdint.h"}
PUBLIC_NAME = re.compile(r"(sdg|SDG)_\w+")
problems = []


def check_includes(path, text, public):
    for included in re.findall(r"^ *# *include *([<\"][^>\"]+[>\"])", text, re.M):
        if not (included[0] == "<" and (included[1:-1] in C_LIBRARY or included[1:-1] in public)):
            problems.append(f"{path} includes {included}, which is not public")


def check_names(path, text):
    """Macros, tags, typedefs and enumerators. Fields and parameters may be called anything."""
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    names = re.findall(r"^#define (\w+)", bare, re.M)
    names += re.findall(r"\b(?:struct|enum|union) (\w+)", bare)
    names += re.findall(r"^(?:typedef [^{;]*|\} )\b(\w+);", bare, re.M)
    for body in re.findall(r"\benum\b[^{;]*\{([^}]*)\}", bare):
        names += re.findall(r"(\w+)\s*(?:=[^,]*)?(?:,|$)", body.strip())
    for name in names:
        if not PUBLIC_NAME.fullmatch(name):
            problems.append(f"{path}: {name} has no prefix")
    return len(names)


def declared_in(path, text):
    """Functions that are marked SDG_API. The comment of one ends on the line above."""
    lines, functions = text.splitlines(), []
    for i, line in enumerate(lines):
        if not line.startswith("SDG_API "):
            if re.match(r"[a-z][\w *]*\b\w+\(", line):
                problems.append(f"{path}:{i + 1}: declared without SDG_API")
            continue
        functions.append(re.search(r"(\w+)\(", line).group(1))
        if not lines[i - 1].endswith("*/"):
            problems.append(f"{path}: {functions[-1]} has no comment")
        if not PUBLIC_NAME.fullmatch(functions[-1]):
            problems.append(f"{path}: {functions[-1]} has no prefix")
    return functions


listed = (BUILD / "public.txt").read_text().split()
public = {"sdg/" + pathlib.Path(path).name.removesuffix(".in") for path in listed}
functions, name_count = [], 0
for path in listed:
    text = (ROOT / path).read_text()
    check_includes(path, text, public)
    name_count += check_names(path, text)
    functions += declared_in(path, text)
for path in sorted((ROOT / "proto/sdg").glob("*.h")):
    if str(path.relative_to(ROOT)) not in listed and re.search(r"^SDG_API ", path.read_text(), re.M):
        problems.append(f"{path.relative_to(ROOT)} declares public functions, but deploy/cmake/install.cmake does not list it")
exported = re.findall(r"^    (\w+);$", (ROOT / "deploy/cmake/libsdg.map").read_text(), re.M)
for name in sorted(set(functions) ^ set(exported)):
    problems.append(f"{name} is {'declared, but not exported' if name in functions else 'exported, but not declared'}")
for name in {name for name in functions + exported if functions.count(name) > 1 or exported.count(name) > 1}:
    problems.append(f"{name} stands twice")
if len(listed) < 5 or len(functions) < 30 or name_count < 50:
    problems.append(f"only {len(listed)} headers, {len(functions)} functions, {name_count} names: the test sees nothing")
for problem in problems:
    print(problem)
print(f"{len(listed)} public headers, {len(functions)} functions, {name_count} other names")
sys.exit(1 if problems else 0)
