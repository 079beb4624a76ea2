#!/usr/bin/env bash
# `cmake --install` into an empty prefix gives a program and a library that work, and a library that shows what is public and
# nothing else: the C programs of docs/library.md are compiled with nothing but `pkg-config sdg`, against the shared library
# and the archive, and once more in one program with functions named like ours; each header compiles alone, as C and as C++.
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
fail() {
    echo "$*"
    exit 1
}

cmake --install "$BUILD" --prefix "$work/first" >"$work/log" || { cat "$work/log"; exit 1; }
mv "$work/first" "$work/moved" # nothing may depend on where it was installed
root=$work/moved lib=$work/moved/lib
for file in bin/sdg lib/libsdg.a lib/libsdg.so lib/libsdg.so.0 lib/pkgconfig/sdg.pc include/sdg/sdg.h include/sdg/version.h \
    share/man/man1/sdg.1 share/man/ja/man1/sdg.1 share/bash-completion/completions/sdg share/zsh/site-functions/_sdg \
    share/fish/vendor_completions.d/sdg.fish share/doc/sdg/LICENSE; do
    [ -s "$root/$file" ] || fail "$file is not installed"
done

# --- what the libraries show ---

listed=$(sed -n 's/^ \+\(sdg_[a-z_]*\);$/\1/p' deploy/cmake/libsdg.map | sort)
[ "$(wc -l <<<"$listed")" -ge 30 ] || fail "deploy/cmake/libsdg.map lists too little"
shown=$(nm -D --defined-only "$lib/libsdg.so" | awk '{print $3}' | sort)
[ "$shown" = "$listed" ] || fail "libsdg.so and the export list differ: $(diff <(echo "$shown") <(echo "$listed"))"
shown=$(nm -g --defined-only "$lib/libsdg.a" | awk 'NF == 3 {print $3}' | sort)
[ "$shown" = "$listed" ] || fail "libsdg.a and the export list differ: $(diff <(echo "$shown") <(echo "$listed"))"
readelf -d "$lib/libsdg.so" | grep -q 'SONAME.*\[libsdg.so.0\]' || fail "the shared library is not called libsdg.so.0"
missing=$(LD_BIND_NOW=1 ldd -r "$lib/libsdg.so" 2>&1 | grep -E 'undefined|not found' || true)
[ -z "$missing" ] || fail "libsdg.so lacks: $missing"

# --- headers alone ---

