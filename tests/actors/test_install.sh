#!/usr/bin/env bash
# `cmake --install` into an empty prefix gives a program and a library that work: the C programs of docs/library.md, compiled with
# nothing but `pkg-config sdg`. One sends a call through the LLM engine to the installed `sdg mock-llm`, one uses the cache and the contexts.
set -euo pipefail
BUILD=$(realpath "${SDG_BUILD:?the build folder}")
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
mock=""
finish() {
    if [ -n "$mock" ]; then kill "$mock" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT

cmake --install "$BUILD" --prefix "$work/first" >"$work/log" || { cat "$work/log"; exit 1; }
mv "$work/first" "$work/moved" # nothing may depend on where it was installed
for file in bin/sdg lib/libsdg.a lib/pkgconfig/sdg.pc include/sdg/core/http/engine.h \
    share/man/man1/sdg.1 share/man/ja/man1/sdg.1 share/bash-completion/completions/sdg share/zsh/site-functions/_sdg \
    share/fish/vendor_completions.d/sdg.fish; do
    [ -s "$work/moved/$file" ] || { echo "$file is not installed"; exit 1; }
done

export PKG_CONFIG_PATH=$work/moved/lib/pkgconfig
compile() {
    sed -n '/^```c program='"$1"'.c$/,/^```$/{//!p}' docs/library.md >"$work/$1.c"
    [ -s "$work/$1.c" ] || { echo "docs/library.md has no program $1.c"; exit 1; }
    # shellcheck disable=SC2046  # one word per flag
    cc -std=gnu17 -Wall -Wextra -Werror "$work/$1.c" -o "$work/$1" $(pkg-config --cflags --libs sdg)
}
compile ask
compile contexts

"$work/moved/bin/sdg" mock-llm --port 0 --quiet >"$work/line" &
mock=$!
until [ -s "$work/line" ]; do
    kill -0 "$mock" || { echo "the installed mock-llm ended"; exit 1; }
    sleep 0.05
done
said=$("$work/ask" "$(sed 's/.* on //' "$work/line")" hello)
[ "$said" = "echo[m]: hello" ] || { echo "got: $said"; exit 1; }

mkdir "$work/spill"
said=$("$work/contexts" "$work/spill/file")
wanted='evicted 2: two
cached 2 of 2, hit rate 1.0
row 0: {"step":1}
1000 created, 901 evicted, 901 loaded, 0 left'
[ "$said" = "$wanted" ] || { echo "got: $said"; exit 1; }
rmdir "$work/spill" # nothing is left in it
echo "ok"
