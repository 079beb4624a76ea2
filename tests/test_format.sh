#!/usr/bin/env bash
# Every C and C++ source stands as .clang-format says. To mend: `git ls-files '*.c' '*.h' '*.cc' | xargs clang-format -i`.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang-format >/dev/null || { echo "clang-format is missing: deploy/install-deps.sh test" >&2; exit 1; }
list=$(find core proto actors tests -name '*.c' -o -name '*.h' -o -name '*.cc')
# shellcheck disable=SC2086  # one word per file
clang-format --dry-run --Werror $list
echo "$(wc -w <<<"$list") sources are formatted"
