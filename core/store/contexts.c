/* contexts.c - see contexts.h.
 *
 * A context is in memory or on disk, never both: loading takes it off the disk. A private context on disk has
 * a record here; a shared one is known only to the spill. So a shared context without a record is on disk or
 * does not exist, and `shared_spilled` tells when the disk need not be asked.
 *
 * The order of eviction is the ring `recent`, through the contexts in memory whose row is not pinned. lru.h
 * would not do: it has a fixed room and pushes out by itself, but this order may be longer than max_cached
 * (nothing can leave while the disk is full), and pinned contexts must be found by the same look-up. Only
 * `list_evictable` puts contexts into the ring or takes them out.
 *
 * The spill key of a shared context is its row. Private contexts take keys of the upper half of all numbers,
 * in the order in which they are evicted.
 */
#include "core/store/contexts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/idmap.h"
#include "core/base/rangeset.h"
#include "core/base/ring.h"
#include "core/store/limits.h"
#include "core/store/spill.h"

#define PRIVATE_KEYS (CONTEXTS_ROW_MAX + 1) /* the first spill key of a private context */

typedef struct part part_t;

/* A row that has contexts in memory, private ones on disk, or pins. A row with none of these has no
 * record. */
typedef struct context_row {
    uint64_t number;
    part_t *parts; /* owned list: the shared one if it is in memory, all private ones */
    ring_t pins;   /* pin_t.of_row, owned */
} context_row_t;

/* A worker with pins or private contexts. A worker with none of these has no record. */
typedef struct context_owner {
    uint64_t id;
    ring_t pins;  /* pin_t.of_owner */
    ring_t parts; /* part_t.owned */
} context_owner_t;

typedef struct pin {
    ring_node_t of_row, of_owner;
    context_row_t *row;
    context_owner_t *owner;
} pin_t;

struct part {
    ring_node_t recent; /* in contexts.recent: in memory and its row is not pinned */
    ring_node_t owned;  /* in owner.parts; of a shared one in no ring */
    part_t *next;       /* of the row */
    context_row_t *row;
    context_owner_t *owner; /* NULL: shared */
    char *bytes;            /* owned; NULL: on disk (private ones only: a shared one on disk has no record) */
    size_t len;
    uint64_t spill_key; /* on disk */
};

struct contexts {
    contexts_options_t options;
    spill_t *spill;       /* NULL: an evicted context is forgotten */
    idmap_t rows, owners; /* number -> context_row_t, id -> context_owner_t; owned */
    ring_t recent;        /* part_t.recent, the least recently used first */
    size_t evictable;     /* in that ring */
    rangeset_t *completed;
    idmap_t gone;          /* id of an owner that is gone -> any pointer */
    uint64_t *gone_order;  /* the last CONTEXTS_GONE_MAX of them; NULL before the first */
    uint64_t gone_count;   /* ever */
    uint64_t private_keys; /* spill keys given to private contexts, ever */
    uint64_t shared_spilled;
    contexts_stats_t stats; /* counters, cached, cached_bytes */
};

static const char PRESENT[] = ""; /* the value of all ids in an idmap_t that serves as a set */

/* ---- records */

static context_row_t *find_row(const contexts_t *c, uint64_t number) { return idmap_get(&c->rows, number); }

static context_row_t *need_row(contexts_t *c, uint64_t number) {
    context_row_t *row = find_row(c, number);
    if (row) return row;
    row = xcalloc(1, sizeof *row);
    row->number = number;
    ring_init(&row->pins);
    idmap_add(&c->rows, number, row);
    return row;
}

static void tidy_row(contexts_t *c, context_row_t *row) {
    if (row->parts || !ring_empty(&row->pins)) return;
    idmap_remove(&c->rows, row->number);
    free(row);
}

static context_owner_t *need_owner(contexts_t *c, uint64_t id) {
    context_owner_t *owner = idmap_get(&c->owners, id);
    if (owner) return owner;
    owner = xcalloc(1, sizeof *owner);
    owner->id = id;
    ring_init(&owner->pins);
    ring_init(&owner->parts);
    idmap_add(&c->owners, id, owner);
    return owner;
}

static void tidy_owner(contexts_t *c, context_owner_t *owner) {
    if (!ring_empty(&owner->pins) || !ring_empty(&owner->parts)) return;
    idmap_remove(&c->owners, owner->id);
    free(owner);
}

