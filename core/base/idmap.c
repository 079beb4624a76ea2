/* idmap.c - see idmap.h. The hash is one multiplication (Fibonacci hashing), which spreads random ids and ids
 * that count upwards equally well. */
#include "core/base/idmap.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/error.h"

enum { CAP_MIN = 16 };

static size_t home(const idmap_t *map, uint64_t id) {
    uint64_t mixed = id * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(mixed >> 32) & (map->cap - 1);
}

/* Where the id is, or the free slot where it would go. */
static size_t place(const idmap_t *map, uint64_t id) {
    size_t at = home(map, id);
    while (map->slots[at].value && map->slots[at].id != id) {
        at = (at + 1) & (map->cap - 1);
    }
    return at;
}

static void grow(idmap_t *map) {
    idmap_t larger = {.cap = map->cap ? map->cap * 2 : CAP_MIN, .count = map->count};
    larger.slots = xcalloc(larger.cap, sizeof *larger.slots);
    for (size_t i = 0; i < map->cap; i++) {
        if (map->slots[i].value) larger.slots[place(&larger, map->slots[i].id)] = map->slots[i];
    }
    free(map->slots);
    *map = larger;
}

void idmap_free(idmap_t *map) {
    free(map->slots);
    *map = (idmap_t){0};
}

void *idmap_get(const idmap_t *map, uint64_t id) {
    return map->cap ? map->slots[place(map, id)].value : NULL;
}

bool idmap_add(idmap_t *map, uint64_t id, void *value) {
    assert(value);
    if ((map->count + 1) * 2 > map->cap) grow(map);
    idmap_slot_t *slot = &map->slots[place(map, id)];
    if (slot->value) return false;
    *slot = (idmap_slot_t){id, value};
    map->count++;
    return true;
}

/* Closes the hole at `hole`: a follower moves into it unless its home lies behind the hole. */
static void close_hole(idmap_t *map, size_t hole) {
    size_t mask = map->cap - 1;
    for (size_t at = (hole + 1) & mask; map->slots[at].value; at = (at + 1) & mask) {
        size_t from_home = (at - home(map, map->slots[at].id)) & mask, from_hole = (at - hole) & mask;
        if (from_home < from_hole) continue;
        map->slots[hole] = map->slots[at];
        hole = at;
    }
    map->slots[hole] = (idmap_slot_t){0};
}

void *idmap_remove(idmap_t *map, uint64_t id) {
    if (map->cap == 0) return NULL;
    size_t at = place(map, id);
    void *value = map->slots[at].value;
    if (!value) return NULL;
    close_hole(map, at);
    map->count--;
    return value;
}
