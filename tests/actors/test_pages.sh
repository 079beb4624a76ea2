#!/usr/bin/env bash
# The man page and the completions that `sdg` makes from its table of flags: roff without complaints, scripts that the shells
# take, and completions as a user gets them. What needs a program that is not installed says SKIP.
set -uo pipefail
SDG=$(realpath "${SDG:?the program}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0

# check NAME COMMAND...: it succeeds.
check() {
    local name=$1
    shift
    if "$@" >log 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        cat log
    fi
}

# with PROGRAM NAME COMMAND...: the same, if the program is there.
with() {
    if command -v "$1" >/dev/null; then
        shift
        check "$@"
    else
        echo "SKIP $2: $1 is not installed"
    fi
}

silent() { [ -z "$("$@" 2>&1 >/dev/null)" ]; }
equal() { [ "$1" = "$2" ] || { echo "want: $2"; echo "got:  $1"; false; }; }
offers() { # SHELL LINE WORD...: the words are among what the shell offers for the line
    local shell=$1 line=$2 got word
    shift 2
    got=$("complete_$shell" "$line")
    for word in "$@"; do
        grep -qxF -- "$word" <<<"$got" || { echo "$word is not offered for '$line': $got"; return 1; }
    done
}

lint() { ! mandoc -Tlint -Wwarning "$1" | grep -v 'missing date'; } # a date would make each build another

mkdir folder
touch file.yaml folder/inner
for locale in en ja; do
    "$SDG" help --man --ui-locale $locale >sdg.$locale.1
    check "man page ($locale) has every command" grep -q 'sdg mock-llm' sdg.$locale.1
done
with groff "groff, English" silent groff -ww -man -Tutf8 sdg.en.1
if [ -e /usr/share/groff/current/tmac/ja.tmac ]; then # minimal groff packages lack the language files
    with groff "groff, Japanese" silent groff -ww -Kutf8 -mja -man -Tutf8 sdg.ja.1
else
    echo "SKIP groff, Japanese: groff has no ja.tmac"
fi
with mandoc "mandoc" lint sdg.en.1

"$SDG" completion bash >sdg.bash
"$SDG" completion zsh >_sdg
"$SDG" completion fish >sdg.fish
check "bash takes the script" bash -n sdg.bash
with zsh "zsh takes the script" zsh -n _sdg
with fish "fish takes the script" fish -n sdg.fish

complete_bash() {
    bash -c '. ./sdg.bash
        IFS=" " read -ra COMP_WORDS <<<"$1"
        [ "${1% }" = "$1" ] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _sdg
        printf "%s\n" "${COMPREPLY[@]}"' bash "$1"
}
check "bash: commands" offers bash "sdg " run test-run serve completion --version
check "bash: flags" offers bash "sdg run --max-c" --max-concurrent --max-cache-size
check "bash: choices" offers bash "sdg run --fsync " never batch always
check "bash: the choice behind =" offers bash "sdg run --fsync = b" batch
check "bash: files" offers bash "sdg run --yaml f" file.yaml folder
check "bash: folders" offers bash "sdg run --spill-dir f" folder
check "bash: no file for a folder" equal "$(complete_bash 'sdg run --spill-dir f')" folder
check "bash: nothing for a number" equal "$(complete_bash 'sdg run --seed f')" ""
check "bash: words" offers bash "sdg journal s" stats
check "bash: a verb behind help" offers bash "sdg help val" validate
check "bash: no verb is run" offers bash "sdg --yaml file.yaml --ordere" --ordered

complete_fish() { fish -c 'source sdg.fish; complete -C $argv[1]' -- "$1" | cut -f1; }
with fish "fish: flags" offers fish "sdg run --max-c" --max-concurrent --max-cache-size
with fish "fish: choices" offers fish "sdg run --fsync " never batch always
with fish "fish: files" offers fish "sdg run --yaml f" file.yaml

# A terminal of its own, where Tab lists what is offered; READY and END say how far its zsh has come.
complete_zsh() {
    zsh -f -c 'zmodload zsh/zpty
        read_until() {
            for i in {1..600}; do
                while zpty -r -t sdg line; do
                    print -r -- $line
                    [[ $line == *$1$'"'\r\n'"' && $line != *print* ]] && return
                done
                sleep 0.1
            done
        }
        zpty sdg "TERM=dumb zsh -f -i"
        zpty -w sdg "PROMPT=; autoload -Uz compinit; compinit -D -u; source ./_sdg; LISTMAX=0; bindkey \"^I\" list-choices; print READY"
        read_until READY >/dev/null
        zpty -n -w sdg "$1"$'"'\t\x15'"'"print END"$'"'\n'"'
        read_until END' zsh "$1" | tr -d '\r' | tr -s ' ' '\n'
}
with zsh "zsh: flags" offers zsh "sdg run --max-c" --max-concurrent --max-cache-size

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
