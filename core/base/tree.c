/* tree.c - the walk behind json_write and text_write_repr.
 *
 * A stack of open containers replaces recursion: each frame is a container and the number of its next
 * element. The first frames live on the C stack, so that ordinary values need no allocation. */
#include "core/base/tree.h"

#include "core/base/error.h"
#include "core/base/grow.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES_FIRST = 32 };

typedef struct tree_frame {
    value_t container; /* borrowed */
    size_t next;
} tree_frame_t;

typedef struct tree_frames {
    tree_frame_t *frames;
    size_t count;
    size_t cap;
    tree_frame_t first[FRAMES_FIRST];
} tree_frames_t;

static void push(tree_frames_t *s, value_t container) {
    if (s->count == s->cap) {
        size_t cap = grow_cap(s->cap, s->count + 1);
        tree_frame_t *old = s->frames == s->first ? NULL : s->frames;
        tree_frame_t *frames = xrealloc(old, cap * sizeof *frames);
        if (!old) memcpy(frames, s->first, sizeof s->first);
        s->frames = frames;
        s->cap = cap;
    }
    s->frames[s->count++] = (tree_frame_t){container, 0};
}

/* Writes a scalar, or opens a container whose elements then follow. */
static void write_one(buf_t *out, value_t v, const tree_form_t *form, tree_frames_t *s) {
    if (v.kind == VALUE_STRING) {
        form->string(out, v.string);
    } else if (v.kind < VALUE_STRING) {
        form->scalar(out, v);
    } else {
        buf_addc(out, v.kind == VALUE_LIST ? '[' : '{');
        push(s, v);
    }
}

/* Writes the next element of the innermost container, with its key and what stands before it, or its end. */
static void step(buf_t *out, const tree_form_t *form, tree_frames_t *s) {
    tree_frame_t *f = &s->frames[s->count - 1];
    bool is_list = f->container.kind == VALUE_LIST;
    if (f->next == (is_list ? list_count(f->container) : object_count(f->container))) {
        buf_addc(out, is_list ? ']' : '}');
        s->count--;
        return;
    }
    size_t i = f->next++;
    if (i > 0) buf_adds(out, form->comma);
    if (is_list) {
        write_one(out, list_peek(f->container, i), form, s);
        return;
    }
    form->string(out, object_key_peek(f->container, i));
    buf_adds(out, form->colon);
    write_one(out, object_value_peek(f->container, i), form, s);
}

void tree_write(buf_t *out, value_t v, const tree_form_t *form) {
    tree_frames_t s;
    s.frames = s.first;
    s.count = 0;
    s.cap = FRAMES_FIRST;
    write_one(out, v, form, &s);
    while (s.count && !out->full)
        step(out, form, &s);
    if (s.frames != s.first) free(s.frames);
}
