/* fuzz_regex_extract.c - "pattern NUL replacement NUL text": search, findall, replace and the output of an ai
 * block. */
#include "core/mabel/text/extract.h"

#include <stdlib.h>
#include <string.h>

typedef struct piece {
    const char *bytes;
    size_t len;
} piece_t;

/* Cuts up to the next NUL off the front. */
static piece_t cut(const char **at, size_t *left) {
    const char *nul = memchr(*at, '\0', *left);
    piece_t p = {*at, nul ? (size_t)(nul - *at) : *left};
    *at += p.len + (nul != NULL);
    *left -= p.len + (nul != NULL);
    return p;
}

static void extract(pattern_t *re, piece_t text) {
    extract_t e = {.select = SELECT_REGEX, .regex = re, .join_with = str_new("|", 1)};
    extract_cache_t cache = {0};
    value_t answer = value_string(text.bytes, text.len), v;
    err_t err;
    extract_source_t source = {.text = answer, .finish_reason = "stop"};
    bool found;
    if (extract_run(&e, &source, &cache, &v, &found, &err) == SDG_OK && v.kind != VALUE_STRING) abort();
    value_free(v);
    value_free(answer);
    extract_cache_free(&cache);
    extract_free(&e); /* the pattern too */
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (size > 4096) return 0;
    const char *at = (const char *)bytes;
    piece_t pattern = cut(&at, &size), with = cut(&at, &size), text = {at, size};
    err_t err;
    value_t v;
    pattern_t *re = regex_compile(pattern.bytes, pattern.len, REGEX_DOTALL, &err);
    if (!re) return 0;
    if (regex_findall(re, text.bytes, text.len, 1000, &v, &err) == SDG_OK && list_count(v) > 1000) abort();
    value_free(v);
    regex_replace(re, text.bytes, text.len, with.bytes, with.len, &v, &err);
    value_free(v);
    extract(re, text);
    return 0;
}
