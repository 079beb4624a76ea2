/* source.c - see source.h. */
#include "actors/client/source_internal.h"

void source_destroy(source_t **s) {
    if (*s) (*s)->ops->destroy(*s);
    *s = NULL;
}

source_got_t source_next(source_t *s, row_in_t *row, err_t *why) { return s->ops->next(s, row, why); }

uint64_t source_row_bytes(const source_t *s) { return s->ops->row_bytes ? s->ops->row_bytes(s) : 0; }

int source_fd(const source_t *s) { return s->ops->fd ? s->ops->fd(s) : -1; }

void source_progress(const source_t *s, source_progress_t *p) {
    if (s->ops->progress) s->ops->progress(s, p);
}
