/* spill.c - see spill.h.
 *
 * LMDB throws a transaction away when its commit fails, and only then is a full disk noticed. So puts and
 * removals are kept in `waiting`, one per key, until a commit has written all of them. That also makes
 * growing the map simple (abort, grow, write the batch again), and what is removed soon is never written.
 *
 * A value waits (as a put), is on disk, or both: then the one that waits is the newer one. A removal that
 * waits stands for a value on disk that is dead.
 */
#include "core/store/spill.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/idmap.h"
#include "core/data/files.h"
#include "core/store/limits.h"

enum {
    WAITING_COST = 4096, /* counted for a put or removal beside its bytes: LMDB copies about a page for it */
    MAP_STEP = 1 << 20,  /* sizes of the map are multiples of this, so of any page size */
};
#define ENV_FLAGS (MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD)
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "MDB_INTEGERKEY wants keys of the size of a size_t");

typedef struct spill_waiting {
    uint64_t key;
    size_t len;
    bool removed; /* a removal; len is 0 */
    bool on_disk; /* the file has an older value of this key */
    char bytes[];
} spill_waiting_t;

struct spill {
    char *path;
    bool named;
    uint64_t map_bytes, map_bytes_first, map_bytes_max;
    MDB_env *env; /* NULL: no file yet */
    MDB_dbi dbi;
    MDB_txn *reader;   /* reset between reads: it holds no snapshot */
    void *map;         /* where LMDB has mapped the file, NULL: not looked up yet */
    uint64_t resident; /* bytes of the map that may have become resident since they were last given back */
    idmap_t waiting;   /* key -> spill_waiting_t, owned */
    uint64_t waiting_bytes; /* their cost */
    uint64_t count, bytes;  /* live values */
    uint64_t commits;
    err_t refused; /* the failure of the last commit; code 0: it succeeded */
};

spill_t *spill_new(const spill_options_t *o) {
    spill_t *s = xcalloc(1, sizeof *s);
    uint64_t first = o->map_bytes ? o->map_bytes : SPILL_MAP_BYTES,
             most = o->map_bytes_max ? o->map_bytes_max : SPILL_MAP_BYTES_MAX;
    s->path = xstrdup(o->path);
    s->named = o->named;
    s->map_bytes_max = most < MAP_STEP ? MAP_STEP : most / MAP_STEP * MAP_STEP;
    s->map_bytes_first = first < MAP_STEP ? MAP_STEP : first / MAP_STEP * MAP_STEP;
    if (s->map_bytes_first > s->map_bytes_max) s->map_bytes_first = s->map_bytes_max;
    return s;
}

static void forget_waiting(spill_t *s) {
    for (size_t i = 0; i < s->waiting.cap; i++) {
        free(s->waiting.slots[i].value);
    }
    idmap_free(&s->waiting);
    s->waiting_bytes = 0;
}

static void close_file(spill_t *s) {
    if (s->reader) mdb_txn_abort(s->reader);
    if (s->env) mdb_env_close(s->env);
    s->reader = NULL;
    s->env = NULL;
    s->map = NULL;
    s->resident = 0;
}

void spill_clear(spill_t *s) {
    forget_waiting(s);
    close_file(s);
    s->count = s->bytes = 0;
    s->refused = (err_t){0};
}

void spill_destroy(spill_t **spill) {
    if (!*spill) return;
    spill_clear(*spill);
    free((*spill)->path);
    free(*spill);
    *spill = NULL;
}

/* ---- failures */

/* A disk that fills up cuts a write short, and LMDB reports that as EIO. Writing one byte more tells why. */
static int true_cause(const spill_t *s, int rc) {
    int fd;
    struct stat st;
    if (rc != EIO || !s->env || mdb_env_get_fd(s->env, &fd) != 0 || fstat(fd, &st) != 0) return rc;
    if (pwrite(fd, "", 1, st.st_size) < 0) return errno;
    return ftruncate(fd, st.st_size) == 0 ? rc : errno;
}

static int fail(const spill_t *s, const char *what, int rc, err_t *err) {
    int cause = true_cause(s, rc);
    if (file_no_space(cause))
        return err_set(
            err, SDG_ENOSPACE,
            "no room for spilled contexts at %s (%s): free space or choose another place with --spill-dir",
            s->path, strerror(cause));
    if (cause == MDB_MAP_FULL)
        return err_set(err, SDG_ELIMIT,
                       "spilled contexts at %s have reached %llu bytes, the most they may take", s->path,
                       (unsigned long long)s->map_bytes_max);
    return err_set(err, SDG_EIO, "%s: spilled contexts %s: %s", s->path, what, mdb_strerror(cause));
}