export PKG_CONFIG_PATH=$lib/pkgconfig
read -ra cflags <<<"$(pkg-config --cflags sdg)"
read -ra libs <<<"$(pkg-config --libs sdg)"
read -ra static_libs <<<"$(pkg-config --static --libs sdg | sed 's/-lsdg/-l:libsdg.a/')"
strict=(-Wall -Wextra -Wshadow -Wstrict-prototypes -pedantic -Werror)
strict_cxx=(-std=c++17 -Wall -Wextra -Wshadow -pedantic -Werror)
for header in "$root"/include/sdg/*.h; do
    name=sdg/$(basename "$header")
    printf "#include <%s>\nextern int alone;\n" "$name" >"$work/alone.c"
    cc -std=c99 "${strict[@]}" "${cflags[@]}" -fsyntax-only "$work/alone.c" || fail "<$name> is no C of its own"
    c++ -x c++ "${strict_cxx[@]}" "${cflags[@]}" -fsyntax-only "$work/alone.c" || fail "<$name> is no C++ of its own"
done
others=$(find "$root/include" -type f ! -path '*/include/sdg/*.h')
[ -z "$others" ] || fail "more than the public headers is installed: $others"

# --- the programs of docs/library.md ---

take() {
    sed -n '/^```c program='"$1"'.c$/,/^```$/{//!p}' docs/library.md >"$work/$1.c"
    [ -s "$work/$1.c" ] || fail "docs/library.md has no program $1.c"
    cc -std=c17 "${strict[@]}" "${cflags[@]}" "$work/$1.c" -o "$work/$1" "${libs[@]}"
    cc -std=c17 "${strict[@]}" "${cflags[@]}" "$work/$1.c" -o "$work/$1-static" "${static_libs[@]}"
    ! ldd "$work/$1-static" | grep -q libsdg || fail "$1-static uses the shared library"
}
take ask
take contexts

# Functions of the program that are named like some inside the library; each would end it if the library called it.
cat >"$work/own.c" <<'END'
#include <stdlib.h>
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t m);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
int err_set(void *err, int code, const char *fmt, ...);
void buf_add_slowly(void *b, const void *bytes, size_t n);
void value_release(void *v);
void *lru_new(size_t n);
void *contexts_new(const void *options);
void *xmalloc(size_t n) { (void)n; abort(); }
void *xcalloc(size_t n, size_t m) { (void)n, (void)m; abort(); }
void *xrealloc(void *p, size_t n) { (void)p, (void)n; abort(); }
char *xstrdup(const char *s) { (void)s; abort(); }
int err_set(void *err, int code, const char *fmt, ...) { (void)err, (void)code, (void)fmt; abort(); }
void buf_add_slowly(void *b, const void *bytes, size_t n) { (void)b, (void)bytes, (void)n; abort(); }
void value_release(void *v) { (void)v; abort(); }
void *lru_new(size_t n) { (void)n; abort(); }
void *contexts_new(const void *options) { (void)options; abort(); }
END
cc -std=c17 "${strict[@]}" "${cflags[@]}" -rdynamic "$work/contexts.c" "$work/own.c" -o "$work/own" "${libs[@]}"
cc -std=c17 "${strict[@]}" "${cflags[@]}" -rdynamic "$work/contexts.c" "$work/own.c" -o "$work/own-static" "${static_libs[@]}"

cat >"$work/plus.cc" <<'END'
#include <sdg/sdg.h>
#include <cstring>
#include <iostream>
int main() {
    sdg_error_t error;
    sdg_endpoint_t endpoint = {}; // without its size
    sdg_llm_t *llm = sdg_llm_new(nullptr, &error);
    if (!llm || sdg_llm_add_endpoint(llm, &endpoint, &error) != SDG_EINVAL) return 1;
    std::cout << error.text << ": " << sdg_code_name(error.code) << "\n";
    sdg_llm_destroy(&llm);
    return llm || std::strcmp(sdg_version(), SDG_VERSION) != 0;
}
END
c++ "${strict_cxx[@]}" "${cflags[@]}" "$work/plus.cc" -o "$work/plus" "${libs[@]}"
c++ "${strict_cxx[@]}" "${cflags[@]}" "$work/plus.cc" -o "$work/plus-static" "${static_libs[@]}"

# --- they run ---

export LD_LIBRARY_PATH=$lib
"$root/bin/sdg" mock-llm --port 0 --quiet >"$work/line" &
mock=$!
until [ -s "$work/line" ]; do
    kill -0 "$mock" || fail "the installed mock-llm ended"
    sleep 0.05
done
for program in ask ask-static; do
    said=$("$work/$program" "$(sed 's/.* on //' "$work/line")" hello)
    [ "$said" = "echo[m]: hello" ] || fail "$program: got: $said"
done

mkdir "$work/spill"
wanted='evicted 2: two
cached 2 of 2, hit rate 1.0
row 0: {"step":1}
1000 created, 901 evicted, 901 loaded, 0 left'
for program in contexts contexts-static own own-static; do
    said=$("$work/$program" "$work/spill/file")
    [ "$said" = "$wanted" ] || fail "$program: got: $said"
done
rmdir "$work/spill" # nothing is left in it

for program in plus plus-static; do
    said=$("$work/$program")
    [ "$said" = "endpoint: size is not set: SDG_EINVAL" ] || fail "$program: got: $said"
done

# An interpreter loads it late, with dlopen, and calls it from a thread of its own.
said=$(python3 - "$lib/libsdg.so.0" <<'END'
import ctypes, sys, threading
sdg = ctypes.CDLL(sys.argv[1])
sdg.sdg_chat_request.restype = ctypes.c_void_p
def request():
    text = sdg.sdg_chat_request(b"m", None, b"hi", b'{"n": [1]}', None)
    print(ctypes.string_at(text).decode())
    sdg.sdg_free(ctypes.c_void_p(text))
thread = threading.Thread(target=request)
thread.start()
thread.join()
END
)
[ "$said" = '{"model":"m","messages":[{"role":"user","content":"hi"}],"n":[1]}' ] || fail "python3: got: $said"

# --- one version ---

version=$(sed -n 's/^#define SDG_VERSION "\(.*\)"$/\1/p' "$root/include/sdg/version.h")
[ -n "$version" ] && [ "$("$root/bin/sdg" --version)" = "sdg $version" ] || fail "sdg --version is not $version"
[ "$(pkg-config --modversion sdg)" = "$version" ] || fail "sdg.pc is not of version $version"
[ -e "$lib/libsdg.so.$version" ] || fail "there is no libsdg.so.$version"
echo "ok"
