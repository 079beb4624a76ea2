/* test_job.c - the options of a job, from client to worker. */
#include "proto/parts/job.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

static job_options_t there_and_back(const job_options_t *o) {
    buf_t json;
    job_options_t back;
    err_t err = {0};
    buf_init(&json, 1 << 20);
    job_options_encode(o, &json);
    cr_assert_eq(job_options_decode(json.data, json.len, &back, &err), SDG_OK, "%s", err.text);
    buf_free(&json);
    return back;
}

Test(job, defaults_come_back) {
    job_options_t o, back;
    job_options_init(&o);
    back = there_and_back(&o);
    cr_assert(back.row.retry_on_empty);
    cr_assert_not(back.row.save_intermediate || back.row.seeded || back.row.trace || back.http2);
    cr_assert_eq(back.row.mapping_count, 0);
    job_options_free(&o);
    job_options_free(&back);
}

Test(job, all_options_come_back) {
    job_options_t o, back;
    job_options_init(&o);
    o.row.save_intermediate = o.row.trace = o.http2 = o.row.seeded = true;
    o.row.retry_on_empty = false;
    o.row.seed = UINT64_MAX;
    o.row.stop_before = 7;
    o.gc_rows = 100;
    o.memory_bytes = (uint64_t)5 << 32;
    o.store = (job_store_t){.endpoint = xstrdup("ipc:///x"),
                            .calls = true,
                            .late = true,
                            .first_row = 3,
                            .end_row = 9,
                            .contexts = true,
                            .batch = true};
    job_options_map(&o, "question", "Frage \"1\"");
    job_options_map(&o, "\xe8\xb3\xaa", "");
    back = there_and_back(&o);
    cr_assert(back.row.save_intermediate && back.row.trace && back.http2 && back.row.seeded);
    cr_assert_not(back.row.retry_on_empty);
    cr_assert_eq(back.row.seed, UINT64_MAX, "all 64 bits");
    cr_assert(back.row.stop_before == 7 && back.gc_rows == 100 && back.memory_bytes == (uint64_t)5 << 32);
    cr_assert_str_eq(back.store.endpoint, "ipc:///x");
    cr_assert(back.store.calls && back.store.late && back.store.contexts && back.store.batch &&
              back.store.first_row == 3 && back.store.end_row == 9);
    cr_assert_eq(back.row.mapping_count, 2);
    cr_assert_str_eq(back.row.mapping[0].to, "Frage \"1\"");
    cr_assert_str_eq(back.row.mapping[1].from, "\xe8\xb3\xaa");
    cr_assert_str_eq(back.row.mapping[1].to, "");
    job_options_free(&o);
    job_options_free(&back);
}

static int decode(const char *json) {
    job_options_t o;
    err_t err = {0};
    int rc = job_options_decode(json, strlen(json), &o, &err);
    cr_assert(rc == SDG_OK || strncmp(err.text, "job options", 11) == 0, "%s", err.text);
    job_options_free(&o);
    return rc;
}

Test(job, what_is_not_an_object_is_refused) {
    cr_assert_eq(decode("[]"), SDG_EPARSE);
    cr_assert_eq(decode("null"), SDG_EPARSE);
    cr_assert_eq(decode("{"), SDG_EPARSE);
    cr_assert_eq(decode(""), SDG_EPARSE);
}

Test(job, unknown_keys_and_odd_values_are_ignored) {
    job_options_t o;
    const char *json = "{\"later\": [1], \"seed\": 5, \"retry_on_empty\": null, \"mapping\": [[\"a\"], 3, "
                       "[\"a\", 1], [\"a\", \"b\"]]}";
    cr_assert_eq(job_options_decode(json, strlen(json), &o, NULL), SDG_OK);
    cr_assert_not(o.row.seeded);
    cr_assert(o.row.retry_on_empty);
    cr_assert_eq(o.row.mapping_count, 1);
    cr_assert_str_eq(o.row.mapping[0].from, "a");
    job_options_free(&o);
}
