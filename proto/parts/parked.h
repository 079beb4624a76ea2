/* parked.h - the head of what the context store keeps of a row between two passes of batch mode; the row's
 * own bytes (row_save) follow it.
 *
 * It holds how many answers each question of the row has had: the call journal tells equal questions apart by
 * that number, so a later pass must count on from there. */
#ifndef SDG_PROTO_PARTS_PARKED_H
#define SDG_PROTO_PARTS_PARKED_H

#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"

typedef struct parked_question {
    uint64_t hash_high, hash_low; /* journal_hash (core/store/journal.h) */
    uint32_t answers;             /* answers that the question has had in earlier passes */
} parked_question_t;

void parked_write(buf_t *out, const parked_question_t *questions, uint32_t count);
/* Reads the head. *questions is the caller's (free), NULL when there are none; *used is where the row's own
 * bytes begin. SDG_EPARSE: the bytes end inside the head. */
int parked_read(const char *bytes, size_t len, parked_question_t **questions, uint32_t *count, size_t *used,
                err_t *err);

#endif
