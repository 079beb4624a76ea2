/* top.h - `sdg top` (redrawn once a second) and the text of `sdg status`: the numbers of /stats.json
 * (metrics.h) in a terminal. */
#ifndef SDG_ACTORS_VERBS_TOP_H
#define SDG_ACTORS_VERBS_TOP_H

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/value.h"

int top_main(void *options);                /* top_options_t */
int top_status(const char *url, bool json); /* prints the numbers once; an exit code */

/* Pure: the object of /stats.json as some lines of text. What is missing or of another kind is shown as
 * "-". */
void top_render(value_t stats, buf_t *out);

#endif
