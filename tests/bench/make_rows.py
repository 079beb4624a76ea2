#!/usr/bin/env python3
"""make_rows.py N FILE - writes N input rows of about 130 bytes, each different and all of the same length (fast: a million in about a second)."""
import sys

ROW = ('{"id": "%07d", "topic": "the history of place %07d, told to a visitor with little time", '
       '"words": ["alpha", "beta", "gamma", "delta"]}\n')
AT_ONCE = 10000


def make(count, path):
    with open(path, "w", encoding="ascii", buffering=1 << 20) as out:
        for first in range(0, count, AT_ONCE):
            out.write("".join([ROW % (i, i) for i in range(first, min(first + AT_ONCE, count))]))


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    make(int(sys.argv[1]), sys.argv[2])
