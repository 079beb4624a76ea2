/* Rows that have been leased and have not started. */
#include "actors/worker/waiting.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void add(waiting_t *waiting, uint64_t first, uint64_t count, bool again) {
    static char texts[64][32];
    row_in_t rows[64];
    for (uint64_t i = 0; i < count; i++) {
        int len =
            first + i == 3 ? 0 : snprintf(texts[i], sizeof texts[i], "{\"n\": %u}", (unsigned)(first + i));
        rows[i] = (row_in_t){.index = first + i, .line = first + i + 1, .raw = {texts[i], (size_t)len}};
    }
    waiting_add(waiting, &(row_in_list_t){rows, count}, again);
}

Test(waiting, rows_come_out_as_they_went_in) {
    waiting_t waiting = {0};
    add(&waiting, 0, 0, false);
    cr_assert_null(waiting_take(&waiting));
    add(&waiting, 0, 5, false);
    add(&waiting, 5, 2, true);
    cr_assert_eq(waiting.count, 7);
    for (uint64_t i = 0; i < 7; i++) {
        waiting_row_t *row = waiting_take(&waiting);
        char want[32] = "";
        if (i != 3) snprintf(want, sizeof want, "{\"n\": %u}", (unsigned)i);
        cr_assert(row->index == i && row->line == i + 1 && row->again == (i >= 5));
        cr_assert_eq(row->len, strlen(want));
        cr_assert_eq(memcmp(row->raw, want, row->len), 0);
        waiting_row_free(row);
        if (i == 2) add(&waiting, 7, 1, false);
    }
    cr_assert_eq(waiting.count, 1);
    waiting_drop(&waiting);
    cr_assert(waiting.count == 0 && waiting.bytes == 0 && !waiting.first);
    add(&waiting, 8, 1, false); /* usable again */
    waiting_drop(&waiting);
}
