/* fuzz_library - the public face: any texts as a chat request, structs of any size, and any sequence of calls
 * to a cache, against a list that does the same slowly. */
#include "tests/fuzz/input.h"

#include "core/base/json.h"
#include "proto/sdg/cache.h"
#include "proto/sdg/llm.h"

enum { KEYS = 16, CACHE_MAX = 4 };

static void check_request(fuzz_input_t *in) {
    char *model = fuzz_line(in, NULL), *prompt = fuzz_line(in, NULL), *params = fuzz_line(in, NULL);
    sdg_error_t error = {0};
    char *body = sdg_chat_request(model, NULL, prompt, params[0] ? params : NULL, &error);
    value_t v;
    CHECK(body || error.text[0], "refused without a word");
    if (body) {
        CHECK(json_parse_text(body, strlen(body), &v, NULL) == SDG_OK && v.kind == VALUE_OBJECT, "%s", body);
        value_free(v);
    }
    sdg_free(body);
    free(model), free(prompt), free(params);
}

static void check_sizes(fuzz_input_t *in) {
    sdg_error_t error = {0};
    sdg_llm_options_t options = {.size = fuzz_number(in, 2)};
    sdg_llm_t *llm = sdg_llm_new(&options, &error);
    CHECK(llm || error.text[0], "refused without a word");
    sdg_llm_destroy(&llm);
}

/* The keys in the cache, the oldest first. */
typedef struct order {
    uint64_t keys[CACHE_MAX];
    size_t count;
} order_t;

static bool order_take(order_t *l, uint64_t key) {
    for (size_t i = 0; i < l->count; i++) {
        if (l->keys[i] != key) continue;
        memmove(&l->keys[i], &l->keys[i + 1], (--l->count - i) * sizeof *l->keys);
        return true;
    }
    return false;
}

static void check_put(sdg_cache_t *cache, order_t *l, uint64_t key, void *value) {
    sdg_cache_entry_t left = {0};
    bool had = order_take(l, key), full = l->count == CACHE_MAX; /* a key has the same value each time */
    uint64_t oldest = l->keys[0];
    if (full) order_take(l, oldest);
    bool leaves = sdg_cache_put(cache, key, value, &left);
    CHECK(leaves == (!had && full), "key %llu", (unsigned long long)key);
    CHECK(!leaves || left.key == oldest, "%llu left", (unsigned long long)left.key);
    l->keys[l->count++] = key;
}

static void check_cache(fuzz_input_t *in) {
    static char values[KEYS];
    sdg_cache_t *cache = sdg_cache_new(CACHE_MAX, NULL);
    order_t l = {0};
    while (fuzz_more(in)) {
        uint8_t what = fuzz_byte(in);
        uint64_t key = what % KEYS;
        sdg_cache_entry_t oldest = {0};
        if (what < 96) {
            check_put(cache, &l, key, &values[key]);
        } else if (what < 192) {
            bool has = order_take(&l, key);
            if (has) l.keys[l.count++] = key;
            CHECK(sdg_cache_get(cache, key) == (has ? &values[key] : NULL), "key %llu",
                  (unsigned long long)key);
        } else {
            bool has = order_take(&l, key);
            CHECK(sdg_cache_remove(cache, key) == (has ? &values[key] : NULL), "key %llu",
                  (unsigned long long)key);
        }
        CHECK(sdg_cache_oldest(cache, &oldest) == (l.count > 0), "%zu keys", l.count);
        CHECK(l.count == 0 || oldest.key == l.keys[0], "%llu is the oldest", (unsigned long long)oldest.key);
    }
    sdg_cache_destroy(&cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    check_request(&in);
    check_sizes(&in);
    check_cache(&in);
    return 0;
}
