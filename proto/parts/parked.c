/* parked.c - a count, then 20 bytes for each question, in the byte order of this machine: the bytes of a row
 * between two passes never leave it. */
#include "proto/parts/parked.h"

#include <stdlib.h>
#include <string.h>

enum { QUESTION_BYTES = 20 };

void parked_write(buf_t *out, const parked_question_t *questions, uint32_t count) {
    buf_add(out, &count, sizeof count);
    for (uint32_t i = 0; i < count; i++) {
        buf_add(out, &questions[i].hash_high, 8);
        buf_add(out, &questions[i].hash_low, 8);
        buf_add(out, &questions[i].answers, 4);
    }
}

int parked_read(const char *bytes, size_t len, parked_question_t **questions, uint32_t *count, size_t *used,
                err_t *err) {
    *questions = NULL;
    *count = 0;
    if (len < sizeof *count) return err_set(err, SDG_EPARSE, "a row between passes has no head");
    memcpy(count, bytes, sizeof *count);
    if (*count > (len - sizeof *count) / QUESTION_BYTES) {
        *count = 0;
        return err_set(err, SDG_EPARSE, "a row between passes ends in its head");
    }
    *used = sizeof *count + (size_t)*count * QUESTION_BYTES;
    if (*count) *questions = xcalloc(*count, sizeof **questions);
    const char *at = bytes + sizeof *count;
    for (uint32_t i = 0; i < *count; i++, at += QUESTION_BYTES) {
        memcpy(&(*questions)[i].hash_high, at, 8);
        memcpy(&(*questions)[i].hash_low, at + 8, 8);
        memcpy(&(*questions)[i].answers, at + 16, 4);
    }
    return SDG_OK;
}
