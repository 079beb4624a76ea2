/* journal.c - see journal.h.
 *
 * The index is a map from a row to its calls; a call is a place in the file. Records gather in `pending`
 * until they are flushed. A record's place is known when it is added, because `size` counts the pending
 * bytes, too; a look-up flushes first. The calls of a row that finishes leave the index; its number is kept,
 * so that a late record of it does not come back to life.
 */
#include "core/store/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/base/grow.h"
#include "core/base/idmap.h"
#include "core/base/log.h"
#include "core/base/rangeset.h"
#include "core/base/rng.h"
#include "core/base/safe_open.h"
#include "core/data/files.h"
#include "core/store/journal_file.h"
#include "core/store/limits.h"

typedef struct journal_call {
    uint64_t hash_high, hash_low;
    uint64_t at; /* place of the record in the file */
    uint32_t occurrence;
    uint32_t size; /* of the record with its frame, bytes */
} journal_call_t;

typedef struct row_calls {
    uint32_t count, cap;
    journal_call_t *call; /* owned */
} row_calls_t;

struct journal {
    int fd;
    char *path, *path_new; /* the file, and the one it is rewritten into */
    journal_format_t format;
    uint64_t size;         /* of the file with `pending` */
    uint64_t unsynced;     /* bytes in the kernel since the last sync began */
    uint64_t live;         /* bytes of records in the index */
    uint64_t calls;        /* in the index */
    uint64_t compact_from; /* after a failed rewrite: none before the file has this size */
    idmap_t rows;          /* row -> row_calls_t */
    rangeset_t *finished;  /* rows finished since open */
    buf_t pending;         /* not yet written */
    journal_stats_t stats; /* counters only */
    err_t failure;
};

void journal_hash(const char *model, const char *body, size_t len, journal_key_t *key) {
    XXH128_hash_t h = XXH3_128bits_withSeed(body, len, XXH3_64bits(model, strlen(model)));
    key->hash_high = h.high64;
    key->hash_low = h.low64;
}

static int fail(journal_t *j, const char *what, int error, err_t *err) {
    if (file_no_space(error))
        err_set(&j->failure, SDG_ENOSPACE, "%s: %s: %s; make room and run again: it continues from here",
                j->path, what, strerror(error));
    else
        err_set(&j->failure, SDG_EIO, "%s: %s: %s", j->path, what, safe_open_why(error));
    if (err) *err = j->failure;
    return j->failure.code;
}

static int broken(const journal_t *j, err_t *err) {
    if (j->failure.code && err) *err = j->failure;
    return j->failure.code;
}

/* ---- the index */

static journal_call_t *find_call(const journal_t *j, const journal_key_t *key) {
    const row_calls_t *r = idmap_get(&j->rows, key->row);
    for (uint32_t i = r ? r->count : 0; i > 0;
         i--) { /* the latest first: messages that come twice ask for it */
        journal_call_t *c = &r->call[i - 1];
        if (c->hash_low == key->hash_low && c->hash_high == key->hash_high &&
            c->occurrence == key->occurrence)
            return c;
    }
    return NULL;
}

/* Puts a call whose record is at `at` into the index. A full index is counted, and no error. */
static void index_call(journal_t *j, const journal_key_t *key, uint64_t at, size_t size) {
    if (j->calls == JOURNAL_CALLS_MAX) {
        j->stats.unindexed++;
        return;
    }
    row_calls_t *r = idmap_get(&j->rows, key->row);
    if (!r) {
        r = xcalloc(1, sizeof *r);
        idmap_add(&j->rows, key->row, r);
    }
    GROW(r->call, r->cap, r->count + 1);
    r->call[r->count++] = (journal_call_t){.hash_high = key->hash_high,
                                           .hash_low = key->hash_low,
                                           .at = at,
                                           .occurrence = key->occurrence,
                                           .size = (uint32_t)size};
    j->calls++;
    j->live += size;
}

