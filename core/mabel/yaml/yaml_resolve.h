/* yaml_resolve.h - what a plain YAML scalar stands for: the rules of PyYAML's safe loader (YAML 1.1).
 * Pure. */
#ifndef SDG_MABEL_YAML_YAML_RESOLVE_H
#define SDG_MABEL_YAML_YAML_RESOLVE_H

#include "core/base/error.h"
#include "core/base/value.h"

/* The value of an untagged plain scalar: null, boolean, integer, real, else text. Owned by the caller. */
value_t yaml_resolve_plain(const char *text, size_t len);

/* The value of a scalar with an explicit tag ("tag:yaml.org,2002:int"). 0, or SDG_EINVAL with a sentence: the
 * text is not of that kind, or the tag is unknown. */
int yaml_resolve_tagged(const char *tag, const char *text, size_t len, value_t *out, err_t *err);

#endif
