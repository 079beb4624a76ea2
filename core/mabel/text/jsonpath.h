/* jsonpath.h - RFC 9535 queries: names, wildcards, indexes, slices, filters (comparisons, && || !, existence,
 * functions length count match search value), descendants. Compiled once; evaluation is bounded in nodes and
 * depth. */
#ifndef SDG_MABEL_TEXT_JSONPATH_H
#define SDG_MABEL_TEXT_JSONPATH_H

#include "core/base/error.h"
#include "core/base/value.h"

typedef struct jsonpath jsonpath_t;

/* NULL when the text is no query; err says what is wrong and at which character. */
jsonpath_t *jsonpath_compile(const char *text, size_t len, err_t *err);
void jsonpath_destroy(jsonpath_t **path);
/* *out_list: the hits in the order of the RFC, owned by the caller; null after an error. SDG_ELIMIT: the
 * query looks at too many nodes, or the value nests too deep. */
int jsonpath_select(const jsonpath_t *path, value_t root, value_t *out_list, err_t *err);

#endif
