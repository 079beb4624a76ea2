/* names.c - a direct-mapped table of strings per thread: a newer name takes the place of an older one of the
 * same slot. The table ends with the thread. */
#include "core/base/names.h"

#include "core/base/error.h"
#include "core/base/per_thread.h"

#include <stdlib.h>
#include <string.h>

enum {
    SLOTS = 1024,        /* names remembered: the columns and variables of a few pipelines */
    NAME_BYTES_MAX = 40, /* longer ones are unlikely to repeat */
};

static _Thread_local str_t **table_of_thread; /* SLOTS of them, owned or NULL; NULL before the first name */

static void table_free(void *arg) {
    str_t **table = arg;
    table_of_thread = NULL;
    for (size_t i = 0; i < SLOTS; i++)
        str_free(table[i]);
    free(table);
}

static str_t **table(void) {
    if (table_of_thread) return table_of_thread;
    table_of_thread = xcalloc(SLOTS, sizeof *table_of_thread);
    per_thread_keep(table_of_thread, table_free);
    return table_of_thread;
}

str_t *name_new(const char *bytes, size_t len) {
    uint32_t hash = str_hash_bytes(bytes, len);
    str_t **slot = &table()[hash % SLOTS];
    str_t *known = *slot;
    if (known && known->hash == hash && known->len == len && memcmp(known->data, bytes, len) == 0)
        return str_ref(known);
    str_t *name = str_new(bytes, len);
    name->hash = hash;
    if (len > NAME_BYTES_MAX) return name;
    str_free(known);
    *slot = str_ref(name);
    return name;
}
