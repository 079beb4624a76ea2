#!/usr/bin/env bash
# Builds the release preset and measures the bars of docs/performance.md: ratios, each from one run on this machine.
#
# Usage: tests/bench/run.sh [BAR]... [--quick] [--rounds N] [--seed N] [--markdown FILE]
#   BAR            zero-latency latency retries bucket memory start-up interpreter language python dispatch kill small-blocks output store-memory memory-limit housekeeping
#                  store store-core journal (default: all, in this order)
#   --quick        small sizes, to see that everything works: the figures mean little
#   --rounds N     kill, journal: how many times (50, 20)
#   --seed N       kill, journal: seed of the random points (default: a new one, printed)
#   --markdown F   write the table to F as well
# SDG_BUILD=DIR uses the programs in that build folder as they are instead of building.
#
# Everything else is written to a temporary folder that is removed at the end; servers started here are stopped. Needs nginx; wrk and perf
# add figures when they are there. Exit code: 0 all bars hold, 1 some do not, 2 something did not run.
set -euo pipefail
cd "$(dirname "$0")/../.."

case " $* " in *" -h "* | *" --help "*)
    sed -n '2,14s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
command -v nginx >/dev/null || { echo "run.sh: nginx is missing (apt-get install nginx-light)" >&2; exit 2; }

if [ -z "${SDG_BUILD:-}" ]; then
    SDG_BUILD=build
    log=$(mktemp)
    if ! { cmake --preset release && cmake --build --preset release -j "$(nproc)" --target sdg bench_curl_bare bench_child bench_interpreter bench_interpreter_plain_malloc bench_interpreter_plain_names bench_python bench_dispatch bench_scheduler bench_lru bench_store bench_output; } >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        exit 2
    fi
    rm -f "$log"
fi
exec python3 tests/bench/bars.py --build "$SDG_BUILD" "$@"
