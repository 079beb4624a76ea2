/* fuzz_tally.c - totals that a worker says, as the scheduler adds them up: any numbers, any reasons. */
#include <stdlib.h>
#include <string.h>

#include "proto/parts/tally.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static tally_t before, after, sum;
    if (size < 1) return 0;
    size_t count = data[0] < (size - 1) / sizeof(uint64_t) ? data[0] : (size - 1) / sizeof(uint64_t),
           used = 1 + count * sizeof(uint64_t);
    uint64_t *numbers = malloc(count * sizeof *numbers + 1);
    if (count) memcpy(numbers, data + 1, count * sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        if (i % 2 == 0) numbers[i] %= 2 * HIST_BUCKETS;
    }
    u64_list_t list = {numbers, count};
    before = after;
    tally_read(&after, &list, &list, (slice_t){(const char *)data + used, size - used});
    tally_add_difference(&sum, &before, &after);
    if (after.reasons.count > REASONS_MAX || sum.reasons.count > REASONS_MAX) abort();
    buf_t out;
    buf_init(&out, REASONS_JSON_BYTES);
    tally_write_reasons(&sum, &out);
    if (out.full) abort();
    buf_free(&out);
    free(numbers);
    return 0;
}
