/* idmap.h - a map from 64-bit ids to pointers: open addressing, linear probing, no tombstones (a removal
 * moves its followers back), so a lookup stays short however many ids have come and gone. Owns nothing it
 * points to. */
#ifndef SDG_BASE_IDMAP_H
#define SDG_BASE_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct idmap_slot {
    uint64_t id;
    void *value; /* NULL: free */
} idmap_slot_t;

typedef struct idmap {
    idmap_slot_t *slots; /* owned; a power of two, at most half full */
    size_t cap, count;
} idmap_t;

void idmap_free(idmap_t *map);                    /* an all-zero idmap_t is an empty map */
void *idmap_get(const idmap_t *map, uint64_t id); /* NULL if absent */
/* False if the id was there already: then nothing changes. `value` is not NULL. */
bool idmap_add(idmap_t *map, uint64_t id, void *value);
void *idmap_remove(idmap_t *map, uint64_t id); /* what was there, or NULL */

/* Each entry, as an idmap_slot_t *, in no order. Nothing may be added or removed meanwhile. */
#define IDMAP_EACH(map, slot)                                                              \
    for (idmap_slot_t *slot = (map)->slots, *slot##_end = slot ? slot + (map)->cap : NULL; \
         slot != slot##_end; slot++)                                                       \
        if (slot->value)

#endif
