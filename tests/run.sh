#!/usr/bin/env bash
# Installs what the tests need, builds, runs everything, and ends with one line `N passed, M failed`.
#
# Usage: tests/run.sh [--only SUITE]... [--no-install] [--list]
#        tests/run.sh --fuzz-minutes N      campaign: every fuzz target for N minutes; what it learns is kept in build-fuzz/found,
#                                           and the next campaign begins with it
#        tests/run.sh --soak [--rounds N | --minutes N]
#                                           campaign: storms (tests/faults/storm.py) for N minutes (180), and tests/faults/soak_*
#
# Suites, in order (files are found by name; adding one needs no edit here):
#   house          tests/test_*.{py,sh}: what holds for all sources: arrows of the rooms, public names, limits with reasons, format
#   unit-asan      tests/**/test_*.c (Criterion) under ASan + UBSan
#   unit           the same in the release build
#   sim            tests/sim/sim_*.c: simulations with virtual time
#   stress-tsan    tests/faults/stress_*.c and the program itself (stress_*.sh) under TSan; Criterion does not work there
#   integration    tests/actors/test_*.{py,sh}, tests/faults/test_*.{py,sh}, tests/proto/test_*.{py,sh} with the release program
#   conformance    tests/conformance/run.sh
#   docs           the examples and flags of the manuals (tests/conformance/run_docs.py)
#   property       tests/core/**/*_property.py: random cases against an independent evaluator; the seed is in the log
#   fuzz           tests/fuzz/fuzz_*.c: the corpus, then some seconds of search each (needs clang); inputs that break a target
#                  are kept in build-fuzz/findings
#
# A program or script passes by its exit code. If it says how many tests it ran (Criterion's synthesis, or a last line
# `N passed, M failed`), those are counted, otherwise it counts as one. Scripts get SDG (the program) and SDG_BUILD (its build
# folder). The output of each is kept in build/test-logs; that of failures is shown. A test that cannot run here says "SKIP name: why"; all of
# them are listed at the end.
set -uo pipefail
cd "$(dirname "$0")/.."
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp print_suppressions=0"

SUITES="house unit-asan unit sim stress-tsan integration conformance docs property fuzz"
LOGS=build/test-logs
JOBS=$(nproc)
PROGRAM_S=600        # a single program or script may take this long; a soak 20 times that
FUZZ_S=""            # seconds of search for each fuzz target; empty: its share of FUZZ_ALL_S
FUZZ_ALL_S=110       # seconds of search for all targets together: all suites have 20 minutes
FUZZ_FOUND=build-fuzz/found FUZZ_FINDINGS=build-fuzz/findings
SHOWN_LINES=60       # of the output of a failure
passed=0 failed=0 skipped="" left_out=""
only="" install=yes soak="" campaign="" storm="--minutes 180" waiting=()

usage() { sed -n '2,28s/^# \{0,1\}//p' "$0"; }

die() {
    echo "run.sh: $*" >&2
    exit 2
}

# --- running and counting ---------------------------------------------------------------------------------------------

# Adds up what a log says; `code` is the exit code of the program.
count() {
    local log=$1 code=$2 line tested=0 bad=0
    line=$(grep -aE 'Synthesis: Tested: [0-9]+' "$log" | tail -n 1)
    if [[ $line =~ Tested:\ ([0-9]+)\ .*Failing:\ ([0-9]+)\ .*Crashing:\ ([0-9]+) ]]; then
        tested=${BASH_REMATCH[1]} bad=$((BASH_REMATCH[2] + BASH_REMATCH[3]))
    else
        line=$(tail -n 1 "$log" | tr -d '\0')
        if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
            bad=${BASH_REMATCH[2]} tested=$((BASH_REMATCH[1] + bad))
        else
            tested=1
        fi
    fi
    if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    if [ "$tested" -lt "$bad" ]; then tested=$bad; fi
    passed=$((passed + tested - bad)) failed=$((failed + bad))
    result="$((tested - bad)) passed, $bad failed"
    [ "$bad" -eq 0 ]
}

