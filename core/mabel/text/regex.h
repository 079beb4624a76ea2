/* regex.h - PCRE2 with bounds: Unicode classes, match and heap limits, JIT. A catastrophic pattern fails with
 * a sentence. */
#ifndef SDG_MABEL_TEXT_REGEX_H
#define SDG_MABEL_TEXT_REGEX_H

#include "core/base/error.h"
#include "core/base/value.h"

typedef struct pattern pattern_t; /* a compiled pattern, with room for one match: used by one thread */

enum { REGEX_DOTALL = 1 };

/* NULL when it is no pattern; err says what is wrong and at which character. Python's \uXXXX and \UXXXXXXXX
 * are understood. Python's (?P<name>..), (?P=name), \A and \Z are accepted as PCRE has them. */
pattern_t *regex_compile(const char *pattern, size_t len, int flags, err_t *err);
void regex_destroy(pattern_t **re);
uint32_t regex_groups(const pattern_t *re);

/* One match from byte offset `from`. Returns 1, 0 when nothing matches, or a negative code when a limit was
 * reached (err). After 1, span[2 * i] and span[2 * i + 1] are where group i begins and ends, in bytes;
 * SIZE_MAX for a group that took no part. As many groups are written as `span_max` entries have room for. */
int regex_match(pattern_t *re, const char *text, size_t len, size_t from, size_t *span, size_t span_max,
                err_t *err);

/* All matches from left to right as Python walks them: an empty match may touch the match before it, none is
 * found twice. Start with {re, text, len}; span as in regex_match, at least 2 entries. */
typedef struct regex_walk {
    pattern_t *re;
    const char *text;
    size_t len;
    size_t from;      /* where the next search starts */
    bool after_empty; /* the last match was empty: the next one at `from` must not be */
} regex_walk_t;
int regex_next(regex_walk_t *walk, size_t *span, size_t span_max, err_t *err);

/* A compiled pattern from a small cache of the calling thread, for patterns that are computed at run time.
 * Borrowed until the next call. */
pattern_t *regex_cached(const char *pattern, size_t len, int flags, err_t *err);

/* Python's re.findall: a list of texts (the whole match, or group 1), or of lists when there are several
 * groups. A group that took no part is "". At most count_max hits. */
int regex_findall(pattern_t *re, const char *text, size_t len, size_t count_max, value_t *out, err_t *err);
/* Python's re.sub with \1 \g<1> \g<name> in the replacement. */
int regex_replace(pattern_t *re, const char *text, size_t len, const char *with, size_t with_len,
                  value_t *out, err_t *err);

#endif