static void drop_row(journal_t *j, row_calls_t *r) {
    for (uint32_t i = 0; i < r->count; i++) {
        j->live -= r->call[i].size;
    }
    j->calls -= r->count;
    free(r->call);
    free(r);
}

void journal_row_finished(journal_t *j, uint64_t row) {
    row_calls_t *r = idmap_remove(&j->rows, row);
    if (r) drop_row(j, r);
    rangeset_add(j->finished, row);
}

/* ---- opening and closing */

typedef struct journal_opening {
    journal_t *journal;
    journal_mode_t mode;
    journal_row_fn *row_of;
    void *context;
    rangeset_t *open_rows; /* among those with calls */
    journal_found_t found;
} journal_opening_t;

static bool take_record(void *context, const journal_key_t *key, const char *answer, size_t len,
                        uint64_t at) {
    journal_opening_t *o = context;
    (void)answer;
    o->found.records++;
    journal_row_t row = o->row_of ? o->row_of(o->context, key->row) : JOURNAL_ROW_OPEN;
    if (row == JOURNAL_ROW_FINISHED || find_call(o->journal, key)) return true;
    index_call(o->journal, key, at, JOURNAL_RECORD_HEAD_BYTES + len);
    if (row == JOURNAL_ROW_KEPT) return true;
    o->found.calls++;
    rangeset_add(o->open_rows, key->row);
    if (o->found.end_row == 0 || key->row < o->found.first_row) o->found.first_row = key->row;
    if (key->row >= o->found.end_row) o->found.end_row = key->row == UINT64_MAX ? key->row : key->row + 1;
    return true;
}

/* The record is lost, but so is nothing if its row is done. */
static void note_damaged(void *context, const journal_key_t *key) {
    journal_opening_t *o = context;
    bool finished = o->row_of && o->row_of(o->context, key->row) == JOURNAL_ROW_FINISHED;
    o->found.lost_finished += finished;
}

static int start_file(journal_t *j, err_t *err) {
    if (ftruncate(j->fd, 0) != 0) return fail(j, "cannot be emptied", errno, err);
    j->format = (journal_format_t){.salt = rng_entropy()};
    journal_head_write(&j->pending, j->format.salt);
    j->size = j->pending.len;
    return journal_flush(j, err);
}

/* The head of a journal that was torn or lost: what is behind it cannot be read. */
static int start_anew(journal_t *j, journal_opening_t *o, err_t *err) {
    struct stat st;
    if (fstat(j->fd, &st) != 0) return fail(j, "cannot be read", errno, err);
    o->found.lost.torn_bytes = (uint64_t)st.st_size;
    return start_file(j, err);
}

/* Indexes the records of the file and cuts off what follows the last whole one. */
static int take_file(journal_t *j, journal_opening_t *o, err_t *err) {
    struct stat st;
    journal_scan_t scan = {j->fd, j->path, j->format, take_record, note_damaged, o, 0, {0}};
    if (journal_file_scan(&scan, err) != SDG_OK) return err->code;
    if (fstat(j->fd, &st) != 0) return fail(j, "cannot be read", errno, err);
    if ((uint64_t)st.st_size > scan.end && ftruncate(j->fd, (off_t)scan.end) != 0)
        return fail(j, "cannot be cut back to its last whole record", errno, err);
    j->size = scan.end;
    o->found.lost = scan.lost;
    o->found.rows = rangeset_count(o->open_rows);
    return SDG_OK;
}

typedef struct conversion {
    int fd; /* of the new file */
    uint64_t salt;
    buf_t out; /* not yet written */
    bool failed;
} conversion_t;

static int write_out(int fd, buf_t *out) {
    size_t written;
    int rc = file_write_all(fd, out->data, out->len, &written);
    buf_reset(out);
    return rc;
}

static bool convert_record(void *context, const journal_key_t *key, const char *answer, size_t len,
                           uint64_t at) {
    conversion_t *c = context;
    (void)at;
    journal_record_write(&c->out, c->salt, key, answer, len);
    if (c->out.len >= JOURNAL_READ_BYTES) c->failed = write_out(c->fd, &c->out) != 0;
    return !c->failed;
}