static part_t *find_part(const context_row_t *row, context_part_t kind, uint64_t owner) {
    for (part_t *p = row ? row->parts : NULL; p; p = p->next) {
        if (kind == CONTEXT_SHARED ? !p->owner : p->owner && p->owner->id == owner) return p;
    }
    return NULL;
}

/* ---- in memory */

static bool is_pinned(context_row_t *row) { return !ring_empty(&row->pins); }

/* Puts a context into the ring of those that may be evicted, or takes it out, as its state demands. */
static void list_evictable(contexts_t *c, part_t *p) {
    bool evictable = p->bytes && !is_pinned(p->row), listed = p->recent.next;
    if (evictable && !listed) {
        ring_add_last(&c->recent, &p->recent);
        c->evictable++;
    } else if (!evictable && listed) {
        ring_remove(&p->recent);
        c->evictable--;
    }
}

static void list_evictable_row(contexts_t *c, context_row_t *row) {
    for (part_t *p = row->parts; p; p = p->next) {
        list_evictable(c, p);
    }
}

static void make_most_recent(contexts_t *c, part_t *p) {
    if (!p->recent.next) return;
    ring_remove(&p->recent);
    ring_add_last(&c->recent, &p->recent);
}

/* Gives the context these bytes, which it takes, or none: NULL. If it was on disk, the caller has removed it
 * there. */
static void set_bytes(contexts_t *c, part_t *p, char *bytes, size_t len) {
    if (p->bytes) {
        c->stats.cached--;
        c->stats.cached_bytes -= p->len;
    }
    free(p->bytes);
    p->bytes = bytes;
    p->len = len;
    if (bytes) {
        c->stats.cached++;
        c->stats.cached_bytes += len;
    }
    list_evictable(c, p);
}

static char *copy_bytes(const void *bytes, size_t len) {
    char *copy = xmalloc(len);
    if (len) memcpy(copy, bytes, len);
    return copy;
}

static part_t *add_part(contexts_t *c, uint64_t row, context_part_t kind, uint64_t owner, char *bytes,
                        size_t len) {
    part_t *p = xcalloc(1, sizeof *p);
    p->row = need_row(c, row);
    p->next = p->row->parts;
    p->row->parts = p;
    if (kind == CONTEXT_PRIVATE) {
        p->owner = need_owner(c, owner);
        ring_add_last(&p->owner->parts, &p->owned);
    }
    set_bytes(c, p, bytes, len);
    return p;
}

/* Frees the record and the bytes in memory. The caller tidies row and owner. */
static void free_part(contexts_t *c, part_t *p) {
    part_t **link = &p->row->parts;
    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    set_bytes(c, p, NULL, 0);
    ring_remove(&p->owned);
    free(p);
}

/* ---- pins */

static pin_t *find_pin(context_row_t *row, uint64_t owner) {
    RING_EACH(&row->pins, node) {
        pin_t *pin = RING_OWNER(node, pin_t, of_row);
        if (pin->owner->id == owner) return pin;
    }
    return NULL;
}

static void add_pin(contexts_t *c, context_row_t *row, uint64_t owner) {
    if (find_pin(row, owner)) return;
    pin_t *pin = xcalloc(1, sizeof *pin);
    pin->row = row;
    pin->owner = need_owner(c, owner);
    ring_add_last(&row->pins, &pin->of_row);
    ring_add_last(&pin->owner->pins, &pin->of_owner);
    list_evictable_row(c, row);
}

static void remove_pin(contexts_t *c, pin_t *pin) {
    ring_remove(&pin->of_row);
    ring_remove(&pin->of_owner);
    list_evictable_row(c, pin->row);
    free(pin);
}

/* False: this owner did not pin the row. The caller tidies the row. */
static bool release_pin(contexts_t *c, context_row_t *row, uint64_t owner_id) {
    pin_t *pin = find_pin(row, owner_id);
    if (!pin) return false;
    context_owner_t *owner = pin->owner;
    remove_pin(c, pin);
    tidy_owner(c, owner);
    return true;
}

/* ---- to disk and back */

/* Puts a copy of the context on disk. On failure nothing has changed. */
static int spill_part(contexts_t *c, part_t *p, err_t *err) {
    uint64_t key = p->owner ? PRIVATE_KEYS + c->private_keys : p->row->number;
    int rc = spill_put(c->spill, key, p->bytes, p->len, err);
    if (rc != SDG_OK) return rc;
    p->spill_key = key;
    c->private_keys += p->owner != NULL;
    c->shared_spilled += !p->owner;
    return SDG_OK;
}

