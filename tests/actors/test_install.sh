#!/usr/bin/env bash
# `cmake --install` into an empty prefix gives a program and a library that work: a small C program, compiled with nothing but
# `pkg-config sdg`, sends one call through the LLM engine to the installed `sdg mock-llm`.
set -euo pipefail
BUILD=${SDG_BUILD:?the build folder}
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

cat >"$work/call.c" <<'C'
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/llm/chat.h"
#include "core/llm/client.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    err_t err = {0};
    llm_client_t *client = llm_client_new(&(llm_client_options_t){0}, &err);
    const char *urls[] = {argv[1]};
    llm_endpoint_t endpoint = {.name = "m", .base_urls = urls, .url_count = 1};
    int number = client ? llm_client_add_endpoint(client, &endpoint, &err) : -1;
    const char *body = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}";
    llm_request_t request = {.endpoint = (unsigned)number, .body = body, .body_len = strlen(body)};
    if (number < 0 || llm_client_submit(client, &request, 7, &err)) return fprintf(stderr, "%s\n", err.text), 1;
    llm_answer_t answer;
    for (llm_client_drive(client, clock_now_ns()); !llm_client_next(client, &answer);) {
        struct pollfd fd = {.fd = llm_client_fd(client), .events = POLLIN};
        poll(&fd, 1, llm_client_timeout_ms(client, clock_now_ns()));
        llm_client_drive(client, clock_now_ns());
    }
    if (answer.text.kind == VALUE_STRING) puts(answer.text.string->data);
    value_free(answer.text);
    llm_client_destroy(&client);
    return 0;
}
C
export PKG_CONFIG_PATH=$work/moved/lib/pkgconfig
# shellcheck disable=SC2046  # one word per flag
cc -std=gnu17 -Wall -Werror "$work/call.c" -o "$work/call" $(pkg-config --cflags --libs sdg)

"$work/moved/bin/sdg" mock-llm --port 0 --quiet >"$work/line" &
mock=$!
until [ -s "$work/line" ]; do
    kill -0 "$mock" || { echo "the installed mock-llm ended"; exit 1; }
    sleep 0.05
done
said=$("$work/call" "$(sed 's/.* on //' "$work/line")")
[ "$said" = "echo[m]: hello" ] || { echo "got: $said"; exit 1; }
echo "ok"
