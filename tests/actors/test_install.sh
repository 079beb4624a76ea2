#!/usr/bin/env bash
# `cmake --install` into an empty prefix gives a program and a library that work: the C program of docs/library.md, compiled with
# nothing but `pkg-config sdg`, sends one call through the LLM engine to the installed `sdg mock-llm`.
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
for file in bin/sdg lib/libsdg.a lib/pkgconfig/sdg.pc include/sdg/core/llm/client.h; do
    [ -s "$work/moved/$file" ] || { echo "$file is not installed"; exit 1; }
done

sed -n '/^```c program=ask.c$/,/^```$/{//!p}' docs/library.md >"$work/ask.c"
[ -s "$work/ask.c" ] || { echo "docs/library.md has no program ask.c"; exit 1; }
export PKG_CONFIG_PATH=$work/moved/lib/pkgconfig
# shellcheck disable=SC2046  # one word per flag
cc -std=gnu17 -Wall -Wextra -Werror "$work/ask.c" -o "$work/ask" $(pkg-config --cflags --libs sdg)

"$work/moved/bin/sdg" mock-llm --port 0 --quiet >"$work/line" &
mock=$!
until [ -s "$work/line" ]; do
    kill -0 "$mock" || { echo "the installed mock-llm ended"; exit 1; }
    sleep 0.05
done
said=$("$work/ask" "$(sed 's/.* on //' "$work/line")" hello)
[ "$said" = "echo[m]: hello" ] || { echo "got: $said"; exit 1; }
echo "ok"