/* Moves the context to disk, or forgets it. A shared one loses its record either way. */
static int evict(contexts_t *c, part_t *p, err_t *err) {
    context_row_t *row = p->row;
    context_owner_t *owner = p->owner;
    uint64_t number = row->number;
    size_t len = p->len;
    int rc = c->spill ? spill_part(c, p, err) : SDG_OK;
    if (rc != SDG_OK) return rc;
    if (c->spill && owner)
        set_bytes(c, p, NULL, 0);
    else
        free_part(c, p);
    tidy_row(c, row);
    if (owner) tidy_owner(c, owner);
    c->stats.evictions++;
    if (c->options.evicted) c->options.evicted(c->options.context, number, len, c->spill);
    return SDG_OK;
}

static bool is_over(const contexts_t *c) {
    const contexts_options_t *o = &c->options;
    return (o->max_cached && c->stats.cached > o->max_cached) ||
           (o->max_bytes && c->stats.cached_bytes > o->max_bytes);
}

static int make_room(contexts_t *c, err_t *err) {
    int rc = SDG_OK;
    while (rc == SDG_OK && is_over(c) && !ring_empty(&c->recent)) {
        rc = evict(c, RING_OWNER(ring_first(&c->recent), part_t, recent), err);
    }
    return rc;
}

/* Takes a context off the disk. The caller frees *bytes. */
static int take_from_disk(contexts_t *c, uint64_t key, char **bytes, size_t *len, err_t *err) {
    buf_t out;
    buf_init(&out, CONTEXT_BYTES_MAX);
    int rc = spill_get(c->spill, key, &out, err);
    if (rc == SDG_OK) rc = spill_remove(c->spill, key, err);
    if (rc == SDG_OK) {
        c->stats.loads++;
        *bytes = buf_take(&out, len);
        *bytes = xrealloc(*bytes, *len); /* gives back the room that the buffer had to grow */
    }
    buf_free(&out);
    return rc;
}

static int load_shared(contexts_t *c, uint64_t row, part_t **found, err_t *err) {
    char *bytes;
    size_t len;
    if (c->shared_spilled == 0) return SDG_OK;
    int rc = take_from_disk(c, row, &bytes, &len, err);
    if (rc == SDG_ENOTFOUND) return SDG_OK;
    if (rc != SDG_OK) return rc;
    c->shared_spilled--;
    *found = add_part(c, row, CONTEXT_SHARED, 0, bytes, len);
    return SDG_OK;
}

static int load_private(contexts_t *c, part_t *p, err_t *err) {
    char *bytes;
    size_t len;
    int rc = take_from_disk(c, p->spill_key, &bytes, &len, err);
    if (rc == SDG_OK) set_bytes(c, p, bytes, len);
    return rc;
}

/* The context, in memory; *found is NULL if there is none. */
static int load(contexts_t *c, uint64_t row, context_part_t kind, uint64_t owner, part_t **found,
                err_t *err) {
    *found = find_part(find_row(c, row), kind, owner);
    if (*found) return (*found)->bytes ? SDG_OK : load_private(c, *found, err);
    return kind == CONTEXT_SHARED ? load_shared(c, row, found, err) : SDG_OK;
}

static int forget_shared_on_disk(contexts_t *c, uint64_t row, err_t *err) {
    if (c->shared_spilled == 0) return SDG_OK;
    int rc = spill_remove(c->spill, row, err);
    if (rc == SDG_ENOTFOUND) return SDG_OK;
    if (rc == SDG_OK) c->shared_spilled--;
    return rc;
}

static int forget_on_disk(contexts_t *c, const part_t *p, err_t *err) {
    return p->bytes ? SDG_OK : spill_remove(c->spill, p->spill_key, err);
}

/* ---- who may ask */