/* ---- the file */

/* Makes a file without a name in the folder of the path, which a kill at any moment leaves nothing of. *name
 * is the one by which this process can open it. */
static int make_nameless(const char *path, char *name, size_t room) {
    char *copy = xstrdup(path);
    int fd = open(dirname(copy), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    free(copy);
    if (fd >= 0) snprintf(name, room, "/proc/self/fd/%d", fd);
    return fd;
}

/* Makes the file. With O_EXCL it is neither somebody's file nor a link that an attacker has put there. */
static int make_named(const char *path) { return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600); }

static int open_table(spill_t *s) {
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);
    if (rc != 0) return rc;
    rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &s->dbi);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

static int open_reader(spill_t *s) {
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->reader);
    if (rc == 0) mdb_txn_reset(s->reader);
    return rc;
}

static int open_named(spill_t *s, const char *name) {
    int rc = mdb_env_create(&s->env);
    if (rc == 0) rc = mdb_env_set_mapsize(s->env, s->map_bytes_first);
    if (rc == 0) rc = mdb_env_open(s->env, name, ENV_FLAGS, 0600);
    if (rc == 0 || !s->env) return rc;
    mdb_env_close(s->env);
    s->env = NULL;
    return rc;
}

/* LMDB opens the file by a name; after that the name is not needed. Not every file system has files without
 * one, and not every system /proc. */
static int open_file(spill_t *s) {
    char name[40];
    int fd = s->named ? -1 : make_nameless(s->path, name, sizeof name);
    int rc = fd >= 0 ? open_named(s, name) : ENOENT;
    if (fd >= 0) close(fd);
    if (rc == 0) return 0;
    fd = make_named(s->path);
    if (fd < 0) return errno;
    close(fd);
    rc = open_named(s, s->path);
    unlink(s->path);
    return rc;
}

static int open_env(spill_t *s) {
    int rc = open_file(s);
    if (rc == 0) rc = open_table(s);
    if (rc == 0) rc = open_reader(s);
    s->map_bytes = s->map_bytes_first;
    return rc;
}

static int need_file(spill_t *s, err_t *err) {
    if (s->env) return SDG_OK;
    int rc = open_env(s);
    if (rc == 0) return SDG_OK;
    int code = fail(s, "cannot be opened", rc, err);
    close_file(s);
    return code;
}

/* Doubles the map. LMDB gives up the old map before it asks for the new one, so a trial shows first whether
 * the system grants one of that size. */
static int grow_map(spill_t *s) {
    int fd;
    uint64_t larger = s->map_bytes * 2 < s->map_bytes_max ? s->map_bytes * 2 : s->map_bytes_max;
    if (larger == s->map_bytes) return MDB_MAP_FULL;
    int rc = mdb_env_get_fd(s->env, &fd);
    if (rc != 0) return rc;
    void *room = mmap(NULL, larger, PROT_READ, MAP_SHARED, fd, 0);
    if (room == MAP_FAILED) return errno;
    munmap(room, larger);
    s->map = NULL;
    rc = mdb_env_set_mapsize(s->env, larger);
    assert(rc == 0); /* otherwise LMDB is left without a map, and with it all that was spilled is lost */
    s->map_bytes = larger;
    return 0;
}

/* ---- resident pages */

/* Where the first value lies, which is an address inside the map. NULL when there is no value. */
static const void *address_in_map(spill_t *s) {
    MDB_cursor *cursor;
    MDB_val key, value;
    const void *found = NULL;
    if (mdb_txn_renew(s->reader) != 0) return NULL;
    if (mdb_cursor_open(s->reader, s->dbi, &cursor) == 0) {
        if (mdb_cursor_get(cursor, &key, &value, MDB_FIRST) == 0) found = key.mv_data;
        mdb_cursor_close(cursor);
    }
    mdb_txn_reset(s->reader);
    return found;
}

/* Where the map is. mdb_env_info tells that only of a map whose address was given beforehand, so the kernel
 * is asked: once, and after each growth. */
static void *find_map(spill_t *s) {
    char line[256];
    uintptr_t first, end, inside = (uintptr_t)address_in_map(s);
    void *map = NULL;
    FILE *maps = inside ? fopen("/proc/self/maps", "re") : NULL;
    while (maps && !map && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx", &first, &end) == 2 && first <= inside && inside < end &&
            end - first == s->map_bytes)
            map = (void *)first;
    }
    if (maps) fclose(maps);
    return map;
}

