/* samples.c - see samples.h. */
#include "proto/parts/samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"

bool samples_wants(const samples_t *s, const char *kind) {
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->item[i].kind, kind) == 0) return false;
    }
    return s->count < REASONS_MAX;
}

/* At most so many bytes, and no half character at their end. */
static size_t cut(const char *text, size_t len) {
    if (len <= SAMPLE_BYTES_MAX) return len;
    len = SAMPLE_BYTES_MAX;
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80) {
        len--;
    }
    return len;
}

void samples_keep(samples_t *s, const char *kind, const char *text, size_t len) {
    if (!samples_wants(s, kind)) return;
    snprintf(s->item[s->count].kind, sizeof s->item[s->count].kind, "%s", kind);
    s->item[s->count++].text = xstrndup(text, cut(text, len));
}

value_t samples_of(const samples_t *s) {
    value_t v = value_object(s->count);
    for (size_t i = 0; i < s->count; i++) {
        object_set_text(&v, s->item[i].kind, value_text(s->item[i].text));
    }
    return v;
}

void samples_free(samples_t *s) {
    for (size_t i = 0; i < s->count; i++) {
        free(s->item[i].text);
    }
    *s = (samples_t){0};
}
