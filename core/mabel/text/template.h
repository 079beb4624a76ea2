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
    TEMPLATE_EMPTY, /* an unresolved ASCII name becomes "", a non-ASCII one stays as written (prompts, final
                       values) */
    TEMPLATE_VERBATIM, /* unresolved names stay as written (MEX strings: "\d{3}") */
} template_missing_t;

template_t *template_compile(const char *text, size_t len); /* never fails */
void template_destroy(template_t **t);

bool template_is_plain(const template_t *t); /* no placeholder at all */
str_t *template_text(const template_t *t);   /* the source; borrowed */
bool template_has_images(const template_t *t);

/* Text form of everything; images stay as written. SDG_ELIMIT when `out` is full or templates nest too
 * deep. */
int template_render(const template_t *t, scope_t *scope, template_missing_t missing, buf_t *out, err_t *err);

/* Value position: exactly one placeholder gives the value itself (*resolved false and null when absent); any
 * other string renders to text (TEMPLATE_VERBATIM when verbatim). */
bool template_is_whole(const template_t *t);
const dotted_t *
template_whole(const template_t *t); /* the placeholder's name, borrowed; NULL when it is not whole */
int template_value(const template_t *t, scope_t *scope, template_missing_t missing, value_t *out,
                   bool *resolved, err_t *err);

/* Prompts with images: the segments in order. text: rendered run of text (owned by caller); image: name and
 * detail. */
typedef struct template_part {
    bool is_image;
    value_t text;       /* TEXT: string. Owned */
    str_t *image;       /* IMAGE: name without ".img"; borrowed from the template */
    const char *detail; /* IMAGE: "auto", "low", "high"; borrowed */
} template_part_t;
int template_parts(const template_t *t, scope_t *scope, template_part_t **parts, size_t *count,
                   err_t *err); /* caller frees array and texts */

/* Names a template mentions (first segment and whole), for load-time hints: calls back for each
 * placeholder. */
void template_each_name(const template_t *t, void (*each)(void *arg, const char *name, size_t len),
                        void *arg);

#endif