static int admit(contexts_t *c, uint64_t row, uint64_t owner, size_t len, err_t *err) {
    if (row > CONTEXTS_ROW_MAX)
        return err_set(err, SDG_ELIMIT, "row %llu is above the last possible one", (unsigned long long)row);
    if (len > CONTEXT_BYTES_MAX)
        return err_set(err, SDG_ELIMIT, "the context of row %llu has %zu bytes (at most %zu)",
                       (unsigned long long)row, len, CONTEXT_BYTES_MAX);
    bool complete = rangeset_has(c->completed, row), gone = idmap_get(&c->gone, owner);
    c->stats.late += complete || gone;
    if (complete) return err_set(err, SDG_ECANCELLED, "row %llu is complete", (unsigned long long)row);
    if (gone) return err_set(err, SDG_ECANCELLED, "worker instance %llu is gone", (unsigned long long)owner);
    return SDG_OK;
}

static void remember_gone(contexts_t *c, uint64_t id) {
    if (!c->gone_order) c->gone_order = xcalloc(CONTEXTS_GONE_MAX, sizeof *c->gone_order);
    if (!idmap_add(&c->gone, id, (void *)PRESENT)) return;
    uint64_t *place = &c->gone_order[c->gone_count % CONTEXTS_GONE_MAX];
    if (c->gone_count >= CONTEXTS_GONE_MAX) idmap_remove(&c->gone, *place);
    *place = id;
    c->gone_count++;
}

/* ---- what is asked */

static bool in_memory(const contexts_t *c, uint64_t row, context_part_t kind, uint64_t owner) {
    const part_t *p = find_part(find_row(c, row), kind, owner);
    return p && p->bytes;
}

/* The order matters: the pin comes before make_room, which may evict anything that is not pinned. */
int contexts_get_or_create(contexts_t *c, uint64_t row, context_part_t kind, uint64_t owner,
                           const void *initial, size_t initial_len, context_view_t *view, bool *created,
                           err_t *err) {
    part_t *p;
    int rc = admit(c, row, owner, initial_len, err);
    if (rc != SDG_OK) return rc;
    bool hit = in_memory(c, row, kind, owner);
    c->stats.hits += hit;
    c->stats.misses += !hit;
    rc = load(c, row, kind, owner, &p, err);
    if (rc != SDG_OK) return rc;
    if (!p && initial_len == 0)
        return err_set(err, SDG_ENOTFOUND, "row %llu has no such context", (unsigned long long)row);
    if (created) *created = !p;
    c->stats.created += !p;
    if (!p) p = add_part(c, row, kind, owner, copy_bytes(initial, initial_len), initial_len);
    add_pin(c, p->row, owner);
    *view = (context_view_t){p->bytes, p->len};
    return make_room(c, err); /* the view stays valid: the row is pinned */
}

/* The copy on disk goes first: after a failure there nothing has changed. */
int contexts_put(contexts_t *c, uint64_t row, context_part_t kind, uint64_t owner, const void *bytes,
                 size_t len, err_t *err) {
    int rc = admit(c, row, owner, len, err);
    if (rc != SDG_OK) return rc;
    part_t *p = find_part(find_row(c, row), kind, owner);
    if (p)
        rc = forget_on_disk(c, p, err);
    else if (kind == CONTEXT_SHARED)
        rc = forget_shared_on_disk(c, row, err);
    if (rc != SDG_OK) return rc;
    char *copy = copy_bytes(bytes, len); /* `bytes` may be a view of what is replaced */
    if (p)
        set_bytes(c, p, copy, len);
    else
        p = add_part(c, row, kind, owner, copy, len);
    release_pin(c, p->row, owner);
    make_most_recent(c, p);
    return make_room(c, err);
}

int contexts_pin(contexts_t *c, uint64_t row, uint64_t owner, err_t *err) {
    part_t *shared, *own;
    int rc = admit(c, row, owner, 0, err);
    if (rc == SDG_OK) rc = load(c, row, CONTEXT_SHARED, owner, &shared, err);
    if (rc == SDG_OK) rc = load(c, row, CONTEXT_PRIVATE, owner, &own, err);
    if (rc != SDG_OK) return rc;
    if (!shared && !own)
        return err_set(err, SDG_ENOTFOUND, "row %llu has no context", (unsigned long long)row);
    add_pin(c, find_row(c, row), owner);
    return make_room(c, err);
}

int contexts_unpin(contexts_t *c, uint64_t number, uint64_t owner, err_t *err) {
    context_row_t *row = find_row(c, number);
    if (!row || !release_pin(c, row, owner))
        return err_set(err, SDG_ENOTFOUND, "row %llu is not pinned by this worker",
                       (unsigned long long)number);
    tidy_row(c, row);
    return make_room(c, err);
}

