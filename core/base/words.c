/* words.c - see words.h. */
#include "core/base/words.h"

#include <inttypes.h>
#include <stdio.h>

void words_count(buf_t *out, uint64_t n) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) buf_addc(out, ',');
        buf_addc(out, digits[i]);
    }
}

void words_duration(buf_t *out, uint64_t ns) {
    double s = (double)ns / 1e9;
    unsigned whole = (unsigned)(s + 0.5);
    if (s < 1)
        buf_addf(out, "%.3g ms", s * 1e3);
    else if (s < 60)
        buf_addf(out, "%.1f s", s);
    else if (s < 3600)
        buf_addf(out, "%um%02us", whole / 60, whole % 60);
    else
        buf_addf(out, "%uh%02um", whole / 3600, whole / 60 % 60);
}

void words_bytes(buf_t *out, uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double n = (double)bytes;
    int u = 0;
    for (; n >= 1024 && u < 4; u++) {
        n /= 1024;
    }
    buf_addf(out, n < 10 && u > 0 ? "%.1f %s" : "%.0f %s", n, units[u]);
}
