/* template.h - text with placeholders, compiled once: {name} {a.b} {a.b[0]} {name.img:detail=high}.
 *
 * Names: [A-Za-z0-9_.-]+ with [n] indexes, or letters of any script. The whole dotted name is tried as one
 * key first (innermost scope first), then as a path; then templates[].text (rendered in turn,
 * TEMPLATE_DEPTH_MAX), then files[].content. Anything else in braces stays as written. */
#ifndef SDG_MABEL_TEXT_TEMPLATE_H
#define SDG_MABEL_TEXT_TEMPLATE_H

#include "core/base/buf.h"
#include "core/mabel/text/scope.h"

typedef struct text_template template_t;

typedef enum template_missing {
    /* Prompts and final values: an unresolved ASCII name becomes "", a non-ASCII one stays as written. */
    TEMPLATE_EMPTY,
    /* MEX strings: unresolved names stay as written, such as "\d{3}". */
    TEMPLATE_VERBATIM,
} template_missing_t;

template_t *template_compile(const char *text, size_t len); /* never fails */
void template_destroy(template_t **t);

/* Could the text stand in braces as a name? It has to hold more than digits and punctuation. */
bool template_is_name(const char *text, size_t len);
bool template_is_plain(const template_t *t); /* no placeholder at all */
str_t *template_text(const template_t *t);   /* the source; borrowed */
bool template_has_images(const template_t *t);

/* Text form of everything; images stay as written. SDG_ELIMIT when `out` is full or templates nest too
 * deep. */
int template_render(const template_t *t, scope_t *scope, template_missing_t missing, buf_t *out, err_t *err);

/* A text is whole when it is exactly one placeholder. */
bool template_is_whole(const template_t *t);
/* The placeholder's name, borrowed; NULL when the text is not whole. */
const dotted_t *template_whole(const template_t *t);
/* The text where a value is wanted: a whole one gives the value itself (null and *resolved false when nothing
 * has that name), any other one renders to text. *out is owned by the caller. */
int template_value(const template_t *t, scope_t *scope, template_missing_t missing, value_t *out,
                   bool *resolved, err_t *err);

/* A part of a prompt with images: a run of text, or an image. */
typedef struct template_part {
    bool is_image;
    value_t text;       /* of a run: a string, owned by the caller of template_parts */
    str_t *image;       /* of an image: its name without ".img"; borrowed from the template */
    const char *detail; /* of an image: "auto", "low", "high"; a constant */
} template_part_t;
/* The parts in order. The caller frees the array and the texts in it. */
int template_parts(const template_t *t, scope_t *scope, template_part_t **parts, size_t *count, err_t *err);

/* Calls `each` with the name of each image, without ".img". */
void template_each_image(const template_t *t, void (*each)(void *arg, const char *name, size_t len),
                         void *arg);
/* Calls `each` with the whole dotted name of each placeholder that is no image, for checks at load time. */
void template_each_name(const template_t *t, void (*each)(void *arg, const char *name, size_t len),
                        void *arg);

#endif
