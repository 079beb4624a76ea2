/* One whole message of each kind of failure. */
#include "proto/parts/samples.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"

Test(samples, the_first_message_of_a_kind_is_kept) {
    samples_t s = {0};
    buf_t out;
    cr_expect(samples_wants(&s, "ask: HTTP 400"));
    samples_keep(&s, "ask: HTTP 400", "ask: HTTP 400: never", 20);
    cr_expect_not(samples_wants(&s, "ask: HTTP 400"));
    samples_keep(&s, "ask: HTTP 400", "another", 7);
    samples_keep(&s, "input", "line 3 is no JSON", 17);
    buf_init(&out, 4096);
    value_t v = samples_of(&s);
    json_write(&out, v, JSON_COMPACT);
    cr_expect_str_eq(out.data,
                     "{\"ask: HTTP 400\":\"ask: HTTP 400: never\",\"input\":\"line 3 is no JSON\"}");
    value_free(v);
    buf_free(&out);
    samples_free(&s);
    cr_expect_eq(s.count, 0);
}

Test(samples, kinds_and_bytes_are_bounded) {
    samples_t s = {0};
    char kind[ROW_REASON_MAX], *text = calloc(1, 2 * SAMPLE_BYTES_MAX + 1);
    for (size_t i = 0; i + 3 <= 2 * SAMPLE_BYTES_MAX; i += 3)
        memcpy(text + i, "あ", 3);
    for (int i = 0; i < REASONS_MAX + 10; i++) {
        snprintf(kind, sizeof kind, "kind %d", i);
        cr_expect_eq(samples_wants(&s, kind), i < REASONS_MAX);
        samples_keep(&s, kind, text, strlen(text));
    }
    cr_expect_eq(s.count, REASONS_MAX);
    cr_expect_eq(strlen(s.item[0].text), SAMPLE_BYTES_MAX / 3 * 3, "no half character");
    samples_free(&s);
    free(text);
}