# check SUITE NAME COMMAND...: runs it beside the others (JOBS at a time), with its output in a log. What it gave is counted and
# shown in the order of the calls; a suite ends with check_end.
check() {
    local suite=$1 name=$2 log limit=$PROGRAM_S
    log=$LOGS/$suite/$name.log
    shift 2
    mkdir -p "$LOGS/$suite"
    rm -f "$log.code"
    [ "$suite" != soak ] || limit=$((PROGRAM_S * 20))
    while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do
        wait -n
        show_ended
    done
    (
        began=$SECONDS
        timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null
        echo "$? $((SECONDS - began)) $limit" >"$log.new" && mv "$log.new" "$log.code"
    ) &
    waiting+=("$log")
}

# Counts and shows what has ended, up to the first that has not.
show_ended() {
    local log name code took limit result
    while [ ${#waiting[@]} -gt 0 ] && [ -f "${waiting[0]}.code" ]; do
        log=${waiting[0]} waiting=("${waiting[@]:1}")
        name=$(basename "$log" .log)
        read -r code took limit <"$log.code"
        if count "$log" "$code"; then
            printf '  ok    %-34s %s (%d s)\n' "$name" "$result" "$took"
        else
            [ "$code" -ne 124 ] || result+=", stopped after $limit s"
            printf '  FAIL  %-34s %s, exit code %d, %s\n' "$name" "$result" "$code" "$log"
            tail -n "$SHOWN_LINES" "$log" | sed 's/^/        | /'
        fi
        note_left_out "$log"
    done
}

check_end() {
    wait
    show_ended
    [ ${#waiting[@]} -eq 0 ] || die "no word of ${waiting[0]}"
}

# Tests that said SKIP and why: shown at once and again at the end.
note_left_out() {
    local line
    while IFS= read -r line; do
        echo "        $line"
        left_out+="  $line"$'\n'
    done < <(grep -a '^SKIP ' "$1")
}

# build PRESET TARGET...: configures and builds; a failure counts as a failed test.
build() {
    local preset=$1 log=$LOGS/build-$1.log
    shift
    local began=$SECONDS flags=(--preset "$preset")
    if command -v ccache >/dev/null; then
        flags+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    fi
    if cmake "${flags[@]}" >"$log" 2>&1 && cmake --build --preset "$preset" -j "$JOBS" --target "$@" >>"$log" 2>&1; then
        printf '  built %s (%d s)\n' "$preset" $((SECONDS - began))
        return 0
    fi
    failed=$((failed + 1))
    printf '  FAIL  build %s, %s\n' "$preset" "$log"
    grep -aE '(^| )error:|^FAILED|CMake Error|undefined reference' "$log" | head -n "$SHOWN_LINES" | sed 's/^/        | /'
    return 1
}

# Names (without folder and suffix) of the files that match the patterns.
names() {
    find "$@" 2>/dev/null | sed 's#.*/##; s/\.c$//' | sort
}

# Test targets are called by their place: tests/core/base/test_buf.c -> test_core_base_buf.
unit_names() {
    find tests/core tests/proto tests/actors -name 'test_*.c' | sed -E 's#^tests/(.*)/test_([a-z0-9_]+)\.c$#test_\1_\2#; s#/#_#g' | sort
}
sim_names() { names tests/sim -name 'sim_*.c'; }
stress_names() { names tests/faults -name 'stress_*.c'; }
fuzz_names() { names tests/fuzz -maxdepth 1 -name 'fuzz_*.c'; }

skip() {
    skipped+=" $1"
    echo "  skipped: $2"
}

# --- suites -----------------------------------------------------------------------------------------------------------

# Programs run beside each other, so each runs one test at a time: with more, Criterion itself leaks at times.
run_units() {
    local suite=$1 folder=$2 list name
    list=$(unit_names)
    for name in $list; do
        check "$suite" "$name" "$folder/$name" --jobs 1
    done
}

suite_house() {
    build release all || return
    run_scripts house tests -maxdepth 1 -name 'test_*.py' -o -maxdepth 1 -name 'test_*.sh'
}

suite_unit-asan() {
    local list
    list=$(unit_names)
    # shellcheck disable=SC2086  # one word per name, here and below
    build asan $list || return
    run_units unit-asan build-asan
}

suite_unit() {
    local list
    list=$(unit_names)
    # shellcheck disable=SC2086
    build release $list || return
    run_units unit build
}

suite_sim() {
    local list name
    list=$(sim_names)
    [ -n "$list" ] || { skip sim "there are no tests/sim/sim_*.c"; return; }
    # shellcheck disable=SC2086
    build release $list || return
    for name in $list; do
        check sim "$name" "build/$name"
    done
}

suite_stress-tsan() {
    local list name options="halt_on_error=1 second_deadlock_stack=1"
    [ ! -f tests/tsan.supp ] || options+=" suppressions=$PWD/tests/tsan.supp"
    list=$(stress_names)
    [ -n "$list" ] || { skip stress-tsan "there are no tests/faults/stress_*.c"; return; }
    # shellcheck disable=SC2086
    build tsan $list sdg || return
    for name in $list; do
        check stress-tsan "$name" env TSAN_OPTIONS="$options" "build-tsan/$name"
    done
    for name in $(names tests/faults -name 'stress_*.sh'); do
        check stress-tsan "$name" env TSAN_OPTIONS="$options" SDG="$PWD/build-tsan/sdg" bash "tests/faults/$name"
    done
}

run_scripts() {
    local suite=$1 script
    shift
    for script in $(find "$@" 2>/dev/null | sort); do
        case "$script" in
            *.py) check "$suite" "$(basename "$script")" env SDG="$PWD/build/sdg" SDG_BUILD="$PWD/build" python3 "$script" ;;
            *.sh) check "$suite" "$(basename "$script")" env SDG="$PWD/build/sdg" SDG_BUILD="$PWD/build" bash "$script" ;;
        esac
    done
}

suite_integration() {
    build release all || return
    run_scripts integration tests/actors tests/faults tests/proto -name 'test_*.py' -o -name 'test_*.sh'
}

suite_conformance() {
    build release sdg || return
    check conformance run.sh env SDG="$PWD/build/sdg" tests/conformance/run.sh
}

suite_docs() {
    build release sdg || return
    check docs run_docs.py env SDG="$PWD/build/sdg" python3 tests/conformance/run_docs.py
}

suite_property() {
    build release mex_eval_lines || return
    run_scripts property tests/core -name '*_property.py'
}

# One target: its corpus, then a search that starts from it, and in a campaign from what earlier campaigns have found. What an
# actor is told is long and slow, and grows from the first input on.
fuzz_one() {
    local name=$1 seconds=$2 corpus=tests/fuzz/corpus/${1#fuzz_} found=$FUZZ_FOUND/${1#fuzz_}
    local flags=(-rss_limit_mb=2048 -timeout=20 -print_final_stats=1 "-artifact_prefix=$FUZZ_FINDINGS/$name-")
    [[ $name != fuzz_actor_* ]] || flags+=(-len_control=0 -max_len=2048 -timeout=60)
    [ -n "$campaign" ] || found=$(mktemp -d "$LOGS/found-XXXXXX")
    mkdir -p "$found" "$FUZZ_FINDINGS"
    if [ -d "$corpus" ]; then
        [ -n "$campaign" ] || check fuzz "$name-corpus" "build-fuzz/$name" "${flags[@]}" -runs=0 "$corpus"
        check fuzz "$name" "build-fuzz/$name" "${flags[@]}" -max_total_time="$seconds" "$found" "$corpus"
    else
        check fuzz "$name" "build-fuzz/$name" "${flags[@]}" -max_total_time="$seconds" "$found"
    fi
}

# The number behind the last "WORD: " of a log; 0: there is none.
fuzz_number() {
    local n
    n=$(grep -aoE "$2:? *[0-9]+" "$1" | tail -n 1 | grep -oE '[0-9]+$')
    echo "${n:-0}"
}

# What the searches came to, from their logs.
fuzz_table() {
    local name log executions second broken
    printf '  %-24s %9s %12s %9s %9s\n' target exec/s executions edges findings
    for name in "$@"; do
        log=$LOGS/fuzz/$name.log
        [ -f "$log" ] || continue
        executions=$(fuzz_number "$log" number_of_executed_units)
        second=$(fuzz_number "$log" average_exec_per_sec)
        broken=0
        ! grep -aqE 'SUMMARY: |Test unit written' "$log" || broken=1
        printf '  %-24s %9d %12d %9d %9d\n' "${name#fuzz_}" "$second" "$executions" "$(fuzz_number "$log" cov)" "$broken"
    done
}

suite_fuzz() {
    local list name count seconds
    list=$(fuzz_names)
    count=$(wc -w <<<"$list")
    [ "$count" -gt 0 ] || { skip fuzz "there are no tests/fuzz/fuzz_*.c"; return; }
    command -v clang >/dev/null || { skip fuzz "clang is not installed (deploy/install-deps.sh fuzz)"; return; }
    # shellcheck disable=SC2086
    build fuzz $list || return
    seconds=${FUZZ_S:-$((FUZZ_ALL_S / count > 1 ? FUZZ_ALL_S / count : 1))}
    for name in $list; do
        fuzz_one "$name" "$seconds"
    done
    check_end
    # shellcheck disable=SC2086
    fuzz_table $list
}

suite_soak() {
    local list name
    list=$(names tests/faults -name 'soak_*.c')
    build release all || return
    for name in $list; do
        check soak "$name" "build/$name"
    done
    # shellcheck disable=SC2086
    check soak storm.py env SDG="$PWD/build/sdg" python3 tests/faults/storm.py $storm
    run_scripts soak tests/faults -name 'soak_*.py' -o -name 'soak_*.sh'
}

# --- the run ----------------------------------------------------------------------------------------------------------

while [ $# -gt 0 ]; do
    case "$1" in
        --only)
            [[ " $SUITES " == *" ${2:-} "* && -n ${2:-} ]] || die "--only wants one of: $SUITES"
            only+=" $2"
            shift
            ;;
        --fuzz-minutes)
            [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "--fuzz-minutes wants a number"
            FUZZ_S=$(($2 * 60)) PROGRAM_S=$(($2 * 60 + 120)) only="fuzz" campaign=yes
            shift
            ;;
        --soak) soak=yes ;;
        --rounds | --minutes)
            [[ -n $soak && ${2:-} =~ ^[1-9][0-9]*$ ]] || die "$1 comes behind --soak and wants a number"
            storm="$1 $2"
            shift
            ;;
        --no-install) install="" ;;
        --list) echo "$SUITES" | tr ' ' '\n'; exit 0 ;;
        -h | --help) usage; exit 0 ;;
        *) die "unknown flag $1, see --help" ;;
    esac
    shift
done

if [ -n "$soak" ]; then only="soak"; fi
if [ -n "$install" ]; then
    ./deploy/install-deps.sh build test fuzz monitor shells || die "packages are missing, see above"
fi
rm -rf "$LOGS"
mkdir -p "$LOGS"
for suite in ${only:-$SUITES}; do
    echo "== $suite"
    "suite_$suite"
    check_end
done
[ -z "$skipped" ] || echo "suites skipped:$skipped"
[ -z "$left_out" ] || printf 'tests skipped:\n%s' "$left_out"
echo "logs: $LOGS, time: $((SECONDS / 60)) min $((SECONDS % 60)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
