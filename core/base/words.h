/* words.h - numbers as text for people. */
#ifndef SDG_BASE_WORDS_H
#define SDG_BASE_WORDS_H

#include <stdint.h>

#include "core/base/buf.h"

void words_count(buf_t *out, uint64_t n);     /* 1,234,567 */
void words_duration(buf_t *out, uint64_t ns); /* 850 ms, 12.3 s, 1m07s, 3h05m */
void words_bytes(buf_t *out, uint64_t bytes); /* 34 MiB */

#endif