/* Writes the records of a file of sdg 0.1.0 into a new file, which takes its place. */
static int convert_file(journal_t *j, journal_opening_t *o, err_t *err) {
    conversion_t c = {.fd = safe_open_fresh(j->path_new, O_RDWR | O_APPEND, 0600), .salt = rng_entropy()};
    journal_scan_t scan = {j->fd, j->path, j->format, convert_record, NULL, &c, 0, {0}};
    if (c.fd < 0) return fail(j, "cannot be rewritten for this version", errno, err);
    buf_init(&c.out, 2 * (JOURNAL_RECORD_HEAD_BYTES + JOURNAL_ANSWER_BYTES_MAX));
    journal_head_write(&c.out, c.salt);
    int rc = journal_file_scan(&scan, err);
    if (rc == SDG_OK && (c.failed || write_out(c.fd, &c.out) != 0 || fdatasync(c.fd) != 0 ||
                         rename(j->path_new, j->path) != 0))
        rc = fail(j, "cannot be rewritten for this version", errno, err);
    buf_free(&c.out);
    if (rc != SDG_OK) {
        unlink(j->path_new);
        close(c.fd);
        return rc;
    }
    close(j->fd);
    j->fd = c.fd;
    j->format = (journal_format_t){.salt = c.salt};
    rc = take_file(j, o, err);
    o->found.lost = scan.lost;
    return rc;
}

/* The file is the user's alone, also one that was made with another mode. Where that cannot be done, on a
 * file system without modes, the journal is used as it is. */
static void close_to_others(int fd) {
    struct stat st;
    if (fstat(fd, &st) == 0 && (st.st_mode & 077)) (void)!fchmod(fd, st.st_mode & 0700);
}

/* Reads the head of the file. SDG_ENOTFOUND: it is empty or torn; SDG_EINVAL or SDG_EIO: a sentence. */
static int read_format(int fd, const char *path, journal_format_t *format, err_t *err) {
    char head[JOURNAL_HEAD_LOOK_BYTES];
    ssize_t n = pread(fd, head, sizeof head, 0);
    if (n < 0) return err_set(err, SDG_EIO, "%s: cannot be read: %s", path, strerror(errno));
    int rc = journal_head_read(head, (size_t)n, format);
    if (rc != SDG_EPARSE) return rc;
    return err_set(err, SDG_EINVAL,
                   "%s: is not a call journal, or its beginning is damaged; move it away, or run with "
                   "--no-journal",
                   path);
}

/* Opens or makes the file and reads what is in it. A file that is no journal is left as it is. */
static int open_file(journal_t *j, journal_opening_t *o, err_t *err) {
    j->fd = safe_open_ordinary(j->path, O_RDWR | O_APPEND | (o->mode == JOURNAL_MAKE ? O_CREAT : 0), 0600);
    if (j->fd < 0 && errno == ENOENT && o->mode == JOURNAL_WHEN_NEEDED) return SDG_OK;
    if (j->fd < 0) return fail(j, "cannot be opened", errno, err);
    int rc = read_format(j->fd, j->path, &j->format, err);
    if (rc != SDG_OK && rc != SDG_ENOTFOUND) return rc;
    unlink(j->path_new);
    close_to_others(j->fd);
    if (rc == SDG_ENOTFOUND) return start_anew(j, o, err);
    return j->format.old ? convert_file(j, o, err) : take_file(j, o, err);
}

/* The file of a journal that was opened WHEN_NEEDED. One that somebody has put there since is left alone. */
static int make_file(journal_t *j, err_t *err) {
    if (j->fd >= 0) return SDG_OK;
    j->fd = safe_open_ordinary(j->path, O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0600);
    if (j->fd < 0) return fail(j, "cannot be made", errno, err);
    return start_file(j, err);
}

