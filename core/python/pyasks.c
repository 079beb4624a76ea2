/* pyasks.c - see pyasks.h. */
#include "core/python/pyasks.h"

#include <stdlib.h>

#include "core/base/grow.h"
#include "core/python/limits.h"

/* NULL: there is no such one. */
static py_ask_t *find(const py_asks_t *asks, int64_t id) {
    for (uint32_t i = 0; i < asks->count; i++)
        if (asks->items[i].id == id) return &asks->items[i];
    return NULL;
}

const char *py_asks_add(py_asks_t *asks, int64_t id, size_t bytes) {
    if (find(asks, id)) return "the Python process asked two questions under one number";
    _Static_assert(PY_ASKS_OPEN_MAX == 4096 && PY_ASKS_BYTES_MAX >> 20 == 256, "the words below say so");
    if (asks->count == PY_ASKS_OPEN_MAX) return "the call asks more than 4096 questions at once";
    if (asks->bytes + bytes > PY_ASKS_BYTES_MAX)
        return "the questions that the call asks at once are larger than 256 MiB";
    GROW(asks->items, asks->cap, asks->count + 1);
    asks->items[asks->count++] = (py_ask_t){id, bytes};
    asks->bytes += bytes;
    return NULL;
}

bool py_asks_take(py_asks_t *asks, int64_t id) {
    py_ask_t *ask = find(asks, id);
    if (!ask) return false;
    asks->bytes -= ask->bytes;
    *ask = asks->items[--asks->count];
    return true;
}

void py_asks_clear(py_asks_t *asks) {
    free(asks->items);
    *asks = (py_asks_t){0};
}