/* Frees everything of a row, and its record. When the disk cannot be read, dead bytes stay on it, and nothing
 * else. */
static int drop_row(contexts_t *c, context_row_t *row, err_t *err) {
    int rc = SDG_OK;
    while (row->parts) {
        context_owner_t *owner = row->parts->owner;
        int removed = forget_on_disk(c, row->parts, err);
        if (removed != SDG_OK) rc = removed;
        free_part(c, row->parts);
        if (owner) tidy_owner(c, owner);
    }
    while (!ring_empty(&row->pins)) {
        release_pin(c, row, RING_OWNER(ring_first(&row->pins), pin_t, of_row)->owner->id);
    }
    tidy_row(c, row);
    return rc;
}

int contexts_complete(contexts_t *c, uint64_t number, err_t *err) {
    if (number > CONTEXTS_ROW_MAX || !rangeset_add(c->completed, number)) return SDG_OK;
    c->stats.completed++;
    context_row_t *row = find_row(c, number);
    int on_disk = find_part(row, CONTEXT_SHARED, 0) ? SDG_OK : forget_shared_on_disk(c, number, err);
    int rc = row ? drop_row(c, row, err) : SDG_OK;
    return rc != SDG_OK ? rc : on_disk;
}

/* Called twice, or for a row that was never here, it does nothing. */
int contexts_release(contexts_t *c, uint64_t number, uint64_t owner_id, err_t *err) {
    context_row_t *row = find_row(c, number);
    part_t *p = find_part(row, CONTEXT_PRIVATE, owner_id);
    int rc = SDG_OK;
    if (!row) return SDG_OK;
    if (p) {
        context_owner_t *owner = p->owner;
        rc = forget_on_disk(c, p, err);
        free_part(c, p);
        tidy_owner(c, owner);
        c->stats.completed++;
    }
    release_pin(c, row, owner_id);
    tidy_row(c, row);
    int room = make_room(c, err);
    return rc != SDG_OK ? rc : room;
}

static void release_pins(contexts_t *c, const context_owner_t *owner) {
    RING_EACH(&owner->pins, node) {
        pin_t *pin = RING_OWNER(node, pin_t, of_owner);
        context_row_t *row = pin->row;
        remove_pin(c, pin);
        tidy_row(c, row);
    }
}

static int drop_parts(contexts_t *c, const context_owner_t *owner, err_t *err) {
    int rc = SDG_OK;
    RING_EACH(&owner->parts, node) {
        part_t *p = RING_OWNER(node, part_t, owned);
        context_row_t *row = p->row;
        int removed = forget_on_disk(c, p, err);
        if (removed != SDG_OK) rc = removed;
        free_part(c, p);
        tidy_row(c, row);
    }
    return rc;
}

int contexts_owner_gone(contexts_t *c, uint64_t id, err_t *err) {
    context_owner_t *owner = idmap_get(&c->owners, id);
    remember_gone(c, id);
    if (!owner) return SDG_OK;
    int rc = drop_parts(c, owner, err);
    release_pins(c, owner);
    tidy_owner(c, owner);
    int room = make_room(c, err);
    return rc != SDG_OK ? rc : room;
}

void contexts_owner_back(contexts_t *c, uint64_t owner) { idmap_remove(&c->gone, owner); }

int contexts_flush(contexts_t *c, err_t *err) {
    int rc = c->spill ? spill_flush(c->spill, err) : SDG_OK;
    return rc == SDG_OK ? make_room(c, err) : rc;
}

/* ---- life */

contexts_t *contexts_new(const contexts_options_t *options) {
    contexts_t *c = xcalloc(1, sizeof *c);
    c->options = *options;
    c->options.spill_path = NULL; /* the spill has a copy */
    if (options->spill_path) c->spill = spill_new(&(spill_options_t){.path = options->spill_path});
    ring_init(&c->recent);
    c->completed = rangeset_new();
    return c;
}

/* The spill is cleared first, so that no removal has to be noted for what was there. drop_row moves entries
 * of the map, so the walk is repeated until the map is empty. */
void contexts_release_all(contexts_t *c) {
    if (c->spill) spill_clear(c->spill);
    while (c->rows.count > 0) {
        for (size_t i = 0; i < c->rows.cap; i++) {
            if (c->rows.slots[i].value) drop_row(c, c->rows.slots[i].value, NULL);
        }
    }
    idmap_free(&c->gone);
    free(c->gone_order);
    c->gone_order = NULL;
    c->gone_count = 0;
    c->shared_spilled = 0;
    rangeset_destroy(&c->completed);
    c->completed = rangeset_new();
}

