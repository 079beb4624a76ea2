/* names.h - one string for one name, as far as a thread remembers it.
 *
 * The names of a pipeline and the keys of its rows are the same few words again and again. name_new gives
 * each of them one string per thread, so that a comparison mostly ends at the pointer and the hash is there
 * already. It is no promise: a rare clash in the table gives a second string with the same bytes, so whoever
 * compares must still look at them when the pointers differ.
 *
 * It gives 6 % of the interpreter's instructions (`tests/bench/run.sh small-blocks`). Below 3 % it is to be
 * deleted.
 */
#ifndef SDG_BASE_NAMES_H
#define SDG_BASE_NAMES_H

#include "core/base/value.h"

/* A string with these bytes, owned by the caller as with str_new; its hash is computed. */
str_t *name_new(const char *bytes, size_t len);

#endif
