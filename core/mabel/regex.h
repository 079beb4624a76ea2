/* regex.h - PCRE2 with bounds: Unicode classes, match and heap limits, JIT. A catastrophic pattern fails with a sentence. */
#ifndef SDG_MABEL_REGEX_H
#define SDG_MABEL_REGEX_H

#include "core/base/error.h"
#include "core/base/value.h"

typedef struct regex regex_t_; /* the trailing underscore keeps clear of POSIX regex_t */

enum { REGEX_DOTALL = 1 };

/* err says what is wrong and at which character. Python's (?P<name>..), (?P=name) and \A \Z are accepted as PCRE has them. */
regex_t_ *regex_compile(const char *pattern, size_t len, int flags, err_t *err);
void regex_destroy(regex_t_ **re);
uint32_t regex_groups(const regex_t_ *re);

/* One match from byte offset `from`. Returns 1 and span[2*i], span[2*i+1] (byte offsets, SIZE_MAX for unmatched groups) for group
 * i <= min(groups, span_max - 1); 0 no match; negative: a limit was reached (err). */
int regex_match(regex_t_ *re, const char *text, size_t len, size_t from, size_t *span, size_t span_max, err_t *err);

/* Python's re.findall: list of texts (whole match, or group 1), or of lists when several groups; unmatched group is "". */
int regex_findall(regex_t_ *re, const char *text, size_t len, size_t count_max, value_t *out, err_t *err);
/* Python's re.sub with \1 \g<1> \g<name> in the replacement. */
int regex_replace(regex_t_ *re, const char *text, size_t len, const char *with, size_t with_len, value_t *out, err_t *err);

#endif
