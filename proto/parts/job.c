/* job.c - see job.h. To add an option: its key in job_options_encode, and the same key in job_options_decode.
 */
#include "proto/parts/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/grow.h"
#include "core/base/json.h"

void job_options_init(job_options_t *o) {
    memset(o, 0, sizeof *o);
    o->row.retry_on_empty = true;
}

void job_options_free(job_options_t *o) {
    for (size_t i = 0; i < o->row.mapping_count; i++) {
        free(o->row.mapping[i].from);
        free(o->row.mapping[i].to);
    }
    free(o->row.mapping);
    free(o->store.endpoint);
    memset(o, 0, sizeof *o);
}

void job_options_map(job_options_t *o, const char *from, const char *to) {
    size_t n = o->row.mapping_count;
    GROW_BY_ONE(o->row.mapping, n);
    o->row.mapping[n].from = xstrdup(from);
    o->row.mapping[n].to = xstrdup(to);
    o->row.mapping_count = n + 1;
}

static void encode_store(const job_store_t *store, value_t *v) {
    if (!store->endpoint) return;
    value_t s = value_object(7);
    object_set_text(&s, "endpoint", value_text(store->endpoint));
    object_set_text(&s, "calls", value_bool(store->calls));
    object_set_text(&s, "late", value_bool(store->late));
    object_set_text(&s, "first_row", value_int((int64_t)store->first_row));
    object_set_text(&s, "end_row", value_int((int64_t)store->end_row));
    object_set_text(&s, "contexts", value_bool(store->contexts));
    object_set_text(&s, "batch", value_bool(store->batch));
    object_set_text(v, "store", s);
}

void job_options_encode(const job_options_t *o, buf_t *out) {
    value_t v = value_object(8);
    value_t mapping = value_list(o->row.mapping_count);
    for (size_t i = 0; i < o->row.mapping_count; i++) {
        value_t pair = value_list(2);
        list_push(&pair, value_text(o->row.mapping[i].from));
        list_push(&pair, value_text(o->row.mapping[i].to));
        list_push(&mapping, pair);
    }
    object_set_text(&v, "save_intermediate", value_bool(o->row.save_intermediate));
    object_set_text(&v, "retry_on_empty", value_bool(o->row.retry_on_empty));
    object_set_text(&v, "trace", value_bool(o->row.trace));
    object_set_text(&v, "http2", value_bool(o->http2));
    object_set_text(&v, "mapping", mapping);
    /* A seed has 64 bits; it is written as text, because a JSON integer holds 63 (value.h). */
    if (o->row.seeded) {
        char seed[24];
        snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->row.seed);
        object_set_text(&v, "seed", value_text(seed));
    }
    encode_store(&o->store, &v);
    if (o->row.stop_before) object_set_text(&v, "stop_before", value_int(o->row.stop_before));
    if (o->gc_rows) object_set_text(&v, "gc_rows", value_int((int64_t)o->gc_rows));
    if (o->memory_bytes) object_set_text(&v, "memory_bytes", value_int((int64_t)o->memory_bytes));
    json_write(out, v, JSON_COMPACT);
    value_free(v);
}

static value_t option(value_t v, const char *key) { return object_get_peek(v, key, strlen(key), NULL); }

static void decode_mapping(value_t pairs, job_options_t *o) {
    if (pairs.kind != VALUE_LIST) return;
    for (size_t i = 0; i < list_count(pairs); i++) {
        value_t pair = list_peek(pairs, i);
        if (pair.kind != VALUE_LIST || list_count(pair) != 2) continue;
        value_t from = list_peek(pair, 0), to = list_peek(pair, 1);
        if (from.kind == VALUE_STRING && to.kind == VALUE_STRING)
            job_options_map(o, from.string->data, to.string->data);
    }
}

static uint64_t natural(value_t v) { return v.kind == VALUE_INT && v.integer > 0 ? (uint64_t)v.integer : 0; }

static void decode_store(value_t v, job_store_t *store) {
    if (v.kind != VALUE_OBJECT || option(v, "endpoint").kind != VALUE_STRING) return;
    store->endpoint = xstrdup(option(v, "endpoint").string->data);
    store->calls = value_truthy(option(v, "calls"));
    store->late = value_truthy(option(v, "late"));
    store->first_row = natural(option(v, "first_row"));
    store->end_row = natural(option(v, "end_row"));
    store->contexts = value_truthy(option(v, "contexts"));
    store->batch = value_truthy(option(v, "batch"));
}

int job_options_decode(const char *json, size_t len, job_options_t *o, err_t *err) {
    value_t v;
    job_options_init(o);
    if (json_parse_text(json, len, &v, err) != SDG_OK) return err_prefix(err, "job options");
    if (v.kind != VALUE_OBJECT) {
        value_free(v);
        return err_set(err, SDG_EPARSE, "job options: not an object");
    }
    value_t retry = option(v, "retry_on_empty"), seed = option(v, "seed");
    o->row.save_intermediate = value_truthy(option(v, "save_intermediate"));
    o->row.retry_on_empty = retry.kind != VALUE_BOOL || retry.boolean;
    o->row.trace = value_truthy(option(v, "trace"));
    o->http2 = value_truthy(option(v, "http2"));
    if (seed.kind == VALUE_STRING) {
        o->row.seeded = true;
        o->row.seed = strtoull(seed.string->data, NULL, 10);
    }
    decode_mapping(option(v, "mapping"), o);
    decode_store(option(v, "store"), &o->store);
    o->row.stop_before = (uint32_t)natural(option(v, "stop_before"));
    o->gc_rows = natural(option(v, "gc_rows"));
    o->memory_bytes = natural(option(v, "memory_bytes"));
    value_free(v);
    return SDG_OK;
}
