#!/usr/bin/env bash
# Runs our own conformance cases and, when it lies beside this repository, the public suite. See README.md.
# Prints failures and, last, one line `N passed, M failed` over both. Usage: SDG=build/sdg run.sh
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
SDG=${SDG:-$here/../../build/sdg}
public=$here/../../../shared/conformance
jobs=$(nproc)
passed=0 failed=0

# Runs one runner; adds up the numbers of its last line.
add() {
    local name=$1 last out
    shift
    out=$("$@" 2>&1)
    printf '%s\n' "$out" | sed '$d'
    last=$(printf '%s\n' "$out" | tail -n 1)
    printf '%s: %s\n' "$name" "$last"
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
    else
        failed=$((failed + 1))
    fi
}

# Names of the public cases that are promised: all but those whose name stands first on a line of not-yet.txt.
promised() {
    local name
    for name in "$public"/cases/*/; do
        name=$(basename "$name")
        grep -q "^$name\b" "$here/not-yet.txt" 2>/dev/null || printf -- '--case\n%s\n' "$name"
    done
}

if compgen -G "$here/cases/*/case.json" >/dev/null; then
    add "own cases" python3 "$here/run.py" --sdg "$SDG" -j "$jobs"
fi
if [ -f "$public/run.py" ]; then
    mapfile -t names < <(promised)
    [ ${#names[@]} -eq 0 ] || add "public cases" python3 "$public/run.py" --sdg "$SDG" -j "$jobs" "${names[@]}"
    skipped=$(grep -c '^[0-9]' "$here/not-yet.txt" 2>/dev/null)
    [ "${skipped:-0}" -eq 0 ] || echo "public cases left out (tests/conformance/not-yet.txt): $skipped"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