int journal_check(const char *path, err_t *err) {
    journal_format_t format;
    int fd = safe_open_ordinary(path, O_RDWR, 0);
    if (fd < 0 && errno == ENOENT) return SDG_OK;
    if (fd < 0) return err_set(err, SDG_EIO, "%s: cannot be opened: %s", path, safe_open_why(errno));
    int rc = read_format(fd, path, &format, err);
    close(fd);
    return rc == SDG_ENOTFOUND ? SDG_OK : rc;
}

journal_t *journal_open(const char *path, journal_mode_t mode, journal_row_fn *row_of, void *context,
                        journal_found_t *found, err_t *err) {
    journal_t *j = xcalloc(1, sizeof *j);
    err_t ignored;
    j->path = xstrdup(path);
    j->path_new = xasprintf("%s.new", path);
    j->finished = rangeset_new();
    buf_init(&j->pending, 2 * (JOURNAL_RECORD_HEAD_BYTES + JOURNAL_ANSWER_BYTES_MAX));
    journal_opening_t o = {
        .journal = j, .mode = mode, .row_of = row_of, .context = context, .open_rows = rangeset_new()};
    if (open_file(j, &o, err ? err : &ignored) != SDG_OK) journal_close(&j);
    rangeset_destroy(&o.open_rows);
    if (found) *found = o.found;
    return j;
}

/* Records that were not flushed are lost. */
void journal_close(journal_t **journal) {
    journal_t *j = *journal;
    if (!j) return;
    for (size_t i = 0; i < j->rows.cap; i++) {
        if (j->rows.slots[i].value) drop_row(j, j->rows.slots[i].value);
    }
    idmap_free(&j->rows);
    rangeset_destroy(&j->finished);
    buf_free(&j->pending);
    if (j->fd >= 0) close(j->fd);
    free(j->path);
    free(j->path_new);
    free(j);
    *journal = NULL;
}

/* What has become of the file: 0, or what to say of it. *gone: nothing is at its path. */
static const char *moved_how(const journal_t *j, bool *gone) {
    struct stat named, open;
    *gone = false;
    if (fstat(j->fd, &open) != 0) return NULL;
    if (lstat(j->path, &named) != 0) {
        *gone = errno == ENOENT;
        return *gone ? "removed or renamed" : NULL;
    }
    if (named.st_dev != open.st_dev || named.st_ino != open.st_ino) return "replaced by another file";
    uint64_t written = j->size - j->pending.len, size = (uint64_t)open.st_size;
    return size < written   ? "cut by another program"
           : size > written ? "written to by another program"
                            : NULL;
}

void journal_remove(journal_t **journal) {
    bool gone;
    if (!*journal) return;
    /* A file that somebody has put there is not ours to delete. */
    if ((*journal)->fd >= 0 && !moved_how(*journal, &gone)) unlink((*journal)->path);
    journal_close(journal);
}

/* ---- adding and finding */

/* After a failed write the file is cut back, so that it ends with a whole record. */
int journal_flush(journal_t *j, err_t *err) {
    size_t written;
    if (broken(j, err)) return j->failure.code;
    if (j->pending.len == 0) return SDG_OK;
    uint64_t start = j->size - j->pending.len;
    if (file_write_all(j->fd, j->pending.data, j->pending.len, &written) != 0) {
        int error = errno;
        /* If this fails, too, the torn record is cut off when the file is next opened. */
        int cut = ftruncate(j->fd, (off_t)start);
        (void)cut;
        return fail(j, "cannot be written", error, err);
    }
    j->unsynced += j->pending.len;
    buf_reset(&j->pending);
    if (j->pending.cap > 4 * JOURNAL_READ_BYTES) buf_free(&j->pending); /* after a giant answer */
    return SDG_OK;
}

