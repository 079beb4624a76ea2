/* think.h - where the thoughts of an answer end that has them in its text: <think>...</think> at its front.
 * Servers without a parser for reasoning leave them there; drafts in them must not be taken for the answer.
 */
#ifndef SDG_MABEL_TEXT_THINK_H
#define SDG_MABEL_TEXT_THINK_H

#include "core/mabel/text/tags.h"

typedef enum think_kind {
    THINK_NONE,    /* no thoughts */
    THINK_BLOCK,   /* <think>..</think>, up to the last closing tag; white space before it does not matter */
    THINK_ENDLESS, /* a block that never ends: all is thoughts */
    THINK_LONE,    /* a </think> without a <think> before it: perhaps thoughts, perhaps text about tags */
} think_kind_t;

typedef struct think {
    think_kind_t kind;
    span_t thoughts; /* without the tags; not trimmed */
    span_t behind;   /* what stands behind the last closing tag; NONE: the whole text; ENDLESS: nothing */
} think_t;

think_t think_find(span_t text);
/* Is it "think", in any case? */
bool think_is_name(span_t name);

#endif
