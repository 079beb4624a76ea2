#!/usr/bin/env python3
"""Several jobs on one scheduler: none waits for another's end, whatever their sizes, and priorities are taken.

Usage: SDG=path/to/sdg test_fairness.py [words of test names]. Standard library only. The last line is `N passed, M failed`.
"""
import sys

from harness import Bench, Mock, Serve, equal, has, main

HUGE_ROWS, SMALL_ROWS = 4000, 10


def small_beside_huge(huge_flags, small_flags):
    """A huge job runs; a small one comes later and is through while most of the huge one is still to do."""
    with Mock("--latency-ms", 5) as mock, Bench(mock, HUGE_ROWS) as huge, Bench(mock, SMALL_ROWS) as small, Serve(huge.folder) as s, s.worker():
        with huge.submit(s, *huge_flags) as h:
            huge.wait_lines(50)
            with small.submit(s, *small_flags) as p:
                p.ends(0)
            done = huge.lines()
            small.check_echo()
            assert done < HUGE_ROWS / 2, "%d rows of the huge job were done before the small one" % done
            equal(h.proc.poll(), None)
            h.ends(0, timeout=120)
        huge.check_echo()


def test_a_small_job_ends_long_before_a_huge_one():
    small_beside_huge(["--max-concurrent", 8], ["--max-concurrent", 8])


def test_it_does_so_with_the_lowest_priority_beside_the_highest():
    small_beside_huge(["--max-concurrent", 8, "--priority", 100], ["--max-concurrent", 2, "--priority", 1])


def test_a_priority_out_of_range_is_refused():
    with Bench(None, 1) as b:
        for value in (0, 101):
            has(b.run("--priority", value, code=2), "--priority")


if __name__ == "__main__":
    sys.exit(main(globals()))
