/* rangeset.h - a set of row numbers kept as sorted runs [first, last]. Memory is proportional to the number
 * of gaps, not of rows: ten million finished rows in a row cost 4 KiB, each gap 16 to 32 bytes. Numbers may
 * come in any order. */
#ifndef SDG_BASE_RANGESET_H
#define SDG_BASE_RANGESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rangeset rangeset_t;

rangeset_t *rangeset_new(void);
void rangeset_destroy(rangeset_t **set);
bool rangeset_add(rangeset_t *set, uint64_t n); /* false if it was there already */
bool rangeset_has(const rangeset_t *set, uint64_t n);
uint64_t rangeset_count(const rangeset_t *set); /* numbers in the set */
size_t rangeset_runs(const rangeset_t *set);    /* what the set takes in memory; for tests */
/* The least n >= from that is not in the set. */
uint64_t rangeset_first_absent(const rangeset_t *set, uint64_t from);
/* The least *n >= from that is in the set; false: there is none. */
bool rangeset_next(const rangeset_t *set, uint64_t from, uint64_t *n);

#endif