/* Flushes before `pending` becomes larger than one write is worth. */
int journal_add(journal_t *j, const journal_key_t *key, const char *answer, size_t len, err_t *err) {
    if (broken(j, err)) return j->failure.code;
    if (len > JOURNAL_ANSWER_BYTES_MAX)
        return err_set(err, SDG_ELIMIT, "an answer of %zu bytes is not kept in the journal (at most %zu)",
                       len, JOURNAL_ANSWER_BYTES_MAX);
    if (rangeset_has(j->finished, key->row) || find_call(j, key)) return SDG_OK;
    if (make_file(j, err) != SDG_OK) return j->failure.code;
    size_t size = JOURNAL_RECORD_HEAD_BYTES + len;
    if (j->pending.len + size > JOURNAL_READ_BYTES && journal_flush(j, err) != SDG_OK) return j->failure.code;
    journal_record_write(&j->pending, j->format.salt, key, answer, len);
    assert(!j->pending.full);
    index_call(j, key, j->size, size);
    j->size += size;
    j->stats.added++;
    return SDG_OK;
}

int journal_sync(journal_t *j, err_t *err) {
    if (journal_flush(j, err) != SDG_OK) return j->failure.code;
    if (j->fd >= 0 && fdatasync(j->fd) != 0) return fail(j, "cannot be synced to disk", errno, err);
    j->unsynced = 0;
    return SDG_OK;
}

/* Appends the record of `c` to `bytes`. */
static int read_record(const journal_t *j, const journal_call_t *c, buf_t *bytes, err_t *err) {
    char *room = buf_reserve(bytes, c->size);
    size_t got = 0;
    if (!room) return err_set(err, SDG_ELIMIT, "%s: a record larger than its reader", j->path);
    while (got < c->size) {
        ssize_t n = pread(j->fd, room + got, c->size - got, (off_t)(c->at + got));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return err_set(err, SDG_EIO, "%s: cannot be read: %s", j->path,
                           n < 0 ? strerror(errno) : "it has become shorter");
        got += (size_t)n;
    }
    bytes->len += c->size;
    return SDG_OK;
}

/* The record is checked again as it is read: the disk may have changed under it. */
int journal_find(journal_t *j, const journal_key_t *key, buf_t *answer, err_t *err) {
    const journal_call_t *c = find_call(j, key);
    journal_key_t read_key;
    const char *found = NULL;
    size_t len, more;
    if (!c) return err_set(err, SDG_ENOTFOUND, "no such call");
    if (journal_flush(j, err) != SDG_OK) return j->failure.code;
    buf_t record;
    buf_init(&record, JOURNAL_RECORD_HEAD_BYTES + JOURNAL_ANSWER_BYTES_MAX);
    int rc = read_record(j, c, &record, err);
    if (rc == SDG_OK &&
        journal_record_read(record.data, record.len, &j->format, &read_key, &found, &len, &more) == 0)
        rc = err_set(err, SDG_EIO, "%s: a record at byte %llu has changed on disk", j->path,
                     (unsigned long long)c->at);
    if (rc == SDG_OK) buf_add(answer, found, len);
    buf_free(&record);
    return rc;
}

/* ---- rewriting */

/* Copies the head and the live records, in the order of the index. -1 when the old file cannot be read or the
 * new one written. */
static int copy_live(journal_t *j, int fd) {
    buf_t out;
    int rc = 0;
    buf_init(&out, 2 * (JOURNAL_RECORD_HEAD_BYTES + JOURNAL_ANSWER_BYTES_MAX));
    journal_head_write(&out, j->format.salt);
    for (size_t i = 0; i < j->rows.cap && rc == 0; i++) {
        const row_calls_t *r = j->rows.slots[i].value;
        for (uint32_t k = 0; r && k < r->count && rc == 0; k++) {
            rc = read_record(j, &r->call[k], &out, NULL) == SDG_OK ? 0 : -1;
            if (rc == 0 && out.len >= JOURNAL_READ_BYTES) rc = write_out(fd, &out);
        }
    }
    if (rc == 0 && out.len) rc = write_out(fd, &out);
    buf_free(&out);
    return rc;
}

/* Gives each call its place in the new file. Walks the index in the order of copy_live. */
static void move_places(journal_t *j) {
    uint64_t at = JOURNAL_HEAD_BYTES;
    for (size_t i = 0; i < j->rows.cap; i++) {
        row_calls_t *r = j->rows.slots[i].value;
        for (uint32_t k = 0; r && k < r->count; k++) {
            r->call[k].at = at;
            at += r->call[k].size;
        }
    }
    j->size = at;
}