/* The pages stay in the page cache; only this process no longer has them. */
static void give_pages_back(spill_t *s) {
    s->resident = 0;
    if (!s->map) s->map = find_map(s);
    if (s->map) madvise(s->map, s->map_bytes, MADV_DONTNEED);
}

static void count_resident(spill_t *s, uint64_t bytes) {
    s->resident += bytes;
    if (s->resident >= SPILL_RESIDENT_BYTES) give_pages_back(s);
}

/* ---- what waits */

static uint64_t cost_of(size_t len) { return WAITING_COST + len; }

static void drop_waiting(spill_t *s, uint64_t key) {
    spill_waiting_t *w = idmap_remove(&s->waiting, key);
    if (w) s->waiting_bytes -= cost_of(w->len);
    free(w);
}

static spill_waiting_t *add_waiting(spill_t *s, uint64_t key, const void *bytes, size_t len, bool on_disk) {
    spill_waiting_t *w = xmalloc(sizeof *w + len);
    *w = (spill_waiting_t){.key = key, .len = len, .on_disk = on_disk};
    if (len) memcpy(w->bytes, bytes, len);
    drop_waiting(s, key);
    idmap_add(&s->waiting, key, w);
    s->waiting_bytes += cost_of(len);
    return w;
}

static int by_key(const void *a, const void *b) {
    uint64_t x = (*(spill_waiting_t *const *)a)->key, y = (*(spill_waiting_t *const *)b)->key;
    return (x > y) - (x < y);
}

/* What waits, in the order of keys, so that a transaction visits each page of the tree once. The caller
 * frees. */
static spill_waiting_t **sorted_waiting(const spill_t *s, bool only_removals, size_t *count) {
    spill_waiting_t **all = xmalloc(s->waiting.count * sizeof(spill_waiting_t *));
    *count = 0;
    for (size_t i = 0; i < s->waiting.cap; i++) {
        spill_waiting_t *w = s->waiting.slots[i].value;
        if (w && (w->removed || !only_removals)) all[(*count)++] = w;
    }
    qsort(all, *count, sizeof(spill_waiting_t *), by_key);
    return all;
}

/* One transaction with all of these. If it succeeds they no longer wait; if it fails nothing has changed. */
static int write_transaction(spill_t *s, spill_waiting_t **some, size_t count) {
    MDB_txn *txn;
    if (count == 0) return 0;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);
    if (rc != 0) return rc;
    for (size_t i = 0; i < count && rc == 0; i++) {
        spill_waiting_t *w = some[i];
        MDB_val key = {sizeof w->key, &w->key}, value = {w->len, w->bytes};
        rc = w->removed ? mdb_del(txn, s->dbi, &key, NULL) : mdb_put(txn, s->dbi, &key, &value, 0);
    }
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    for (size_t i = 0; i < count && rc == 0; i++)
        drop_waiting(s, some[i]->key);
    return rc;
}

static int write_batch(spill_t *s) {
    size_t count;
    spill_waiting_t **all = sorted_waiting(s, false, &count);
    int rc = write_transaction(s, all, count);
    free(all);
    return rc;
}

/* Removals alone make room when there is none for a whole batch. They are written in two transactions,
 * because LMDB reuses pages that a transaction has freed only from the next but one on. */
static void write_removals(spill_t *s) {
    size_t count;
    spill_waiting_t **all = sorted_waiting(s, true, &count);
    if (write_transaction(s, all, count / 2) == 0) write_transaction(s, all + count / 2, count - count / 2);
    free(all);
}

/* Writes what waits, in a map that grows as needed. A failure is kept in `refused`. */
static int commit(spill_t *s, err_t *err) {
    if (s->waiting.count == 0) return SDG_OK;
    int rc = write_batch(s);
    while (rc == MDB_MAP_FULL && (rc = grow_map(s)) == 0) {
        rc = write_batch(s);
    }
    s->commits += rc == 0;
    if (rc != 0) {
        fail(s, "cannot be written", rc, &s->refused);
        write_removals(s); /* so that the next try may succeed */
    }
    give_pages_back(s);
    if (rc != 0 && err) *err = s->refused;
    return rc != 0 ? s->refused.code : SDG_OK;
}

/* Makes room for one more to wait. After a failure only spill_flush tries the disk again, not every put. */
static int need_room(spill_t *s, uint64_t cost, err_t *err) {
    if (s->waiting.count == 0 || s->waiting_bytes + cost <= SPILL_BATCH_BYTES) return SDG_OK;
    if (!s->refused.code) return commit(s, err);
    if (err) *err = s->refused;
    return s->refused.code;
}

