#!/usr/bin/env python3
"""A bench of hostile servers and hostile files: prints a table of what became of each. No row may be silently wrong, no dataset touched.

Usage: SDG=path/to/sdg test_hostile.py [words of names]. Standard library only. The last line is `N passed, M failed`.
"""
import os
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import hostile_files
import hostile_servers
from hostile_case import SDG, Wrong, running

AT_ONCE = 4


def play(case):
    """(kind, text, what the commands ended with, seconds, what is wrong or "")."""
    kind, text, function = case
    began, wrong = time.monotonic(), ""
    running.trial = None
    try:
        function()
    except Wrong as why:
        wrong = str(why)
    except Exception:
        wrong = traceback.format_exc()
    codes = "-"
    if running.trial:
        codes = " ".join(map(str, running.trial.ended))
        running.trial.close()
    return kind, text, codes, time.monotonic() - began, " ".join(wrong.split())


def main():
    if not os.access(SDG, os.X_OK):
        sys.exit("no program at %s: build it, or name it with SDG=" % SDG)
    cases = [c for c in hostile_servers.CASES + hostile_files.CASES if len(sys.argv) < 2 or any(word in c[1] for word in sys.argv[1:])]
    width = max(len(text) for _, text, _ in cases)
    print("%-6s  %-*s  %-9s  %7s  %s" % ("kind", width, "what", "exits", "seconds", "verdict"))
    failed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for kind, text, codes, seconds, wrong in pool.map(play, cases):
            failed += bool(wrong)
            print("%-6s  %-*s  %-9s  %7.1f  %s" % (kind, width, text, codes, seconds, "WRONG: " + wrong if wrong else "right"), flush=True)
    print("%d passed, %d failed" % (len(cases) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
