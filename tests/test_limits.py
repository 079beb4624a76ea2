#!/usr/bin/env python3
"""Prints every limit of the project with its reason, and fails for one that gives none: each #define of a limits.h stands
right below a comment, each *_MAX constant that is private to a source has a comment beside or above it. A room has a limits.h."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
REASON_LETTERS = 12  # shorter is no reason
problems, count = [], 0


def plain(comment):
    return " ".join(re.sub(r"^\s*\*", "", line) for line in comment.strip("/* \n").splitlines()).split()


def check_room(path):
    global count
    comment, room = "", path.parent.relative_to(ROOT)
    print(f"{room}:")
    for token in re.findall(r"/\*.*?\*/|#define \w+(?:[^\n]|\\\n)*", path.read_text(), re.S):
        if token.startswith("/*"):
            comment = token
            continue
        name, _, value = token[len("#define "):].partition(" ")
        if not value:
            continue  # the guard
        count += 1
        reason = " ".join(plain(comment))
        print(f"    {name} = {' '.join(value.split())}: {reason}")
        if len(reason) < REASON_LETTERS or reason.startswith("..."):
            problems.append(f"{path.relative_to(ROOT)}: {name} has no reason")
        comment = ""


def check_private(path):
    """Constants of one source that are called *_MAX: `enum { X_MAX = 64 }; /* why */`, or with a comment above."""
    global count
    lines = path.read_text().splitlines()
    for i, line in enumerate(lines):
        code = re.sub(r"/\*.*?\*/", "", line)
        for name in re.findall(r"(?:^#define |\benum \{.*?\b|^    )([A-Z][A-Z0-9_]*_MAX)(?: =|\b(?= [0-9(]))", code):
            count += 1
            if "/*" not in line and "*/" not in (lines[i - 1] if i else ""):
                problems.append(f"{path.relative_to(ROOT)}:{i + 1}: {name} has no reason")


for folder in sorted({path.parent for top in ("core", "proto", "actors") for path in (ROOT / top).rglob("*.c")}):
    if folder != ROOT / "actors" and not (folder / "limits.h").exists():  # actors/ itself has main.c alone
        problems.append(f"{folder.relative_to(ROOT)}: has no limits.h")
for path in sorted(ROOT.glob("*/**/limits.h")):
    if path.relative_to(ROOT).parts[0] in ("core", "proto", "actors"):
        check_room(path)
for top in ("core", "proto", "actors"):
    for path in sorted((ROOT / top).rglob("*.[ch]")):
        if path.name != "limits.h":
            check_private(path)
if count < 150:
    problems.append(f"only {count} limits were found: the test sees nothing")
for problem in problems:
    print(problem)
print(f"{count} limits, {len(problems)} without a reason")
sys.exit(1 if problems else 0)
