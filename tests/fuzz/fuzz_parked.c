/* fuzz_parked.c - any bytes as the head of a row between passes: refused in words, or written back as they
 * were. */
#include <stdlib.h>
#include <string.h>

#include "proto/parts/parked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    parked_question_t *questions;
    uint32_t count;
    size_t used;
    err_t err = {0};
    buf_t again;
    if (parked_read((const char *)data, size, &questions, &count, &used, &err) != SDG_OK) {
        if (!err.text[0]) abort();
        return 0;
    }
    buf_init(&again, size);
    parked_write(&again, questions, count);
    if (again.len != used || memcmp(again.data, data, used) != 0) abort();
    buf_free(&again);
    free(questions);
    return 0;
}
