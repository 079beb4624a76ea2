/* mock_tags.h - the simulated server's default answer to a prompt that asks for tags: a model would write
 * them, so a pipeline that selects a tag can be tried without rules. Pure. */
#ifndef SDG_ACTORS_MOCK_MOCK_TAGS_H
#define SDG_ACTORS_MOCK_MOCK_TAGS_H

#include <stdbool.h>

#include "actors/mock/mock_rules.h"
#include "core/base/buf.h"

/* Adds one line `<name>simulated name: the question</name>` for each tag that the messages ask for, in their
 * order. A tag is asked for when it stands there with its closing tag ("<q></q>"), or when the text speaks of
 * tags ("in <q> tags"). False, and nothing added: none is. */
bool mock_tags_write(buf_t *out, const mock_view_t *view);

#endif
