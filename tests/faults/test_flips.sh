#!/usr/bin/env bash
# A short campaign of damaged files; the long one is `tests/faults/flips.py`.
exec python3 "$(dirname "$0")/flips.py" --count 63
