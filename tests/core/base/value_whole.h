/* value_whole.h - one value by itself to bytes and back, for tests of core/base/value_code. */
#ifndef TEST_VALUE_WHOLE_H
#define TEST_VALUE_WHOLE_H

#include "core/base/value_code.h"

static inline void value_encode(buf_t *out, value_t v) {
    value_encoder_t e;
    value_encoder_init(&e, out);
    value_encoder_value(&e, v);
    value_encoder_free(&e);
}

/* *used may be NULL: then all of `len` must be used. After SDG_EPARSE *out is null. */
static inline int value_decode(const char *bytes, size_t len, size_t *used, value_t *out, err_t *err) {
    value_decoder_t d;
    value_decoder_init(&d, bytes, len, err);
    *out = value_decoder_value(&d);
    if (used)
        *used = (size_t)(d.at - d.start);
    else if (value_decoder_end(&d) < 0)
        value_clear(out);
    value_decoder_free(&d);
    return d.rc;
}

#endif