/* Replaces the file by one with the live records only, which is synced. False: the old file stays in use. */
static bool rewrite(journal_t *j) {
    int fd = safe_open_fresh(j->path_new, O_RDWR | O_APPEND, 0600);
    if (fd < 0) return false;
    if (copy_live(j, fd) != 0 || fdatasync(fd) != 0 || rename(j->path_new, j->path) != 0) {
        close(fd);
        unlink(j->path_new);
        return false;
    }
    file_sync_parent(j->path);
    close(j->fd);
    j->fd = fd;
    j->unsynced = 0;
    move_places(j);
    return true;
}

int journal_compact(journal_t *j, uint64_t least, err_t *err) {
    if (j->size <= least || j->size <= j->compact_from || j->size - JOURNAL_HEAD_BYTES <= 2 * j->live)
        return SDG_OK;
    if (journal_flush(j, err) != SDG_OK) return j->failure.code;
    bool done = rewrite(j);
    j->compact_from = done ? 0 : 2 * j->size;
    j->stats.rewrites += done;
    return SDG_OK;
}

/* ---- syncing by another thread, counters */

/* Through its descriptor a file without a name can still be read, so it is written again; of what else
 * happens to it nobody knows what is left. */
int journal_watch(journal_t *j, err_t *err) {
    bool gone;
    if (broken(j, err) != SDG_OK || j->fd < 0) return j->failure.code;
    const char *how = moved_how(j, &gone);
    if (!how) return SDG_OK;
    if (gone && journal_flush(j, err) == SDG_OK && rewrite(j)) {
        log_warn("journal", "%s was %s while the run wrote it: it is written again", j->path, how);
        return SDG_OK;
    }
    if (j->failure.code == SDG_OK)
        err_set(&j->failure, SDG_EIO,
                "%s was %s while the run wrote it: the run ends here; the same command does what is missing",
                j->path, how);
    return broken(j, err);
}

int journal_fd(const journal_t *j) { return j->fd; }
uint64_t journal_unsynced(const journal_t *j) { return j->unsynced; }
void journal_syncing(journal_t *j) { j->unsynced = 0; }

void journal_stats(const journal_t *j, journal_stats_t *stats) {
    *stats = j->stats;
    stats->bytes = j->size;
    stats->live_bytes = j->live;
    stats->rows = j->rows.count;
    stats->calls = j->calls;
}

/* ---- reading a journal that somebody else owns */

typedef struct journal_reader {
    journal_visit_fn *visit;
    void *context;
} journal_reader_t;

static bool pass_on(void *context, const journal_key_t *key, const char *answer, size_t len, uint64_t at) {
    const journal_reader_t *r = context;
    (void)at;
    return r->visit(r->context, key, answer, len);
}

/* A file that is empty, or torn before its first record, is a journal without records. */
int journal_read(const char *path, journal_visit_fn *visit, void *context, journal_lost_t *lost, err_t *err) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); /* a pipe is not waited for */
    if (fd < 0) return err_set(err, SDG_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    journal_reader_t reader = {visit, context};
    journal_scan_t scan = {fd, path, {0}, pass_on, NULL, &reader, 0, {0}};
    char head[JOURNAL_HEAD_LOOK_BYTES];
    ssize_t n = pread(fd, head, sizeof head, 0);
    int rc = n < 0 ? err_set(err, SDG_EIO, "%s: cannot be read: %s", path, strerror(errno))
                   : journal_head_read(head, (size_t)n, &scan.format);
    if (n >= 0) scan.lost.torn_bytes = (uint64_t)n;
    if (rc == SDG_OK) rc = journal_file_scan(&scan, err);
    if (rc == SDG_ENOTFOUND) rc = SDG_OK;
    if (rc == SDG_EPARSE)
        rc = err_set(err, SDG_EINVAL, "%s: is not a call journal, or its beginning is damaged", path);
    *lost = scan.lost;
    close(fd);
    return rc;
}
