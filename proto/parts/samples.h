/* samples.h - of each kind of failure one whole message, so that the end of a run can say what a count
 * stands for: {"ask: HTTP 400": "ask: HTTP 400: this model has no ..."}. */
#ifndef SDG_PROTO_PARTS_SAMPLES_H
#define SDG_PROTO_PARTS_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/row_types.h"
#include "core/base/value.h"
#include "proto/parts/limits.h"

typedef struct samples { /* all zero: empty */
    struct {
        char kind[ROW_REASON_MAX];
        char *text; /* owned */
    } item[REASONS_MAX];
    size_t count;
} samples_t;

/* Is there room for this kind, and no message of it yet? To be asked before a message is looked up. */
bool samples_wants(const samples_t *s, const char *kind);
/* Keeps the first message of a kind, at most SAMPLE_BYTES_MAX of it; what samples_wants denies is dropped. */
void samples_keep(samples_t *s, const char *kind, const char *text, size_t len);
value_t samples_of(const samples_t *s); /* an object of texts by kind, owned by the caller */
void samples_free(samples_t *s);

#endif
