/* trace.h - shows what each block of a row did (`sdg test-run`): prompts, raw answer, outputs, variables,
 * logs, times. */
#ifndef SDG_ACTORS_VERBS_TRACE_H
#define SDG_ACTORS_VERBS_TRACE_H

#include <stdbool.h>
#include <stddef.h>

/* line: a result row with `_trace` (core/mabel/row/row.h). Prints to stdout; meta: also keys that begin with
 * "_".
 */
void trace_show(const char *line, size_t len, bool meta, bool japanese);

#endif
