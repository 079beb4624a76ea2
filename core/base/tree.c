/* tree.c - the walk behind json_write and text_write_repr.
 *
 * A stack of open containers replaces recursion: each frame is a container and the number of its next
 * element. The first frames live on the C stack, so that ordinary values need no allocation. */
#include "core/base/tree.h"

#include "core/base/error.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES_FIRST = 32 };

typedef struct frame {
    value_t container; /* borrowed */
    size_t next;
} frame_t;

typedef struct open {
    frame_t *frames;
    size_t count;
    size_t cap;
    frame_t first[FRAMES_FIRST];
} open_t;

static void push(open_t *s, value_t container) {
    if (s->count == s->cap) {
        size_t cap = s->cap * 2;
        frame_t *old = s->frames == s->first ? NULL : s->frames;
        frame_t *frames = xrealloc(old, cap * sizeof *frames);
        if (!old) memcpy(frames, s->first, sizeof s->first);
        s->frames = frames;
        s->cap = cap;
    }
    s->frames[s->count++] = (frame_t){container, 0};
}

/* Writes a scalar, or opens a container whose elements then follow. */
static void write_one(buf_t *out, value_t v, const tree_form_t *form, open_t *s) {
    if (v.kind == VALUE_STRING) {
        form->string(out, v.string);
    } else if (v.kind < VALUE_STRING) {
        form->scalar(out, v);
    } else {
        buf_addc(out, v.kind == VALUE_LIST ? '[' : '{');
        push(s, v);
    }
}

static void step_list(buf_t *out, const tree_form_t *form, open_t *s) {
    frame_t *f = &s->frames[s->count - 1];
    if (f->next == list_count(f->container)) {
        buf_addc(out, ']');
        s->count--;
        return;
    }
    if (f->next) buf_adds(out, form->comma);
    write_one(out, list_peek(f->container, f->next++), form, s);
}

static void step_object(buf_t *out, const tree_form_t *form, open_t *s) {
    frame_t *f = &s->frames[s->count - 1];
    if (f->next == object_count(f->container)) {
        buf_addc(out, '}');
        s->count--;
        return;
    }
    if (f->next) buf_adds(out, form->comma);
    form->string(out, object_key_peek(f->container, f->next));
    buf_adds(out, form->colon);
    write_one(out, object_value_peek(f->container, f->next++), form, s);
}

void tree_write(buf_t *out, value_t v, const tree_form_t *form) {
    open_t s;
    s.frames = s.first;
    s.count = 0;
    s.cap = FRAMES_FIRST;
    write_one(out, v, form, &s);
    while (s.count && !out->full) {
        if (s.frames[s.count - 1].container.kind == VALUE_LIST)
            step_list(out, form, &s);
        else
            step_object(out, form, &s);
    }
    if (s.frames != s.first) free(s.frames);
}
