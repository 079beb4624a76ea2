/* Records whose texts follow each other. */
#include "core/base/batch.h"

#include <criterion/criterion.h>
#include <stdio.h>

typedef struct text {
    const char *data;
    size_t len;
} text_t;
typedef struct record {
    uint64_t id;
    text_t name;
} record_t;

Test(batch, each_record_finds_its_text_when_all_are_in) {
    BATCH(record_t) batch = {0};
    buf_init(&batch.text, 1 << 20);
    for (uint64_t i = 0; i < 5000; i++) { /* the buffer moves several times */
        size_t before = batch.text.len;
        if (i % 3) buf_addf(&batch.text, "row %u", (unsigned)i);
        BATCH_ADD(&batch, (record_t){.id = i, .name.len = batch.text.len - before});
    }
    BATCH_POINT(&batch, name);
    for (uint64_t i = 0; i < batch.count; i++) {
        char want[16] = "";
        if (i % 3) snprintf(want, sizeof want, "row %u", (unsigned)i);
        cr_assert_eq(batch.items[i].name.len, strlen(want));
        cr_assert_eq(memcmp(batch.items[i].name.data, want, strlen(want)), 0);
    }
    BATCH_FREE(&batch);
    cr_assert_null(batch.items);
}

Test(batch, records_without_texts_point_at_nothing_but_somewhere) {
    BATCH(record_t) batch = {0};
    buf_init(&batch.text, 100);
    BATCH_ADD(&batch, (record_t){.id = 1});
    BATCH_POINT(&batch, name);
    cr_assert_not_null(batch.items[0].name.data);
    BATCH_FREE(&batch);
}

Test(batch, an_emptied_batch_keeps_a_small_buffer_and_gives_back_a_large_one) {
    BATCH(record_t) batch = {0};
    buf_init(&batch.text, 1 << 20);
    buf_adds(&batch.text, "small");
    BATCH_ADD(&batch, (record_t){.name.len = 5});
    BATCH_RESET(&batch, 4096);
    cr_assert(batch.count == 0 && batch.text.len == 0 && batch.text.data);
    buf_reserve(&batch.text, 100000);
    BATCH_RESET(&batch, 4096);
    cr_assert_null(batch.text.data);
    BATCH_FREE(&batch);
}