/* ---- finding */

typedef struct spill_found {
    bool there;        /* the key has a value */
    bool on_disk;      /* the file knows the key; its value may be dead */
    const char *bytes; /* borrowed until the next call that writes */
    size_t len;
} spill_found_t;

/* found->there is false when the key has no value; that is no failure. */
static int find_on_disk(spill_t *s, uint64_t key, spill_found_t *found, err_t *err) {
    MDB_val k = {sizeof key, &key}, value;
    *found = (spill_found_t){0};
    if (!s->env || s->count == 0) return SDG_OK; /* without live values, all on disk is dead */
    int rc = mdb_txn_renew(s->reader);
    if (rc == 0) {
        rc = mdb_get(s->reader, s->dbi, &k, &value);
        mdb_txn_reset(s->reader);
    }
    if (rc == 0)
        *found =
            (spill_found_t){.there = true, .on_disk = true, .bytes = value.mv_data, .len = value.mv_size};
    if (rc != 0 && rc != MDB_NOTFOUND) return fail(s, "cannot be read", rc, err);
    return SDG_OK;
}

static int find(spill_t *s, uint64_t key, spill_found_t *found, err_t *err) {
    const spill_waiting_t *w = idmap_get(&s->waiting, key);
    if (!w) return find_on_disk(s, key, found, err);
    *found = (spill_found_t){.there = !w->removed, .on_disk = w->on_disk, .bytes = w->bytes, .len = w->len};
    return SDG_OK;
}

static void count_read(spill_t *s, const spill_found_t *found) {
    if (found->on_disk) count_resident(s, found->len + SPILL_FAULT_BYTES);
}

/* ---- the spill */

int spill_put(spill_t *s, uint64_t key, const void *bytes, size_t len, err_t *err) {
    spill_found_t old;
    int rc = need_file(s, err);
    if (rc == SDG_OK) rc = need_room(s, cost_of(len), err);
    if (rc == SDG_OK) rc = find(s, key, &old, err);
    if (rc != SDG_OK) return rc;
    add_waiting(s, key, bytes, len, old.on_disk);
    s->count += !old.there;
    s->bytes += len - (old.there ? old.len : 0);
    count_read(s, &old);
    return SDG_OK;
}

int spill_get(spill_t *s, uint64_t key, buf_t *out, err_t *err) {
    spill_found_t found;
    int rc = find(s, key, &found, err);
    if (rc != SDG_OK) return rc;
    if (!found.there) return SDG_ENOTFOUND;
    buf_add(out, found.bytes, found.len);
    count_read(s, &found);
    return out->full ? err_set(err, SDG_ELIMIT, "a spilled context of %zu bytes is larger than its reader",
                               found.len)
                     : SDG_OK;
}

int spill_has(spill_t *s, uint64_t key, err_t *err) {
    spill_found_t found;
    int rc = find(s, key, &found, err);
    if (rc != SDG_OK) return rc;
    count_read(s, &found);
    return found.there ? SDG_OK : SDG_ENOTFOUND;
}

/* A value that only waits is dropped; one on disk needs a removal, which waits. */
int spill_remove(spill_t *s, uint64_t key, err_t *err) {
    spill_found_t old;
    int rc = find(s, key, &old, err);
    if (rc != SDG_OK) return rc;
    if (!old.there) return SDG_ENOTFOUND;
    count_read(s, &old);
    s->count--;
    s->bytes -= old.len;
    if (old.on_disk)
        add_waiting(s, key, NULL, 0, true)->removed = true;
    else
        drop_waiting(s, key);
    need_room(s, 0, NULL); /* a failure is no matter here: the next put or flush reports it */
    return SDG_OK;
}

int spill_flush(spill_t *s, err_t *err) {
    s->refused = (err_t){0};
    return commit(s, err);
}

void spill_stats(const spill_t *s, spill_stats_t *stats) {
    int fd;
    struct stat st;
    *stats = (spill_stats_t){.count = s->count,
                             .bytes = s->bytes,
                             .waiting = s->waiting.count,
                             .waiting_bytes = s->waiting_bytes,
                             .map_bytes = s->env ? s->map_bytes : 0,
                             .commits = s->commits};
    if (s->env && mdb_env_get_fd(s->env, &fd) == 0 && fstat(fd, &st) == 0)
        stats->file_bytes = (uint64_t)st.st_size;
}