void contexts_destroy(contexts_t **contexts) {
    contexts_t *c = *contexts;
    if (!c) return;
    contexts_release_all(c);
    spill_destroy(&c->spill);
    idmap_free(&c->rows);
    idmap_free(&c->owners);
    rangeset_destroy(&c->completed);
    free(c);
    *contexts = NULL;
}

void contexts_stats(const contexts_t *c, contexts_stats_t *stats) {
    spill_stats_t spill = {0};
    if (c->spill) spill_stats(c->spill, &spill);
    uint64_t asked = c->stats.hits + c->stats.misses;
    *stats = c->stats;
    stats->max_cached = c->options.max_cached;
    stats->max_bytes = c->options.max_bytes;
    stats->pinned = c->stats.cached - c->evictable;
    stats->spilled = spill.count;
    stats->spilled_bytes = spill.bytes;
    stats->hit_rate = asked ? (double)c->stats.hits / (double)asked : 0;
}

/* ---- invariants */

typedef struct census {
    size_t cached, evictable, private_parts, private_spilled, pins;
    uint64_t bytes;
} census_t;

/* Asserts what must hold of one context, and counts it. */
static void check_part(const contexts_t *c, part_t *p, census_t *all) {
    assert(p->owner || p->bytes);
    assert(p->owner ? p->owned.next != NULL : !p->owned.next);
    assert((p->recent.next != NULL) == (p->bytes && !is_pinned(p->row)));
    assert(!p->owner || idmap_get(&c->owners, p->owner->id) == p->owner);
    assert(!p->owner || !idmap_get(&c->gone, p->owner->id));
    all->private_parts += p->owner != NULL;
    all->evictable += p->recent.next != NULL;
    if (p->bytes) {
        all->cached++;
        all->bytes += p->len;
    } else {
        all->private_spilled++;
        assert(spill_has(c->spill, p->spill_key, NULL) == SDG_OK);
    }
}

/* Asserts what must hold of one row, and counts what it has. */
static void check_row(const contexts_t *c, context_row_t *row, census_t *all) {
    size_t shared = 0;
    assert(row->parts || is_pinned(row));
    assert(!rangeset_has(c->completed, row->number));
    for (part_t *p = row->parts; p; p = p->next) {
        assert(p->row == row);
        assert(p->owner ? find_part(row, CONTEXT_PRIVATE, p->owner->id) == p : shared++ == 0);
        check_part(c, p, all);
    }
    if (shared && c->spill) assert(spill_has(c->spill, row->number, NULL) == SDG_ENOTFOUND);
    RING_EACH(&row->pins, node) {
        const pin_t *pin = RING_OWNER(node, pin_t, of_row);
        assert(pin->row == row && find_pin(row, pin->owner->id) == pin);
        assert(!idmap_get(&c->gone, pin->owner->id));
        all->pins++;
    }
}

static size_t length(const ring_t *ring) {
    size_t n = 0;
    RING_EACH(ring, node) n++;
    return n;
}

/* Asserts that what was counted at the rows agrees with the counters, the owners and the spill. */
void contexts_check(contexts_t *c) {
    census_t all = {0};
    size_t pins = 0, parts = 0;
    spill_stats_t spill = {0};
    for (size_t i = 0; i < c->rows.cap; i++) {
        if (c->rows.slots[i].value) check_row(c, c->rows.slots[i].value, &all);
    }
    for (size_t i = 0; i < c->owners.cap; i++) {
        const context_owner_t *owner = c->owners.slots[i].value;
        if (!owner) continue;
        assert(!ring_empty(&owner->pins) || !ring_empty(&owner->parts));
        pins += length(&owner->pins);
        parts += length(&owner->parts);
    }
    if (c->spill) spill_stats(c->spill, &spill);
    assert(all.cached == c->stats.cached && all.bytes == c->stats.cached_bytes);
    assert(all.evictable == c->evictable && length(&c->recent) == c->evictable);
    assert(all.pins == pins && all.private_parts == parts);
    assert(spill.count == c->shared_spilled + all.private_spilled);
    assert(c->gone.count <= CONTEXTS_GONE_MAX);
}
