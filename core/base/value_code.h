/* value_code.h - values as bytes and back, exactly: kinds, all digits of integers, all 64 bits of reals,
 * strings with any bytes, the order of keys, and what is shared. For messages and stores of ours; people and
 * other programs get JSON.
 *
 *   value  := 0 null | 1 false | 2 true | 3 integer (zigzag varint) | 4 real (8 bytes, low first)
 *           | 5 string (varint length, bytes) | 6 list (varint count, values)
 *           | 7 object (varint count, then key and value in turn; a key is a string)
 *           | 8 again (varint number: a value that came before) | 9 integer beyond 64 bits (as a string)
 *
 * A string, list or object that has several owners is marked with 64 and gets the next number when it is
 * complete, so a text of 1 MB in two columns is written once, and a list that holds the same list twice,
 * fifty levels deep, stays small. Reading gives the same sharing back. Nothing recurses on the C stack: the
 * depth of a value costs heap.
 *
 * An encoder and a decoder may be used for several values in a row, with numbers and bytes between them: what
 * the values share is shared across all of them. Values that both sides have anyway are not written when both
 * are told them before (value_encoder_know, value_decoder_know).
 *
 * A decoder takes any bytes. Each length and count is compared with the bytes that are left before anything
 * is allocated; what is read takes at most some 60 bytes of heap for each byte. After the first error it
 * gives nulls and zeros, so a reader may check once, at the end.
 */
#ifndef SDG_BASE_VALUE_CODE_H
#define SDG_BASE_VALUE_CODE_H

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/value.h"
#include "core/base/value_seen.h"

/* A buffer that reaches its maximum is `full`, and what it holds then is of no use. */
typedef struct value_encoder {
    buf_t *out;        /* borrowed */
    value_seen_t seen; /* numbers of the shared values so far */
    uint32_t numbers;
    struct encoder_frame *frames; /* containers being written, outermost first */
    size_t depth, cap;
} value_encoder_t;

/* An encoder is not to be copied. The values it was given do not change until value_encoder_free. */
void value_encoder_init(value_encoder_t *e, buf_t *out);
void value_encoder_free(value_encoder_t *e);
/* Before the first value. The decoder is told as many, in the same order. */
void value_encoder_know(value_encoder_t *e, value_t v);
void value_encoder_value(value_encoder_t *e, value_t v);
void value_encoder_uint(value_encoder_t *e, uint64_t n);
void value_encoder_bytes(value_encoder_t *e, const void *bytes, size_t len);

typedef struct value_decoder {
    const char *start, *at, *end; /* borrowed */
    err_t *err;                   /* borrowed, may be NULL */
    int rc;                       /* SDG_OK until something was wrong */
    value_t *shared;              /* by number */
    size_t shared_count, shared_cap;
    struct decoder_frame *frames; /* containers being read, outermost first */
    size_t depth, cap;
    size_t owed; /* bytes that the missing elements of the open containers take at least */
} value_decoder_t;

void value_decoder_init(value_decoder_t *d, const char *bytes, size_t len, err_t *err);
void value_decoder_free(value_decoder_t *d);
void value_decoder_know(value_decoder_t *d, value_t v);
value_t value_decoder_value(value_decoder_t *d);               /* owned */
uint64_t value_decoder_uint(value_decoder_t *d, uint64_t max); /* a larger one is an error */
/* A length and so many bytes, which lie inside those given to value_decoder_init; never NULL. */
const char *value_decoder_bytes(value_decoder_t *d, size_t max, size_t *len);
/* Bytes that are left are an error. Returns SDG_OK, or SDG_EPARSE if anything was wrong so far. */
int value_decoder_end(value_decoder_t *d);
/* What was read is refused by its reader. Of all errors only the first is kept. */
void value_decoder_fail(value_decoder_t *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
