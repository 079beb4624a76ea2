/* source_internal.h - what a kind of source (source_file.c, source_store.c) gives to source.c. To add one: a
 * struct that begins with source_t, its operations, a constructor in source.h. */
#ifndef SDG_ACTORS_CLIENT_SOURCE_INTERNAL_H
#define SDG_ACTORS_CLIENT_SOURCE_INTERNAL_H

#include "actors/client/source.h"

typedef struct source_ops {
    source_got_t (*next)(source_t *s, row_in_t *row, err_t *why);
    uint64_t (*row_bytes)(const source_t *s);                  /* NULL: rows take nothing of an input */
    int (*fd)(const source_t *s);                              /* NULL: it never waits */
    void (*progress)(const source_t *s, source_progress_t *p); /* NULL: it reads no file */
    void (*destroy)(source_t *s);
} source_ops_t;

struct source {
    const source_ops_t *ops;
};

#endif
